//! The state of everything that is shared, for people, plots and laws.

use alloc::vec::Vec;

use crate::time::Instant;

/// The state of a gate at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Each endpoint, in the policy's order.
    pub endpoints: Vec<EndpointSnapshot>,
    /// How many requests wait, per pool.
    pub waiting: Vec<u32>,
    /// How many keys are remembered, per limit.
    pub keys: Vec<usize>,
}

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndpointSnapshot {
    /// Open attempts and permits on their way to one.
    pub in_flight: u32,
    /// Until when it is ejected for failing; the epoch if it is not.
    pub ejected_until: Instant,
    /// Until when its quota scope is left alone.
    pub cooling_until: Instant,
}
