//! What the lanes of a gate have to themselves of a limit: leases, and a count of what is reserved.
//!
//! A lane is a thread that drives requests. It is a number in the request's class: core has no threads, and the same
//! requests in the same lanes are decided alike on one thread. A request is settled in the lane that it began in;
//! two threads in one lane only wait for each other.

use alloc::boxed::Box;
use core::num::{NonZeroU16, NonZeroU32};

use crate::id::{KeyHash, Lane};
use crate::limit::Lease;
use crate::memory::{Guarded, Memory, Slot, Table};
use crate::time::Instant;
use crate::usage::Cost;

/// The lanes of one limit.
pub(super) struct Lanes<M: Memory> {
    lanes: Box<[OwnLane<M>]>,
}

/// One lane, on cache lines of its own so that neighbors do not slow each other down.
#[repr(align(128))]
struct OwnLane<M: Memory> {
    /// Units charged on an estimate and not settled yet, of all keys.
    reserved: M::Word<u64>,
    leases: M::Block<Table<Lease>>,
}

impl<M: Memory> Lanes<M> {
    /// So many lanes, each with leases of no more than `max_keys` keys.
    pub(super) fn new(lanes: NonZeroU16, max_keys: NonZeroU32) -> Lanes<M> {
        let lane = |_| OwnLane {
            reserved: Slot::new(0),
            leases: Guarded::new(Table::new(max_keys)),
        };
        Lanes {
            lanes: (0..lanes.get()).map(lane).collect(),
        }
    }

    #[inline]
    fn lane(&self, lane: Lane) -> &OwnLane<M> {
        &self.lanes[usize::from(lane.0) % self.lanes.len()]
    }

    /// Counts what was charged on an estimate.
    #[inline]
    pub(super) fn reserve(&self, lane: Lane, cost: Cost) {
        let reserved = &self.lane(lane).reserved;
        reserved.update(|reserved| *reserved = reserved.saturating_add(cost));
    }

    /// It was settled.
    #[inline]
    pub(super) fn release(&self, lane: Lane, cost: Cost) {
        self.lane(lane).reserved.update(|reserved| {
            debug_assert!(cost <= *reserved, "what is given back was reserved");
            *reserved = reserved.saturating_sub(cost);
        });
    }

    /// What all lanes have charged on estimates.
    pub(super) fn reserved(&self) -> Cost {
        let reserved = self.lanes.iter().map(|lane| lane.reserved.read(|reserved| *reserved));
        reserved.fold(0, Cost::saturating_add)
    }

    /// Uses the lease of `key`; gives `f` back if there is no room for one.
    ///
    /// The lane is used by nobody else meanwhile. `f` may use the table of keys, which never uses a lane.
    #[inline]
    pub(super) fn with<R, F: FnOnce(&mut Lease) -> R>(&self, lane: Lane, key: KeyHash, f: F) -> Result<R, F> {
        self.lane(lane)
            .leases
            .with(|leases| leases.update(key, Lease::is_spent, f))
    }

    /// Units of `key` that the lane can spend.
    pub(super) fn units(&self, lane: Lane, key: KeyHash, now: Instant) -> Cost {
        let leases = &self.lane(lane).leases;
        leases.with(|leases| leases.read(key, |lease| lease.units(now)))
    }

    /// Ends what has ended, and hands what was left over to `back`.
    pub(super) fn end(&self, now: Instant, mut back: impl FnMut(KeyHash, Cost)) {
        for lane in &self.lanes {
            lane.leases.with(|leases| {
                leases.each(|key, lease| {
                    let units = lease.end(now);
                    if units != 0 {
                        back(key, units);
                    }
                });
                leases.forget(&Lease::is_spent);
            });
        }
    }
}
