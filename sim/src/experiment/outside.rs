//! A run that is measured instead of simulated: the same workload, seen from outside.

use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;

use super::prepare::lasts;
use super::run::Strategy;
use crate::engine::Plan;
use crate::scenario::{Scenario, Warmup};
use crate::workload::Workload;

/// The scenario under `policy`, as a client meets it, with `samples` requests kept whole. Nothing of its backends, faults and
/// network is looked at: they are what they are.
///
/// A warm-up that is to be found is a tenth, for finding it takes a run.
#[must_use]
pub fn outside(scenario: &Scenario, workload: &Workload, name: &str, policy: Policy, samples: usize) -> Strategy {
    /// What is left out where nobody says.
    const SHARE: f64 = 0.1;

    let plan = Plan::outside(policy, workload.clone())
        .seed(scenario.seed)
        .until(lasts(scenario, workload), scenario.run.requests)
        .samples(samples);
    let of = |share: f64| {
        let whole = plan.duration.or_else(|| plan.expected()).unwrap_or_default();
        Nanos::from_secs_f64(whole.as_secs_f64() * share)
    };
    let warmup = match scenario.run.warmup {
        Warmup::Length(length) => length,
        Warmup::Share(share) => of(share),
        Warmup::Auto => of(SHARE),
    };
    Strategy {
        name: name.to_owned(),
        plan: plan.warmup(warmup),
    }
}
