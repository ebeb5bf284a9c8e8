//! The number of a thread, for state that each thread mostly has to itself.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

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
