//! `tollgate simulate`: every strategy of a scenario in virtual time, side by side.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use indicatif::{HumanCount, HumanFloatCount};
use tollgate_core::time::Nanos;
use tollgate_reports::result::Cause;
use tollgate_reports::{ResultSet, page, table};
use tollgate_sim::experiment::{
    Comparison, Conditions, Progress, Strategy, compare, expected_requests, prepare, result_set,
};
use tollgate_sim::scenario::Scenario;
use tollgate_sim::trace::Format;
use tollgate_sim::workload::{ArrivalSpec, TraceSpec, Workload};

use super::files::{self, Candidate, Source};
use super::out::{self, Claim};
use super::stop::{self, Held, Holding};
use crate::args::Simulate;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Simulate) -> Result<(), Failure> {
    let source = files::find_scenario(&args.scenario)?;
    let mut scenario = files::read_scenario(&source)?;
    let candidates = candidates(args, &source, &scenario)?;
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    if let Some(trace) = &args.trace {
        scenario.workload.arrivals = ArrivalSpec::Trace(TraceSpec {
            file: trace.clone(),
            format: Format::Auto,
            speedup: 1.0,
        });
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("target/tollgate").join(&scenario.name));
    out::check_directory(&out)?;
    let waiting = term::Waiting::new("preparing");
    let duration = scenario.run.duration.unwrap_or(Nanos::FOREVER);
    let workload = Workload::open_for(scenario.workload.clone(), duration).map_err(Failure::wrong)?;
    let samples = usize::try_from(args.requests).unwrap_or(usize::MAX);
    let (policies, sources) = files::apart(candidates);
    let strategies = prepare(&scenario, &workload, policies, samples);
    let strategies = strategies.map_err(|error| files::unprepared(&error, &sources))?;
    drop(waiting);
    for note in workload.trace().map_or(&[][..], |trace| trace.notes()) {
        term::tell(&format!("note: {note}"));
    }
    simulate(args, &scenario, &workload, &strategies, &out)
}

fn simulate(
    args: &Simulate,
    scenario: &Scenario,
    workload: &Workload,
    strategies: &[Strategy],
    out: &Path,
) -> Result<(), Failure> {
    let replications = args.replications.unwrap_or(scenario.run.replications.get());
    let progress = Arc::new(Progress::default());
    let held = Held::default();
    stop::watch(Arc::clone(&progress), Arc::clone(&held))?;
    let holding = Holding::new(&held, Claim::new(out)?);
    let began = Instant::now();
    let comparison = watched(args, strategies, replications, &progress);
    let wall_seconds = began.elapsed().as_secs_f64();
    let done = comparison.replications();
    if done == 0 {
        return Err(Failure::failed(
            "stopped before one replication of every strategy was complete; nothing was written",
        ));
    }

    let mut notes = Vec::new();
    if done < replications as usize {
        notes.push(format!("stopped after {done} of {replications} replications"));
    }
    notes.extend(cut(scenario, workload));
    if comparison.is_uncounted() {
        notes.push("no request began after the warm-up, so nothing was counted: shorten `run.warmup`".to_owned());
    }
    let conditions = Conditions {
        tollgate: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.name.clone(),
        scenario_hash: scenario.hash.to_string(),
        question: (!scenario.description.is_empty()).then(|| scenario.description.clone()),
        trace: workload.trace_name(),
        seed: scenario.seed,
        wall_seconds,
        notes,
    };
    let mut set = result_set(&conditions, strategies, &comparison);
    let unrouted = unrouted(&set);
    set.summary.notes.extend(unrouted);
    {
        let _writing = holding.writing();
        set.write(out).map_err(Failure::failed)?;
    }
    for note in &set.summary.notes {
        term::tell(&format!("note: {note}"));
    }
    if args.json {
        let json = set.summary.to_json().map_err(Failure::failed)?;
        return term::print(&json);
    }
    let of = if done < replications as usize {
        format!(" of {replications}")
    } else {
        String::new()
    };
    let closing = format!(
        "{} requests in {wall_seconds:.2} s ({}/s), seed {}, {done}{of} {} of {}",
        HumanCount(comparison.requests()),
        HumanFloatCount(set.summary.requests_per_wall_second.unwrap_or(0.0).round()),
        scenario.seed,
        if replications == 1 {
            "replication"
        } else {
            "replications"
        },
        term::counted(strategies.len(), "strategy", "strategies"),
    );
    let width = term::width();
    let mut text = String::new();
    if let Some(question) = &conditions.question {
        text.push_str(&term::wrapped(question, width, 0));
        text.push_str("\n\n");
    }
    if let Some(trace) = workload.trace() {
        text.push_str(&term::wrapped(&trace.describe().in_a_line(), width, 0));
        text.push_str("\n\n");
    }
    text.push_str(&table::text(&set.summary, width));
    text.push('\n');
    text.push_str(&term::wrapped(&page::headline(&set.summary), width, 0));
    text.push_str("\n\n");
    text.push_str(&term::wrapped(&closing, width, 0));
    term::print(&format!("{text}\nreport: {}", out.join("report.html").display()))
}

/// Runs everything, with progress; a signal stops it, and what is complete is kept.
fn watched(args: &Simulate, strategies: &[Strategy], replications: u32, progress: &Arc<Progress>) -> Comparison {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let runs = strategies.len() as u64 * u64::from(replications);
    let total = strategies
        .first()
        .and_then(|strategy| expected_requests(&strategy.plan))
        .map(|each| each.saturating_mul(runs));
    let _watch = term::Watch::new(Arc::clone(progress), runs, total);
    compare(strategies, replications, threads, progress)
}

/// The policies to compare: those of the command line, else the scenario's own.
fn candidates(args: &Simulate, source: &Source, scenario: &Scenario) -> Result<Vec<Candidate>, Failure> {
    if args.policy.is_empty() {
        if scenario.strategies.is_empty() {
            let help = "add a [[strategy]] with a name and a policy, or give --policy FILE";
            return Err(Failure::wrong(format!(
                "scenario `{}` names no strategy, so there is nothing to run\n  = help: {help}",
                scenario.name
            )));
        }
        return files::read_strategies(source, scenario);
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for named in &args.policy {
        let source = files::find_policy(named)?;
        let stem = Path::new(named)
            .file_stem()
            .map_or_else(|| named.clone(), |stem| stem.to_string_lossy().into_owned());
        if candidates.iter().any(|known| known.strategy == stem) {
            return Err(Failure::wrong(format!(
                "two policies are called `{stem}`: strategies are named after their files\n  = help: rename one of them"
            )));
        }
        let policy = files::read_policy(&source)?;
        candidates.push(Candidate {
            strategy: stem,
            source,
            policy,
        });
    }
    Ok(candidates)
}

/// Says of each strategy whose routes leave requests out how many they are: most likely its `match` is not meant so.
fn unrouted(set: &ResultSet) -> Vec<String> {
    let strategies = set.summary.strategies.iter();
    let notes = strategies.filter_map(|strategy| {
        let missed = strategy.requests.refused.get(&Cause::NoRoute)?;
        let share = missed / strategy.requests.offered * 100.0;
        Some(format!(
            "`{}` refuses {share:.0} % of the requests because none of its routes matches them",
            strategy.name
        ))
    });
    notes.collect()
}

/// Says of a trace that goes on after the end of the run how much of it was replayed.
fn cut(scenario: &Scenario, workload: &Workload) -> Option<String> {
    let trace = workload.trace()?;
    let wanted = scenario.run.requests.and_then(|most| usize::try_from(most).ok());
    let (calls, way_out) = match wanted {
        Some(most) if most < trace.len() => (most, "a larger `run.requests`"),
        Some(_) | None if trace.is_cut() => (trace.len(), "a longer `run.duration`"),
        Some(_) | None => return None,
    };
    let calls = match calls {
        1 => "call is".to_owned(),
        calls => format!("{calls} calls are"),
    };
    Some(format!(
        "the trace is longer than the run: only its first {calls} replayed; {way_out} takes in more"
    ))
}
