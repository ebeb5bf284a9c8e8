//! The generic cell rate algorithm (GCRA).
//!
//! Allows `quota.amount` units per `quota.period`, and `quota.burst` of them at once. A key's whole state is one
//! number, its *theoretical arrival time* (TAT): when the key would be unused again if nothing more came. Taking a unit
//! moves the TAT forward by what a unit is worth; it may not run further than a full burst ahead of now.
//!
//! From ITU-T recommendation I.371, as the virtual scheduling algorithm with the TAT of an idle key brought up to now.
//! Time is counted in ticks, a power of two of them to a unit, so that neither fast nor slow quotas are rounded.

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
    burst: Cost,
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
        let burst = TickClock::clamp(quota.burst.get());
        Gcra {
            clock,
            burst,
            tolerance: clock.worth(burst),
            max_delay,
        }
    }

    /// Not enough units at `now`: delayed or refused. `due` is when, in ticks, there are.
    fn late(&self, tat: &mut Tat, now: Instant, next: u64) -> Decision {
        let due = self.clock.instant(next - self.tolerance);
        if due <= now + self.max_delay && !due.is_far() {
            tat.0 = next;
            return Decision::Allow { at: due };
        }
        let until = if due.is_far() { due } else { due - self.max_delay };
        Decision::Wait { until }
    }
}

impl Limiter for Gcra {
    type State = Tat;

    #[inline]
    fn take(&self, tat: &mut Tat, now: Instant, cost: Cost) -> Decision {
        if self.burst < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }

        let ticks = self.clock.ticks(now);
        let next = tat.0.max(ticks).saturating_add(self.clock.worth(cost));
        if ticks.saturating_add(self.tolerance) < next {
            return self.late(tat, now, next);
        }

        tat.0 = next;
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
            limit: self.burst,
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
