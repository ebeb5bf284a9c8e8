//! `tollgate twin`: a scenario simulated, and played for real on loopback.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tollgate_bench::calibrate::fit;
use tollgate_bench::twin::{
    Comparison, CrewError, Guest, Play, PlayError, Played, Report, Side, Sorted, Strategy, admit, curves, program,
    scale_for, seconds,
};
use tollgate_core::file;
use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;
use tollgate_reports::twin::check_free;
use tollgate_reports::{ResultSet, merge};
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::{self, Conditions, Progress, Replicated, expected_requests, prepare, result_set};
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{Scenario, Warmup};
use tollgate_sim::workload::Workload;

use super::files::{self, Candidate, Source};
use super::network::{rewritten, table};
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
    if args.calibrate {
        // What is to be fitted must not be there already.
        scenario.network.gateway_overhead = Distribution::constant(0.0).map_err(Failure::failed)?;
    }
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
    if args.calibrate {
        return stage.fit_network(candidates, &source);
    }
    stage.play(candidates, began)
}

/// For how long a network is fitted where nobody says.
const CALIBRATION: Nanos = Nanos::from_secs(30);
/// Requests that are needed to fit anything to.
const LEAST_FITTED: usize = 50;

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
    let calibration = args.calibrate.then_some(CALIBRATION);
    if let Some(duration) = args.duration.or(calibration) {
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
    /// From client to gateway, in seconds: half of what a journey takes longer than its request.
    hops: Sorted,
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
        let mut strangers = Vec::new();
        let mut policies = Vec::new();
        for mut candidate in candidates {
            if 0 < admit(&mut candidate.policy, &self.guests) {
                strangers.push(candidate.strategy.clone());
            }
            policies.push(candidate);
        }
        if !strangers.is_empty() {
            notes.push(format!(
                "not every tenant of the workload is listed by the policies of {}; on both sides of the twin they are, because a \
                 live gateway knows nobody else",
                strangers.join(", ")
            ));
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
            let _never = write!(closing, "; report: {}", out.join("report.html").display());
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
                .map(tollgate_core::time::Instant::as_secs_f64)
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
            duration: self.args.duration.or(self.args.calibrate.then_some(CALIBRATION)),
            warmup,
            scratch: self.scratch.path(),
        };
        let Played {
            log,
            metrics,
            began,
            client,
            journeys,
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
        let hop = |(number, took): (&u64, &f64)| Some((took - live.plain.get(number)?.e2e) / 2.0);
        Ok(Both {
            strategy,
            simulated: set,
            live: client,
            hops: Sorted::new(journeys.iter().filter_map(hop).collect()),
        })
    }

    /// Fits the scenario's network to its first strategy as fast as time is, and stores it.
    fn fit_network(&self, candidates: Vec<Candidate>, source: &Source) -> Result<(), Failure> {
        let progress = Arc::new(Progress::default());
        stop::watch(Arc::clone(&progress), Held::default())?;
        let none = || Failure::wrong("the scenario names no strategy, so there is nothing to play");
        let mut candidate = candidates.into_iter().next().ok_or_else(none)?;
        admit(&mut candidate.policy, &self.guests);
        let strategy = self.prepared(&candidate)?;
        let waiting = term::Waiting::new("playing");
        let both = self.both(&candidate, &strategy, 1.0, &progress, |_| {});
        let both = both.map_err(|error| Failure::failed(format!("strategy `{}`: {error}", candidate.strategy)))?;
        drop(waiting);
        let added = &both.strategy.comparison.added.e2e;
        if added.len() < LEAST_FITTED {
            return Err(Failure::failed(format!(
                "only {} requests were answered at once on both sides, too few to fit a network to\n  = help: a longer run, with \
                 --duration",
                added.len()
            )));
        }
        // A timer that rings late delays one side and not the other; what is below nothing is noise.
        let positive: Vec<f64> = added.values().iter().copied().filter(|added| 0.0 < *added).collect();
        let overhead =
            fit(&positive, &[]).ok_or_else(|| Failure::failed("the gateway adds nothing that can be measured"))?;
        let hop = both.hops.quantile(0.5).unwrap_or(0.0).max(0.0);
        let micros = |seconds: f64| format!("\"{:.0}us\"", seconds * 1e6);
        let median = micros(overhead.median());
        let entries = [
            ("client_to_gateway", micros(hop)),
            (
                "gateway_overhead",
                format!(
                    "{{ distribution = \"lognormal\", median = {median}, sigma = {:.3} }}",
                    overhead.sigma
                ),
            ),
        ];
        let text = rewritten(&source.text, &entries);
        let table = table(&entries);
        let stored = self.store(source, &text)?;
        term::tell(&format!(
            "{} requests, answered at once on both sides; the median is off by {} and 99 % by {}; {stored}",
            added.len(),
            seconds(added.quantile(0.5).unwrap_or(0.0) - overhead.median()),
            seconds(added.quantile(0.99).unwrap_or(0.0) - overhead.median() * (2.326 * overhead.sigma).exp()),
        ));
        term::print(&format!("[network]\n{table}"))
    }

    /// Puts `text` in the place of the scenario's file; says what was done.
    fn store(&self, source: &Source, text: &str) -> Result<&'static str, Failure> {
        let path = Path::new(&self.args.scenario);
        if !path.is_file() {
            return Ok("a shipped scenario stays as it is: copy it first, with `tollgate new`, and calibrate the copy");
        }
        let read = files::read_scenario(&source.with_text(text));
        let is_there = read.is_ok_and(|read| read.network.gateway_overhead.as_constant().is_none());
        if !is_there {
            return Ok(
                "the file writes its network in a way that is not understood, and stays as it is: put this in by hand",
            );
        }
        let unwritable =
            |error: &dyn std::fmt::Display| Failure::failed(format!("`{}` cannot be written: {error}", path.display()));
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(|error| unwritable(&error))?;
        std::io::Write::write_all(&mut beside, text.as_bytes()).map_err(|error| unwritable(&error))?;
        let mode = std::fs::metadata(path)
            .map_err(|error| unwritable(&error))?
            .permissions();
        beside
            .as_file()
            .set_permissions(mode)
            .map_err(|error| unwritable(&error))?;
        beside.persist(path).map_err(|error| unwritable(&error.error))?;
        Ok("the file says so now")
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
