//! Shared memory under every interleaving of two threads.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p tollgate-core --test loom --release`
#![cfg(loom)]

use core::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use loom::sync::Arc;
use loom::thread;
use tollgate_core::gate::{Granted, Limits, Reach};
use tollgate_core::id::{KeyHash, Lane, LimitId};
use tollgate_core::limit::{Decision, Gcra, InFlight, Lease, Limiter, Permits, Taken, Tat};
use tollgate_core::memory::{Guarded, Keyed, Place, Shared, SharedBlock, SharedTable, SharedWord, Slot};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Match, OnWait, Policy, Quota, Refund, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Unit};

const NOW: Instant = Instant::EPOCH;

/// Runs `f` on this thread and another, and returns what both returned.
fn on_two<R: 'static>(f: impl Fn() -> R + Clone + 'static) -> [R; 2] {
    let other = thread::spawn(f.clone());
    let here = f();
    [here, other.join().expect("it does not panic")]
}

fn three_at_once() -> Gcra {
    let quota = Quota {
        amount: NonZeroU64::MIN,
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(3).expect("not zero"),
    };
    Gcra::new(quota, Nanos::ZERO)
}

#[test]
fn words_lose_no_update() {
    loom::model(|| {
        let word = Arc::new(SharedWord::<u64>::new(0));
        let shared = Arc::clone(&word);
        let seen = on_two(move || {
            let mut seen = [0, 0];
            for before in &mut seen {
                *before = shared.update(|count| {
                    *count += 1;
                    *count - 1
                });
            }
            seen
        });
        assert_eq!(word.read(|count| *count), 4);
        let mut seen = seen.concat();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3], "each update follows another");
    });
}

/// Four units are asked for and three are there: whoever comes last waits, and is told the same.
#[test]
fn words_admit_a_burst_and_no_more() {
    loom::model(|| {
        let word = Arc::new(SharedWord::<Tat>::new(Tat::default()));
        let decisions = on_two(move || {
            let limiter = three_at_once();
            [1, 1].map(|cost| word.update(|tat| limiter.take(tat, NOW, cost)))
        });
        let refused: Vec<_> = decisions
            .concat()
            .into_iter()
            .filter(|decision| !decision.is_allowed())
            .collect();
        assert_eq!(
            refused,
            [Decision::Wait {
                until: Instant::from_secs(1)
            }]
        );
    });
}

/// A permit is held by one at a time and is there again when both are done.
#[test]
fn words_hold_permits_apart() {
    loom::model(|| {
        let word = Arc::new(SharedWord::<InFlight>::new(InFlight::default()));
        let held = Arc::new(SharedWord::<u64>::new(0));
        let shared = Arc::clone(&word);
        on_two(move || {
            let permits = Permits::new(NonZeroU32::MIN);
            if shared.update(|in_flight| permits.take(in_flight, NOW, 1)).is_allowed() {
                assert_eq!(
                    held.update(|held| {
                        *held += 1;
                        *held
                    }),
                    1
                );
                held.update(|held| *held -= 1);
                shared.update(|in_flight| permits.settle(in_flight, NOW, Taken { cost: 1, at: NOW }, 0));
            }
        });
        let permits = Permits::new(NonZeroU32::MIN);
        assert!(word.read(|in_flight| permits.is_idle(in_flight, NOW)));
    });
}

#[test]
fn blocks_lose_no_update() {
    loom::model(|| {
        let block = Arc::new(SharedBlock::new((0_u64, 0_u64)));
        let shared = Arc::clone(&block);
        on_two(move || {
            for _ in 0..2 {
                shared.with(|(one, other)| {
                    *one += 1;
                    assert_eq!(*one, *other + 1, "nobody sees half of an update");
                    *other = *one;
                });
            }
        });
        assert_eq!(block.with(|both| *both), (4, 4));
    });
}

#[test]
fn tables_lose_no_update() {
    loom::model(|| {
        let table = Arc::new(SharedTable::<u64>::new(NonZeroU32::new(2).expect("not zero")));
        let shared = Arc::clone(&table);
        on_two(move || {
            for key in [KeyHash(0), KeyHash(1)] {
                let ((), place) = shared.update(key, |count| *count == 0, |count| *count += 1);
                assert_eq!(place, Place::Own);
            }
        });
        assert_eq!(table.len(), 2);
        for key in [KeyHash(0), KeyHash(1)] {
            assert_eq!(table.read(key, |count| *count), 2);
        }
    });
}

/// Two newcomers race for one place: one gets it, the other is told that it shares; nothing either took is lost, and
/// all is given back where it was taken.
#[test]
fn tables_race_for_the_last_place() {
    loom::model(|| {
        let table = Arc::new(SharedTable::<u64>::new(NonZeroU32::MIN));
        let idle = |count: &u64| *count == 0;
        let work = |table: Arc<SharedTable<u64>>, key| {
            move || {
                let ((), place) = table.update(key, idle, |count| *count += 1);
                (key, place)
            }
        };
        let other = thread::spawn(work(Arc::clone(&table), KeyHash(2)));
        let here = work(Arc::clone(&table), KeyHash(1))();
        let other = other.join().expect("it does not panic");
        assert_eq!(table.len(), 1);
        assert_ne!(here.1, other.1, "one place for two");
        for (key, place) in [here, other] {
            let before = table.amend(key, place, idle, |count| {
                *count -= 1;
                *count + 1
            });
            assert_eq!(before, 1);
        }
    });
}

/// Four are asked for in two lanes, and in one that two threads share by mistake: no more is spent than a
/// burst, and when all of it is given back the key is as new.
#[test]
fn leases_spend_a_burst_and_no_more() {
    for lanes in [[0, 1], [0, 0]] {
        loom::model(move || {
            let limits = Arc::new(leased());
            let work = |limits: Arc<Limits<Shared>>, lane| move || [(), ()].map(|()| spend(&limits, lane));
            let other = thread::spawn(work(Arc::clone(&limits), lanes[1]));
            let here = work(Arc::clone(&limits), lanes[0])();
            let other = other.join().expect("it does not panic");
            let spent: Vec<_> = here.into_iter().chain(other).flatten().collect();
            assert_eq!(spent.len(), 3, "each spends what it took, and together a burst");
            for (class, granted) in spent {
                limits.undo_all(&class, granted, Estimate::default(), NOW);
            }
            limits.forget(NOW + Lease::LIFE);
            assert_eq!((limits.reserved(), limits.keys()), (vec![0], vec![0]));
        });
    }
}

/// Three at once, in leases of two.
fn leased() -> Limits<Shared> {
    let quota = Quota {
        amount: NonZeroU64::MIN,
        period: Nanos::from_secs(1_000),
        burst: NonZeroU64::new(3).expect("not zero"),
    };
    let policy = Policy {
        limits: vec![Limit {
            name: String::from("leased"),
            algorithm: Algorithm::Gcra(quota),
            unit: Unit::Requests,
            per: Vec::new(),
            when: Match::default(),
            on_wait: OnWait::Refuse,
            refund: Refund::Full,
            max_keys: NonZeroU32::new(2).expect("not zero"),
            store: Store::Leased {
                most: NonZeroU32::new(2).expect("not zero"),
            },
            output_default: 1,
            learn: false,
        }],
        ..Policy::default()
    };
    Limits::with_lanes(&policy, NonZeroU16::new(2).expect("not zero"))
}

/// Asks for one request in `lane`.
fn spend(limits: &Limits<Shared>, lane: u16) -> Option<(Class, Granted)> {
    let mut charges = Charges::default();
    charges.lane = Lane(lane);
    charges.push(LimitId(0), KeyHash(1));
    let class = Class {
        charges,
        ..Class::default()
    };
    let granted = limits.take_all(&class, Reach::Local, Estimate::default(), NOW);
    granted.ok().map(|granted| (class, granted))
}
