//! Confidence intervals over independent replications.

/// Two-sided 95 % quantiles of Student's t with 1, 2, … degrees of freedom.
const T_95: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157, 2.228_139,
    2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905, 2.109_816, 2.100_922, 2.093_024, 2.085_963,
    2.079_614, 2.073_873, 2.068_658, 2.063_899, 2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];

/// The 95 % confidence interval of the mean of `values`, by Student's t; none of fewer than two.
///
/// ```
/// use tollgate_sim::experiment::t_interval;
///
/// let [low, high] = t_interval(&[1.0, 2.0, 3.0]).expect("three values");
/// assert!((low - -0.484).abs() < 1e-3 && (high - 4.484).abs() < 1e-3);
/// assert_eq!(t_interval(&[1.0]), None);
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number of replications")]
pub fn t_interval(values: &[f64]) -> Option<[f64; 2]> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let error = libm::sqrt(squares / (n as f64 - 1.0) / n as f64);
    let half = t_95(n - 1) * error;
    Some([mean - half, mean + half])
}

/// Beyond the table, the expansion of Cornish and Fisher to the third order: right to five digits there.
#[expect(clippy::cast_precision_loss, reason = "degrees of freedom")]
fn t_95(freedom: usize) -> f64 {
    const Z: f64 = 1.959_964;
    if let Some(t) = T_95.get(freedom - 1) {
        return *t;
    }
    let v = freedom as f64;
    let z2 = Z * Z;
    let first = Z * (z2 + 1.0) / (4.0 * v);
    let second = Z * ((5.0 * z2 + 16.0) * z2 + 3.0) / (96.0 * v * v);
    let third = Z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / (384.0 * v * v * v);
    Z + first + second + third
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_degrees_of_freedom_continue_the_table() {
        // From tables: 40, 60 and 120 degrees.
        for (freedom, expected) in [(40, 2.021_075), (60, 2.000_298), (120, 1.979_930)] {
            assert!((t_95(freedom) - expected).abs() < 2e-5, "{freedom}: {}", t_95(freedom));
        }
    }
}
