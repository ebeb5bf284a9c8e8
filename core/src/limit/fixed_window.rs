//! The fixed window: a counter that starts anew at every whole period.
//!
//! Allows `quota.amount` units in each window; windows are aligned to the epoch, so those of a day begin at its
//! midnights. The simplest of limits, and the least exact: around a boundary, two windows' units pass within one
//! period (the law `never_exceeds_quota` holds with twice the amount). `quota.burst` has no meaning here.
//!
//! Units used in excess of a window's amount are a debt, and count in the windows that follow until they are paid.

use core::num::NonZeroU64;

use super::{Decision, Limiter, Standing, Taken};
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A rate limit by aligned windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    amount: NonZeroU64,
    period: NonZeroU64,
}

/// The units taken in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Which one, counted from the epoch.
    index: u64,
    used: Cost,
}

impl FixedWindow {
    /// A limit of `quota.amount` in every `quota.period`.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota) -> FixedWindow {
        FixedWindow {
            amount: quota.amount,
            period: NonZeroU64::new(quota.period.as_nanos()).expect("a checked quota has a period"),
        }
    }

    #[inline]
    fn index(&self, now: Instant) -> u64 {
        now.as_nanos() / self.period
    }

    /// The window at `now`, with what is still owed of earlier ones; never one before `window`, should `now` be late.
    #[inline]
    fn current(&self, window: Window, now: Instant) -> Window {
        let index = self.index(now).max(window.index);
        let paid = self.amount.get().saturating_mul(index - window.index);
        Window {
            index,
            used: window.used.saturating_sub(paid),
        }
    }

    /// The start of the first window in which `excess` of this window's units is paid.
    fn start_after(&self, window: Window, excess: Cost) -> Instant {
        let index = window.index.saturating_add(excess.div_ceil(self.amount.get()));
        Instant::EPOCH + Nanos::from_nanos(self.period.get()) * index
    }
}

impl Limiter for FixedWindow {
    type State = Window;

    #[inline]
    fn take(&self, window: &mut Window, now: Instant, cost: Cost) -> Decision {
        let amount = self.amount.get();
        if amount < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }

        let mut current = self.current(*window, now);
        let room = amount - cost;
        if room < current.used {
            let until = self.start_after(current, current.used - room);
            return Decision::Wait { until };
        }

        current.used += cost;
        *window = current;
        Decision::Allow { at: now }
    }

    #[inline]
    fn undo(&self, window: &mut Window, _now: Instant, taken: Taken) {
        if window.index == self.index(taken.at) {
            window.used = window.used.saturating_sub(taken.cost);
        }
    }

    /// Units come back only into the window they were taken from.
    #[inline]
    fn settle(&self, window: &mut Window, now: Instant, taken: Taken, used: Cost) {
        *window = self.current(*window, now);
        if taken.cost < used {
            window.used = window.used.saturating_add(used - taken.cost);
        } else if window.index == self.index(taken.at) {
            window.used = window.used.saturating_sub(taken.cost - used);
        }
    }

    #[inline]
    fn is_idle(&self, window: &Window, now: Instant) -> bool {
        self.current(*window, now).used == 0
    }

    fn standing(&self, window: &Window, now: Instant) -> Standing {
        let current = self.current(*window, now);
        let reset = if current.used == 0 {
            now
        } else {
            self.start_after(current, current.used)
        };
        Standing {
            limit: self.amount.get(),
            remaining: self.amount.get().saturating_sub(current.used),
            reset,
        }
    }
}
