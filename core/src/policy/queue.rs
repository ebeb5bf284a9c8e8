//! Who waits for a pool, in which order, and who is sent away for waiting too long.

use core::num::NonZeroU32;

use crate::time::Nanos;
use crate::usage::{Cost, Estimate};

/// Who may wait for an endpoint permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueShape {
    /// Who is next.
    pub order: Order,
    /// Most requests waiting; 0: nobody waits.
    pub length: u32,
    /// The longest wait.
    pub wait: Nanos,
    /// Who is shed because the queue does not get shorter.
    pub shedding: Shedding,
}

impl QueueShape {
    /// First come, first served, and nobody is shed.
    #[must_use]
    pub const fn fifo(length: u32, wait: Nanos) -> QueueShape {
        QueueShape {
            order: Order::Fifo,
            length,
            wait,
            shedding: Shedding::Never,
        }
    }
}

/// Who is next when a permit comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Who came first.
    #[default]
    Fifo,
    /// Who came last.
    Lifo,
    /// Who came first; once the queue has not been empty for `after`, who came last.
    AdaptiveLifo {
        /// How long.
        after: Nanos,
    },
    /// The most urgent tenant's; among equals who came first.
    Priority,
    /// Whose deadline comes first.
    Deadline,
    /// Tenants in turn, each with so many tokens a round times its weight.
    Deficit {
        /// Tokens a round of a tenant of weight 1.
        quantum: NonZeroU32,
        /// Tokens assumed of an answer whose request names no maximum.
        output_default: u32,
    },
    /// The tenant that has been served least for its weight.
    Vtc {
        /// Tokens assumed of an answer whose request names no maximum, until it is complete.
        output_default: u32,
    },
}

impl Order {
    /// Whether it counts what tenants were served, waiting or not.
    #[must_use]
    #[inline]
    pub const fn counts(&self) -> bool {
        match self {
            Order::Vtc { .. } => true,
            Order::Fifo
            | Order::Lifo
            | Order::AdaptiveLifo { .. }
            | Order::Priority
            | Order::Deadline
            | Order::Deficit { .. } => false,
        }
    }

    /// What a request with this `estimate` costs its tenant in a fair order; nothing in the others.
    #[must_use]
    pub fn cost(&self, estimate: Estimate) -> Cost {
        match self {
            Order::Fifo | Order::Lifo | Order::AdaptiveLifo { .. } | Order::Priority | Order::Deadline => 0,
            Order::Deficit { output_default, .. } => estimate.or(*output_default).total(),
            Order::Vtc { output_default } => crate::queue::vtc_cost(estimate.or(*output_default)),
        }
    }
}

/// Who is shed because the queue does not get shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shedding {
    /// Nobody.
    #[default]
    Never,
    /// One now and then, more often the longer waits stay above `target`.
    CoDel {
        /// A wait that is worth having.
        target: Nanos,
        /// How long waits may be above it.
        interval: Nanos,
    },
    /// Whoever waits longer than `interval`; than `target`, if the queue had not been empty for `interval` when it came.
    ControlledDelay {
        /// The longest wait in a standing queue.
        target: Nanos,
        /// The longest wait in a burst.
        interval: Nanos,
    },
}

/// A tenant's share of a fair queue, in thousandths: exact, where a fraction would be rounded again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU32);

impl Weight {
    /// The weight of whoever is given none.
    pub const ONE: Weight = Weight(NonZeroU32::new(1_000).expect("not zero"));

    /// So many thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: NonZeroU32) -> Weight {
        Weight(thousandths)
    }

    /// In thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u32 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight::ONE
    }
}
