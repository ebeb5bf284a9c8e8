//! Draws from the available endpoints of a pool: exactly uniform, and without memory.

use super::PoolView;
use crate::dice::Rng;

/// How often an unavailable endpoint may be drawn before all are looked at.
///
/// Rejection is exact and costs nothing where most endpoints are available; the scan is exact and costs the
/// same however few are left. A draw that reaches the scan is uniform too, hence so is their mixture.
const TRIES: u32 = 4;

/// An available endpoint that is not in `taken`, each equally likely.
///
/// `taken` must be sorted and distinct.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "of no or of one endpoint taken, nothing is left of the list"
)]
pub(super) fn another(pool: &impl PoolView, taken: &[usize], rng: &mut Rng) -> Option<usize> {
    let rest = pool.len().checked_sub(taken.len()).filter(|rest| 0 < *rest)?;
    for _ in 0..TRIES {
        let index = skip(below(rng, rest), taken);
        if pool.is_available(index) {
            return Some(index);
        }
    }
    scan(pool, taken, rest, rng)
}

/// An available endpoint that is not in `taken`, with a probability in proportion to its weight.
pub(super) fn another_by_weight(pool: &impl PoolView, taken: &[usize], rng: &mut Rng) -> Option<usize> {
    let free = || (0..pool.len()).filter(|index| pool.is_available(*index) && !taken.contains(index));
    let total: u64 = free().map(|index| u64::from(pool.weight(index))).sum();
    let mut left = rng.below(total);
    free().find(|index| {
        let weight = u64::from(pool.weight(*index));
        let is_it = left < weight;
        left = left.saturating_sub(weight);
        is_it
    })
}

/// A number below `n`, which is not zero.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a number below a usize is one")]
pub(super) fn below(rng: &mut Rng, n: usize) -> usize {
    rng.below(n as u64) as usize
}

/// [`another`], looking at every endpoint.
#[cold]
fn scan(pool: &impl PoolView, taken: &[usize], rest: usize, rng: &mut Rng) -> Option<usize> {
    let free = || {
        (0..rest)
            .map(|rank| skip(rank, taken))
            .filter(|index| pool.is_available(*index))
    };
    let count = free().count();
    if count == 0 {
        return None;
    }
    free().nth(below(rng, count))
}

/// The `rank`-th index that is not in `taken`.
#[inline]
fn skip(rank: usize, taken: &[usize]) -> usize {
    taken.iter().fold(rank, |index, gap| index + usize::from(*gap <= index))
}
