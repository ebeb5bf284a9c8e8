//! Takes down what happens during a run.

use std::collections::HashMap;

use tollgate_core::fault::Fault;
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{Ejection, End, Outcome, Refusal};
use tollgate_core::policy::{Policy, Price};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_mock_llm::model::{BackendSpec, FaultSpec};

use super::ejections::Ejections;
use super::samples::Samples;
use super::{
    BackendLoad, Bins, Counts, EndpointRecord, FaultRecord, Latencies, Little, Observer, Record, Slots, TenantRecord,
    Track,
};
use crate::engine::Plan;
use crate::scenario::When;
use crate::workload::Call;

/// Takes down what happens during a run.
pub(crate) struct Recorder<O> {
    observer: O,
    warmup: Instant,
    begun: u64,
    /// When the last call began.
    last_began: Instant,
    /// Users of a closed workload who are thinking.
    pub(crate) thinking: u32,
    user_calls: HashMap<u32, u64>,
    counts: Counts,
    calls: u64,
    attained: u64,
    attempts: u64,
    wasted_tokens: u64,
    latencies: Latencies,
    bins: Bins,
    endpoints: Vec<EndpointRecord>,
    ejections: Vec<Ejections>,
    tenants: Vec<TenantRecord>,
    faults: Vec<FaultRecord>,
    /// The first fault of each window. Who arrives in one window arrives in all that are equal: one is kept for them.
    windows: Vec<usize>,
    samples: Samples,
    little: Little,
}

/// Most fault windows that are told apart.
const MOST_FAULTS: usize = 64;

impl<O: Observer> Recorder<O> {
    pub(crate) fn new(plan: &Plan, observer: O) -> Recorder<O> {
        let n_endpoints = plan.policy.endpoints.len();
        let faults = windows(plan);
        Recorder {
            observer,
            warmup: Instant::EPOCH + plan.warmup,
            begun: 0,
            last_began: Instant::EPOCH,
            thinking: 0,
            user_calls: HashMap::new(),
            counts: Counts::default(),
            calls: 0,
            attained: 0,
            attempts: 0,
            wasted_tokens: 0,
            latencies: Latencies::new(),
            bins: Bins::new(plan.duration, n_endpoints),
            endpoints: vec![EndpointRecord::default(); n_endpoints],
            ejections: vec![Ejections::default(); n_endpoints],
            tenants: vec![TenantRecord::default(); plan.workload.tenants().len()],
            windows: firsts(&faults),
            faults,
            samples: Samples::new(plan.samples),
            little: Little::default(),
        }
    }

    /// Requests so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Calls that a user has made.
    pub(crate) fn user_calls(&self, user: u32) -> u64 {
        self.user_calls.get(&user).copied().unwrap_or(0)
    }

    /// A user has made another call; returns how many that makes.
    pub(crate) fn count_user_call(&mut self, user: u32) -> u64 {
        let calls = self.user_calls.entry(user).or_default();
        *calls += 1;
        *calls
    }

    pub(crate) fn call_began(&mut self, now: Instant) {
        self.last_began = now;
    }

    #[inline]
    pub(crate) fn arrived(&mut self, now: Instant, _tenant: u32) {
        self.begun += 1;
        self.observer.arrived(now, self.little.in_system());
        self.little.arrive(now);
    }

    pub(crate) fn finished(&mut self, call: &Call, outcome: &Outcome) {
        self.observer.finished(call, outcome, self.little.in_system());
        self.little.leave(outcome.finished, outcome.e2e());
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
        hit(
            &mut self.faults,
            &self.windows,
            outcome.arrived,
            |fault| match outcome.end {
                End::Completed => fault.e2e.record(outcome.e2e()),
                End::Failed { .. } => fault.failed += 1,
                End::Refused { refusal } => {
                    fault.refused += 1;
                    fault.limited += u64::from(matches!(refusal, Refusal::Limited { .. }));
                }
                End::Abandoned | End::Open => fault.abandoned += 1,
            },
        );
    }

    /// A stream has begun.
    pub(crate) fn first_token(&mut self, now: Instant, outcome: &Outcome) {
        if let Some(ttft) = outcome.ttft() {
            self.bins.first_token(now, ttft);
        }
    }

    pub(crate) fn call_ended(&mut self, started: Instant, attained: bool) {
        self.bins.call(started, attained);
        if started < self.warmup {
            return;
        }
        self.calls += 1;
        self.attained += u64::from(attained);
        hit(&mut self.faults, &self.windows, started, |fault| {
            fault.calls += 1;
            fault.attained += u64::from(attained);
        });
    }

    #[inline]
    pub(crate) fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        self.observer.launched(endpoint, now);
        self.bins.launched(endpoint.index(), now);
        if self.warmup <= now {
            self.attempts += 1;
            self.endpoints[endpoint.index()].attempts += 1;
        }
    }

    /// An attempt ended with an error of its endpoint.
    pub(crate) fn failed(&mut self, endpoint: EndpointId, now: Instant) {
        self.observer.ended(endpoint, now);
        self.bins.failed(endpoint.index(), now);
        if self.warmup <= now {
            self.endpoints[endpoint.index()].failed += 1;
        }
    }

    /// An attempt ended with a complete answer.
    #[inline]
    pub(crate) fn answered(&mut self, plan: &Plan, endpoint: EndpointId, tenant: u32, usage: Usage, now: Instant) {
        self.observer.ended(endpoint, now);
        self.pay(plan, endpoint, tenant, usage, now);
    }

    /// An attempt was stopped, for failing or because it was not needed; what it had sent is paid for all the same.
    pub(crate) fn cancelled(&mut self, plan: &Plan, endpoint: EndpointId, tenant: u32, stopped: Stopped, now: Instant) {
        if stopped.fault.is_some() {
            self.failed(endpoint, now);
        } else {
            self.observer.ended(endpoint, now);
        }
        if 0 < stopped.sent.output {
            self.pay(plan, endpoint, tenant, stopped.sent, now);
            if stopped.wasted && self.warmup <= now {
                self.wasted_tokens += stopped.sent.total();
            }
        }
    }

    /// An endpoint is out of its pool; a Retry-After concerns all of its scope.
    pub(crate) fn ejected(
        &mut self,
        policy: &Policy,
        endpoint: EndpointId,
        why: Ejection,
        now: Instant,
        until: Instant,
    ) {
        self.endpoints[endpoint.index()].ejections[why.index()] += 1;
        if why != Ejection::RetryAfter {
            return self.ejections[endpoint.index()].fail(now);
        }
        let scope = policy.endpoint(endpoint).scope;
        for (at, other) in policy.endpoints.iter().enumerate() {
            if other.scope == scope {
                let news = self.ejections[at].cool(now, until);
                self.note_ejection(at, news);
            }
        }
    }

    /// An endpoint is back.
    pub(crate) fn restored(&mut self, endpoint: EndpointId, now: Instant) {
        let news = self.ejections[endpoint.index()].restore(now);
        self.note_ejection(endpoint.index(), news);
    }

    /// The run is over.
    pub(crate) fn finish(mut self, plan: &Plan, end: Instant, loads: &[BackendLoad], slots: Slots) -> Record<O> {
        assert_eq!(
            self.little.integral, self.little.stays,
            "Little's law holds on every run"
        );
        for at in 0..self.endpoints.len() {
            let news = self.ejections[at].close(end);
            self.note_ejection(at, news);
            self.endpoints[at].load = loads[usize::from(plan.backend_of[at])];
        }
        self.bins.close(end);
        let priced = plan.prices.iter().any(Option::is_some);
        let horizon = plan.duration.unwrap_or_default();
        Record {
            observer: self.observer,
            end,
            horizon: if horizon == Nanos::ZERO {
                self.last_began.since(Instant::EPOCH)
            } else {
                horizon
            },
            begun: self.begun,
            counts: self.counts,
            calls: self.calls,
            attained: self.attained,
            attempts: self.attempts,
            cost: priced.then(|| self.endpoints.iter().map(|endpoint| endpoint.cost).sum()),
            wasted_tokens: self.wasted_tokens,
            latencies: self.latencies,
            bins: self.bins,
            endpoints: self.endpoints,
            tenants: self.tenants,
            faults: spread(self.faults),
            samples: self.samples.into_vec(),
            little: self.little,
            slots,
        }
    }

    fn pay(&mut self, plan: &Plan, endpoint: EndpointId, tenant: u32, usage: Usage, now: Instant) {
        let Some(price) = plan.prices[endpoint.index()] else {
            return;
        };
        if self.warmup <= now {
            let cost = worth(&price, usage);
            self.endpoints[endpoint.index()].cost += cost;
            self.tenants[tenant as usize].cost += cost;
        }
    }

    fn note_ejection(&mut self, endpoint: usize, news: Option<(Instant, Instant)>) {
        let Some((from, until)) = news else {
            return;
        };
        self.bins.ejected(endpoint, from, until);
        self.endpoints[endpoint].ejected += until.since(from.max(self.warmup)).as_nanos();
    }
}

/// How an attempt was stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    /// For failing; none: because it was not needed.
    pub(crate) fault: Option<Fault>,
    /// What it had sent.
    pub(crate) sent: Usage,
    /// Another attempt did the work as well.
    pub(crate) wasted: bool,
}

/// USD for `usage`, by the law that limits in money are settled by.
fn worth(price: &Price, usage: Usage) -> f64 {
    price.rates().cost(usage).usd()
}

/// The windows of all faults that are stated, in order of time. Drawn ones differ from replication to replication.
fn windows(plan: &Plan) -> Vec<FaultRecord> {
    let own = plan
        .backends
        .iter()
        .flat_map(|backend| backend.faults.iter().map(move |fault| (backend, *fault)));
    let stated = plan.faults.iter().flat_map(|fault| {
        let spec = match fault.when {
            When::Once { at, lasts } => Some(FaultSpec {
                kind: fault.kind,
                at,
                lasts,
            }),
            When::Drawn { .. } => None,
        };
        let backends = fault.backends.iter().map(|at| &plan.backends[*at]);
        backends
            .zip(std::iter::repeat(spec))
            .filter_map(|(backend, spec)| spec.map(|spec| (backend, spec)))
    });
    let window = |(backend, fault): (&BackendSpec, FaultSpec)| FaultRecord {
        backend: backend.name.clone(),
        kind: fault.kind.name(),
        start: fault.at,
        end: fault.end(),
        failed: 0,
        refused: 0,
        limited: 0,
        abandoned: 0,
        calls: 0,
        attained: 0,
        e2e: Track::coarse(),
    };
    let mut list: Vec<FaultRecord> = own.chain(stated).take(MOST_FAULTS).map(window).collect();
    list.sort_by_key(|fault| (fault.start, fault.end));
    list
}

/// The first of each run of faults that have the same window.
fn firsts(faults: &[FaultRecord]) -> Vec<usize> {
    let differs = |at: &usize| *at == 0 || !is_same(&faults[*at - 1], &faults[*at]);
    (0..faults.len()).filter(differs).collect()
}

fn is_same(one: &FaultRecord, other: &FaultRecord) -> bool {
    one.start == other.start && one.end == other.end
}

/// Gives every fault what was kept for all of its window.
fn spread(mut faults: Vec<FaultRecord>) -> Vec<FaultRecord> {
    for at in 1..faults.len() {
        let (before, after) = faults.split_at_mut(at);
        let (kept, fault) = (&before[at - 1], &mut after[0]);
        if is_same(kept, fault) {
            *fault = FaultRecord {
                backend: std::mem::take(&mut fault.backend),
                kind: fault.kind,
                ..kept.clone()
            };
        }
    }
    faults
}

#[inline]
fn hit(faults: &mut [FaultRecord], windows: &[usize], at: Instant, mut tell: impl FnMut(&mut FaultRecord)) {
    for first in windows {
        let fault = &mut faults[*first];
        if fault.start <= at && at < fault.end {
            tell(fault);
        }
    }
}

impl Counts {
    pub(super) fn record(&mut self, outcome: &Outcome) {
        self.offered += 1;
        self.admitted += u64::from(!outcome.admitted.is_far());
        match outcome.end {
            End::Completed => self.completed += 1,
            End::Failed { .. } => self.failed += 1,
            End::Refused { refusal } => self.refused[refusal.cause()] += 1,
            End::Abandoned | End::Open => self.abandoned += 1,
        }
    }
}

impl TenantRecord {
    pub(super) fn record(&mut self, outcome: &Outcome) {
        self.offered += 1;
        self.admitted += u64::from(!outcome.admitted.is_far());
        match outcome.end {
            End::Completed => {
                self.completed += 1;
                self.tokens += outcome.usage.total();
            }
            End::Failed { .. } => self.failed += 1,
            End::Refused { .. } => self.refused += 1,
            End::Abandoned | End::Open => self.abandoned += 1,
        }
    }
}
