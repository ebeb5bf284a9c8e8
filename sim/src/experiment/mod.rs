//! Strategies side by side: the same traffic, the same dice, independent replications on all cores.

mod coverage;
mod figures;
mod interval;
mod outage;
mod outside;
mod prepare;
mod run;
mod summary;
mod warmup;

pub use coverage::{Coverage, Unmatched};
pub use interval::t_interval;
pub use outside::outside;
pub use prepare::{PrepareError, check, expected_requests, prepare};
pub use run::{Comparison, Progress, Replicated, Strategy, compare};
pub use summary::{Conditions, result_set};
