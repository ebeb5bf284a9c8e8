//! A day: a sine around the mean.

use std::f64::consts::PI;

use tollgate_core::dice::Rng;
use tollgate_core::math::sin;
use tollgate_core::time::{Instant, Nanos};

use super::clock::Clock;
use super::renewal::exponential;

#[derive(Clone, Debug)]
pub(crate) struct Diurnal {
    mean: f64,
    swing: f64,
    period: f64,
    /// Seconds since the period began.
    phase: f64,
    clock: Clock,
}

/// Bisection alone needs 64 to exhaust the bits of a double.
const MAX_ROUNDS: u32 = 80;

impl Diurnal {
    pub(crate) fn new(mean: f64, peak_over_mean: f64, period: Nanos) -> Diurnal {
        let period = period.as_secs_f64();
        Diurnal {
            mean,
            swing: peak_over_mean - 1.0,
            period,
            phase: 0.0,
            clock: Clock::default(),
        }
    }

    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<Instant> {
        let calls = exponential(rng);
        let per_period = self.mean * self.period;
        let periods = (calls / per_period).floor();
        let rest = self.invert(calls - periods * per_period);
        self.phase += rest;
        if self.period <= self.phase {
            self.phase -= self.period;
        }
        self.clock.advance(periods * self.period + rest)
    }

    /// Calls expected in the next `gap` seconds; a product of sines, so that short gaps lose no digits.
    fn expected(&self, gap: f64) -> f64 {
        let middle = PI * (2.0 * self.phase + gap) / self.period;
        self.mean * (gap + self.swing * self.period / PI * sin(middle) * sin(PI * gap / self.period))
    }

    fn rate(&self, gap: f64) -> f64 {
        self.mean * (1.0 + self.swing * sin(2.0 * PI * (self.phase + gap) / self.period))
    }

    /// The gap in which `calls` are expected: Newton's method, or bisection where it would leave the bracket.
    fn invert(&self, calls: f64) -> f64 {
        let mut low = calls / (self.mean * (1.0 + self.swing));
        let mut high = self.period;
        let mut gap = (calls / self.rate(0.0)).clamp(low, high);
        for _ in 0..MAX_ROUNDS {
            let miss = self.expected(gap) - calls;
            if miss < 0.0 {
                low = gap;
            } else {
                high = gap;
            }
            let step = gap - miss / self.rate(gap);
            let next = if low < step && step < high {
                step
            } else {
                low + (high - low) / 2.0
            };
            // Newton's method squares the error: what it still moves is far above what is left.
            if (next - gap).abs() <= 1e-7 * gap {
                return next;
            }
            gap = next;
        }
        gap
    }
}
