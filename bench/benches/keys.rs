//! A decision about one of a million keys, drawn alike or by Zipf's law, and the memory that a key takes.
//!
//! Time is passed in, but to governor's default, which reads a clock. All are asked about the same keys in the same
//! order, and allow everything.

use std::cell::Cell;
use std::io::{self, Write};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use governor::clock::FakeRelativeClock;
use governor::{Quota as PeerQuota, RateLimiter};
use tollgate_bench::threads::together;
use tollgate_core::dice::Rng;
use tollgate_core::id::KeyHash;
use tollgate_core::limit::{Gcra, Limiter, Tat};
use tollgate_core::memory::{Keyed, Local, Memory, Shared};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};

const KEYS: u32 = 1_000_000;
/// Draws before they repeat: so many that the keys drawn do not fit a cache.
const DRAWS: usize = 1 << 20;
/// Bytes that a key may take, all in.
const MOST_BYTES: u64 = 32;

/// A hundred million a second for each key, and many at once, so that the most asked for is allowed as well.
const AMOUNT: u32 = 100_000_000;
const BURST: u32 = u32::MAX;
/// Between two decisions.
const GAP: Nanos = Nanos::from_nanos(10);

fn gcra() -> Gcra {
    let quota = Quota {
        amount: NonZeroU64::new(u64::from(AMOUNT)).expect("not zero"),
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(u64::from(BURST)).expect("not zero"),
    };
    Gcra::new(quota, Nanos::ZERO)
}

fn peer_quota() -> PeerQuota {
    let burst = NonZeroU32::new(BURST).expect("not zero");
    PeerQuota::per_second(NonZeroU32::new(AMOUNT).expect("not zero")).allow_burst(burst)
}

/// As a gateway names keys: by hashes (splitmix64's).
#[inline]
fn key(number: u32) -> u64 {
    let mixed = (u64::from(number) + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn uniform(rng: &mut Rng) -> u32 {
    number(rng.below(u64::from(KEYS)))
}

/// A key's share falls as its rank: the rank is the number of keys to the power of a uniform draw.
fn zipf(rng: &mut Rng) -> u32 {
    number(Nanos::from_secs_f64(f64::from(KEYS).powf(rng.uniform()) * 1e-9).as_nanos() - 1)
}

fn number(of: u64) -> u32 {
    u32::try_from(of).expect("there are fewer keys")
}

fn table<M: Memory>(gcra: &Gcra) -> M::Table<Tat> {
    let table = M::Table::<Tat>::new(NonZeroU32::new(2 * KEYS).expect("not zero"));
    for number in 0..KEYS {
        assert!(take(&table, gcra, key(number), Instant::EPOCH));
    }
    assert_eq!(table.len(), KEYS as usize);
    table
}

#[inline]
fn take(table: &impl Keyed<Tat>, gcra: &Gcra, key: u64, now: Instant) -> bool {
    let idle = |tat: &Tat| gcra.is_idle(tat, now);
    let (decision, _) = table.update(KeyHash(key), idle, |tat| gcra.take(tat, now, 1));
    decision.is_allowed()
}

/// The least that anybody pays: one slot of as large a table, wherever the key falls, and no look at whose it is.
#[inline]
fn by_hand(slots: &[Cell<(u64, u64)>], key: u64, now: Instant) -> bool {
    let index = (u128::from(key) * slots.len() as u128) >> 64;
    let slot = &slots[usize::try_from(index).expect("less than the whole")];
    let (count, tat) = slot.get();
    let next = tat.max(now.as_nanos()) + 10;
    if now.as_nanos() + (1 << 36) < next {
        return false;
    }
    slot.set((count + 1, next));
    true
}

/// What is asked, again and again; time goes on from one measurement to the next.
struct Draws<'a> {
    numbers: &'a [u32],
    at: usize,
    now: Instant,
}

impl Draws<'_> {
    #[inline]
    fn next(&mut self) -> (u64, Instant) {
        self.at = (self.at + 1) & (DRAWS - 1);
        self.now += GAP;
        (key(self.numbers[self.at]), self.now)
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    group
}

fn keys(criterion: &mut Criterion) {
    let gcra = gcra();
    let mut rng = Rng::new(7);
    let mut draws = |draw: fn(&mut Rng) -> u32| (0..DRAWS).map(|_| draw(&mut rng)).collect::<Vec<_>>();
    let kinds = [("uniform", draws(uniform)), ("Zipf", draws(zipf))];

    let slots: Vec<_> = (0..KEYS + KEYS / 3).map(|_| Cell::new((0, 0))).collect();
    let local = table::<Local>(&gcra);
    let shared = table::<Shared>(&gcra);
    let peer = RateLimiter::keyed(peer_quota());
    let fake = FakeRelativeClock::default();
    let passed_in = RateLimiter::dashmap_with_clock(peer_quota(), fake);
    for number in 0..KEYS {
        assert!(peer.check_key(&key(number)).is_ok() && passed_in.check_key(&key(number)).is_ok());
    }

    let mut group = group(criterion, "gcra, a million keys");
    let now = Cell::new(Instant::EPOCH);
    for (kind, numbers) in &kinds {
        let mut on = |name: &str, decide: &dyn Fn(u64, Instant) -> bool| {
            group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                let mut draws = Draws {
                    numbers,
                    at: 0,
                    now: now.get(),
                };
                bencher.iter(|| {
                    let (key, now) = draws.next();
                    assert!(decide(key, now));
                });
                now.set(draws.now);
            });
        };
        on("a slot, by hand", &|key, now| by_hand(&slots, key, now));
        on("Local", &|key, now| take(&local, &gcra, key, now));
        on("Shared", &|key, now| take(&shared, &gcra, key, now));
        on("governor, its clock", &|key, _| peer.check_key(&key).is_ok());
        on("governor, time passed in", &|key, _| passed_in.check_key(&key).is_ok());
    }
    group.finish();
    let ours = |key, now| take(&shared, &gcra, key, now);
    two_threads(criterion, &kinds, now.get(), &ours, &|key| peer.check_key(&key).is_ok());
}

/// Nanoseconds a decision of each of two threads that ask in different orders.
fn two_threads(
    criterion: &mut Criterion,
    kinds: &[(&str, Vec<u32>)],
    start: Instant,
    ours: &(dyn Fn(u64, Instant) -> bool + Sync),
    peer: &(dyn Fn(u64) -> bool + Sync),
) {
    let mut group = group(criterion, "gcra, a million keys, two threads");
    let start = Cell::new(start);
    for (kind, numbers) in kinds {
        let mut on = |name: &str, decide: &(dyn Fn(u64, Instant) -> bool + Sync)| {
            group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                bencher.iter_custom(|iterations| {
                    let now = start.get();
                    start.set(now + GAP * iterations);
                    together(2, |number| {
                        let at = number * DRAWS / 2;
                        let mut draws = Draws { numbers, at, now };
                        for _ in 0..iterations {
                            let (key, now) = draws.next();
                            assert!(decide(key, now));
                        }
                    })
                });
            });
        };
        on("Shared", ours);
        on("governor, its clock", &|key, _| peer(key));
    }
    group.finish();
}

/// Bytes that stay allocated for a million keys, over their number; and the most that there were on the way.
fn memory(_: &mut Criterion) {
    let gcra = gcra();
    let counted = [
        ("Local", count(|| table::<Local>(&gcra))),
        ("Shared", count(|| table::<Shared>(&gcra))),
        (
            "governor",
            count(|| {
                let peer = RateLimiter::keyed(peer_quota());
                for number in 0..KEYS {
                    assert!(peer.check_key(&key(number)).is_ok());
                }
                peer
            }),
        ),
    ];
    for (name, (stay, most)) in counted {
        writeln!(
            io::stdout(),
            "memory/{name}: {stay} bytes a key, {most} at most while it grew"
        )
        .expect("it is written");
        assert!(
            stay <= MOST_BYTES || name == "governor",
            "{name} takes {stay} bytes a key"
        );
    }
}

/// Bytes a key, rounded up, that what `make` makes holds, and the most that were held while it was made.
fn count<T>(make: impl FnOnce() -> T) -> (u64, u64) {
    let mut made = None;
    let info = allocation_counter::measure(|| made = Some(make()));
    let stay = u64::try_from(info.bytes_current).expect("it was made, not dropped");
    drop(made);
    (stay.div_ceil(u64::from(KEYS)), info.bytes_max.div_ceil(u64::from(KEYS)))
}

criterion_group!(benches, keys, memory);
criterion_main!(benches);
