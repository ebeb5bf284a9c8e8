//! The parts of the kernel, each alone: an event, a limiter's decision, a pick.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate_bench::model;
use tollgate_core::balance::{Balancer, P2c, PlainPool};
use tollgate_core::dice::Rng;
use tollgate_core::id::KeyHash;
use tollgate_core::limit::{Gcra, Limiter, Tat};
use tollgate_core::memory::{Keyed, LocalTable};
use tollgate_core::policy::Quota;
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

/// One decision on one cell, and on one of a million keys.
fn limits(criterion: &mut Criterion) {
    const KEYS: u32 = 1_000_000;
    let mut group = criterion.benchmark_group("gcra");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    let quota: Quota = model::quota();
    let gcra = Gcra::new(quota, Nanos::ZERO);
    let (mut tat, mut now) = (Tat::default(), Instant::EPOCH);
    group.bench_function("plain cell", |bencher| {
        bencher.iter(|| {
            now += Nanos::from_nanos(600_000);
            gcra.take(black_box(&mut tat), now, 1).is_allowed()
        });
    });

    let table = LocalTable::<Tat>::new(NonZeroU32::new(2 * KEYS).expect("not zero"));
    let mut take = |key: u64| {
        now += Nanos::from_nanos(1);
        let idle = |state: &Tat| gcra.is_idle(state, now);
        table
            .update(KeyHash(key + 1), idle, |state| gcra.take(state, now, 1))
            .0
            .is_allowed()
    };
    for key in 0..u64::from(KEYS) {
        take(key);
    }
    let mut rng = Rng::new(7);
    group.bench_function("a million keys, uniform", |bencher| {
        bencher.iter(|| take(rng.below(u64::from(KEYS))));
    });
    // A key's share falls as its rank: the rank is the number of keys to the power of a uniform draw.
    let zipf = |rng: &mut Rng| Nanos::from_secs_f64(f64::from(KEYS).powf(rng.uniform()) * 1e-9).as_nanos() - 1;
    let keys: Vec<u64> = (0..1 << 16).map(|_| zipf(&mut rng)).collect();
    let mut at = 0;
    group.bench_function("a million keys, Zipf", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            take(keys[at])
        });
    });
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

criterion_group!(benches, events, limits, picks);
criterion_main!(benches);
