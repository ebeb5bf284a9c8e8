//! A decision about one key: on one thread, and on two that ask about the same. Time is passed in, but to those that
//! read a clock by default.
//!
//! The floor is the algorithm on a plain cell, written by hand; what sharing costs anybody is one compare-exchange.

use std::cell::Cell;
use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos as PeerNanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as PeerQuota, RateLimiter};
use tollgate_bench::model;
use tollgate_bench::threads::together;
use tollgate_core::gate::{Limits, Reach, Used};
use tollgate_core::id::{KeyHash, Lane, LimitId};
use tollgate_core::limit::{Gcra, Limiter, Tat};
use tollgate_core::memory::{Guarded, LocalWord, Shared, SharedBlock, SharedWord, Slot};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Policy, Quota, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Estimate;

/// Between two decisions: more than a unit is worth, so that all are allowed.
const GAP: Nanos = Nanos::from_nanos(10);

/// A billion a second, one each nanosecond; and as many at once as a thread may be ahead of another.
fn quota() -> Quota {
    Quota {
        amount: NonZeroU64::new(1_000_000_000).expect("not zero"),
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(1 << 40).expect("not zero"),
    }
}

/// The same of governor, with a burst that a clock that stands still does not use up.
fn peer_quota(burst: u32) -> PeerQuota {
    let burst = NonZeroU32::new(burst).expect("not zero");
    PeerQuota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero")).allow_burst(burst)
}

fn peer_on_fake_clock() -> RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<PeerNanos>> {
    RateLimiter::direct_with_clock(peer_quota(u32::MAX), FakeRelativeClock::default())
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group
}

/// GCRA as anybody would write it for whole nanoseconds a unit.
#[inline]
fn by_hand(tat: &Cell<u64>, now: u64, period: u64, tolerance: u64) -> bool {
    let next = tat.get().max(now) + period;
    if now + tolerance < next {
        return false;
    }
    tat.set(next);
    true
}

/// One compare-exchange, as a loop that succeeds at once unless another thread was faster.
#[inline]
fn compare_exchange(word: &AtomicU64) -> u64 {
    let mut old = word.load(Ordering::Acquire);
    loop {
        match word.compare_exchange_weak(old, old + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(old) => return old,
            Err(other) => old = other,
        }
    }
}

fn one_thread(criterion: &mut Criterion) {
    let mut group = group(criterion, "gcra, one key");
    let gcra = Gcra::new(quota(), Nanos::ZERO);

    let (cell, mut now) = (Cell::new(0), 0);
    group.bench_function("plain cell, by hand", |bencher| {
        bencher.iter(|| {
            now += GAP.as_nanos();
            by_hand(black_box(&cell), now, black_box(1), black_box(1 << 40))
        });
    });
    let (word, mut now) = (LocalWord::new(Tat::default()), Instant::EPOCH);
    group.bench_function("Local", |bencher| {
        bencher.iter(|| {
            now += GAP;
            black_box(&word)
                .update(|tat| black_box(&gcra).take(tat, now, 1))
                .is_allowed()
        });
    });
    let word = AtomicU64::new(0);
    group.bench_function("one compare-exchange", |bencher| {
        bencher.iter(|| compare_exchange(black_box(&word)));
    });
    let (word, mut now) = (SharedWord::new(Tat::default()), Instant::EPOCH);
    group.bench_function("Shared", |bencher| {
        bencher.iter(|| {
            now += GAP;
            black_box(&word)
                .update(|tat| black_box(&gcra).take(tat, now, 1))
                .is_allowed()
        });
    });
    let block = SharedBlock::new(0_u64);
    group.bench_function("a block of Shared, used", |bencher| {
        bencher.iter(|| black_box(&block).with(|count| *count += 1));
    });
    let peer = peer_on_fake_clock();
    group.bench_function("governor, time passed in", |bencher| {
        bencher.iter(|| black_box(&peer).check().is_ok());
    });
    let peer = RateLimiter::direct(peer_quota(1_000_000));
    group.bench_function("governor, its clock", |bencher| {
        bencher.iter(|| black_box(&peer).check().is_ok());
    });
    group.finish();
}

/// Nanoseconds a decision of each of two threads.
fn two_threads(criterion: &mut Criterion) {
    let mut group = group(criterion, "gcra, one key, two threads");
    let start = Cell::new(Instant::EPOCH);
    let mut on_two = |name: &str, decide: &(dyn Fn(usize, Instant) -> bool + Sync)| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let began = start.get();
                start.set(began + GAP * iterations);
                together(2, |number| {
                    let mut now = began;
                    for _ in 0..iterations {
                        now += GAP;
                        assert!(decide(number, now));
                    }
                })
            });
        });
    };
    let word = AtomicU64::new(0);
    on_two("one compare-exchange", &|_, _| compare_exchange(&word) != u64::MAX);
    let (gcra, word) = (Gcra::new(quota(), Nanos::ZERO), SharedWord::new(Tat::default()));
    on_two("Shared", &|_, now| {
        word.update(|tat| gcra.take(tat, now, 1)).is_allowed()
    });
    let block = SharedBlock::new(0_u64);
    on_two("a block of Shared, used", &|_, _| {
        block.with(|count| {
            *count += 1;
            *count != 0
        })
    });
    let peer = peer_on_fake_clock();
    on_two("governor, time passed in", &|_, _| peer.check().is_ok());
    let peer = RateLimiter::direct(peer_quota(u32::MAX));
    on_two("governor, its clock", &|_, _| peer.check().is_ok());
    let peer = RateLimiter::keyed(peer_quota(u32::MAX));
    on_two("governor, keyed, its clock", &|_, _| peer.check_key(&7_u64).is_ok());

    for (name, store) in [
        ("a gateway's limit", Store::Local),
        ("the same, lease of 32", leases_of(32)),
    ] {
        let limits = limits(store);
        on_two(name, &|number, now| {
            let class = in_lane(number);
            limits.take_all(&class, Reach::Local, Estimate::default(), now).is_ok()
        });
        on_two(&format!("{name}, settled as well"), &|number, now| {
            let (class, estimate) = (in_lane(number), Estimate::default());
            let granted = limits.take_all(&class, Reach::Local, estimate, now);
            let settle = |granted| limits.settle_all(&class, granted, estimate, Used::default(), now);
            granted.map(settle).is_ok()
        });
    }
    group.finish();
}

fn leases_of(most: u32) -> Store {
    Store::Leased {
        most: NonZeroU32::new(most).expect("not zero"),
    }
}

/// The one limit of a gateway of two threads: by key, and counted as reserved until it is settled.
fn limits(store: Store) -> Limits<Shared> {
    let policy = model::policy();
    let limit = Limit {
        algorithm: Algorithm::Gcra(quota()),
        store,
        ..policy.limits[0].clone()
    };
    let policy = Policy {
        limits: vec![limit],
        ..policy
    };
    Limits::with_lanes(&policy, NonZeroU16::new(2).expect("not zero"))
}

/// A request of the one key, in the lane of the thread of this number.
#[inline]
fn in_lane(number: usize) -> Class {
    let mut charges = Charges::default();
    charges.lane = Lane(u16::from(number != 0));
    charges.push(LimitId(0), KeyHash(7));
    Class {
        charges,
        ..Class::default()
    }
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
