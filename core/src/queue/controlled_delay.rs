//! Controlled delay: in a standing queue nobody waits for long.
//!
//! B. Maurer, *Fail at scale* (ACM Queue 13, 2015), Facebook's shortcut to `CoDel`. Whoever comes while the queue has
//! been empty within the last `interval` may wait for `interval`: that is a burst, and it passes. Whoever comes while
//! it has not may wait for `target` only. Who has waited for longer when a permit comes is shed.
//!
//! Those at the old end are shed as soon as any permit comes, whatever the order: under `lifo` nobody would meet them
//! otherwise, and they would fill the queue.
//!
//! # Where it is wrong
//!
//! `target` has to be longer than the usual gap between two permits, or a short queue sheds all it has: with few
//! permits and answers of seconds, 5 ms is nothing. Set it to what a client would wait for.
//!
//! ```
//! use tollgate_core::queue::ControlledDelay;
//! use tollgate_core::time::{Instant, Nanos};
//!
//! let law = ControlledDelay { target: Nanos::from_millis(5), interval: Nanos::from_millis(100) };
//! let (busy_since, at) = (Instant::from_secs(1), |millis| Instant::from_secs(1) + Nanos::from_millis(millis));
//! assert!(!law.hurries(Some(busy_since), at(100)));
//! assert!(law.hurries(Some(busy_since), at(101)));
//! assert!(!law.hurries(None, at(101)));
//! assert_eq!(law.patience(true), Nanos::from_millis(5));
//! ```

use crate::time::{Instant, Nanos};

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlledDelay {
    /// The longest wait in a standing queue: M.
    pub target: Nanos,
    /// The longest wait in a burst, and how long a burst may be: N.
    pub interval: Nanos,
}

impl ControlledDelay {
    /// Whether to hurry whoever comes at `now` to a queue that has not been empty since `busy_since`.
    #[must_use]
    pub fn hurries(&self, busy_since: Option<Instant>, now: Instant) -> bool {
        stands(busy_since, now, self.interval)
    }

    /// How long somebody may wait.
    #[must_use]
    pub fn patience(&self, hurried: bool) -> Nanos {
        if hurried { self.target } else { self.interval }
    }
}

/// Whether a queue that has not been empty since `busy_since` has been so for more than `length`.
pub(super) fn stands(busy_since: Option<Instant>, now: Instant, length: Nanos) -> bool {
    busy_since.is_some_and(|since| since + length < now)
}
