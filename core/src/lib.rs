//! Every decision of tollgate: admit, queue, route, attempt, retry, hedge, fall back, settle.
//!
//! A decision is a pure function; time, chance and the outside world are arguments.
//! This crate never reads a clock, draws entropy, opens a socket, spawns or sleeps: it is
//! `no_std` with `alloc` unless a feature says otherwise, so what it cannot name it cannot use.
//!
//! | Read | for |
//! |---|---|
//! | [`time`], [`dice`], [`id`], [`usage`] | the words everything else is written in |
//! | [`limit`], [`balance`], [`load`], [`health`], [`retry`], [`hedge`], [`throttle`], [`queue`] | the laws: algorithms on plain state |
//! | [`memory`] | how an update of plain state becomes one step, for one thread and for many |
//! | [`policy`] | what a policy file says, once it has been checked |
//! | `file` | reading TOML so that every error comes at once, with its place and a way out |
//!
//! # Features
//!
//! - `std` (default): shared memory for many threads.
//! - `file` (default): reading policy files.
//! - `laws`: the laws of the algorithms as functions, for algorithms of one's own.

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod balance;
pub mod dice;
pub mod fault;
#[cfg(feature = "file")]
pub mod file;
pub mod gate;
pub mod health;
pub mod hedge;
pub mod id;
#[cfg(feature = "laws")]
pub mod laws;
pub mod lifecycle;
pub mod limit;
pub mod load;
pub mod math;
pub mod memory;
pub mod policy;
pub mod queue;
pub mod retry;
pub mod throttle;
pub mod time;
pub mod usage;
mod wheel;
