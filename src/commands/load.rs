//! `tollgate load`: the workload of a scenario against a real endpoint.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use indicatif::{HumanCount, HumanFloatCount};
use tollgate_bench::load::{self, Keys, result_set};
use tollgate_core::file;
use tollgate_core::policy::{Policy, Tenant};
use tollgate_core::time::Nanos;
use tollgate_proxy::auth::Secret;
use tollgate_proxy::provider::Target;
use tollgate_reports::result::{ClientSummary, Summary};
use tollgate_reports::{ResultSet, table};
use tollgate_sim::experiment::{Conditions, Progress, outside};
use tollgate_sim::scenario::{Scenario, Warmup};
use tollgate_sim::trace::Format;
use tollgate_sim::workload::{ArrivalSpec, TraceSpec, Workload};

use super::files::{self, Candidate, Source};
use super::leash;
use super::out::{self, Claim};
use super::stop::{self, Held, Holding};
use crate::args::Load;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Load) -> Result<(), Failure> {
    if args.leash {
        leash::hold();
    }
    let source = files::find_scenario(&args.scenario)?;
    let mut scenario = files::read_scenario(&source)?;
    let candidate = candidate(args, &source, &scenario)?;
    let target = Target::new(&args.target)
        .map_err(|wrong| Failure::wrong(format!("--target {}: {wrong}\n  = help: {TARGET}", args.target)))?;
    bend(args, &mut scenario)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("target/tollgate").join(format!("{}-load", scenario.name)));
    out::check_directory(&out)?;
    let waiting = term::Waiting::new("preparing");
    let duration = scenario.run.duration.unwrap_or(Nanos::FOREVER);
    let mut workload = Workload::open_for(scenario.workload.clone(), duration).map_err(Failure::wrong)?;
    if let Some(rate) = args.rate {
        scenario.workload.arrivals = rescaled(&scenario, &workload, rate)?;
        workload = match workload.shared_trace() {
            Some(trace) => Workload::with_trace(scenario.workload.clone(), trace).map_err(Failure::wrong)?,
            None => Workload::open(scenario.workload.clone()).map_err(Failure::wrong)?,
        };
    }
    drop(waiting);
    for note in workload.trace().map_or(&[][..], |trace| trace.notes()) {
        term::tell(&format!("note: {note}"));
    }
    let samples = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let has_policy = candidate.is_some();
    let (name, policy) = match candidate {
        Some(candidate) => (candidate.strategy, candidate.policy),
        None => (args.strategy.clone().unwrap_or_else(|| "measured".to_owned()), nobody()),
    };
    let strategy = outside(&scenario, &workload, &name, policy, samples);
    let load = load::Load {
        target,
        strategy,
        replication: args.replication,
        time_scale: args.time_scale,
        begins: args
            .begins
            .map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)),
        mock_dice: args.mock_dice,
        model: args.model.clone(),
        keys: keys(args, &workload)?,
        connections: args.connections as usize,
        in_flight: u64::from(args.in_flight),
        grace: args.grace,
        ca_file: args.ca_file.clone(),
    };
    measure(args, &scenario, &workload, load, has_policy, &out)
}

/// What a target looks like.
const TARGET: &str = "the base URL of an OpenAI-style API, such as http://127.0.0.1:8080/v1";

fn measure(
    args: &Load,
    scenario: &Scenario,
    workload: &Workload,
    load: load::Load,
    has_policy: bool,
    out: &Path,
) -> Result<(), Failure> {
    let progress = Arc::new(Progress::default());
    let held = Held::default();
    stop::watch(Arc::clone(&progress), Arc::clone(&held))?;
    let holding = Holding::new(&held, Claim::new(out)?);
    let watch = term::Watch::of_one(Arc::clone(&progress), expected(scenario, workload));
    let loaded = load::run(load, &progress);
    drop(watch);
    let loaded = loaded.map_err(|error| {
        if error.is_wrong() {
            Failure::wrong(error)
        } else {
            Failure::failed(error)
        }
    })?;
    let mut notes = Vec::new();
    if !has_policy {
        notes.push(
            "no policy says what is good enough, so attainment is undefined: name one with --policy or --strategy"
                .to_owned(),
        );
    }
    let conditions = Conditions {
        tollgate: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: scenario.name.clone(),
        scenario_hash: scenario.hash.to_string(),
        question: (!scenario.description.is_empty()).then(|| scenario.description.clone()),
        trace: workload.trace_name(),
        seed: scenario.seed,
        wall_seconds: loaded.wall.as_secs_f64(),
        notes,
    };
    let set = result_set(&conditions, loaded, has_policy);
    {
        let _writing = holding.writing();
        set.write(out).map_err(Failure::failed)?;
    }
    for note in &set.summary.notes {
        term::tell(&format!("note: {note}"));
    }
    if args.json {
        return term::print(&set.summary.to_json().map_err(Failure::failed)?);
    }
    show(&set, scenario.seed, out)
}

fn show(set: &ResultSet, seed: u64, out: &Path) -> Result<(), Failure> {
    let width = term::width();
    let mut text = table::text(&set.summary, width);
    text.push('\n');
    let client = set
        .summary
        .strategies
        .first()
        .and_then(|strategy| strategy.client.as_ref());
    if let Some(client) = client {
        text.push_str(&term::wrapped(&closing(&set.summary, client, seed), width, 0));
        text.push('\n');
    }
    term::print(&format!("{text}\nreport: {}", out.join("report.html").display()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts, exact below 2^53"
)]
fn closing(summary: &Summary, client: &ClientSummary, seed: u64) -> String {
    let wall = summary.wall_seconds.unwrap_or_default();
    let millis =
        |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{:.2} ms", seconds * 1e3));
    let rate = if 0.0 < wall { client.sent / wall } else { 0.0 };
    let mut text = format!(
        "{} requests in {wall:.2} s ({}/s) over {} connections, at most {} at once; sent late by {} (p99); seed {seed}",
        HumanCount(client.sent as u64),
        HumanFloatCount(rate.round()),
        HumanCount(client.connections as u64),
        HumanCount(client.most_in_flight as u64),
        millis(client.send_lag.p99),
    );
    if client.itl.p50.is_some() {
        // Writing to a string does not fail.
        let _never = write!(
            text,
            "; between tokens {} (p50), {} (p99), {} tokens/s",
            millis(client.itl.p50),
            millis(client.itl.p99),
            HumanFloatCount(client.output_tokens_per_second.unwrap_or_default().round()),
        );
    }
    text
}

/// What the command line says instead of the scenario.
fn bend(args: &Load, scenario: &mut Scenario) -> Result<(), Failure> {
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
    if args.duration.is_some() || args.requests.is_some() {
        // What is not said does not bind either.
        scenario.run.duration = args.duration;
        scenario.run.requests = args.requests;
    }
    if let Some(warmup) = args.warmup {
        scenario.run.warmup = Warmup::Length(warmup);
    }
    if let (Some(duration), Warmup::Length(warmup)) = (scenario.run.duration, scenario.run.warmup)
        && duration <= warmup
    {
        return Err(Failure::wrong(format!(
            "a warm-up of {warmup} leaves nothing of a run of {duration}\n  = help: a shorter one with --warmup, or a longer \
             --duration"
        )));
    }
    Ok(())
}

/// The arrivals with a mean rate of `rate`.
fn rescaled(scenario: &Scenario, workload: &Workload, rate: f64) -> Result<ArrivalSpec, Failure> {
    let arrivals = &scenario.workload.arrivals;
    let length = scenario.run.duration.unwrap_or(Nanos::from_secs(600));
    #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
    let of_trace = workload.trace().and_then(|trace| {
        let ArrivalSpec::Trace(spec) = arrivals else {
            return None;
        };
        let seconds = spec.played(trace.duration()).as_secs_f64();
        (0.0 < seconds).then(|| trace.len() as f64 / seconds)
    });
    let mean = of_trace.or_else(|| arrivals.mean_rate_over(length));
    let scaled = mean
        .filter(|mean| 0.0 < *mean)
        .and_then(|mean| arrivals.scaled(rate / mean));
    scaled.ok_or_else(|| {
        Failure::wrong(
            "the users of a closed workload make their own rate, which --rate cannot change\n  = help: another number of \
             `users` or another `think` in the scenario",
        )
    })
}

/// About how many calls will be made, for those who watch.
fn expected(scenario: &Scenario, workload: &Workload) -> Option<u64> {
    let duration = scenario.run.duration;
    let by_rate = duration.and_then(|duration| {
        let rate = scenario.workload.arrivals.mean_rate_over(duration)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; the cast saturates"
        )]
        Some((rate * duration.as_secs_f64()) as u64)
    });
    let by_trace = workload.trace().map(|trace| trace.len() as u64);
    [scenario.run.requests, by_rate, by_trace].into_iter().flatten().min()
}

/// The policy whose targets are to be met: that of the command line, or of a strategy of the scenario.
fn candidate(args: &Load, source: &Source, scenario: &Scenario) -> Result<Option<Candidate>, Failure> {
    if let Some(named) = &args.policy {
        let source = files::find_policy(named)?;
        let policy = files::read_policy(&source)?;
        let stem = Path::new(named).file_stem();
        let stem = stem.map_or_else(|| named.clone(), |stem| stem.to_string_lossy().into_owned());
        return Ok(Some(Candidate {
            strategy: args.strategy.clone().unwrap_or(stem),
            source,
            policy,
        }));
    }
    let mut candidates = files::read_strategies(source, scenario)?;
    match &args.strategy {
        Some(named) => {
            let at = candidates.iter().position(|candidate| candidate.strategy == *named);
            let at = at.ok_or_else(|| {
                let words = candidates.iter().map(|candidate| candidate.strategy.as_str());
                let help = file::nearest(named, words).help_of("strategy", "strategies");
                Failure::wrong(format!(
                    "scenario `{}` has no strategy `{named}`\n  = help: {}",
                    scenario.name,
                    help.unwrap_or_else(|| "name a policy with --policy".to_owned())
                ))
            })?;
            Ok(Some(candidates.swap_remove(at)))
        }
        None if candidates.len() == 1 => Ok(candidates.pop()),
        None => Ok(None),
    }
}

/// A policy in which nobody is known and nothing is routed.
fn nobody() -> Policy {
    Policy {
        tenants: vec![Tenant::default()],
        ..Policy::default()
    }
}

/// The keys of the command line, whose own words never appear in a message.
fn keys(args: &Load, workload: &Workload) -> Result<Keys, Failure> {
    let mut keys = Keys::default();
    let own: &mut HashMap<String, Secret> = &mut keys.own;
    let mut keep = |tenant: &str, text: &str, what: &str| {
        let wrong = || {
            Failure::wrong(format!(
                "{what} is no key\n  = help: a key is plain ASCII, and not empty"
            ))
        };
        let key = Secret::new(text).filter(|_| text.is_ascii()).ok_or_else(wrong)?;
        if tenant.is_empty() {
            keys.other = Some(key);
            return Ok(());
        }
        if workload.tenants().iter().all(|known| known.name != tenant) {
            let words = workload.tenants().iter().map(|known| known.name.as_str());
            let help = file::nearest(tenant, words).help_of("tenant", "tenants");
            return Err(Failure::wrong(format!(
                "the workload has no tenant `{tenant}`\n  = help: {}",
                help.unwrap_or_else(|| "TENANT=KEY, or a key alone for everybody".to_owned())
            )));
        }
        own.insert(tenant.to_owned(), key);
        Ok(())
    };
    for said in &args.key {
        let (tenant, key) = said.split_once('=').unwrap_or(("", said));
        keep(tenant, key, "what --key says")?;
    }
    for said in &args.key_env {
        let (tenant, variable) = said.split_once('=').unwrap_or(("", said));
        let text = std::env::var(variable).map_err(|_| {
            Failure::wrong(format!(
                "the variable {variable} is not set, or no text\n  = help: --key-env names the variable that holds the key"
            ))
        })?;
        keep(tenant, &text, &format!("what {variable} holds"))?;
    }
    Ok(keys)
}
