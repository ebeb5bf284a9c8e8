//! `tollgate check`: every error of policies and scenarios, with its place.

use std::path::Path;

use tollgate_core::policy::Policy;
use tollgate_sim::experiment::{Coverage, prepare};
use tollgate_sim::trace::{ReadOptions, Trace};
use tollgate_sim::workload::{MaxTokens, Workload};

use super::load::{self, Source};
use crate::args::Check;
use crate::error::Failure;
use crate::{shipped, term};

/// Runs the command.
pub(crate) fn run(args: &Check) -> Result<(), Failure> {
    let trace = match &args.trace {
        Some(file) => Some(Trace::load(file, &ReadOptions::default()).map_err(Failure::wrong)?),
        None => None,
    };
    let mut wrong = Vec::new();
    for named in &args.files {
        match check(named, trace.as_ref()) {
            Ok(good) => term::print(&good),
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
    let source = find(named)?;
    if is_scenario(&source.text) {
        return check_scenario(named, &source, trace);
    }
    let policy = load::read_policy(&source.name, &source.text)?;
    cover(named, &policy, trace);
    Ok(format!("{named}: a policy, hash {}", policy.hash))
}

fn check_scenario(named: &str, source: &Source, trace: Option<&Trace>) -> Result<String, Failure> {
    let scenario = load::read_scenario(source)?;
    let policies = load::read_strategies(&scenario)?;
    for (_, policy) in &policies {
        cover(named, policy, trace);
    }
    let count = policies.len();
    // A trace that the scenario names is checked where it is read: here its place alone is known.
    let mut spec = scenario.workload.clone();
    spec.max_tokens = MaxTokens::Output;
    let workload = Workload::open(spec).map_err(Failure::wrong)?;
    prepare(&scenario, &workload, policies, 0).map_err(Failure::wrong)?;
    Ok(format!(
        "{named}: a scenario with {count} strategies, hash {}",
        scenario.hash
    ))
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

fn find(named: &str) -> Result<Source, Failure> {
    if !Path::new(named).exists() && shipped::scenario(named).is_none() && shipped::policy(named).is_some() {
        return load::find_policy(named);
    }
    load::find_scenario(named)
}

/// A scenario has backends and a workload; a policy has pools and routes.
fn is_scenario(text: &str) -> bool {
    let heads = |word: &str| {
        let head = format!("[{word}");
        text.lines().any(|line| {
            line.trim_start().trim_start_matches('[').starts_with(&head[1..]) && line.trim_start().starts_with('[')
        })
    };
    heads("backend") || heads("workload") || heads("strategy")
}
