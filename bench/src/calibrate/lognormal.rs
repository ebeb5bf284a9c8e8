//! Lognormal distributions by maximum likelihood: of samples some of which were cut off, and of two mixed.
//!
//! | Law | Test |
//! |---|---|
//! | What was drawn is found again. | `what_was_drawn_is_found_again` |
//! | Samples that were cut off bias nothing. | `cut_samples_bias_nothing` |
//! | A slow tail is found where there is one, and only there. | `a_slow_tail_is_found_where_there_is_one` |
//! | A dependence on the prompt is found where there is one, and only there. | `prompts_are_found_to_matter` |

use libm::erfc;

use crate::twin::{Sorted, count};

/// The exponential of a normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lognormal {
    /// Mean of the logarithm.
    pub mu: f64,
    /// Its standard deviation.
    pub sigma: f64,
}

/// A lognormal distribution, of which a share is slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// What most are.
    pub usual: Lognormal,
    /// The share that is multiplied by a factor, and the factor's distribution; none if that explains nothing.
    pub slow: Option<(f64, Lognormal)>,
}

impl Lognormal {
    /// The median.
    #[must_use]
    pub fn median(self) -> f64 {
        self.mu.exp()
    }

    /// The share of values that do not exceed `value`.
    #[must_use]
    pub fn below(self, value: f64) -> f64 {
        if value <= 0.0 {
            return 0.0;
        }
        normal((value.ln() - self.mu) / self.sigma.max(LEAST_SIGMA))
    }
}

impl Law {
    /// The share of values that do not exceed `value`.
    #[must_use]
    pub fn below(&self, value: f64) -> f64 {
        match self.slow {
            None => self.usual.below(value),
            Some((share, factor)) => {
                let slow = Lognormal {
                    mu: self.usual.mu + factor.mu,
                    sigma: self.usual.sigma.hypot(factor.sigma),
                };
                (1.0 - share) * self.usual.below(value) + share * slow.below(value)
            }
        }
    }

    /// The value that a share `at` does not exceed.
    #[must_use]
    pub fn quantile(&self, at: f64) -> f64 {
        let (mut low, mut high) = (self.usual.mu - 40.0, self.usual.mu + 40.0);
        while 1e-9 < high - low {
            let middle = low.midpoint(high);
            if self.below(middle.exp()) < at {
                low = middle;
            } else {
                high = middle;
            }
        }
        low.midpoint(high).exp()
    }
}

/// The distribution that makes `values` most likely, beside `cut` of which is only known that they were longer; none
/// without two values.
///
/// Expectation and maximization: what was cut off counts as its expected logarithm, given that it is longer.
#[must_use]
pub fn fit(values: &[f64], cut: &[f64]) -> Option<Lognormal> {
    const ROUNDS: u32 = 200;

    let logs: Vec<f64> = values
        .iter()
        .filter(|value| 0.0 < **value)
        .map(|value| value.ln())
        .collect();
    let cuts: Vec<f64> = cut
        .iter()
        .filter(|value| 0.0 < **value)
        .map(|value| value.ln())
        .collect();
    if logs.len() < 2 {
        return None;
    }
    let (sum, squares) = sums(&logs);
    let mut law = of_sums(sum, squares, count(logs.len()));
    if cuts.is_empty() {
        return Some(law);
    }
    let all = count(logs.len() + cuts.len());
    for _ in 0..ROUNDS {
        let sigma = law.sigma.max(LEAST_SIGMA);
        let (mut first, mut second) = (sum, squares);
        for cut in &cuts {
            let z = (cut - law.mu) / sigma;
            let hazard = hazard(z);
            let mean = law.mu + sigma * hazard;
            first += mean;
            second += law.mu * law.mu + sigma * sigma + sigma * hazard * (cut + law.mu);
        }
        let next = of_sums(first, second, all);
        let is_close = (next.mu - law.mu).abs() + (next.sigma - law.sigma).abs() < 1e-9;
        law = next;
        if is_close {
            break;
        }
    }
    Some(law)
}

/// The same of `values` of which a share may be slower, where that makes them more likely than three more numbers would
/// by chance (the Bayesian criterion of Schwarz).
#[must_use]
pub fn fit_mixed(values: &[f64]) -> Option<Law> {
    const ROUNDS: u32 = 400;
    /// Fewer than this cannot be told from chance, and no service is slower more often than that.
    const SHARES: std::ops::RangeInclusive<f64> = 0.001..=0.2;
    /// Less would not be called slow.
    const LEAST_FACTOR: f64 = 1.5;

    let alone = fit(values, &[])?;
    let logs: Vec<f64> = values
        .iter()
        .filter(|value| 0.0 < **value)
        .map(|value| value.ln())
        .collect();
    let plain = Law {
        usual: alone,
        slow: None,
    };
    if logs.len() < 200 || alone.sigma < LEAST_SIGMA {
        return Some(plain);
    }
    let n = count(logs.len());
    let (mut share, mut usual, mut slow) = (
        0.02,
        alone,
        Lognormal {
            mu: alone.mu + 2.5 * alone.sigma,
            sigma: alone.sigma,
        },
    );
    for _ in 0..ROUNDS {
        let (mut weight, mut sums) = (0.0, [0.0; 4]);
        for log in &logs {
            let of_slow = share * density(slow, *log);
            let is_slow = of_slow / (of_slow + (1.0 - share) * density(usual, *log)).max(f64::MIN_POSITIVE);
            weight += is_slow;
            sums[0] += is_slow * log;
            sums[1] += is_slow * log * log;
            sums[2] += (1.0 - is_slow) * log;
            sums[3] += (1.0 - is_slow) * log * log;
        }
        if weight < 1.0 || n - weight < 1.0 {
            return Some(plain);
        }
        let next = weight / n;
        let is_close = (next - share).abs() < 1e-9;
        share = next;
        slow = of_sums(sums[0], sums[1], weight);
        usual = of_sums(sums[2], sums[3], n - weight);
        if is_close {
            break;
        }
    }
    let gain: f64 = logs
        .iter()
        .map(|log| {
            let mixed = share * density(slow, *log) + (1.0 - share) * density(usual, *log);
            mixed.max(f64::MIN_POSITIVE).ln() - density(alone, *log).max(f64::MIN_POSITIVE).ln()
        })
        .sum();
    let factor = Lognormal {
        mu: slow.mu - usual.mu,
        sigma: (slow.sigma * slow.sigma - usual.sigma * usual.sigma).max(0.0).sqrt(),
    };
    let is_real = 1.5 * n.ln() < gain && SHARES.contains(&share) && LEAST_FACTOR < factor.median();
    Some(if is_real {
        Law {
            usual,
            slow: Some((share, factor)),
        }
    } else {
        plain
    })
}

/// How much of each value a token of its prompt takes: what makes the logarithm of the rest independent of the prompt. Zero
/// where that cannot be told from zero.
#[must_use]
pub fn per_token(values: &[f64], prompts: &[f64]) -> f64 {
    let pairs = || values.iter().zip(prompts).filter(|(value, _)| 0.0 < **value);
    let n = count(pairs().count());
    if n < 100.0 {
        return 0.0;
    }
    let mean = pairs().map(|(_, prompt)| prompt).sum::<f64>() / n;
    let dependence = |each: f64| {
        pairs()
            .map(|(value, prompt)| (prompt - mean) * (value - each * prompt).max(f64::MIN_POSITIVE).ln())
            .sum::<f64>()
            / n
    };
    // What chance makes of independence: the product of both spreads over the root of their number.
    let spread = (pairs().map(|(_, prompt)| (prompt - mean).powi(2)).sum::<f64>() / n).sqrt();
    let (sum, squares) = sums(&pairs().map(|(value, _)| value.ln()).collect::<Vec<_>>());
    let chance = 3.0 * spread * of_sums(sum, squares, n).sigma / n.sqrt();
    let bound = pairs()
        .filter(|(_, prompt)| 0.0 < **prompt)
        .map(|(value, prompt)| value / prompt)
        .fold(f64::INFINITY, f64::min);
    if dependence(0.0) <= chance || !bound.is_finite() {
        return 0.0;
    }
    let (mut low, mut high) = (0.0_f64, bound * 0.999_999);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        if 0.0 < dependence(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// How far a sample is from a law: the error at each quantile, and the largest difference of the distribution functions.
#[must_use]
pub fn misfit(law: &Law, sample: &Sorted, quantiles: &[f64]) -> (Vec<f64>, f64) {
    let errors = quantiles
        .iter()
        .filter_map(|at| Some(law.quantile(*at) / sample.quantile(*at)? - 1.0));
    (
        errors.collect(),
        sample.distance_from(|value| law.below(value)).unwrap_or(0.0),
    )
}

/// Less than any spread that can be told from none.
const LEAST_SIGMA: f64 = 1e-6;

fn sums(logs: &[f64]) -> (f64, f64) {
    logs.iter()
        .fold((0.0, 0.0), |(sum, squares), log| (sum + log, squares + log * log))
}

fn of_sums(sum: f64, squares: f64, n: f64) -> Lognormal {
    let mu = sum / n;
    Lognormal {
        mu,
        sigma: (squares / n - mu * mu).max(0.0).sqrt(),
    }
}

fn density(of: Lognormal, log: f64) -> f64 {
    let sigma = of.sigma.max(LEAST_SIGMA);
    let z = (log - of.mu) / sigma;
    (-0.5 * z * z).exp() / sigma
}

/// The distribution function of the standard normal.
fn normal(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The density of the standard normal at `z` over the share above it.
fn hazard(z: f64) -> f64 {
    let above = normal(-z);
    if above < 1e-300 {
        // Far out it is as large as `z` itself.
        return z;
    }
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() / above
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;
    use tollgate_mock_llm::draw::Distribution;

    use super::*;

    fn drawn(median: f64, sigma: f64, n: usize, seed: u64) -> Vec<f64> {
        let law = Distribution::lognormal_median_sigma(median, sigma).expect("in range");
        let mut rng = Rng::new(seed);
        (0..n).map(|_| law.sample(&mut rng)).collect()
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    #[test]
    fn what_was_drawn_is_found_again() {
        for (seed, (median, sigma)) in (1..).zip([(0.6, 0.3), (0.009, 0.12), (3.0, 1.1)]) {
            let n = 20_000;
            let law = fit(&drawn(median, sigma, n, seed), &[]).expect("there are values");
            // Four standard errors.
            let error = 4.0 * sigma / count(n).sqrt();
            close(law.median().ln(), f64::ln(median), error);
            close(law.sigma, sigma, error);
        }
        assert_eq!(fit(&[1.0], &[]), None);
        assert_eq!(fit(&[], &[2.0]), None);
        close(fit(&[2.0, 2.0], &[]).expect("two").sigma, 0.0, 1e-12);
    }

    #[test]
    fn cut_samples_bias_nothing() {
        let all = drawn(0.6, 0.4, 20_000, 5);
        let (values, cut): (Vec<f64>, Vec<f64>) = all.iter().partition(|value| **value <= 0.8);
        let cut = vec![0.8; cut.len()];
        let (with, without) = (fit(&values, &cut).expect("values"), fit(&values, &[]).expect("values"));
        close(with.mu, f64::ln(0.6), 0.015);
        close(with.sigma, 0.4, 0.015);
        assert!(without.sigma < 0.35, "and so they would: {}", without.sigma);
    }

    #[test]
    fn a_slow_tail_is_found_where_there_is_one() {
        let mut values = drawn(0.6, 0.3, 20_000, 6);
        let plain = fit_mixed(&values).expect("values");
        assert_eq!(plain.slow, None);
        for (value, factor) in values.iter_mut().zip(drawn(6.0, 0.6, 400, 7)) {
            *value *= factor;
        }
        let law = fit_mixed(&values).expect("values");
        let (share, factor) = law.slow.expect("two in a hundred are slow");
        close(law.usual.median(), 0.6, 0.01);
        close(law.usual.sigma, 0.3, 0.01);
        close(share, 0.02, 0.003);
        close(factor.median().ln(), f64::ln(6.0), 0.15);
        let sample = Sorted::new(values);
        let (errors, distance) = misfit(&law, &sample, &[0.1, 0.5, 0.9, 0.99]);
        assert!(
            errors.iter().all(|error| error.abs() < 0.06) && distance < 0.01,
            "{errors:?} {distance}"
        );
    }

    #[test]
    fn prompts_are_found_to_matter() {
        let prompts = drawn(600.0, 1.1, 20_000, 8);
        let plain = drawn(0.6, 0.3, 20_000, 9);
        assert!(per_token(&plain, &prompts) < 3e-6);
        let values: Vec<f64> = plain
            .iter()
            .zip(&prompts)
            .map(|(value, prompt)| value + 8e-5 * prompt)
            .collect();
        close(per_token(&values, &prompts), 8e-5, 4e-6);
        assert!(per_token(&[1.0], &[2.0]).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn quantiles_undo_the_distribution_function() {
        let law = Law {
            usual: Lognormal { mu: -0.5, sigma: 0.3 },
            slow: Some((0.05, Lognormal { mu: 1.5, sigma: 0.5 })),
        };
        for at in [0.001, 0.1, 0.5, 0.95, 0.999] {
            close(law.below(law.quantile(at)), at, 1e-7);
        }
        // Tabulated: 97.5 % of a normal lie below 1.959964.
        close(normal(1.959_964), 0.975, 1e-6);
    }
}
