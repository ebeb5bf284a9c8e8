//! The books of limits, kept from outside: reserved, used and refunded make what is charged.

use std::collections::BTreeMap;

use tollgate_core::id::{KeyHash, LimitId, OutputKey, RequestId};
use tollgate_core::lifecycle::{End, Lifecycle, Request};
use tollgate_core::limit::Outputs;
use tollgate_core::policy::{Algorithm, OnOutage, Policy, Refund, Store};
use tollgate_core::usage::{Cost, PicoUsd, Unit, Usage};

use super::plan::AGE;

/// What each key of each limit must be charged with, of limits that forget nothing.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: BTreeMap<(LimitId, KeyHash), Line>,
    followed: Vec<bool>,
    answers: Answers,
    /// What was assumed of the answers of each request that is charged.
    assumed: BTreeMap<RequestId, Option<u32>>,
}

/// What answers were like, by whose they were; those that found no room together.
#[derive(Debug, Default)]
struct Answers {
    own: BTreeMap<OutputKey, Outputs>,
    shared: Outputs,
    /// So many have their own.
    most: usize,
}

impl Answers {
    fn assumed(&self, key: OutputKey) -> Option<u32> {
        let has_room = self.own.len() < self.most;
        match self.own.get(&key) {
            Some(own) => own.assumed(),
            None if has_room => None,
            None => self.shared.assumed(),
        }
    }

    fn observe(&mut self, key: OutputKey, output: u32) {
        if self.own.len() < self.most {
            self.own.entry(key).or_default();
        }
        self.own.get_mut(&key).unwrap_or(&mut self.shared).observe(output);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    reserved: Cost,
    used: Cost,
}

/// Whose charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of limits in this process.
    Local,
    /// Of limits elsewhere that fell back to this process.
    Fallen,
}

impl Ledger {
    pub(crate) fn new(policy: &Policy) -> Ledger {
        let forgets_nothing = |algorithm: Algorithm| match algorithm {
            Algorithm::FixedWindow(quota)
            | Algorithm::SegmentedWindow { quota, .. }
            | Algorithm::SlidingLog(quota)
            | Algorithm::SlidingWindow(quota) => quota.period == AGE,
            Algorithm::Permits(_) | Algorithm::Adaptive(..) => true,
            Algorithm::Gcra(_) | Algorithm::TokenBucket(_) | Algorithm::LeakyBucket(_) | Algorithm::Own(_) => false,
        };
        Ledger {
            lines: BTreeMap::new(),
            followed: policy
                .limits
                .iter()
                .map(|limit| forgets_nothing(limit.algorithm))
                .collect(),
            answers: Answers {
                most: n_keys(policy),
                ..Answers::default()
            },
            assumed: BTreeMap::new(),
        }
    }

    /// A request was charged its estimate.
    pub(crate) fn reserve(&mut self, policy: &Policy, id: RequestId, request: &Request, whose: Whose) {
        let answers = &self.answers;
        let assumed = *self
            .assumed
            .entry(id)
            .or_insert_with(|| answers.assumed(request.class.outputs?));
        for (limit, key) in self.charged(policy, request, whose) {
            let line = self.lines.entry((limit, key)).or_default();
            line.reserved += estimated(policy, limit, request, assumed);
        }
    }

    /// A request is over.
    pub(crate) fn settle(&mut self, policy: &Policy, lifecycle: &Lifecycle, whose: Whose) {
        let (request, outcome) = (lifecycle.request(), lifecycle.outcome());
        let assumed = self.assumed[&lifecycle.id()];
        // Once a request: what fell back is charged beside what is here.
        if let Some(key) = request.class.outputs
            && whose == Whose::Local
            && outcome.end == End::Completed
            && request.estimate.output.is_none()
        {
            self.answers.observe(key, outcome.usage.output);
        }
        for (limit, key) in self.charged(policy, request, whose) {
            let line = self.lines.entry((limit, key)).or_default();
            let reserved = estimated(policy, limit, request, assumed);
            line.reserved -= reserved;
            if 0 < outcome.attempts {
                line.used += used(policy, limit, outcome.usage, outcome.spent, reserved);
            }
        }
    }

    /// Every key that was ever charged, with what it is charged now.
    pub(crate) fn charges(&self) -> impl Iterator<Item = (LimitId, KeyHash, Cost)> {
        let sum = |line: &Line| line.reserved + line.used;
        self.lines
            .iter()
            .map(move |((limit, key), line)| (*limit, *key, sum(line)))
    }

    fn charged(&self, policy: &Policy, request: &Request, whose: Whose) -> Vec<(LimitId, KeyHash)> {
        let charges = request.class.charges;
        let all = (0..charges.len()).map(|at| charges.at(at));
        let is_it = |limit: LimitId| match policy.limits[limit.index()].store {
            Store::Local | Store::Leased { .. } => whose == Whose::Local,
            Store::Strict { on_outage, .. } => whose == Whose::Fallen && on_outage == OnOutage::LocalShare,
        };
        all.filter(|(limit, _)| self.followed[limit.index()] && is_it(*limit))
            .collect()
    }
}

/// Keys with a place of their own, of what is learned.
fn n_keys(policy: &Policy) -> usize {
    let limits = policy.limits.iter().filter(|limit| limit.learns());
    let most = limits.map(|limit| limit.max_keys.get()).max().unwrap_or(0);
    usize::try_from(most).expect("a few")
}

fn estimated(policy: &Policy, limit: LimitId, request: &Request, assumed: Option<u32>) -> Cost {
    let limit = &policy.limits[limit.index()];
    let default = assumed.filter(|_| limit.learns()).unwrap_or(limit.output_default);
    let (input, output) = (
        u64::from(request.estimate.input),
        request.estimate.output.map(u64::from),
    );
    let assumed = output.unwrap_or(u64::from(default));
    let most = limit.algorithm.most();
    match (limit.unit, output) {
        (Unit::Requests | Unit::InFlight, _) => 1,
        (Unit::MicroUsd, _) => {
            let rates = request.class.route.map(|route| policy.rates(route)).unwrap_or_default();
            let cost = |output| limit.unit.cost(request.estimate.or(output), &rates);
            match output {
                Some(_) => cost(0),
                None => cost(default).min(most).max(cost(0)),
            }
        }
        (Unit::InputTokens, _) => input,
        (Unit::OutputTokens, Some(output)) => output,
        (Unit::OutputTokens, None) => assumed.min(most),
        (Unit::Tokens, Some(output)) => input + output,
        (Unit::Tokens, None) => (input + assumed).min(most).max(input),
    }
}

fn used(policy: &Policy, limit: LimitId, usage: Usage, spent: PicoUsd, reserved: Cost) -> Cost {
    let limit = &policy.limits[limit.index()];
    if let Algorithm::Permits(_) | Algorithm::Adaptive(..) = limit.algorithm {
        return 0;
    }
    let truth = match limit.unit {
        Unit::Requests | Unit::InFlight => 1,
        Unit::MicroUsd => spent.0.div_ceil(1_000_000),
        Unit::InputTokens => u64::from(usage.input),
        Unit::OutputTokens => u64::from(usage.output),
        Unit::Tokens => u64::from(usage.input) + u64::from(usage.output),
    };
    match limit.refund {
        Refund::Full => truth,
        Refund::None => truth.max(reserved),
    }
}
