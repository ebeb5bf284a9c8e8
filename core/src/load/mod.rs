//! Numbers that order endpoints; lower is better.
//!
//! Counting what is in flight needs no algorithm, and little more where weights tell what an endpoint can do ([`per_weight`],
//! [`expected_delay`]). What latency says about an endpoint does: [`PeakEwma`], and the plain average [`Ewma`] that
//! [`LeastTime`] and [`Score`] are made of. [`Running`] is what is not over yet, [`Ramp`] who has just come back.
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
//! | The first sample is the average; each later one moves it a tenth of the way. | `a_plain_average_moves_a_tenth` |
//! | Time: more in flight is more load, more weight is less, and the ages of what runs add to it. | `least_time_is_monotonic` |
//! | Ages and tokens of what runs are those of an oracle that keeps every attempt. | `running_is_the_sum_of_what_runs` |
//! | Score: faster and emptier is better; the reference value. | `golden_score`, `score_is_monotonic` |
//! | Per weight, an endpoint of twice the weight is as loaded with twice as much. | `weights_divide_loads` |
//! | Coming back: the share begins at its least, grows, and is all after the window; the reference values. | `golden_slow_start`, `a_share_only_grows` |
//! | A full share changes no order of loads; a smaller one only makes an endpoint look worse. | `a_full_share_changes_nothing` |

mod ewma;
mod least_time;
mod peak_ewma;
mod ramp;
mod running;
mod score;
mod weighted;

pub use ewma::Ewma;
pub use least_time::LeastTime;
pub use peak_ewma::{Estimate, PeakEwma};
pub use ramp::Ramp;
pub use running::Running;
pub use score::Score;
pub use weighted::{expected_delay, per_weight};
