//! Takes down what a client sees of a run that is none of ours: real requests, in real time.
//!
//! It is what the simulator records without what only a driver of core sees: attempts, endpoints, ejections. Little's
//! law is not asserted, for requests are counted from when they should have been sent, which is known too late where a
//! machine is slow.

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::{Instant, Nanos};

use super::samples::Samples;
use super::{Bins, Counts, Latencies, Little, Quiet, Record, Slots, TenantRecord};
use crate::engine::Plan;
use crate::workload::Call;

/// What a client has seen so far.
#[derive(Debug)]
pub struct Measured {
    warmup: Instant,
    begun: u64,
    /// When the last call was to begin.
    last_began: Instant,
    counts: Counts,
    calls: u64,
    attained: u64,
    latencies: Latencies,
    bins: Bins,
    tenants: Vec<TenantRecord>,
    samples: Samples,
}

impl Measured {
    /// Nothing yet, of a run of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Measured {
        Measured {
            warmup: Instant::EPOCH + plan.warmup,
            begun: 0,
            last_began: Instant::EPOCH,
            counts: Counts::default(),
            calls: 0,
            attained: 0,
            latencies: Latencies::new(),
            bins: Bins::new(plan.duration, 0),
            tenants: vec![TenantRecord::default(); plan.workload.tenants().len()],
            samples: Samples::new(plan.samples),
        }
    }

    /// Requests so far.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Requests that are over, and were to be sent after the warm-up.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether what was to happen at `at` is counted.
    #[must_use]
    pub fn is_counted(&self, at: Instant) -> bool {
        self.warmup <= at
    }

    /// A call was to begin at `at`.
    pub fn call_began(&mut self, at: Instant) {
        self.last_began = self.last_began.max(at);
    }

    /// A request was sent.
    pub fn arrived(&mut self) {
        self.begun += 1;
    }

    /// The stream of a request that was to be sent at `arrived` has begun.
    pub fn first_token(&mut self, now: Instant, arrived: Instant) {
        self.bins.first_token(now, now.since(arrived));
    }

    /// A request is over.
    pub fn finished(&mut self, call: &Call, outcome: &Outcome) {
        self.bins.record(outcome);
        self.samples.offer(call.number, call.tenant, outcome);
        if outcome.arrived < self.warmup {
            return;
        }
        self.counts.record(outcome);
        self.tenants[call.tenant as usize].record(outcome);
        if outcome.end == End::Completed {
            self.latencies.record(outcome);
        }
    }

    /// A call is over whose first request was to be sent at `started`.
    pub fn call_ended(&mut self, started: Instant, attained: bool) {
        self.bins.call(started, attained);
        if self.warmup <= started {
            self.calls += 1;
            self.attained += u64::from(attained);
        }
    }

    /// The run is over at `end`; calls began for `horizon`, or until the last one if that is not known.
    #[must_use]
    pub fn finish(mut self, end: Instant, horizon: Option<Nanos>) -> Record<Quiet> {
        self.bins.close(end);
        Record {
            observer: Quiet,
            end,
            horizon: horizon.unwrap_or(self.last_began.since(Instant::EPOCH)),
            begun: self.begun,
            counts: self.counts,
            calls: self.calls,
            attained: self.attained,
            attempts: 0,
            cost: None,
            wasted_tokens: 0,
            latencies: self.latencies,
            bins: self.bins,
            endpoints: Vec::new(),
            tenants: self.tenants,
            faults: Vec::new(),
            samples: self.samples.into_vec(),
            little: Little::default(),
            slots: Slots::default(),
        }
    }
}
