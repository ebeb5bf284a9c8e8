//! Whether an endpoint is to be tried at all.
//!
//! An endpoint that fails costs every request sent to it an attempt. A [`Breaker`] watches the attempts that are
//! made anyway: it *trips* when they fail, sends nothing for a while, then a bounded number of *probes*, and
//! *resets* when those succeed. [`Probing`] judges active health checks instead, which cost nobody's request.
//!
//! | Law | Test |
//! |---|---|
//! | Half-open, no more probes are out or judged than the policy says. | `probes_are_bounded` |
//! | Open, nothing is admitted before `until`; at `until` a probe is. | `open_is_respected` |
//! | It trips at the threshold, and not one failure before. | `trips_at_threshold_not_before` |
//! | A success ends a row of failures; what is ignored does not. | `a_success_ends_a_streak` |
//! | Trips are counted until a reset. | `trips_are_counted_until_reset` |
//! | Below the minimum of requests it never trips. | `min_requests_is_respected` |
//! | A burst and the same failures spread over the window get the same verdict; an oracle that keeps every instant agrees. | `a_burst_and_a_spread_reach_the_same_verdict` |
//! | The last `n` attempts decide in a window by count; an oracle that keeps all agrees. | `the_last_attempts_decide` |
//! | By consecutive failures, one failed probe reopens; by error rate, the share of all probes decides. | `probes_decide` |
//! | When every admitted attempt is recorded or released, it is never stuck half-open. | `every_probe_comes_back` |
//! | Results of attempts launched before the trip, or in an earlier half-open period, are no probe's. | `only_its_own_probes_decide` |
//! | Peeking answers what admitting would, and changes nothing. | `peek_is_admit` |
//! | A late `now` is as good as the latest one. | `late_now_is_clamped` |
//! | A new policy keeps what is known, and is never stuck. | `a_new_policy_is_never_stuck` |
//! | The reference values. | `golden_circuit_breaker` |
//! | Max-fails decides as nginx does; an oracle with its three words agrees, attempt by attempt. | `max_fails_is_nginx` |
//! | Out by max-fails, no two tries begin within `fail_timeout`, unless the first was called off. | `one_tries_it_at_a_time` |
//! | Never more outliers are out than the share allowed, of which one always is. | `the_ejected_share_is_bounded` |
//! | The n-th ejection lasts n times the base, at most the longest; each healthy interval takes one off. | `ejections_grow_and_decay` |
//! | Ejections end at sweeps, and sweeps are at multiples of the interval. | `sweeps_are_on_the_grid` |
//! | Who is no worse than its peers is never ejected by success rate, however bad all are. | `equally_bad_is_no_outlier` |
//! | Below the minimum of endpoints or attempts, nobody is compared. | `too_little_is_not_compared` |
//! | Outliers are those that Envoy's arithmetic finds. | `outliers_are_envoys`, `golden_success_rate` |
//! | So many failures in a row and not one fewer, with the mean of the Markov chain between. | `a_row_is_found_when_it_is_full`, `rows_come_as_often_as_they_should` |
//! | A key that cools is never used while another is free. | `a_cooling_key_is_never_used_while_another_is_free` |
//! | Every free key is used as often as the others, give or take one. | `every_free_key_gets_its_share_within_one` |
//! | What was asked for a key is never shortened, and the first that is back is known. | `the_later_deadline_of_a_key_is_kept` |
//! | With one key nothing changes: it cools as its endpoint does. | `one_key_cools_as_its_endpoint` |
//! | An endpoint goes down after exactly `fall` bad checks in a row, and up after `rise` good ones. | `rise_and_fall_are_exact` |

mod breaker;
mod keys;
mod max_fails;
mod outlier;
mod peers;
mod probing;
mod recent;

pub use breaker::{Admission, Breaker, Circuit, Health, ProbeSlot, Transition};
pub use keys::Keys;
pub use max_fails::{Fails, MaxFails};
pub use outlier::{Answer, Cause, Outlier, Suspect, Swept};
pub use peers::{Peer, success_rate_threshold};
pub use probing::{ProbeState, Probing, Turn};
pub use recent::Tally;

use crate::fault::Fault;
use crate::time::Nanos;

/// What an attempt says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It answered.
    Success {
        /// How long the first token took. Breakers do not look at it; load estimates do.
        latency: Nanos,
    },
    /// Nothing can be learned: the attempt was cancelled, or failed for a reason that is not the endpoint's.
    Ignore,
    /// It failed.
    Failure,
}

impl Report {
    /// What an attempt that ended with `fault` says.
    ///
    /// A 429 is ignored: a quota that was used up says that the endpoint works. Its Retry-After cools the quota
    /// scope instead, for as long as the endpoint asked. A client's mistake, a spent account and a refused key
    /// would be the same anywhere, and connections that we ran out of are ours.
    ///
    /// ```
    /// use tollgate_core::fault::Fault;
    /// use tollgate_core::health::Report;
    ///
    /// assert_eq!(Report::of(Fault::Overloaded), Report::Failure);
    /// assert_eq!(Report::of(Fault::RateLimited), Report::Ignore);
    /// ```
    #[must_use]
    pub const fn of(fault: Fault) -> Report {
        match fault {
            Fault::Connect | Fault::Timeout | Fault::Overloaded | Fault::Server | Fault::Stream => Report::Failure,
            Fault::NoConnection | Fault::RateLimited | Fault::Client | Fault::QuotaExhausted | Fault::Credential => {
                Report::Ignore
            }
        }
    }
}
