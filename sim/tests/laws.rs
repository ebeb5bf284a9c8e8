//! What holds of every simulation.
//!
//! | Law | Test |
//! |---|---|
//! | One seed, one run: every instant and count of every request. | `one_seed_one_run` |
//! | Another replication is another run. | `replications_differ` |
//! | The same numbers come out of every build of this target. | `golden_run` |
//! | What arrives, how long it is and how long it is served does not depend on the policy. | `policies_face_the_same_world` |
//! | Memory follows what is in the system at once, not how many have been. | `memory_does_not_follow_requests` |
//! | The first token is awaited from the launch on, whether or not the connection has a timeout of its own. | `first_token_is_awaited_from_launch` |

use std::collections::BTreeMap;

use tollgate_core::fault::Fault;
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::policy;
use tollgate_core::time::{Instant, Nanos};
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::{Observer, Quiet, Record};
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::{Call, Workload};

/// Every request, in the order in which they ended.
#[derive(Default)]
struct Everything {
    arrivals: Vec<Instant>,
    finished: Vec<(Call, Outcome)>,
    launched: Vec<(EndpointId, Instant)>,
}

impl Observer for Everything {
    fn arrived(&mut self, now: Instant, _in_system: u32) {
        self.arrivals.push(now);
    }

    fn finished(&mut self, call: &Call, outcome: &Outcome, _in_system: u32) {
        self.finished.push((*call, *outcome));
    }

    fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        self.launched.push((endpoint, now));
    }
}

fn plan(policy: &str, scenario: &str) -> Plan {
    let lengths = |name: &str| (name == "lengths.csv").then_some("tokens\n3\n50\n700\n");
    let (scenario, _) =
        scenario::read("laws.toml", scenario, &Folder::shipped(&lengths)).unwrap_or_else(|errors| panic!("{errors}"));
    let (policy, _) = policy::file::read("policy.toml", policy).unwrap_or_else(|errors| panic!("{errors}"));
    let workload = Workload::open(scenario.workload.clone()).expect("a checked workload");
    let strategies = prepare(&scenario, &workload, vec![(String::from("one"), policy)], 100).expect("names that meet");
    strategies.into_iter().next().expect("one policy was given").plan
}

fn watch(plan: &Plan, replication: u64) -> Record<Everything> {
    Engine::new(plan, replication, Everything::default())
        .run(|_| true)
        .expect("nobody stops it")
}

/// A scenario with everything in it that draws numbers; only the arrivals are left open.
fn busy(arrivals: &str) -> String {
    format!(
        r#"
        name = "busy"
        seed = 11
        [run]
        requests = 3000
        duration = "10m"
        warmup = "5s"
        [network]
        client_to_gateway = {{ distribution = "exponential", mean = "2ms" }}
        gateway_to_backend = {{ distribution = "weibull", mean = "1ms", cv = 0.7 }}
        [workload]
        arrivals = {arrivals}
        prompt_tokens = {{ distribution = "lognormal", median = 60, p95 = 400 }}
        output_tokens = {{ distribution = "empirical", file = "lengths.csv" }}
        max_tokens = 500
        tenants = {{ count = 9, skew = 1.1 }}
        stream = 0.5
        client = {{ kind = "openai-python", timeout = "4s", patience = {{ distribution = "weibull", shape = 0.8, scale = "20s" }} }}
        [[backend]]
        name = "alpha"
        kind = "api"
        ttft = {{ distribution = "lognormal", median = "300ms", p95 = "2s" }}
        tpot = {{ distribution = "gamma", mean = "2ms", cv = 0.3 }}
        slow_share = 0.02
        slow_factor = {{ distribution = "exponential", mean = 9 }}
        error_share = 0.03
        hang_share = 0.01
        load_factor = {{ sigma = 0.4, relaxation = "20s" }}
        quota = [ {{ unit = "requests", amount = 60, period = "1s", algorithm = "token-bucket" }} ]
        [[backend]]
        name = "beta"
        kind = "queue"
        servers = 4
        capacity = 30
        service = {{ distribution = "lognormal", mean = "150ms", cv = 1.5 }}
        on_cancel = "finish"
        [[backend]]
        name = "gamma"
        kind = "queue"
        servers = 3
        discipline = "ps"
        service = {{ distribution = "gamma", mean = "120ms", cv = 2.0 }}
        [[fault]]
        backend = "alpha"
        kind = "error-burst"
        share = 0.5
        every = {{ distribution = "exponential", mean = "15s" }}
        for = {{ distribution = "weibull", mean = "3s", cv = 1.2 }}
        [[fault]]
        backend = "beta"
        kind = "brownout"
        factor = 3.0
        at = "8s"
        for = "6s"
        "#
    )
}

const ARRIVALS: [&str; 8] = [
    r#"{ process = "deterministic", rate = 40.0 }"#,
    r#"{ process = "poisson", rate = 50.0 }"#,
    r#"{ process = "gamma", rate = 50.0, cv = 3.0 }"#,
    r#"{ process = "weibull", rate = 50.0, cv = 2.0 }"#,
    r#"{ process = "mmpp", rates = [20.0, 150.0], holds = ["3s", "1s"] }"#,
    r#"{ process = "hawkes", rate = 50.0, branching = 0.7, decay = 2.0 }"#,
    r#"{ process = "diurnal", mean = 50.0, peak_over_mean = 1.8, period = "30s" }"#,
    r#"{ process = "closed", users = 40, think = { distribution = "exponential", mean = "500ms" } }"#,
];

const CAREFUL: &str = r#"
    [[limit]]
    name = "tenants"
    algorithm = "gcra"
    per = ["tenant"]
    quota = { amount = 25, period = "1s", burst = 40 }
    [[limit]]
    name = "tokens"
    algorithm = "token-bucket"
    unit = "tokens"
    per = []
    quota = { amount = 40_000, period = "1s", burst = 80_000 }
    [[pool]]
    name = "both"
    balance = { kind = "p2c", load = "peak-ewma" }
    health = { kind = "error-rate", window = "10s", open = "5s" }
    queue = { length = 50, wait = "2s" }
    [[pool.endpoint]]
    name = "alpha"
    max_in_flight = 40
    [[pool.endpoint]]
    name = "beta"
    [[pool]]
    name = "spare"
    balance = { kind = "round-robin" }
    [[pool.endpoint]]
    name = "gamma"
    max_in_flight = 30
    [[route]]
    name = "all"
    pools = ["both", "spare"]
    timeouts = { connect = "1s", ttft = "2s", idle = "1s", total = "10s" }
    retry = { max_attempts = 4, backoff = { base = "50ms", max = "1s" } }
    hedge = { after = "p90", budget = 0.2 }
"#;

const CARELESS: &str = r#"
    [[pool]]
    name = "any"
    balance = { kind = "random" }
    health = { kind = "off" }
    [[pool.endpoint]]
    name = "gamma"
    [[pool.endpoint]]
    name = "beta"
    [[pool.endpoint]]
    name = "alpha"
    [[route]]
    name = "all"
    pools = ["any"]
    retry = { max_attempts = 1 }
"#;

#[test]
fn one_seed_one_run() {
    for arrivals in ARRIVALS {
        let plan = plan(CAREFUL, &busy(arrivals));
        let (one, two) = (watch(&plan, 0), watch(&plan, 0));
        assert_eq!(one.observer.arrivals, two.observer.arrivals);
        assert_eq!(one.observer.finished, two.observer.finished);
        assert_eq!(one.observer.launched, two.observer.launched);
        assert_eq!((one.counts, one.little, one.end), (two.counts, two.little, two.end));
        assert_eq!(one.samples, two.samples);
        // Not because nothing happened.
        assert!(2_500 < one.counts.offered, "{:?}", one.counts);
        assert!(
            0 < one.counts.completed && one.counts.offered < one.attempts,
            "{:?}",
            one.counts
        );
    }
}

#[test]
fn replications_differ() {
    let plan = plan(CAREFUL, &busy(ARRIVALS[1]));
    let (one, two) = (watch(&plan, 0), watch(&plan, 1));
    assert_ne!(one.observer.arrivals, two.observer.arrivals);
    assert_ne!(one.observer.finished, two.observer.finished);
}

/// All instants and counts of all requests, as one number.
fn fingerprint(runs: &[Record<Everything>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    };
    for run in runs {
        for (call, outcome) in &run.observer.finished {
            add(call.number);
            let lengths = [
                call.tenant,
                call.prompt,
                call.output,
                outcome.usage.input,
                outcome.usage.output,
            ];
            lengths.map(u64::from).into_iter().for_each(&mut add);
            let instants = [
                outcome.arrived,
                outcome.admitted,
                outcome.launched,
                outcome.won,
                outcome.first_token,
                outcome.finished,
            ];
            instants.map(Instant::as_nanos).into_iter().for_each(&mut add);
            add(outcome.queue_wait.as_nanos());
            let counts = [outcome.attempts, outcome.retries, outcome.hedges, outcome.fallbacks];
            counts.map(u64::from).into_iter().for_each(&mut add);
            add(outcome.endpoint.map_or(u64::MAX, |endpoint| u64::from(endpoint.0)));
            add(match outcome.end {
                End::Open => 0,
                End::Completed => 1,
                End::Abandoned => 2,
                End::Failed { refusal } => 100 + refusal.cause() as u64,
                End::Refused { refusal } => 200 + refusal.cause() as u64,
            });
        }
    }
    hash
}

/// If this number moves, every result that anybody has published moves: the message of the commit says why.
///
/// It must be the same whatever else is built along with the simulator: what another crate turns on in a dependency
/// must not reach a draw.
#[test]
fn golden_run() {
    let runs: Vec<_> = ARRIVALS
        .iter()
        .map(|arrivals| watch(&plan(CAREFUL, &busy(arrivals)), 0))
        .collect();
    assert_eq!(format!("{:016x}", fingerprint(&runs)), "a550bdbeedb8b7a8");
}

/// A world in which an attempt takes as long as its service, wherever it goes, so that service can be seen.
const IDLE_WORLD: &str = r#"
    name = "idle-world"
    [run]
    requests = 5000
    [network]
    gateway_to_backend = "0s"
    [workload]
    arrivals = { process = "gamma", rate = 100.0, cv = 2.0 }
    tenants = { count = 5 }
    [[backend]]
    name = "alpha"
    kind = "queue"
    servers = "unbounded"
    service = { distribution = "lognormal", mean = "150ms", cv = 1.5 }
    [[backend]]
    name = "beta"
    kind = "queue"
    servers = "unbounded"
    service = { distribution = "lognormal", mean = "150ms", cv = 1.5 }
    [[backend]]
    name = "gamma"
    kind = "queue"
    servers = "unbounded"
    service = { distribution = "lognormal", mean = "150ms", cv = 1.5 }
    [[fault]]
    backend = "alpha"
    kind = "fail-fast"
    share = 0.5
    latency = "1ms"
    at = "0s"
    for = "1h"
"#;

#[test]
fn policies_face_the_same_world() {
    let runs = [CAREFUL, CARELESS].map(|policy| watch(&plan(policy, IDLE_WORLD), 0));
    let calls = |run: &Record<Everything>| -> BTreeMap<u64, Call> {
        run.observer
            .finished
            .iter()
            .map(|(call, _)| (call.number, *call))
            .collect()
    };
    let [careful, careless] = &runs;
    assert_eq!(calls(careful), calls(careless), "tenant, lengths, streaming");
    assert_eq!(calls(careful).len(), 5_000);
    // The first request of each call; clients ask again after what the policy made of it.
    let first = |run: &Record<Everything>| {
        let mut first = BTreeMap::new();
        for (call, outcome) in &run.observer.finished {
            let at = first.entry(call.number).or_insert(outcome.arrived);
            *at = outcome.arrived.min(*at);
        }
        first
    };
    assert_eq!(first(careful), first(careless), "arrivals");
    // The service of a first attempt that was answered, at whichever endpoint.
    let service = |run: &Record<Everything>| -> BTreeMap<u64, Nanos> {
        let arrivals = first(run);
        let served = run.observer.finished.iter().filter(|(call, outcome)| {
            outcome.end == End::Completed
                && outcome.won == outcome.launched
                && outcome.arrived == arrivals[&call.number]
        });
        served
            .map(|(call, outcome)| (call.number, outcome.finished.since(outcome.won)))
            .collect()
    };
    let (one, two) = (service(careful), service(careless));
    let both: Vec<u64> = one.keys().filter(|number| two.contains_key(number)).copied().collect();
    assert!(1_000 < both.len(), "{} were served at once under both", both.len());
    for number in both {
        assert_eq!(one[&number], two[&number], "the service of call {number}");
    }
    let went = |run: &Record<Everything>| run.endpoints.iter().map(|one| one.attempts).collect::<Vec<_>>();
    assert_ne!(went(careful), went(careless), "they do decide differently");
}

/// The most that is in the system at once is reached early: users who ask again, and a queue that is always full.
#[test]
fn memory_does_not_follow_requests() {
    let users = r#"{ process = "closed", users = 60, think = { distribution = "exponential", mean = "1ms" } }"#;
    let full = r#"{ process = "poisson", rate = 400.0 }"#;
    for arrivals in [users, full] {
        let scenario = |requests: u32| {
            format!(
                r#"
                name = "memory"
                [run]
                requests = {requests}
                [workload]
                arrivals = {arrivals}
                client = {{ kind = "fire-and-forget" }}
                [[backend]]
                name = "alpha"
                kind = "queue"
                servers = 10
                service = {{ distribution = "exponential", mean = "50ms" }}
                "#
            )
        };
        let policy = r#"
            [[pool]]
            name = "one"
            queue = { length = 30, wait = "20s" }
            [[pool.endpoint]]
            name = "alpha"
            max_in_flight = 10
            [[route]]
            name = "all"
            pools = ["one"]
        "#;
        let slots = |requests| {
            let record = Engine::new(&plan(policy, &scenario(requests)), 0, Quiet).run(|_| true);
            record.expect("nobody stops it").slots
        };
        let (few, many) = (slots(100_000), slots(1_000_000));
        assert_eq!((few.requests, few.calls), (many.requests, many.calls));
        assert!(40 <= few.requests && few.requests <= 60, "{few:?}");
        assert!(many.parcels <= 60, "{many:?}");
        // Stale timers are swept now and then; places for them are made by doubling.
        assert!(many.events <= 2 * few.events, "{few:?}, then {many:?}");
    }
}

#[test]
fn first_token_is_awaited_from_launch() {
    let scenario = r#"
        name = "slow"
        [run]
        requests = 1
        [workload]
        arrivals = { process = "deterministic", rate = 1.0 }
        stream = 1.0
        client = { kind = "fire-and-forget" }
        [[backend]]
        name = "alpha"
        kind = "queue"
        servers = 1
        service = { distribution = "constant", value = "60s" }
    "#;
    for connect in ["none", "2s", "100ms"] {
        let policy = format!(
            r#"
            [[pool]]
            name = "one"
            [[pool.endpoint]]
            name = "alpha"
            [[route]]
            name = "all"
            pools = ["one"]
            timeouts = {{ connect = "{connect}", ttft = "500ms" }}
            retry = {{ max_attempts = 1 }}
            "#
        );
        let record = watch(&plan(&policy, scenario), 0);
        let (_, outcome) = record.observer.finished[0];
        assert_eq!(outcome.e2e(), Nanos::from_millis(500), "connect = {connect}");
        assert_eq!(outcome.fault(), Some(Fault::Timeout), "connect = {connect}");
    }
}
