//! The health of endpoints: who is ejected and until when, who is probed, whose quota scope cools.

use super::endpoint::{Vitals, is_out};
use super::fleet::Fleet;
use super::keys::Refused;
use crate::fault::Fault;
use crate::health::{Admission, Breaker, Report};
use crate::id::EndpointId;
use crate::lifecycle::{Effect, Effects, Ejection};
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{BalanceKind, Policy};
use crate::queue::Permit;
use crate::time::Instant;

impl<M: Memory> Fleet<M> {
    /// An active probe has been answered. One that was asked for under another policy may be of no endpoint here.
    pub(crate) fn judge(&self, policy: &Policy, endpoint: EndpointId, ok: bool, now: Instant, effects: &mut Effects) {
        let Some(asked) = policy.endpoints.get(endpoint.index()) else {
            return;
        };
        let Some(probing) = &self.pools[asked.pool.index()].probing else {
            return;
        };
        self.update_vitals(policy, endpoint, now, effects, |_, vitals| {
            let _turn = probing.judge(&mut vitals.probing, ok);
        });
    }

    pub(super) fn schedule_probe(&self, endpoint: EndpointId, at: Instant) {
        self.endpoints[endpoint.index()].probe_due.update(|due| *due = at);
    }

    /// Does what is due by the clock alone, probes and sweeps; returns when the next is, if that is news.
    pub(super) fn rounds(&self, policy: &Policy, now: Instant, effects: &mut Effects) -> Option<Instant> {
        let sweep = self.sweep_due(policy, now, effects);
        let next = self.probe_due(policy, now, effects).min(sweep);
        let is_news = self.next_round.update(|told| {
            let is_news = *told != next;
            *told = next;
            is_news
        });
        is_news.then_some(next)
    }

    /// Asks for every active probe that is due; returns when the next one is.
    fn probe_due(&self, policy: &Policy, now: Instant, effects: &mut Effects) -> Instant {
        let mut next = Instant::FAR;
        for (at, state) in self.endpoints.iter().enumerate() {
            let Some(probe) = &policy.pool(policy.endpoints[at].pool).probe else {
                continue;
            };
            let (is_due, due) = state.probe_due.update(|due| {
                let is_due = *due <= now;
                if is_due {
                    // By whole periods, so that a late wake-up does not shift the rhythm.
                    let periods = now.since(*due).as_nanos() / probe.every.as_nanos().max(1) + 1;
                    *due += probe.every * periods;
                }
                (is_due, *due)
            });
            if is_due {
                effects.push(Effect::Probe {
                    endpoint: EndpointId::at(at),
                });
            }
            next = next.min(due);
        }
        next
    }

    /// Whether `endpoint` may be handed to somebody who waits.
    pub(super) fn may_serve(&self, policy: &Policy, endpoint: EndpointId, now: Instant) -> bool {
        let state = &self.endpoints[endpoint.index()];
        let healthy = self.panics(policy.endpoint(endpoint).pool, policy)
            || state.is_healthy(|| self.breaker(policy, endpoint), now);
        healthy && self.cooling_until(policy, endpoint) <= now
    }

    /// Turns a permit that was taken into one that health agrees with; with `panic`, health is not asked.
    pub(super) fn admit(
        &self,
        policy: &Policy,
        endpoint: EndpointId,
        panic: bool,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Permit> {
        let state = &self.endpoints[endpoint.index()];
        if state.ejected_until.read(|until| *until) == Instant::EPOCH {
            return Some(Permit { endpoint, probe: None });
        }
        let breaker = self.breaker(policy, endpoint);
        let (admission, until) = state.vitals.with(|vitals| {
            if !panic && !vitals.probing.is_up() {
                let until = Instant::FAR;
                return (Admission::No { until }, until);
            }
            let admission = breaker.admit(&mut vitals.health, now);
            let until = vitals.ejected_until(breaker);
            state.ejected_until.update(|ejected| *ejected = until);
            (admission, until)
        });
        let is_probe = matches!(admission, Admission::Probe(_));
        if is_probe && now < until && !until.is_far() && self.pools[state.pool.index()].queues {
            // Whoever else waits may be the next to try it.
            effects.push(Effect::WakeGateAt { at: until });
        }
        match admission {
            Admission::Yes => Some(Permit { endpoint, probe: None }),
            Admission::Probe(slot) => Some(Permit {
                endpoint,
                probe: Some(slot),
            }),
            Admission::No { .. } => panic.then_some(Permit { endpoint, probe: None }),
        }
    }

    /// A failure makes the endpoint look slow, and one of the account cools every endpoint of it; one of a key, of which
    /// the endpoint has others that are free, cools that key alone.
    pub(super) fn faulted(
        &self,
        policy: &Policy,
        endpoint: EndpointId,
        refused: Refused,
        now: Instant,
        effects: &mut Effects,
    ) {
        let shape = policy.endpoint(endpoint);
        let cools = refused.cools_until(now);
        let until = cools.and_then(|until| self.scope_cools(shape, endpoint, refused, until, now));
        if refused.fault != Fault::Client {
            // What another key does not wait for does not make the endpoint slow.
            let has_another = cools.is_some() && until.is_none();
            let wait = refused.retry_after.filter(|_| !has_another);
            self.penalize(policy, endpoint, wait, now);
        }
        if Report::of(refused.fault) == Report::Failure {
            self.lose_weight(policy, endpoint);
        }
        let Some(until) = until else {
            return;
        };
        let scope = &self.scopes[shape.scope.index()];
        // The later deadline is kept: asking again must not shorten what the provider said before.
        let moved = scope.cooling_until.update(|cooling| {
            let moved = *cooling < until;
            *cooling = until.max(*cooling);
            moved
        });
        if moved {
            effects.push(Effect::Eject {
                endpoint,
                ejection: Ejection::RetryAfter,
                until,
            });
            if scope.queues {
                effects.push(Effect::WakeGateAt { at: until });
            }
        }
    }

    /// A failure takes a part of the weight that smooth weighted round robin goes by.
    fn lose_weight(&self, policy: &Policy, endpoint: EndpointId) {
        let state = &self.endpoints[endpoint.index()];
        let pool = policy.pool(state.pool);
        if let BalanceKind::WeightedRoundRobin { max_fails } = pool.balance.kind {
            let index = endpoint.index() - usize::from(pool.endpoints.start);
            let rounds = &self.pools[state.pool.index()].rounds;
            rounds.with(|rounds| rounds.fail(pool.len(), index, state.weight, max_fails));
        }
    }

    /// Changes the health of `endpoint`, and tells whoever needs to know.
    pub(super) fn update_vitals(
        &self,
        policy: &Policy,
        endpoint: EndpointId,
        now: Instant,
        effects: &mut Effects,
        change: impl FnOnce(&Breaker, &mut Vitals),
    ) {
        let state = &self.endpoints[endpoint.index()];
        let id = state.pool;
        let pool = &self.pools[id.index()];
        let (before, after, ejection, longer) = state.vitals.with(|vitals| {
            let before = vitals.ejected_until(&pool.breaker);
            let trips = vitals.trips(&pool.breaker);
            change(&pool.breaker, vitals);
            let after = vitals.ejected_until(&pool.breaker);
            if before != after {
                state.ejected_until.update(|until| *until = after);
                let (was, is) = (u64::from(is_out(before)), u64::from(is_out(after)));
                pool.unhealthy.update(|count| *count = *count + is - was);
            }
            let why = match (vitals.probing.is_up(), vitals.suspect.ejected_until()) {
                (false, _) => Ejection::Probe,
                (true, Instant::EPOCH) => Ejection::Tripped,
                (true, _) => Ejection::Outlier,
            };
            let longer = is_out(before) && !before.is_far() && trips == vitals.trips(&pool.breaker);
            (before, after, why, longer)
        });
        if before == after || !is_out(before) && !is_out(after) {
            return;
        }
        if !is_out(after) {
            state.restored_at.update(|at| *at = now.max(*at));
            effects.push(Effect::Restore { endpoint });
        } else if now < after {
            if !longer || ejection == Ejection::Probe {
                effects.push(Effect::Eject {
                    endpoint,
                    ejection,
                    until: after,
                });
            }
            if pool.queues && !after.is_far() {
                effects.push(Effect::WakeGateAt { at: after });
            }
        }
        // Either this endpoint may serve again, or with it so many may not that now all may.
        if after <= now || self.panics(id, policy) {
            self.drain(policy, id, now, effects);
        }
    }
}
