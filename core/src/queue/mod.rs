//! Waiting for an endpoint permit.
//!
//! | Law | Test |
//! |---|---|
//! | First in, first out among those the endpoint may serve. | `fifo_is_fifo` |
//! | Whoever was pushed leaves exactly once: granted, expired or removed. | `everyone_leaves_once` |
//! | Never more waiting than `length`. | `queue_is_bounded` |
//! | It remembers no more than twice those who wait or have yet to come for their permit, and a few. | `memory_is_bounded` |
//! | A thread that is late sees the time of whoever was there last. | `late_now_is_clamped` |

mod fifo;

pub use fifo::{Claim, Full, Place, Removal, WaitQueue, Waiter};

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
