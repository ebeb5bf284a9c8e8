//! Endpoints as they are now: who is picked, who is ejected, whose permits are out.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::endpoint::{EndpointState, is_out};
use super::keys::{Refused, keys};
use super::loads::{Board, Sight};
use super::outlier::Watch;
use super::snapshot::EndpointSnapshot;
use super::throttles::Throttled;
use super::tiers::tiers;
use super::view::View;
use crate::balance::{AnyBalancer, Balancer, PoolView, Rounds};
use crate::dice::Rng;
use crate::fault::Fault;
use crate::health::{Answer, Breaker, Keys, Probing, Report};
use crate::id::{EndpointId, KeyId, PoolId, ScopeId};
use crate::lifecycle::{Effects, Status};
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{BreakerKind, Capability, Endpoint, Needs, Policy, Pool};
use crate::queue::{Permit, WaitQueue};
use crate::time::{Instant, Nanos};

/// Every endpoint and pool, as they are now.
pub(crate) struct Fleet<M: Memory> {
    pub(super) endpoints: Vec<EndpointState<M>>,
    pub(super) pools: Vec<PoolState<M>>,
    pub(super) scopes: Vec<ScopeState<M>>,
    /// The keys of endpoints that have several; empty if none has.
    pub(super) keys: Vec<Option<M::Block<Keys>>>,
    /// When the next active probe or sweep is due, as the driver was told.
    pub(super) next_round: M::Word<Instant>,
}

/// What the endpoints of a quota scope share.
pub(super) struct ScopeState<M: Memory> {
    /// Until when it is left alone.
    pub(super) cooling_until: M::Word<Instant>,
    /// Whether requests may wait for one of its endpoints.
    pub(super) queues: bool,
}

/// What the endpoints of a pool share.
pub(super) struct PoolState<M: Memory> {
    balancer: AnyBalancer,
    pub(super) breaker: Breaker,
    pub(super) probing: Option<Probing>,
    /// Where outliers are ejected.
    pub(super) watch: Option<Watch<M>>,
    /// Who is turned away, where anybody may be.
    pub(super) throttle: Option<Box<Throttled<M>>>,
    /// Moves on by one per round-robin pick.
    pub(super) turn: M::Word<u64>,
    /// Where smooth weighted round robin stands.
    pub(super) rounds: M::Block<Rounds>,
    /// What balancers see instead of loads, if they do.
    pub(super) board: M::Block<Board>,
    pub(super) sight: Sight,
    /// The tiers of its endpoints, lowest first.
    pub(super) tiers: Vec<u8>,
    /// How many endpoints are ejected for failing.
    pub(super) unhealthy: M::Word<u64>,
    pub(super) queue: M::Block<WaitQueue>,
    pub(super) queues: bool,
    /// Every endpoint can do everything.
    uniform: bool,
    /// What one endpoint can serve all can: whoever waits, waits for all of them.
    pub(super) alike: bool,
}

/// A wish for an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// Of which pool.
    pub(crate) pool: PoolId,
    /// What it must be able to do.
    pub(crate) needs: &'a Needs,
    /// Endpoints that do not count.
    pub(crate) avoid: &'a [EndpointId],
}

/// The answer to a wish for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// This one; the permit is taken.
    Yes(Permit),
    /// Some could serve, but all their permits are out.
    Full,
    /// None can serve now; the earliest that could again, if that is known.
    None {
        /// When; [`Instant::FAR`] if only an active probe can tell, nothing if no endpoint is able at all.
        until: Option<Instant>,
    },
}

/// What a wish for an endpoint would be answered, without making it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// An endpoint could be had.
    Ready,
    /// All permits are out.
    Full,
    /// Not before this instant.
    Until(Instant),
    /// Nobody can tell when, or never.
    Never,
}

/// What became of an attempt, in the words of those who share its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptVerdict {
    /// It answered completely.
    Success {
        /// From launch to first token.
        latency: Nanos,
    },
    /// It failed.
    Fault {
        /// How.
        fault: Fault,
        /// What it was answered, if it was.
        status: Option<Status>,
        /// The key that it used.
        key: KeyId,
        /// When the endpoint wants to be asked again.
        retry_after: Option<Nanos>,
    },
    /// It was called off.
    Ignore,
}

/// Races that a pick may lose before the pool counts as full.
const MOST_RACES: usize = 8;

impl<M: Memory> Fleet<M> {
    /// The endpoints of `policy`, never used.
    #[must_use]
    pub(crate) fn new(policy: &Policy) -> Fleet<M> {
        let pools: Vec<PoolState<M>> = policy.pools.iter().map(|pool| PoolState::new(policy, pool)).collect();
        let state = |endpoint: &Endpoint| {
            let pool = endpoint.pool;
            EndpointState::new(endpoint, &pools[pool.index()].breaker, policy.pool(pool))
        };
        Fleet {
            endpoints: policy.endpoints.iter().map(state).collect(),
            scopes: (0..policy.scopes.len())
                .map(|at| ScopeState::new(policy, ScopeId::at(at)))
                .collect(),
            keys: keys::<M>(policy),
            next_round: M::Word::new(Instant::FAR),
            pools,
        }
    }

    /// Picks an endpoint and takes one of its permits.
    pub(crate) fn acquire(
        &self,
        policy: &Policy,
        wish: Wish<'_>,
        now: Instant,
        rng: &mut Rng,
        effects: &mut Effects,
    ) -> Acquired {
        self.publish(policy, wish.pool, now);
        let mut view = self.view(policy, wish, now);
        let balancer = &self.pools[wish.pool.index()].balancer;
        for _ in 0..MOST_RACES {
            view.settle_tier();
            let Some(index) = balancer.pick(&view, rng) else {
                break;
            };
            let endpoint = view.pool.endpoint(index);
            if !self.endpoints[endpoint.index()].take_permit() {
                continue;
            }
            match self.admit(policy, endpoint, view.panic, now, effects) {
                Some(permit) => return Acquired::Yes(permit),
                // Its last probe was taken meanwhile. Somebody may have begun to wait for the permit.
                None => self.free(policy, endpoint, now, effects),
            }
        }
        view.tier = None;
        view.full_too = true;
        if (0..view.pool.len()).any(|index| view.is_available(index)) {
            return Acquired::Full;
        }
        Acquired::None {
            until: view.earliest_return(),
        }
    }

    /// What [`Fleet::acquire`] would answer now.
    pub(crate) fn outlook(&self, policy: &Policy, wish: Wish<'_>, now: Instant) -> Outlook {
        let mut view = self.view(policy, wish, now);
        let any = |view: &View<'_, M>| (0..view.pool.len()).any(|index| view.is_available(index));
        if any(&view) {
            return Outlook::Ready;
        }
        view.full_too = true;
        if any(&view) {
            return Outlook::Full;
        }
        match view.earliest_return() {
            Some(until) if !until.is_far() => Outlook::Until(until),
            Some(_) | None => Outlook::Never,
        }
    }

    /// An attempt has ended: its verdict counts, its permit comes back or goes to whoever waits.
    pub(crate) fn release(
        &self,
        policy: &Policy,
        permit: Permit,
        verdict: AttemptVerdict,
        now: Instant,
        effects: &mut Effects,
    ) {
        self.publish(policy, self.endpoints[permit.endpoint.index()].pool, now);
        let (report, answer) = match verdict {
            AttemptVerdict::Success { latency } => (Some(Report::Success { latency }), Some(Answer::Success)),
            AttemptVerdict::Ignore => (None, None),
            AttemptVerdict::Fault {
                fault,
                status,
                key,
                retry_after,
            } => {
                let refused = Refused {
                    fault,
                    key,
                    retry_after,
                };
                self.faulted(policy, permit.endpoint, refused, now, effects);
                (Some(Report::of(fault)), Answer::of(fault, status))
            }
        };
        let pool = &self.pools[self.endpoints[permit.endpoint.index()].pool.index()];
        if !pool.breaker.is_off() || pool.watch.is_some() {
            self.learn(policy, permit, report, answer, now, effects);
        }
        self.free(policy, permit.endpoint, now, effects);
    }

    /// Whoever watches the endpoint hears how an attempt has ended.
    fn learn(
        &self,
        policy: &Policy,
        permit: Permit,
        report: Option<Report>,
        answer: Option<Answer>,
        now: Instant,
        effects: &mut Effects,
    ) {
        let watch = &self.pools[policy.endpoint(permit.endpoint).pool.index()].watch;
        self.update_vitals(policy, permit.endpoint, now, effects, |breaker, vitals| {
            match report {
                Some(report) => {
                    breaker.record(&mut vitals.health, now, report, permit.probe);
                }
                None => breaker.release(&mut vitals.health, permit.probe),
            }
            if let (Some(watch), Some(answer)) = (watch, answer) {
                watch.learn(vitals, permit.endpoint, answer, now);
            }
        });
    }

    pub(super) fn snapshot(&self, policy: &Policy, endpoint: EndpointId) -> EndpointSnapshot {
        let state = &self.endpoints[endpoint.index()];
        EndpointSnapshot {
            in_flight: state.in_flight(),
            backlog: state.running.with(|running| running.tokens()),
            awaited: state.permits.read(|permits| permits.waiting),
            circuit: state
                .vitals
                .with(|vitals| vitals.circuit(self.breaker(policy, endpoint))),
            ejected_until: Some(state.ejected_until.read(|until| *until))
                .filter(|until| is_out(*until))
                .unwrap_or(Instant::EPOCH),
            restored_at: state.restored_at.read(|at| *at),
            cooling_until: self.cooling_until(policy, endpoint),
        }
    }

    #[inline]
    pub(super) fn breaker(&self, policy: &Policy, endpoint: EndpointId) -> &Breaker {
        &self.pools[policy.endpoint(endpoint).pool.index()].breaker
    }

    #[inline]
    pub(super) fn cooling_until(&self, policy: &Policy, endpoint: EndpointId) -> Instant {
        self.scope_cools_until(policy.endpoint(endpoint).scope)
    }

    #[inline]
    pub(super) fn scope_cools_until(&self, scope: ScopeId) -> Instant {
        self.scopes[scope.index()].cooling_until.read(|until| *until)
    }

    #[inline]
    fn view<'a>(&'a self, policy: &'a Policy, wish: Wish<'a>, now: Instant) -> View<'a, M> {
        let state = &self.pools[wish.pool.index()];
        let pool = policy.pool(wish.pool);
        View {
            fleet: self,
            policy,
            pool,
            endpoints: &self.endpoints[usize::from(pool.endpoints.start)..usize::from(pool.endpoints.end)],
            state,
            all_able: state.uniform && state.tiers.len() <= 1 && wish.needs.region.is_none() && wish.avoid.is_empty(),
            tier: None,
            needs: wish.needs,
            avoid: wish.avoid,
            now,
            panic: self.panics(wish.pool, policy),
            full_too: false,
        }
    }
}

impl<M: Memory> ScopeState<M> {
    fn new(policy: &Policy, scope: ScopeId) -> ScopeState<M> {
        let mut members = policy.endpoints.iter().filter(|endpoint| endpoint.scope == scope);
        ScopeState {
            cooling_until: M::Word::new(Instant::EPOCH),
            queues: members.any(|endpoint| 0 < policy.pool(endpoint.pool).queue.length),
        }
    }
}

impl<M: Memory> PoolState<M> {
    fn new(policy: &Policy, pool: &Pool) -> PoolState<M> {
        let range = usize::from(pool.endpoints.start)..usize::from(pool.endpoints.end);
        let endpoints = &policy.endpoints[range];
        let is_alike = |pair: &[Endpoint]| pair[0].can == pair[1].can && pair[0].region == pair[1].region;
        PoolState {
            balancer: AnyBalancer::new(&pool.balance),
            breaker: Breaker::new(&pool.breaker),
            watch: match &pool.breaker {
                BreakerKind::Outlier(numbers) => Some(Watch::new(policy, pool, numbers)),
                BreakerKind::Off
                | BreakerKind::Consecutive { .. }
                | BreakerKind::ErrorRate { .. }
                | BreakerKind::MaxFails { .. } => None,
            },
            probing: pool.probe.as_ref().map(|probe| Probing::new(probe.rise, probe.fall)),
            throttle: pool.throttle.as_ref().map(|numbers| Box::new(Throttled::new(numbers))),
            turn: M::Word::new(0),
            rounds: M::Block::new(Rounds::default()),
            board: M::Block::new(Board::default()),
            sight: Sight::of(pool),
            tiers: tiers(endpoints),
            unhealthy: M::Word::new(0),
            queue: M::Block::new(WaitQueue::new(pool.queue)),
            queues: 0 < pool.queue.length,
            uniform: endpoints.iter().all(|endpoint| endpoint.can == Capability::default()),
            alike: endpoints.windows(2).all(is_alike),
        }
    }
}
