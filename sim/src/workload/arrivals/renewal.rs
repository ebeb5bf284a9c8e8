//! Renewal processes: gaps that know nothing of each other.

use tollgate_core::dice::Rng;
use tollgate_core::time::Instant;
use tollgate_mock_llm::draw::{self, Distribution};

use super::clock::Clock;

/// An exponential draw with mean 1; a larger roll is a smaller one.
#[inline]
pub(crate) fn exponential(rng: &mut Rng) -> f64 {
    draw::exponential(!rng.next_u64())
}

/// Exponential gaps.
#[derive(Clone, Debug)]
pub(crate) struct Poisson {
    mean_gap: f64,
    clock: Clock,
}

impl Poisson {
    pub(crate) fn new(rate: f64) -> Poisson {
        Poisson {
            mean_gap: 1.0 / rate,
            clock: Clock::default(),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<Instant> {
        self.clock.advance(exponential(rng) * self.mean_gap)
    }
}

/// Gaps of any distribution.
#[derive(Clone, Debug)]
pub(crate) struct Renewal {
    gaps: Distribution,
    clock: Clock,
}

impl Renewal {
    pub(crate) fn new(gaps: Distribution) -> Renewal {
        Renewal {
            gaps,
            clock: Clock::default(),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<Instant> {
        self.clock.advance(self.gaps.sample(rng))
    }
}
