//! Throttles of pools: who is turned away before an endpoint is looked for, and what they learn from.

use super::fleet::Fleet;
use crate::dice::Rng;
use crate::fault::Fault;
use crate::id::{EndpointId, PoolId};
use crate::lifecycle::Status;
use crate::memory::{Guarded, Memory};
use crate::policy;
use crate::throttle::{History, Throttle};
use crate::time::Instant;

/// The throttle of a pool, and what it has seen.
pub(super) struct Throttled<M: Memory> {
    law: Throttle,
    history: M::Block<History>,
}

impl<M: Memory> Throttled<M> {
    pub(super) fn new(throttle: &policy::Throttle) -> Throttled<M> {
        Throttled {
            law: Throttle::new(throttle),
            history: M::Block::new(History::default()),
        }
    }

    #[inline(never)]
    fn turns_away(&self, now: Instant, mut rng: Rng) -> bool {
        self.history.with(|history| self.law.turns_away(history, now, &mut rng))
    }

    #[inline(never)]
    pub(super) fn record(&self, now: Instant, accepted: bool) {
        self.history.with(|history| self.law.record(history, now, accepted));
    }
}

impl<M: Memory> Fleet<M> {
    /// Whether `pool` turns the next attempt away; dice are only rolled if it has a throttle.
    #[inline]
    pub(crate) fn turns_away(&self, pool: PoolId, now: Instant, roll: impl FnOnce() -> Rng) -> bool {
        match &self.pools[pool.index()].throttle {
            None => false,
            Some(throttle) => throttle.turns_away(now, roll()),
        }
    }

    /// An attempt at `endpoint` has failed without a token.
    #[inline]
    pub(crate) fn unanswered(&self, endpoint: EndpointId, fault: Fault, status: Option<Status>, now: Instant) {
        let pool = self.endpoints[endpoint.index()].pool;
        if let Some(throttle) = &self.pools[pool.index()].throttle
            && let Some(accepted) = throttle.law.is_accepted(fault, status)
        {
            throttle.record(now, accepted);
        }
    }
}
