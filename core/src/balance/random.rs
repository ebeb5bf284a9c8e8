//! Any available endpoint.

use super::draw::another;
use super::{Balancer, PoolView};
use crate::dice::Rng;

/// Picks an available endpoint, each equally likely.
///
/// **Where it is wrong:** nearly everywhere but as a baseline. It is blind to load: with `n` endpoints and `n`
/// requests at once the busiest one has about `ln n / ln ln n` of them, where [`P2c`](super::P2c) has
/// `ln ln n` (Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, 2001).
///
/// ```
/// use tollgate_core::balance::{Balancer, PlainPool, Random};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::alike(3).with_available(&[false, false, true]);
/// assert_eq!(Random.pick(&pool, &mut Rng::new(7)), Some(2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Random;

impl Balancer for Random {
    #[inline]
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        another(pool, &[], rng)
    }
}
