//! The sliding window log: when each unit was taken, for as long as it counts.
//!
//! Allows `quota.amount` units in *any* window of `quota.period`, exactly: what was taken at `t` counts until just
//! before `t + period`. `quota.burst` has no meaning here. The price is memory: 16 bytes for each take in the window,
//! so up to `amount` times that a key, which a policy bounds by [`SlidingLog::MOST`].
//!
//! It is the [`SegmentedWindow`] whose segments are single nanoseconds, and runs its code.
//!
//! **When not to use it:** for quotas of many units, tokens above all. [`Gcra`](super::Gcra) holds the same rate in one
//! word. And it does not smooth: who takes all at once waits for a whole period, and then may again.
//!
//! ```
//! use core::num::NonZeroU64;
//! use tollgate_core::limit::{Decision, Limiter, SlidingLog};
//! use tollgate_core::policy::Quota;
//! use tollgate_core::time::{Instant, Nanos};
//!
//! let two = NonZeroU64::new(2).expect("not zero");
//! let limiter = SlidingLog::new(Quota { amount: two, period: Nanos::from_secs(1), burst: two });
//! let mut key = Default::default();
//! let at = |millis| Instant::EPOCH + Nanos::from_millis(millis);
//! assert!(limiter.take(&mut key, at(900), 1).is_allowed());
//! assert!(limiter.take(&mut key, at(950), 1).is_allowed());
//! // A fixed window would start anew here.
//! assert_eq!(limiter.take(&mut key, at(1_000), 1), Decision::Wait { until: at(1_900) });
//! ```

use super::{Decision, Limiter, Log, SegmentedWindow, Standing, Taken};
use crate::policy::Quota;
use crate::time::Instant;
use crate::usage::Cost;

/// A rate limit by a log of what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingLog(SegmentedWindow);

impl SlidingLog {
    /// Most units that a checked policy lets a log count. It may have an entry for each: a mebibyte a key.
    pub const MOST: u64 = 1 << 16;
    /// Bytes of an entry.
    pub const ENTRY: u64 = 16;

    /// A limit of `quota.amount` in any window of `quota.period`.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota) -> SlidingLog {
        SlidingLog(SegmentedWindow::finest(quota))
    }
}

impl Limiter for SlidingLog {
    type State = Log;

    #[inline]
    fn take(&self, log: &mut Log, now: Instant, cost: Cost) -> Decision {
        self.0.take(log, now, cost)
    }

    fn peek(&self, log: &Log, now: Instant, cost: Cost) -> Decision {
        self.0.peek(log, now, cost)
    }

    fn undo(&self, log: &mut Log, now: Instant, taken: Taken) {
        self.0.undo(log, now, taken);
    }

    /// Units come back to the instant they were taken at, while it counts.
    fn settle(&self, log: &mut Log, now: Instant, taken: Taken, used: Cost) {
        self.0.settle(log, now, taken, used);
    }

    #[inline]
    fn is_idle(&self, log: &Log, now: Instant) -> bool {
        self.0.is_idle(log, now)
    }

    fn standing(&self, log: &Log, now: Instant) -> Standing {
        self.0.standing(log, now)
    }
}
