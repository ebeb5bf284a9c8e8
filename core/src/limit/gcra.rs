//! The generic cell rate algorithm (GCRA).
//!
//! Allows `quota.amount` units per `quota.period`, and `quota.burst` of them at once. A key's whole state is one
//! number, its *theoretical arrival time* (TAT): when the key would be unused again if nothing more came. Taking a unit
//! moves the TAT forward by what a unit is worth; it may not run further than a full burst ahead of now.
//!
//! From ITU-T recommendation I.371, as the virtual scheduling algorithm with the TAT of an idle key brought up to now.
//! Time is counted in ticks, a power of two of them to a unit, so that neither fast nor slow quotas are rounded.

use core::num::NonZeroU64;

use super::ticks::TickClock;
use super::{Decision, Limiter, Standing, Taken};
use crate::memory::Packed;
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A rate limit by the generic cell rate algorithm.
///
/// It holds its rate for a hundred years up to 2.9e9 units a second, and for proportionally fewer years beyond; then
/// nothing more comes. A burst above 2^62 units is one of 2^62.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    clock: TickClock,
    // Not zero, so that one unit is not compared with it.
    burst: NonZeroU64,
    /// What a full burst is worth; how far the TAT may run ahead.
    tolerance: u64,
    max_delay: Nanos,
}

/// When a key would be unused again, in its limiter's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tat(u64);

impl Gcra {
    /// A limit of `quota`; a take that would have to wait for no longer than `max_delay` is allowed, and delayed.
    ///
    /// # Panics
    ///
    /// If the quota's period is zero, which no checked policy has.
    #[must_use]
    pub fn new(quota: Quota, max_delay: Nanos) -> Gcra {
        let clock = TickClock::new(quota);
        let burst = TickClock::clamp(quota.burst);
        Gcra {
            clock,
            burst,
            tolerance: clock.worth(burst.get()),
            max_delay,
        }
    }

    /// What is said when not enough units are there at `now`: they are taken with a delay until they are due, or refused.
    // By value and not inlined: the state then stays in a register on the way to an allowance.
    #[inline(never)]
    fn late(&self, tat: Tat, now: Instant, worth: u64) -> Decision {
        let due = self.clock.instant(tat.0 - (self.tolerance - worth));
        if due.is_far() {
            Decision::Wait { until: due }
        } else if due <= now + self.max_delay {
            Decision::Allow { at: due }
        } else {
            Decision::Wait {
                until: due - self.max_delay,
            }
        }
    }
}

impl Limiter for Gcra {
    type State = Tat;

    #[inline]
    fn take(&self, tat: &mut Tat, now: Instant, cost: Cost) -> Decision {
        if self.burst.get() < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }

        let ticks = self.clock.ticks(now);
        let worth = self.clock.worth(cost);
        // Not `TAT + worth <= ticks + tolerance`, since a TAT in debt may be as large as numbers get.
        if ticks + (self.tolerance - worth) < tat.0 {
            let decision = self.late(*tat, now, worth);
            if decision.is_allowed() {
                tat.0 = tat.0.saturating_add(worth);
            }
            return decision;
        }

        tat.0 = tat.0.max(ticks) + worth;
        Decision::Allow { at: now }
    }

    #[inline]
    fn undo(&self, tat: &mut Tat, _now: Instant, taken: Taken) {
        tat.0 = tat.0.saturating_sub(self.clock.worth(taken.cost));
    }

    #[inline]
    fn settle(&self, tat: &mut Tat, now: Instant, taken: Taken, used: Cost) {
        if taken.cost < used {
            // Charged from now: a long request must not pay with time that has already passed.
            let excess = self.clock.worth(used - taken.cost);
            tat.0 = tat.0.max(self.clock.ticks(now)).saturating_add(excess);
        } else {
            tat.0 = tat.0.saturating_sub(self.clock.worth(taken.cost - used));
        }
    }

    #[inline]
    fn is_idle(&self, tat: &Tat, now: Instant) -> bool {
        tat.0 <= self.clock.ticks(now)
    }

    fn standing(&self, tat: &Tat, now: Instant) -> Standing {
        let ticks = self.clock.ticks(now);
        let room = ticks.saturating_add(self.tolerance).saturating_sub(tat.0.max(ticks));
        let reset = if tat.0 <= ticks { now } else { self.clock.instant(tat.0) };
        Standing {
            limit: self.burst.get(),
            remaining: self.clock.units(room),
            reset,
        }
    }
}

impl Packed for Tat {
    #[inline]
    fn pack(self) -> u64 {
        self.0
    }

    #[inline]
    fn unpack(word: u64) -> Tat {
        Tat(word)
    }
}
