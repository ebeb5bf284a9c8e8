//! The discrete-event simulator that runs core against modelled backends.

pub mod engine;
pub mod experiment;
pub mod record;
pub mod scenario;
pub mod trace;
pub mod workload;
