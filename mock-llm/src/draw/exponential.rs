//! The exponential function without a branch that depends on chance.
//!
//! Random arguments make every branch of a library's exponential a coin that the processor has to guess; this one has
//! one branch, always taken the same way. It uses additions and multiplications alone, so it has the same result
//! everywhere.

use tollgate_core::math;

/// The exponential of `x`, within two units in the last place.
///
/// Reduced to `|r| <= ln 2 / 2` in two steps (Cody and Waite, *Software Manual for the Elementary Functions*, 1980), then
/// Taylor's polynomial of degree 13, whose rest is below 5e-18, by Estrin's scheme.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    // Where the result or the power of two would not be a normal number; NaN too.
    if !(-700.0 < x && x < 700.0) {
        return math::exp(x);
    }
    // Adding 1.5 * 2^52 rounds to a whole number, and leaves it in the low bits.
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * LN2_HIGH) - whole * LN2_LOW;

    let r2 = r * r;
    let r4 = r2 * r2;
    let pair = |n: usize| TAYLOR[n] + TAYLOR[n + 1] * r;
    let low = pair(0) + pair(2) * r2;
    let middle = pair(4) + pair(6) * r2;
    let high = (pair(8) + pair(10) * r2) + pair(12) * r4;
    let value = low + (middle + high * r4) * r4;

    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    value * power
}

const ROUND: f64 = 6_755_399_441_055_744.0;

/// The first 32 bits of ln 2, so that a whole number below 2^11 times it is exact; and the rest.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `1 / n!`.
const TAYLOR: [f64; 14] = {
    let mut terms = [1.0; 14];
    let mut n = 1;
    let mut count = 1.0;
    while n < terms.len() {
        terms[n] = terms[n - 1] / count;
        count += 1.0;
        n += 1;
    }
    terms
};

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;

    use super::*;

    #[test]
    fn is_the_exponential() {
        let mut rng = Rng::new(1);
        for span in [0.1, 1.0, 30.0, 699.0] {
            for _ in 0..100_000 {
                let x = span * (2.0 * rng.uniform() - 1.0);
                let (found, expected) = (exp(x), math::exp(x));
                assert!(
                    (found / expected - 1.0).abs() <= 2.0 * f64::EPSILON,
                    "exp({x}) is {expected}, not {found}"
                );
            }
        }
    }

    #[test]
    fn has_the_library_s_edges() {
        for x in [
            0.0,
            700.0,
            709.0,
            710.0,
            -700.0,
            -745.0,
            -746.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            assert_eq!(exp(x).to_bits(), math::exp(x).to_bits(), "{x}");
        }
        assert!(exp(f64::NAN).is_nan());
    }
}
