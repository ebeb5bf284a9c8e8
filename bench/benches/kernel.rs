//! The rich kernel, by hand and through the whole lifecycle, and queues through the same; in nanoseconds a request.
//!
//! Before anything is timed the answers are compared: times of two models say nothing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::num::NonZeroU32;
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

/// M/M/1 and M/M/8 with a histogram, through the same lifecycle: nothing is left out because nobody asked for it.
fn queues(criterion: &mut Criterion) {
    const TIMED: u64 = 100_000;
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(TIMED));
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for (servers, stay) in [(1, 0.300), (8, 0.077_16)] {
        let servers = NonZeroU32::new(servers).expect("not zero");
        let simulate = |requests: u64| {
            let plan = model::station(black_box(SEED), servers, requests);
            let record = Engine::new(&plan, 0, Quiet).run(|_| true).expect("nobody stops it");
            record.latencies.e2e.mean().expect("some are answered")
        };
        // By Erlang's formula, to four standard errors of a million customers of one server.
        let mean = simulate(1_000_000);
        assert!((mean / stay - 1.0).abs() < 0.05, "{mean} and {stay}");
        group.bench_function(format!("M/M/{servers}"), |bencher| bencher.iter(|| simulate(TIMED)));
    }
    group.finish();
}

criterion_group!(benches, kernel, queues);
criterion_main!(benches);
