//! Running every strategy and replication, on as many threads as there are.
//!
//! Each run is single-threaded and depends on nothing but its plan and its number, so the number of threads changes
//! when things are done and never what comes out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::engine::{Engine, Plan};
use crate::record::{Quiet, Record};

/// What is compared: a policy, under a name, on the scenario.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// Its name.
    pub name: String,
    /// It, on the scenario.
    pub plan: Plan,
}

/// The replications of one strategy.
#[derive(Debug)]
pub struct Replicated {
    /// Its name.
    pub name: String,
    /// What each left behind, in order.
    pub records: Vec<Record<Quiet>>,
}

/// Every strategy, with equally many replications.
#[derive(Debug)]
pub struct Comparison {
    /// One entry a strategy, in order.
    pub strategies: Vec<Replicated>,
    /// Replications asked for.
    pub wanted: u32,
}

impl Comparison {
    /// Replications that were completed for every strategy.
    #[must_use]
    pub fn replications(&self) -> usize {
        self.strategies.first().map_or(0, |strategy| strategy.records.len())
    }

    /// Whether no request of any strategy began after the warm-up, so that every figure is undefined.
    #[must_use]
    pub fn is_uncounted(&self) -> bool {
        let mut records = self.strategies.iter().flat_map(|strategy| &strategy.records);
        records.all(|record| record.counts.offered == 0)
    }

    /// Requests simulated.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let records = self.strategies.iter().flat_map(|strategy| &strategy.records);
        records.map(|record| record.begun).sum()
    }
}

/// How far a comparison is; shared with whoever shows it, and with whoever stops it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests begun.
    pub requests: AtomicU64,
    /// Runs completed.
    pub runs: AtomicUsize,
    /// Set to stop: runs in progress are given up, those complete are kept.
    pub stop: AtomicBool,
}

/// Runs `replications` of every strategy on `threads` threads.
///
/// If it is stopped, the replications that are complete for every strategy are kept.
///
/// # Panics
///
/// If a run panics.
#[must_use]
pub fn compare(strategies: &[Strategy], replications: u32, threads: usize, progress: &Progress) -> Comparison {
    let n = strategies.len();
    let jobs = n * replications as usize;
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Record<Quiet>>>> = (0..jobs).map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            // By replication, then by strategy: what is complete when it is stopped can be compared.
            let job = next.fetch_add(1, Ordering::Relaxed);
            if jobs <= job || progress.stop.load(Ordering::Relaxed) {
                return;
            }
            let record = run_one(&strategies[job % n].plan, (job / n) as u64, progress);
            *done[job].lock().expect("nobody panics while storing a record") = record;
            progress.runs.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, jobs.max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let records = done
        .into_iter()
        .map(|slot| slot.into_inner().expect("nobody panics while storing a record"));
    collect(strategies, replications, records)
}

fn run_one(plan: &Plan, number: u64, progress: &Progress) -> Option<Record<Quiet>> {
    let mut told = 0;
    Engine::new(plan, number, Quiet).run(|begun| {
        progress.requests.fetch_add(begun - told, Ordering::Relaxed);
        told = begun;
        !progress.stop.load(Ordering::Relaxed)
    })
}

/// Keeps the replications that every strategy has.
fn collect(strategies: &[Strategy], wanted: u32, records: impl Iterator<Item = Option<Record<Quiet>>>) -> Comparison {
    let mut comparison = Comparison {
        strategies: strategies
            .iter()
            .map(|strategy| Replicated {
                name: strategy.name.clone(),
                records: Vec::new(),
            })
            .collect(),
        wanted,
    };
    let mut row = Vec::with_capacity(strategies.len());
    for record in records {
        row.push(record);
        if row.len() < strategies.len() {
            continue;
        }
        if row.iter().any(Option::is_none) {
            break;
        }
        for (strategy, record) in comparison.strategies.iter_mut().zip(row.drain(..)) {
            strategy.records.extend(record);
        }
    }
    comparison
}
