//! Routes: from a request to an ordered list of pools, and how hard to try.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Adjustment, HeaderStages, Match, RegionId, Split};
use crate::dice::{Purpose, RequestDice};
use crate::fault::FaultSet;
use crate::id::PoolId;
use crate::time::Nanos;

/// A rule from a request to an ordered list of pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Which requests it decides.
    pub matches: Match,
    /// Where they go; each pool is the fallback of the one before.
    pub pools: Vec<PoolId>,
    /// Which of them is tried first, if that is not the first; the others follow in their order.
    pub split: Option<Split>,
    /// Endpoints elsewhere do not exist for this route.
    pub require_region: Option<RegionId>,
    /// What it fills in and bounds of a request.
    pub request: Adjustment,
    /// What it does to headers.
    pub headers: HeaderStages,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// When and how to try again.
    pub retry: Retry,
    /// When to launch a further attempt beside a slow one.
    pub hedge: Option<Hedge>,
    /// Whether an endpoint is told to stop when the client has gone.
    pub cancel_on_abandon: bool,
    /// What a good answer is.
    pub slo: Slo,
}

impl Route {
    /// The `nth` pool that a request with these `dice` tries.
    ///
    /// # Panics
    ///
    /// Beyond the last pool.
    #[must_use]
    #[inline]
    pub fn nth_pool(&self, nth: usize, dice: RequestDice) -> PoolId {
        match &self.split {
            None => self.pools[nth],
            Some(split) => {
                let first = split.draw(&mut dice.roll(Purpose::Split, 0));
                // Those before the first move back by one.
                let moved = if nth <= first { nth.checked_sub(1) } else { Some(nth) };
                self.pools[moved.unwrap_or(first)]
            }
        }
    }
}

/// How long things may take; [`Nanos::FOREVER`] switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From launch until connected.
    pub connect: Nanos,
    /// From launch until the first token.
    pub ttft: Nanos,
    /// From one token to the next.
    pub idle: Nanos,
    /// From arrival to the last token, whatever was tried.
    pub total: Nanos,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Nanos::from_secs(2),
            ttft: Nanos::from_secs(30),
            idle: Nanos::from_secs(30),
            total: Nanos::from_secs(600),
        }
    }
}

/// When and how to try again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Most attempts of a request: first, retries, hedges and fallbacks together; 1 to 16.
    pub max_attempts: u8,
    /// Faults after which another attempt makes sense.
    pub on: FaultSet,
    /// Caps the retries of all its requests together.
    pub budget: Option<Budget>,
    /// The delay before a retry.
    pub backoff: Backoff,
}

/// What caps the retries of a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// A share of the requests that came lately.
    Ratio(RetryBudget),
    /// A share of the requests that are active now.
    Concurrency(RetryConcurrency),
}

/// Caps retries to a share of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries per request, above 0.
    pub ratio: f64,
    /// Retries a second that are allowed whatever the traffic.
    pub floor_per_sec: f64,
    /// How long a deposit counts.
    pub ttl: Nanos,
}

/// Caps retries in flight to a share of the active requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryConcurrency {
    /// Retries in flight per active request, above 0 and at most 1.
    pub ratio: f64,
    /// Retries in flight that are allowed whatever the traffic.
    pub floor: u32,
}

/// The delay before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first retry; doubled before each further one.
    pub base: Nanos,
    /// The longest delay.
    pub max: Nanos,
    /// The random part.
    pub jitter: Jitter,
}

/// The random part of a backoff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Uniform from nothing to the whole delay.
    #[default]
    Full,
    /// Uniform from the shortest delay to three times the one before.
    Decorrelated,
    /// None.
    None,
}

/// When to launch a further attempt beside a slow one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// How long the running attempt may be silent.
    pub after: HedgeAfter,
    /// Most hedges of a request.
    pub max: u8,
    /// Hedges per request, at most.
    pub budget: f64,
}

/// How long an attempt may be silent before it is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeAfter {
    /// So long.
    Delay(Nanos),
    /// As long as this share of recent first tokens took, above 0 and below 1.
    Quantile(f64),
}

/// Targets; [`Nanos::FOREVER`] where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slo {
    /// To the first token, of streamed answers.
    pub ttft: Nanos,
    /// Per output token, of streamed answers.
    pub tpot: Nanos,
    /// To the last token.
    pub e2e: Nanos,
}

impl Default for Slo {
    fn default() -> Slo {
        Slo {
            ttft: Nanos::FOREVER,
            tpot: Nanos::FOREVER,
            e2e: Nanos::FOREVER,
        }
    }
}
