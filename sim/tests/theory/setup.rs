//! Policies and scenarios as text: what a user would write, read by the readers that a user's files go through.

use std::fmt::Write as _;
use std::path::PathBuf;

use tollgate_core::policy;
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::Record;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

use crate::watch::{Watch, WatchSpec};

/// One simulation: its files, how long it is, and what is watched besides what every record holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setup {
    pub(crate) policy: String,
    pub(crate) scenario: String,
    pub(crate) requests: u64,
    /// Seconds; none: until `requests` have arrived.
    pub(crate) duration: Option<f64>,
    /// Seconds.
    pub(crate) warmup: f64,
    /// A trace that the scenario replays.
    pub(crate) trace: Option<String>,
    pub(crate) watch: WatchSpec,
}

/// A simulation that has been run.
pub(crate) struct Run {
    pub(crate) record: Record<Watch>,
}

/// Requests beyond what any limit on their number stands for.
pub(crate) const ENDLESS: u64 = 1_000_000_000;

impl Setup {
    /// `requests` arrivals at a mean of `rate` a second, the first twentieth left out.
    pub(crate) fn new(world: &World, policy: String, rate: f64, requests: u64) -> Setup {
        let length = as_f64(requests) / rate;
        Setup {
            policy,
            scenario: world.text(),
            requests,
            duration: None,
            warmup: length * 0.05,
            trace: None,
            watch: WatchSpec {
                until: length * 0.995,
                ..WatchSpec::default()
            },
        }
    }

    /// Runs it.
    pub(crate) fn run(&self, seed: u64) -> Run {
        let plan = self.plan(seed);
        let watch = Watch::new(&self.watch, self.warmup, plan.policy());
        let record = Engine::new(&plan, 0, watch).run(|_| true).expect("nobody stops it");
        Run { record }
    }

    /// Reads its files as a user's files are read.
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let duration = self
            .duration
            .map_or(String::new(), |length| format!("duration = \"{}\"\n", secs(length)));
        let run = format!(
            "name = \"theory\"\nseed = {seed}\n[run]\n{duration}requests = {}\nwarmup = \"{}\"\n",
            self.requests,
            secs(self.warmup)
        );
        let text = run + &self.scenario;
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        if let Some(trace) = &self.trace {
            std::fs::write(path.join(trace_name(trace, &self.policy)), trace)
                .expect("cargo gives tests a folder to write to");
        }
        let folder = Folder::new(&path, &|_| None);
        let (scenario, _) =
            scenario::read("theory.toml", &text, &folder).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let (policy, _) = policy::file::read("policy.toml", &self.policy).unwrap_or_else(|errors| panic!("{errors}"));
        let workload = Workload::open(scenario.workload.clone()).expect("the workload was checked");
        let policies = vec![(String::from("theory"), policy)];
        let strategies = prepare(&scenario, &workload, policies, 0).unwrap_or_else(|error| panic!("{error}"));
        strategies.into_iter().next().expect("one policy was given").plan
    }
}

/// The scenario without its `[run]`.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) arrivals: String,
    /// More lines of `[workload]`.
    pub(crate) workload: String,
    pub(crate) backends: String,
}

impl World {
    pub(crate) fn new(arrivals: impl Into<String>, backends: String) -> World {
        World {
            arrivals: arrivals.into(),
            workload: String::new(),
            backends,
        }
    }

    fn text(&self) -> String {
        let mut workload = String::new();
        for (key, default) in [
            ("prompt_tokens", "{ distribution = \"constant\", value = 1 }"),
            ("output_tokens", "{ distribution = \"constant\", value = 1 }"),
            ("stream", "0.0"),
            ("client", "{ kind = \"fire-and-forget\", timeout = \"none\" }"),
        ] {
            if !self.workload.contains(key) {
                writeln!(workload, "{key} = {default}").expect("text grows");
            }
        }
        format!(
            "[network]\ngateway_to_backend = \"0s\"\n[workload]\narrivals = {}\n{workload}{}\n{}",
            self.arrivals, self.workload, self.backends
        )
    }
}

/// A policy of one pool, in parts.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) endpoints: usize,
    /// Of each endpoint; 1 of those beyond the list.
    pub(crate) weights: Vec<u64>,
    pub(crate) balance: String,
    pub(crate) health: String,
    /// Who is next in the queue.
    pub(crate) order: &'static str,
    pub(crate) queue: u32,
    /// A line of the pool: who is shed.
    pub(crate) shedding: &'static str,
    pub(crate) in_flight: Option<u64>,
    pub(crate) limits: String,
    /// Timeouts, retries and hedges of the route.
    pub(crate) route: String,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway {
            endpoints: 1,
            weights: Vec::new(),
            balance: String::from("{ kind = \"round-robin\" }"),
            health: String::from("{ kind = \"off\" }"),
            order: "fifo",
            queue: 0,
            shedding: "",
            in_flight: None,
            limits: String::new(),
            route: format!("{PATIENT}\n{ONCE}"),
        }
    }
}

/// No timeout.
pub(crate) const PATIENT: &str =
    "timeouts = { connect = \"none\", ttft = \"none\", idle = \"none\", total = \"none\" }";
/// No retry.
pub(crate) const ONCE: &str = "retry = { max_attempts = 1 }";

impl Gateway {
    pub(crate) fn text(&self) -> String {
        let mut text = self.limits.clone();
        write!(
            text,
            "\n[[pool]]\nname = \"servers\"\nbalance = {}\nhealth = {}\npanic_below = 0.0\nqueue = {{ order = \"{}\", length = {}, wait = \"36500d\" }}\n{}\n",
            self.balance, self.health, self.order, self.queue, self.shedding
        )
        .expect("text grows");
        let permits = self
            .in_flight
            .map_or(String::new(), |most| format!("max_in_flight = {most}\n"));
        for number in 0..self.endpoints {
            let weight = self.weights.get(number).copied().unwrap_or(1);
            write!(
                text,
                "[[pool.endpoint]]\nname = \"b{number}\"\nweight = {weight}\n{permits}"
            )
            .expect("text grows");
        }
        write!(
            text,
            "[[route]]\nname = \"all\"\npools = [\"servers\"]\n{}\n",
            self.route
        )
        .expect("text grows");
        text
    }
}

/// `n` backends called `b0`, `b1`, …, each a queue.
pub(crate) fn queues(n: usize, servers: &str, service: &str, more: &str) -> String {
    let mut text = String::new();
    for number in 0..n {
        write!(
            text,
            "[[backend]]\nname = \"b{number}\"\nkind = \"queue\"\nservers = {servers}\nservice = {service}\n{more}\n"
        )
        .expect("text grows");
    }
    text
}

/// Servers without bound.
pub(crate) const UNBOUNDED: &str = "\"unbounded\"";
/// No service at all: done when it arrives.
pub(crate) const AT_ONCE: &str = "{ distribution = \"constant\", value = \"0s\" }";

pub(crate) fn exponential(mean: f64) -> String {
    format!("{{ distribution = \"exponential\", mean = \"{}\" }}", secs(mean))
}

pub(crate) fn constant(value: f64) -> String {
    format!("{{ distribution = \"constant\", value = \"{}\" }}", secs(value))
}

pub(crate) fn lognormal(mean: f64, cv: f64) -> String {
    format!(
        "{{ distribution = \"lognormal\", mean = \"{}\", cv = {cv:?} }}",
        secs(mean)
    )
}

pub(crate) fn poisson(rate: f64) -> String {
    format!("{{ process = \"poisson\", rate = {rate:?} }}")
}

pub(crate) fn steady(rate: f64) -> String {
    format!("{{ process = \"deterministic\", rate = {rate:?} }}")
}

pub(crate) fn gamma(rate: f64, cv: f64) -> String {
    format!("{{ process = \"gamma\", rate = {rate:?}, cv = {cv:?} }}")
}

pub(crate) fn secs(length: f64) -> String {
    format!("{length:.12}s")
}

/// The file of a trace: named by what uses it, so that no thread writes over what another reads.
pub(crate) fn trace_name(trace: &str, policy: &str) -> String {
    let hash = tollgate_core::id::KeyHash::of(0, [trace.as_bytes(), policy.as_bytes()]).0;
    format!("{hash:016x}.csv")
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "one rounding of an exact sum")]
pub(crate) fn wide_as_f64(sum: u128) -> f64 {
    sum as f64
}
