//! From a case to the files of its model.

use std::fmt::Write as _;

use serde_json::Value;
use tollgate_core::time::Nanos;

use crate::case::Case;
use crate::setup::{
    AT_ONCE, ENDLESS, Gateway, ONCE, PATIENT, Setup, UNBOUNDED, World, as_f64, constant, exponential, gamma, lognormal,
    poisson, queues, secs, steady, trace_name,
};
use crate::storms;

/// Every way in which the model of `case` is simulated, by name: the `gateway` queues, or the `backend`.
pub(crate) fn setups(case: &Case) -> Vec<(&'static str, Setup)> {
    let family = |prefix: &str| case.id.starts_with(prefix);
    let gateway = |setup| vec![("gateway", setup)];
    let backend = |setup| vec![("backend", setup)];
    match case.id.trim_start_matches("dev-") {
        _ if family("dev-mm1-0") || family("dev-md1-0") => {
            vec![("gateway", gateway_queue(case)), ("backend", backend_queue(case, ""))]
        }
        _ if family("dev-mm1") || family("dev-mmc-") || family("dev-md1") || family("dev-mg1") => {
            gateway(gateway_queue(case))
        }
        _ if family("dev-gim1") || family("dev-ggc") => gateway(gateway_queue(case)),
        _ if family("dev-mmck") => vec![
            ("gateway", gateway_queue(case)),
            (
                "backend",
                backend_queue(case, &format!("capacity = {}", case.count("system_capacity"))),
            ),
        ],
        _ if family("dev-ps") => backend(backend_queue(case, "discipline = \"ps\"")),
        _ if family("dev-lifo") => vec![
            ("gateway", gateway_order(case, "lifo")),
            ("backend", backend_queue(case, "discipline = \"lifo\"")),
        ],
        _ if family("dev-prio") => vec![("gateway", priority(case, true)), ("backend", priority(case, false))],
        _ if family("dev-erlangb") => erlang_b(case),
        _ if family("dev-erlanga") => gateway(erlang_a(case)),
        _ if family("dev-mginf") => gateway(infinite(case)),
        _ if family("dev-mtinf") => gateway(infinite_by_day(case)),
        _ if family("dev-supermarket") || family("dev-xsupermarket") || family("dev-jsq") || family("dev-rr") => {
            gateway(farm(case))
        }
        _ if family("dev-xhet-p2c-limit") => gateway(overloaded(case)),
        _ if family("dev-xhet") => gateway(two_speeds(case, case.number("load"))),
        _ if family("dev-swrr") => gateway(turns(case)),
        _ if family("dev-ysink") || family("dev-xsinkhole") => gateway(sinkhole(case)),
        _ if family("dev-gcra") => vec![
            ("gcra", poisson_limit(case, &rate_limit("gcra", case))),
            ("bucket", poisson_limit(case, &rate_limit("token-bucket", case))),
        ],
        _ if family("dev-fixedwin-burst") => gateway(window_burst(case, "fixed-window")),
        _ if family("dev-fixedwin") => gateway(poisson_limit(case, &window_limit("fixed-window", case))),
        _ if family("dev-slidelog") => gateway(poisson_limit(case, &window_limit("sliding-log", case))),
        _ if family("dev-slidecounter-0-worst") => gateway(window_burst(case, "sliding-window")),
        _ if family("dev-slidecounter") => gateway(poisson_limit(case, &window_limit("sliding-window", case))),
        _ if family("dev-aimd-avg") => gateway(adaptive(case)),
        _ if family("dev-bucket") => vec![
            ("gcra", saturated(case, &rate_limit("gcra", case))),
            ("bucket", saturated(case, &rate_limit("token-bucket", case))),
        ],
        _ if family("dev-golden-gcra") => vec![
            ("gcra", listed(case, &rate_limit("gcra", case))),
            ("bucket", listed(case, &rate_limit("token-bucket", case))),
        ],
        _ if family("dev-golden-fixed") => gateway(listed(case, &window_limit("fixed-window", case))),
        _ if family("dev-golden-slidelog") => gateway(listed(case, &window_limit("sliding-log", case))),
        _ if family("dev-golden-slidecounter") => gateway(listed(case, &window_limit("sliding-window", case))),
        _ if family("dev-golden-cb") => gateway(storms::listed_calls(case)),
        _ if family("dev-quota") => gateway(quota(case)),
        _ if family("dev-mmpp") || family("dev-gamma") => gateway(arrivals(case)),
        _ if family("dev-ttft") => backend(ttft(case)),
        _ => storms::setups(case),
    }
}

fn rate_of(case: &Case) -> f64 {
    case.number("lambda_")
}

fn arrivals_of(case: &Case) -> String {
    let rate = rate_of(case);
    if case.params.get("ca2").is_some() {
        gamma(rate, case.number("ca2").sqrt())
    } else if case.word("arrival") == "gamma renewal" {
        gamma(rate, case.number("cv"))
    } else {
        poisson(rate)
    }
}

fn service_of(case: &Case) -> String {
    if case.params.get("service_const").is_some() {
        constant(case.number("service_const"))
    } else if case.params.get("cs2").is_some() {
        lognormal(1.0 / case.number("mu"), case.number("cs2").sqrt())
    } else if case.word("service") == "lognormal" {
        lognormal(case.number("mean"), case.number("cv"))
    } else {
        exponential(1.0 / case.number("mu"))
    }
}

fn servers_of(case: &Case) -> u64 {
    case.params.get("servers").and_then(Value::as_u64).unwrap_or(1)
}

/// `servers` permits, and a queue for them in the gateway: what waits, waits there.
fn gateway_queue(case: &Case) -> Setup {
    gateway_order(case, "fifo")
}

fn gateway_order(case: &Case, order: &'static str) -> Setup {
    let servers = servers_of(case);
    let room = case
        .params
        .get("system_capacity")
        .and_then(Value::as_u64)
        .map(|capacity| capacity - servers);
    let gateway = Gateway {
        in_flight: Some(servers),
        order,
        queue: room.map_or(1_000_000, |room| u32::try_from(room).expect("a short queue")),
        ..Gateway::default()
    };
    let world = World::new(arrivals_of(case), queues(1, UNBOUNDED, &service_of(case), ""));
    Setup::new(&world, gateway.text(), rate_of(case), case.requests())
}

/// A gateway that lets everything through to a backend with `servers`.
fn backend_queue(case: &Case, more: &str) -> Setup {
    let servers = servers_of(case).to_string();
    let world = World::new(arrivals_of(case), queues(1, &servers, &service_of(case), more));
    Setup::new(&world, Gateway::default().text(), rate_of(case), case.requests())
}

/// Two classes, which wait in the gateway or at the backend.
fn priority(case: &Case, at_gateway: bool) -> Setup {
    let rates: Vec<f64> = case.list("lambdas").iter().filter_map(Value::as_f64).collect();
    let rate: f64 = rates.iter().sum();
    let service = exponential(case.number("mean_service"));
    let (gateway, backends) = if at_gateway {
        let gateway = Gateway {
            in_flight: Some(1),
            order: "priority",
            queue: 1_000_000,
            ..Gateway::default()
        };
        (gateway, queues(1, UNBOUNDED, &service, ""))
    } else {
        (
            Gateway::default(),
            queues(1, "1", &service, "discipline = \"priority\""),
        )
    };
    let mut world = World::new(poisson(rate), backends);
    world.workload = format!(
        "tenants = [{{ name = \"first\", share = {:?}, priority = \"high\" }}, {{ name = \"second\", share = {:?}, priority = \"low\" }}]",
        rates[0], rates[1]
    );
    Setup::new(&world, gateway.text(), rate, case.requests())
}

/// Once as a limit on requests in flight, once as permits of the endpoint.
fn erlang_b(case: &Case) -> Vec<(&'static str, Setup)> {
    let (most, rate) = (case.count("concurrency_limit"), case.number("offered_load_erlang"));
    let limit = format!("[[limit]]\nname = \"c\"\nalgorithm = \"permits\"\nmax_in_flight = {most}\nper = []\n");
    let world = World::new(poisson(rate), queues(1, UNBOUNDED, &lognormal(1.0, 2.0), ""));
    let setup = |gateway: &Gateway| Setup::new(&world, gateway.text(), rate, case.requests());
    let by_limit = Gateway {
        limits: limit,
        ..Gateway::default()
    };
    let by_endpoint = Gateway {
        in_flight: Some(most),
        ..Gateway::default()
    };
    vec![("limit", setup(&by_limit)), ("endpoint", setup(&by_endpoint))]
}

/// Callers leave the gateway's queue. Work that has begun goes on, and keeps its permit: else it would be a model in
/// which callers leave service too.
fn erlang_a(case: &Case) -> Setup {
    let gateway = Gateway {
        in_flight: Some(servers_of(case)),
        queue: 1_000_000,
        route: format!("{PATIENT}\n{ONCE}\ncancel_on_abandon = false"),
        ..Gateway::default()
    };
    let mut world = World::new(arrivals_of(case), queues(1, UNBOUNDED, &service_of(case), ""));
    let patience = exponential(1.0 / case.number("patience_rate"));
    world.workload = format!("client = {{ kind = \"fire-and-forget\", timeout = \"none\", patience = {patience} }}");
    Setup::new(&world, gateway.text(), rate_of(case), case.requests())
}

fn infinite(case: &Case) -> Setup {
    let service = lognormal(case.number("mean"), case.number("cv"));
    let world = World::new(poisson(rate_of(case)), queues(1, UNBOUNDED, &service, ""));
    Setup::new(&world, Gateway::default().text(), rate_of(case), case.requests())
}

fn infinite_by_day(case: &Case) -> Setup {
    let (rate, period) = (case.number("l"), core::f64::consts::TAU / case.number("g"));
    let arrivals = format!(
        "{{ process = \"diurnal\", mean = {rate:?}, peak_over_mean = {:?}, period = \"{}\" }}",
        1.0 + case.number("b"),
        secs(period)
    );
    let world = World::new(arrivals, queues(1, UNBOUNDED, &service_of(case), ""));
    let mut setup = Setup::new(&world, Gateway::default().text(), rate, 3_000_000);
    setup.watch.cycle = Some(period);
    setup
}

/// Several servers with a queue each, and the gateway choosing among them.
fn farm(case: &Case) -> Setup {
    let named = case.params.get("servers").and_then(Value::as_u64);
    // The mean field is what many servers tend to; theory says how far 200 are from it.
    let servers = named.unwrap_or(200);
    let rate = match case.params.get("lambda_total").and_then(Value::as_f64) {
        Some(rate) => rate,
        None => case.number("lambda_per_server") * as_f64(servers),
    };
    let balance = match case.params.get("d").and_then(Value::as_u64) {
        Some(1) => String::from("{ kind = \"random\" }"),
        Some(choices) => format!("{{ kind = \"p2c\", choices = {choices}, load = \"in-flight\" }}"),
        None if case.id.starts_with("dev-rr") => String::from("{ kind = \"round-robin\" }"),
        None => String::from(JSQ),
    };
    let endpoints = usize::try_from(servers).expect("a few servers");
    let world = World::new(poisson(rate), queues(endpoints, "1", &service_of(case), ""));
    let gateway = Gateway {
        endpoints,
        balance,
        ..Gateway::default()
    };
    // Over a dozen seeds the 99th percentile of 8 million requests has a standard deviation of 1.2 %, for all 20
    // servers are behind the same arrivals; its tolerance of 1.6 % was meant to be four of them.
    let times = if case.id.starts_with("dev-rr-1") { 8 } else { 1 };
    Setup::new(&world, gateway.text(), rate, case.requests() * times)
}

const JSQ: &str = "{ kind = \"least-in-flight\" }";
const P2C_BY_DELAY: &str = "{ kind = \"p2c\", choices = 2, load = \"expected-delay\" }";
const P2C: &str = "{ kind = \"p2c\", choices = 2, load = \"in-flight\" }";

/// Ten fast servers and ten slow ones, offered `load` of what they can do.
fn two_speeds(case: &Case, load: f64) -> Setup {
    let capacity = case.number("fast") * case.number("mu_fast") + case.number("slow") * case.number("mu_slow");
    let rate = capacity * load;
    let fast = queues(10, "1", &exponential(1.0 / case.number("mu_fast")), "");
    let slow = queues(10, "1", &exponential(1.0 / case.number("mu_slow")), "").replace("\"b", "\"b1");
    let balance = match case.word("policy") {
        policy if policy.starts_with("P2C on") => P2C_BY_DELAY,
        policy if policy.starts_with("P2C") => P2C,
        policy if policy.starts_with("JSQ") => JSQ,
        policy if policy.starts_with("random weighted") => "{ kind = \"weighted-random\" }",
        policy if policy.starts_with("shortest expected") => "{ kind = \"shortest-expected-delay\" }",
        _ => "{ kind = \"random\" }",
    };
    // Weights in proportion to the rates where the policy knows them; where it does not, all are alike.
    let is_told = ["random weighted", "shortest expected", "P2C on"].map(|word| case.word("policy").starts_with(word));
    let weights = if is_told.contains(&true) {
        let weight = |rate: &str| Nanos::from_secs_f64(case.number(rate) * 2e-9).as_nanos();
        [vec![weight("mu_fast"); 10], vec![weight("mu_slow"); 10]].concat()
    } else {
        Vec::new()
    };
    let world = World::new(poisson(rate), fast + &slow);
    let gateway = Gateway {
        endpoints: 20,
        weights,
        balance: String::from(balance),
        ..Gateway::default()
    };
    Setup::new(&world, gateway.text(), rate, case.n_requests.unwrap_or(200_000))
}

/// More than all of them can do together: if every server is busy all the time, no load below is too much.
fn overloaded(case: &Case) -> Setup {
    const TOO_MUCH: f64 = 1.1;
    two_speeds(case, TOO_MUCH)
}

/// Servers of these weights in turn.
fn turns(case: &Case) -> Setup {
    let weights: Vec<u64> = case.list("weights").iter().filter_map(Value::as_u64).collect();
    let n_picks = case.expected.as_array().map_or(0, Vec::len);
    let gateway = Gateway {
        endpoints: weights.len(),
        balance: String::from("{ kind = \"weighted-round-robin\" }"),
        weights,
        ..Gateway::default()
    };
    let world = World::new(steady(1.0), queues(gateway.endpoints, UNBOUNDED, AT_ONCE, ""));
    let requests = u64::try_from(n_picks).expect("a few picks");
    let mut setup = Setup::new(&world, gateway.text(), 1.0, requests);
    (setup.warmup, setup.watch.each) = (0.0, true);
    setup
}

/// One of several servers fails at once, and looks idle for it.
fn sinkhole(case: &Case) -> Setup {
    let endpoints = usize::try_from(case.count("servers")).expect("a few servers");
    let load = case
        .params
        .get("load_lambda_over_n")
        .and_then(Value::as_f64)
        .unwrap_or(0.7);
    let latency = case
        .params
        .get("failing_mean_service")
        .and_then(Value::as_f64)
        .unwrap_or(0.002);
    let rate = load * case.number("servers");
    let fault = format!(
        "[[fault]]\nbackend = \"b0\"\nkind = \"fail-fast\"\nlatency = \"{}\"\nat = \"0s\"\nfor = \"36500d\"\n",
        secs(latency)
    );
    let balance = if case.word("policy").starts_with("JSQ") {
        JSQ
    } else {
        P2C
    };
    let world = World::new(poisson(rate), queues(endpoints, "1", &exponential(1.0), "") + &fault);
    let gateway = Gateway {
        endpoints,
        balance: String::from(balance),
        ..Gateway::default()
    };
    Setup::new(&world, gateway.text(), rate, case.n_requests.unwrap_or(1_000_000))
}

fn rate_limit(algorithm: &str, case: &Case) -> String {
    let unit = if case.list("arrivals").iter().any(Value::is_array) {
        "input-tokens"
    } else {
        "requests"
    };
    format!(
        "[[limit]]\nname = \"rate\"\nalgorithm = \"{algorithm}\"\nunit = \"{unit}\"\nper = []\nquota = {{ amount = {:.0}, period = \"1s\", burst = {} }}\n",
        case.number("rate"),
        case.count("burst")
    )
}

fn window_limit(algorithm: &str, case: &Case) -> String {
    format!(
        "[[limit]]\nname = \"window\"\nalgorithm = \"{algorithm}\"\nper = []\nquota = {{ amount = {}, period = \"{}\" }}\n",
        case.count("limit"),
        secs(case.number("window"))
    )
}

fn limited(limit: &str) -> String {
    Gateway {
        limits: limit.to_owned(),
        ..Gateway::default()
    }
    .text()
}

fn at_once() -> String {
    queues(1, UNBOUNDED, AT_ONCE, "")
}

fn poisson_limit(case: &Case, limit: &str) -> Setup {
    let world = World::new(poisson(rate_of(case)), at_once());
    Setup::new(&world, limited(limit), rate_of(case), case.requests())
}

/// Ten times what a backend can do that sheds whoever is one too many, before a limit that adapts.
fn adaptive(case: &Case) -> Setup {
    const SERVICE: f64 = 0.1;
    let most = case.count("L_star");
    let limit = "[[limit]]\nname = \"adapts\"\nalgorithm = \"aimd\"\nper = []\nbounds = { initial = 20, min = 1, max = 1000 }\n";
    let rate = 10.0 * case.number("L_star") / SERVICE;
    let backends = queues(
        1,
        &most.to_string(),
        &exponential(SERVICE),
        &format!("capacity = {most}"),
    );
    Setup::new(&World::new(poisson(rate), backends), limited(limit), rate, 400_000)
}

/// Far more than the limit lets through, for a while.
fn saturated(case: &Case, limit: &str) -> Setup {
    let world = World::new(steady(1_000.0), at_once());
    let mut setup = Setup::new(&world, limited(limit), 1_000.0, ENDLESS);
    (setup.duration, setup.warmup) = (Some(case.number("T")), 0.0);
    setup
}

/// The worst that a window lets through: all of one just before its end, and of the next what it lets.
fn window_burst(case: &Case, algorithm: &str) -> Setup {
    let window = case.number("window");
    let start = secs(window * 0.9);
    let arrivals =
        format!("{{ process = \"schedule\", steps = [[\"0s\", 0.0], [\"{start}\", 1000.0]], noise = \"none\" }}");
    let world = World::new(arrivals, at_once());
    let mut setup = Setup::new(&world, limited(&window_limit(algorithm, case)), 1_000.0, ENDLESS);
    (setup.duration, setup.warmup) = (Some(window * 1.899), 0.0);
    setup
}

/// Requests at the listed instants, with their cost where they have one.
fn listed(case: &Case, limit: &str) -> Setup {
    let mut trace = String::from("time,prompt,output\n");
    for arrival in case.list("arrivals") {
        let (at, cost) = match arrival.as_array() {
            Some(pair) => (pair[0].as_f64(), pair[1].as_u64()),
            None => (arrival.as_f64(), Some(1)),
        };
        writeln!(trace, "{:?},{},1", at.expect("an instant"), cost.expect("a cost")).expect("text grows");
    }
    replay(trace, limited(limit), at_once(), case.list("arrivals").len())
}

/// Replays `trace`, remembering each request.
pub(crate) fn replay(trace: String, policy: String, backends: String, requests: usize) -> Setup {
    let arrivals = format!(
        "{{ process = \"trace\", file = \"{}\", format = \"tollgate\" }}",
        trace_name(&trace, &policy)
    );
    let world = World::new(arrivals, backends);
    let mut setup = Setup::new(&world, policy, 1.0, u64::try_from(requests).expect("a few requests"));
    (setup.trace, setup.warmup, setup.watch.each) = (Some(trace), 0.0, true);
    setup
}

/// The burst at the beginning is left out: what counts is the long run.
pub(crate) const WARM_QUOTA: f64 = 600.0;

fn quota(case: &Case) -> Setup {
    let limit = |name: &str, unit: &str, amount: u64| {
        format!(
            "[[limit]]\nname = \"{name}\"\nalgorithm = \"gcra\"\nunit = \"{unit}\"\nper = []\nquota = {{ amount = {amount}, period = \"1m\" }}\n"
        )
    };
    let limits = limit("rpm", "requests", case.count("rpm")) + &limit("tpm", "tokens", case.count("tpm"));
    let mut world = World::new(steady(10.0), at_once());
    world.workload = format!(
        "prompt_tokens = {{ distribution = \"constant\", value = {} }}\noutput_tokens = {{ distribution = \"constant\", value = {} }}\nmax_tokens = {1}\n",
        case.count("prompt_tokens"),
        case.count("max_tokens")
    );
    let mut setup = Setup::new(&world, limited(&limits), 10.0, ENDLESS);
    (setup.duration, setup.warmup) = (Some(36_000.0), WARM_QUOTA);
    setup
}

/// Arrivals alone.
fn arrivals(case: &Case) -> Setup {
    let (arrivals, rate) = if case.id.starts_with("dev-mmpp") {
        let hold = |name| secs(1.0 / case.number(name));
        let text = format!(
            "{{ process = \"mmpp\", rates = [{:?}, {:?}], holds = [\"{}\", \"{}\"] }}",
            case.number("rate1"),
            case.number("rate2"),
            hold("r12"),
            hold("r21")
        );
        (text, 25.0)
    } else {
        (gamma(10.0, case.number("cv")), 10.0)
    };
    let world = World::new(arrivals, at_once());
    let mut setup = Setup::new(&world, Gateway::default().text(), rate, case.requests());
    setup.watch.windows = match case.metric.strip_prefix("index_of_dispersion_") {
        Some("long_window") => vec![100.0],
        Some(length) => vec![length.trim_end_matches('s').parse().expect("a number of seconds")],
        None => Vec::new(),
    };
    setup
}

fn ttft(case: &Case) -> Setup {
    let median = tollgate_core::math::exp(case.number("ln_mu"));
    let backend = format!(
        "[[backend]]\nname = \"b0\"\nkind = \"api\"\nttft = {{ distribution = \"lognormal\", median = \"{}\", sigma = {:?} }}\ntpot = {}\n",
        secs(median),
        case.number("ln_sigma"),
        constant(0.0)
    );
    let mut world = World::new(poisson(100.0), backend);
    world.workload = String::from("stream = 1.0");
    Setup::new(&world, Gateway::default().text(), 100.0, case.requests())
}
