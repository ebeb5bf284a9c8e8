//! The record of a request: what metrics, logs and reports are derived from.

use super::refusal::Refusal;
use crate::fault::Fault;
use crate::id::{EndpointId, RouteId};
use crate::policy::Slo;
use crate::time::{Instant, Nanos};
use crate::usage::{PicoUsd, Usage};

/// The record of a request. Instants that have not come are [`Instant::FAR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It was received.
    pub arrived: Instant,
    /// It was past limits and queue.
    pub admitted: Instant,
    /// Its first attempt was launched.
    pub launched: Instant,
    /// The attempt that won was launched.
    pub won: Instant,
    /// The first token came.
    pub first_token: Instant,
    /// It ended.
    pub finished: Instant,
    /// Time spent in queues.
    pub queue_wait: Nanos,
    /// What it used, as far as is known.
    pub usage: Usage,
    /// What its attempts cost together, as far as is known: the one that answered what it used, each other whose
    /// request was accepted its prompt. Endpoints without a price cost nothing.
    pub spent: PicoUsd,
    /// The route that decided it.
    pub route: Option<RouteId>,
    /// The endpoint that won.
    pub endpoint: Option<EndpointId>,
    /// Attempts launched.
    pub attempts: u8,
    /// Those launched because an earlier one had failed, in the same pool.
    pub retries: u8,
    /// Those launched beside a slow one.
    pub hedges: u8,
    /// Those launched in the next pool of the route.
    pub fallbacks: u8,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// How it ended.
    pub end: End,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Open,
    /// With a complete answer.
    Completed,
    /// Without one, although an attempt was launched.
    Failed {
        /// What the client was told.
        refusal: Refusal,
    },
    /// Before any attempt.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// The client went away first.
    Abandoned,
}

impl Outcome {
    /// Of a request of which nothing is known yet.
    pub const NEW: Outcome = Outcome {
        arrived: Instant::FAR,
        admitted: Instant::FAR,
        launched: Instant::FAR,
        won: Instant::FAR,
        first_token: Instant::FAR,
        finished: Instant::FAR,
        queue_wait: Nanos::ZERO,
        usage: Usage { input: 0, output: 0 },
        spent: PicoUsd(0),
        route: None,
        endpoint: None,
        attempts: 0,
        retries: 0,
        hedges: 0,
        fallbacks: 0,
        stream: false,
        end: End::Open,
    };

    /// From arrival to the last token, or to whatever ended it.
    #[must_use]
    pub fn e2e(&self) -> Nanos {
        self.finished.since(self.arrived)
    }

    /// From arrival to the first token of a streamed answer; of an answer that comes whole there is none.
    #[must_use]
    pub fn ttft(&self) -> Option<Nanos> {
        (self.stream && !self.first_token.is_far()).then(|| self.first_token.since(self.arrived))
    }

    /// Per output token after the first, of a complete streamed answer; undefined under two tokens.
    #[must_use]
    pub fn tpot(&self) -> Option<Nanos> {
        let further = u64::from(self.usage.output.checked_sub(1)?);
        let complete = self.stream && self.end == End::Completed && 0 < further;
        complete.then(|| Nanos::from_nanos(self.finished.since(self.first_token).as_nanos() / further))
    }

    /// What the gateway added: E2E minus the winning attempt's time.
    #[must_use]
    pub fn overhead(&self) -> Nanos {
        self.won.since(self.arrived)
    }

    /// Whether it was answered completely and within all targets.
    #[must_use]
    pub fn attains(&self, slo: &Slo) -> bool {
        self.attains_since(self.arrived, slo)
    }

    /// The same for somebody who has waited since `start`, which is not later than its arrival.
    #[must_use]
    #[inline]
    pub fn attains_since(&self, start: Instant, slo: &Slo) -> bool {
        let first = self.ttft().map(|_| self.first_token.since(start));
        self.end == End::Completed
            && self.finished.since(start) <= slo.e2e
            && first.is_none_or(|ttft| ttft <= slo.ttft)
            && self.tpot().is_none_or(|tpot| tpot <= slo.tpot)
    }

    /// How the last attempt failed, of a request that failed for want of attempts.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self.end {
            End::Failed {
                refusal: Refusal::OutOfAttempts { fault, .. },
            } => Some(fault),
            End::Open | End::Completed | End::Failed { .. } | End::Refused { .. } | End::Abandoned => None,
        }
    }
}
