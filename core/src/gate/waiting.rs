//! Waiting for a permit: how one comes back while somebody waits, and how waiters are woken.
//!
//! The permit word has a waiting bit: somebody waits whom this endpoint could serve. It is set and cleared under the
//! queue's lock; a permit that comes back to a word with the bit set stays out and is handed over under the lock.
//! It is set before the waiter's last look at the endpoint, so that neither a permit nor a half-open breaker's probe
//! can come back unseen between that look and the entry into the queue;
//! nobody who has just arrived overtakes those who wait, and nobody is kept from an endpoint that no waiter can use.
//!
//! An endpoint that comes back by itself (a breaker is due for a probe, a Retry-After has passed) is handed out by
//! [`Fleet::drain`] when the gate is woken. A thread that is late may still think it away after that: the queue
//! remembers the latest instant that it was looked at, and nobody looks at it with an earlier one.

use super::fleet::Fleet;
use super::tiers::in_order;
use crate::id::{EndpointId, PoolId, TenantId};
use crate::lifecycle::{Effect, Effects, Verdict as Wait};
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{Needs, Policy};
use crate::queue::{Claim, Permit, Place, Removal, WaitQueue, Waiter, vtc_cost};
use crate::time::Instant;
use crate::usage::{Estimate, Usage};

/// The answer to a wish to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A permit came back in the meantime.
    Admitted(Permit),
    /// It waits here.
    Waits(Place),
    /// Nobody else may wait.
    Full,
}

impl<M: Memory> Fleet<M> {
    /// Lets a request wait for a permit of `pool`, after [`Acquired::Full`](super::Acquired::Full).
    pub(crate) fn enqueue(
        &self,
        policy: &Policy,
        pool: PoolId,
        waiter: Waiter,
        now: Instant,
        effects: &mut Effects,
    ) -> Entry {
        let state = &self.pools[pool.index()];
        if !state.queues {
            return Entry::Full;
        }
        state.queue.with(|queue| {
            if !queue.has_room() {
                return Entry::Full;
            }
            let now = queue.not_before(now);
            for endpoint in in_order(policy, policy.pool(pool), &state.tiers) {
                if !policy.endpoint(endpoint).can_serve(&waiter.needs) {
                    continue;
                }
                // Marked before it is looked at: whatever comes back after the look finds the mark.
                let at = &self.endpoints[endpoint.index()];
                let others_wait = at.mark_waiting();
                if others_wait || !self.may_serve(policy, endpoint, now) || !at.take_for_waiter() {
                    continue;
                }
                if let Some(permit) = self.admit(policy, endpoint, self.panics(pool, policy), now, effects) {
                    self.unmark(policy, pool, queue);
                    return Entry::Admitted(permit);
                }
                at.put_back();
            }
            queue.push(now, waiter).map_or(Entry::Full, Entry::Waits)
        })
    }

    /// Takes a waiter out of the queue of `pool`.
    pub(crate) fn leave(&self, policy: &Policy, pool: PoolId, place: Place) -> Removal {
        self.pools[pool.index()].queue.with(|queue| {
            let removal = queue.remove(place);
            self.unmark(policy, pool, queue);
            removal
        })
    }

    /// Takes up the permit that a waiter of `pool` was told of.
    pub(crate) fn claim(&self, pool: PoolId, place: Place) -> Claim {
        self.pools[pool.index()].queue.with(|queue| queue.claim(place))
    }

    /// Tells the queue of `endpoint`'s pool, if it counts what tenants are served, of an attempt that did not wait.
    #[inline]
    pub(crate) fn count(&self, policy: &Policy, endpoint: EndpointId, tenant: TenantId, estimate: Estimate) {
        let pool = self.endpoints[endpoint.index()].pool;
        let order = &policy.pool(pool).queue.order;
        if order.counts() {
            let (weight, cost) = (policy.weight(tenant), order.cost(estimate));
            self.pools[pool.index()]
                .queue
                .with(|queue| queue.pass(tenant, weight, cost));
        }
    }

    /// Tells the same queue that an attempt of `estimate` has used `used`.
    #[inline]
    pub(crate) fn true_up(
        &self,
        policy: &Policy,
        endpoint: EndpointId,
        tenant: TenantId,
        estimate: Estimate,
        used: Usage,
    ) {
        let pool = self.endpoints[endpoint.index()].pool;
        let order = &policy.pool(pool).queue.order;
        if order.counts() {
            let (charged, used) = (order.cost(estimate), vtc_cost(used));
            self.pools[pool.index()]
                .queue
                .with(|queue| queue.settle(tenant, charged, used));
        }
    }

    /// A permit comes back: to the endpoint, or to whoever waits for it.
    pub(super) fn free(&self, policy: &Policy, endpoint: EndpointId, now: Instant, effects: &mut Effects) {
        if self.endpoints[endpoint.index()].give_back() {
            return;
        }
        let pool = policy.endpoint(endpoint).pool;
        self.pools[pool.index()].queue.with(|queue| {
            let now = queue.not_before(now);
            if !self.may_serve(policy, endpoint, now) || !self.hand_over(policy, endpoint, queue, now, effects) {
                self.endpoints[endpoint.index()].put_back();
            }
            self.unmark(policy, pool, queue);
        });
    }

    /// Hands every free permit of `pool` to those who wait for one.
    pub(super) fn drain(&self, policy: &Policy, pool: PoolId, now: Instant, effects: &mut Effects) {
        let state = &self.pools[pool.index()];
        if !state.queues {
            return;
        }
        self.publish(policy, pool, now);
        state.queue.with(|queue| {
            let now = queue.not_before(now);
            for endpoint in in_order(policy, policy.pool(pool), &state.tiers) {
                while 0 < queue.waiting()
                    && self.may_serve(policy, endpoint, now)
                    && self.endpoints[endpoint.index()].take_for_waiter()
                {
                    if !self.hand_over(policy, endpoint, queue, now, effects) {
                        self.endpoints[endpoint.index()].put_back();
                        break;
                    }
                }
            }
            self.unmark(policy, pool, queue);
        });
    }

    /// How many wait in `pool`.
    pub(super) fn waiting(&self, pool: PoolId) -> u32 {
        self.pools[pool.index()].queue.with(|queue| queue.waiting())
    }

    /// Hands a permit of `endpoint`, which is out, to the first that can use it.
    fn hand_over(
        &self,
        policy: &Policy,
        endpoint: EndpointId,
        queue: &mut WaitQueue,
        now: Instant,
        effects: &mut Effects,
    ) -> bool {
        let pool = policy.endpoint(endpoint).pool;
        let Some(permit) = self.admit(policy, endpoint, self.panics(pool, policy), now, effects) else {
            return false;
        };
        let told = |request, verdict| effects.push(Effect::Notify { request, verdict });
        let can_serve = |needs: &Needs| policy.endpoint(endpoint).can_serve(needs);
        let granted = queue.grant(now, permit, can_serve, told);
        let Some(request) = granted else {
            self.call_off(policy, permit);
            return false;
        };
        effects.push(Effect::Notify {
            request,
            verdict: Wait::Admitted,
        });
        true
    }

    /// A permit that was agreed to is not used after all: a probe's place comes back.
    fn call_off(&self, policy: &Policy, permit: Permit) {
        let breaker = self.breaker(policy, permit.endpoint);
        let state = &self.endpoints[permit.endpoint.index()];
        state.vitals.with(|vitals| {
            breaker.release(&mut vitals.health, permit.probe);
            let until = vitals.ejected_until(breaker);
            state.ejected_until.update(|ejected| *ejected = until);
        });
    }

    /// Clears the waiting bit of every endpoint that nobody waits for any more.
    fn unmark(&self, policy: &Policy, pool: PoolId, queue: &WaitQueue) {
        if self.pools[pool.index()].alike && 0 < queue.waiting() {
            return;
        }
        for endpoint in endpoints(policy, pool) {
            let permits = &self.endpoints[endpoint.index()].permits;
            let is_marked = permits.read(|permits| permits.waiting);
            if is_marked && !queue.has_waiter(|needs| policy.endpoint(endpoint).can_serve(needs)) {
                permits.update(|permits| permits.waiting = false);
            }
        }
    }
}

fn endpoints(policy: &Policy, pool: PoolId) -> impl Iterator<Item = EndpointId> {
    policy.pool(pool).endpoints.clone().map(EndpointId)
}
