//! The simulator against queueing theory: `theory.json`, case by case, through policy and scenario files and the whole
//! lifecycle.
//!
//! A case names a model, its numbers, a metric and what it must be. [`models`] writes the policy and the scenario of
//! the model as text; cases of one model share its run. A miss is run again on three further seeds, all of which must
//! pass: a tolerance of four standard deviations is missed once in sixteen thousand times.
//!
//! What was measured is written down in `docs/validation.md`, and compared with it: see [`page`], which also says
//! what is left out and why.
//!
//! Simulations of more than three million requests run where `TOLLGATE_FULL` is set, as in `.ci/full`.
//!
//! `THEORY_ONLY=mm1` runs the cases with that in their name, `THEORY_SEED=9` starts at another seed, and `--nocapture`
//! prints the table.

mod alone;
mod case;
mod laws;
mod models;
mod overload;
mod page;
mod readings;
mod setup;
#[path = "../../../tests/skip/mod.rs"]
mod skip;
mod storms;
mod watch;

use std::sync::Mutex;

use case::{Case, Measured, cases};
use setup::{ENDLESS, Setup};

/// One simulation and what is read from it.
struct Group {
    setup: Setup,
    /// Which way of building the model it is, and the case.
    readings: Vec<(&'static str, Case)>,
}

#[test]
fn every_case_holds() {
    let only = std::env::var("THEORY_ONLY").unwrap_or_default();
    let all = cases();
    let wanted = |case: &&Case| case.id.contains(&only) && page::left_out(case).is_none() && !alone::is_skipped(case);
    let cases: Vec<Case> = all.iter().filter(wanted).cloned().collect();
    let mut measured: Vec<Measured> = cases.iter().filter_map(measure_alone).collect();
    let (mut groups, is_whole) = group(&cases);
    groups.sort_by_key(|group| group.setup.requests);
    let work = Mutex::new(groups);
    let table = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // The longest first, so that no thread is left with one of them at the end.
                    let Some(group) = work.lock().expect("no thread has panicked").pop() else {
                        return;
                    };
                    let measured = judge(&group);
                    table.lock().expect("no thread has panicked").extend(measured);
                }
            });
        }
    });
    let mut table = table.into_inner().expect("no thread has panicked");
    table.append(&mut measured);
    table.sort_by(|one, other| (&one.id, one.way).cmp(&(&other.id, other.way)));
    print(&table);
    for case in cases.iter().filter(|_| is_whole) {
        assert!(
            table.iter().any(|row| row.id == case.id),
            "{} is not simulated",
            case.id
        );
    }
    let missed: Vec<&Measured> = table.iter().filter(|row| !row.holds).collect();
    assert!(missed.is_empty(), "outside their tolerance: {missed:#?}");
    if std::env::var_os("THEORY_SEED").is_none() {
        let n_wanted = all.iter().filter(|case| page::left_out(case).is_none()).count();
        page::check(&all, &table, is_whole && cases.len() == n_wanted);
    }
}

/// A case that is not the metric of one simulation.
fn measure_alone(case: &Case) -> Option<Measured> {
    let began = std::time::Instant::now();
    let (way, measure) = alone::way(case)?;
    let reading = measure(case);
    Some(Measured::new(case, way, reading, began.elapsed()))
}

/// Simulations shared by the cases that need the same, and whether these are all: the longest may be left for another time.
fn group(cases: &[Case]) -> (Vec<Group>, bool) {
    /// The most requests of a simulation that runs at every change.
    const SHORT: u64 = 3_000_000;
    let is_full = std::env::var_os("TOLLGATE_FULL").is_some();
    let mut is_whole = true;
    let mut groups: Vec<Group> = Vec::new();
    for case in cases.iter().filter(|case| alone::way(case).is_none()) {
        for (way, setup) in models::setups(case) {
            if SHORT < setup.requests && setup.requests < ENDLESS && !is_full {
                is_whole = false;
                continue;
            }
            let readings = (way, case.clone());
            match groups.iter_mut().find(|group| group.setup == setup) {
                Some(group) => group.readings.push(readings),
                None => groups.push(Group {
                    setup,
                    readings: vec![readings],
                }),
            }
        }
    }
    (groups, is_whole)
}

/// Runs a group, and what misses on three further seeds.
fn judge(group: &Group) -> Vec<Measured> {
    let first = std::env::var("THEORY_SEED").map_or(1, |seed| seed.parse().expect("a whole number"));
    let began = std::time::Instant::now();
    let run = group.setup.run(first);
    let length = began.elapsed() / u32::try_from(group.readings.len()).expect("a few readings");
    let mut rows: Vec<Measured> = group
        .readings
        .iter()
        .map(|(way, case)| Measured::new(case, way, readings::measure(case, way, &run), length))
        .collect();
    if rows.iter().any(|row| !row.holds && row.may_miss) {
        let again: Vec<_> = (first + 1..first + 4).map(|seed| group.setup.run(seed)).collect();
        for (row, (way, case)) in rows.iter_mut().zip(&group.readings) {
            if !row.holds && row.may_miss {
                let others = again
                    .iter()
                    .map(|run| Measured::new(case, way, readings::measure(case, way, run), length));
                row.rerun(&others.collect::<Vec<_>>());
            }
        }
    }
    rows
}

#[expect(clippy::print_stdout, reason = "the table is read with --nocapture")]
fn print(table: &[Measured]) {
    println!(
        "{:<34} {:<8} {:>14} {:>14} {:>9} {:>9} {:>6}",
        "case", "way", "expected", "measured", "error", "tolerance", "s"
    );
    for row in table {
        println!("{row}");
    }
}
