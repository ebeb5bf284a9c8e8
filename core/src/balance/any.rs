//! The balancer that a policy names.

use super::{Balancer, Least, Own, P2c, PoolView, Random, RoundRobin, WeightedP2c, WeightedRandom, WeightedRoundRobin};
use crate::dice::Rng;
use crate::policy::{Balance, BalanceKind};

/// Any of the balancers; a jump, not a vtable.
///
/// ```
/// use tollgate_core::balance::{AnyBalancer, RoundRobin};
/// use tollgate_core::policy::{Balance, BalanceKind, LoadKind, Ties};
/// use tollgate_core::time::Nanos;
///
/// let balance = Balance {
///     kind: BalanceKind::RoundRobin,
///     load: LoadKind::InFlight,
///     ties: Ties::Random,
///     staleness: Nanos::ZERO,
/// };
/// assert_eq!(AnyBalancer::new(&balance), AnyBalancer::RoundRobin(RoundRobin));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyBalancer {
    /// Each in turn.
    RoundRobin(RoundRobin),
    /// Each in turn, in proportion to its weight.
    WeightedRoundRobin(WeightedRoundRobin),
    /// Any, equally likely.
    Random(Random),
    /// Any, in proportion to its weight.
    WeightedRandom(WeightedRandom),
    /// The least loaded of all.
    Least(Least),
    /// The least loaded of a few drawn at random.
    P2c(P2c),
    /// The least loaded of a few drawn by weight.
    WeightedP2c(WeightedP2c),
    /// One that a program brought along.
    Own(Own),
}

impl AnyBalancer {
    /// The balancer that `balance` names. What it compares is the pool view's business.
    #[must_use]
    pub fn new(balance: &Balance) -> AnyBalancer {
        match balance.kind {
            BalanceKind::RoundRobin => AnyBalancer::RoundRobin(RoundRobin),
            BalanceKind::WeightedRoundRobin { .. } => AnyBalancer::WeightedRoundRobin(WeightedRoundRobin),
            BalanceKind::Random => AnyBalancer::Random(Random),
            BalanceKind::WeightedRandom => AnyBalancer::WeightedRandom(WeightedRandom),
            BalanceKind::Least => AnyBalancer::Least(Least::new(balance.ties)),
            BalanceKind::P2c { choices } => AnyBalancer::P2c(P2c::new(choices)),
            BalanceKind::WeightedP2c { choices } => AnyBalancer::WeightedP2c(WeightedP2c::new(choices)),
            BalanceKind::Own(own) => AnyBalancer::Own(own),
        }
    }
}

impl Balancer for AnyBalancer {
    #[inline]
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        match self {
            AnyBalancer::RoundRobin(balancer) => balancer.pick(pool, rng),
            AnyBalancer::WeightedRoundRobin(balancer) => balancer.pick(pool, rng),
            AnyBalancer::Random(balancer) => balancer.pick(pool, rng),
            AnyBalancer::WeightedRandom(balancer) => balancer.pick(pool, rng),
            AnyBalancer::Least(balancer) => balancer.pick(pool, rng),
            AnyBalancer::P2c(balancer) => balancer.pick(pool, rng),
            AnyBalancer::WeightedP2c(balancer) => balancer.pick(pool, rng),
            AnyBalancer::Own(balancer) => balancer.pick(pool, rng),
        }
    }
}
