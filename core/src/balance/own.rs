//! A balancer of one's own.

use core::fmt;

use super::{Balancer, PoolView};
use crate::dice::Rng;

/// A balancer that a program brings along, to be put into a policy as
/// [`BalanceKind::Own`](crate::policy::BalanceKind::Own): gate and simulator then pick by it.
///
/// It may be asked by many threads. A state of its own would be shared by every pool that picks by it and by every
/// simulation that runs beside; whatever differs between pools is to be asked of the pool. Chance comes from `rng`, so
/// that equal dice give equal picks.
///
/// `laws::balance` (feature `laws`) holds it to the laws of core's own.
///
/// ```
/// use tollgate_core::balance::{Balancer, Own, OwnBalancer, PlainPool, PoolView};
/// use tollgate_core::dice::Rng;
///
/// /// The last that is available.
/// struct Last;
///
/// impl OwnBalancer for Last {
///     fn name(&self) -> &'static str {
///         "last"
///     }
///     fn pick(&self, pool: &dyn PoolView, _rng: &mut Rng) -> Option<usize> {
///         (0..pool.len()).rev().find(|index| pool.is_available(*index))
///     }
/// }
///
/// let pool = PlainPool::alike(3).with_available(&[true, true, false]);
/// assert_eq!(Own(&Last).pick(&pool, &mut Rng::new(7)), Some(1));
/// ```
pub trait OwnBalancer: Send + Sync {
    /// What it is called, where a policy is shown.
    fn name(&self) -> &'static str;

    /// The index of the endpoint to use, or none if nothing is available.
    fn pick(&self, pool: &dyn PoolView, rng: &mut Rng) -> Option<usize>;
}

/// A balancer of one's own, as part of a policy: equal to another if it is the same one.
#[derive(Clone, Copy)]
pub struct Own(pub &'static dyn OwnBalancer);

impl Balancer for Own {
    /// An endpoint that may not be picked is not: what is none of the available ones counts as none.
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        let picked = self.0.pick(pool, rng);
        picked.filter(|index| *index < pool.len() && pool.is_available(*index))
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        // Balancers without fields may share an address.
        core::ptr::addr_eq(self.0, other.0) && self.0.name() == other.0.name()
    }
}

impl Eq for Own {}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Own").field(&self.0.name()).finish()
    }
}
