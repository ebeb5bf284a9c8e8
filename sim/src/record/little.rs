//! Little's law, asserted on every run: the integral of the number in the system is the sum of the stays.
//!
//! Both sides are integers of request-nanoseconds, added up in different places: one as requests come and go, the
//! other from their outcomes. A request that was lost, counted twice or given a wrong instant breaks the identity.

use tollgate_core::time::{Instant, Nanos};

/// Both sides of the law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Little {
    /// The number in the system, integrated over time.
    pub integral: u128,
    /// The sum of the stays.
    pub stays: u128,
    in_system: u32,
    last: Instant,
}

impl Little {
    /// How many are in the system.
    #[must_use]
    pub fn in_system(&self) -> u32 {
        self.in_system
    }

    #[inline]
    pub(super) fn arrive(&mut self, now: Instant) {
        self.advance(now);
        self.in_system += 1;
    }

    #[inline]
    pub(super) fn leave(&mut self, now: Instant, stay: Nanos) {
        self.advance(now);
        self.in_system -= 1;
        self.stays += u128::from(stay.as_nanos());
    }

    #[inline]
    fn advance(&mut self, now: Instant) {
        self.integral += u128::from(self.in_system) * u128::from(now.since(self.last).as_nanos());
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stays: [u64; 2]) -> Little {
        let mut little = Little::default();
        little.arrive(Instant::from_secs(1));
        little.arrive(Instant::from_secs(2));
        little.leave(Instant::from_secs(5), Nanos::from_secs(stays[0]));
        little.leave(Instant::from_secs(9), Nanos::from_secs(stays[1]));
        little
    }

    #[test]
    fn stays_add_up_to_the_integral() {
        let little = run([4, 7]);
        assert_eq!((little.integral, little.stays), (11_000_000_000, 11_000_000_000));
        assert_eq!(little.in_system(), 0);
    }

    #[test]
    fn a_wrong_stay_is_found() {
        let little = run([4, 8]);
        assert_ne!(little.integral, little.stays);
    }
}
