//! What shared memory is made of: the standard library's, or loom's when every interleaving is tried.
//!
//! The only file that knows of loom.

#[cfg(loom)]
pub(super) use loom::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};
