//! The sliding window counter: two aligned windows, the former weighed by how much of it still counts.
//!
//! With `prev` and `cur` units in the former and the present window, of which a share `f` has passed, it estimates that
//! `prev · (1 − f) + cur` units were taken in the last period, and allows one more if that is below `quota.amount`.
//! As Cloudflare published it (2017) and pingora has it; refused units do not count. `quota.burst` has no meaning here.
//!
//! Nothing is rounded: `cur` is a whole number, so the rule says the same of the estimate's whole part, and that is
//! what counts here; `n` units are allowed if they, one after the other, would be.
//!
//! **Where it is wrong:** it believes that the former window's units came evenly. With Poisson arrivals the estimate
//! has a standard deviation of `√(λ · period · f · (1 − f))`; who takes everything at the very end of a window and
//! again as it is freed gets up to `(1 + f) · amount`, so nearly twice, within one period. **When not to use it:** where
//! that is too much; [`Gcra`](super::Gcra) is exact and smaller. It is here to be compared with.
//!
//! Units used in excess of a window's amount are a debt, and count in full in the windows that follow until paid.

use core::num::NonZeroU64;

use super::{Decision, Limiter, Standing, Taken};
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A rate limit by two aligned windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    amount: NonZeroU64,
    period: NonZeroU64,
}

/// The units taken in one window and in the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TwoWindows {
    /// Which one, counted from the epoch.
    index: u64,
    /// Taken in it.
    cur: Cost,
    /// Taken, or still owed, in the one before.
    prev: Cost,
}

impl SlidingWindow {
    /// A limit of `quota.amount` in every `quota.period`, as estimated.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota) -> SlidingWindow {
        SlidingWindow {
            amount: quota.amount,
            period: NonZeroU64::new(quota.period.as_nanos()).expect("a checked quota has a period"),
        }
    }

    #[inline]
    fn index(&self, now: Instant) -> u64 {
        now.as_nanos() / self.period
    }

    /// The windows at `now`, and how far it is into the present one; not before `windows`, should `now` be late.
    #[inline]
    fn current(&self, windows: TwoWindows, now: Instant) -> (TwoWindows, u64) {
        let index = self.index(now);
        if index < windows.index {
            return (windows, 0);
        }
        let windows = self.later(windows, index - windows.index);
        (windows, now.as_nanos() % self.period)
    }

    /// The windows `n` windows later.
    #[inline]
    fn later(&self, windows: TwoWindows, n: u64) -> TwoWindows {
        if n == 0 {
            return windows;
        }
        let paid = self.amount.get().saturating_mul(n - 1);
        TwoWindows {
            index: windows.index.saturating_add(n),
            cur: 0,
            prev: self.whole(windows).saturating_sub(paid),
        }
    }

    /// What counts in full: the present window, and what the former one owes.
    #[inline]
    fn whole(&self, windows: TwoWindows) -> Cost {
        let owed = windows.prev.saturating_sub(self.amount.get());
        windows.cur.saturating_add(owed)
    }

    /// What of the former window counts in part.
    #[inline]
    fn former(&self, windows: TwoWindows) -> Cost {
        windows.prev.min(self.amount.get())
    }

    /// The estimate's whole part, `into` the present window.
    #[inline]
    fn used(&self, windows: TwoWindows, into: u64) -> Cost {
        let left = u128::from(self.period.get() - into);
        let part = u128::from(self.former(windows)) * left / u128::from(self.period.get());
        let part = u64::try_from(part).expect("no more than there were");
        self.whole(windows).saturating_add(part)
    }

    /// The first instant, of these windows or later ones, at which no more than `room` units are estimated.
    fn due(&self, windows: TwoWindows, room: Cost) -> Instant {
        let excess = self.whole(windows).saturating_sub(room);
        let windows = self.later(windows, excess.div_ceil(self.amount.get()));
        let (former, whole) = (self.former(windows), self.whole(windows));
        // The part may be `most`, so `former · (period − into)` must be below `(most + 1) · period`.
        let most = room.saturating_sub(whole);
        let into = match former.saturating_sub(most) {
            0 => 0,
            over => {
                let passed = u128::from(over - 1) * u128::from(self.period.get()) / u128::from(former);
                u64::try_from(passed).expect("less than a period") + 1
            }
        };
        Instant::EPOCH + Nanos::from_nanos(self.period.get()) * windows.index + Nanos::from_nanos(into)
    }

    /// Gives back units to the window they were taken in, if it still counts.
    fn give_back(&self, windows: &mut TwoWindows, taken: Instant, cost: Cost) {
        let index = self.index(taken);
        if windows.index <= index {
            windows.cur = windows.cur.saturating_sub(cost);
        } else if windows.index == index + 1 {
            windows.prev = windows.prev.saturating_sub(cost);
        }
    }
}

impl Limiter for SlidingWindow {
    type State = TwoWindows;

    #[inline]
    fn take(&self, windows: &mut TwoWindows, now: Instant, cost: Cost) -> Decision {
        let amount = self.amount.get();
        if amount < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }

        let (mut current, into) = self.current(*windows, now);
        let room = amount - cost;
        if room < self.used(current, into) {
            return Decision::Wait {
                until: self.due(current, room),
            };
        }

        current.cur += cost;
        *windows = current;
        Decision::Allow { at: now }
    }

    #[inline]
    fn undo(&self, windows: &mut TwoWindows, _now: Instant, taken: Taken) {
        self.give_back(windows, taken.at, taken.cost);
    }

    #[inline]
    fn settle(&self, windows: &mut TwoWindows, now: Instant, taken: Taken, used: Cost) {
        (*windows, _) = self.current(*windows, now);
        if taken.cost < used {
            windows.cur = windows.cur.saturating_add(used - taken.cost);
        } else {
            self.give_back(windows, taken.at, taken.cost - used);
        }
    }

    #[inline]
    fn is_idle(&self, windows: &TwoWindows, now: Instant) -> bool {
        let (current, into) = self.current(*windows, now);
        self.used(current, into) == 0
    }

    fn standing(&self, windows: &TwoWindows, now: Instant) -> Standing {
        let (current, into) = self.current(*windows, now);
        let (amount, used) = (self.amount.get(), self.used(current, into));
        Standing {
            limit: amount,
            remaining: amount.saturating_sub(used),
            reset: if used == 0 { now } else { self.due(current, 0) },
        }
    }
}
