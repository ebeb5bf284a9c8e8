//! Strategies side by side: the same traffic, the same dice, independent replications on all cores.

mod interval;
mod outage;
mod run;
mod summary;

pub use interval::t_interval;
pub use run::{Comparison, Progress, Replicated, Strategy, compare};
pub use summary::{Conditions, result_set};
