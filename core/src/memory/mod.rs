//! Memory: how an update of plain state becomes one step, for one thread and for many.
//!
//! Algorithms are written for one thread, on plain state. A container decides what makes an update atomic: for
//! [`Local`] nothing has to, `Shared` (feature `std`) uses a compare-exchange loop for a word, a mutex for a block, and
//! a mutex a shard for a table. Both run the same closure, so what the simulator decides is what the proxy decides.
//!
//! | Law | Test |
//! |---|---|
//! | On one thread, shared memory is local memory. | `local_equals_shared_words`, `local_equals_shared_blocks`, `local_equals_shared_tables`, `local_equals_shared_tables_in_shards` |
//! | Forgetting a key cannot be observed. | `eviction_is_invisible` |
//! | What is told to forget keeps busy keys only. | `eviction_is_invisible` |
//! | A table holds no more keys than it may. | `table_is_bounded` |
//! | Keys without a place of their own share one, strictly, and are told. | `overflow_is_shared_and_reported` |
//! | On many threads, no update is lost or torn. | `words_lose_no_update`, `blocks_lose_no_update`, `tables_lose_no_update` (loom) |
//!
//! ```
//! use tollgate_core::memory::{Guarded, Local, Memory, Slot};
//!
//! struct Meter<M: Memory> {
//!     requests: M::Word<u64>,
//!     names: M::Block<Vec<&'static str>>,
//! }
//!
//! let meter = Meter::<Local> { requests: Slot::new(0), names: Guarded::new(Vec::new()) };
//! meter.requests.update(|requests| *requests += 1);
//! meter.names.with(|names| names.push("ada"));
//! assert_eq!(meter.requests.read(|requests| *requests), 1);
//! ```

mod local;
#[cfg(feature = "std")]
mod shared;
#[cfg(feature = "std")]
mod sync;
mod table;

pub(crate) use table::Table;

pub use local::{Local, LocalBlock, LocalTable, LocalWord};
#[cfg(feature = "std")]
pub use shared::{Shared, SharedBlock, SharedTable, SharedWord};

use core::num::NonZeroU32;

use crate::id::KeyHash;

/// How state is stored.
pub trait Memory {
    /// State that fits 64 bits.
    type Word<T: Packed>: Slot<T>;
    /// State of any size, one at a time.
    type Block<T>: Guarded<T>;
    /// States found by key.
    type Table<T: Clone + Default>: Keyed<T>;
}

/// A state that fits 64 bits. `unpack(pack(x))` is `x`.
pub trait Packed: Copy {
    /// As 64 bits.
    fn pack(self) -> u64;
    /// From what [`Packed::pack`] made.
    fn unpack(word: u64) -> Self;
}

impl Packed for u64 {
    #[inline]
    fn pack(self) -> u64 {
        self
    }

    #[inline]
    fn unpack(word: u64) -> u64 {
        word
    }
}

/// A small state that is replaced as a whole.
pub trait Slot<T> {
    /// Holding `value`.
    fn new(value: T) -> Self;

    /// Looks at the state.
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R;

    /// Changes the state in one step and returns what `f` returned for that step.
    ///
    /// `f` may run more than once before its result counts, so it must depend on nothing but its argument, and change
    /// nothing else.
    fn update<R>(&self, f: impl Fn(&mut T) -> R) -> R;
}

/// A state that one at a time may use.
pub trait Guarded<T> {
    /// Holding `value`.
    fn new(value: T) -> Self;

    /// Uses the state, alone. `f` runs once, and must not use the same block again.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

/// States found by key, a bounded number of them. A key that was never seen has the state `T::default()`.
///
/// A state for which `idle` holds equals a fresh one and may be forgotten. The closures must not use the same table.
pub trait Keyed<T> {
    /// Without keys, and never with more than `max_keys`.
    fn new(max_keys: NonZeroU32) -> Self;

    /// Changes the state of `key`, and says where that state is.
    ///
    /// Each new key looks for states to forget on the way. If the table is full of busy ones, the state that all
    /// further keys share is changed instead: they are limited together, as strictly as one.
    fn update<R>(&self, key: KeyHash, idle: impl Fn(&T) -> bool, f: impl FnOnce(&mut T) -> R) -> (R, Place);

    /// Changes a state that was changed earlier, at the place that [`Keyed::update`] named.
    ///
    /// If the key has been forgotten meanwhile its state is fresh, and is kept only if `f` leaves it busy; if there is
    /// no room to keep it, `f` runs again on the state that is shared, so that what is owed stays owed.
    fn amend<R>(&self, key: KeyHash, place: Place, idle: impl Fn(&T) -> bool, f: impl Fn(&mut T) -> R) -> R;

    /// Forgets every idle state, and gives back the memory that those left do not need.
    ///
    /// It takes as long as there are keys. Without it a table is as large as it has ever had to be.
    fn forget(&self, idle: impl Fn(&T) -> bool);

    /// Looks at the state of `key`: a fresh one if it has none of its own.
    fn read<R>(&self, key: KeyHash, f: impl FnOnce(&T) -> R) -> R;

    /// Keys that have a state of their own.
    fn len(&self) -> usize;

    /// Whether no key has a state of its own.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where the state of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The key has its own.
    Own,
    /// It is the one that keys without a place share.
    Overflow,
}
