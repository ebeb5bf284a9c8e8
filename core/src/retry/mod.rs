//! When to try again, and how often at most.
//!
//! # Why a budget, and not only a maximum of attempts
//!
//! Three attempts per request sound modest. But when an endpoint slows down until everything times out, every
//! request makes three, and the load that was too much triples. The endpoint cannot recover while its clients
//! retry, and they retry because it does not recover; with three layers that retry three times each, it gets
//! twenty-seven times the load. A [`RetryBudget`] bounds what *all* requests together may add: a share of the
//! requests, whatever happens. Single failures are retried as before; in an outage the budget is soon spent.
//! A [`ConcurrencyBudget`] bounds the same by what is active at once instead of by what came lately.
//!
//! | Law | Test |
//! |---|---|
//! | Withdrawals never exceed `ratio · deposits + floor · (elapsed + ttl and a tenth)`. | `budget_bounds_amplification` |
//! | Where everything fails, retries settle at `ratio · rate + floor`. | `steady_state_is_ratio_and_floor` |
//! | Thirty percent are thirty percent. | `ratios_are_exact` |
//! | What was withdrawn and not used comes back. | `refund_restores` |
//! | A deposit counts for at most its ttl and at least nine tenths of it. | `deposits_expire` |
//! | Reading the balance tells what can be withdrawn, and changes nothing. | `balance_is_what_can_be_withdrawn` |
//! | A late `now` never frees anything. | `late_now_never_admits_more` |
//! | Never are more retries out than the share of what is active when the last of them is taken, or the floor. | `never_more_retries_in_flight_than_allowed` |
//! | The floor is always allowed. | `the_floor_is_always_allowed` |
//! | What is given back can be taken again, and no more. | `a_retry_that_ended_makes_room_for_one` |
//! | A fifth of five is one, and a fifth of four is none. | `shares_are_exact_and_rounded_down` |
//! | The mean of a backoff with full jitter is half of that without. | `full_jitter_halves_the_mean` |
//! | A backoff doubles until its maximum. | `doubles_until_max` |
//! | With decorrelated jitter a delay is between the shortest and three times the one before. | `decorrelated_follows_the_last` |
//! | A backoff is never above its maximum, unless the endpoint asks for more. | `never_above_max` |
//! | The endpoint's Retry-After is a minimum. | `retry_after_is_a_minimum` |

mod backoff;
mod budget;
mod concurrency;

pub use backoff::Backoff;
pub use budget::{Balance, RetryBudget};
pub use concurrency::{Active, ConcurrencyBudget};
