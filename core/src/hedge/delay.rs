//! How long an attempt may be silent before it is hedged, and how many hedges there may be.

use super::{LatencyQuantile, QuantileState};
use crate::policy::{self, Hedge, HedgeAfter};
use crate::retry::RetryBudget;
use crate::time::{Instant, Nanos};

/// How long an attempt may be silent before it is hedged.
///
/// ```
/// use tollgate_core::hedge::Delay;
/// use tollgate_core::policy::HedgeAfter;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let delay = Delay::new(HedgeAfter::Quantile(0.95));
/// let mut recent = delay.fresh();
/// assert_eq!(delay.at(&mut recent, Instant::EPOCH), None);
/// for _ in 0..100 {
///     delay.observe(&mut recent, Instant::EPOCH, Nanos::from_nanos(20));
/// }
/// assert_eq!(delay.at(&mut recent, Instant::EPOCH), Some(Nanos::from_nanos(20)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay {
    after: HedgeAfter,
    latency: LatencyQuantile,
}

impl Delay {
    /// The delay that a policy describes; quantiles are of the last minute.
    #[must_use]
    pub fn new(after: HedgeAfter) -> Delay {
        Delay {
            after,
            latency: LatencyQuantile::default(),
        }
    }

    /// No latency known.
    #[must_use]
    pub fn fresh(&self) -> QuantileState {
        self.latency.fresh()
    }

    /// A first token took `latency`. Nothing is remembered where the delay is fixed.
    pub fn observe(&self, state: &mut QuantileState, now: Instant, latency: Nanos) {
        match self.after {
            HedgeAfter::Delay(_) => {}
            HedgeAfter::Quantile(_) => self.latency.observe(state, now, latency),
        }
    }

    /// The delay as of `now`; none while too little is known to hedge.
    pub fn at(&self, state: &mut QuantileState, now: Instant) -> Option<Nanos> {
        match self.after {
            HedgeAfter::Delay(length) => Some(length),
            HedgeAfter::Quantile(q) => self.latency.quantile(state, now, q),
        }
    }
}

/// The budget of hedges: a share of the requests of the last ten seconds, and nothing besides.
///
/// Deposit for each request, withdraw for each hedge.
#[must_use]
pub fn budget(hedge: &Hedge) -> RetryBudget {
    RetryBudget::new(&policy::RetryBudget {
        ratio: hedge.budget,
        floor_per_sec: 0.0,
        ttl: Nanos::from_secs(10),
    })
}
