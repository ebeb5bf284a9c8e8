//! How a pool picks an endpoint.

use core::num::NonZeroU32;

use crate::balance::Own;
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
    /// How old what it compares may be: loads are as of the last multiple of this. Zero: as of now.
    pub staleness: Nanos,
}

/// The algorithms that pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceKind {
    /// Each in turn.
    RoundRobin,
    /// Each in turn, in proportion to its weight, as nginx does.
    WeightedRoundRobin {
        /// A failure takes this part of an endpoint's weight, for a while; zero: none.
        max_fails: u32,
    },
    /// Any, equally likely.
    Random,
    /// Any, in proportion to its weight.
    WeightedRandom,
    /// The least loaded of all.
    Least,
    /// The least loaded of `choices` distinct ones drawn at random.
    P2c {
        /// How many are drawn; two by default.
        choices: NonZeroU32,
    },
    /// The least loaded of `choices` distinct ones drawn in proportion to their weights.
    WeightedP2c {
        /// How many are drawn; two by default.
        choices: NonZeroU32,
    },
    /// One that a program brought along; no file names it.
    Own(Own),
}

/// What orders endpoints; lower is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadKind {
    /// Attempts in flight.
    InFlight,
    /// Attempts in flight, divided by the weight.
    InFlightPerWeight,
    /// Attempts in flight and one more, divided by the weight: what one more waits where the weight is the rate.
    ExpectedDelay,
    /// Estimated tokens of the attempts in flight, divided by the weight.
    TokenBacklog,
    /// Peak EWMA of latency, times attempts in flight plus one.
    PeakEwma {
        /// The time constant of the average.
        decay: Nanos,
    },
    /// An average of the time to first token.
    Latency,
    /// An average of time, times attempts in flight plus one, divided by the weight.
    Time {
        /// Which time.
        until: Until,
        /// Whether the ages of incomplete attempts are added.
        in_flight: bool,
    },
    /// A high score of latency and free places is a low load.
    Score {
        /// What an average latency of nothing adds to a score; at one millisecond it adds half.
        rtt: f64,
        /// What free places add.
        load: f64,
    },
}

/// What the time of an attempt is measured to, from its launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Its first token.
    FirstToken,
    /// Its last token.
    LastToken,
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

/// How an endpoint that comes back is given its share again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes until it has all of it.
    pub window: Nanos,
    /// One: the share grows evenly; more: faster in the beginning.
    pub aggression: f64,
    /// The share that it has at once, above 0 and at most 1.
    pub min_share: f64,
}

impl BalanceKind {
    /// Whether it compares loads.
    #[must_use]
    pub const fn compares(&self) -> bool {
        match self {
            BalanceKind::Least | BalanceKind::P2c { .. } | BalanceKind::WeightedP2c { .. } | BalanceKind::Own(_) => {
                true
            }
            BalanceKind::RoundRobin
            | BalanceKind::WeightedRoundRobin { .. }
            | BalanceKind::Random
            | BalanceKind::WeightedRandom => false,
        }
    }
}

impl Balance {
    /// Whether the weights of endpoints make a difference.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        let is_compared = match self.load {
            LoadKind::InFlightPerWeight | LoadKind::ExpectedDelay | LoadKind::TokenBacklog | LoadKind::Time { .. } => {
                true
            }
            LoadKind::InFlight | LoadKind::PeakEwma { .. } | LoadKind::Latency | LoadKind::Score { .. } => false,
        };
        match self.kind {
            BalanceKind::WeightedRoundRobin { .. }
            | BalanceKind::WeightedRandom
            | BalanceKind::WeightedP2c { .. }
            | BalanceKind::Own(_) => true,
            BalanceKind::Least | BalanceKind::P2c { .. } => is_compared,
            BalanceKind::RoundRobin | BalanceKind::Random => false,
        }
    }
}
