//! A decision about one key: on one thread, and on two that ask about the same. Time is passed in, but to those that
//! read a clock by default.
//!
//! The floor is the algorithm on a plain cell, written by hand; what sharing costs anybody is one compare-exchange.

use std::cell::Cell;
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos as PeerNanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as PeerQuota, RateLimiter};
use tollgate_bench::threads::together;
use tollgate_core::limit::{
    FixedWindow, Gcra, LeakyBucket, Limiter, Permits, SegmentedWindow, SlidingLog, SlidingWindow, Taken, Tat,
    TokenBucket,
};
use tollgate_core::memory::{LocalWord, SharedWord, Slot};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};

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
        bencher.iter(|| compare_exchange(black_box(&word)))
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
    let peer = peer_on_fake_clock();
    group.bench_function("governor, time passed in", |bencher| {
        bencher.iter(|| black_box(&peer).check().is_ok())
    });
    let peer = RateLimiter::direct(peer_quota(1_000_000));
    group.bench_function("governor, its clock", |bencher| {
        bencher.iter(|| black_box(&peer).check().is_ok())
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
    let peer = peer_on_fake_clock();
    on_two("governor, time passed in", &|_, _| peer.check().is_ok());
    let peer = RateLimiter::direct(peer_quota(1_000_000));
    on_two("governor, its clock", &|_, _| peer.check().is_ok());
    group.finish();
}

/// Every algorithm on a plain state: a take that is allowed.
fn algorithms(criterion: &mut Criterion) {
    /// So few a second that a log is short.
    const AMOUNT: u64 = 64;
    let mut group = group(criterion, "algorithms");
    let quota = Quota {
        amount: NonZeroU64::new(AMOUNT).expect("not zero"),
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(AMOUNT).expect("not zero"),
    };
    bench_law(&mut group, "gcra", &Gcra::new(quota, Nanos::ZERO));
    bench_law(&mut group, "token bucket", &TokenBucket::new(quota, Nanos::ZERO));
    bench_law(&mut group, "leaky bucket", &LeakyBucket::meter(quota));
    bench_law(&mut group, "fixed window", &FixedWindow::new(quota));
    let six = NonZeroU32::new(6).expect("not zero");
    bench_law(&mut group, "segmented window of 6", &SegmentedWindow::new(quota, six));
    bench_law(&mut group, "sliding window", &SlidingWindow::new(quota));
    bench_law(&mut group, "sliding log of 64", &SlidingLog::new(quota));
    let (permits, mut in_flight) = (Permits::new(six), <Permits as Limiter>::State::default());
    group.bench_function("permit, taken and given back", |bencher| {
        bencher.iter(|| {
            let at = Instant::EPOCH;
            let allowed = permits.take(black_box(&mut in_flight), at, 1).is_allowed();
            permits.settle(black_box(&mut in_flight), at, Taken { cost: 1, at }, 0);
            allowed
        });
    });
    group.finish();
}

fn bench_law<L: Limiter>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, law: &L) {
    let (mut state, mut now) = (L::State::default(), Instant::EPOCH);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            now += Nanos::from_millis(16);
            law.take(black_box(&mut state), now, 1).is_allowed()
        });
    });
    assert!(
        law.peek(&state, now + Nanos::from_secs(2), 1).is_allowed(),
        "it still allows"
    );
}

criterion_group!(benches, one_thread, two_threads, algorithms);
criterion_main!(benches);
