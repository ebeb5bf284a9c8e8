//! From a route to an endpoint, and the launch of an attempt there.

use super::attempts::Attempt;
use super::{Effect, Lifecycle, Phase, Refusal, Turn};
use crate::dice::Purpose;
use crate::gate::{Acquired, Wish};
use crate::id::{AttemptId, PoolId};
use crate::memory::Memory;
use crate::queue::Permit;
use crate::time::Instant;

/// Why an attempt is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    First,
    Retry,
    Hedge,
    Fallback,
}

impl Lifecycle {
    /// Looks for an endpoint for the first attempt, pool by pool from `first` on.
    pub(super) fn enter<M: Memory>(&mut self, turn: &mut Turn<'_, M>, first: u8) {
        if self.total_at <= turn.now {
            return self.run_out(turn);
        }
        let route = self.route(turn);
        for at in usize::from(first)..route.pools.len() {
            let pool = route.nth_pool(at, self.dice);
            self.pool_at = u8::try_from(at).expect("a checked policy bounds the pools of a route");
            if self.is_turned_away(turn, pool, self.pool_at) {
                self.note(Refusal::Shed);
                continue;
            }
            match self.acquire(turn, pool, false) {
                Acquired::Yes(permit) => return self.launch(turn, permit, Kind::First),
                Acquired::Full => {
                    if self.queue(turn, pool) {
                        return;
                    }
                    self.note(Refusal::QueueFull);
                }
                Acquired::None { until } => self.note_none(until),
            }
        }
        let refusal = self.met.expect("every pool that does not take it says why");
        self.refuse(turn, refusal);
    }

    /// Whether the throttle of `pool`, the route's at `place`, turns the next attempt away. Asked once an attempt and pool:
    /// whoever is turned away is counted.
    pub(super) fn is_turned_away<M: Memory>(&self, turn: &Turn<'_, M>, pool: PoolId, place: u8) -> bool {
        let key = u32::from(self.outcome.attempts) << 8 | u32::from(place);
        let roll = || self.dice.roll(Purpose::Throttle, key);
        turn.gate.fleet.turns_away(pool, turn.now, roll)
    }

    /// Wishes for an endpoint of `pool`; with `elsewhere`, for one that has not been tried.
    pub(super) fn acquire<M: Memory>(&self, turn: &mut Turn<'_, M>, pool: PoolId, elsewhere: bool) -> Acquired {
        let mut rng = self.dice.roll(Purpose::Balance, u32::from(self.outcome.attempts));
        let gate = turn.gate;
        let wish = self.wish(pool, elsewhere);
        let acquired = gate
            .fleet
            .acquire(gate.policy(), wish, turn.now, &mut rng, turn.effects);
        if let Acquired::Yes(permit) = acquired {
            self.count(turn, permit);
        }
        acquired
    }

    /// Tells a fair queue of a permit that was had without waiting.
    pub(super) fn count<M: Memory>(&self, turn: &Turn<'_, M>, permit: Permit) {
        let gate = turn.gate;
        let (tenant, estimate) = (self.request.tenant, self.request.estimate);
        gate.fleet.count(gate.policy(), permit.endpoint, tenant, estimate);
    }

    /// What it asks of `pool`; with `elsewhere`, of endpoints that have not been tried.
    pub(super) fn wish(&self, pool: PoolId, elsewhere: bool) -> Wish<'_> {
        Wish {
            pool,
            needs: &self.request.needs,
            avoid: if elsewhere { self.attempts.tried() } else { &[] },
        }
    }

    /// Launches an attempt where `permit` says.
    pub(super) fn launch<M: Memory>(&mut self, turn: &mut Turn<'_, M>, permit: Permit, kind: Kind) {
        let route = self.route(turn);
        let id = AttemptId(self.outcome.attempts);
        self.outcome.attempts += 1;
        match kind {
            Kind::First => {
                self.outcome.admitted = turn.now;
                self.outcome.launched = turn.now;
                self.outcome.fallbacks += u8::from(0 < self.pool_at);
                if let Some(route) = self.request.class.route {
                    turn.gate.budgets.deposit(route, turn.now);
                }
            }
            Kind::Retry => {
                self.outcome.retries += 1;
                self.holds.retry = Some(id);
            }
            Kind::Hedge => self.outcome.hedges += 1,
            Kind::Fallback => self.outcome.fallbacks += 1,
        }
        self.phase = Phase::Racing;
        self.attempts
            .insert(Attempt::new(id, permit, turn.now, self.request.stream, &route.timeouts));
        self.plan_hedge(turn);
        let gate = turn.gate;
        gate.fleet
            .launched(gate.policy(), permit.endpoint, self.request.estimate, turn.now);
        turn.effects.push(Effect::Launch {
            attempt: id,
            endpoint: permit.endpoint,
        });
    }

    /// The pool being tried.
    pub(super) fn pool<M: Memory>(&self, turn: &Turn<'_, M>) -> PoolId {
        self.route(turn).nth_pool(usize::from(self.pool_at), self.dice)
    }

    /// Remembers why a pool did not take the request. What a client can wait for outweighs what it cannot.
    pub(super) fn note(&mut self, refusal: Refusal) {
        let weight = |refusal: &Refusal| match refusal {
            Refusal::TooLarge { .. } => 0,
            Refusal::NoEndpoint { .. } => 1,
            Refusal::QueueFull => 2,
            Refusal::QueueTimeout | Refusal::Shed => 3,
            Refusal::Limited { .. }
            | Refusal::NoRoute
            | Refusal::OutOfAttempts { .. }
            | Refusal::Deadline
            | Refusal::Unauthorized => unreachable!("no pool says this"),
        };
        self.met = Some(match (self.met, refusal) {
            (Some(Refusal::NoEndpoint { until: one }), Refusal::NoEndpoint { until: other }) => Refusal::NoEndpoint {
                // The smallest of the candidates' Retry-After.
                until: one.min(other),
            },
            (Some(met), refusal) if weight(&refusal) < weight(&met) => met,
            (_, refusal) => refusal,
        });
    }

    pub(super) fn note_none(&mut self, until: Option<Instant>) {
        self.note(match until {
            Some(until) => Refusal::NoEndpoint { until },
            None => Refusal::TooLarge { limit: None },
        });
    }
}
