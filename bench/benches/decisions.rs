//! The parts of the kernel, each alone: an event, a pick. Limiters have `limiters.rs` and `keys.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate_core::balance::{Balancer, P2c, PlainPool};
use tollgate_core::dice::Rng;
use tollgate_core::time::{Instant, Nanos};
use tollgate_sim::engine::Events;

/// The hold model: as many events pending as ever, each taken out and put in again later.
fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for pending in [128_u32, 10_000, 1_000_000] {
        let mut rng = Rng::new(7);
        let mut heap = BinaryHeap::new();
        for number in 0..pending {
            heap.push(Reverse(u128::from(rng.below(1 << 30)) << 64 | u128::from(number)));
        }
        group.bench_function(BenchmarkId::new("std heap of u128", pending), |bencher| {
            bencher.iter(|| {
                let Reverse(key) = heap.pop().expect("it is never empty");
                heap.push(Reverse(key + (u128::from(rng.below(1 << 30)) << 64)));
            });
        });
        let mut list = Events::new(0);
        for number in 0..pending {
            list.push(Instant::from_nanos(rng.below(1 << 30)), number);
        }
        group.bench_function(BenchmarkId::new("event list", pending), |bencher| {
            bencher.iter(|| {
                let (at, number) = list.pop().expect("it is never empty");
                list.push(at + Nanos::from_nanos(rng.below(1 << 30)), number);
            });
        });
        let mut lane = Events::new(1);
        for number in 0..pending {
            lane.push_lane(0, Instant::from_nanos(u64::from(number)), number);
        }
        group.bench_function(BenchmarkId::new("lane", pending), |bencher| {
            bencher.iter(|| {
                let (at, number) = lane.pop().expect("it is never empty");
                lane.push_lane(0, at + Nanos::from_nanos(u64::from(pending)), number);
            });
        });
    }
    group.finish();
}

fn picks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    let loads = PlainPool::new(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]);
    let mut rng = Rng::new(7);
    group.bench_function("P2C of 8", |bencher| {
        bencher.iter(|| P2c::default().pick(black_box(&loads), &mut rng));
    });
    group.finish();
}

criterion_group!(benches, events, picks);
criterion_main!(benches);
