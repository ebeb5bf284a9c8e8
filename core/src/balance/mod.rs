//! Which endpoint of a pool serves an attempt.
//!
//! A balancer has no state of its own: what it needs to know it asks a [`PoolView`], lazily, so that two random choices
//! look at two loads and not at all of them. The dice are an argument; the same pool and the same dice give the
//! same endpoint. What a load *is*, is the view's business ([`load`](crate::load)): [`Least`] over the attempts in flight, over an
//! average of latency or over a score is the same algorithm.
//!
//! | Law | Test |
//! |---|---|
//! | An unavailable endpoint is never picked. | `never_picks_unavailable` |
//! | If one endpoint is available, one is picked. | `picks_whenever_one_is_available` |
//! | [`P2c`] compares two distinct endpoints, each pair of available ones equally likely. | `p2c_is_two_choices` |
//! | [`P2c`] with more choices compares that many distinct ones. | `more_choices_are_as_uniform` |
//! | [`WeightedP2c`] compares distinct ones, drawn in proportion to their weights. | `weighted_choices_are_drawn_by_weight` |
//! | [`Random`] is uniform over the available. | `random_is_uniform` |
//! | [`WeightedRandom`] is in proportion to the weights of the available. | `weighted_random_holds_weights` |
//! | [`Least`] picks a minimum. | `least_is_least` |
//! | Equal loads are equally likely, unless the first shall win. | `ties_are_fair` |
//! | [`RoundRobin`] gives every available endpoint the same number of turns, within two. | `round_robin_is_even` |
//! | [`WeightedRoundRobin`] gives each endpoint its weight in every cycle, and none more than a turn ahead of its share. | `weighted_turns_are_exact_and_smooth` |
//! | [`WeightedRoundRobin`] gives the sequences of the reference. | `golden_smooth_weighted_round_robin` |
//! | What a failure took from a weight comes back, one a pick. | `weights_drop_and_recover` |
//! | Equal pool and equal dice: equal pick. | `pure` |
//! | [`Own`]: what it picks is picked, if it is available. | `ones_own_is_asked_and_checked` |
//! | The laws find algorithms that break them. | `the_laws_find_flaws` |

mod any;
mod draw;
mod least;
mod own;
mod p2c;
mod plain;
mod random;
mod round_robin;
mod weighted_p2c;
mod weighted_random;
mod weighted_round_robin;

pub use any::AnyBalancer;
pub use least::Least;
pub use own::{Own, OwnBalancer};
pub use p2c::P2c;
pub use plain::PlainPool;
pub use random::Random;
pub use round_robin::RoundRobin;
pub use weighted_p2c::WeightedP2c;
pub use weighted_random::WeightedRandom;
pub use weighted_round_robin::{Rounds, WeightedRoundRobin};

use crate::dice::Rng;

/// What a weight of one is, as a [`PoolView`] tells it: weights are whole thousandths, so that sums of them are exact and
/// a share of a weight is a weight.
pub const WEIGHT_UNIT: u32 = 1_000;

/// An algorithm that picks an endpoint.
pub trait Balancer {
    /// The index of the endpoint to use, or none if nothing is available.
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize>;
}

/// What a balancer may know about a pool; each answer is asked for only when it matters.
///
/// The answers must not change while a pick is running. [`PlainPool`] is one made of numbers.
///
/// ```
/// use tollgate_core::balance::{Balancer, Least, PlainPool};
/// use tollgate_core::dice::Rng;
/// use tollgate_core::policy::Ties;
///
/// let pool = PlainPool::new(&[4.0, 1.0, 2.0]);
/// assert_eq!(Least::new(Ties::First).pick(&pool, &mut Rng::new(7)), Some(1));
/// ```
pub trait PoolView {
    /// How many endpoints the pool has, available or not.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the endpoint may be picked.
    fn is_available(&self, index: usize) -> bool;

    /// A number that orders endpoints; lower is better. Never NaN.
    fn load(&self, index: usize) -> f64;

    /// The endpoint's weight in units of [`WEIGHT_UNIT`]; at least 1.
    fn weight(&self, index: usize) -> u32;

    /// A counter that moves on by one per call, asked for only by [`RoundRobin`], once a pick.
    fn turn(&self) -> u64;

    /// Runs `pick` once, on whose round it is: asked for only by [`WeightedRoundRobin`], once a pick.
    ///
    /// While it runs, nobody else picks by rounds from this pool.
    fn rounds(&self, pick: &mut dyn FnMut(&mut Rounds));
}
