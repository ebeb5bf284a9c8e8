//! Any available endpoint, in proportion to its weight.

use super::draw::another_by_weight;
use super::{Balancer, PoolView};
use crate::dice::Rng;

/// Picks an available endpoint with a probability in proportion to its weight.
///
/// With weights in proportion to what the endpoints can do, all are loaded alike in the long run. Every weight is read
/// for every pick.
///
/// **Where it is wrong:** it looks at weights and at nothing else, so queues grow by chance as behind
/// [`Random`](super::Random): with exponential service each endpoint is an M/M/1 of its own. [`WeightedRoundRobin`](super::WeightedRoundRobin) keeps
/// the same shares without the chance.
///
/// ```
/// use tollgate_core::balance::{Balancer, PlainPool, WeightedRandom};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::alike(2).with_weights(&[3, 1]);
/// let mut rng = Rng::new(7);
/// let firsts = (0..4_000).filter(|_| WeightedRandom.pick(&pool, &mut rng) == Some(0)).count();
/// assert!((2_900..3_100).contains(&firsts));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightedRandom;

impl Balancer for WeightedRandom {
    #[inline]
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        another_by_weight(pool, &[], rng)
    }
}
