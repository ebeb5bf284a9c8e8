//! Whoever ranks first goes first: by priority, or by deadline.
//!
//! A rank is a number that a waiter brings and keeps; less is sooner, and among equals whoever came first.
//!
//! - `priority`: the tenant's priority, [`rank_of`]. Nobody is called back for a more urgent one: non-preemptive
//!   priority in the words of queueing theory (A. Cobham, *Priority assignment in waiting line problems*, 1954).
//! - `deadline`: the instant by which the request must be answered. Earliest deadline first meets every deadline if
//!   any order does (J. R. Jackson, 1955, for what is all there at once; C. L. Liu and J. W. Layland, 1973).
//!
//! # Where it is wrong
//!
//! Under lasting overload the urgent starve all others, for priorities do not age: bound the urgent with a limit.
//! Earliest deadline first is at its worst when not every deadline can be met: it goes on to serve whoever is most
//! nearly late, and may miss all of them. Combine it with shedding, or with deadlines that are not all hopeless.
//! A full queue takes nobody, however urgent.
//!
//! ```
//! use tollgate_core::policy::Priority;
//! use tollgate_core::queue::rank_of;
//!
//! assert!(rank_of(Priority::High) < rank_of(Priority::Normal));
//! assert!(rank_of(Priority::Normal) < rank_of(Priority::Low));
//! ```

use alloc::collections::BTreeSet;

use super::Place;
use crate::policy::Priority;

/// The rank of a priority: the most urgent is 0.
#[must_use]
pub fn rank_of(priority: Priority) -> u64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

/// Those who wait, by rank and then by arrival. Joining and leaving take the logarithm of how many wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranked {
    waiting: BTreeSet<(u64, Place)>,
}

impl Ranked {
    pub(super) fn join(&mut self, rank: u64, place: Place) {
        self.waiting.insert((rank, place));
    }

    pub(super) fn leave(&mut self, rank: u64, place: Place) {
        self.waiting.remove(&(rank, place));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The first that is `wanted`.
    pub(super) fn next(&self, mut wanted: impl FnMut(Place) -> bool) -> Option<Place> {
        self.waiting
            .iter()
            .map(|(_, place)| *place)
            .find(|place| wanted(*place))
    }
}
