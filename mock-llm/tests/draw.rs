//! Distributions against their closed forms.

use proptest::prelude::*;
use tollgate_core::dice::{Dice, Purpose, Rng};
use tollgate_core::math::{exp, ln, ln_gamma, pow, sqrt};
use tollgate_mock_llm::draw::{Distribution, OutOfRange, normal_quantile};

const N: u32 = 200_000;

/// What Kolmogorov's statistic of `N` values exceeds with probability 1e-6: `sqrt(ln(2 / p) / 2) / sqrt(N)`.
fn critical() -> f64 {
    sqrt(ln(2.0 / 1e-6) / 2.0) / sqrt(f64::from(N))
}

fn values(distribution: &Distribution) -> Vec<f64> {
    let dice = Dice::new(11);
    (0..N)
        .map(|request| distribution.sample(&mut dice.request(u64::from(request)).roll(Purpose::Service, 0)))
        .collect()
}

fn distance(distribution: &Distribution, cdf: impl Fn(f64) -> f64) -> f64 {
    let mut values = values(distribution);
    values.sort_by(f64::total_cmp);
    let n = f64::from(N);
    let gaps = values.iter().zip(0_u32..).map(|(value, rank)| {
        let expected = cdf(*value);
        (expected - f64::from(rank) / n)
            .abs()
            .max((f64::from(rank + 1) / n - expected).abs())
    });
    gaps.fold(0.0, f64::max)
}

fn normal_cdf(z: f64) -> f64 {
    libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0
}

/// The regularized incomplete gamma function, by its power series.
fn gamma_cdf(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let mut term = exp(shape * ln(x) - x - ln_gamma(shape + 1.0));
    let mut sum = term;
    let mut n = 1.0;
    while sum * 1e-16 < term || n < x {
        term *= x / (shape + n);
        sum += term;
        n += 1.0;
    }
    sum.min(1.0)
}

#[test]
fn follows_its_distribution() -> Result<(), OutOfRange> {
    let exponential = distance(&Distribution::exponential(3.0)?, |x| 1.0 - exp(-x / 3.0));
    assert!(exponential < critical(), "exponential: {exponential}");

    let weibull = distance(&Distribution::weibull_shape_scale(0.65, 3.86)?, |x| {
        1.0 - exp(-pow(x / 3.86, 0.65))
    });
    assert!(weibull < critical(), "weibull: {weibull}");

    let lognormal = distance(&Distribution::lognormal(-0.4385, 0.321)?, |x| {
        normal_cdf((ln(x) + 0.4385) / 0.321)
    });
    assert!(lognormal < critical(), "lognormal: {lognormal}");

    for cv in [0.3, 1.0, 2.0] {
        let shape = 1.0 / (cv * cv);
        let gamma = distance(&Distribution::gamma(5.0, cv)?, |x| gamma_cdf(shape, x * shape / 5.0));
        assert!(gamma < critical(), "gamma with cv {cv}: {gamma}");
    }
    Ok(())
}

#[test]
fn mean_is_the_mean() -> Result<(), OutOfRange> {
    let cases = [
        (Distribution::constant(2.5)?, 2.5, 0.0),
        (Distribution::exponential(0.1)?, 0.1, 1.0),
        (Distribution::gamma(7.0, 0.5)?, 7.0, 0.5),
        (Distribution::gamma(7.0, 2.0)?, 7.0, 2.0),
        (Distribution::weibull(3.0, 0.25)?, 3.0, 0.25),
        (Distribution::weibull(3.0, 1.6)?, 3.0, 1.6),
        (Distribution::lognormal_mean_cv(1.0, 1.5)?, 1.0, 1.5),
        (Distribution::empirical([1.0, 2.0, 6.0].into())?, 3.0, 0.72),
    ];
    for (distribution, mean, cv) in cases {
        assert!((distribution.mean() / mean - 1.0).abs() < 1e-12, "{distribution:?}");
        let values = values(&distribution);
        let drawn = values.iter().sum::<f64>() / f64::from(N);
        // Five standard errors.
        assert!(
            (drawn / mean - 1.0).abs() <= 5.0 * cv / sqrt(f64::from(N)) + 1e-9,
            "{distribution:?}: {drawn}"
        );
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(N);
        // The sample variance of heavy tails converges slowly.
        assert!(
            (sqrt(variance) / mean - cv).abs() <= 0.1 * cv + 1e-9,
            "{distribution:?}: {variance}"
        );
    }
    Ok(())
}

#[test]
fn percentiles_are_what_was_said() -> Result<(), OutOfRange> {
    let mut drawn = values(&Distribution::lognormal_median_p95(0.6, 1.257_792_9)?);
    drawn.sort_by(f64::total_cmp);
    // The theory cases `dev-ttft-0-*`, with their tolerance of 1 %.
    for (index, expected) in [(100_000, 0.6), (190_000, 1.257_792_9), (198_000, 1.709_209_4)] {
        let found: f64 = drawn[index];
        assert!((found / expected - 1.0).abs() < 0.01, "{index}: {found}");
    }
    Ok(())
}

#[test]
fn the_normal_quantile_inverts_the_distribution_function() {
    for exponent in 1..300 {
        let p = pow(10.0, -f64::from(exponent));
        let z = normal_quantile(p);
        assert!(
            (normal_cdf(z) / p - 1.0).abs() < 1e-11 * f64::from(exponent),
            "{p}: {z}"
        );
    }
    for step in 1..1000 {
        let p = f64::from(step) / 1000.0;
        assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-15, "{p}");
    }
}

#[test]
fn impossible_numbers_are_named() {
    let named = |made: Result<Distribution, OutOfRange>| made.expect_err("out of range").to_string();
    assert_eq!(named(Distribution::exponential(0.0)), "`mean` must be a number above 0");
    assert_eq!(
        named(Distribution::exponential(f64::NAN)),
        "`mean` must be a number above 0"
    );
    assert_eq!(
        named(Distribution::gamma(1.0, 0.0)),
        "`cv` must be between 0.001 and 100"
    );
    assert_eq!(
        named(Distribution::weibull(f64::INFINITY, 1.0)),
        "`mean` must be a number above 0"
    );
    assert_eq!(
        named(Distribution::lognormal_median_p95(2.0, 1.0)),
        "`p95` must be at least the median"
    );
    assert_eq!(
        named(Distribution::empirical([].into())),
        "`values` must be at least one number, with a finite sum"
    );
    assert_eq!(
        named(Distribution::constant(-1.0)),
        "`value` must be a number of at least 0"
    );
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    let gamma = (1e-6..1e6_f64, 0.001..100.0_f64).prop_map(|(mean, cv)| Distribution::gamma(mean, cv));
    prop_oneof![4 => any_inverted(), 1 => gamma.prop_map(|made| made.expect("in range"))]
}

/// A distribution drawn by inverse transform.
fn any_inverted() -> impl Strategy<Value = Distribution> {
    let mean = 1e-6..1e6_f64;
    let cv = 0.001..100.0_f64;
    prop_oneof![
        mean.clone().prop_map(Distribution::constant),
        mean.clone().prop_map(Distribution::exponential),
        (mean.clone(), cv.clone()).prop_map(|(mean, cv)| Distribution::weibull(mean, cv)),
        (mean.clone(), cv).prop_map(|(mean, cv)| Distribution::lognormal_mean_cv(mean, cv)),
        proptest::collection::vec(mean, 1..9).prop_map(|mut values| {
            values.sort_by(f64::total_cmp);
            Distribution::empirical(values.into())
        }),
    ]
    .prop_map(|made| made.expect("in range"))
}

proptest! {
    #[test]
    fn equal_dice_equal_values(distribution in any_distribution(), seed: u64) {
        let (mut one, mut other) = (Rng::new(seed), Rng::new(seed));
        prop_assert!(distribution.sample(&mut one).to_bits() == distribution.sample(&mut other).to_bits());
    }

    #[test]
    fn values_are_lengths(distribution in any_distribution(), seed: u64) {
        let value = distribution.sample(&mut Rng::new(seed));
        prop_assert!(0.0 <= value && value.is_finite(), "{value}");
    }

    #[test]
    fn larger_rolls_are_larger_values(distribution in any_inverted(), one: u64, other: u64) {
        let in_order = Rng::new(one).uniform() < Rng::new(other).uniform();
        let (smaller, larger) = if in_order { (one, other) } else { (other, one) };
        prop_assert!(distribution.sample(&mut Rng::new(smaller)) <= distribution.sample(&mut Rng::new(larger)));
    }

    #[test]
    fn a_weibull_has_the_spread_it_was_made_for(cv in 0.002..50.0_f64) {
        let distribution = Distribution::weibull(1.0, cv).expect("in range");
        // Two quantiles give the power: x(u) = scale * (-ln(1 - u))^power.
        let (low, high) = (1, 2);
        let depth = |seed| -ln(1.0 - Rng::new(seed).uniform());
        let value = |seed| distribution.sample(&mut Rng::new(seed));
        let power = ln(value(high) / value(low)) / ln(depth(high) / depth(low));
        let spread = sqrt(exp(ln_gamma(1.0 + 2.0 * power) - 2.0 * ln_gamma(1.0 + power)) - 1.0);
        prop_assert!((spread / cv - 1.0).abs() < 1e-6, "{spread}");
    }
}
