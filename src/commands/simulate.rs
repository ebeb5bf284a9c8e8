//! `tollgate simulate`: every strategy of a scenario in virtual time, side by side.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;
use tollgate_reports::{page, table};
use tollgate_sim::experiment::{Conditions, Progress, Strategy, compare, expected_requests, prepare, result_set};
use tollgate_sim::scenario::Scenario;
use tollgate_sim::trace::Format;
use tollgate_sim::workload::{ArrivalSpec, TraceSpec, Workload};

use super::load;
use crate::args::Simulate;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Simulate) -> Result<(), Failure> {
    let mut scenario = load::read_scenario(&load::find_scenario(&args.scenario)?)?;
    let policies = policies(args, &scenario)?;
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
    check_writable(&out)?;
    let duration = scenario.run.duration.unwrap_or(Nanos::FOREVER);
    let workload = Workload::open_for(scenario.workload.clone(), duration).map_err(Failure::wrong)?;
    let samples = usize::try_from(args.requests).unwrap_or(usize::MAX);
    let strategies = prepare(&scenario, &workload, policies, samples).map_err(Failure::wrong)?;
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
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let runs = strategies.len() as u64 * u64::from(replications);
    let total = strategies
        .first()
        .and_then(|strategy| expected_requests(&strategy.plan))
        .map(|each| each * runs);

    let progress = Arc::new(Progress::default());
    let stopper = Arc::clone(&progress);
    ctrlc::set_handler(move || stopper.stop.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::failed(format!("Ctrl-C cannot be watched for: {error}")))?;
    let began = Instant::now();
    let comparison = {
        let _watch = term::Watch::new(Arc::clone(&progress), total);
        compare(strategies, replications, threads, &progress)
    };
    let wall_seconds = began.elapsed().as_secs_f64();
    if comparison.replications() == 0 {
        return Err(Failure::failed(
            "stopped before one replication of every strategy was complete; nothing was written",
        ));
    }

    let mut notes = Vec::new();
    if comparison.replications() < replications as usize {
        let done = comparison.replications();
        notes.push(format!("stopped by Ctrl-C after {done} of {replications} replications"));
    }
    let conditions = Conditions {
        tollgate: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.name.clone(),
        scenario_hash: scenario.hash.to_string(),
        question: (!scenario.description.is_empty()).then(|| scenario.description.clone()),
        trace: trace_name(&scenario.workload.arrivals),
        seed: scenario.seed,
        wall_seconds,
        notes: notes.clone(),
    };
    let set = result_set(&conditions, strategies, &comparison);
    set.write(out).map_err(Failure::failed)?;

    if args.json {
        let json = set.summary.to_json().map_err(Failure::failed)?;
        term::print(&json);
        return Ok(());
    }
    if let Some(trace) = workload.trace() {
        term::print(&format!("{}\n", trace.describe().in_a_line()));
    }
    term::print(&table::text(&set.summary, term::width()));
    term::print(&format!("\n{}", page::headline(&set.summary)));
    let rate = set.summary.requests_per_wall_second.unwrap_or(0.0);
    term::print(&format!(
        "\n{} requests in {wall_seconds:.2} s ({rate:.0}/s), seed {}, {} replications of {} strategies",
        comparison.requests(),
        scenario.seed,
        comparison.replications(),
        strategies.len(),
    ));
    for note in &notes {
        term::print(&format!("note: {note}"));
    }
    term::print(&format!("report: {}", out.join("report.html").display()));
    Ok(())
}

/// The policies to compare: those of the command line, else the scenario's own.
fn policies(args: &Simulate, scenario: &Scenario) -> Result<Vec<(String, Policy)>, Failure> {
    if args.policy.is_empty() {
        if scenario.strategies.is_empty() {
            let help = "add a [[strategy]] with a name and a policy, or give --policy FILE";
            return Err(Failure::wrong(format!(
                "scenario `{}` names no strategy, so there is nothing to run\n  = help: {help}",
                scenario.name
            )));
        }
        return load::read_strategies(scenario);
    }
    let mut policies: Vec<(String, Policy)> = Vec::new();
    for named in &args.policy {
        let source = load::find_policy(named)?;
        let stem = Path::new(named)
            .file_stem()
            .map_or_else(|| named.clone(), |stem| stem.to_string_lossy().into_owned());
        if policies.iter().any(|(name, _)| *name == stem) {
            return Err(Failure::wrong(format!(
                "two policies are called `{stem}`: strategies are named after their files\n  = help: rename one of them"
            )));
        }
        policies.push((stem, load::read_policy(&source.name, &source.text)?));
    }
    Ok(policies)
}

fn trace_name(arrivals: &ArrivalSpec) -> Option<String> {
    match arrivals {
        ArrivalSpec::Trace(trace) => trace.file.file_name().map(|name| name.to_string_lossy().into_owned()),
        ArrivalSpec::Deterministic { .. }
        | ArrivalSpec::Poisson { .. }
        | ArrivalSpec::Gamma { .. }
        | ArrivalSpec::Weibull { .. }
        | ArrivalSpec::Mmpp { .. }
        | ArrivalSpec::Hawkes { .. }
        | ArrivalSpec::Schedule { .. }
        | ArrivalSpec::Diurnal { .. }
        | ArrivalSpec::Closed(_) => None,
    }
}

/// Whether results can be written, before hours are spent on them.
fn check_writable(out: &Path) -> Result<(), Failure> {
    let refuse = |error: std::io::Error| {
        Failure::wrong(format!(
            "`{}` cannot be written to: {error}\n  = help: name another directory with --out",
            out.display()
        ))
    };
    if out.exists() && !out.is_dir() {
        return Err(refuse(std::io::Error::new(
            std::io::ErrorKind::NotADirectory,
            "it is a file",
        )));
    }
    let there = out
        .ancestors()
        .find(|path| path.is_dir())
        .map_or_else(|| PathBuf::from("."), Path::to_owned);
    let there = if there.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        there
    };
    let probe = there.join(format!(".tollgate-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)
}
