//! What balancers meet.

use std::fmt::Write as _;
use std::path::Path;

use tollgate_core::policy;
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::experiment::prepare;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

use super::Options;
use super::contender::Contender;
use super::watch::{Findings, Launches};

/// Endpoints, what they are like, and what happens to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// What data calls it.
    pub key: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it is, in a sentence.
    pub meaning: &'static str,
    /// How old signals may be.
    stale: Option<&'static str>,
    /// Whether half of the endpoints are three times as fast as the others, and weigh so.
    unlike: bool,
    /// Whether the first endpoint fails for a minute.
    fails: bool,
}

/// Endpoints of a world.
pub(super) const ENDPOINTS: u32 = 10;
/// Mean seconds of service.
pub(super) const SERVICE: f64 = 0.2;
/// Requests that an endpoint serves at once.
const SERVERS: u32 = 4;
/// Most attempts in flight at an endpoint, which is what a score takes load relative to.
const MOST: u32 = 64;
/// Of what the endpoints can do.
const LOAD: f64 = 0.8;
/// Requests a second.
pub(super) const RATE: f64 = LOAD * ENDPOINTS as f64 * SERVERS as f64 / SERVICE;
/// When the fault begins and ends, in seconds.
pub(super) const FAULT: (f64, f64) = (60.0, 120.0);

impl World {
    /// Every world.
    #[must_use]
    pub fn all() -> Vec<World> {
        let world = World {
            key: "alike",
            title: "Ten endpoints alike",
            meaning: "Poisson arrivals at 0.8 of what ten equal endpoints of four servers can do; lognormal service of mean \
                      200 ms and as much deviation; first come, first served at each.",
            stale: None,
            unlike: false,
            fails: false,
        };
        vec![
            world.clone(),
            World {
                key: "unlike",
                title: "Five fast endpoints and five slow ones",
                meaning: "The same demand; half of the endpoints are three times as fast as the others, and weigh three times \
                          as much.",
                unlike: true,
                ..world.clone()
            },
            World {
                key: "stale",
                title: "Signals that are a second old",
                meaning: "Ten equal endpoints; what balancers know of them is refreshed once a second only, as where \
                          gateways share what they know.",
                stale: Some("1s"),
                ..world.clone()
            },
            World {
                key: "failure",
                title: "One endpoint fails for a minute",
                meaning: "Of ten equal endpoints the first answers 503 at once for a minute; a breaker watches each, and \
                          requests are tried up to three times.",
                fails: true,
                ..world
            },
        ]
    }

    /// Whether one of its endpoints fails.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }

    /// Whether what is measured of `contender` says anything here.
    pub(super) fn concerns(&self, contender: &Contender) -> bool {
        self.stale.is_none() || contender.has_signals
    }

    /// Runs it with one balancer.
    pub(super) fn run(&self, contender: &Contender, options: &Options) -> Findings {
        if !self.concerns(contender) {
            return Findings::default();
        }
        let plan = self.plan(contender, options);
        let record = Engine::new(&plan, 0, Launches::default()).run(|_| true);
        let record = record.expect("nobody stops it");
        Findings::of(self, &record)
    }

    fn plan(&self, contender: &Contender, options: &Options) -> Plan {
        let (policy, scenario) = (self.policy(contender), self.scenario(options));
        let folder = Folder::new(Path::new("."), &|_| None);
        let (scenario, _) = scenario::read("world.toml", &scenario, &folder)
            .unwrap_or_else(|errors| panic!("a world of ours is good: {errors}"));
        let (policy, _) = policy::file::read("balancer.toml", &policy)
            .unwrap_or_else(|errors| panic!("a policy of ours is good: {errors}"));
        let workload = Workload::open(scenario.workload.clone()).expect("the workload was checked");
        let strategies = prepare(&scenario, &workload, vec![(contender.name.to_owned(), policy)], 0);
        let strategies = strategies.unwrap_or_else(|error| panic!("a world of ours can be run: {error}"));
        strategies.into_iter().next().expect("one policy was given").plan
    }

    fn policy(&self, contender: &Contender) -> String {
        let stale = self
            .stale
            .map_or(String::new(), |stale| format!(", staleness = \"{stale}\""));
        let health = if self.fails {
            "{ kind = \"error-rate\", share = 0.5, window = \"10s\", min_requests = 10, open = \"5s\" }"
        } else {
            "{ kind = \"off\" }"
        };
        let mut text = format!(
            "[[pool]]\nname = \"all\"\nbalance = {{ {}{stale} }}\nhealth = {health}\nqueue = {{ length = 0 }}\n",
            contender.balance
        );
        for number in 0..ENDPOINTS {
            let weight = if self.unlike && number < ENDPOINTS / 2 { 3 } else { 1 };
            let _ = write!(
                text,
                "[[pool.endpoint]]\nname = \"b{number}\"\nweight = {weight}\nmax_in_flight = {MOST}\n"
            );
        }
        let attempts = if self.fails { 3 } else { 1 };
        let _ = write!(
            text,
            "[[route]]\nname = \"all\"\npools = [\"all\"]\nretry = {{ max_attempts = {attempts}, backoff = {{ base = \"1ms\", max = \"1ms\" }} }}\n"
        );
        text
    }

    fn scenario(&self, options: &Options) -> String {
        let mut text = format!(
            "name = \"balancers\"\nseed = {}\n[run]\nduration = \"{}m\"\nwarmup = \"30s\"\n[workload]\narrivals = {{ process = \"poisson\", rate = {RATE:?} }}\n",
            options.seed, options.minutes
        );
        for number in 0..ENDPOINTS {
            let speed = match (self.unlike, number < ENDPOINTS / 2) {
                (false, _) => 1.0,
                (true, true) => 1.5,
                (true, false) => 0.5,
            };
            let _ = write!(
                text,
                "[[backend]]\nname = \"b{number}\"\nkind = \"queue\"\nservers = {SERVERS}\nservice = {{ distribution = \"lognormal\", mean = \"{:.6}s\", cv = 1.0 }}\n",
                SERVICE / speed
            );
        }
        if self.fails {
            let _ = write!(
                text,
                "[[fault]]\nbackend = \"b0\"\nkind = \"outage\"\nstatus = 503\nat = \"{}s\"\nfor = \"{}s\"\n",
                FAULT.0,
                FAULT.1 - FAULT.0
            );
        }
        text
    }
}
