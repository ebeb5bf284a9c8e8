//! Every balancer side by side: latency, imbalance, herds, and how fast traffic leaves an endpoint that fails and comes
//! back to it.
//!
//! Each world is a policy and a scenario as a user would write them, run by the simulator: the same requests, lengths and
//! service times for every balancer, through the whole life of a request.
//!
//! ```
//! use tollgate_bench::balancers::{Options, lineup};
//!
//! let options = Options { minutes: 3, threads: 1, ..Options::default() };
//! let lineup = lineup(&options, &|| ());
//! let alike = &lineup.tables[0];
//! assert_eq!(alike.key, "alike");
//! assert!(alike.rows.iter().any(|row| row.name == "p2c"));
//! ```

mod contender;
mod present;
mod watch;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_reports::lineup::Lineup;

pub use contender::{Contender, all};
pub use watch::Findings;
pub use world::World;

/// Under what circumstances balancers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The root of all chance.
    pub seed: u64,
    /// Virtual minutes of each world, at least three: one before, one of, and one after the fault.
    pub minutes: u32,
    /// Runs at once; what is measured does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    /// Ten minutes of each world, on all cores.
    fn default() -> Options {
        Options {
            seed: 1,
            minutes: 10,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Compares every balancer in every world; `done` is called after each run.
///
/// # Panics
///
/// If a run panics, which would be a bug.
#[must_use]
pub fn lineup(options: &Options, done: &(dyn Fn() + Sync)) -> Lineup {
    let (contenders, worlds) = (all(), World::all());
    let runs = contenders.len() * worlds.len();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Findings::default(); runs]);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, runs) {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if runs <= run {
                        return;
                    }
                    let (world, contender) = (&worlds[run / contenders.len()], &contenders[run % contenders.len()]);
                    let findings = world.run(contender, options);
                    found.lock().expect("no thread has panicked")[run] = findings;
                    done();
                }
            });
        }
    });
    let found = found.into_inner().expect("no thread has panicked");
    let findings: Vec<&[Findings]> = found.chunks(contenders.len()).collect();
    present::lineup(options, &contenders, &worlds, &findings)
}

/// How many runs a comparison takes.
#[must_use]
pub fn runs() -> usize {
    all().len() * World::all().len()
}
