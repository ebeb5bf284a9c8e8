//! What goes on at this moment, for people and scripts.

use std::time::Duration;

use serde::Serialize;
use tollgate_core::gate::{Circuit, EndpointSnapshot};
use tollgate_core::id::EndpointId;
use tollgate_core::policy::Policy;
use tollgate_core::time::Instant;

use crate::gateway::Gateway;

/// What goes on at this moment.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) tollgate: &'static str,
    pub(super) policy_hash: String,
    pub(super) draining: bool,
    pub(super) uptime_seconds: f64,
    /// Requests that have arrived and are not over.
    pub(super) in_flight: u64,
    /// Permits of endpoints that are out.
    pub(super) permits: u64,
    /// Units that are charged on an estimate.
    pub(super) reservations: u64,
    /// Requests that wait for a permit.
    pub(super) queue: u64,
    /// Connections of clients.
    pub(super) connections: u64,
    /// Bytes of request bodies.
    pub(super) buffered_bytes: u64,
    pub(super) routes: Vec<RouteStatus>,
    pub(super) pools: Vec<PoolStatus>,
    pub(super) endpoints: Vec<EndpointStatus>,
    pub(super) limits: Vec<LimitStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct RouteStatus {
    pub(super) name: String,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) abandoned: u64,
    /// Retries that the budget would pay for; none: unbounded.
    pub(super) retry_budget: Option<f64>,
    /// The same of hedges.
    pub(super) hedge_budget: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct PoolStatus {
    pub(super) name: String,
    pub(super) queue: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct EndpointStatus {
    pub(super) name: String,
    pub(super) pool: String,
    pub(super) in_flight: u32,
    pub(super) connections: u32,
    /// `closed`, `open` or `half-open`.
    pub(super) circuit: &'static str,
    pub(super) ejected: bool,
    /// Until when, if time alone brings it back.
    pub(super) ejected_until: Option<String>,
    /// Until when its quota scope is left alone.
    pub(super) cooling_until: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LimitStatus {
    pub(super) name: String,
    pub(super) keys: usize,
    pub(super) max_keys: u32,
    pub(super) reserved: u64,
    /// What an adaptive limit lets be in flight now, of the key that was heard of last.
    pub(super) now: Option<u32>,
}

impl Status {
    pub(super) fn of(gateway: &Gateway) -> Status {
        let policy = gateway.policy();
        let snapshot = gateway.snapshot();
        let observer = gateway.observer();
        let now = gateway.clock().now();
        let date = Date {
            now,
            wall: gateway.clock().wall(),
        };
        let routes = policy.routes.iter().zip(&snapshot.budgets).enumerate();
        let routes = routes.map(|(at, (route, budget))| {
            let [completed, failed, refused, abandoned] = observer.ends(at);
            RouteStatus {
                name: route.name.clone(),
                completed,
                failed,
                refused,
                abandoned,
                retry_budget: budget.retries,
                hedge_budget: budget.hedges,
            }
        });
        let pools = policy.pools.iter().zip(&snapshot.waiting);
        let endpoints = snapshot.endpoints.iter().enumerate();
        let limits = policy.limits.iter().zip(&snapshot.keys).zip(&snapshot.reserved);
        let limits = limits.zip(&snapshot.adaptive);
        Status {
            tollgate: env!("CARGO_PKG_VERSION"),
            policy_hash: policy.hash.to_string(),
            draining: gateway.is_draining(),
            uptime_seconds: now.as_secs_f64(),
            in_flight: observer.in_flight(),
            permits: snapshot
                .endpoints
                .iter()
                .map(|endpoint| u64::from(endpoint.in_flight))
                .sum(),
            reservations: snapshot.reserved.iter().sum(),
            queue: snapshot.waiting.iter().map(|waiting| u64::from(*waiting)).sum(),
            connections: observer.open_connections(),
            buffered_bytes: gateway.buffered(),
            routes: routes.collect(),
            pools: pools
                .map(|(pool, waiting)| PoolStatus {
                    name: pool.name.clone(),
                    queue: *waiting,
                })
                .collect(),
            endpoints: endpoints
                .map(|(at, state)| {
                    let id = EndpointId::at(at);
                    endpoint(policy, id, state, gateway.connections(id), &date)
                })
                .collect(),
            limits: limits
                .map(|(((limit, keys), reserved), now)| LimitStatus {
                    name: limit.name.clone(),
                    keys: *keys,
                    max_keys: limit.max_keys.get(),
                    reserved: *reserved,
                    now: *now,
                })
                .collect(),
        }
    }
}

fn endpoint(
    policy: &Policy,
    id: EndpointId,
    state: &EndpointSnapshot,
    connections: u32,
    date: &Date,
) -> EndpointStatus {
    let endpoint = policy.endpoint(id);
    EndpointStatus {
        name: endpoint.name.clone(),
        pool: policy.pool(endpoint.pool).name.clone(),
        in_flight: state.in_flight,
        connections,
        circuit: match state.circuit {
            Circuit::Closed => "closed",
            Circuit::Open { .. } => "open",
            Circuit::HalfOpen { .. } => "half-open",
        },
        ejected: date.now < state.ejected_until,
        ejected_until: date.of(state.ejected_until),
        cooling_until: date.of(state.cooling_until),
    }
}

/// What the calendar says of instants.
struct Date {
    now: Instant,
    wall: std::time::SystemTime,
}

impl Date {
    /// The date of an instant that is yet to come; none of others, and of one that never comes.
    fn of(&self, at: Instant) -> Option<String> {
        if at <= self.now || at.is_far() {
            return None;
        }
        let date = self
            .wall
            .checked_add(Duration::from_nanos(at.since(self.now).as_nanos()))?;
        Some(humantime::format_rfc3339_millis(date).to_string())
    }
}
