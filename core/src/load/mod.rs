//! Numbers that order endpoints; lower is better.
//!
//! Counting what is in flight needs no algorithm. What latency says about an endpoint does: [`PeakEwma`].
//!
//! | Law | Test |
//! |---|---|
//! | A worse latency counts at once, in full. | `jumps_up_at_once` |
//! | Better latencies pull the estimate down, never past themselves. | `decays_towards_the_sample` |
//! | Reading later equals observing nothing until then, and changes nothing. | `projected_read_equals_mutate_then_read` |
//! | A late `now` never lowers an estimate nor turns back its time. | `late_now_clamps` |
//! | A failure, however fast, never lowers the load. | `fast_failure_never_lowers_the_load` |
//! | An endpoint that only fails does not draw the traffic of a slow one. | `a_failing_endpoint_is_no_sinkhole` |
//! | The penalty is between five seconds and five minutes. | `penalties_are_bounded` |
//! | An endpoint never observed is tried once, then avoided until its sample is there. | `an_unknown_endpoint_is_tried_once` |
//! | The reference values. | `golden_peak_ewma` |
//! | More in flight is more load. | `load_grows_with_in_flight` |

mod peak_ewma;

pub use peak_ewma::{Estimate, PeakEwma};
