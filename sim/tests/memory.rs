//! The most memory that a run takes does not grow with the requests that it simulates, seen from outside: by the
//! operating system.
//!
//! Both runs last for so long that the bins of time, whose number is bounded, are as many as they become.
//! Ten times as many here, a hundred times as many with `TOLLGATE_FULL=1`. One test, in a process of its own.

#![cfg(target_os = "linux")]

use std::fs;

use tollgate_core::policy;
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

#[test]
fn peak_does_not_follow_requests() {
    let many = if std::env::var_os("TOLLGATE_FULL").is_some() {
        10_000_000
    } else {
        1_000_000
    };
    // Twice: what the allocator keeps from one run to the next is not the run's.
    simulate(100_000);
    simulate(100_000);
    let few_peak = peak();
    simulate(many);
    let many_peak = peak();
    assert!(
        0 < few_peak && many_peak * 10 <= few_peak * 12,
        "{few_peak} KiB, then {many_peak} KiB"
    );
}

/// The most memory that this process has had so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells every process about itself");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("Linux tells the peak");
    let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    number.expect("a number of KiB")
}

fn simulate(requests: u64) {
    let scenario = format!(
        r#"
        name = "memory"
        [run]
        requests = {requests}
        [workload]
        arrivals = {{ process = "gamma", rate = 1.6, cv = 2.0 }}
        tenants = {{ count = 1000, skew = 1.0 }}
        [[backend]]
        name = "alpha"
        kind = "queue"
        servers = 10
        service = {{ distribution = "exponential", mean = "5s" }}
        "#
    );
    let policy = r#"
        [[limit]]
        name = "tenants"
        algorithm = "gcra"
        per = ["tenant"]
        quota = { amount = 50, period = "100s" }
        [[pool]]
        name = "one"
        queue = { wait = "100s" }
        [[pool.endpoint]]
        name = "alpha"
        max_in_flight = 20
        [[route]]
        name = "all"
        pools = ["one"]
    "#;
    let (scenario, _) = scenario::read("memory.toml", &scenario, &Folder::nowhere()).expect("a scenario");
    let (policy, _) = policy::file::read("policy.toml", policy).expect("a policy");
    let workload = Workload::open(scenario.workload.clone()).expect("a checked workload");
    let strategies = prepare(&scenario, &workload, vec![(String::from("one"), policy)], 100).expect("names that meet");
    let record = Engine::new(&strategies[0].plan, 0, Quiet)
        .run(|_| true)
        .expect("nobody stops it");
    assert_eq!(record.begun.max(requests), record.begun, "clients ask again");
}
