//! A hash over the outcome of every request, for a few plans that between them take every path of the simulator: an
//! optimization leaves them as they are.

#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

use std::fmt::Write as _;
use std::num::NonZeroU32;

use tollgate_bench::model;
use tollgate_core::id::{EndpointId, KeyHash};
use tollgate_core::lifecycle::Outcome;
use tollgate_core::policy::{
    Balance, BalanceKind, BreakerKind, Budget, Hedge, HedgeAfter, LoadKind, OnOutage, Policy, QueueShape, RetryBudget,
    Slo, Store, Ties, Window,
};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, FaultKind, FaultSpec, Kind};
use tollgate_sim::engine::{Delay, Engine, Network, Plan};
use tollgate_sim::record::Observer;
use tollgate_sim::workload::{ArrivalSpec, Call, ClientSpec, MaxTokens, TenantsSpec, Workload, WorkloadSpec};

/// Hashes whatever it sees.
#[derive(Default)]
struct Hasher {
    text: String,
    hash: u64,
}

impl Hasher {
    fn take(&mut self) {
        self.hash = KeyHash::of(self.hash, [self.text.as_bytes()]).0;
        self.text.clear();
    }
}

impl Observer for Hasher {
    fn finished(&mut self, call: &Call, outcome: &Outcome, in_system: u32) {
        write!(self.text, "{call:?}{outcome:?}{in_system}").expect("a string takes everything");
        self.take();
    }

    fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        write!(self.text, "l{endpoint:?}{now:?}").expect("a string takes everything");
        self.take();
    }

    fn ended(&mut self, endpoint: EndpointId, now: Instant) {
        write!(self.text, "e{endpoint:?}{now:?}").expect("a string takes everything");
        self.take();
    }
}

fn main() {
    let plans = [
        ("kernel", model::plan(7, 100_000)),
        ("streams", streams()),
        ("queue", queue()),
        ("store", store()),
        ("steady", steady()),
    ];
    for (name, plan) in plans {
        let record = Engine::new(&plan, 3, Hasher::default())
            .run(|_| true)
            .expect("nobody stops it");
        let mut rest = Hasher::default();
        write!(
            rest.text,
            "{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
            record.counts,
            record.bins.list,
            record.bins.endpoints,
            record.endpoints,
            record.tenants,
            record.little,
            record.wasted_tokens,
        )
        .expect("a string takes everything");
        for track in [
            &record.latencies.e2e,
            &record.latencies.ttft,
            &record.latencies.tpot,
            &record.latencies.queue_wait,
            &record.latencies.overhead,
        ] {
            let shares = [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0];
            let quantiles = shares.map(|share| track.quantile(share));
            write!(
                rest.text,
                "{:?}{:?}{:?}{:?}",
                track.mean(),
                track.max(),
                track.count(),
                quantiles
            )
            .expect("a string takes everything");
        }
        rest.take();
        println!(
            "{name:8} {:016x} {:016x} {:?}",
            record.observer.hash, rest.hash, record.counts
        );
    }
}

/// Streams of drawn lengths over a network, hedges, breakers, clients that retry and leave.
fn streams() -> Plan {
    let mut policy = hedged();
    policy.pools[0].balance.load = LoadKind::PeakEwma {
        decay: Nanos::from_secs(10),
    };
    plan_of(policy, 60.0, 0.8).network(Network {
        client_to_gateway: Delay::Constant(Nanos::from_millis(5)),
        gateway_to_backend: Delay::Drawn(Distribution::lognormal_median_sigma(0.01, 0.5).expect("possible")),
        gateway_overhead: Delay::Constant(Nanos::from_micros(100)),
        gateway_to_store: Delay::Zero,
    })
}

/// The same without a network, with few permits and a queue.
fn queue() -> Plan {
    let mut policy = hedged();
    policy.pools[0].queue = QueueShape::fifo(50, Nanos::from_secs(3));
    policy.pools[0].balance = Balance {
        kind: BalanceKind::Least,
        load: LoadKind::InFlight,
        ties: Ties::Random,
        staleness: Nanos::ZERO,
    };
    for endpoint in &mut policy.endpoints {
        endpoint.max_in_flight = NonZeroU32::new(4);
    }
    plan_of(policy, 15.0, 0.5)
}

/// Limits that live elsewhere.
fn store() -> Plan {
    let mut policy = hedged();
    policy.limits[0].store = Store::Strict {
        deadline: Nanos::from_millis(20),
        on_outage: OnOutage::LocalShare,
    };
    plan_of(policy, 60.0, 0.2).network(Network {
        gateway_to_store: Delay::Drawn(Distribution::exponential(0.004).expect("possible")),
        ..Network::default()
    })
}

/// Everything at the same instants, over and over.
fn steady() -> Plan {
    let service = Distribution::constant(0.125).expect("possible");
    let mut plan = WorkloadSpec {
        arrivals: ArrivalSpec::Deterministic { rate: 64.0 },
        ..spec(64.0, 0.5)
    };
    plan.client = ClientSpec {
        timeout: Some(Nanos::from_millis(500)),
        ..ClientSpec::default()
    };
    let backends = (0..model::BACKENDS)
        .map(|number| {
            let api = ApiSpec::new(service.clone(), Distribution::constant(0.0).expect("possible"));
            let mut backend = BackendSpec::new(&format!("backend-{number}"), Kind::Api(api));
            backend.faults = faults();
            backend
        })
        .collect();
    Plan::new(hedged(), Workload::open(plan).expect("possible"), backends)
        .expect("possible")
        .seed(5)
        .until(None, Some(30_000))
}

fn hedged() -> Policy {
    let mut policy = model::policy();
    let route = &mut policy.routes[0];
    route.hedge = Some(Hedge {
        after: HedgeAfter::Quantile(0.9),
        max: 1,
        budget: 0.1,
    });
    route.retry.budget = Some(Budget::Ratio(RetryBudget {
        ratio: 0.2,
        floor_per_sec: 1.0,
        ttl: Nanos::from_secs(10),
    }));
    route.timeouts.ttft = Nanos::from_secs(3);
    route.timeouts.total = Nanos::from_secs(20);
    route.slo = Slo {
        ttft: Nanos::from_millis(900),
        tpot: Nanos::from_millis(30),
        e2e: Nanos::from_secs(9),
    };
    policy.pools[0].breaker = BreakerKind::ErrorRate {
        share: 0.3,
        window: Window::Time(Nanos::from_secs(10)),
        min_requests: NonZeroU32::new(10).expect("not zero"),
        open: Nanos::from_secs(5),
        probes: NonZeroU32::new(2).expect("not zero"),
    };
    policy
}

fn spec(rate: f64, stream: f64) -> WorkloadSpec {
    WorkloadSpec {
        arrivals: ArrivalSpec::Poisson { rate },
        prompt_tokens: Distribution::lognormal_median_sigma(500.0, 1.0).expect("possible"),
        output_tokens: Distribution::lognormal_median_sigma(150.0, 0.7).expect("possible"),
        max_tokens: MaxTokens::None,
        tenants: TenantsSpec::default(),
        stream,
        client: ClientSpec::default(),
    }
}

fn plan_of(policy: Policy, rate: f64, stream: f64) -> Plan {
    let backends = (0..model::BACKENDS)
        .map(|number| {
            let mut api = ApiSpec::profile("gpt-4o-mini").expect("a known profile");
            api.error_share = 0.02;
            api.hang_share = 0.002;
            let mut backend = BackendSpec::new(&format!("backend-{number}"), Kind::Api(api));
            backend.faults = faults();
            backend
        })
        .collect();
    Plan::new(policy, Workload::open(spec(rate, stream)).expect("possible"), backends)
        .expect("possible")
        .seed(11)
        .until(None, Some(30_000))
        .warmup(Nanos::from_secs(20))
}

fn faults() -> Vec<FaultSpec> {
    [
        (
            FaultKind::ErrorBurst {
                share: 0.6,
                status: 503,
            },
            60,
            20,
        ),
        (FaultKind::Outage { status: 429 }, 120, 10),
        (FaultKind::BlackHole, 180, 8),
        (
            FaultKind::Stall {
                share: 0.3,
                pause: Nanos::from_secs(4),
            },
            220,
            20,
        ),
        (FaultKind::Truncate { share: 0.2 }, 260, 20),
    ]
    .map(|(kind, at, lasts)| FaultSpec::new(kind, Instant::from_secs(at), Nanos::from_secs(lasts)).expect("possible"))
    .to_vec()
}
