//! The discrete-event simulator that runs core against modelled backends.

pub mod trace;
pub mod workload;
