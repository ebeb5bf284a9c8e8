//! The laws of memory on one thread. Those of many threads are in `loom.rs`.

use core::num::{NonZeroU32, NonZeroU64};
use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::id::KeyHash;
use tollgate_core::limit::{Decision, Gcra, Limiter, Taken, Tat};
use tollgate_core::memory::{Guarded, Keyed, Local, Memory, Packed, Place, Shared, Slot};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

type LocalTable<T> = <Local as Memory>::Table<T>;
type SharedTable<T> = <Shared as Memory>::Table<T>;

/// Three at once, and one more a second.
fn limiter() -> Gcra {
    let quota = Quota {
        amount: NonZeroU64::MIN,
        period: Nanos::from_secs(1),
        burst: NonZeroU64::new(3).expect("not zero"),
    };
    Gcra::new(quota, Nanos::ZERO)
}

fn at_most(keys: u32) -> NonZeroU32 {
    NonZeroU32::new(keys).expect("not zero")
}

/// One call: so many milliseconds after the one before, for which key, and whether it settles instead of taking.
#[derive(Clone, Copy, Debug)]
struct Call {
    gap: Nanos,
    key: KeyHash,
    cost: Cost,
    settles: bool,
}

/// Calls for up to `keys` keys: numbered ones with zero among them, ones that all belong to few slots, and hashes.
fn calls(keys: u64) -> impl Strategy<Value = Vec<Call>> {
    /// Undoes the table's scattering, so that a number in the low bits is a neighbor.
    const GATHER: u64 = 0xf1de_83e1_9937_733d;
    let call = (0..2000_u64, 0..keys, 0..4_u64, 0..4_u8);
    (0..3_u8, prop::collection::vec(call, 1..300)).prop_map(|(kind, calls)| {
        calls
            .into_iter()
            .map(|(gap, key, cost, settles)| Call {
                gap: Nanos::from_millis(gap.saturating_sub(1000)),
                key: match kind {
                    0 => KeyHash(key),
                    1 => KeyHash(key.wrapping_mul(GATHER)),
                    _ => KeyHash::of(7, [key.to_le_bytes().as_slice()]),
                },
                cost,
                settles: settles == 0,
            })
            .collect()
    })
}

/// What a call got: a decision or, if it settled, how many units remain; and where, if the table says.
type Answer = (Result<Decision, Cost>, Option<Place>);

fn call_table(table: &impl Keyed<Tat>, call: Call, now: Instant) -> Answer {
    let limiter = limiter();
    let idle = |tat: &Tat| limiter.is_idle(tat, now);
    if call.settles {
        let remaining = table.amend(call.key, Place::Own, idle, |tat| settle(&limiter, tat, call, now));
        return (Err(remaining), None);
    }
    let (decision, place) = table.update(call.key, idle, |tat| limiter.take(tat, now, call.cost));
    (Ok(decision), Some(place))
}

fn settle(limiter: &Gcra, tat: &mut Tat, call: Call, now: Instant) -> Cost {
    let taken = Taken { cost: 1, at: now };
    limiter.settle(tat, now, taken, call.cost);
    limiter.standing(tat, now).remaining
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn eviction_is_invisible(calls in calls(60)) {
        let limiter = limiter();
        let table = LocalTable::new(at_most(60));
        // Forgets nothing. Its order is not used.
        let mut oracle: BTreeMap<KeyHash, Tat> = BTreeMap::new();
        let mut now = Instant::EPOCH;
        for call in calls {
            now += call.gap;
            let tat = oracle.entry(call.key).or_default();
            let expected = if call.settles {
                (Err(settle(&limiter, tat, call, now)), None)
            } else {
                (Ok(limiter.take(tat, now, call.cost)), Some(Place::Own))
            };
            prop_assert_eq!(call_table(&table, call, now), expected);
            for (key, tat) in &oracle {
                let kept = table.read(*key, |tat| limiter.standing(tat, now));
                prop_assert_eq!(kept, limiter.standing(tat, now), "of {:?}", key);
            }
            let n_busy = oracle.values().filter(|tat| !limiter.is_idle(tat, now)).count();
            prop_assert!(n_busy <= table.len());
            if call.cost == 0 {
                table.forget(|tat| limiter.is_idle(tat, now));
                prop_assert_eq!(n_busy, table.len());
            }
        }
    }

    #[test]
    fn table_is_bounded(calls in calls(60), max_keys in 1..20_u32) {
        let limiter = limiter();
        let table = LocalTable::new(at_most(max_keys));
        let mut now = Instant::EPOCH;
        for call in calls {
            now += Nanos::from_nanos(call.gap.as_nanos() / 20);
            let (_, place) = call_table(&table, call, now);
            let len = u32::try_from(table.len()).expect("bounded");
            prop_assert!(len <= max_keys);
            // Nobody is sent away while there is room.
            prop_assert!(place != Some(Place::Overflow) || len == max_keys);
        }
        // When all have been forgotten, there is room again for as many.
        now += Nanos::from_secs(3600);
        let idle = |tat: &Tat| limiter.is_idle(tat, now);
        for key in 100..100 + u64::from(max_keys) {
            let (_, place) = table.update(KeyHash(key), idle, |tat| limiter.take(tat, now, 1));
            prop_assert_eq!(place, Place::Own);
        }
    }

    #[test]
    fn local_equals_shared_words(calls in calls(1)) {
        let limiter = limiter();
        let local = <Local as Memory>::Word::<Tat>::new(Tat::default());
        let shared = <Shared as Memory>::Word::<Tat>::new(Tat::default());
        let mut now = Instant::EPOCH;
        for call in calls {
            now += call.gap;
            let step = |tat: &mut Tat| {
                if call.settles {
                    Err(settle(&limiter, tat, call, now))
                } else {
                    Ok(limiter.take(tat, now, call.cost))
                }
            };
            prop_assert_eq!(local.update(step), shared.update(step));
            prop_assert_eq!(local.read(|tat| *tat), shared.read(|tat| *tat));
        }
    }

    #[test]
    fn local_equals_shared_blocks(calls in calls(10)) {
        let local = <Local as Memory>::Block::<Vec<KeyHash>>::new(Vec::new());
        let shared = <Shared as Memory>::Block::<Vec<KeyHash>>::new(Vec::new());
        for call in calls {
            let step = |keys: &mut Vec<KeyHash>| {
                if call.settles { keys.pop() } else { keys.push(call.key); None }
            };
            prop_assert_eq!(local.with(step), shared.with(step));
            prop_assert_eq!(local.with(|keys| keys.clone()), shared.with(|keys| keys.clone()));
        }
    }

    /// In one shard, even which keys find room is equal.
    #[test]
    fn local_equals_shared_tables(calls in calls(60), max_keys in 1..80_u32) {
        let local = LocalTable::new(at_most(max_keys));
        let shared = SharedTable::new(at_most(max_keys));
        let mut now = Instant::EPOCH;
        for call in calls {
            now += Nanos::from_nanos(call.gap.as_nanos() / 20);
            prop_assert_eq!(call_table(&local, call, now), call_table(&shared, call, now));
            prop_assert_eq!(local.len(), shared.len());
            prop_assert_eq!(local.read(call.key, |tat| *tat), shared.read(call.key, |tat| *tat));
        }
    }

    /// In many shards, all is equal while there is room.
    #[test]
    fn local_equals_shared_tables_in_shards(calls in calls(200)) {
        let local = LocalTable::new(at_most(100_000));
        let shared = SharedTable::new(at_most(100_000));
        let mut now = Instant::EPOCH;
        for call in calls {
            now += Nanos::from_nanos(call.gap.as_nanos() / 20);
            prop_assert_eq!(call_table(&local, call, now), call_table(&shared, call, now));
        }
    }
}

fn overflow_is_shared_and_reported<M: Memory>() {
    let (limiter, table) = (limiter(), M::Table::<Tat>::new(at_most(5)));
    let now = Instant::EPOCH;
    let idle = |tat: &Tat| limiter.is_idle(tat, now);
    let take = |key: u64| table.update(KeyHash(key), idle, |tat| limiter.take(tat, now, 1));

    for key in 0..5 {
        assert_eq!(take(key), (Decision::Allow { at: now }, Place::Own));
    }
    // All who come now are limited as one.
    for key in 5..8 {
        assert_eq!(take(key), (Decision::Allow { at: now }, Place::Overflow));
    }
    let until = Instant::from_secs(1);
    for key in 5..20 {
        assert_eq!(take(key), (Decision::Wait { until }, Place::Overflow));
    }
    assert_eq!(take(0), (Decision::Allow { at: now }, Place::Own));

    // What was taken there is given back there.
    let taken = Taken { cost: 1, at: now };
    table.amend(KeyHash(6), Place::Overflow, idle, |tat| limiter.undo(tat, now, taken));
    assert_eq!(take(19), (Decision::Allow { at: now }, Place::Overflow));
    assert_eq!(table.len(), 5);

    // A debt of a key that has no place any more is owed by all who share.
    table.amend(KeyHash(30), Place::Own, idle, |tat| limiter.settle(tat, now, taken, 11));
    let until = Instant::from_secs(11);
    assert_eq!(take(31), (Decision::Wait { until }, Place::Overflow));

    // When others are idle again there is room.
    let now = Instant::from_secs(3);
    let idle = |tat: &Tat| limiter.is_idle(tat, now);
    let (_, place) = table.update(KeyHash(31), idle, |tat| limiter.take(tat, now, 1));
    assert_eq!(place, Place::Own);
}

mod local {
    #[test]
    fn overflow_is_shared_and_reported() {
        super::overflow_is_shared_and_reported::<super::Local>();
    }
}

mod shared {
    use super::*;

    #[test]
    fn overflow_is_shared_and_reported() {
        super::overflow_is_shared_and_reported::<Shared>();
    }

    /// However keys fall into shards, there are no more of them than may be.
    #[test]
    fn table_is_bounded() {
        let table = SharedTable::<u64>::new(at_most(10_001));
        for key in 0..30_000 {
            let ((), place) = table.update(
                KeyHash::of(1, [u64::to_le_bytes(key).as_slice()]),
                |n| *n == 0,
                |n| *n = 1,
            );
            assert!(place == Place::Own || 8 * 1024 < table.len());
        }
        assert_eq!(table.len(), 10_001);
    }
}

/// A key that was forgotten is fresh, and is kept only if something is left to remember.
#[test]
fn amend_keeps_only_what_matters() {
    let (limiter, table) = (limiter(), LocalTable::<Tat>::new(at_most(5)));
    let now = Instant::EPOCH;
    let idle = |tat: &Tat| limiter.is_idle(tat, now);
    let taken = Taken { cost: 3, at: now };
    table.amend(KeyHash(1), Place::Own, idle, |tat| limiter.settle(tat, now, taken, 0));
    assert!(table.is_empty());
    table.amend(KeyHash(1), Place::Own, idle, |tat| limiter.settle(tat, now, taken, 5));
    assert_eq!(table.len(), 1);
    assert_eq!(table.read(KeyHash(1), |tat| limiter.standing(tat, now).remaining), 1);
    // A refusal of a new key leaves nothing behind.
    let (never, _) = table.update(KeyHash(2), idle, |tat| limiter.take(tat, now, 4));
    assert_eq!(never, Decision::Never);
    assert_eq!(table.len(), 1);
}

#[test]
fn unpacked_is_what_was_packed() {
    for word in [0, 1, 1 << 40, u64::MAX] {
        assert_eq!(u64::unpack(word.pack()), word);
        assert_eq!(Tat::unpack(word).pack(), word);
    }
}

/// Whatever aggregate holds them, shared states may be used from any thread.
#[test]
fn shared_memory_is_sync() {
    struct Aggregate<M: Memory> {
        _word: M::Word<Tat>,
        _block: M::Block<Vec<u8>>,
        _table: M::Table<Tat>,
    }

    fn is_sync<T: Send + Sync>() {}
    is_sync::<Aggregate<Shared>>();
}
