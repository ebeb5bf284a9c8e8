//! The power of two choices.

use core::num::NonZeroU32;

use super::draw::{another, below};
use super::least::Lowest;
use super::{Balancer, PoolView};
use crate::dice::Rng;
use crate::policy::Ties;

/// Picks the less loaded of two distinct, uniformly random, available endpoints; or the least loaded of more.
///
/// Two choices already turn the longest queue of random placement from `ln n / ln ln n` into `ln ln n`
/// (Mitzenmacher 2001), and unlike the least loaded of all they do not herd when loads are old. If fewer are
/// available than choices, all of them are compared.
///
/// Endpoints are drawn in random order and the first drawn wins a tie: equals are equally likely, so that there is
/// no rule for ties to choose.
///
/// **Where it is wrong:** between unequal endpoints. If `s` of `n` are slow, both choices are slow with probability
/// `p = s (s - 1) / (n (n - 1))`, and that share of the traffic is theirs whatever the loads say. Once it is more than
/// they can serve, the pool is unstable however fast the others are: from a utilization of
/// `s · slow rate / (p · total rate)` on, if that is below one. Traffic placed at random in proportion to the rates
/// would still be served. Raise `choices`, draw by weight ([`WeightedP2c`](super::WeightedP2c)), or compare all.
///
/// ```
/// use tollgate_core::balance::{Balancer, P2c, PlainPool};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::new(&[3.0, 1.0]);
/// assert_eq!(P2c::default().pick(&pool, &mut Rng::new(7)), Some(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P2c {
    choices: usize,
}

impl Default for P2c {
    /// Two choices.
    fn default() -> P2c {
        P2c { choices: 2 }
    }
}

impl P2c {
    /// Compares `choices` endpoints.
    #[must_use]
    pub fn new(choices: NonZeroU32) -> P2c {
        P2c {
            choices: usize::try_from(choices.get()).unwrap_or(usize::MAX),
        }
    }
}

impl Balancer for P2c {
    #[inline]
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        if self.choices == 2 {
            let one = another(pool, &[], rng)?;
            let Some(other) = another(pool, &[one], rng) else {
                return Some(one);
            };
            return Some(if pool.load(other) < pool.load(one) { other } else { one });
        }
        if self.choices <= INLINE {
            return few(self.choices, pool, rng);
        }
        many(self.choices, pool, rng)
    }
}

/// Up to so many choices are remembered on the stack.
const INLINE: usize = 8;

/// Draws one after the other, remembering which.
fn few(choices: usize, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
    let mut taken = [0; INLINE];
    let mut best: Option<(usize, f64)> = None;
    for n_taken in 0..choices {
        let Some(index) = another(pool, &taken[..n_taken], rng) else {
            break;
        };
        let load = pool.load(index);
        if best.is_none_or(|(_, lowest)| load < lowest) {
            best = Some((index, load));
        }
        let mut place = n_taken;
        while 0 < place && index < taken[place - 1] {
            taken[place] = taken[place - 1];
            place -= 1;
        }
        taken[place] = index;
    }
    best.map(|(index, _)| index)
}

/// Goes through the available ones and takes each with the chance that is left for it: every subset is equally
/// likely, and nothing needs to be remembered (Fan, Muller and Rezucha 1962; Knuth's algorithm S).
fn many(choices: usize, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
    let available = || (0..pool.len()).filter(|index| pool.is_available(*index));
    let mut left = available().count();
    let mut wanted = choices.min(left);
    let mut least = Lowest::default();
    for index in available() {
        if below(rng, left) < wanted {
            least.offer(index, pool.load(index), Ties::Random, rng);
            wanted -= 1;
        }
        left -= 1;
    }
    least.index()
}
