//! The twin test: one trace through the simulator and through the proxy, and equal decisions, request by request.
//!
//! Both drivers have the same core, the same modeled backends, the same dice and clocks of nanoseconds. What is left to
//! differ is the driver: when it delivers what, and in which order. So every request must end in the same way, at the
//! same instant, after as many attempts of each kind, with the same usage.
//!
//! Between the proxy and the backends are real requests and answers of HTTP, over streams within the process.

mod live;
mod simulated;

use std::fmt::Write as _;

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::policy::{self, Policy};
use tollgate_sim::scenario::{self, Folder, Scenario};

/// A scenario, and a policy for it.
struct Case {
    name: &'static str,
    scenario: &'static str,
    policy: &'static str,
    /// Requests in all.
    requests: u64,
}

impl Case {
    fn scenario(&self) -> Scenario {
        let read = scenario::read(self.name, self.scenario, &Folder::nowhere());
        read.unwrap_or_else(|problems| panic!("{problems}")).0
    }

    fn policy(&self) -> Policy {
        let read = policy::file::read(self.name, self.policy);
        read.unwrap_or_else(|problems| panic!("{problems}")).0
    }
}

/// How often what this test is about has happened.
#[derive(Debug, Default)]
struct Seen {
    completed: u64,
    refused: u64,
    failed: u64,
    abandoned: u64,
    waited: u64,
    retries: u64,
    hedges: u64,
    fallbacks: u64,
}

/// Runs `case` in both worlds and compares them.
fn twin(case: &Case, seed: u64) -> Seen {
    let simulated = simulated::run(case, seed);
    let live = live::run(case, seed);
    assert_eq!(
        simulated.len(),
        live.len(),
        "{}: every request ends, in both",
        case.name
    );
    let mut differences = String::new();
    let mut count = 0;
    for (number, (simulated, live)) in simulated.iter().zip(&live).enumerate() {
        if simulated != live {
            count += 1;
            if count <= 3 {
                let _ = write!(
                    differences,
                    "\nrequest {number}\n  simulated {simulated:?}\n  live      {live:?}"
                );
            }
        }
    }
    let all = simulated.len();
    assert_eq!(
        count, 0,
        "{} (seed {seed}): of {all} requests, {count} differ:{differences}",
        case.name
    );
    let mut seen = Seen::default();
    for outcome in &live {
        seen.add(outcome);
    }
    seen
}

impl Seen {
    fn add(&mut self, outcome: &Outcome) {
        match outcome.end {
            End::Open => panic!("every request ends"),
            End::Completed => self.completed += 1,
            End::Refused { .. } => self.refused += 1,
            End::Failed { .. } => self.failed += 1,
            End::Abandoned => self.abandoned += 1,
        }
        self.waited += u64::from(0 < outcome.queue_wait.as_nanos());
        self.retries += u64::from(outcome.retries);
        self.hedges += u64::from(outcome.hedges);
        self.fallbacks += u64::from(outcome.fallbacks);
    }
}

/// One provider fails half of the time, then all the time; what fails is tried again elsewhere.
const FAILURES: Case = Case {
    name: "failures",
    scenario: include_str!("failures.scenario.toml"),
    policy: include_str!("failures.policy.toml"),
    requests: 10_000,
};

#[test]
fn failures_retries_and_fallbacks() {
    for seed in [1, 2] {
        let seen = twin(&FAILURES, seed);
        assert!(
            100 < seen.retries && 100 < seen.fallbacks && 5_000 < seen.completed,
            "{seen:?}"
        );
    }
}

/// Limits of every kind, permits and queues, clients that leave.
const LIMITS: Case = Case {
    name: "limits",
    scenario: include_str!("limits.scenario.toml"),
    policy: include_str!("limits.policy.toml"),
    requests: 10_000,
};

#[test]
fn limits_queues_and_clients_that_leave() {
    for seed in [1, 2] {
        let seen = twin(&LIMITS, seed);
        assert!(
            500 < seen.refused && 500 < seen.waited && 100 < seen.abandoned,
            "{seen:?}"
        );
    }
}

/// A slow tail, health checks, errors in bursts.
const HEDGES: Case = Case {
    name: "hedges",
    scenario: include_str!("hedges.scenario.toml"),
    policy: include_str!("hedges.policy.toml"),
    requests: 10_000,
};

#[test]
fn hedges_and_health_checks() {
    for seed in [1, 2] {
        let seen = twin(&HEDGES, seed);
        assert!(
            300 < seen.hedges && 50 < seen.retries && 5_000 < seen.completed,
            "{seen:?}"
        );
    }
}

/// What the field has besides: everything that a policy can name, at once.
const LAWS: Case = Case {
    name: "laws",
    scenario: include_str!("laws.scenario.toml"),
    policy: include_str!("laws.policy.toml"),
    requests: 10_000,
};

#[test]
fn laws_of_the_field() {
    for seed in [1, 2] {
        let seen = twin(&LAWS, seed);
        assert!(
            500 < seen.refused
                && 200 < seen.waited
                && 50 < seen.retries
                && 20 < seen.fallbacks
                && 4_000 < seen.completed,
            "{seen:?}"
        );
    }
}
