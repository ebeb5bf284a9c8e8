//! Which share of the requests of a pool is not even tried, because most would be refused.
//!
//! A backend that is far over its capacity spends much of it on saying no. Whoever asks it can tell from its answers,
//! and turn a share of the requests away at no cost to anybody: [`Throttle`].
//!
//! | Law | Test |
//! |---|---|
//! | Nobody is turned away while `K · accepts` is at least `requests`, or the success rate is at its threshold. | `nobody_is_turned_away_while_enough_is_accepted` |
//! | The chance is that of the published formula; an oracle that keeps every answer agrees. | `the_chance_is_as_published` |
//! | The reference value. | `golden_throttle` |
//! | The chance is never above the highest. | `the_chance_is_never_above_the_highest` |
//! | Below the threshold of requests a second nobody is turned away. | `quiet_times_are_let_through` |
//! | An answer counts for at least nine tenths of the window, and not after the whole. | `the_window_is_forgotten` |
//! | A late `now` is as good as the latest one. | `late_now_is_clamped` |
//! | By the book those turned away count as requests, by Envoy they do not. | `those_turned_away_count_by_the_book` |
//! | In the long run what is sent is at most `K` times what is accepted. | `what_is_sent_follows_what_is_accepted` |
//! | In the gate: every attempt asks, and who is turned away goes on to the next pool. | `whoever_is_turned_away_goes_on` |

mod chance;

pub use chance::{History, Throttle};
