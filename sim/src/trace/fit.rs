//! Shapes of gaps by maximum likelihood, and correlation of ranks.

use tollgate_core::math::{ln, pow, sqrt};

use crate::workload::arrivals::count;

/// The shape of a gamma distribution that makes `gaps`, all positive, most likely; none if they do not vary.
///
/// Minka, *Estimating a Gamma distribution* (2002): Newton's method in `1 / shape`.
pub(crate) fn gamma_shape(gaps: &[f64]) -> Option<f64> {
    let mean = mean(gaps.iter().copied())?;
    let spread = ln(mean) - mean_ln(gaps)?;
    if spread <= 1e-6 {
        return None;
    }
    let mut shape = (3.0 - spread + sqrt((spread - 3.0) * (spread - 3.0) + 24.0 * spread)) / (12.0 * spread);
    for _ in 0..MAX_ROUNDS {
        let slope = shape * shape * (1.0 / shape - trigamma(shape));
        let next = 1.0 / (1.0 / shape + (ln(shape) - digamma(shape) - spread) / slope);
        if !(next.is_finite() && 0.0 < next) {
            return None;
        }
        let is_close = (next - shape).abs() <= 1e-10 * shape;
        shape = next;
        if is_close {
            break;
        }
    }
    Some(shape)
}

/// The shape of a Weibull distribution that makes `gaps`, all positive, most likely; none if they do not vary.
///
/// The likelihood equation has one root (Cohen 1965); found by bisection on its logarithm.
pub(crate) fn weibull_shape(gaps: &[f64]) -> Option<f64> {
    let mean_ln = mean_ln(gaps)?;
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    let excess = |shape: f64| {
        let (mut weights, mut weighted) = (0.0, 0.0);
        for gap in gaps {
            let weight = pow(gap / longest, shape);
            weights += weight;
            weighted += weight * ln(*gap);
        }
        weighted / weights - 1.0 / shape - mean_ln
    };
    let (mut low, mut high) = (0.01, 100.0);
    if excess(high) < 0.0 || 0.0 < excess(low) {
        return None;
    }
    while 1.0001 < high / low {
        let middle = sqrt(low * high);
        if excess(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(sqrt(low * high))
}

/// Spearman's rank correlation of pairs, equal values sharing their mean rank; none if one of them never changes.
pub(crate) fn spearman(pairs: &[(u32, u32)]) -> Option<f64> {
    let left = ranks(pairs.iter().map(|pair| pair.0));
    let right = ranks(pairs.iter().map(|pair| pair.1));
    let middle = (count_of(pairs.len()) - 1.0) / 2.0;
    let (mut both, mut left_alone, mut right_alone) = (0.0, 0.0, 0.0);
    for (a, b) in left.iter().zip(&right) {
        let (a, b) = (a - middle, b - middle);
        both += a * b;
        left_alone += a * a;
        right_alone += b * b;
    }
    let scale = sqrt(left_alone * right_alone);
    (0.0 < scale).then(|| both / scale)
}

fn ranks(values: impl ExactSizeIterator<Item = u32>) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut order: Vec<(u32, usize)> = values.enumerate().map(|(index, value)| (value, index)).collect();
    order.sort_unstable();
    let mut before = 0;
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let rank = count_of(before) + (count_of(equal.len()) - 1.0) / 2.0;
        for (_, index) in equal {
            ranks[*index] = rank;
        }
        before += equal.len();
    }
    ranks
}

/// The mean; none of nothing.
pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let len = values.len();
    (len != 0).then(|| values.sum::<f64>() / count_of(len))
}

/// A length as a number.
pub(crate) fn count_of(len: usize) -> f64 {
    count(u64::try_from(len).unwrap_or(u64::MAX))
}

fn mean_ln(gaps: &[f64]) -> Option<f64> {
    mean(gaps.iter().map(|gap| ln(*gap)))
}

const MAX_ROUNDS: u32 = 100;

/// The derivative of the logarithm of the gamma function: recurrence up to 6, then its asymptotic series.
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + ln(x) - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)))
}

/// The derivative of [`digamma`].
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square / 30.0));
    sum + 1.0 / x + square / 2.0 + square / x * series
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;
    use tollgate_mock_llm::draw::Distribution;

    use super::*;

    fn close(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value} is not {expected}");
    }

    #[test]
    fn digamma_and_trigamma_have_their_known_values() {
        close(digamma(1.0), -0.577_215_664_901_532_9, 1e-9);
        close(digamma(0.5), -1.963_510_026_021_423_5, 1e-9);
        close(trigamma(1.0), std::f64::consts::PI * std::f64::consts::PI / 6.0, 1e-9);
    }

    #[test]
    fn shapes_of_drawn_gaps_are_found_again() {
        let mut rng = Rng::new(4);
        for shape in [0.25, 1.0, 4.0] {
            let law = Distribution::gamma(2.0, 1.0 / sqrt(shape)).expect("possible");
            let gaps: Vec<f64> = (0..200_000)
                .map(|_| law.sample(&mut rng))
                .filter(|gap| 0.0 < *gap)
                .collect();
            // Five standard errors of the estimate, which is about sqrt(2 / n) of the shape or less.
            close(
                gamma_shape(&gaps).expect("varies"),
                shape,
                5.0 * shape * sqrt(2.0 / 200_000.0),
            );
            let law = Distribution::weibull_shape_scale(shape, 3.0).expect("possible");
            let gaps: Vec<f64> = (0..200_000).map(|_| law.sample(&mut rng)).collect();
            close(
                weibull_shape(&gaps).expect("varies"),
                shape,
                5.0 * shape * 0.78 / sqrt(200_000.0),
            );
        }
    }

    #[test]
    fn gaps_that_do_not_vary_have_no_shape() {
        assert_eq!(gamma_shape(&[2.0; 10]), None);
        assert_eq!(weibull_shape(&[2.0; 10]), None);
        assert_eq!(gamma_shape(&[]), None);
    }

    #[test]
    fn spearman_sees_order_and_shares_ranks() {
        let rising: Vec<(u32, u32)> = (0..100).map(|x| (x, x * x)).collect();
        close(spearman(&rising).expect("varies"), 1.0, 1e-12);
        let falling: Vec<(u32, u32)> = (0..100).map(|x| (x, 1000 - x)).collect();
        close(spearman(&falling).expect("varies"), -1.0, 1e-12);
        // By hand: ranks 0, 1.5, 1.5, 3 against 0, 2, 1, 3.
        close(
            spearman(&[(1, 1), (2, 3), (2, 2), (3, 4)]).expect("varies"),
            4.5 / sqrt(4.5 * 5.0),
            1e-12,
        );
        assert_eq!(spearman(&[(1, 1), (1, 2)]), None);
    }
}
