//! Decisions of limiters: about one key, and about one of a hundred thousand.

use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use tollgate_core::gate::{Limits, Reach, Used};
use tollgate_core::id::{KeyHash, LimitId};
use tollgate_core::limit::{
    FixedWindow, Gcra, LeakyBucket, Limiter, Permits, SegmentedWindow, SlidingLog, SlidingWindow, Taken, Tat,
    TokenBucket,
};
use tollgate_core::memory::{Keyed, Local, Memory, Shared, Slot};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Policy, Quota, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Estimate;

use super::Path;
use crate::model;

/// Between two decisions.
const GAP: Nanos = Nanos::from_millis(16);

/// So few a second that a log is short, and fewer are asked for.
fn quota() -> Quota {
    Quota {
        amount: NonZeroU64::new(64).expect("not zero"),
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(64).expect("not zero"),
    }
}

pub(super) fn paths() -> Vec<Path> {
    let six = NonZeroU32::new(6).expect("not zero");
    let mut paths = vec![
        word::<Local>("gcra, one key, Local"),
        word::<Shared>("gcra, one key, Shared"),
        table::<Local>("gcra, 100,000 keys, Local"),
        table::<Shared>("gcra, 100,000 keys, Shared"),
        charge("a limit of a request, charged and settled, Shared", Store::Local),
        charge(
            "the same from a lease of 32",
            Store::Leased {
                most: NonZeroU32::new(32).expect("not zero"),
            },
        ),
        law("token bucket", TokenBucket::new(quota(), Nanos::ZERO)),
        law("leaky bucket", LeakyBucket::meter(quota())),
        law("fixed window", FixedWindow::new(quota())),
        law("segmented window of 6", SegmentedWindow::new(quota(), six)),
        law("sliding window", SlidingWindow::new(quota())),
        law("sliding log of 64", SlidingLog::new(quota())),
    ];
    paths.push(permits(six));
    paths
}

/// Time that goes on from run to run.
struct Ticking(Instant);

impl Ticking {
    #[inline]
    fn tick(&mut self) -> Instant {
        self.0 += GAP;
        self.0
    }
}

fn word<M: Memory>(name: &str) -> Path
where
    M::Word<Tat>: 'static,
{
    let (gcra, word) = (Gcra::new(quota(), Nanos::ZERO), M::Word::<Tat>::new(Tat::default()));
    let mut time = Ticking(Instant::EPOCH);
    Path::new(name, move |rounds| {
        let (gcra, word) = (black_box(&gcra), black_box(&word));
        for _ in 0..rounds {
            let now = time.tick();
            assert!(word.update(|tat| gcra.take(tat, now, 1)).is_allowed());
        }
    })
}

fn table<M: Memory>(name: &str) -> Path
where
    M::Table<Tat>: 'static,
{
    const KEYS: u32 = 100_000;
    let gcra = Gcra::new(quota(), Nanos::ZERO);
    let table = M::Table::<Tat>::new(NonZeroU32::new(2 * KEYS).expect("not zero"));
    let keys: Vec<_> = (0..KEYS)
        .map(|number| KeyHash::of(7, [number.to_le_bytes().as_slice()]))
        .collect();
    let take = move |table: &M::Table<Tat>, key, now| {
        let idle = |tat: &Tat| gcra.is_idle(tat, now);
        table.update(key, idle, |tat| gcra.take(tat, now, 1)).0
    };
    for key in &keys {
        assert!(take(&table, *key, Instant::EPOCH).is_allowed());
    }
    let mut now = Instant::EPOCH;
    let mut at = 0;
    Path::new(name, move |rounds| {
        let (table, keys) = (black_box(&table), black_box(keys.as_slice()));
        for _ in 0..rounds {
            at = if at == 0 { keys.len() - 1 } else { at - 1 };
            now += Nanos::from_micros(1);
            assert!(take(table, keys[at], now).is_allowed());
        }
    })
}

/// What a gateway does with one limit of a request: charge it, and settle it with what it took.
fn charge(name: &str, store: Store) -> Path {
    let rate = Quota {
        amount: NonZeroU64::new(1_000_000).expect("not zero"),
        burst: NonZeroU64::new(1_000).expect("not zero"),
        ..quota()
    };
    let policy = model::policy();
    let limits = Limits::<Shared>::with_lanes(
        &Policy {
            limits: vec![Limit {
                algorithm: Algorithm::Gcra(rate),
                store,
                ..policy.limits[0].clone()
            }],
            ..policy
        },
        NonZeroU16::MIN,
    );
    let mut charges = Charges::default();
    charges.push(LimitId(0), KeyHash(7));
    let class = Class {
        charges,
        ..Class::default()
    };
    let mut now = Instant::EPOCH;
    Path::new(name, move |rounds| {
        let (limits, class) = (black_box(&limits), black_box(&class));
        let estimate = Estimate::default();
        for _ in 0..rounds {
            now += Nanos::from_micros(2);
            let granted = limits.take_all(class, Reach::Local, estimate, now);
            let granted = granted.expect("half of the quota is asked for");
            limits.settle_all(class, granted, estimate, Used::default(), now);
        }
    })
}

fn law<L: Limiter + 'static>(name: &str, law: L) -> Path
where
    L::State: 'static,
{
    let (mut state, mut time) = (L::State::default(), Ticking(Instant::EPOCH));
    Path::new(name, move |rounds| {
        let (law, state) = (black_box(&law), black_box(&mut state));
        for _ in 0..rounds {
            assert!(law.take(state, time.tick(), 1).is_allowed());
        }
    })
}

fn permits(most: NonZeroU32) -> Path {
    let (permits, mut state) = (Permits::new(most), <Permits as Limiter>::State::default());
    Path::new("a permit, taken and given back", move |rounds| {
        let (permits, state) = (black_box(&permits), black_box(&mut state));
        let at = Instant::EPOCH;
        for _ in 0..rounds {
            assert!(permits.take(state, at, 1).is_allowed());
            permits.settle(state, at, Taken { cost: 1, at }, 0);
        }
    })
}
