//! The shape of a Weibull distribution, from what people know about it.

use tollgate_core::math::{exp, ln_gamma, sqrt};

/// The mean at scale 1.
pub(super) fn mean_of(shape: f64) -> f64 {
    exp(ln_gamma(1.0 + 1.0 / shape))
}

/// The shape whose coefficient of variation is `cv`, by bisection: the coefficient falls as the shape grows.
pub(super) fn shape_of_cv(cv: f64) -> f64 {
    let (mut low, mut high) = (0.06, 2000.0);
    // Every step halves the logarithm of the bracket; 80 leave nothing of it.
    for _ in 0..80 {
        let middle = sqrt(low * high);
        if cv < cv_of(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    sqrt(low * high)
}

fn cv_of(shape: f64) -> f64 {
    let ratio = exp(ln_gamma(1.0 + 2.0 / shape) - 2.0 * ln_gamma(1.0 + 1.0 / shape));
    sqrt(ratio - 1.0)
}
