//! Inverse distribution functions without a division, a logarithm or a branch that depends on chance.
//!
//! The inverse transform is the best way to draw from keyed dice: one roll gives one value, and a larger roll a larger one.
//! What it costs is the inverse, and a library's takes turns that follow the roll, so the processor guesses wrong. Here it is
//! cut into pieces, sixteen for each halving of the way to either end, and each piece is the polynomial of degree five
//! that has the inverse's value, slope and curvature at both of its ends (Hörmann and Leydold, *Continuous Random
//! Variate Generation by Fast Numerical Inversion*, ACM TOMACS 13, 2003).
//!
//! | Law | Test |
//! |---|---|
//! | A value is the inverse of its roll, to 2e-10 of it. | `values_are_those_of_the_inverse` |
//! | A larger roll is a larger value, from piece to piece as well. | `pieces_join` |

use std::sync::LazyLock;

use tollgate_core::math::{exp, ln, ln_1p};

use super::normal_quantile;

/// The value that a standard normal stays below with the probability that `roll` stands for.
///
/// A roll of 64 bits stands for the middle of its cell of the unit interval, so never for 0 or 1. The result differs from
/// [`normal_quantile`] by less than 2e-10 of it.
///
/// ```
/// use tollgate_mock_llm::draw::normal;
///
/// let three_quarters = 3 << 62;
/// assert!((normal(three_quarters) - 0.674_489_750_196_082).abs() < 1e-10);
/// ```
#[must_use]
#[inline]
pub fn normal(roll: u64) -> f64 {
    NORMAL.at(roll)
}

/// The value that an exponential of mean 1 stays below with the probability that `roll` stands for, as in [`normal`].
///
/// ```
/// use tollgate_mock_llm::draw::exponential;
///
/// assert!((exponential(1 << 63) - std::f64::consts::LN_2).abs() < 1e-10);
/// ```
#[must_use]
#[inline]
pub fn exponential(roll: u64) -> f64 {
    EXPONENTIAL.at(roll)
}

static NORMAL: LazyLock<Quantile> = LazyLock::new(|| {
    Quantile::new(|tail| {
        let value = normal_quantile(tail);
        // The slope of an inverse is one over the density, here 1 / sqrt(2 pi) at most.
        let slope = exp(value * value / 2.0) * 2.506_628_274_631_000_7;
        let low = Knot {
            value,
            slope,
            curvature: value * slope * slope,
        };
        let high = Knot {
            value: -value,
            slope: -slope,
            curvature: -low.curvature,
        };
        [low, high]
    })
});

static EXPONENTIAL: LazyLock<Quantile> = LazyLock::new(|| {
    Quantile::new(|tail| {
        let (near, far) = (1.0 / (1.0 - tail), 1.0 / tail);
        let low = Knot {
            value: -ln_1p(-tail),
            slope: near,
            curvature: near * near,
        };
        let high = Knot {
            value: -ln(tail),
            slope: -far,
            curvature: far * far,
        };
        [low, high]
    })
});

/// An inverse distribution function in pieces.
struct Quantile {
    pieces: Box<[Piece]>,
}

/// Coefficients of a polynomial, in ascending order.
type Piece = [f64; 6];

/// The inverse where a piece begins or ends, by the probability beyond it.
#[derive(Clone, Copy)]
struct Knot {
    value: f64,
    slope: f64,
    curvature: f64,
}

/// Pieces of a halving, as a power of two.
const CUT: u32 = 4;
/// Pieces of one end: a halving for each bit of a roll.
const END: usize = 64 << CUT;

impl Quantile {
    /// The function that, where `tail` of all values lie beyond, has these knots at its low and at its high end.
    fn new(knots: impl Fn(f64) -> [Knot; 2]) -> Quantile {
        let mut pieces = vec![Piece::default(); 2 * END];
        let mut octave = 0.25;
        for halving in 0..END >> CUT {
            let width = octave / f64::from(1 << CUT);
            let mut tail = octave;
            for step in 0..1 << CUT {
                let (from, to) = (knots(tail), knots(tail + width));
                for end in 0..2 {
                    pieces[end * END + (halving << CUT) + step] = piece(from[end], to[end], width);
                }
                tail += width;
            }
            octave /= 2.0;
        }
        Quantile {
            pieces: pieces.into_boxed_slice(),
        }
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit an f64")]
    fn at(&self, roll: u64) -> f64 {
        // The upper half is the lower one in a mirror; twice the way to the nearer end is never zero.
        let upper = roll >> 63;
        let way = (roll ^ upper.wrapping_neg()) << 1 | 1;
        let halving = way.leading_zeros();
        let rest = way << halving << 1;
        let step = rest >> (64 - CUT);
        let share = (rest << CUT >> 12) as f64 * (1.0 / (1_u64 << 52) as f64);

        let at = upper as usize * END + ((halving as usize) << CUT) + step as usize;
        let piece = &self.pieces[at];
        let pair = |n: usize| piece[n] + piece[n + 1] * share;
        let square = share * share;
        pair(0) + (pair(2) + pair(4) * square) * square
    }
}

/// Hermite's polynomial between two knots that are `width` apart.
fn piece(from: Knot, to: Knot, width: f64) -> Piece {
    let rise = to.value - from.value;
    let (slope, slope_to) = (from.slope * width, to.slope * width);
    let (bend, bend_to) = (from.curvature * width * width, to.curvature * width * width);
    [
        from.value,
        slope,
        0.5 * bend,
        10.0 * rise - 6.0 * slope - 4.0 * slope_to - 1.5 * bend + 0.5 * bend_to,
        -15.0 * rise + 8.0 * slope + 7.0 * slope_to + 1.5 * bend - bend_to,
        6.0 * rise - 3.0 * (slope + slope_to) - 0.5 * (bend - bend_to),
    ]
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;
    use tollgate_core::math::pow;

    use super::*;

    /// What the inverses are without pieces, of the middle of the roll's cell.
    fn exact(roll: u64) -> [f64; 2] {
        let tail = |way: u64| {
            #[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
            let way = way as f64;
            (way + 0.5) * pow(2.0, -64.0)
        };
        if roll >> 63 == 0 {
            let low = tail(roll);
            [normal_quantile(low), -ln_1p(-low)]
        } else {
            let high = tail(!roll);
            [-normal_quantile(high), -ln(high)]
        }
    }

    #[test]
    fn values_are_those_of_the_inverse() {
        let mut rng = Rng::new(1);
        for bits in 0..64 {
            for _ in 0..5_000 {
                // As often near the ends as in the middle.
                let near = rng.next_u64() >> bits;
                for roll in [near, !near] {
                    for (found, expected) in [normal(roll), exponential(roll)].into_iter().zip(exact(roll)) {
                        let error = (found - expected).abs();
                        assert!(error <= 2e-10 * expected.abs(), "{roll:#x}: {found}, not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_join() {
        let mut rolls = vec![0, 1, 2, u64::MAX - 1, u64::MAX, (1 << 63) - 1, 1 << 63];
        for halving in 6..63_u32 {
            for step in 0..1_u64 << CUT {
                let knot = (1 << halving) + (step << (halving - CUT));
                for roll in knot - 2..knot + 2 {
                    rolls.extend([roll, !roll]);
                }
            }
        }
        rolls.sort_unstable();
        for pair in rolls.windows(2) {
            let (smaller, larger) = (pair[0], pair[1]);
            // Neighbors may be one number, and numbers are rounded.
            for (low, high) in [
                (normal(smaller), normal(larger)),
                (exponential(smaller), exponential(larger)),
            ] {
                assert!(
                    low <= high + 1e-14 * high.abs(),
                    "{smaller:#x}: {low}, {larger:#x}: {high}"
                );
            }
        }
    }
}
