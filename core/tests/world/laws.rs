//! The laws of gate and lifecycle, looked at from outside after every step.

use tollgate_core::gate::Snapshot;
use tollgate_core::health::Circuit;
use tollgate_core::id::{AttemptId, EndpointId, PoolId};
use tollgate_core::lifecycle::{Effect, End, Input, Outcome, Phase, Refusal, Ruling};
use tollgate_core::memory::Memory;
use tollgate_core::policy::{BreakerKind, Budget, LoadKind, RetryConcurrency};
use tollgate_core::time::Instant;

use super::entropy::Entropy;
use super::ledger::Whose;
use super::plan::AGE;
use super::{Half, Watch, World};

impl<M: Memory, E: Entropy, W: Watch> World<'_, M, E, W> {
    /// Keeps up with where a request waits and what it is charged, before its effects are performed.
    pub(super) fn follow(&mut self, id: usize, from: Phase, input: Input, to: Phase, effects: &[Effect]) {
        let shown = self.gate.snapshot(self.now);
        let grown = shown
            .waiting
            .iter()
            .zip(&self.shown.waiting)
            .position(|(now, was)| was < now);
        let life = &mut self.lives[id];
        if to != Phase::Queued {
            (life.waits, life.told) = (None, None);
        } else if let Some(pool) = grown {
            (life.waits, life.told) = (Some(PoolId::at(pool)), None);
        }
        let is_live = to != Phase::Settled;
        let request = *life.lifecycle.request();
        let gave_up = effects.iter().any(|effect| matches!(effect, Effect::Settle { .. }));
        let charged = match (from, input) {
            (Phase::Start, Input::Start) if is_live => Some(Whose::Local),
            (Phase::Asking, _) if is_live && gave_up => Some(Whose::Fallen),
            _ => None,
        };
        if let Some(whose) = charged {
            life.charged.push(whose);
            self.ledger
                .reserve(self.gate.policy(), life.lifecycle.id(), &request, whose);
        }
        if !is_live {
            for whose in std::mem::take(&mut self.lives[id].charged) {
                self.ledger.settle(self.gate.policy(), &self.lives[id].lifecycle, whose);
            }
        }
    }

    /// Keeps the books of what the route's requests launch.
    pub(super) fn keep_books(&mut self, id: usize, was: &Outcome) {
        let life = &mut self.lives[id];
        let is = life.lifecycle.outcome();
        let Some(route) = life.route else {
            return;
        };
        let books = &mut self.books[route.index()];
        books.firsts += u32::from(was.attempts == 0 && 0 < is.attempts);
        books.retries += u32::from(is.retries - was.retries);
        books.hedges += u32::from(is.hedges - was.hedges);
        let retries = was.retries < is.retries;
        if retries {
            // Nothing is launched before it in a step that launches a retry.
            life.retries.push(AttemptId(was.attempts));
        }
        let backs_off = life.lifecycle.phase() == Phase::BackingOff && life.was != Phase::BackingOff;
        if (retries && life.was != Phase::BackingOff || backs_off)
            && let Some(Budget::Concurrency(_)) = self.gate.policy().route(route).retry.budget
        {
            let left = self.gate.snapshot(self.now).budgets[route.index()].retries;
            let is_within = left.is_some_and(|left| 0.0 <= left);
            assert!(is_within, "more retries in flight than allowed: {left:?}");
        }
    }

    /// What holds of a launch, at its very moment.
    pub(super) fn check_launch(&mut self, id: usize, attempt: AttemptId, endpoint: EndpointId) {
        let shown = self.gate.snapshot(self.now);
        let policy = self.gate.policy();
        let life = &self.lives[id];
        let route = policy.route(life.route.expect("a launch without a route"));
        assert_eq!(attempt, AttemptId(life.launched), "attempts are numbered");
        assert!(life.launched < route.retry.max_attempts, "attempts_are_bounded");
        assert!(life.open.len() < 3, "attempts_are_bounded: three at once");
        assert!(
            life.relayed.is_none() && !life.refused && !life.gone,
            "committed_never_retries"
        );
        assert!(
            self.now < life.deadline,
            "deadline_is_final: launched after the deadline"
        );
        let at = policy.endpoint(endpoint);
        assert!(route.pools.contains(&at.pool), "launched outside of the route");
        assert!(at.can_serve(&life.needs), "launched where it cannot be served");

        let panics = panics(self.gate.policy(), &shown, at.pool);
        if life.was != Phase::Queued {
            let primary = policy.pool(at.pool).endpoints.clone().map(EndpointId).find(|id| {
                let other = policy.endpoint(*id);
                other.tier < at.tier
                    && other.can_serve(&life.needs)
                    && !life.tried.contains(id)
                    && self.is_free(&shown, *id, panics)
                    && !shown.endpoints[id.index()].awaited
            });
            assert_eq!(
                primary, None,
                "a_backup_waits_for_its_turn: {endpoint:?} is launched at"
            );
        }
        let state = &shown.endpoints[endpoint.index()];
        let half = &mut self.halves[endpoint.index()];
        half.panicked |= panics;
        if let Circuit::HalfOpen { trips, .. } = state.circuit
            && half.trips != trips
        {
            // It has tripped and is half-open again, all in this step.
            half.out.clear();
            half.trips = trips;
        }
        if life.was != Phase::Queued {
            assert!(state.cooling_until <= self.now, "launched while it cools");
            // By max-fails the launch of a try sends the others away for as long again; called off, it lets in the next.
            let tries = matches!(policy.pool(at.pool).breaker, BreakerKind::MaxFails { .. });
            let was = self.shown.endpoints[endpoint.index()].ejected_until;
            let is_try = tries && (was <= self.now || 0 < life.launched);
            assert!(
                panics || state.ejected_until <= self.now || is_try,
                "launched while it is ejected"
            );
        }
    }

    /// What holds of one step of a request.
    pub(super) fn check_step(&mut self, id: usize, from: Phase, effects: &[Effect]) {
        let life = &self.lives[id];
        let to = life.lifecycle.phase();
        let outcome = life.lifecycle.outcome();
        let finishes = effects.iter().filter(|effect| **effect == Effect::Finish).count();
        assert_eq!(finishes, usize::from(to == Phase::Settled), "one Finish, at the end");
        if to == Phase::Settled {
            assert_eq!(effects.last(), Some(&Effect::Finish), "Finish comes last");
            self.check_end(id, from);
            return;
        }
        assert_eq!(outcome.end, End::Open, "an end before the end");
        assert_eq!(outcome.attempts, life.launched, "attempts are counted");
        let n_open = life.open.len();
        match to {
            Phase::Start | Phase::Asking | Phase::Shaping | Phase::Queued | Phase::BackingOff => {
                assert_eq!(n_open, 0, "an attempt of one who waits");
            }
            Phase::Racing => assert!((1..=3).contains(&n_open), "a race without runners"),
            Phase::Relaying => {
                let relayed = life.relayed.expect("relaying without a winner");
                assert!(
                    n_open == 1 && life.open[0].0 == relayed,
                    "committed_never_retries: others still run"
                );
            }
            Phase::Draining => assert!(life.gone && (1..=3).contains(&n_open), "draining nothing"),
            Phase::Settled => unreachable!("looked at above"),
        }
        if to != Phase::Start {
            assert!(
                life.wake_at <= life.deadline,
                "deadline_is_final: it sleeps past its deadline"
            );
        }
    }

    fn check_end(&self, id: usize, from: Phase) {
        let life = &self.lives[id];
        let outcome = life.lifecycle.outcome();
        assert!(
            life.open.is_empty(),
            "every_hold_released_once: an attempt outlives its request"
        );
        let expected = match life.ruled {
            Some(Ruling::Wait { .. } | Ruling::Never { .. }) => 0,
            Some(Ruling::Allow { .. } | Ruling::Unavailable) | None => u32::from(life.asked),
        };
        assert_eq!(life.settled, expected, "every charge elsewhere is settled once");
        match outcome.end {
            End::Open => panic!("an end without a word"),
            End::Completed => assert!(
                life.relayed.is_some() && !life.refused && !life.gone,
                "a complete answer"
            ),
            End::Abandoned => assert!(life.gone && !outcome.finished.is_far(), "abandoned"),
            End::Refused { .. } => assert!(life.refused && life.launched == 0, "refused"),
            End::Failed { .. } => assert!(life.refused && 0 < life.launched, "failed"),
        }
        if let End::Refused { refusal } | End::Failed { refusal } = outcome.end
            && let Some(until) = refusal.until()
            && !matches!(refusal, Refusal::Limited { .. })
        {
            assert!(self.now < until, "told to come back at once: {refusal:?}");
        }
        assert!(from == Phase::Start || outcome.arrived <= outcome.finished, "time");
        let launched = outcome.retries + outcome.hedges;
        assert!(launched < outcome.attempts.max(1), "every attempt has one reason");
    }

    /// What holds after every step.
    pub(super) fn check(&mut self) {
        self.shown = self.gate.snapshot(self.now);
        self.check_in_flight();
        self.check_queues();
        self.check_waiting();
        self.check_halves();
        self.check_books();
        for (limit, key, charged) in self.ledger.charges() {
            let standing = self.gate.standing(limit, key, self.now);
            let left = standing.limit.saturating_sub(charged);
            assert_eq!(standing.remaining, left, "reserved + used = charged, {limit:?} {key:?}");
        }
    }

    /// In flight is what is open, and what the queue has handed over and nobody has taken up yet.
    fn check_in_flight(&self) {
        let mut n_over = 0;
        for (at, (endpoint, shown)) in self.policy().endpoints.iter().zip(&self.shown.endpoints).enumerate() {
            let opens = self.open.iter().flat_map(|id| &self.lives[*id].open);
            let n_open = opens.filter(|(_, where_)| where_.index() == at).count();
            let in_flight = usize::try_from(shown.in_flight).expect("a few");
            let most = endpoint.max_in_flight.map_or(u32::MAX, std::num::NonZero::get);
            assert!(
                n_open <= in_flight && shown.in_flight <= most,
                "in flight at {at}: {in_flight}, open {n_open}"
            );
            let estimates = self.open.iter().map(|id| {
                let life = &self.lives[*id];
                let n_here = life.open.iter().filter(|(_, where_)| where_.index() == at).count();
                life.lifecycle.request().estimate.or(0).total() * n_here as u64
            });
            let backlog = if adds_up(self.policy().pool(endpoint.pool).balance.load) {
                estimates.sum()
            } else {
                0
            };
            assert_eq!(shown.backlog, backlog, "the backlog is what is open, at {at}");
            n_over += in_flight - n_open;
        }
        let n_granted = self.open.iter().filter(|id| self.is_granted(**id)).count();
        assert_eq!(n_over, n_granted, "in-flight is open attempts and handed-over permits");
    }

    fn check_queues(&self) {
        let policy = self.policy();
        for (at, pool) in policy.pools.iter().enumerate() {
            let here = |id: &&usize| self.lives[**id].waits == Some(PoolId::at(at)) && self.lives[**id].told.is_none();
            let waiting: Vec<usize> = self.open.iter().filter(here).copied().collect();
            let shown = usize::try_from(self.shown.waiting[at]).expect("a few");
            assert_eq!(waiting.len(), shown, "who waits in pool {at}");
            assert!(self.shown.waiting[at] <= pool.queue.length, "queue_is_bounded");
            for index in 0..pool.len() {
                let endpoint = pool.endpoint(index);
                let can_serve = |id: &usize| policy.endpoint(endpoint).can_serve(&self.lives[*id].needs);
                let awaited = waiting.iter().any(can_serve);
                let state = &self.shown.endpoints[endpoint.index()];
                assert_eq!(state.awaited, awaited, "the waiting bit of {endpoint:?}");
            }
        }
    }

    /// Nobody waits while a permit is free that it could use.
    fn check_waiting(&self) {
        if self.gate_wakes.iter().any(|at| *at <= self.now) {
            // The gate has not been told yet what time it is.
            return;
        }
        let policy = self.policy();
        for id in &self.open {
            let life = &self.lives[*id];
            let (Some(pool), None) = (life.waits, life.told) else {
                continue;
            };
            let panics = panics(policy, &self.shown, pool);
            for endpoint in policy.pool(pool).endpoints.clone().map(EndpointId) {
                let state = &self.shown.endpoints[endpoint.index()];
                let at = policy.endpoint(endpoint);
                let free = self.is_free(&self.shown, endpoint, panics);
                assert!(
                    !free || !at.can_serve(&life.needs),
                    "no_wakeup_lost: {id} waits, {endpoint:?} is free: {state:?}"
                );
            }
        }
    }

    /// Whether `endpoint` could be given an attempt; with `panics`, whatever its health.
    fn is_free(&self, shown: &Snapshot, endpoint: EndpointId, panics: bool) -> bool {
        let state = &shown.endpoints[endpoint.index()];
        let at = self.policy().endpoint(endpoint);
        let most = at.max_in_flight.map_or(u32::MAX, std::num::NonZero::get);
        let admits = match state.circuit {
            Circuit::Closed => true,
            Circuit::Open { until, .. } => until <= self.now,
            Circuit::HalfOpen { admitted, .. } => admitted < probes(&self.policy().pool(at.pool).breaker),
        };
        let healthy = panics || state.ejected_until <= self.now && admits;
        state.in_flight < most && healthy && state.cooling_until <= self.now
    }

    /// Half-open, no more probes run or have been judged than the policy says.
    fn check_halves(&mut self) {
        for (at, state) in self.shown.endpoints.iter().enumerate() {
            let half = &mut self.halves[at];
            let Circuit::HalfOpen {
                admitted,
                succeeded,
                failed,
                ..
            } = state.circuit
            else {
                *half = Half::default();
                continue;
            };
            let pool = self.gate.policy().endpoints[at].pool;
            let most = probes(&self.gate.policy().pool(pool).breaker);
            assert!(admitted <= most && succeeded + failed <= admitted, "probes_are_bounded");
            half.panicked |= panics(self.gate.policy(), &self.shown, pool);
            let out = u32::try_from(half.out.len()).expect("a few");
            assert!(
                half.panicked || !self.prompt || out + succeeded + failed <= most,
                "probes_are_bounded: {out} out of {most}"
            );
        }
    }

    /// Budgets: what was deposited, less what was launched or is about to be.
    fn check_books(&self) {
        const SLACK: f64 = 1e-6;
        for (at, books) in self.books.iter().enumerate() {
            let route = &self.policy().routes[at];
            let shown = &self.shown.budgets[at];
            let here = || {
                let lives = self.open.iter().map(|id| &self.lives[*id]);
                lives.filter(|life| life.route.is_some_and(|route| route.index() == at))
            };
            let pending = here().filter(|life| life.lifecycle.phase() == Phase::BackingOff);
            let n_pending = u32::try_from(pending.count()).expect("a few");
            if let (Some(Budget::Concurrency(budget)), Some(left)) = (&route.retry.budget, shown.retries) {
                let retries = here().map(|life| life.open.iter().filter(|(id, _)| life.retries.contains(id)).count());
                let out = f64::from(n_pending)
                    + retries
                        .map(|n| f64::from(u32::try_from(n).expect("a few")))
                        .sum::<f64>();
                let active = here().filter(|life| is_active(life.lifecycle.phase())).count();
                let expected = allowed(budget, active) - out;
                assert!(
                    (expected - left).abs() < SLACK,
                    "retries in flight: {left} more may be, {expected} expected"
                );
            }
            if let (Some(Budget::Ratio(budget)), Some(left)) = (&route.retry.budget, shown.retries)
                && budget.ttl == AGE
            {
                let reserve = budget.floor_per_sec * budget.ttl.as_secs_f64();
                let spent = f64::from(books.retries + n_pending);
                let expected = reserve + budget.ratio * f64::from(books.firsts) - spent;
                assert!(
                    (expected - left).abs() < SLACK,
                    "retries: {left} left, {expected} expected"
                );
            }
            if let (Some(hedge), Some(left)) = (&route.hedge, shown.hedges)
                && self.now < Instant::from_secs(9)
            {
                let expected = hedge.budget * f64::from(books.firsts) - f64::from(books.hedges);
                assert!(
                    (expected - left).abs() < SLACK,
                    "hedges: {left} left, {expected} expected"
                );
                assert!(-SLACK < left, "hedges are a share of requests");
            }
        }
    }

    /// What holds when everything is over.
    pub(super) fn check_nothing_left(&self) {
        assert!(self.open.is_empty(), "somebody is left");
        for state in &self.shown.endpoints {
            assert_eq!((state.in_flight, state.awaited), (0, false), "every_hold_released_once");
            if let Circuit::HalfOpen {
                admitted,
                succeeded,
                failed,
                ..
            } = state.circuit
            {
                assert_eq!(admitted, succeeded + failed, "every probe comes back");
            }
        }
        assert!(
            self.shown.waiting.iter().all(|waiting| *waiting == 0),
            "everyone leaves"
        );
        assert!(
            self.shown.reserved.iter().all(|reserved| *reserved == 0),
            "what was reserved is settled: {:?}",
            self.shown.reserved
        );
        for (route, shown) in self.policy().routes.iter().zip(&self.shown.budgets) {
            if let Some(Budget::Concurrency(budget)) = &route.retry.budget {
                let floor = Some(f64::from(budget.floor));
                assert_eq!(shown.retries, floor, "every_hold_released_once: retries in flight");
            }
        }
        for life in &self.lives {
            assert_eq!(life.lifecycle.phase(), Phase::Settled, "not settled");
        }
    }
}

/// Whether a request in this phase has passed its limits and is not settled.
fn is_active(phase: Phase) -> bool {
    match phase {
        Phase::Queued | Phase::Racing | Phase::BackingOff | Phase::Relaying | Phase::Draining => true,
        Phase::Start | Phase::Asking | Phase::Shaping | Phase::Settled => false,
    }
}

/// Retries in flight beside so many active requests.
fn allowed(budget: &RetryConcurrency, active: usize) -> f64 {
    let active = f64::from(u32::try_from(active).expect("a few"));
    (budget.ratio * active + 1e-9).floor().max(f64::from(budget.floor))
}

fn adds_up(load: LoadKind) -> bool {
    matches!(load, LoadKind::TokenBacklog | LoadKind::Time { in_flight: true, .. })
}

fn probes(breaker: &BreakerKind) -> u32 {
    match breaker {
        BreakerKind::Off | BreakerKind::MaxFails { .. } | BreakerKind::Outlier(_) => 1,
        BreakerKind::Consecutive { probes, .. } | BreakerKind::ErrorRate { probes, .. } => probes.get(),
    }
}

/// Whether so few endpoints of every tier of `pool` are healthy that health is ignored.
fn panics(policy: &tollgate_core::policy::Policy, shown: &tollgate_core::gate::Snapshot, pool: PoolId) -> bool {
    let pool = policy.pool(pool);
    let tier = |at: u16| policy.endpoint(EndpointId(at)).tier;
    let is_healthy = |at: u16| shown.endpoints[usize::from(at)].ejected_until == Instant::EPOCH;
    let count = |found: usize| u32::try_from(found).expect("a few");
    pool.endpoints.clone().all(|any| {
        let members = || pool.endpoints.clone().filter(|at| tier(*at) == tier(any));
        let (healthy, all) = (
            count(members().filter(|at| is_healthy(*at)).count()),
            count(members().count()),
        );
        healthy < all && f64::from(healthy) < f64::from(pool.panic_below) * f64::from(all)
    })
}
