//! Cases that are not the metric of one simulation: laws of core by themselves, averages over many short runs, and a
//! bound on what one tenant gets more than another.

use std::path::PathBuf;

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::Instant;
use tollgate_sim::engine::Engine;
use tollgate_sim::record::Observer;
use tollgate_sim::workload::Call;

use crate::case::{Case, Reading};
use crate::laws;
use crate::setup::{Gateway, Setup, UNBOUNDED, World, as_f64, exponential, poisson, queues, trace_name};
use crate::skip::skip;

/// What measures a case.
type Measure = fn(&Case) -> Reading;

/// How `case` is measured, if it is one of these: what it is called, and what does it.
pub(crate) fn way(case: &Case) -> Option<(&'static str, Measure)> {
    match case.id.trim_start_matches("dev-") {
        "golden-peakewma" => Some(("law", laws::peak_ewma)),
        "golden-codel" => Some(("law", laws::codel)),
        "golden-aimd" => Some(("law", laws::aimd)),
        "golden-vegas" => Some(("law", laws::vegas)),
        "golden-gradient2" => Some(("law", laws::gradient2)),
        "golden-envoy-sr" => Some(("law", laws::success_rate)),
        "eject-times-0" => Some(("law", laws::ejection_times)),
        "slowstart" => Some(("law", laws::slow_start)),
        "sre-throttle-0" => Some(("law", laws::throttle)),
        "consec-0" => Some(("law", laws::streaks)),
        "xvtc-bound" => Some(("gateway", service_apart)),
        id if id.starts_with("slidecounter-0-err") => Some(("law", laws::estimate_error)),
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
    let world = World::new(arrivals, queues(1, UNBOUNDED, &exponential(service), ""));
    let mut setup = Setup::new(&world, policy, 1.0, case.requests());
    (setup.trace, setup.warmup) = (Some(trace), 0.0);
    let waits = (1..=SEEDS).map(|seed| {
        let record = setup.run(seed).record;
        assert_eq!(record.counts.completed, case.requests(), "the whole trace is replayed");
        record.latencies.queue_wait.mean().expect("requests were completed")
    });
    Reading::Number(waits.sum::<f64>() / as_f64(SEEDS) / service)
}

/// Two tenants who both always wait, one of whom asks twice as often, before as many permits as the largest answers may be
/// of which the stated number of tokens is made: how far apart what they are served comes to be within any stretch of time.
fn service_apart(case: &Case) -> Reading {
    const OUTPUT: u64 = 512;
    const REQUESTS: u64 = 100_000;
    let input = case.count("max_input");
    let permits = case.count("kv_tokens_M") / (input + OUTPUT);
    let gateway = Gateway {
        in_flight: Some(permits),
        order: "vtc",
        limits: String::from("[[tenant]]\nname = \"first\"\n[[tenant]]\nname = \"second\"\n"),
        queue: 1_000_000,
        ..Gateway::default()
    };
    let rate = 2.0 * as_f64(permits);
    let mut world = World::new(poisson(rate), queues(1, UNBOUNDED, &exponential(1.0), ""));
    world.workload = format!(
        "tenants = [{{ name = \"first\", share = 2.0 }}, {{ name = \"second\", share = 1.0 }}]\n\
         prompt_tokens = {{ distribution = \"constant\", value = {input} }}\n\
         output_tokens = {{ distribution = \"constant\", value = {OUTPUT} }}"
    );
    let setup = Setup::new(&world, gateway.text(), rate, REQUESTS);
    let plan = setup.plan(1);
    // Both wait from soon after the beginning until the last has asked, and the second for a while after.
    let until = Instant::EPOCH + tollgate_core::time::Nanos::from_secs_f64(0.95 * as_f64(REQUESTS) / rate);
    let served = Served {
        until,
        ..Served::default()
    };
    let served = Engine::new(&plan, 0, served)
        .run(|_| true)
        .expect("nobody stops it")
        .observer;
    Reading::Number(served.highest - served.lowest)
}

/// What the first tenant was served beyond the second, in tokens: two for one of the answer.
#[derive(Default)]
struct Served {
    until: Instant,
    ahead: f64,
    highest: f64,
    lowest: f64,
}

impl Observer for Served {
    fn finished(&mut self, call: &Call, outcome: &Outcome, _in_system: u32) {
        if self.until < outcome.finished || outcome.end != End::Completed {
            return;
        }
        let usage = outcome.usage;
        let served = f64::from(usage.input) + 2.0 * f64::from(usage.output);
        self.ahead += if call.tenant == 0 { served } else { -served };
        self.highest = self.highest.max(self.ahead);
        self.lowest = self.lowest.min(self.ahead);
    }
}
