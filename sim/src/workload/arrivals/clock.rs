//! A clock that adds millions of gaps without drifting.

use tollgate_core::time::Instant;

/// Whole nanoseconds and the fraction that rounding would have lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    nanos: u64,
    rest: f64,
}

/// Gaps from here on (292 years) end the process.
const END: f64 = 9.2e18;

impl Clock {
    /// Moves by `secs`, which is not negative; none once the end of time is reached.
    #[inline]
    pub(crate) fn advance(&mut self, secs: f64) -> Option<Instant> {
        let sum = secs * 1e9 + self.rest;
        if END <= sum || sum.is_nan() {
            return None;
        }
        let whole = whole(sum);
        self.rest = sum - fraction_base(whole);
        self.nanos = self.nanos.checked_add(whole)?;
        Some(Instant::from_nanos(self.nanos))
    }

    /// Moves to exactly `nanos`, which is not earlier.
    pub(crate) fn set(&mut self, nanos: u64) {
        debug_assert!(self.nanos <= nanos);
        self.nanos = nanos;
        self.rest = 0.0;
    }

    /// Seconds from `origin` nanoseconds to now.
    #[expect(
        clippy::cast_precision_loss,
        reason = "differences within one step of a schedule, far below 2^53"
    )]
    pub(crate) fn secs_since(&self, origin: u64) -> f64 {
        ((self.nanos - origin) as f64 + self.rest) * 1e-9
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative and below 2^63, checked by the caller"
)]
fn whole(sum: f64) -> u64 {
    // A signed number takes one instruction where an unsigned one takes a dozen.
    sum as i64 as u64
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "it came from an f64 below 2^63 by truncation, so it goes back exactly"
)]
fn fraction_base(whole: u64) -> f64 {
    whole as i64 as f64
}
