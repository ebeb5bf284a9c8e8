//! What a run leaves behind before it is averaged: counts, distributions, bins of time.
//!
//! Memory grows with bins (bounded), tenants and endpoints, never with requests simulated.

mod bins;
mod ejections;
mod latency;
mod little;
mod measured;
mod recorder;
mod samples;

use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{Outcome, Refusal};
use tollgate_core::time::{Instant, Nanos};

use crate::workload::Call;

pub use bins::{Bin, Bins, EndpointBin};
pub use latency::{Latencies, Track};
pub use little::Little;
pub use measured::Measured;
pub use samples::Sample;

pub(crate) use recorder::{Recorder, Stopped};

/// Somebody who watches a run, for tests that ask more than a report does.
pub trait Observer {
    /// A request arrives; `in_system` were there before it.
    fn arrived(&mut self, _now: Instant, _in_system: u32) {}

    /// A request is over; `in_system` were there before it left.
    fn finished(&mut self, _call: &Call, _outcome: &Outcome, _in_system: u32) {}

    /// An attempt is launched at an endpoint.
    fn launched(&mut self, _endpoint: EndpointId, _now: Instant) {}

    /// An attempt at an endpoint is over.
    fn ended(&mut self, _endpoint: EndpointId, _now: Instant) {}
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {}

/// What one replication of one strategy left behind.
#[derive(Debug)]
pub struct Record<O> {
    /// Who watched.
    pub observer: O,
    /// When the last request was over.
    pub end: Instant,
    /// The length in which calls began.
    pub horizon: Nanos,
    /// Requests that arrived at all, warm-up included.
    pub begun: u64,
    /// Requests after the warm-up, by how they ended.
    pub counts: Counts,
    /// Calls after the warm-up.
    pub calls: u64,
    /// Of these, those that met all their targets.
    pub attained: u64,
    /// Attempts after the warm-up.
    pub attempts: u64,
    /// What they cost, in USD; nothing if no endpoint has a price.
    pub cost: Option<f64>,
    /// Tokens paid for and thrown away by hedges and retries.
    pub wasted_tokens: u64,
    /// Distributions of completed requests.
    pub latencies: Latencies,
    /// What happened when.
    pub bins: Bins,
    /// Each endpoint, in the policy's order.
    pub endpoints: Vec<EndpointRecord>,
    /// Each tenant, in the workload's order.
    pub tenants: Vec<TenantRecord>,
    /// Each fault window.
    pub faults: Vec<FaultRecord>,
    /// Requests kept whole.
    pub samples: Vec<Sample>,
    /// Little's law, as an identity between integers.
    pub little: Little,
    /// What the run took up in memory.
    pub slots: Slots,
}

/// Places that a run has made for what was there at once. They are used again and never given back, so at the end
/// they tell the most there ever was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// For requests.
    pub requests: usize,
    /// For calls.
    pub calls: usize,
    /// For what was under way.
    pub parcels: usize,
    /// For events.
    pub events: usize,
}

/// Requests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub offered: u64,
    /// Past limits and queue.
    pub admitted: u64,
    /// Answered in full.
    pub completed: u64,
    /// Launched, and not answered in full.
    pub failed: u64,
    /// Left by their client.
    pub abandoned: u64,
    /// Refused before any attempt, by cause.
    pub refused: [u64; Refusal::CAUSES.len()],
}

/// What happened at an endpoint, after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointRecord {
    /// Attempts launched.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Time out of its pool, in nanoseconds.
    pub ejected: u64,
    /// What its attempts cost, in USD.
    pub cost: f64,
    /// How busy its backend was, warm-up included.
    pub load: BackendLoad,
}

/// How busy a backend has been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendLoad {
    /// Busy servers integrated over time, in server-nanoseconds.
    pub busy: u128,
    /// How many servers there are, if bounded.
    pub capacity: Option<u32>,
}

/// What a tenant got, after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TenantRecord {
    /// Requests that arrived.
    pub offered: u64,
    /// Past limits and queue.
    pub admitted: u64,
    /// Answered in full.
    pub completed: u64,
    /// Refused.
    pub refused: u64,
    /// Failed.
    pub failed: u64,
    /// Abandoned.
    pub abandoned: u64,
    /// Tokens of completed requests.
    pub tokens: u64,
    /// What its attempts cost, in USD.
    pub cost: f64,
}

/// What one fault cost: requests that arrived in its window.
#[derive(Clone, Debug)]
pub struct FaultRecord {
    /// The backend that failed.
    pub backend: String,
    /// How.
    pub kind: &'static str,
    /// From when.
    pub start: Instant,
    /// Until when.
    pub end: Instant,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Of these, those over a limit, which the fault has no part in.
    pub limited: u64,
    /// Requests that their client left.
    pub abandoned: u64,
    /// Calls.
    pub calls: u64,
    /// Calls that met all their targets.
    pub attained: u64,
    /// E2E of those that were completed.
    pub e2e: Track,
}
