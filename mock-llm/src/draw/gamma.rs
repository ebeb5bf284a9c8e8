//! The gamma distribution.

use tollgate_core::dice::Rng;
use tollgate_core::math::{ln, sqrt};

use super::exponential::exp;
use super::normal;

/// Drawn by rejection (Marsaglia and Tsang, *A Simple Method for Generating Gamma Variables*, ACM TOMS 26, 2000):
/// about 1.05 tries of two rolls. The result depends on the generator's key alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gamma {
    /// What a unit value is worth.
    scale: f64,
    /// The paper's `d` and `c`, of a shape of at least 1.
    d: f64,
    c: f64,
    /// Below shape 1, the power of the roll that pulls a value of shape + 1 down.
    pull: Option<f64>,
}

impl Gamma {
    pub(super) fn new(mean: f64, cv: f64) -> Gamma {
        let shape = 1.0 / (cv * cv);
        let (drawn, pull) = if shape < 1.0 {
            (shape + 1.0, Some(1.0 / shape))
        } else {
            (shape, None)
        };
        let d = drawn - 1.0 / 3.0;
        Gamma {
            scale: mean / shape,
            d,
            c: 1.0 / (3.0 * sqrt(d)),
            pull,
        }
    }

    pub(super) fn sample(&self, rng: &mut Rng) -> f64 {
        let value = self.scale * self.d * self.accepted(rng);
        match self.pull {
            None => value,
            Some(power) => value * exp(power * ln(rng.uniform())),
        }
    }

    fn accepted(&self, rng: &mut Rng) -> f64 {
        loop {
            let x = normal(rng.next_u64());
            let root = 1.0 + self.c * x;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            if ln(rng.uniform()) < 0.5 * x * x + self.d * (1.0 - v + ln(v)) {
                return v;
            }
        }
    }
}
