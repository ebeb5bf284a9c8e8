//! From a scenario and its policies to runs that can begin.

use std::fmt;

use tollgate_core::dice::Dice;
use tollgate_core::policy::Policy;
use tollgate_core::time::{Instant, Nanos};

use super::run::Strategy;
use super::warmup;
use crate::engine::{Delay, Network, Plan, PlanError};
use crate::scenario::{NetworkSpec, Scenario, Unbound, Warmup};
use crate::workload::{ArrivalSpec, Workload};

/// Why strategies cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// Endpoints without a backend.
    Unbound(Vec<Unbound>),
    /// Numbers that do not go together.
    Plan(PlanError),
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrepareError::Plan(error) => error.fmt(f),
            PrepareError::Unbound(list) => {
                for (at, unbound) in list.iter().enumerate() {
                    let gap = if at == 0 { "" } else { "\n" };
                    write!(f, "{gap}{unbound}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PrepareError {}

impl From<PlanError> for PrepareError {
    fn from(error: PlanError) -> PrepareError {
        PrepareError::Plan(error)
    }
}

/// Every policy on the scenario, by name, with `samples` requests kept whole.
///
/// # Errors
///
/// If an endpoint has no backend.
pub fn prepare(
    scenario: &Scenario,
    workload: &Workload,
    policies: Vec<(String, Policy)>,
    samples: usize,
) -> Result<Vec<Strategy>, PrepareError> {
    let mut strategies = plans(scenario, workload, policies, samples)?;
    set_warmup(scenario, &mut strategies);
    Ok(strategies)
}

/// Whether every policy can be run on the scenario. Nothing is run, not even to find a warm-up.
///
/// # Errors
///
/// As [`prepare`].
pub fn check(scenario: &Scenario, workload: &Workload, policies: Vec<(String, Policy)>) -> Result<(), PrepareError> {
    plans(scenario, workload, policies, 0).map(|_| ())
}

fn plans(
    scenario: &Scenario,
    workload: &Workload,
    policies: Vec<(String, Policy)>,
    samples: usize,
) -> Result<Vec<Strategy>, PrepareError> {
    let named: Vec<(&str, &Policy)> = policies.iter().map(|(name, policy)| (name.as_str(), policy)).collect();
    scenario.bind(&named).map_err(PrepareError::Unbound)?;
    let mut strategies = Vec::with_capacity(policies.len());
    for (name, policy) in policies {
        let plan = Plan::new(policy, workload.clone(), scenario.backends.clone())?
            .seed(scenario.seed)
            .until(lasts(scenario, workload), scenario.run.requests)
            .faults(scenario.faults.clone())
            .network(network(&scenario.network))
            .samples(samples);
        strategies.push(Strategy { name, plan });
    }
    Ok(strategies)
}

/// For how long calls begin: a trace that ends earlier than the scenario ends the run, or its rates would be too low.
pub(super) fn lasts(scenario: &Scenario, workload: &Workload) -> Option<Nanos> {
    let duration = scenario.run.duration?;
    let (Some(trace), ArrivalSpec::Trace(spec)) = (workload.trace(), &scenario.workload.arrivals) else {
        return Some(duration);
    };
    Some(duration.min(spec.played(trace.duration())))
}

/// All strategies leave out the same beginning, so that they are compared on the same requests.
fn set_warmup(scenario: &Scenario, strategies: &mut [Strategy]) {
    let length = match scenario.run.warmup {
        Warmup::Length(length) => length,
        Warmup::Share(share) => {
            let first = strategies.first().map(|first| &first.plan);
            let whole = first.and_then(|plan| plan.duration.or_else(|| plan.expected()));
            Nanos::from_secs_f64(whole.unwrap_or_default().as_secs_f64() * share)
        }
        Warmup::Auto => strategies
            .iter()
            .map(|strategy| warmup::find(&strategy.plan))
            .max()
            .unwrap_or_default(),
    };
    for strategy in strategies {
        strategy.plan = strategy.plan.clone().warmup(length);
    }
}

fn network(spec: &NetworkSpec) -> Network {
    Network {
        client_to_gateway: Delay::from(&spec.client_to_gateway),
        gateway_to_backend: Delay::from(&spec.gateway_to_backend),
        gateway_to_store: Delay::from(&spec.gateway_to_store),
        gateway_overhead: Delay::from(&spec.gateway_overhead),
    }
}

impl Plan {
    /// How long it takes until the last call has begun, where only their number is given: by the arrivals themselves.
    pub(super) fn expected(&self) -> Option<Nanos> {
        /// Arrivals that are looked at; the rest is taken to go on like them.
        const MOST: u64 = 100_000;
        let requests = self.requests?;
        let mut arrivals = self.workload.arrivals(Dice::new(self.seed).branch(0))?;
        let looked_at = requests.min(MOST);
        let mut last = None;
        for _ in 0..looked_at {
            last = arrivals.next().or(last);
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let more = requests as f64 / looked_at as f64;
        last.map(|at| Nanos::from_secs_f64(at.as_secs_f64() * more))
    }
}

/// About how many requests one run of `plan` begins: for those who watch. None where nobody can tell.
#[must_use]
pub fn expected_requests(plan: &Plan) -> Option<u64> {
    /// Arrivals that are counted; more than this takes a second to count.
    const MOST: u64 = 20_000_000;
    let mut arrivals = plan.workload.arrivals(Dice::new(plan.seed).branch(0))?;
    let end = plan.duration.map_or(Instant::FAR, |duration| Instant::EPOCH + duration);
    let most = plan.requests.unwrap_or(u64::MAX);
    if plan.duration.is_none() {
        return plan.requests;
    }
    let mut count = 0;
    while count < most.min(MOST) && arrivals.next().is_some_and(|at| at <= end) {
        count += 1;
    }
    Some(if count == MOST { most } else { count }).filter(|count| *count < u64::MAX)
}
