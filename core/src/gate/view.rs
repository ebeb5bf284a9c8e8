//! A pool as one request sees it: what a balancer compares.

use super::endpoint::EndpointState;
use super::fleet::Fleet;
use crate::balance::PoolView;
use crate::id::EndpointId;
use crate::load::PeakEwma;
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{LoadKind, Needs, Policy, Pool};
use crate::time::Instant;

/// A pool as one request sees it.
pub(super) struct View<'a, M: Memory> {
    pub(super) fleet: &'a Fleet<M>,
    pub(super) policy: &'a Policy,
    pub(super) pool: &'a Pool,
    pub(super) turn: &'a M::Word<u64>,
    /// Every endpoint of the pool may serve this request.
    pub(super) all_able: bool,
    pub(super) needs: &'a Needs,
    /// Endpoints that this request would rather not try again.
    pub(super) avoid: &'a [EndpointId],
    pub(super) now: Instant,
    /// Too few endpoints are healthy: health is ignored.
    pub(super) panic: bool,
    /// Whether an endpoint without a free permit counts as available.
    pub(super) full_too: bool,
}

impl<M: Memory> View<'_, M> {
    #[inline]
    fn state(&self, index: usize) -> &EndpointState<M> {
        &self.fleet.endpoints[usize::from(self.pool.endpoints.start) + index]
    }

    /// Whether the endpoint may serve such a request at all.
    #[inline]
    pub(super) fn is_able(&self, index: usize) -> bool {
        self.all_able || self.is_one_able(self.pool.endpoint(index))
    }

    fn is_one_able(&self, id: EndpointId) -> bool {
        self.policy.endpoint(id).can_serve(self.needs) && !self.avoid.contains(&id)
    }

    /// The earliest instant at which a capable endpoint, none of which is available, is no longer ejected:
    /// [`Instant::FAR`] if that hangs on probes, none if no endpoint is capable.
    pub(super) fn earliest_return(&self) -> Option<Instant> {
        let able = (0..self.pool.len()).filter(|index| self.is_able(*index));
        able.map(|index| {
            let cooling = self.fleet.cooling_until(self.policy, self.pool.endpoint(index));
            let until = if self.panic {
                cooling
            } else {
                cooling.max(self.state(index).ejected_until.read(|until| *until))
            };
            if self.now < until { until } else { Instant::FAR }
        })
        .min()
    }
}

impl<M: Memory> PoolView for View<'_, M> {
    #[inline]
    fn len(&self) -> usize {
        self.pool.len()
    }

    #[inline]
    fn is_available(&self, index: usize) -> bool {
        let state = self.state(index);
        let breaker = || self.fleet.breaker(self.policy, self.pool.endpoint(index));
        (self.full_too || state.has_permit())
            && self.is_able(index)
            && (self.panic || state.is_healthy(breaker, self.now))
            && self.fleet.scope_cools_until(state.scope) <= self.now
    }

    #[inline]
    fn load(&self, index: usize) -> f64 {
        let state = self.state(index);
        let in_flight = state.in_flight();
        match self.pool.balance.load {
            LoadKind::InFlight => f64::from(in_flight),
            LoadKind::PeakEwma { decay } => {
                let law = PeakEwma::new(decay);
                state.estimate.with(|estimate| law.load(estimate, in_flight, self.now))
            }
        }
    }

    #[inline]
    fn turn(&self) -> u64 {
        self.turn.update(|turn| {
            let now = *turn;
            *turn = now.wrapping_add(1);
            now
        })
    }
}
