//! The discrete-event simulator that runs core against modelled backends.

pub mod scenario;
pub mod trace;
pub mod workload;
