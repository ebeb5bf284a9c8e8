//! The balancer that a policy names.

use super::{Balancer, LeastInFlight, P2c, PoolView, Random, RoundRobin};
use crate::dice::Rng;
use crate::policy::{Balance, BalanceKind};

/// Any of the balancers; a jump, not a vtable.
///
/// ```
/// use tollgate_core::balance::{AnyBalancer, RoundRobin};
/// use tollgate_core::policy::{Balance, BalanceKind, LoadKind, Ties};
///
/// let balance = Balance { kind: BalanceKind::RoundRobin, load: LoadKind::InFlight, ties: Ties::Random };
/// assert_eq!(AnyBalancer::new(&balance), AnyBalancer::RoundRobin(RoundRobin));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyBalancer {
    /// Each in turn.
    RoundRobin(RoundRobin),
    /// Any, equally likely.
    Random(Random),
    /// The least loaded of all.
    LeastInFlight(LeastInFlight),
    /// The least loaded of a few drawn at random.
    P2c(P2c),
}

impl AnyBalancer {
    /// The balancer that `balance` names. What it compares is the pool view's business.
    #[must_use]
    pub fn new(balance: &Balance) -> AnyBalancer {
        match balance.kind {
            BalanceKind::RoundRobin => AnyBalancer::RoundRobin(RoundRobin),
            BalanceKind::Random => AnyBalancer::Random(Random),
            BalanceKind::LeastInFlight => AnyBalancer::LeastInFlight(LeastInFlight::new(balance.ties)),
            BalanceKind::P2c { choices } => AnyBalancer::P2c(P2c::new(choices)),
        }
    }
}

impl Balancer for AnyBalancer {
    #[inline]
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        match self {
            AnyBalancer::RoundRobin(balancer) => balancer.pick(pool, rng),
            AnyBalancer::Random(balancer) => balancer.pick(pool, rng),
            AnyBalancer::LeastInFlight(balancer) => balancer.pick(pool, rng),
            AnyBalancer::P2c(balancer) => balancer.pick(pool, rng),
        }
    }
}
