//! Towards endpoints: connections, and requests on their way.

mod connect;

pub use connect::{Address, Connect, Connected, Connecting, Protocol, Tcp, Wire};
