//! The number of a thread, for state that each thread mostly has to itself.

use std::cell::Cell;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tollgate_core::id::Lane;

/// Threads beyond which two share a number.
pub(crate) const THREADS: usize = 16;

/// The number of this thread, below [`THREADS`].
pub(crate) fn number() -> usize {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.get().unwrap_or_else(|| {
        let number = SEEN.fetch_add(1, Ordering::Relaxed) % THREADS;
        NUMBER.set(Some(number));
        number
    })
}

/// The lane that requests of this thread are driven in. Threads of one number share it, which is harmless.
pub(crate) fn lane() -> Lane {
    Lane(u16::try_from(number()).expect("below the most threads"))
}

/// The lanes of a gate for so many threads; one per core if that is not said.
pub(crate) fn lanes(threads: Option<NonZeroU16>) -> NonZeroU16 {
    let most = u16::try_from(THREADS).expect("a few");
    let threads = threads.map_or_else(
        || available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX)),
        NonZeroU16::get,
    );
    NonZeroU16::new(threads.min(most)).unwrap_or(NonZeroU16::MIN)
}
