//! The load generator against servers on loopback: good ones, slow ones, and such that do not keep to any rule.

mod bad;
mod server;
mod truth;

use std::sync::Arc;

use tollgate_bench::load::{Keys, Load, LoadError, Loaded, run};
use tollgate_core::policy::{Policy, Tenant};
use tollgate_core::time::Nanos;
use tollgate_proxy::provider::Target;
use tollgate_sim::experiment::{Progress, Strategy, outside};
use tollgate_sim::scenario::{self, Folder, Scenario};
use tollgate_sim::workload::Workload;

/// A scenario that lasts for `duration`, whose workload says `workload`.
fn scenario(duration: &str, workload: &str) -> Scenario {
    let text = format!(
        "name = \"small\"\nseed = 7\n[run]\nduration = \"{duration}\"\nwarmup = \"0s\"\n[workload]\nprompt_tokens = 20\n\
         output_tokens = 5\n{workload}\n[network]\ngateway_to_backend = \"0s\"\n[[backend]]\nname = \"alpha\"\n\
         kind = \"queue\"\nservers = 100\nservice = \"2ms\"\n"
    );
    let read = scenario::read("small.toml", &text, &Folder::nowhere());
    read.unwrap_or_else(|problems| panic!("{}", problems.render(false))).0
}

/// The scenario as a client meets it, with every request kept.
fn strategy(scenario: &Scenario) -> Strategy {
    let workload = Workload::open(scenario.workload.clone()).expect("a workload");
    let policy = Policy {
        tenants: vec![Tenant::default()],
        ..Policy::default()
    };
    outside(scenario, &workload, "small", policy, 100_000)
}

/// A load on `url`.
fn load(scenario: &Scenario, url: &str) -> Load {
    Load {
        target: Target::new(url).expect("a URL"),
        strategy: strategy(scenario),
        replication: 0,
        begins: None,
        time_scale: 1.0,
        mock_dice: false,
        model: "any".to_owned(),
        keys: Keys::default(),
        connections: 500,
        in_flight: 10_000,
        grace: Nanos::from_secs(10),
        ca_file: None,
    }
}

fn sent(scenario: &Scenario, url: &str) -> Result<Loaded, LoadError> {
    run(load(scenario, url), &Arc::new(Progress::default()))
}
