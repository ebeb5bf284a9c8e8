//! How a pool picks an endpoint.

use core::num::NonZeroU32;

use crate::time::Nanos;

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// The algorithm.
    pub kind: BalanceKind,
    /// What it compares, if it compares.
    pub load: LoadKind,
    /// Which of equal loads wins.
    pub ties: Ties,
}

/// The algorithms that pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceKind {
    /// Each in turn.
    RoundRobin,
    /// Any, equally likely.
    Random,
    /// The least loaded of all.
    LeastInFlight,
    /// The least loaded of `choices` distinct ones drawn at random.
    P2c {
        /// How many are drawn; two by default.
        choices: NonZeroU32,
    },
}

/// What orders endpoints; lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// Attempts in flight.
    InFlight,
    /// Peak EWMA of latency, times attempts in flight plus one.
    PeakEwma {
        /// The time constant of the average.
        decay: Nanos,
    },
}

/// Which of equal loads wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// Any, equally likely.
    #[default]
    Random,
    /// The one seen first.
    First,
}
