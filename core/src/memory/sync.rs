//! What shared memory is made of: the standard library's; loom's when every interleaving is tried; shuttle's when
//! many random ones are, of more than loom could go through.
//!
//! The only file that knows of them.

#[cfg(loom)]
pub(super) use loom::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(shuttle)]
pub(super) use shuttle::sync::atomic::AtomicU64;
#[cfg(shuttle)]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(any(loom, shuttle)))]
pub(super) use std::sync::atomic::AtomicU64;
#[cfg(not(any(loom, shuttle)))]
pub(super) use std::sync::{Mutex, MutexGuard};
