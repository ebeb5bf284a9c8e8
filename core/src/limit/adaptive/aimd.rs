//! Additive increase, multiplicative decrease.

use super::{ConcurrencyLaw, Sample};
use crate::dice::Rng;
use crate::policy::Bounds;
use crate::time::{Instant, Nanos};

/// One more after each answer, a tenth less after each drop.
///
/// A sample of more than five seconds counts as a drop. An answer raises the limit only if at least half of it is in
/// flight: what is not used cannot be too little. (Netflix `AIMDLimit`: backoff 0.9, timeout 5 s, from 20, between 20
/// and 200. The rule is Chiu and Jain's, 1989: the one that is fair among many.)
///
/// # When it is wrong
///
/// It learns from drops alone. Before endpoints that queue without end instead of refusing, it grows until answers
/// take five seconds, which is the queue that it was meant to prevent: use [`Vegas`](super::Vegas) or
/// [`Gradient2`](super::Gradient2) there.
///
/// ```
/// use core::num::NonZeroU32;
/// use tollgate_core::dice::Rng;
/// use tollgate_core::limit::{Aimd, ConcurrencyLaw, Sample};
/// use tollgate_core::policy::Bounds;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let law = Aimd::new(Bounds::AIMD);
/// let (mut state, mut rng) = (Default::default(), Rng::new(7));
/// let now = Instant::from_secs(1);
/// let answer = Sample { now, started: now, in_flight: 20, latency: Some(Nanos::from_millis(100)), dropped: false };
/// assert_eq!(law.sample(&mut state, &answer, &mut rng), 21);
/// assert_eq!(law.sample(&mut state, &Sample { dropped: true, ..answer }, &mut rng), 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aimd {
    bounds: Bounds,
}

/// What AIMD has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AimdState {
    /// Zero: the initial one.
    limit: u32,
}

/// A sample that takes longer is a drop.
const TIMEOUT: Nanos = Nanos::from_secs(5);

impl Aimd {
    /// AIMD within `bounds`.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Aimd {
        Aimd { bounds }
    }
}

impl ConcurrencyLaw for Aimd {
    type State = AimdState;

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn limit(&self, state: &AimdState, _now: Instant) -> u32 {
        match state.limit {
            0 => self.bounds.whole(None),
            limit => limit,
        }
    }

    fn sample(&self, state: &mut AimdState, sample: &Sample, _rng: &mut Rng) -> u32 {
        let limit = self.limit(state, sample.now);
        let too_late = sample.latency.is_some_and(|latency| TIMEOUT < latency);
        let next = if sample.dropped || too_late {
            // Nine tenths, rounded down.
            limit / 10 * 9 + limit % 10 * 9 / 10
        } else if limit <= sample.in_flight.saturating_mul(2) {
            limit.saturating_add(1)
        } else {
            limit
        };
        state.limit = next.min(self.bounds.max.get()).max(self.bounds.min.get());
        state.limit
    }
}
