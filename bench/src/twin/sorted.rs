//! Samples in order: quantiles, and how far two distributions are apart.
//!
//! | Law | Test |
//! |---|---|
//! | A quantile is a value of the sample, the smallest that so large a share does not exceed. | `quantiles_are_values_of_the_sample` |
//! | The distance is that of the textbook, ties included. | `distances_are_those_of_the_textbook` |
//! | Nothing is far from itself, and nothing is further than 1. | `distances_are_between_0_and_1` |

/// A sample in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Puts `values` in order; those that are not finite are left out.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Sorted {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        Sorted(values)
    }

    /// The values, the smallest first.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest value that a share of at least `at` does not exceed; none of nothing.
    ///
    /// ```
    /// use tollgate_bench::twin::Sorted;
    ///
    /// let sample = Sorted::new(vec![3.0, 1.0, 2.0, 4.0]);
    /// assert_eq!(sample.quantile(0.5), Some(2.0));
    /// assert_eq!(sample.quantile(0.99), Some(4.0));
    /// ```
    #[must_use]
    pub fn quantile(&self, at: f64) -> Option<f64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a length is an index"
        )]
        let rank = (at.clamp(0.0, 1.0) * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied()
    }

    /// Values, and the share that does not exceed them: as many as a picture can show.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        const MOST: u32 = 400;
        let shares = (1..=MOST).map(|at| f64::from(at) / f64::from(MOST));
        shares
            .filter_map(|share| Some((self.quantile(share)?, share)))
            .collect()
    }

    /// The mean; none of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.iter().sum::<f64>() / count(self.len()))
    }

    /// The largest difference between two empirical distribution functions (Kolmogorov and Smirnov); none if one has no
    /// sample.
    #[must_use]
    pub fn distance(&self, other: &Sorted) -> Option<f64> {
        if self.is_empty() || other.is_empty() {
            return None;
        }
        let (mut here, mut there, mut most) = (0, 0, 0.0_f64);
        while here < self.len() && there < other.len() {
            let at = self.0[here].min(other.0[there]);
            // All that are equal step together, or ties would look like a difference.
            here += self.0[here..].iter().take_while(|value| **value <= at).count();
            there += other.0[there..].iter().take_while(|value| **value <= at).count();
            most = most.max((count(here) / count(self.len()) - count(there) / count(other.len())).abs());
        }
        Some(most)
    }

    /// The largest difference from the distribution function `of`; none of nothing.
    #[must_use]
    pub fn distance_from(&self, of: impl Fn(f64) -> f64) -> Option<f64> {
        let n = count(self.len());
        let at = |(number, value): (usize, &f64)| {
            let expected = of(*value);
            let (before, after) = (count(number) / n, count(number + 1) / n);
            (expected - before).abs().max((after - expected).abs())
        };
        self.0.iter().enumerate().map(at).reduce(f64::max)
    }

    /// The distance that two samples of one distribution exceed once in twenty; none if one has no value.
    #[must_use]
    pub fn chance_distance(&self, other: &Sorted) -> Option<f64> {
        let (n, m) = (count(self.len()), count(other.len()));
        (0.0 < n * m).then(|| 1.358 * ((n + m) / (n * m)).sqrt())
    }
}

/// A length as a number.
#[expect(clippy::cast_precision_loss, reason = "samples have fewer than 2^53 values")]
pub(crate) fn count(len: usize) -> f64 {
    len as f64
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;

    use super::*;

    fn drawn(seed: u64, n: usize, levels: f64) -> Sorted {
        let mut rng = Rng::new(seed);
        Sorted::new((0..n).map(|_| (rng.uniform() * levels).floor()).collect())
    }

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let sample = Sorted::new((1..=100).rev().map(f64::from).collect());
        for (at, value) in [
            (0.0, 1.0),
            (0.01, 1.0),
            (0.5, 50.0),
            (0.9, 90.0),
            (0.99, 99.0),
            (0.991, 100.0),
            (1.0, 100.0),
        ] {
            assert_eq!(sample.quantile(at), Some(value), "{at}");
        }
        assert_eq!(Sorted::default().quantile(0.5), None);
        assert_eq!(Sorted::new(vec![f64::NAN, 2.0]).quantile(0.1), Some(2.0));
        assert_eq!(sample.mean(), Some(50.5));
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        let of = |left: &[f64], right: &[f64]| Sorted::new(left.to_vec()).distance(&Sorted::new(right.to_vec()));
        assert_eq!(of(&[1.0, 2.0, 3.0], &[4.0, 5.0]), Some(1.0));
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]), Some(0.5));
        assert_eq!(of(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]), Some(2.0 / 3.0 - 1.0 / 3.0));
        assert_eq!(of(&[], &[1.0]), None);
        // Ten values in the middles of tenths, against the uniform distribution.
        let even = Sorted::new((0..10).map(|at| (f64::from(at) + 0.5) / 10.0).collect());
        let distance = even.distance_from(|x| x.clamp(0.0, 1.0)).expect("ten values");
        assert!((distance - 0.05).abs() < 1e-12, "{distance}");
    }

    #[test]
    fn distances_are_between_0_and_1() {
        for seed in 0..200 {
            let (one, other) = (drawn(seed, 40, 7.0), drawn(seed + 1_000, 25, 9.0));
            let distance = one.distance(&other).expect("both have values");
            assert!((0.0..=1.0).contains(&distance));
            assert_eq!(one.distance(&other), other.distance(&one));
            assert_eq!(one.distance(&one), Some(0.0));
            // By the definition, at every value of either.
            let share = |of: &Sorted, at: f64| {
                count(of.values().iter().filter(|value| **value <= at).count()) / count(of.len())
            };
            let all = one.values().iter().chain(other.values());
            let most = all
                .map(|at| (share(&one, *at) - share(&other, *at)).abs())
                .fold(0.0, f64::max);
            assert!((most - distance).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_distributions_are_within_chance() {
        let outside = (0..400).filter(|seed| {
            let (one, other) = (drawn(*seed, 500, 1e9), drawn(seed + 9_000, 400, 1e9));
            one.chance_distance(&other) < one.distance(&other)
        });
        // Once in twenty is twenty of 400; five standard errors more is 42.
        assert!(outside.count() < 42);
    }
}
