//! The rich kernel, by hand and through the whole lifecycle, in nanoseconds a request.
//!
//! Before anything is timed the answers are compared: times of two models say nothing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

use tollgate_bench::draws::{Keyed, Sequential};
use tollgate_bench::floor::{self, Answers};
use tollgate_bench::model;
use tollgate_sim::engine::Engine;
use tollgate_sim::record::{Quiet, Record};

const SEED: u64 = 7;

fn simulate(requests: u64) -> Record<Quiet> {
    let plan = model::plan(SEED, requests);
    Engine::new(&plan, 0, Quiet).run(|_| true).expect("nobody stops it")
}

/// Both are the same model: the same share refused to so much, and the same mean latency to such a share of it.
#[expect(clippy::cast_precision_loss, reason = "shares and means, read to four digits")]
fn compare(by_hand: &Answers, simulated: &Record<Quiet>, to: f64, to_share: f64) {
    let refused = simulated.counts.refused[0] as f64 / simulated.counts.offered as f64;
    let by_hand_refused = by_hand.refused_share();
    assert!(
        (by_hand_refused - refused).abs() < to,
        "{by_hand_refused} and {refused}"
    );
    let mean = simulated.latencies.e2e.mean().expect("some are answered");
    let by_hand_mean = by_hand.mean();
    assert!(
        (by_hand_mean / mean - 1.0).abs() < to_share,
        "{by_hand_mean} and {mean}"
    );
}

fn kernel(criterion: &mut Criterion) {
    const CHECKED: u64 = 1_000_000;
    const TIMED: u64 = 100_000;
    let simulated = simulate(CHECKED);
    compare(&floor::run::<Sequential>(SEED, CHECKED), &simulated, 1e-3, 0.01);
    compare(&floor::run::<Keyed>(SEED, CHECKED), &simulated, 1e-5, 0.001);

    let mut group = criterion.benchmark_group("kernel");
    group.throughput(Throughput::Elements(TIMED));
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("floor", |bencher| {
        bencher.iter(|| floor::run::<Sequential>(black_box(SEED), TIMED).total);
    });
    group.bench_function("floor with the simulator's dice", |bencher| {
        bencher.iter(|| floor::run::<Keyed>(black_box(SEED), TIMED).total);
    });
    group.bench_function("whole lifecycle", |bencher| {
        bencher.iter(|| simulate(black_box(TIMED)).little.stays);
    });
    group.finish();
}

criterion_group!(benches, kernel);
criterion_main!(benches);
