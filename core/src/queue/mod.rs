//! Waiting for an endpoint permit: who is next, and who is sent away.
//!
//! | Law | Test |
//! |---|---|
//! | First in, first out among those the endpoint may serve. | `fifo_is_fifo` |
//! | Last in, first out; adaptively, once the queue has stood for long enough. | `lifo_is_lifo`, `adaptive_lifo_turns_round` |
//! | The most urgent first, first in, first out within a priority. | `priority_goes_by_rank` |
//! | The earliest deadline first. | `deadline_goes_by_deadline` |
//! | Whoever was pushed leaves exactly once: granted, expired, shed or removed. | `everyone_leaves_once` |
//! | A permit is handed over if anybody waits who can use it, in every order. | `orders_conserve_work` |
//! | Never more waiting than `length`. | `queue_is_bounded` |
//! | It remembers no more than twice those who wait or have yet to come for their permit, and a few; and one counter a tenant. | `memory_is_bounded` |
//! | A thread that is late sees the time of whoever was there last. | `late_now_is_clamped` |
//! | Deficit: two tenants who always wait are served alike for their weights, within a quantum and the largest cost each. | `deficit_is_fair` |
//! | Deficit: it is the round robin of the paper, step by step. | `deficit_is_the_papers` |
//! | VTC: two tenants who always wait are served alike for their weights, within twice the largest cost. | `vtc_is_fair` |
//! | VTC: whoever was away has saved up nothing and owes nothing; what is trued up was never counted. | `vtc_lifts`, `vtc_trues_up` |
//! | First come, first served is not fair: a tenant that sends more gets more. | `fifo_is_not_fair` |
//! | `CoDel`: a queue whose waits are below the target, or in which hardly anybody waits, sheds nobody. | `codel_lets_short_queues_be` |
//! | `CoDel`: while shedding, the nth follows the one before after interval / √n. | `codel_spaces_by_the_root`, `codel_golden` |
//! | `CoDel`: it is the pseudocode of the RFC, step by step. | `codel_is_the_rfcs` |
//! | Controlled delay: nobody is granted a permit who has waited longer than he may; nobody else is shed. | `controlled_delay_bounds_waits` |

mod codel;
mod controlled_delay;
mod deficit;
mod line;
mod ranked;
mod vtc;
mod wait;

pub use codel::{CoDel, CoDelState, Pass};
pub use controlled_delay::ControlledDelay;
pub use ranked::rank_of;
pub use vtc::vtc_cost;
pub use wait::{Claim, Full, Place, Removal, WaitQueue, Waiter};

use crate::health::ProbeSlot;
use crate::id::EndpointId;

/// The right to have one attempt in flight on an endpoint; it must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Where.
    pub endpoint: EndpointId,
    /// The place of a half-open breaker's probe, if the attempt is one.
    pub probe: Option<ProbeSlot>,
}
