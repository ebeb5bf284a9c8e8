//! What old loads do to balancers (Mitzenmacher, *How Useful Is Old Information?*, 2000): who compares all goes where
//! everybody goes, who compares two does not.

use std::fmt::Write as _;

use tollgate_core::policy::file;
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

const SERVERS: usize = 20;

/// The mean response of twenty servers of rate one at 80 %, under `balance`.
fn mean(balance: &str) -> f64 {
    let mut policy = format!("[[pool]]\nname = \"all\"\nbalance = {balance}\nhealth = {{ kind = \"off\" }}\n");
    let mut world = String::from(
        "name = \"old\"\n[run]\nrequests = 100_000\nwarmup = \"300s\"\n[network]\ngateway_to_backend = \"0s\"\n[workload]\n\
         arrivals = { process = \"poisson\", rate = 16.0 }\nprompt_tokens = { distribution = \"constant\", value = 1 }\n\
         output_tokens = { distribution = \"constant\", value = 1 }\nclient = { kind = \"fire-and-forget\", timeout = \"none\" }\n",
    );
    for number in 0..SERVERS {
        writeln!(policy, "[[pool.endpoint]]\nname = \"b{number}\"").expect("text grows");
        writeln!(
            world,
            "[[backend]]\nname = \"b{number}\"\nkind = \"queue\"\nservers = 1\nservice = {{ distribution = \"exponential\", mean = \"1s\" }}"
        )
        .expect("text grows");
    }
    policy += "[[route]]\nname = \"all\"\npools = [\"all\"]\ntimeouts = { connect = \"none\", ttft = \"none\", idle = \"none\", total = \"none\" }\nretry = { max_attempts = 1 }\n";
    let (policy, _) = file::read("policy.toml", &policy).unwrap_or_else(|problems| panic!("{problems}"));
    let (scenario, _) =
        scenario::read("world.toml", &world, &Folder::nowhere()).unwrap_or_else(|problems| panic!("{problems}"));
    let workload = Workload::open(scenario.workload.clone()).expect("the workload was checked");
    let strategies = prepare(&scenario, &workload, vec![("one".to_owned(), policy)], 0).expect("it is bound");
    let record = Engine::new(&strategies[0].plan, 0, Quiet)
        .run(|_| true)
        .expect("nobody stops it");
    record.latencies.e2e.mean().expect("requests were answered")
}

#[test]
fn old_loads_make_a_herd_of_those_who_compare_all() {
    let least = |staleness: &str| {
        mean(&format!(
            "{{ kind = \"least-in-flight\", staleness = \"{staleness}\" }}"
        ))
    };
    let p2c = |staleness: &str| {
        mean(&format!(
            "{{ kind = \"p2c\", load = \"in-flight\", staleness = \"{staleness}\" }}"
        ))
    };
    let blind = mean("{ kind = \"random\" }");
    let (fresh, two) = (least("0s"), p2c("0s"));
    assert!(
        fresh < two && two < blind,
        "fresh: {fresh} of all, {two} of two, {blind} blind"
    );
    let (old, old_two) = (least("20s"), p2c("20s"));
    assert!(
        blind < old && 1.5 * old_two < old,
        "old: {old} of all, {old_two} of two, {blind} blind"
    );
    // A period that is short against a service changes little.
    let soon = least("10ms");
    assert!(soon < 1.3 * fresh, "{soon} for {fresh}");
}
