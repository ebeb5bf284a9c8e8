//! The simulator's half.

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::record::Observer;
use tollgate_sim::workload::{Call, Workload};

use crate::Case;

/// Takes down how each request ended.
struct Ends(Vec<Option<Outcome>>);

impl Observer for Ends {
    fn finished(&mut self, call: &Call, outcome: &Outcome, _in_system: u32) {
        assert_ne!(outcome.end, End::Open);
        let at = usize::try_from(call.number).expect("a small number");
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        assert!(self.0[at].replace(*outcome).is_none(), "clients ask once");
    }
}

/// How each request ends in virtual time.
pub(crate) fn run(case: &Case, seed: u64) -> Vec<Outcome> {
    let scenario = case.scenario();
    let workload = Workload::open(scenario.workload).expect("a workload");
    let plan = Plan::new(case.policy(), workload, scenario.backends)
        .expect("a plan")
        .seed(seed)
        .until(scenario.run.duration, Some(case.requests))
        .faults(scenario.faults);
    let record = Engine::new(&plan, 0, Ends(Vec::new())).run(|_| true);
    let ends = record.expect("nobody stops it").observer.0;
    ends.into_iter()
        .map(|end| end.expect("each call begins and ends"))
        .collect()
}
