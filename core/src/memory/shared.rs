//! Memory for many threads: atomics and short-held locks, for the proxy.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::sync::atomic::Ordering;

use std::sync::PoisonError;

use super::sync::{AtomicU64, Mutex, MutexGuard};
use super::table::{Table, name};
use super::{Guarded, Keyed, Memory, Packed, Place, Slot};
use crate::id::KeyHash;

/// Memory for many threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared;

impl Memory for Shared {
    type Word<T: Packed> = SharedWord<T>;
    type Block<T> = SharedBlock<T>;
    type Table<T: Clone + Default> = SharedTable<T>;
}

/// A word that is changed by a compare-exchange loop. An update that changes nothing writes nothing, so refusals do
/// not fight over the word.
#[derive(Debug)]
pub struct SharedWord<T> {
    word: AtomicU64,
    /// The word holds a `T` by value and gives out copies: it is `Sync` whatever `T` is.
    holds: PhantomData<fn() -> T>,
}

impl<T: Packed> Slot<T> for SharedWord<T> {
    fn new(value: T) -> SharedWord<T> {
        SharedWord {
            word: AtomicU64::new(value.pack()),
            holds: PhantomData,
        }
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&T::unpack(self.word.load(Ordering::Acquire)))
    }

    #[inline]
    fn update<R>(&self, f: impl Fn(&mut T) -> R) -> R {
        let mut old = self.word.load(Ordering::Acquire);
        loop {
            let mut value = T::unpack(old);
            let result = f(&mut value);
            let new = value.pack();
            if new == old {
                return result;
            }
            match self
                .word
                .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return result,
                Err(other) => old = other,
            }
        }
    }
}

/// A state behind a mutex.
#[derive(Debug)]
pub struct SharedBlock<T>(Mutex<T>);

impl<T> Guarded<T> for SharedBlock<T> {
    fn new(value: T) -> SharedBlock<T> {
        SharedBlock(Mutex::new(value))
    }

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut lock(&self.0))
    }
}

/// States found by key, in shards with a mutex each.
///
/// A shard has its share of the keys and keeps at least 1024, so a table for few keys is one shard and no key has less
/// room than another. With several shards the fullest one is full a few percent before the table is.
#[derive(Debug)]
pub struct SharedTable<T> {
    shards: Box<[Shard<T>]>,
    overflow: Mutex<T>,
}

/// One shard, on cache lines of its own so that neighbors do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<T>(Mutex<Table<T>>);

impl<T: Clone + Default> SharedTable<T> {
    #[inline]
    fn shard(&self, key: KeyHash) -> MutexGuard<'_, Table<T>> {
        let mask = self.shards.len() - 1;
        // The low bits; within its shard a table uses the high ones.
        let index = usize::try_from(name(key) & mask as u64).expect("below the number of shards");
        lock(&self.shards[index].0)
    }

    fn in_overflow<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut lock(&self.overflow))
    }
}

impl<T: Clone + Default> Keyed<T> for SharedTable<T> {
    fn new(max_keys: NonZeroU32) -> SharedTable<T> {
        let n_shards = (max_keys.get() / SHARD_KEYS).clamp(1, MOST_SHARDS);
        let n_shards = 1 << n_shards.ilog2();
        let shards = (0..n_shards)
            .map(|index| {
                let keys = max_keys.get() / n_shards + u32::from(index < max_keys.get() % n_shards);
                let keys = NonZeroU32::new(keys).expect("no more shards than keys");
                Shard(Mutex::new(Table::new(keys)))
            })
            .collect();
        SharedTable {
            shards,
            overflow: Mutex::new(T::default()),
        }
    }

    #[inline]
    fn update<R>(&self, key: KeyHash, idle: impl Fn(&T) -> bool, f: impl FnOnce(&mut T) -> R) -> (R, Place) {
        // The shard is unlocked before the overflow is locked: no thread ever holds two locks.
        let own = self.shard(key).update(key, idle, f);
        match own {
            Ok(result) => (result, Place::Own),
            Err(f) => (self.in_overflow(f), Place::Overflow),
        }
    }

    #[inline]
    fn amend<R>(&self, key: KeyHash, place: Place, idle: impl Fn(&T) -> bool, f: impl Fn(&mut T) -> R) -> R {
        let own = match place {
            Place::Own => self.shard(key).amend(key, idle, &f),
            Place::Overflow => None,
        };
        own.unwrap_or_else(|| self.in_overflow(f))
    }

    fn forget(&self, idle: impl Fn(&T) -> bool) {
        for shard in &self.shards {
            lock(&shard.0).forget(&idle);
        }
    }

    #[inline]
    fn read<R>(&self, key: KeyHash, f: impl FnOnce(&T) -> R) -> R {
        self.shard(key).read(key, f)
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.0).len()).sum()
    }
}

/// The lock, even if a thread panicked with it: decisions do not panic, and should one ever, the requests of all other
/// tenants must not stop with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fewest keys worth a shard of their own.
const SHARD_KEYS: u32 = 1024;
/// Shards beyond which more cores would not notice.
const MOST_SHARDS: u32 = 64;
