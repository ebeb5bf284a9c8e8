//! Towards endpoints: connections, and requests on their way.
//!
//! Nothing here decides anything: a transfer says what happens to it, and core's timers say when that takes too long.

mod connect;
mod link;
mod pool;
mod transfer;

pub use connect::{Address, Connect, Connected, Connecting, Protocol, Tcp, Wire};

pub(crate) use link::Outbound;
pub(crate) use pool::{Bounds, Pool};
pub(crate) use transfer::{Said, Transfer, World};
