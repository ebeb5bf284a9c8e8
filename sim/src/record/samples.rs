//! Requests kept whole: the same ones under every strategy, chosen by a hash of their number.

use std::collections::BinaryHeap;

use tollgate_core::id::KeyHash;
use tollgate_core::lifecycle::Outcome;

/// A request kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The number of its call.
    pub number: u64,
    /// Its tenant.
    pub tenant: u32,
    /// Its record.
    pub outcome: Outcome,
}

/// The requests whose hash is smallest.
#[derive(Debug)]
pub(super) struct Samples {
    most: usize,
    heap: BinaryHeap<Ranked>,
}

#[derive(Debug)]
struct Ranked(u64, Sample);

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Ranked {
    /// Requests of one call have one hash; the earlier comes first.
    fn rank(&self) -> (u64, u64) {
        (self.0, self.1.outcome.arrived.as_nanos())
    }
}

impl Samples {
    pub(super) fn new(most: usize) -> Samples {
        Samples {
            most,
            heap: BinaryHeap::new(),
        }
    }

    #[inline]
    pub(super) fn offer(&mut self, number: u64, tenant: u32, outcome: &Outcome) {
        if self.most == 0 {
            return;
        }
        let hash = KeyHash::of(0, [number.to_le_bytes().as_slice()]).0;
        let sample = Sample {
            number,
            tenant,
            outcome: *outcome,
        };
        self.heap.push(Ranked(hash, sample));
        if self.most < self.heap.len() {
            self.heap.pop();
        }
    }

    /// The samples, in the order of their arrival.
    pub(super) fn into_vec(self) -> Vec<Sample> {
        let mut list: Vec<Sample> = self.heap.into_iter().map(|ranked| ranked.1).collect();
        list.sort_by_key(|sample| (sample.outcome.arrived, sample.number));
        list
    }
}
