//! The common load factor of a provider.
//!
//! | Law | Test |
//! |---|---|
//! | The factor at an instant does not depend on who looked before. | `load_is_a_function_of_time` |
//! | `ln F` has the stated spread and relaxation. | `load_has_its_spread_and_memory` |

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::math::{exp, sqrt};
use tollgate_core::time::{Instant, Nanos};

use super::spec::LoadFactor;
use crate::draw::normal;

/// A stationary first-order autoregression of `ln F`, constant within each cell of a fixed grid of time.
#[derive(Clone, Debug)]
pub(super) struct LoadProcess {
    dice: Dice,
    sigma: f64,
    /// What a cell keeps of the one before, and how much is new.
    keep: f64,
    fresh: f64,
    step: u64,
    cell: u64,
    ends: Instant,
    level: f64,
    factors: Factors,
}

/// What latencies are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factors {
    pub(super) ttft: f64,
    pub(super) tpot: f64,
}

impl Factors {
    pub(super) const NONE: Factors = Factors { ttft: 1.0, tpot: 1.0 };
}

const CELLS_PER_RELAXATION: u32 = 32;

impl LoadProcess {
    pub(super) fn new(spec: LoadFactor, dice: Dice) -> LoadProcess {
        let keep = exp(-1.0 / f64::from(CELLS_PER_RELAXATION));
        let step = (spec.relaxation.as_nanos() / u64::from(CELLS_PER_RELAXATION)).max(1);
        let mut process = LoadProcess {
            dice,
            sigma: spec.sigma,
            keep,
            fresh: sqrt(1.0 - keep * keep),
            step,
            cell: 0,
            ends: Instant::EPOCH + Nanos::from_nanos(step),
            level: 0.0,
            factors: Factors::NONE,
        };
        process.level = process.shock(0);
        process.factors = process.factors_of_level();
        process
    }

    /// The factors at `now`, which must not go back.
    #[inline]
    pub(super) fn at(&mut self, now: Instant) -> Factors {
        if self.ends <= now {
            self.walk(now.as_nanos() / self.step);
        }
        self.factors
    }

    #[cold]
    fn walk(&mut self, cell: u64) {
        for next in self.cell + 1..=cell {
            self.level = self.keep * self.level + self.fresh * self.shock(next);
        }
        self.cell = cell;
        self.ends = Instant::from_nanos((cell + 1).saturating_mul(self.step));
        self.factors = self.factors_of_level();
    }

    fn shock(&self, cell: u64) -> f64 {
        let mut rng = self.dice.request(cell).roll(Purpose::LoadFactor, 0);
        self.sigma * normal(rng.next_u64())
    }

    fn factors_of_level(&self) -> Factors {
        Factors {
            ttft: exp(self.level),
            tpot: exp(self.level / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: LoadFactor = LoadFactor {
        sigma: 0.15,
        relaxation: Nanos::from_secs(300),
    };

    #[test]
    fn load_is_a_function_of_time() {
        let mut often = LoadProcess::new(SPEC, Dice::new(3));
        let mut once = often.clone();
        for second in 0..100_000 {
            often.at(Instant::from_secs(second));
        }
        let end = Instant::from_secs(100_000);
        assert_eq!(often.at(end), once.at(end));
        assert_ne!(once.at(end), LoadProcess::new(SPEC, Dice::new(4)).at(end));
    }

    #[test]
    fn load_has_its_spread_and_memory() {
        let mut process = LoadProcess::new(SPEC, Dice::new(5));
        let relaxation = usize::try_from(CELLS_PER_RELAXATION).expect("small");
        let mut levels = Vec::new();
        let mut now = Instant::EPOCH;
        for _ in 0..400_000 {
            process.at(now);
            levels.push(process.level);
            now += Nanos::from_nanos(process.step);
        }
        let n = 400_000.0;
        let variance = levels.iter().map(|x| x * x).sum::<f64>() / n;
        let product = levels
            .iter()
            .zip(&levels[relaxation..])
            .map(|(x, y)| x * y)
            .sum::<f64>()
            / n;
        // 400,000 cells hold about 12,500 independent ones: a standard error of 1.1 % of the variance; four of them.
        assert!((variance / (0.15 * 0.15) - 1.0).abs() < 0.05, "{variance}");
        assert!((product / variance - exp(-1.0)).abs() < 0.05, "{}", product / variance);
    }
}
