//! Which pool of a route is tried first, when traffic is split between several.

use alloc::vec::Vec;

use crate::dice::Rng;

/// Weights of the pools of a route: the share of its requests that tries each of them first.
///
/// | Law | Test |
/// |---|---|
/// | Pools are first in proportion to their weights. | `first_pools_have_their_shares` |
/// | The same request has the same first pool, under any policy with this split. | `a_request_has_one_first_pool` |
/// | The others follow in the route's order, each once. | `the_others_follow_in_order` |
///
/// ```
/// use tollgate_core::dice::Rng;
/// use tollgate_core::policy::Split;
///
/// let split = Split::new(vec![9, 1]).expect("one of them has traffic");
/// let mut rng = Rng::new(7);
/// let first = (0..1_000).filter(|_| split.draw(&mut rng) == 0).count();
/// assert!((860..940).contains(&first));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// One per pool, in their order; a pool without weight is only a fallback.
    weights: Vec<u32>,
    total: u64,
}

impl Split {
    /// A split by `weights`, of the pools in their order. None if all of them are zero: nothing would be first.
    #[must_use]
    pub fn new(weights: Vec<u32>) -> Option<Split> {
        let total = weights.iter().copied().map(u64::from).sum();
        (0 < total).then_some(Split { weights, total })
    }

    /// The position of the pool that a request with these dice tries first.
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> usize {
        let mut left = rng.below(self.total);
        let mut first = 0;
        for (at, weight) in self.weights.iter().enumerate() {
            first = at;
            let weight = u64::from(*weight);
            if left < weight {
                break;
            }
            left -= weight;
        }
        first
    }
}
