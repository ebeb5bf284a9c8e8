//! The token bucket: a bucket of units, refilled continuously.
//!
//! A bucket holds at most `quota.burst` units and gains `quota.amount` of them per `quota.period`, by parts of a unit:
//! what a refill brings beyond whole units is kept, never dropped. (Dropping it turns 10 a second, asked for every
//! 150 ms, into 6.67.) It decides as [`Gcra`](super::Gcra) does, by arithmetic that shares nothing with it: a unit is
//! `period` parts and a nanosecond brings `amount` of them, both reduced, so that no number is ever rounded.
//!
//! | Law | Test |
//! |---|---|
//! | The decisions are GCRA's, within one tick. | `bucket_equals_gcra` |

use core::num::NonZeroU64;

use super::{Decision, Limiter, Standing, Taken};
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A rate limit by a bucket of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    burst: Cost,
    /// Parts that a nanosecond brings.
    gain: NonZeroU64,
    /// Parts of a unit.
    unit: u64,
    /// Parts of a full bucket.
    capacity: u128,
    max_delay: Nanos,
}

/// How empty a bucket was, and when. Empty beyond its capacity, it is in debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Parts of a unit that a full bucket has more.
    spent: u128,
    /// When it was last refilled.
    at: Instant,
}

impl TokenBucket {
    /// A limit of `quota`; a take that would have to wait for no longer than `max_delay` is allowed, and delayed.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota, max_delay: Nanos) -> TokenBucket {
        let period = NonZeroU64::new(quota.period.as_nanos()).expect("a checked quota has a period");
        let common = greatest_common_divisor(quota.amount, period);
        let unit = period.get() / common;
        TokenBucket {
            burst: quota.burst.get(),
            gain: NonZeroU64::new(quota.amount.get() / common).expect("a divisor is no greater"),
            unit,
            capacity: u128::from(quota.burst.get()) * u128::from(unit),
            max_delay,
        }
    }

    /// The bucket at `now`; no earlier than it was last refilled, should `now` be late.
    #[inline]
    fn refilled(&self, bucket: Bucket, now: Instant) -> Bucket {
        let gained = u128::from(now.since(bucket.at).as_nanos()) * u128::from(self.gain.get());
        Bucket {
            spent: bucket.spent.saturating_sub(gained),
            at: bucket.at.max(now),
        }
    }

    /// When no more than `most` parts will be spent.
    fn due(&self, bucket: Bucket, most: u128) -> Instant {
        let nanos = bucket.spent.saturating_sub(most).div_ceil(u128::from(self.gain.get()));
        bucket.at + Nanos::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    #[inline]
    fn worth(&self, cost: Cost) -> u128 {
        u128::from(cost) * u128::from(self.unit)
    }
}

impl Limiter for TokenBucket {
    type State = Bucket;

    #[inline]
    fn take(&self, bucket: &mut Bucket, now: Instant, cost: Cost) -> Decision {
        if self.burst < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }

        let mut next = self.refilled(*bucket, now);
        next.spent = next.spent.saturating_add(self.worth(cost));
        if next.spent <= self.capacity {
            *bucket = next;
            return Decision::Allow { at: now };
        }

        let due = self.due(next, self.capacity);
        if due <= now + self.max_delay && !due.is_far() {
            *bucket = next;
            return Decision::Allow { at: due };
        }
        let until = if due.is_far() { due } else { due - self.max_delay };
        Decision::Wait { until }
    }

    #[inline]
    fn undo(&self, bucket: &mut Bucket, _now: Instant, taken: Taken) {
        bucket.spent = bucket.spent.saturating_sub(self.worth(taken.cost));
    }

    #[inline]
    fn settle(&self, bucket: &mut Bucket, now: Instant, taken: Taken, used: Cost) {
        *bucket = self.refilled(*bucket, now);
        bucket.spent = if taken.cost < used {
            bucket.spent.saturating_add(self.worth(used - taken.cost))
        } else {
            bucket.spent.saturating_sub(self.worth(taken.cost - used))
        };
    }

    #[inline]
    fn is_idle(&self, bucket: &Bucket, now: Instant) -> bool {
        self.refilled(*bucket, now).spent == 0
    }

    fn standing(&self, bucket: &Bucket, now: Instant) -> Standing {
        let bucket = self.refilled(*bucket, now);
        let units = self.capacity.saturating_sub(bucket.spent) / u128::from(self.unit);
        let reset = if bucket.spent == 0 { now } else { self.due(bucket, 0) };
        Standing {
            limit: self.burst,
            remaining: u64::try_from(units).expect("no more than a burst"),
            reset,
        }
    }
}

fn greatest_common_divisor(a: NonZeroU64, b: NonZeroU64) -> u64 {
    let (mut a, mut b) = (a.get(), b.get());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
