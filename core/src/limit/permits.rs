//! Permits: so many units in flight at a time.
//!
//! Nothing comes back by itself: a permit that was taken must be settled with what is still in flight, which is zero
//! when the request has ended. When one will be free is therefore unknown, and a refusal says [`Instant::FAR`].

use core::num::NonZeroU32;

use super::{Decision, Limiter, Standing, Taken};
use crate::memory::Packed;
use crate::time::Instant;
use crate::usage::Cost;

/// A limit on what is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    limit: NonZeroU32,
}

/// Permits taken and not yet given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight(Cost);

impl Permits {
    /// At most `limit` in flight.
    #[must_use]
    pub const fn new(limit: NonZeroU32) -> Permits {
        Permits { limit }
    }

    #[inline]
    const fn limit(self) -> Cost {
        self.limit.get() as Cost
    }
}

impl Limiter for Permits {
    type State = InFlight;

    #[inline]
    fn take(&self, in_flight: &mut InFlight, now: Instant, cost: Cost) -> Decision {
        if self.limit() < cost {
            return Decision::Never;
        }
        if cost != 0 {
            if self.limit() - cost < in_flight.0 {
                return Decision::Wait { until: Instant::FAR };
            }
            in_flight.0 += cost;
        }
        Decision::Allow { at: now }
    }

    #[inline]
    fn undo(&self, in_flight: &mut InFlight, now: Instant, taken: Taken) {
        self.settle(in_flight, now, taken, 0);
    }

    /// `used` is what stays in flight: zero gives the permits back.
    #[inline]
    fn settle(&self, in_flight: &mut InFlight, _now: Instant, taken: Taken, used: Cost) {
        debug_assert!(taken.cost <= in_flight.0, "a permit comes back once");
        in_flight.0 = in_flight.0.saturating_sub(taken.cost).saturating_add(used);
    }

    #[inline]
    fn is_idle(&self, in_flight: &InFlight, _now: Instant) -> bool {
        in_flight.0 == 0
    }

    fn standing(&self, in_flight: &InFlight, now: Instant) -> Standing {
        Standing {
            limit: self.limit(),
            remaining: self.limit().saturating_sub(in_flight.0),
            reset: if in_flight.0 == 0 { now } else { Instant::FAR },
        }
    }
}

impl Packed for InFlight {
    #[inline]
    fn pack(self) -> u64 {
        self.0
    }

    #[inline]
    fn unpack(word: u64) -> InFlight {
        InFlight(word)
    }
}
