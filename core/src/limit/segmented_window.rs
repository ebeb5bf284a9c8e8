//! The segmented window: a window cut into equal segments, the oldest dropped whole.
//!
//! Allows `quota.amount` units in each run of `segments` segments, whose starts are aligned to the epoch. One segment is
//! the [`FixedWindow`](super::FixedWindow), with its two windows' units around a boundary; with more of them, what
//! passes in one period exceeds the amount by no more than what was taken in a single segment; with one a nanosecond it
//! is the [`SlidingLog`](super::SlidingLog). `quota.burst` has no meaning here. A key remembers each segment in which
//! something was taken: at most `segments` entries of 16 bytes.
//!
//! **When not to use it:** where [`Gcra`](super::Gcra) will do, which is smoother and one word. It is for those who
//! must promise "so many in any hour" and can spare some memory, but not a log.
//!
//! Units used in excess are a debt: they enter the window, in the order they were owed, as room appears.

use core::num::{NonZeroU32, NonZeroU64};

use super::log::{Frame, Log};
use super::{Decision, Limiter, Standing, Taken};
use crate::policy::Quota;
use crate::time::Instant;
use crate::usage::Cost;

/// A rate limit by a window in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentedWindow {
    frame: Frame,
    period: NonZeroU64,
}

impl SegmentedWindow {
    /// Most segments that a checked policy lets a window have: four kibibytes a key.
    pub const MOST: u32 = 256;

    /// A limit of `quota.amount` in every `quota.period`, cut into `segments` of a nanosecond at least.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota, segments: NonZeroU32) -> SegmentedWindow {
        SegmentedWindow::cut(quota, u64::from(segments.get()))
    }

    /// Cut as finely as time is: a segment a nanosecond.
    pub(super) fn finest(quota: Quota) -> SegmentedWindow {
        SegmentedWindow::cut(quota, u64::MAX)
    }

    fn cut(quota: Quota, segments: u64) -> SegmentedWindow {
        let period = NonZeroU64::new(quota.period.as_nanos()).expect("a checked quota has a period");
        SegmentedWindow {
            frame: Frame {
                span: segments.min(period.get()),
                limit: quota.amount.get(),
            },
            period,
        }
    }

    /// The segment that `now` is in, counted from the epoch.
    #[inline]
    fn segment(&self, now: Instant) -> u64 {
        let (now, span) = (now.as_nanos(), self.frame.span);
        if span == self.period.get() {
            return now;
        }
        let (window, into) = (now / self.period, now % self.period);
        let part = match into.checked_mul(span) {
            Some(product) => product / self.period,
            None => u64::try_from(u128::from(into) * u128::from(span) / u128::from(self.period.get()))
                .expect("fewer than a window has"),
        };
        // No more segments than nanoseconds: it fits.
        window * span + part
    }

    /// The first nanosecond of `segment`.
    fn start(&self, segment: u64) -> Instant {
        let start = (u128::from(segment) * u128::from(self.period.get())).div_ceil(u128::from(self.frame.span));
        u64::try_from(start).map_or(Instant::FAR, Instant::from_nanos)
    }

    /// The first instant at which `cost` more units fit.
    fn due(&self, log: &Log, segment: u64, cost: Cost) -> Instant {
        let due = self.frame.fits_from(log, segment, cost);
        due.map_or(Instant::FAR, |due| self.start(due))
    }
}

impl Limiter for SegmentedWindow {
    type State = Log;

    #[inline]
    fn take(&self, log: &mut Log, now: Instant, cost: Cost) -> Decision {
        let decision = self.peek(log, now, cost);
        if cost != 0 && decision.is_allowed() {
            self.frame.push(log, self.segment(now), cost);
        }
        decision
    }

    fn peek(&self, log: &Log, now: Instant, cost: Cost) -> Decision {
        if self.frame.limit < cost {
            return Decision::Never;
        }
        let segment = log.latest(self.segment(now));
        if cost == 0 || self.frame.fits_from(log, segment, cost) == Some(segment) {
            return Decision::Allow { at: now };
        }
        Decision::Wait {
            until: self.due(log, segment, cost),
        }
    }

    fn undo(&self, log: &mut Log, now: Instant, taken: Taken) {
        self.frame
            .pop(log, self.segment(now), self.segment(taken.at), taken.cost);
    }

    /// Units come back into the segment they were taken from, while it counts.
    fn settle(&self, log: &mut Log, now: Instant, taken: Taken, used: Cost) {
        let segment = self.segment(now);
        if taken.cost < used {
            self.frame.charge(log, segment, used - taken.cost);
        } else {
            self.frame.pop(log, segment, self.segment(taken.at), taken.cost - used);
        }
    }

    #[inline]
    fn is_idle(&self, log: &Log, now: Instant) -> bool {
        self.frame.is_clear(log, self.segment(now))
    }

    fn standing(&self, log: &Log, now: Instant) -> Standing {
        let segment = self.segment(now);
        let (limit, used) = (self.frame.limit, self.frame.used(log, segment));
        Standing {
            limit,
            remaining: limit.saturating_sub(used),
            reset: if used == 0 { now } else { self.due(log, segment, limit) },
        }
    }
}
