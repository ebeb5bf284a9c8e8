//! Cases that are not the metric of one simulation: laws of core by themselves, and averages over many short runs.

use std::path::PathBuf;

use serde_json::Value;
use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::health::{Breaker, Report, Transition};
use tollgate_core::load::{Estimate, PeakEwma};
use tollgate_core::policy::{self, BreakerKind};
use tollgate_core::queue::{CoDel, CoDelState, Pass};
use tollgate_core::throttle::{History, Throttle};
use tollgate_core::time::{Instant, Nanos};

use crate::case::{Case, Reading};
use crate::setup::{Gateway, Setup, World, as_f64, exponential, queues, trace_name};
use crate::skip::skip;

/// What measures a case.
type Measure = fn(&Case) -> Reading;

/// How `case` is measured, if it is one of these: what it is called, and what does it.
pub(crate) fn way(case: &Case) -> Option<(&'static str, Measure)> {
    match case.id.trim_start_matches("dev-") {
        "golden-peakewma" => Some(("law", peak_ewma)),
        "golden-codel" => Some(("law", codel)),
        "sre-throttle-0" => Some(("law", throttle)),
        "consec-0" => Some(("law", streaks)),
        id if id.starts_with("ytrace-") => Some(("gateway", traced)),
        _ => None,
    }
}

/// Whether `case` is one of these, and cannot be measured here: then that has been said.
pub(crate) fn is_skipped(case: &Case) -> bool {
    if case.id.starts_with("dev-ytrace") && traces().is_none() {
        skip("the traces of `dev-ytrace-*` are in the folder that TOLLGATE_TRACES names, which is not set");
        return true;
    }
    false
}

fn traces() -> Option<PathBuf> {
    std::env::var_os("TOLLGATE_TRACES").map(PathBuf::from)
}

fn pair(value: &Value) -> (f64, f64) {
    let number = |at: usize| value[at].as_f64().expect("a pair of numbers");
    (number(0), number(1))
}

fn peak_ewma(case: &Case) -> Reading {
    let law = PeakEwma::new(Nanos::from_secs_f64(case.number("tau")));
    let mut estimate = Estimate::default();
    let costs = case.list("observations").iter().map(|observation| {
        let (at, latency) = pair(observation);
        let now = Instant::EPOCH + Nanos::from_secs_f64(at);
        law.observe(&mut estimate, now, Nanos::from_secs_f64(latency));
        law.at(&estimate, now)
    });
    Reading::Numbers(costs.collect())
}

/// When somebody is shed of those who come to the head of a long queue and have all waited alike.
fn codel(case: &Case) -> Reading {
    let length = |key: &str| Nanos::from_secs_f64(case.number(key));
    let law = CoDel {
        target: length("target"),
        interval: length("interval"),
    };
    let (every, waited) = (length("dequeue_every"), length("constant_sojourn"));
    let mut state = CoDelState::default();
    // Later than the epoch, so that whoever waits has come since.
    let begin = Instant::from_secs(1);
    let (mut now, mut shed) = (begin, Vec::new());
    while now <= begin + length("until") {
        let mut pass = Pass::default();
        while law.sheds(&mut state, &mut pass, now, waited, u32::MAX) {
            shed.push(now.since(begin).as_secs_f64());
        }
        now += every;
    }
    Reading::Numbers(shed)
}

/// The chance to be turned away once so many of so many requests were accepted.
fn throttle(case: &Case) -> Reading {
    let k = case.number("K");
    assert!((k - 2.0).abs() < f64::EPSILON, "the book's own, and not {k}");
    let law = Throttle::new(&policy::Throttle::SRE);
    let (mut history, now) = (History::default(), Instant::from_secs(1));
    for nth in 0..case.count("requests") {
        law.record(&mut history, now, nth < case.count("accepts"));
    }
    Reading::Number(law.chance(&history, now))
}

/// Attempts until so many fail in a row, as the breaker counts them: too many for a simulation with everything around.
fn streaks(case: &Case) -> Reading {
    let failures = u32::try_from(case.count("k")).ok().and_then(core::num::NonZeroU32::new);
    let breaker = Breaker::new(&BreakerKind::Consecutive {
        failures: failures.expect("a few failures"),
        open: Nanos::from_secs(1),
        probes: core::num::NonZeroU32::MIN,
    });
    let share = case.number("p_fail");
    let mut rng = Dice::new(1).request(0).roll(Purpose::Service, 0);
    let (mut attempts, mut episodes) = (0_u64, 0_u64);
    while episodes < case.requests() {
        let mut health = breaker.fresh();
        loop {
            attempts += 1;
            let report = if rng.uniform() < share {
                Report::Failure
            } else {
                Report::Success { latency: Nanos::ZERO }
            };
            if let Some(Transition::Trip { .. }) = breaker.record(&mut health, Instant::EPOCH, report, None) {
                break;
            }
        }
        episodes += 1;
    }
    Reading::Number(as_f64(attempts) / as_f64(episodes))
}

/// Recorded arrivals before a gateway with a queue, averaged over the dice of forty seeds.
fn traced(case: &Case) -> Reading {
    const SEEDS: u64 = 40;
    let file = case.word("file").rsplit('/').next().unwrap_or_default();
    let path = traces().expect("whoever has none does not measure this").join(file);
    let trace = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let gateway = Gateway {
        in_flight: Some(case.count("servers")),
        queue: 1_000_000,
        ..Gateway::default()
    };
    let policy = gateway.text();
    let arrivals = format!(
        "{{ process = \"trace\", file = \"{}\", format = \"azure\" }}",
        trace_name(&trace, &policy)
    );
    let service = case.number("mean_service");
    let world = World::new(arrivals, queues(1, "\"unbounded\"", &exponential(service), ""));
    let mut setup = Setup::new(&world, policy, 1.0, case.requests());
    (setup.trace, setup.warmup) = (Some(trace), 0.0);
    let waits = (1..=SEEDS).map(|seed| {
        let record = setup.run(seed).record;
        assert_eq!(record.counts.completed, case.requests(), "the whole trace is replayed");
        record.latencies.queue_wait.mean().expect("requests were completed")
    });
    Reading::Number(waits.sum::<f64>() / as_f64(SEEDS) / service)
}
