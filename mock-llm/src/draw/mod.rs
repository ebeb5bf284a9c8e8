//! Distributions, drawn from keyed dice.
//!
//! A value is a function of the generator it is drawn from and of nothing else, so the service time of one attempt is
//! the same number whatever happened before it. Wherever the inverse of the distribution function is known in closed or
//! rational form, one roll gives one value and a larger roll a larger value; the gamma distribution alone rejects, and
//! takes as many rolls as it needs from the generator of its key. The inverses that nearly every draw needs, those of the
//! exponential and of the normal distribution, are cut into polynomials once; what that errs by, 2e-10 of a value, would be
//! seen by nobody who draws less than 10^19 of them.
//!
//! | Law | Test |
//! |---|---|
//! | Values follow the closed-form distribution function. | `follows_its_distribution` |
//! | `mean()` is the mean of what is drawn. | `mean_is_the_mean` |
//! | The same generator gives the same value. | `equal_dice_equal_values` |
//! | A larger roll is a larger value (inverse transforms). | `larger_rolls_are_larger_values` |
//! | Values are finite and never negative. | `values_are_lengths` |
//!
//! Functions are those of [`tollgate_core::math`], or made of additions and multiplications alone: a draw that decides a
//! result must not depend on the platform.

mod exponential;
mod gamma;
mod normal;
mod quantile;
mod weibull;

use std::fmt;
use std::sync::Arc;

use tollgate_core::dice::Rng;
use tollgate_core::math::{ln, sqrt};
use tollgate_core::time::Nanos;

pub use normal::normal_quantile;
pub use quantile::{exponential, normal};

use exponential::exp;
use gamma::Gamma;

/// A checked distribution of lengths, counts or seconds: finite and never negative.
///
/// ```
/// use tollgate_core::dice::{Dice, Purpose};
/// use tollgate_mock_llm::draw::Distribution;
///
/// let ttft = Distribution::lognormal_median_p95(0.645, 1.094)?;
/// let mut rng = Dice::new(7).request(17).roll(Purpose::Service, 0);
/// assert!(ttft.sample(&mut rng) > 0.0);
/// # Ok::<(), tollgate_mock_llm::draw::OutOfRange>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    law: Law,
    mean: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Law {
    Constant,
    Exponential,
    Gamma(Gamma),
    Weibull { scale: f64, power: f64 },
    Lognormal { mu: f64, sigma: f64 },
    Empirical(Arc<[f64]>),
}

impl Distribution {
    /// Always `value`.
    ///
    /// # Errors
    ///
    /// If `value` is negative or not finite.
    pub fn constant(value: f64) -> Result<Distribution, OutOfRange> {
        within("value", value, 0.0, f64::MAX, "a number of at least 0")?;
        Ok(Distribution {
            law: Law::Constant,
            mean: value,
        })
    }

    /// Exponential with this mean.
    ///
    /// # Errors
    ///
    /// If `mean` is not positive and finite.
    pub fn exponential(mean: f64) -> Result<Distribution, OutOfRange> {
        positive("mean", mean)?;
        Ok(Distribution {
            law: Law::Exponential,
            mean,
        })
    }

    /// Gamma with this mean and coefficient of variation.
    ///
    /// # Errors
    ///
    /// If `mean` is not positive, or `cv` not between 0.001 and 100.
    pub fn gamma(mean: f64, cv: f64) -> Result<Distribution, OutOfRange> {
        positive("mean", mean)?;
        spread(cv)?;
        Ok(Distribution {
            law: Law::Gamma(Gamma::new(mean, cv)),
            mean,
        })
    }

    /// Weibull with this mean and coefficient of variation; the shape is solved for once, here.
    ///
    /// # Errors
    ///
    /// If `mean` is not positive, or `cv` not between 0.001 and 100.
    pub fn weibull(mean: f64, cv: f64) -> Result<Distribution, OutOfRange> {
        positive("mean", mean)?;
        spread(cv)?;
        let shape = weibull::shape_of_cv(cv);
        Ok(Distribution {
            law: Law::Weibull {
                scale: mean / weibull::mean_of(shape),
                power: 1.0 / shape,
            },
            mean,
        })
    }

    /// Weibull with this shape and scale, as failure data are published.
    ///
    /// # Errors
    ///
    /// If `shape` is not between 0.06 and 2000 or `scale` not positive.
    pub fn weibull_shape_scale(shape: f64, scale: f64) -> Result<Distribution, OutOfRange> {
        within("shape", shape, 0.06, 2000.0, "between 0.06 and 2000")?;
        positive("scale", scale)?;
        let mean = scale * weibull::mean_of(shape);
        positive("scale", mean)?;
        Ok(Distribution {
            law: Law::Weibull {
                scale,
                power: 1.0 / shape,
            },
            mean,
        })
    }

    /// The exponential of a normal with mean `mu` and standard deviation `sigma`.
    ///
    /// # Errors
    ///
    /// If `sigma` is negative or a parameter is so large that the mean overflows.
    pub fn lognormal(mu: f64, sigma: f64) -> Result<Distribution, OutOfRange> {
        within("mu", mu, -300.0, 300.0, "between -300 and 300")?;
        within("sigma", sigma, 0.0, 20.0, "between 0 and 20")?;
        Ok(Distribution {
            law: Law::Lognormal { mu, sigma },
            mean: exp(mu + sigma * sigma / 2.0),
        })
    }

    /// Lognormal with this median and 95th percentile.
    ///
    /// # Errors
    ///
    /// If `median` is not positive or `p95` is below it.
    pub fn lognormal_median_p95(median: f64, p95: f64) -> Result<Distribution, OutOfRange> {
        positive("median", median)?;
        within("p95", p95, median, f64::MAX, "at least the median")?;
        let sigma = ln(p95 / median) / normal_quantile(0.95);
        within("p95", sigma, 0.0, 20.0, "closer to the median")?;
        Distribution::lognormal(ln(median), sigma)
    }

    /// Lognormal with this median and standard deviation of the logarithm.
    ///
    /// # Errors
    ///
    /// If `median` is not positive or `sigma` is negative.
    pub fn lognormal_median_sigma(median: f64, sigma: f64) -> Result<Distribution, OutOfRange> {
        positive("median", median)?;
        Distribution::lognormal(ln(median), sigma)
    }

    /// Lognormal with this mean and coefficient of variation.
    ///
    /// # Errors
    ///
    /// If `mean` is not positive, or `cv` not between 0 and 100.
    pub fn lognormal_mean_cv(mean: f64, cv: f64) -> Result<Distribution, OutOfRange> {
        positive("mean", mean)?;
        within("cv", cv, 0.0, 100.0, "between 0 and 100")?;
        let variance = ln(1.0 + cv * cv);
        Distribution::lognormal(ln(mean) - variance / 2.0, sqrt(variance))
    }

    /// One of `values`, each equally likely. Sorted, a larger roll is a larger value.
    ///
    /// # Errors
    ///
    /// If there is no value, or one is negative or not finite.
    pub fn empirical(values: Arc<[f64]>) -> Result<Distribution, OutOfRange> {
        let mut sum = 0.0;
        for value in values.iter() {
            within("values", *value, 0.0, f64::MAX, "numbers of at least 0")?;
            sum += value;
        }
        #[expect(clippy::cast_precision_loss, reason = "a sample has fewer than 2^53 values")]
        let mean = sum / values.len() as f64;
        within("values", mean, 0.0, f64::MAX, "at least one number, with a finite sum")?;
        Ok(Distribution {
            law: Law::Empirical(values),
            mean,
        })
    }

    /// The mean of what is drawn.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// The value, if it is always the same.
    #[must_use]
    #[inline]
    pub fn as_constant(&self) -> Option<f64> {
        matches!(self.law, Law::Constant).then_some(self.mean)
    }

    /// One value.
    #[must_use]
    #[inline]
    pub fn sample(&self, rng: &mut Rng) -> f64 {
        match &self.law {
            Law::Constant => self.mean,
            Law::Exponential => self.mean * exponential(rng.next_u64()),
            Law::Gamma(gamma) => gamma.sample(rng),
            Law::Weibull { scale, power } => scale * exp(power * ln(exponential(rng.next_u64()))),
            Law::Lognormal { mu, sigma } => exp(mu + sigma * normal(rng.next_u64())),
            Law::Empirical(values) => values[index_below(values.len(), rng)],
        }
    }

    /// One value in seconds, as a length of time.
    #[must_use]
    #[inline]
    pub fn sample_secs(&self, rng: &mut Rng) -> Nanos {
        Nanos::from_secs_f64(self.sample(rng))
    }
}

/// A number that a distribution or a backend cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// Which one.
    pub field: &'static str,
    /// What it must be.
    pub must_be: &'static str,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` must be {}", self.field, self.must_be)
    }
}

impl std::error::Error for OutOfRange {}

fn index_below(length: usize, rng: &mut Rng) -> usize {
    usize::try_from(rng.below(length as u64)).expect("a number below a length is an index")
}

pub(crate) fn within(
    field: &'static str,
    value: f64,
    least: f64,
    most: f64,
    must_be: &'static str,
) -> Result<(), OutOfRange> {
    // NaN is within nothing.
    if least <= value && value <= most {
        Ok(())
    } else {
        Err(OutOfRange { field, must_be })
    }
}

fn positive(field: &'static str, value: f64) -> Result<(), OutOfRange> {
    within(field, value, f64::MIN_POSITIVE, f64::MAX, "a number above 0")
}

fn spread(cv: f64) -> Result<(), OutOfRange> {
    // Within these bounds the solved shape of a Weibull distribution is exact to ten digits.
    within("cv", cv, 0.001, 100.0, "between 0.001 and 100")
}
