//! What is looked up when somebody asks for metrics: the state of the gate and of the process.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tollgate_core::gate::Snapshot;
use tollgate_core::policy::Policy;
use tollgate_core::time::Instant;

use super::grid::{Grid, Point, Reading, Registered, Total};
use super::metrics::register;
use super::process::Process;
use super::table::{self, Metric};

/// What is looked up, beside the gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    pub(super) now: Instant,
    pub(super) in_flight: u64,
    pub(super) connections: u64,
    pub(super) draining: bool,
}

/// The present state of everything as metrics.
pub(super) fn registry(policy: &Policy, snapshot: &Snapshot, present: Present) -> Registry {
    let mut registry = Registry::default();
    let r = &mut registry;
    single(r, &table::IN_FLIGHT, count(present.in_flight));
    let endpoints = || policy.endpoints.iter().zip(&snapshot.endpoints);
    let of_endpoints = |value: fn(&tollgate_core::gate::EndpointSnapshot, Instant) -> f64| {
        endpoints()
            .map(|(endpoint, state)| (point("endpoint", &endpoint.name), value(state, present.now)))
            .collect()
    };
    several(
        r,
        &table::ENDPOINT_IN_FLIGHT,
        of_endpoints(|state, _| f64::from(state.in_flight)),
    );
    several(
        r,
        &table::EJECTED,
        of_endpoints(|state, now| f64::from(u8::from(now < state.ejected_until || now < state.cooling_until))),
    );
    let pools = policy.pools.iter().zip(&snapshot.waiting);
    let pools = pools.map(|(pool, waiting)| (point("pool", &pool.name), f64::from(*waiting)));
    several(r, &table::QUEUED, pools.collect());
    let keys = policy.limits.iter().zip(&snapshot.keys);
    let keys = keys.map(|(limit, keys)| (point("limit", &limit.name), count(*keys as u64)));
    several(r, &table::LIMIT_KEYS, keys.collect());
    let reserved = policy.limits.iter().zip(&snapshot.reserved);
    let reserved = reserved.map(|(limit, units)| (point("limit", &limit.name), count(*units)));
    several(r, &table::RESERVED, reserved.collect());
    let adaptive = policy.limits.iter().zip(&snapshot.adaptive);
    let adaptive = adaptive.filter_map(|(limit, now)| Some((point("limit", &limit.name), f64::from((*now)?))));
    several(r, &table::ADAPTIVE_LIMIT, adaptive.collect());
    let mut balances = Vec::new();
    for (route, budget) in policy.routes.iter().zip(&snapshot.budgets) {
        for (name, balance) in [("retries", budget.retries), ("hedges", budget.hedges)] {
            if let Some(balance) = balance {
                let labels = vec![("route", route.name.clone()), ("budget", name.to_owned())];
                balances.push((labels, balance));
            }
        }
    }
    several(r, &table::BUDGET_BALANCE, balances);
    single(r, &table::OPEN_CONNECTIONS, count(present.connections));
    single(r, &table::DRAINING, f64::from(u8::from(present.draining)));
    let build = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("policy", policy.hash.to_string()),
    ];
    register(r, &table::BUILD, Info::new(build));
    if let Some(process) = Process::look() {
        of_process(r, &process);
    }
    registry
}

fn of_process(r: &mut Registry, process: &Process) {
    let cpu = Grid::new([], || Total(process.cpu_seconds));
    register(r, &table::CPU, Registered(cpu));
    single(r, &table::RESIDENT, count(process.resident_bytes));
    single(r, &table::OPEN_FILES, count(process.open_files));
    if let Some(most) = process.most_files {
        single(r, &table::MOST_FILES, count(most));
    }
    single(r, &table::THREADS, count(process.threads));
    single(r, &table::START_TIME, process.started);
}

fn point(label: &'static str, value: &str) -> Point {
    vec![(label, value.to_owned())]
}

fn single(r: &mut Registry, metric: &Metric, value: f64) {
    register(r, metric, Registered(Grid::new([], || Reading(value))));
}

/// Each reading has labels of its own, so they are one axis.
fn several(r: &mut Registry, metric: &Metric, values: Vec<(Point, f64)>) {
    let (points, values): (Vec<Point>, Vec<f64>) = values.into_iter().unzip();
    let next = std::cell::Cell::new(0);
    let cell = || {
        let at = next.replace(next.get() + 1);
        Reading(values[at])
    };
    register(r, metric, Registered(Grid::new([points], cell)));
}

#[expect(clippy::cast_precision_loss, reason = "read by people and plots")]
fn count(count: u64) -> f64 {
    count as f64
}
