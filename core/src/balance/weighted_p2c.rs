//! The power of two choices among unequal endpoints.

use core::num::NonZeroU32;

use super::draw::another_by_weight;
use super::{Balancer, PoolView};
use crate::dice::Rng;

/// Picks the less loaded of two distinct available endpoints, or the least loaded of more, drawn one after the other in
/// proportion to the weights of those that are left.
///
/// [`P2c`](super::P2c) draws uniformly, and so gives slow endpoints at least the share with which all choices are slow. Drawn by
/// weight, a slow endpoint is looked at as seldom as it should be used. Every weight is read for every draw.
///
/// Endpoints are drawn in random order and the first drawn wins a tie, so that of equals the heavier is the likelier.
///
/// **Where it is wrong:** where weights are wrong, and nobody has measured. Shares of less than all still go to whoever
/// is drawn: with a weight of 1 beside 1000 an idle endpoint is hardly ever seen.
///
/// ```
/// use tollgate_core::balance::{Balancer, PlainPool, WeightedP2c};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::new(&[3.0, 1.0]).with_weights(&[9, 1]);
/// assert_eq!(WeightedP2c::default().pick(&pool, &mut Rng::new(7)), Some(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightedP2c {
    choices: usize,
}

impl Default for WeightedP2c {
    /// Two choices.
    fn default() -> WeightedP2c {
        WeightedP2c { choices: 2 }
    }
}

impl WeightedP2c {
    /// Most choices: each draw reads every weight, and what was drawn is remembered on the stack.
    pub const MOST_CHOICES: u32 = 8;

    /// Compares `choices` endpoints, at most [`WeightedP2c::MOST_CHOICES`].
    #[must_use]
    pub fn new(choices: NonZeroU32) -> WeightedP2c {
        let choices = choices.get().min(WeightedP2c::MOST_CHOICES);
        WeightedP2c {
            choices: usize::try_from(choices).unwrap_or(INLINE),
        }
    }
}

/// [`WeightedP2c::MOST_CHOICES`], as a length.
const INLINE: usize = 8;

impl Balancer for WeightedP2c {
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        let mut taken = [0; INLINE];
        let mut best: Option<(usize, f64)> = None;
        for n_taken in 0..self.choices {
            let Some(index) = another_by_weight(pool, &taken[..n_taken], rng) else {
                break;
            };
            let load = pool.load(index);
            if best.is_none_or(|(_, lowest)| load < lowest) {
                best = Some((index, load));
            }
            taken[n_taken] = index;
        }
        best.map(|(index, _)| index)
    }
}
