//! Backups: the endpoints of a tier are used while none of a lower tier is available.
//!
//! As with nginx's `backup`, an endpoint without a free permit is not available: a full tier spills over at once,
//! before anybody waits. A second pool of the route is what is used only when nobody else may wait.
//!
//! Health is ignored (the panic threshold) only if every tier has too few healthy endpoints: while a backup is fit, those that
//! fail are left alone.

use alloc::vec::Vec;
use core::ops::Range;

use super::endpoint::is_out;
use super::fleet::Fleet;
use crate::id::{EndpointId, PoolId};
use crate::memory::{Memory, Slot};
use crate::policy::{Endpoint, Policy, Pool};

/// The tiers that `endpoints` have, lowest first.
pub(super) fn tiers(endpoints: &[Endpoint]) -> Vec<u8> {
    let mut tiers: Vec<u8> = endpoints.iter().map(|endpoint| endpoint.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers
}

/// The endpoints of `pool`, lowest tier first.
pub(super) fn in_order<'a>(
    policy: &'a Policy,
    pool: &'a Pool,
    tiers: &'a [u8],
) -> impl Iterator<Item = EndpointId> + 'a {
    tiers.iter().flat_map(move |tier| {
        let here: Range<u16> = pool.endpoints.clone();
        // With one tier there is nothing to look up.
        here.map(EndpointId)
            .filter(move |id| tiers.len() == 1 || policy.endpoint(*id).tier == *tier)
    })
}

impl<M: Memory> Fleet<M> {
    /// Whether so few endpoints are healthy that health is ignored.
    #[inline]
    pub(super) fn panics(&self, pool: PoolId, policy: &Policy) -> bool {
        let unhealthy = self.pools[pool.index()].unhealthy.read(|count| *count);
        unhealthy != 0 && self.panics_without(unhealthy, pool, policy)
    }

    #[cold]
    fn panics_without(&self, unhealthy: u64, pool: PoolId, policy: &Policy) -> bool {
        let state = &self.pools[pool.index()];
        let pool = policy.pool(pool);
        if state.tiers.len() <= 1 {
            return is_below(pool, pool.len(), unhealthy);
        }
        state.tiers.iter().all(|tier| {
            let members = || {
                pool.endpoints
                    .clone()
                    .map(EndpointId)
                    .filter(|id| policy.endpoint(*id).tier == *tier)
            };
            let is_unhealthy = |id: &EndpointId| {
                let until = self.endpoints[id.index()].ejected_until.read(|until| *until);
                is_out(until)
            };
            is_below(pool, members().count(), members().filter(is_unhealthy).count() as u64)
        })
    }
}

/// Whether `unhealthy` of `all` endpoints leave fewer than the panic threshold of `pool` asks for.
fn is_below(pool: &Pool, all: usize, unhealthy: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "at most 65,535 endpoints")]
    let (all, unhealthy) = (all as f64, unhealthy as f64);
    all - unhealthy < f64::from(pool.panic_below) * all
}
