//! `tollgate twin`: a scenario simulated, and played for real on loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tollgate_bench::twin::{
    Comparison, CrewError, Guest, Play, PlayError, Played, Report, Side, Strategy, admit, curves, program, scale_for,
};
use tollgate_core::file;
use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;
use tollgate_reports::twin::check_free;
use tollgate_reports::{ResultSet, merge};
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::{self, Conditions, Progress, Replicated, expected_requests, prepare, result_set};
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{Scenario, Warmup};
use tollgate_sim::workload::Workload;

use super::files::{self, Candidate};
use super::out::{self, Claim};
use super::stop::{self, Held, Holding};
use crate::args::Twin;
use crate::error::Failure;
use crate::term;

/// Most tenants: each has a key on the command line of the load generator.
const MOST_TENANTS: usize = 1_000;

/// Runs the command.
pub(crate) fn run(args: &Twin) -> Result<(), Failure> {
    let began = Instant::now();
    let source = files::find_scenario(&args.scenario)?;
    let mut scenario = files::read_scenario(&source)?;
    let candidates = chosen(args, files::read_strategies(&source, &scenario)?)?;
    bend(args, &mut scenario);
    if let Some(out) = &args.out {
        out::check_place(out)?;
        check_free(out).map_err(Failure::wrong)?;
    }
    let duration = scenario.run.duration.unwrap_or(Nanos::FOREVER);
    let workload = Workload::open_for(scenario.workload.clone(), duration).map_err(Failure::wrong)?;
    if MOST_TENANTS < workload.tenants().len() {
        return Err(Failure::wrong(format!(
            "a twin has at most {MOST_TENANTS} tenants, and this workload has {}\n  = help: fewer, with larger shares",
            workload.tenants().len()
        )));
    }
    let guests: Vec<Guest> = workload.tenants().iter().map(Guest::new).collect();
    let stage = Stage {
        args,
        program: program().map_err(|error| Failure::failed(format!("this program cannot be found: {error}")))?,
        scratch: tempfile::tempdir()
            .map_err(|error| Failure::failed(format!("there is no place for files between processes: {error}")))?,
        guests,
        workload,
        scenario,
    };
    stage.play(candidates, began)
}

/// The strategies that are asked for; all of the scenario's if none is.
fn chosen(args: &Twin, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, Failure> {
    for named in &args.strategy {
        if candidates.iter().all(|candidate| candidate.strategy != *named) {
            let names = candidates.iter().map(|candidate| candidate.strategy.as_str());
            let help = file::nearest(named, names).help_of("strategy", "strategies");
            let help = help.map_or(String::new(), |help| format!("\n  = help: {help}"));
            return Err(Failure::wrong(format!("the scenario has no strategy `{named}`{help}")));
        }
    }
    if candidates.is_empty() {
        return Err(Failure::wrong(
            "the scenario names no strategy, so there is nothing to play\n  = help: add a [[strategy]] with a name and a policy",
        ));
    }
    let is_chosen = |candidate: &Candidate| args.strategy.is_empty() || args.strategy.contains(&candidate.strategy);
    Ok(candidates.into_iter().filter(is_chosen).collect())
}

/// What the command line says instead of the scenario.
fn bend(args: &Twin, scenario: &mut Scenario) {
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    if let Some(duration) = args.duration {
        scenario.run.duration = Some(duration);
        scenario.run.requests = None;
        scenario.run.warmup = Warmup::Share(0.1);
    }
}

/// What every strategy is played on.
struct Stage<'a> {
    args: &'a Twin,
    program: PathBuf,
    scratch: tempfile::TempDir,
    guests: Vec<Guest>,
    workload: Workload,
    scenario: Scenario,
}

/// One strategy on both sides.
struct Both {
    strategy: Strategy,
    simulated: ResultSet,
    live: ResultSet,
}

impl Stage<'_> {
    fn play(&self, candidates: Vec<Candidate>, began: Instant) -> Result<(), Failure> {
        let progress = Arc::new(Progress::default());
        let held = Held::default();
        stop::watch(Arc::clone(&progress), Arc::clone(&held))?;
        let claim = self.args.out.as_deref().map(Claim::new).transpose()?;
        let holding = claim.map(|claim| Holding::new(&held, claim));
        let wanted = candidates.len();
        let mut notes = Vec::new();
        let mut policies = Vec::new();
        for mut candidate in candidates {
            let unknown = admit(&mut candidate.policy, &self.guests);
            if 0 < unknown {
                let tenants = term::counted(unknown, "tenant", "tenants");
                notes.push(format!(
                    "`{}` does not list {tenants} of the workload; on both sides of the twin it does, because a live gateway \
                     knows nobody else",
                    candidate.strategy
                ));
            }
            policies.push(candidate);
        }
        let mut played: Vec<Both> = Vec::new();
        let mut scale = self.args.time_scale;
        for (number, candidate) in policies.iter().enumerate() {
            let waiting = term::Waiting::new(format!("{}: simulating", candidate.strategy));
            let strategy = self.prepared(candidate)?;
            let seconds = self.seconds(&strategy);
            let scale = *scale.get_or_insert_with(|| scale_for(wanted, seconds));
            match self.both(candidate, &strategy, scale, &progress, |passed| {
                let share = (passed / seconds * 100.0).clamp(0.0, 100.0);
                waiting.say(format!(
                    "{} ({} of {wanted}): live {share:.0} %",
                    candidate.strategy,
                    number + 1
                ));
            }) {
                Ok(both) => played.push(both),
                Err(PlayError::Crew(CrewError::Stopped)) => break,
                Err(error) => return Err(Failure::failed(format!("strategy `{}`: {error}", candidate.strategy))),
            }
        }
        if played.is_empty() {
            return Err(Failure::failed(
                "stopped before one strategy was played; nothing was written",
            ));
        }
        if played.len() < wanted {
            notes.push(format!("stopped after {} of {wanted} strategies", played.len()));
        }
        let (strategies, sets): (Vec<_>, Vec<_>) = played
            .into_iter()
            .map(|both| (both.strategy, (both.simulated, both.live)))
            .unzip();
        let first = &sets[0].0.summary;
        let report = Report {
            tollgate: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.name.clone(),
            scenario_hash: self.scenario.hash.to_string(),
            seed: self.scenario.seed,
            replication: self.args.replication,
            scale: scale.unwrap_or(1.0),
            seconds: first.simulated_seconds,
            warmup: first.warmup_seconds,
            wall: began.elapsed().as_secs_f64(),
            machine: machine(),
            notes,
            strategies,
        };
        if let Some(out) = &self.args.out {
            let _writing = holding.as_ref().map(Holding::writing);
            write(&report, &self.scenario.description, sets, out)?;
        }
        drop(holding);
        self.show(&report)
    }

    fn show(&self, report: &Report) -> Result<(), Failure> {
        for note in &report.notes {
            term::tell(&format!("note: {note}"));
        }
        if self.args.json {
            return term::print(&report.json());
        }
        let mut closing = format!(
            "{} of {} s each, {} seconds of the scenario in one of the machine, seed {}, replication {}: {:.0} s",
            term::counted(report.strategies.len(), "strategy", "strategies"),
            report.seconds,
            report.scale,
            report.seed,
            report.replication,
            report.wall
        );
        if let Some(out) = &self.args.out {
            closing.push_str(&format!("; report: {}", out.join("report.html").display()));
        }
        term::print(&format!("{}{closing}", report.text()))
    }

    fn prepared(&self, candidate: &Candidate) -> Result<experiment::Strategy, Failure> {
        /// All requests are looked at.
        const ALL: usize = usize::MAX;

        let policies: Vec<(String, Policy)> = vec![(candidate.strategy.clone(), candidate.policy.clone())];
        let strategies = prepare(&self.scenario, &self.workload, policies, ALL).map_err(Failure::wrong)?;
        let none = || Failure::failed("a policy that was prepared is a strategy");
        strategies.into_iter().next().ok_or_else(none)
    }

    /// For how long calls begin, in seconds of the scenario.
    fn seconds(&self, strategy: &experiment::Strategy) -> f64 {
        let requests = || {
            // Where only their number is given: as long as the arrivals of so many take.
            let count = expected_requests(&strategy.plan)?;
            let mut arrivals = self
                .workload
                .arrivals(tollgate_core::dice::Dice::new(self.scenario.seed).branch(self.args.replication))?;
            (0..count)
                .map_while(|_| arrivals.next())
                .last()
                .map(|at| at.as_secs_f64())
        };
        let duration = self.scenario.run.duration.map(Nanos::as_secs_f64);
        duration.or_else(requests).unwrap_or(0.0).max(1.0)
    }

    fn both(
        &self,
        candidate: &Candidate,
        strategy: &experiment::Strategy,
        scale: f64,
        progress: &Progress,
        tick: impl FnMut(f64),
    ) -> Result<Both, PlayError> {
        let simulated = Engine::new(&strategy.plan, self.args.replication, Quiet)
            .run(|_| !progress.stop.load(Ordering::Relaxed))
            .ok_or(PlayError::Crew(CrewError::Stopped))?;
        let comparison = experiment::Comparison {
            strategies: vec![Replicated {
                name: candidate.strategy.clone(),
                records: vec![simulated],
            }],
            wanted: 1,
        };
        let conditions = Conditions {
            tollgate: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.name.clone(),
            scenario_hash: self.scenario.hash.to_string(),
            seed: self.scenario.seed,
            ..Conditions::default()
        };
        let set = result_set(&conditions, std::slice::from_ref(strategy), &comparison);
        let warmup = Nanos::from_secs_f64(set.summary.warmup_seconds);
        let simulated = Side::simulated(&comparison.strategies[0].records[0], &candidate.policy, warmup);
        let play = Play {
            program: &self.program,
            scenario: &self.args.scenario,
            strategy: &candidate.strategy,
            policy: &candidate.source.text,
            guests: &self.guests,
            seed: self.scenario.seed,
            replication: self.args.replication,
            scale,
            duration: self.args.duration,
            warmup,
            scratch: self.scratch.path(),
        };
        let Played {
            log,
            metrics,
            began,
            client,
        } = play.run(&progress.stop, tick)?;
        let live = Side::live(&log, &metrics, began, warmup);
        let lag = client
            .summary
            .strategies
            .first()
            .and_then(|strategy| strategy.client.as_ref());
        let in_machine = |value: Option<f64>| value.map(|value| value / scale);
        let strategy = Strategy {
            name: candidate.strategy.clone(),
            comparison: Comparison::new(&simulated, &live),
            lag: [
                in_machine(lag.and_then(|client| client.send_lag.p50)),
                in_machine(lag.and_then(|client| client.send_lag.p99)),
            ],
            notes: log.gaps(),
            curves: curves(&simulated, &live),
        };
        Ok(Both {
            strategy,
            simulated: set,
            live: client,
        })
    }
}

/// Both result sets, and what they say together.
fn write(report: &Report, question: &str, sets: Vec<(ResultSet, ResultSet)>, out: &Path) -> Result<(), Failure> {
    let named = |set: ResultSet| (set.summary.scenario.clone(), set);
    let (simulated, live): (Vec<_>, Vec<_>) = sets.into_iter().unzip();
    for (name, sets) in [("simulated", simulated), ("live", live)] {
        let sets = sets.into_iter().map(named).collect();
        merge(sets).write(&out.join(name)).map_err(Failure::failed)?;
    }
    report.page(question).write(out).map_err(Failure::failed)?;
    Ok(())
}

/// What it runs on, as far as the system tells.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("", |(_, model)| model.trim());
    format!("{} {model}", term::counted(cores, "core,", "cores,"))
}
