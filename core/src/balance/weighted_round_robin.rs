//! Each endpoint in turn, in proportion to its weight, and evenly spread.

use alloc::vec::Vec;

use super::{Balancer, PoolView, WEIGHT_UNIT};
use crate::dice::Rng;

/// Smooth weighted round robin, as in nginx.
///
/// Each pick gives every available endpoint its weight; who then has most is picked, the first of equals, and pays the
/// sum of all. Weights of 5, 1 and 1 give `a a b a c a a`: five of seven, and not five in a row. While availability
/// and weights stay, each endpoint is picked exactly as often as its weight says in every cycle of as many picks as there are units
/// of weight, and nobody is ever a whole turn ahead of its share.
///
/// A failure takes `weight / max_fails` off an endpoint's weight, in whole units, down to none
/// ([`Rounds::fail`]); each pick that it is available for gives one unit back.
///
/// The state is the pool's ([`Rounds`]: 16 bytes an endpoint) and shared by all who pick: a lock, and a look at every
/// endpoint, for every pick.
///
/// **Where it is wrong:** it counts requests, and requests to language models differ by three orders of magnitude in
/// what they cost. Several gateways with the same weights begin with the same endpoint.
///
/// The example is at [`PlainPool`](super::PlainPool).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightedRoundRobin;

/// Where every endpoint of a pool stands in its rounds; by default nobody has had a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    shares: Vec<Share>,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    /// What it was given, less what it paid.
    credit: i64,
    /// What failures took from its weight and has not come back.
    lost: u32,
}

impl Rounds {
    /// The endpoint at `index` of a pool of `n` has failed: `1 / max_fails` of its whole `weight` is lost, and what is
    /// lost is never more than all.
    pub fn fail(&mut self, n: usize, index: usize, weight: u32, max_fails: u32) {
        let Some(loss) = weight.checked_div(max_fails) else {
            return;
        };
        self.reach(n);
        let lost = &mut self.shares[index].lost;
        *lost = (*lost + loss * WEIGHT_UNIT).min(weight * WEIGHT_UNIT);
    }

    /// The pool has `n` endpoints.
    fn reach(&mut self, n: usize) {
        if self.shares.len() < n {
            self.shares.resize(n, Share::default());
        }
    }

    fn pick(&mut self, pool: &impl PoolView) -> Option<usize> {
        self.reach(pool.len());
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for index in 0..pool.len() {
            if !pool.is_available(index) {
                continue;
            }
            let share = &mut self.shares[index];
            let weight = i64::from(pool.weight(index).saturating_sub(share.lost));
            share.credit += weight;
            share.lost = share.lost.saturating_sub(WEIGHT_UNIT);
            total += weight;
            if best.is_none_or(|(_, most)| most < share.credit) {
                best = Some((index, share.credit));
            }
        }
        let (index, _) = best?;
        self.shares[index].credit -= total;
        Some(index)
    }
}

impl Balancer for WeightedRoundRobin {
    fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
        let mut picked = None;
        pool.rounds(&mut |rounds| picked = rounds.pick(pool));
        picked
    }
}
