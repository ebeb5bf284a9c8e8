//! How much was going on, integrated over time without error.

use tollgate_core::time::Instant;

/// The integral of a count over time, in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    level: u64,
    since: Instant,
    integral: u128,
}

impl Busy {
    /// From `now` on the count is `level`.
    #[inline]
    pub(super) fn set(&mut self, now: Instant, level: u64) {
        self.integral = self.at(now);
        self.since = self.since.max(now);
        self.level = level;
    }

    #[inline]
    pub(super) fn raise(&mut self, now: Instant) {
        self.set(now, self.level + 1);
    }

    #[inline]
    pub(super) fn lower(&mut self, now: Instant) {
        debug_assert!(0 < self.level, "what ends has begun");
        self.set(now, self.level - 1);
    }

    /// The integral up to `now`.
    #[inline]
    pub(super) fn at(&self, now: Instant) -> u128 {
        self.integral + u128::from(self.level) * u128::from(now.since(self.since).as_nanos())
    }
}
