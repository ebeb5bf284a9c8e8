//! An active health check: is there an answer in time, and is it good?

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tollgate_core::id::EndpointId;
use tollgate_core::time::{Instant, Nanos};

use super::connect::Address;
use super::link::Outbound;
use super::pool::{Bounds, Pool};
use super::transfer::{Said, Transfer, World};
use crate::clock::{Clock, Timer};

/// A health check that runs, on a connection of its own: whether one can be had is part of the question.
pub(crate) struct Check {
    endpoint: EndpointId,
    transfer: Transfer,
    clock: Arc<dyn Clock>,
    timer: Box<dyn Timer>,
}

impl Check {
    /// Asks `endpoint` with `request`; no answer until `deadline` is a bad one.
    pub(crate) fn new(
        world: &Arc<World>,
        endpoint: EndpointId,
        address: &Arc<Address>,
        request: Outbound,
        deadline: Instant,
    ) -> Check {
        let pool = Pool::new(Bounds {
            most: 1,
            idle: Nanos::ZERO,
            age: Nanos::ZERO,
        });
        let mut timer = world.clock.timer();
        timer.set(deadline);
        Check {
            endpoint,
            transfer: Transfer::new(world, &pool, address, request),
            clock: Arc::clone(&world.clock),
            timer,
        }
    }

    /// Whose health it checks.
    pub(crate) fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// Whether the answer is good. One that comes in the very instant of the deadline counts.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.transfer.poll(cx, self.clock.now()) {
                Poll::Ready(Said::Head(parts)) => return Poll::Ready(parts.status.as_u16() < 400),
                Poll::Ready(Said::Failed(_) | Said::Unreachable(_) | Said::End) => return Poll::Ready(false),
                Poll::Ready(Said::Waiting | Said::Served | Said::Connected | Said::Data(_)) => {}
                Poll::Pending => {
                    ready!(self.timer.poll(cx));
                    return Poll::Ready(false);
                }
            }
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
