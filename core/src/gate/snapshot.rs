//! The state of everything that is shared, for people, plots and laws.

use alloc::vec::Vec;

use crate::health::Circuit;
use crate::time::Instant;
use crate::usage::Cost;

/// The state of a gate at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Each endpoint, in the policy's order.
    pub endpoints: Vec<EndpointSnapshot>,
    /// How many requests wait, per pool.
    pub waiting: Vec<u32>,
    /// How many keys are remembered, per limit.
    pub keys: Vec<usize>,
    /// Units charged on an estimate and not settled yet, per limit.
    pub reserved: Vec<Cost>,
    /// The limit as it is now, per limit that adapts, of the key that was sampled last.
    pub adaptive: Vec<Option<u32>>,
    /// What may be spent on further attempts, per route.
    pub budgets: Vec<BudgetSnapshot>,
}

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndpointSnapshot {
    /// Open attempts and permits on their way to one.
    pub in_flight: u32,
    /// Estimated tokens of its open attempts, if its pool compares them or their ages; 0 otherwise.
    pub backlog: u64,
    /// Whether a request waits that it could serve.
    pub awaited: bool,
    /// What its breaker says.
    pub circuit: Circuit,
    /// Until when it is ejected for failing: the epoch if it is not, in the past if it may be probed,
    /// [`Instant::FAR`] if an active probe has to bring it back.
    pub ejected_until: Instant,
    /// When it last came back, after an ejection for failing; the epoch if it has never been out.
    pub restored_at: Instant,
    /// Until when its quota scope is left alone.
    pub cooling_until: Instant,
}

/// What a route may spend on further attempts; nothing where it is not bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetSnapshot {
    /// Retries.
    pub retries: Option<f64>,
    /// Hedges.
    pub hedges: Option<f64>,
}
