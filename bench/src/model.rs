//! The rich kernel: one model, as numbers for the hand-written floor and as a plan for the simulator.
//!
//! Eight backends of sixteen servers with a first-come queue each; the power of two choices by attempts in flight; a
//! lognormal service of mean 60 ms and sigma 0.8 at utilization 0.8; a GCRA at admission that refuses 1.6 % of a Poisson
//! stream; 5 % of the answers break off at their end and are tried again up to twice, after a backoff with full
//! jitter; the latency of each request goes into a histogram of three digits. In the simulator all four timeouts are
//! on besides, and everything is recorded that a report needs.
//!
//! And M/M/c, which every engine of discrete events can be asked for: [`station`].

use core::num::{NonZeroU32, NonZeroU64};

use tollgate_core::fault::FaultSet;
use tollgate_core::id::{PoolId, ScopeId};
use tollgate_core::policy::{
    Adjustment, Algorithm, Backoff, Balance, BalanceKind, BreakerKind, Capability, Endpoint, HeaderStages, Jitter,
    Limit, LoadKind, Match, OnWait, Policy, Pool, QueueShape, Quota, Refund, Retry, Route, Slo, Store, Tenant, Ties,
    Timeouts,
};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Unit;
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{BackendSpec, FaultKind, FaultSpec, Kind, QueueSpec, Servers};
use tollgate_sim::engine::Plan;
use tollgate_sim::workload::{
    ArrivalSpec, ClientKind, ClientSpec, MaxTokens, Patience, TenantsSpec, Workload, WorkloadSpec,
};

/// How many backends.
pub const BACKENDS: u16 = 8;
/// Servers of each.
pub const SERVERS: u32 = 16;
/// Mean service in seconds.
pub const SERVICE: f64 = 0.060;
/// Standard deviation of the logarithm of the service.
pub const SIGMA: f64 = 0.8;
/// Share of the answers that break off.
pub const FAILURES: f64 = 0.05;
/// Most attempts of a request.
pub const ATTEMPTS: u8 = 3;
/// The longest delay before the first retry; doubled before the second.
pub const BACKOFF: Nanos = Nanos::from_millis(25);
/// Requests a second. Of these 98.4 % pass the limit and make 1.0525 attempts each: utilization 0.8.
pub const RATE: f64 = 1647.8;
/// Requests a second that the limit allows.
pub const LIMIT: u64 = 1700;
/// Most of them at once.
pub const BURST: u64 = 18;

/// The mean of the logarithm of the service.
#[must_use]
pub fn mu() -> f64 {
    tollgate_core::math::ln(SERVICE) - SIGMA * SIGMA / 2.0
}

/// The quota of the limit.
///
/// # Panics
///
/// Never: its numbers are not zero.
#[must_use]
pub fn quota() -> Quota {
    Quota {
        amount: NonZeroU64::new(LIMIT).expect("not zero"),
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(BURST).expect("not zero"),
    }
}

/// The model as a plan of the simulator: so many requests, drawn from `seed`.
///
/// # Panics
///
/// Never: its numbers are possible.
#[must_use]
pub fn plan(seed: u64, requests: u64) -> Plan {
    Plan::new(policy(), workload(RATE), backends())
        .expect("every endpoint has its backend")
        .seed(seed)
        .until(None, Some(requests))
}

/// M/M/c as a plan of the simulator: one backend of so many servers, exponential service of mean [`SERVICE`], a Poisson
/// stream, utilization 0.8. No limit and no fault, and yet the whole life of each request, timeouts and record included.
///
/// # Panics
///
/// Never: its numbers are possible.
#[must_use]
pub fn station(seed: u64, servers: NonZeroU32, requests: u64) -> Plan {
    let mut policy = policy();
    policy.limits.clear();
    policy.endpoints.truncate(1);
    policy.scopes.truncate(1);
    policy.pools[0].endpoints = 0..1;
    let service = Distribution::exponential(SERVICE).expect("a possible service");
    let queue = QueueSpec::new(Servers::Bounded(servers), service);
    let backend = BackendSpec::new(&name(0), Kind::Queue(queue));
    Plan::new(
        policy,
        workload(0.8 * f64::from(servers.get()) / SERVICE),
        vec![backend],
    )
    .expect("every endpoint has its backend")
    .seed(seed)
    .until(None, Some(requests))
}

/// Requests that are all alike, so many a second, from clients that ask once and wait.
fn workload(rate: f64) -> Workload {
    let workload = WorkloadSpec {
        arrivals: ArrivalSpec::Poisson { rate },
        prompt_tokens: Distribution::constant(100.0).expect("a possible length"),
        output_tokens: Distribution::constant(10.0).expect("a possible length"),
        max_tokens: MaxTokens::Output,
        tenants: TenantsSpec::default(),
        stream: 0.0,
        client: ClientSpec {
            kind: ClientKind::FireAndForget,
            timeout: Some(Nanos::FOREVER),
            max_retries: None,
            patience: Patience::None,
        },
    };
    Workload::open(workload).expect("a possible workload")
}

/// The policy of the model.
///
/// # Panics
///
/// Never: its numbers are not zero.
#[must_use]
pub fn policy() -> Policy {
    Policy {
        tenants: vec![Tenant::default()],
        limits: vec![Limit {
            name: "requests".into(),
            algorithm: Algorithm::Gcra(quota()),
            unit: Unit::Requests,
            per: Vec::new(),
            when: Match::default(),
            on_wait: OnWait::Refuse,
            refund: Refund::Full,
            max_keys: NonZeroU32::new(1024).expect("not zero"),
            store: Store::Local,
            output_default: 10,
            learn: false,
        }],
        pools: vec![Pool {
            name: "all".into(),
            endpoints: 0..BACKENDS,
            balance: Balance {
                kind: BalanceKind::P2c {
                    choices: NonZeroU32::new(2).expect("not zero"),
                },
                load: LoadKind::InFlight,
                ties: Ties::Random,
                staleness: Nanos::ZERO,
            },
            slow_start: None,
            breaker: BreakerKind::Off,
            panic_below: 0.5,
            probe: None,
            throttle: None,
            queue: QueueShape::fifo(0, Nanos::ZERO),
        }],
        endpoints: (0..BACKENDS).map(endpoint).collect(),
        scopes: (0..BACKENDS).map(name).collect(),
        routes: vec![Route {
            name: "all".into(),
            matches: Match::default(),
            pools: vec![PoolId(0)],
            split: None,
            require_region: None,
            request: Adjustment::default(),
            headers: HeaderStages::default(),
            timeouts: Timeouts::default(),
            retry: Retry {
                max_attempts: ATTEMPTS,
                on: FaultSet::RETRIABLE,
                budget: None,
                backoff: Backoff {
                    base: BACKOFF,
                    max: BACKOFF * 4,
                    jitter: Jitter::Full,
                },
            },
            hedge: None,
            cancel_on_abandon: true,
            slo: Slo::default(),
        }],
        ..Policy::default()
    }
}

fn endpoint(number: u16) -> Endpoint {
    Endpoint {
        name: name(number),
        pool: PoolId(0),
        url: None,
        provider: "openai".into(),
        model: None,
        api_key_env: Vec::new(),
        region: None,
        weight: NonZeroU32::MIN,
        tier: 0,
        max_in_flight: None,
        price: None,
        can: Capability::default(),
        scope: ScopeId(number),
        shares_quota: false,
    }
}

fn backends() -> Vec<BackendSpec> {
    let servers = Servers::Bounded(NonZeroU32::new(SERVERS).expect("not zero"));
    let service = Distribution::lognormal(mu(), SIGMA).expect("a possible service");
    let cut = FaultKind::Truncate { share: FAILURES };
    let cut = FaultSpec::new(cut, Instant::EPOCH, Nanos::FOREVER).expect("a possible fault");
    let backend = |number| BackendSpec {
        faults: vec![cut],
        ..BackendSpec::new(&name(number), Kind::Queue(QueueSpec::new(servers, service.clone())))
    };
    (0..BACKENDS).map(backend).collect()
}

fn name(number: u16) -> String {
    format!("backend-{number}")
}
