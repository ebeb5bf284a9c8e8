//! The leaky bucket: units run in at any speed and leak out at a steady one; what would overflow is refused.
//!
//! The bucket holds `quota.burst` units and leaks `quota.amount` of them per `quota.period`. It comes in two kinds, and
//! people say "leaky bucket" of both:
//!
//! - the **meter** only watches the level: what fits passes at once. This is GCRA and the token bucket by another name
//!   (ITU-T I.371 shows the first, the other is a full bucket seen from below), and runs GCRA's code. nginx's
//!   `limit_req` with `burst=B nodelay` is a meter with `burst = B + 1`: it does not count the request that it asks
//!   about;
//! - the **shaper** is a queue: what fits waits until all that came before has leaked out. Nothing passes in bursts, and
//!   a burst of `k` single units is spread over `k − 1` intervals. nginx's `limit_req` with `burst=B` is a shaper with
//!   `burst = B + 1`.
//!
//! **Where it is wrong:** a shaper trades refusals for waiting, and its queue is blind: it neither knows that clients
//! have gone nor that endpoints stand idle. **When not to use it:** the shaper not before providers that refuse by a
//! token bucket of their own, since it gives away the burst; the meter not at all if you can say `gcra`.

use super::{Decision, Gcra, Limiter, Standing, Taken, Tat};
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A rate limit by a bucket that leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyBucket {
    /// Its TAT is when the bucket will be empty.
    level: Gcra,
    /// The longest wait in a shaper's queue.
    most: Option<Nanos>,
}

impl LeakyBucket {
    /// Lets what fits pass at once.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn meter(quota: Quota) -> LeakyBucket {
        LeakyBucket {
            level: Gcra::new(quota, Nanos::ZERO),
            most: None,
        }
    }

    /// Lets what fits pass when all before it has leaked out, if that is at most `most` later.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn shaper(quota: Quota, most: Nanos) -> LeakyBucket {
        LeakyBucket {
            level: Gcra::new(quota, Nanos::ZERO),
            most: Some(most),
        }
    }
}

impl Limiter for LeakyBucket {
    type State = Tat;

    #[inline]
    fn take(&self, empty: &mut Tat, now: Instant, cost: Cost) -> Decision {
        let Some(most) = self.most else {
            return self.level.take(empty, now, cost);
        };
        let mut next = *empty;
        let decision = self.level.take(&mut next, now, cost);
        let at = self.level.standing(empty, now).reset;
        match decision {
            Decision::Allow { .. } if cost == 0 => decision,
            Decision::Allow { .. } if at <= now + most && !at.is_far() => {
                *empty = next;
                Decision::Allow { at }
            }
            Decision::Allow { .. } => Decision::Wait {
                until: if at.is_far() { at } else { at - most },
            },
            Decision::Wait { until } if at.is_far() => Decision::Wait { until: until.max(at) },
            Decision::Wait { until } => Decision::Wait {
                until: until.max(at - most),
            },
            Decision::Never => Decision::Never,
        }
    }

    #[inline]
    fn undo(&self, empty: &mut Tat, now: Instant, taken: Taken) {
        self.level.undo(empty, now, taken);
    }

    #[inline]
    fn settle(&self, empty: &mut Tat, now: Instant, taken: Taken, used: Cost) {
        self.level.settle(empty, now, taken, used);
    }

    #[inline]
    fn is_idle(&self, empty: &Tat, now: Instant) -> bool {
        self.level.is_idle(empty, now)
    }

    fn standing(&self, empty: &Tat, now: Instant) -> Standing {
        let standing = self.level.standing(empty, now);
        let is_open = self.most.is_none() || self.is_idle(empty, now);
        Standing {
            remaining: if is_open { standing.remaining } else { 0 },
            ..standing
        }
    }
}
