//! A pool as one request sees it: what a balancer compares.

use super::endpoint::EndpointState;
use super::fleet::{Fleet, PoolState};
use super::loads::Sight;
use crate::balance::{PoolView, Rounds, WEIGHT_UNIT};
use crate::id::EndpointId;
use crate::load::Ramp;
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{Needs, Policy, Pool};
use crate::time::Instant;

/// A pool as one request sees it.
pub(super) struct View<'a, M: Memory> {
    pub(super) fleet: &'a Fleet<M>,
    pub(super) policy: &'a Policy,
    pub(super) pool: &'a Pool,
    /// Its endpoints.
    pub(super) endpoints: &'a [EndpointState<M>],
    pub(super) state: &'a PoolState<M>,
    /// Every endpoint of the pool may serve this request.
    pub(super) all_able: bool,
    /// The tier that is used now; none: all of them.
    pub(super) tier: Option<u8>,
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
    fn at(&self, index: usize) -> &EndpointState<M> {
        &self.endpoints[index]
    }

    /// Whether the endpoint may serve such a request at all.
    #[inline]
    pub(super) fn is_able(&self, index: usize) -> bool {
        self.all_able || self.is_one_able(self.pool.endpoint(index))
    }

    fn is_one_able(&self, id: EndpointId) -> bool {
        let endpoint = self.policy.endpoint(id);
        let is_used = self.tier.is_none_or(|tier| tier == endpoint.tier);
        is_used && endpoint.can_serve(self.needs) && !self.avoid.contains(&id)
    }

    /// From now on only the lowest tier counts that has an available endpoint.
    #[inline]
    pub(super) fn settle_tier(&mut self) {
        if 1 < self.state.tiers.len() {
            self.find_tier();
        }
    }

    #[cold]
    fn find_tier(&mut self) {
        for tier in &self.state.tiers {
            self.tier = Some(*tier);
            if (0..self.pool.len()).any(|index| self.is_available(index)) {
                return;
            }
        }
        self.tier = None;
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
                cooling.max(self.at(index).ejected_until.read(|until| *until))
            };
            if self.now < until { until } else { Instant::FAR }
        })
        .min()
    }
}

impl<M: Memory> PoolView for View<'_, M> {
    #[inline]
    fn len(&self) -> usize {
        self.endpoints.len()
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "asked twice a pick, and a few loads each time")]
    fn is_available(&self, index: usize) -> bool {
        let state = self.at(index);
        let breaker = || self.fleet.breaker(self.policy, self.pool.endpoint(index));
        (self.full_too || state.has_permit())
            && self.is_able(index)
            && (self.panic || state.is_healthy(breaker, self.now))
            && self.fleet.scope_cools_until(state.scope) <= self.now
    }

    #[inline]
    fn load(&self, index: usize) -> f64 {
        match self.state.sight {
            Sight::Plain => f64::from(self.at(index).in_flight()),
            Sight::Live => self.fleet.load(self.policy, self.pool.endpoint(index), self.now),
            Sight::Board => self.state.board.with(|board| board.load(index)),
        }
    }

    #[inline]
    fn weight(&self, index: usize) -> u32 {
        let weight = self.at(index).weight * WEIGHT_UNIT;
        if self.pool.slow_start.is_some() {
            let share = self.fleet.share(self.policy, self.pool.endpoint(index), self.now);
            return Ramp::weight(weight, share);
        }
        weight
    }

    #[inline]
    fn turn(&self) -> u64 {
        self.state.turn.update(|turn| {
            let now = *turn;
            *turn = now.wrapping_add(1);
            now
        })
    }

    fn rounds(&self, pick: &mut dyn FnMut(&mut Rounds)) {
        self.state.rounds.with(pick);
    }
}
