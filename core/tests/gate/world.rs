//! A gate and its requests, by hand.

use std::num::NonZeroU32;

use tollgate_core::dice::Dice;
use tollgate_core::fault::{Fault, FaultSet};
use tollgate_core::gate::{Gate, GateInput};
use tollgate_core::id::{AttemptId, EndpointId, PoolId, RequestId, RouteId, ScopeId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Effects, End, Input, Lifecycle, Phase, Request, Verdict};
use tollgate_core::memory::Local;
use tollgate_core::policy::{
    Adjustment, Backoff, Balance, BalanceKind, BreakerKind, Capability, Charges, Class, Endpoint, HeaderStages, Jitter,
    LoadKind, Match, Policy, Pool, QueueShape, Retry, Route, Slo, Ties, Timeouts,
};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

pub(crate) const SECOND: Nanos = Nanos::from_secs(1);

/// A gate, its clock, and what was asked for last.
pub(crate) struct World {
    pub(crate) gate: Gate<Local>,
    pub(crate) now: Instant,
    pub(crate) effects: Effects,
    last: Vec<Effect>,
    n_requests: u64,
}

impl World {
    pub(crate) fn new(policy: Policy) -> World {
        World {
            gate: Gate::new(policy),
            now: Instant::from_secs(10),
            effects: Effects::new(),
            last: Vec::new(),
            n_requests: 0,
        }
    }

    pub(crate) fn start(&mut self, request: Request) -> Lifecycle {
        let id = RequestId(self.n_requests);
        self.n_requests += 1;
        let mut life = Lifecycle::new(id, request, Dice::new(7).request(id.0));
        self.give(&mut life, Input::Start);
        life
    }

    pub(crate) fn give(&mut self, life: &mut Lifecycle, input: Input) -> Vec<Effect> {
        life.handle(&self.gate, self.now, input, &mut self.effects);
        self.last = self.effects.drain().collect();
        self.last.clone()
    }

    /// The clients of these go.
    pub(crate) fn leave<const N: usize>(&mut self, lives: [Lifecycle; N]) {
        for mut life in lives {
            self.give(&mut life, Input::Abandon);
            assert_eq!(life.phase(), Phase::Settled);
        }
    }

    pub(crate) fn tell_gate(&mut self, input: GateInput) -> Vec<Effect> {
        self.gate.handle(self.now, input, &mut self.effects);
        self.effects.drain().collect()
    }

    pub(crate) fn fail(&mut self, life: &mut Lifecycle, fault: Fault) -> Vec<Effect> {
        let last = life.outcome().attempts - 1;
        self.give(life, attempt(last, AttemptEvent::Fail { fault }))
    }

    pub(crate) fn finish(&mut self, life: &mut Lifecycle) {
        let usage = Usage::default();
        self.give(life, attempt(0, AttemptEvent::Finish { usage }));
        assert_eq!(end(life), End::Completed);
    }

    /// Where the last launch went.
    pub(crate) fn launched(&self) -> EndpointId {
        let endpoint = |effect: &Effect| {
            let Effect::Launch { endpoint, .. } = effect else {
                return None;
            };
            Some(*endpoint)
        };
        self.last.iter().find_map(endpoint).expect("something was launched")
    }
}

pub(crate) fn chat() -> Request {
    on_route(0)
}

pub(crate) fn on_route(route: u16) -> Request {
    Request {
        class: Class {
            route: Some(RouteId(route)),
            charges: Charges::default(),
            ..Class::default()
        },
        ..Request::default()
    }
}

pub(crate) fn attempt(id: u8, event: AttemptEvent) -> Input {
    Input::Attempt {
        id: AttemptId(id),
        event,
    }
}

pub(crate) fn admitted() -> Input {
    Input::Dequeue {
        verdict: Verdict::Admitted,
    }
}

pub(crate) fn end(life: &Lifecycle) -> End {
    life.outcome().end
}

pub(crate) fn trips_at_once() -> BreakerKind {
    BreakerKind::Consecutive {
        failures: NonZeroU32::MIN,
        open: SECOND,
        probes: NonZeroU32::MIN,
    }
}

/// One route over pools of so many endpoints each, which can do everything, one attempt and room to wait.
pub(crate) fn policy(sizes: &[u16]) -> Policy {
    let mut policy = Policy::default();
    for size in sizes {
        let start = u16::try_from(policy.endpoints.len()).expect("a few");
        for _ in 0..*size {
            let scope = ScopeId::at(policy.scopes.len());
            policy.scopes.push(String::from("account"));
            policy.endpoints.push(Endpoint {
                name: String::from("endpoint"),
                pool: PoolId::at(policy.pools.len()),
                url: None,
                provider: String::from("openai"),
                model: None,
                api_key_env: Vec::new(),
                region: None,
                weight: NonZeroU32::MIN,
                tier: 0,
                max_in_flight: None,
                price: None,
                can: Capability::default(),
                scope,
            });
        }
        policy.pools.push(Pool {
            name: String::from("pool"),
            endpoints: start..start + size,
            balance: Balance {
                kind: BalanceKind::Random,
                load: LoadKind::InFlight,
                ties: Ties::Random,
                staleness: Nanos::ZERO,
            },
            slow_start: None,
            breaker: BreakerKind::Off,
            panic_below: 0.0,
            probe: None,
            throttle: None,
            queue: QueueShape::fifo(10, SECOND * 5),
        });
    }
    policy.routes.push(Route {
        name: String::from("route"),
        matches: Match::default(),
        pools: (0..sizes.len()).map(PoolId::at).collect(),
        split: None,
        require_region: None,
        request: Adjustment::default(),
        headers: HeaderStages::default(),
        timeouts: Timeouts {
            total: SECOND * 60,
            ..Timeouts::default()
        },
        retry: Retry {
            max_attempts: 1,
            on: FaultSet::RETRIABLE,
            budget: None,
            backoff: Backoff {
                base: Nanos::ZERO,
                max: SECOND,
                jitter: Jitter::None,
            },
        },
        hedge: None,
        cancel_on_abandon: true,
        slo: Slo::default(),
    });
    policy
}
