//! Each endpoint in turn.

use super::{Balancer, PoolView};
use crate::dice::Rng;

/// Picks the endpoints in turn.
///
/// The turn of an unavailable endpoint does not fall to its neighbor, which would then get twice its share: such
/// turns go round among the available ones too.
///
/// **Where it is wrong:** it counts requests, and requests to language models differ by three orders of magnitude
/// in what they cost; and it gives a slow endpoint as many as a fast one.
///
/// ```
/// use tollgate_core::balance::{Balancer, PlainPool, RoundRobin};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::alike(3);
/// let picks = [(); 4].map(|()| RoundRobin.pick(&pool, &mut Rng::new(7)));
/// assert_eq!(picks, [Some(0), Some(1), Some(2), Some(0)]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundRobin;

impl Balancer for RoundRobin {
    #[inline]
    fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
        let n = pool.len();
        if n == 0 {
            return None;
        }
        let turn = pool.turn();
        let index = modulo(turn, n);
        if pool.is_available(index) {
            return Some(index);
        }
        instead(pool, index, turn / n as u64)
    }
}

/// Whose turn it is when it would be that of `index`, which is unavailable, in round `round`.
///
/// The unavailable ones' turns are numbered through all rounds, and the available ones take them in order.
#[cold]
fn instead(pool: &impl PoolView, index: usize, round: u64) -> Option<usize> {
    let n = pool.len();
    let available = || (0..n).filter(|index| pool.is_available(*index));
    let count = available().count();
    if count == 0 {
        return None;
    }
    let before = index - available().take_while(|other| *other < index).count();
    let number = round.wrapping_mul((n - count) as u64).wrapping_add(before as u64);
    available().nth(modulo(number, count))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a remainder of a usize is one")]
fn modulo(number: u64, n: usize) -> usize {
    (number % n as u64) as usize
}
