//! Models in which something fails: retries, hedges, breakers, outages, storms.

use std::fmt::Write as _;

use serde_json::Value;
use tollgate_core::health::{Admission, Breaker, Circuit, Report};
use tollgate_core::lifecycle::End;
use tollgate_core::policy::{BreakerKind, Window};
use tollgate_core::time::Nanos;

use crate::case::{Case, Reading};
use crate::models::replay;
use crate::setup::{
    AT_ONCE, ENDLESS, Gateway, ONCE, PATIENT, Run, Setup, UNBOUNDED, World, as_f64, constant, exponential, poisson,
    queues, secs, steady,
};

/// Every way in which the model of `case` is simulated.
pub(crate) fn setups(case: &Case) -> Vec<(&'static str, Setup)> {
    let family = |prefix: &str| case.id.starts_with(prefix);
    let gateway = |setup| vec![("gateway", setup)];
    match () {
        () if family("dev-retry-layers") => gateway(layers(case)),
        () if family("dev-retrybudget") => gateway(budget(case)),
        () if family("dev-retry-") => gateway(retries(case)),
        () if family("dev-backoff") => gateway(backoff(case)),
        () if family("dev-hedge") => gateway(hedge(case)),
        () if family("dev-cb-false") => vec![("shadow", shadow(case))],
        () if family("dev-cb-duty") => gateway(duty(case)),
        () if family("dev-consec") => vec![("shadow", streak(case))],
        () if family("dev-avail") => gateway(outages(case)),
        () if family("dev-xmeta") => gateway(storm(case)),
        () if family("dev-metastable-0-drain") => gateway(drain(case)),
        () if family("dev-metastable") => vec![("below", brink(case, 0.9)), ("above", brink(case, 1.15))],
        () => panic!("nobody simulates {}", case.id),
    }
}

/// The metric of `case`, if it is one of these.
pub(crate) fn measure(case: &Case, way: &str, run: &Run) -> Option<Reading> {
    let record = &run.record;
    let watch = &record.observer;
    let counts = &record.counts;
    let per_call = |count: u64| as_f64(count) / as_f64(record.calls);
    let completed = as_f64(counts.completed) / as_f64(counts.offered);
    let number = match case.metric.as_str() {
        "mean_attempts" => as_f64(watch.attempts) / as_f64(watch.finished),
        "P(success)" | "availability" => completed,
        "unavailability" => 1.0 - completed,
        "amplification_at_backend" => per_call(record.attempts),
        "retries_per_sec_steady_state" => {
            let retries = watch.attempts - watch.finished;
            case.number("request_rate") * as_f64(retries) / as_f64(watch.finished)
        }
        // Every request fails at once, after as long as it backed off.
        "mean_total_delay" | "total_delay" => {
            let each = watch.each.as_ref().expect("each request is remembered");
            let sum: f64 = each.iter().map(|(_, outcome)| outcome.e2e().as_secs_f64()).sum();
            sum / as_f64(each.len() as u64)
        }
        "extra_request_fraction" => as_f64(watch.hedges) / as_f64(watch.finished),
        "P(window failure rate >= threshold)" => watch.shadow.as_ref().expect("a breaker watches").share_above(),
        "fraction_of_requests_sent_to_dead_backend" => as_f64(record.attempts) / as_f64(counts.offered),
        "mean_requests_until_k_consecutive_failures" => watch.streak.as_ref().expect("streaks are watched").mean(),
        metric if metric.starts_with("lambda/C") => {
            let goodput = as_f64(watch.periods[0].completed) / as_f64(watch.periods[0].requests);
            let is_as_foretold = if way == "below" { 0.95 < goodput } else { goodput < 0.05 };
            return Some(if is_as_foretold {
                Reading::Number(case.expected.as_f64().expect("a threshold"))
            } else {
                Reading::Words(vec![format!("a goodput of {goodput} {way} the threshold")])
            });
        }
        "drain_time_s" => drain_time(case, run),
        metric if metric.starts_with("goodput_fraction") => {
            as_f64(watch.periods[0].completed) / as_f64(watch.periods[0].requests)
        }
        metric if metric.starts_with("attempts_per_request") => {
            as_f64(watch.periods[0].attempts) / as_f64(watch.periods[0].requests)
        }
        metric if metric.starts_with("state_after_each") => return Some(states(case, run)),
        _ => return None,
    };
    Some(Reading::Number(number))
}

/// A backend that fails a share of its attempts after `latency`.
fn failing(share: f64, latency: f64) -> String {
    let backend = queues(1, UNBOUNDED, AT_ONCE, "");
    format!(
        "{backend}[[fault]]\nbackend = \"b0\"\nkind = \"fail-fast\"\nshare = {share:?}\nlatency = \"{}\"\nat = \"0s\"\nfor = \"36500d\"\n",
        secs(latency)
    )
}

fn route(retry: &str) -> Gateway {
    Gateway {
        route: format!("{PATIENT}\nretry = {{ {retry} }}"),
        ..Gateway::default()
    }
}

const NO_BACKOFF: &str = "backoff = { base = \"0s\", max = \"0s\", jitter = \"none\" }";

fn retries(case: &Case) -> Setup {
    let attempts = case.count("max_retries") + 1;
    let gateway = route(&format!("max_attempts = {attempts}, budget = \"none\", {NO_BACKOFF}"));
    let world = World::new(poisson(100.0), failing(case.number("p_fail"), 0.0));
    Setup::new(&world, gateway.text(), 100.0, case.requests())
}

/// The client is one layer. Two further layers that each try four times are, to a backend that is down, one that
/// tries sixteen times.
fn layers(case: &Case) -> Setup {
    let retries = case.count("retries_per_layer");
    let gateway = route(&format!(
        "max_attempts = {}, budget = \"none\", {NO_BACKOFF}",
        (retries + 1) * (retries + 1)
    ));
    let mut world = World::new(poisson(100.0), failing(1.0, 0.0));
    world.workload = client(retries, "none");
    Setup::new(&world, gateway.text(), 100.0, 10_000)
}

fn client(retries: u64, timeout: &str) -> String {
    format!(
        "client = {{ kind = \"custom\", max_retries = {retries}, timeout = \"{timeout}\", backoff = {{ base = \"0s\", max = \"0s\", jitter = 0.0 }} }}"
    )
}

fn budget(case: &Case) -> Setup {
    let gateway = route(&format!(
        "max_attempts = 16, budget = {{ ratio = {:?}, floor = \"{}/s\" }}, {NO_BACKOFF}",
        case.number("retry_ratio"),
        case.number("min_retries_per_sec")
    ));
    let rate = case.number("request_rate");
    let world = World::new(poisson(rate), failing(1.0, 0.0));
    Setup::new(&world, gateway.text(), rate, 500_000)
}

fn backoff(case: &Case) -> Setup {
    let jitter = if case.metric == "mean_total_delay" {
        "full"
    } else {
        "none"
    };
    let gateway = route(&format!(
        "max_attempts = {}, budget = \"none\", backoff = {{ base = \"{}\", max = \"{}\", jitter = \"{jitter}\" }}",
        case.count("retries") + 1,
        secs(case.number("base")),
        secs(case.number("cap"))
    ));
    let world = World::new(poisson(100.0), failing(1.0, 0.0));
    let mut setup = Setup::new(&world, gateway.text(), 100.0, case.n_requests.unwrap_or(1_000));
    setup.watch.each = true;
    setup
}

fn hedge(case: &Case) -> Setup {
    let service = if case.word("dist") == "exponential" {
        exponential(1.0 / case.number("mu"))
    } else {
        let median = tollgate_core::math::exp(case.number("ln_mu"));
        let sigma = case.number("ln_sigma");
        format!(
            "{{ distribution = \"lognormal\", median = \"{}\", sigma = {sigma:?} }}",
            secs(median)
        )
    };
    let mut gateway = route(&format!("max_attempts = 2, budget = \"none\", {NO_BACKOFF}"));
    gateway.endpoints = 2;
    let after = secs(case.number("hedge_delay"));
    write!(
        gateway.route,
        "\nhedge = {{ after = \"{after}\", max = 1, budget = 1.0 }}"
    )
    .expect("text grows");
    let world = World::new(poisson(100.0), queues(2, UNBOUNDED, &service, ""));
    Setup::new(&world, gateway.text(), 100.0, case.requests())
}

fn shadow(case: &Case) -> Setup {
    let world = World::new(poisson(100.0), failing(case.number("p_fail"), 0.0));
    let mut setup = Setup::new(&world, Gateway::default().text(), 100.0, case.requests());
    let size = u32::try_from(case.count("window")).expect("a small window");
    #[expect(clippy::cast_possible_truncation, reason = "a half is a half")]
    let share = case.number("threshold") as f32;
    setup.watch.shadow = Some((size, share));
    setup
}

fn streak(case: &Case) -> Setup {
    let world = World::new(poisson(100.0), failing(case.number("p_fail"), 0.0));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of requests"
    )]
    let requests = (as_f64(case.requests()) * case.expected.as_f64().expect("a number")) as u64;
    let mut setup = Setup::new(&world, Gateway::default().text(), 100.0, requests);
    setup.watch.streak = Some(u32::try_from(case.count("k")).expect("a few failures"));
    setup
}

/// A dead backend: the breaker trips, lets its probes through now and then, and trips again.
fn duty(case: &Case) -> Setup {
    let (rate, open, probes) = (
        case.number("arrival_rate"),
        case.number("wait_open"),
        case.count("half_open_permits"),
    );
    let latency = case.number("failure_latency");
    let gateway = Gateway {
        health: format!(
            "{{ kind = \"error-rate\", share = 0.5, window = 20, min_requests = 20, open = \"{}\", probes = {probes} }}",
            secs(open)
        ),
        ..Gateway::default()
    };
    let world = World::new(steady(rate), failing(1.0, latency));
    let mut setup = Setup::new(&world, gateway.text(), rate, ENDLESS);
    // Whole cycles, after the first trip.
    let cycle = open + as_f64(probes) / rate + latency;
    setup.warmup = 30.0;
    setup.duration = Some(30.0 + 50.0 * cycle);
    setup
}

/// Providers that are up and down in turn; each the fallback of the one before. An hour is played in a minute: only
/// the ratio of the two lengths matters, and no scenario lasts two centuries.
fn outages(case: &Case) -> Setup {
    let pools = if case.id.starts_with("dev-avail2") { 2 } else { 1 };
    let cycles = if pools == 2 { 20_000.0 } else { 2_000.0 };
    let hours = |name: &str| case.number(name) * 60.0;
    let length = cycles * (hours("mean_up_hours") + hours("mean_down_hours"));
    let (mut policy, mut backends, mut names) = (String::new(), String::new(), Vec::new());
    for number in 0..pools {
        writeln!(
            policy,
            "[[pool]]\nname = \"p{number}\"\nhealth = {{ kind = \"off\" }}\nqueue = {{ length = 0 }}\n[[pool.endpoint]]\nname = \"b{number}\""
        )
        .expect("text grows");
        writeln!(
            backends,
            "[[fault]]\nbackend = \"b{number}\"\nkind = \"connection-refused\"\nevery = {}\nfor = {}",
            exponential(hours("mean_up_hours")),
            exponential(hours("mean_down_hours"))
        )
        .expect("text grows");
        names.push(format!("\"p{number}\""));
    }
    writeln!(
        policy,
        "[[route]]\nname = \"all\"\npools = [{}]\n{PATIENT}\nretry = {{ max_attempts = {pools}, budget = \"none\", {NO_BACKOFF} }}",
        names.join(", ")
    )
    .expect("text grows");
    let requests = 8_000_000;
    let rate = as_f64(requests) / length;
    let world = World::new(poisson(rate), queues(pools, UNBOUNDED, AT_ONCE, "") + &backends);
    let mut setup = Setup::new(&world, policy, rate, ENDLESS);
    (setup.duration, setup.warmup, setup.watch.until) = (Some(length), 0.0, length);
    setup
}

/// A server that is slow for a while, and clients that ask again at once when they have waited too long. What they
/// gave up on is served all the same, unless the server drops it.
#[derive(Clone, Copy, Debug)]
struct Storm<'a> {
    capacity: f64,
    rate: f64,
    timeout: f64,
    retries: u64,
    budget: Option<f64>,
    drop_expired: bool,
    /// The `[[fault]]` that starts it, without the backend.
    trigger: &'a str,
    /// When calls end, in seconds, and the period that is looked at.
    length: f64,
    period: (f64, f64),
}

impl Storm<'_> {
    fn setup(&self) -> Setup {
        let more = format!("on_cancel = \"finish\"\ndrop_expired = {}", self.drop_expired);
        let fault = format!("[[fault]]\nbackend = \"b0\"\nkind = \"brownout\"\n{}\n", self.trigger);
        let mut world = World::new(
            poisson(self.rate),
            queues(1, "1", &constant(1.0 / self.capacity), &more) + &fault,
        );
        world.workload = String::from("stream = 1.0");
        let budget = match self.budget {
            Some(ratio) => format!("{{ ratio = {ratio:?}, floor = \"0/s\" }}"),
            None => String::from("\"none\""),
        };
        let gateway = Gateway {
            route: format!(
                "timeouts = {{ connect = \"none\", ttft = \"{}\", idle = \"none\", total = \"none\" }}\nretry = {{ max_attempts = {}, budget = {budget}, {NO_BACKOFF} }}",
                secs(self.timeout),
                self.retries + 1
            ),
            ..Gateway::default()
        };
        let mut setup = Setup::new(&world, gateway.text(), self.rate, ENDLESS);
        (setup.duration, setup.warmup, setup.watch.until) = (Some(self.length), 0.0, self.length);
        setup.watch.periods = vec![self.period];
        setup
    }
}

fn storm(case: &Case) -> Setup {
    let period = match case.metric.rsplit_once("t in ").map(|(_, period)| period) {
        Some("[5,19)") => (5.0, 19.0),
        _ => (100.0, 150.0),
    };
    let drop = case.params.get("deadline_drop").and_then(Value::as_bool);
    Storm {
        capacity: case.number("capacity"),
        rate: case.number("lambda_"),
        timeout: case.number("timeout"),
        retries: case.count("max_retries"),
        budget: case.params.get("budget_ratio").and_then(Value::as_f64),
        drop_expired: drop.unwrap_or_default(),
        trigger: "factor = 5\nat = \"20s\"\nfor = \"5s\"",
        length: 150.0,
        period,
    }
    .setup()
}

/// So many times the load above which a storm feeds itself: below, it must pass; above, it must not.
fn brink(case: &Case, times: f64) -> Setup {
    let capacity = case.number("capacity");
    Storm {
        capacity,
        rate: capacity * case.expected.as_f64().expect("a threshold") * times,
        timeout: 0.5,
        retries: case.params.get("retries").and_then(Value::as_u64).unwrap_or(3),
        budget: case.params.get("budget_ratio").and_then(Value::as_f64),
        drop_expired: false,
        trigger: "factor = 20\nat = \"20s\"\nfor = \"5s\"",
        length: 300.0,
        period: (250.0, 300.0),
    }
    .setup()
}

/// When the server of [`drain`] is slow, in seconds, and how many it serves a second then.
const SLOW: (f64, f64) = (20.0, 38.0);
const SLOWLY: f64 = 20.0;
const IMPATIENT: f64 = 0.5;

/// A server that is almost still until a backlog has come together; every attempt times out until it has drained.
fn drain(case: &Case) -> Setup {
    let capacity = case.number("capacity");
    let mut setup = Storm {
        capacity,
        rate: case.number("lambda_"),
        timeout: IMPATIENT,
        retries: 3,
        budget: Some(case.number("budget_ratio")),
        drop_expired: false,
        trigger: &format!(
            "factor = {}\nat = \"{}\"\nfor = \"{}\"",
            capacity / SLOWLY,
            secs(SLOW.0),
            secs(SLOW.1 - SLOW.0)
        ),
        length: 120.0,
        period: (100.0, 120.0),
    }
    .setup();
    setup.watch.each = true;
    setup
}

/// How long a backlog of the stated size would take at the speed at which this one drains: from the end of the slow time
/// until the first request is answered in time, when what the server does in a timeout is left of it.
fn drain_time(case: &Case, run: &Run) -> f64 {
    let each = run.record.observer.each.as_ref().expect("each request is remembered");
    let mut launched = 0_u64;
    let mut recovered = f64::INFINITY;
    for (_, outcome) in each {
        let arrived = outcome.arrived.as_secs_f64();
        // Attempts follow each other at once, each after the timeout of the one before.
        for attempt in 0..outcome.attempts {
            let at = arrived + f64::from(attempt) * IMPATIENT;
            launched += u64::from(SLOW.0 < at && at < SLOW.1);
        }
        if SLOW.1 < arrived && outcome.end == End::Completed && outcome.attempts == 1 {
            recovered = recovered.min(arrived);
        }
    }
    let backlog = as_f64(launched) - SLOWLY * (SLOW.1 - SLOW.0);
    let left = IMPATIENT * case.number("capacity");
    case.number("backlog") * (recovered - SLOW.1) / (backlog - left)
}

/// Calls at listed instants, each of which succeeds or fails as listed, past a breaker by count.
pub(crate) fn listed_calls(case: &Case) -> Setup {
    let (mut trace, mut backends) = (String::from("time,prompt,output\n"), queues(1, UNBOUNDED, AT_ONCE, ""));
    for (at, is_success) in calls(case) {
        writeln!(trace, "{at:?},1,1").expect("text grows");
        if !is_success {
            writeln!(
                backends,
                "[[fault]]\nbackend = \"b0\"\nkind = \"fail-fast\"\nlatency = \"0s\"\nat = \"{}\"\nfor = \"1ms\"",
                secs(at)
            )
            .expect("text grows");
        }
    }
    let gateway = Gateway {
        health: format!(
            "{{ kind = \"error-rate\", share = {:?}, window = {}, min_requests = {}, open = \"{}\", probes = {} }}",
            case.number("thr") / 100.0,
            case.count("N"),
            case.count("mincalls"),
            secs(case.number("wait")),
            case.count("half")
        ),
        route: format!("{PATIENT}\n{ONCE}"),
        ..Gateway::default()
    };
    replay(trace, gateway.text(), backends, calls(case).len())
}

fn calls(case: &Case) -> Vec<(f64, bool)> {
    let call = |call: &Value| (call[0].as_f64().expect("an instant"), call[1].as_u64() == Some(1));
    case.list("calls").iter().map(call).collect()
}

/// The state after each call. A run shows which calls were let through, and how they ended; a second breaker that
/// sees the same must agree about the one and tells the state after the other.
fn states(case: &Case, run: &Run) -> Reading {
    let number = |name| {
        let number = u32::try_from(case.count(name)).expect("a small number");
        core::num::NonZeroU32::new(number).expect("a number above zero")
    };
    let breaker = Breaker::new(&BreakerKind::ErrorRate {
        share: 0.5,
        window: Window::Count(number("N")),
        min_requests: number("mincalls"),
        open: Nanos::from_secs_f64(case.number("wait")),
        probes: number("half"),
    });
    let mut health = breaker.fresh();
    let mut words = Vec::new();
    for (_, outcome) in run.record.observer.each.as_ref().expect("each request is remembered") {
        let admission = breaker.admit(&mut health, outcome.arrived);
        let slot = match admission {
            Admission::Probe(slot) => Some(slot),
            Admission::Yes | Admission::No { .. } => None,
        };
        let is_let_through = !matches!(admission, Admission::No { .. });
        assert_eq!(
            is_let_through,
            0 < outcome.attempts,
            "the gateway and a breaker agree on {outcome:?}"
        );
        let word = if is_let_through {
            let report = if outcome.end == End::Completed {
                Report::Success { latency: Nanos::ZERO }
            } else {
                Report::Failure
            };
            breaker.record(&mut health, outcome.finished, report, slot);
            match breaker.circuit(&health) {
                Circuit::Closed => "C",
                Circuit::Open { .. } => "O",
                Circuit::HalfOpen { .. } => "H",
            }
        } else {
            "R"
        };
        words.push(word.to_owned());
    }
    Reading::Words(words)
}
