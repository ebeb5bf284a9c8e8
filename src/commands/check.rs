//! `tollgate check`: every error of policies and scenarios, with its place.

use tollgate_core::file;
use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;
use tollgate_sim::experiment::{self, Coverage};
use tollgate_sim::trace::{ReadOptions, Trace};
use tollgate_sim::workload::Workload;

use super::files::{self, Source};
use crate::args::Check;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Check) -> Result<(), Failure> {
    let trace = match &args.trace {
        Some(file) => {
            let _waiting = term::Waiting::new(format!("reading {}", file.display()));
            Some(Trace::load(file, &ReadOptions::default()).map_err(Failure::wrong)?)
        }
        None => None,
    };
    let mut wrong = Vec::new();
    for named in &args.files {
        match check(named, trace.as_ref()) {
            Ok(good) => term::print(&good)?,
            Err(failure) => wrong.push(failure.message().to_owned()),
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Wrong(wrong.join("\n")))
    }
}

fn check(named: &str, trace: Option<&Trace>) -> Result<String, Failure> {
    let source = files::find_either(named)?;
    match kind(&source)? {
        Kind::Scenario => check_scenario(named, &source, trace),
        Kind::Policy => {
            let policy = files::read_policy(&source)?;
            cover(&source.name, &policy, trace);
            Ok(format!("{named}: a policy, hash {}", policy.hash))
        }
    }
}

fn check_scenario(named: &str, source: &Source, trace: Option<&Trace>) -> Result<String, Failure> {
    let scenario = files::read_scenario(source)?;
    let candidates = files::read_strategies(source, &scenario)?;
    let mut covered: Vec<&str> = Vec::new();
    for candidate in &candidates {
        if !covered.contains(&candidate.source.name.as_str()) {
            cover(&candidate.source.name, &candidate.policy, trace);
            covered.push(&candidate.source.name);
        }
    }
    let count = term::counted(candidates.len(), "strategy", "strategies");
    let duration = scenario.run.duration.unwrap_or(Nanos::FOREVER);
    let workload = Workload::open_for(scenario.workload.clone(), duration).map_err(Failure::wrong)?;
    let (policies, sources) = files::apart(candidates);
    experiment::check(&scenario, &workload, policies).map_err(|error| files::unprepared(&error, &sources))?;
    Ok(format!("{named}: a scenario with {count}, hash {}", scenario.hash))
}

/// Warns of what no request of the trace matches.
fn cover(named: &str, policy: &Policy, trace: Option<&Trace>) {
    let Some(trace) = trace else {
        return;
    };
    for unmatched in Coverage::of(policy, trace).unmatched() {
        term::tell(&format!("warning: {named}: {unmatched}"));
    }
}

enum Kind {
    Policy,
    Scenario,
}

/// A policy has pools and routes, a scenario has backends and a workload.
fn kind(source: &Source) -> Result<Kind, Failure> {
    const POLICY: [&str; 4] = ["pool", "route", "limit", "tenant"];
    const SCENARIO: [&str; 7] = ["backend", "workload", "strategy", "fault", "network", "run", "name"];
    let read = file::read(&source.name, &source.text, |root| {
        let _known: Vec<_> = root.entries();
        let count = |keys: &[&str]| keys.iter().filter(|key| root.has(key)).count();
        (count(&POLICY), count(&SCENARIO))
    });
    match read {
        Ok(((0, 0), _)) => Err(Failure::wrong(format!(
            "`{}` is neither a policy nor a scenario\n  = help: a policy has [[pool]] and [[route]], a scenario has \
             [workload] and [[backend]]",
            source.name
        ))),
        Ok(((policy, scenario), _)) if scenario <= policy => Ok(Kind::Policy),
        Ok(_) => Ok(Kind::Scenario),
        Err(problems) => Err(Failure::Wrong(problems.render(term::is_styled()))),
    }
}
