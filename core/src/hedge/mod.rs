//! When to launch a further attempt beside one that is slow.
//!
//! A hedge waits for the slow tail only: with the delay at the p95 of recent first tokens, one request in twenty is
//! launched twice, and the answer that comes first is relayed (Dean and Barroso, *The Tail at Scale*, CACM 2013).
//!
//! It helps where slowness is the endpoint's luck and the copies are independent. It harms where slowness is load:
//! then every request is slow, every one is hedged, and the load doubles. Hence the [`budget`], which retries do not
//! share, and which has no floor.
//!
//! | Law | Test |
//! |---|---|
//! | A quantile is within 2 % of the exact one of the same samples, at every moment. | `quantile_is_within_two_percent` |
//! | Below the minimum of samples there is none. | `few_samples_are_no_quantile` |
//! | A sample counts for at least half the window and is forgotten after the whole. | `forgets_after_the_window` |
//! | Periods turn at whole multiples of their length, however irregular the calls. | `rotation_does_not_drift` |
//! | A late `now` forgets nothing. | `late_now_forgets_nothing` |
//! | A state takes less than 20 KiB. | it would not compile |
//! | Hedges are at most their share of requests. | `hedges_are_a_share_of_requests` |

mod delay;
mod quantile;

pub use delay::{Delay, budget};
pub use quantile::{LatencyQuantile, QuantileState};
