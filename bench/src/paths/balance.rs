//! Picks, of eight endpoints.

use std::hint::black_box;
use std::num::NonZeroU32;

use tollgate_core::balance::{Balancer, Least, P2c, PlainPool, Random, RoundRobin};
use tollgate_core::balance::{WeightedP2c, WeightedRandom, WeightedRoundRobin};
use tollgate_core::dice::Rng;
use tollgate_core::load::{Estimate, PeakEwma};
use tollgate_core::policy::Ties;
use tollgate_core::time::{Instant, Nanos};

use super::Path;

pub(super) fn paths() -> Vec<Path> {
    let two = NonZeroU32::new(2).expect("not zero");
    vec![
        pick("P2C", P2c::new(two)),
        pick("weighted P2C", WeightedP2c::new(two)),
        pick("least", Least::new(Ties::Random)),
        pick("round robin", RoundRobin),
        pick("weighted round robin", WeightedRoundRobin),
        pick("random", Random),
        pick("weighted random", WeightedRandom),
        peak_ewma(),
    ]
}

fn pick(name: &str, balancer: impl Balancer + 'static) -> Path {
    let pool = PlainPool::new(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]);
    let pool = pool.with_weights(&[1_000, 2_000, 1_000, 3_000, 1_000, 1_000, 2_000, 1_000]);
    let mut rng = Rng::new(7);
    Path::new(format!("{name}, of 8"), move |rounds| {
        let (balancer, pool) = (black_box(&balancer), black_box(&pool));
        for _ in 0..rounds {
            assert!(black_box(balancer.pick(pool, &mut rng)).is_some());
        }
    })
}

/// The load estimate that most pools are balanced by: one answer, and one look.
fn peak_ewma() -> Path {
    let (law, mut estimate) = (PeakEwma::new(Nanos::from_secs(10)), Estimate::default());
    let mut now = Instant::EPOCH;
    Path::new("peak EWMA, an answer and a look", move |rounds| {
        let (law, estimate) = (black_box(&law), black_box(&mut estimate));
        for _ in 0..rounds {
            now += Nanos::from_millis(1);
            law.observe(estimate, now, Nanos::from_millis(60));
            assert!(0.0 < black_box(law.load(estimate, 3, now)));
        }
    })
}
