//! A self-exciting process, drawn exactly without thinning.
//!
//! Dassios and Zhao, *Exact simulation of Hawkes process with exponentially decaying intensity*, Electronic
//! Communications in Probability 18 (2013): the next arrival is the earlier of one from the background and one from
//! what is left of the excitement, and both have closed inverses.

use tollgate_core::dice::Rng;
use tollgate_core::math::{exp, ln};
use tollgate_core::time::Instant;

use super::clock::Clock;
use super::renewal::exponential;

#[derive(Clone, Debug)]
pub(crate) struct Hawkes {
    background: f64,
    decay: f64,
    jump: f64,
    excitement: f64,
    clock: Clock,
}

impl Hawkes {
    pub(crate) fn new(rate: f64, branching: f64, decay: f64) -> Hawkes {
        Hawkes {
            background: rate * (1.0 - branching),
            decay,
            jump: branching * decay,
            excitement: rate * branching,
            clock: Clock::default(),
        }
    }

    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<Instant> {
        let from_background = exponential(rng) / self.background;
        // The excitement may die out before it causes anything: its integral to infinity is finite.
        let left = 1.0 - exponential(rng) * self.decay / self.excitement;
        let from_excitement = if 0.0 < left {
            -ln(left) / self.decay
        } else {
            f64::INFINITY
        };
        let gap = from_background.min(from_excitement);
        self.excitement = self.excitement * exp(-self.decay * gap) + self.jump;
        self.clock.advance(gap)
    }
}
