//! Which endpoint of a pool serves an attempt.
//!
//! A balancer is stateless: what it needs to know it asks a [`PoolView`], lazily, so that two random choices
//! look at two loads and not at all of them. The dice are an argument; the same pool and the same dice give the
//! same endpoint.
//!
//! | Law | Test |
//! |---|---|
//! | An unavailable endpoint is never picked. | `never_picks_unavailable` |
//! | If one endpoint is available, one is picked. | `picks_whenever_one_is_available` |
//! | [`P2c`] compares two distinct endpoints, each pair of available ones equally likely. | `p2c_is_two_choices` |
//! | [`P2c`] with more choices compares that many distinct ones. | `more_choices_are_as_uniform` |
//! | [`Random`] is uniform over the available. | `random_is_uniform` |
//! | [`LeastInFlight`] picks a minimum. | `least_is_least` |
//! | Equal loads are equally likely, unless the first shall win. | `ties_are_fair` |
//! | [`RoundRobin`] gives every available endpoint the same number of turns, within two. | `round_robin_is_even` |
//! | Equal pool and equal dice: equal pick. | `pure` |

mod any;
mod draw;
mod least_in_flight;
mod p2c;
mod random;
mod round_robin;

pub use any::AnyBalancer;
pub use least_in_flight::LeastInFlight;
pub use p2c::P2c;
pub use random::Random;
pub use round_robin::RoundRobin;

use crate::dice::Rng;

/// An algorithm that picks an endpoint.
pub trait Balancer {
    /// The index of the endpoint to use, or none if nothing is available.
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize>;
}

/// What a balancer may know about a pool; each answer is asked for only when it matters.
///
/// The answers must not change while a pick is running.
///
/// ```
/// use tollgate_core::balance::{Balancer, LeastInFlight, PoolView};
/// use tollgate_core::dice::Rng;
/// use tollgate_core::policy::Ties;
///
/// struct InFlight([u32; 3]);
///
/// impl PoolView for InFlight {
///     fn len(&self) -> usize {
///         self.0.len()
///     }
///     fn is_available(&self, _index: usize) -> bool {
///         true
///     }
///     fn load(&self, index: usize) -> f64 {
///         f64::from(self.0[index])
///     }
///     fn turn(&self) -> u64 {
///         0
///     }
/// }
///
/// let least = LeastInFlight::new(Ties::First);
/// assert_eq!(least.pick(&InFlight([4, 1, 2]), &mut Rng::new(7)), Some(1));
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

    /// A counter that moves on by one per call, asked for only by [`RoundRobin`], once a pick.
    fn turn(&self) -> u64;
}
