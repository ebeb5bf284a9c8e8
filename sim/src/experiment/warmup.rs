//! Where a stationary run has forgotten its empty beginning: MSER-5.
//!
//! The series of E2E is cut into batches of five; of all truncations in the first half, the one is taken whose
//! remainder has the smallest estimated error of its mean (White, Cobb and Spratt, *A comparison of five steady-state
//! truncation heuristics for simulation*, WSC 2000). Batches double when there are too many to keep.

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::{Instant, Nanos};

use crate::engine::{Engine, Plan};
use crate::record::Observer;
use crate::workload::Call;

/// The warm-up of `plan`, from one run of it.
pub(super) fn find(plan: &Plan) -> Nanos {
    let record = Engine::new(plan, 0, Batches::new()).run(|_| true);
    record.map_or(Nanos::ZERO, |record| record.observer.truncation())
}

/// Batch means of E2E, and when each batch began.
struct Batches {
    done: Vec<(Instant, f64)>,
    size: u32,
    sum: f64,
    n: u32,
    since: Instant,
}

/// Most batches that are kept.
const MOST: usize = 1 << 14;

impl Batches {
    fn new() -> Batches {
        Batches {
            done: Vec::new(),
            size: 5,
            sum: 0.0,
            n: 0,
            since: Instant::EPOCH,
        }
    }

    fn add(&mut self, at: Instant, value: f64) {
        if self.n == 0 {
            self.since = at;
        }
        self.sum += value;
        self.n += 1;
        if self.n < self.size {
            return;
        }
        self.done.push((self.since, self.sum / f64::from(self.size)));
        self.sum = 0.0;
        self.n = 0;
        if self.done.len() == MOST {
            self.size *= 2;
            self.done = self
                .done
                .chunks(2)
                .map(|pair| (pair[0].0, pair.iter().map(|batch| batch.1).sum::<f64>() / 2.0))
                .collect();
        }
    }

    /// When the batch begins from which on the mean is known best.
    fn truncation(&self) -> Nanos {
        let mut best = (f64::INFINITY, Instant::EPOCH);
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (at, (since, value)) in self.done.iter().enumerate().rev() {
            n += 1.0;
            sum += value;
            squares += value * value;
            let error = (squares - sum * sum / n) / (n * n);
            if at <= self.done.len() / 2 && error <= best.0 {
                best = (error, *since);
            }
        }
        best.1.since(Instant::EPOCH)
    }
}

impl Observer for Batches {
    fn finished(&mut self, _call: &Call, outcome: &Outcome, _in_system: u32) {
        if outcome.end == End::Completed {
            self.add(outcome.arrived, outcome.e2e().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series that decays from 10 to 1 within 200 seconds and wobbles a little.
    #[test]
    fn the_transient_is_cut_off() {
        let mut batches = Batches::new();
        for second in 0..5_000_u32 {
            let level = if second < 200 {
                10.0 - 9.0 * f64::from(second) / 200.0
            } else {
                1.0
            };
            let wobble = if second % 2 == 0 { 0.1 } else { -0.1 };
            batches.add(Instant::from_secs(second.into()), level + wobble);
        }
        let cut = batches.truncation().as_secs_f64();
        assert!((150.0..400.0).contains(&cut), "{cut}");
    }

    #[test]
    fn batches_are_bounded() {
        let mut batches = Batches::new();
        for at in 0..1_000_000 {
            batches.add(Instant::from_nanos(at), 1.0);
        }
        assert!(batches.done.len() < MOST);
    }
}
