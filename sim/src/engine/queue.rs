//! The event list: a heap, and FIFO lanes beside it for what comes in order anyway.
//!
//! Events of equal instants come out in the order in which they were put in. Most wake-ups of a simulation have
//! one of a few constant lengths; those of one length are due in the order in which they were asked for, and a
//! lane takes them for the price of a ring buffer. An event that would be out of order in its lane goes to the heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use tollgate_core::time::Instant;

/// The event list.
#[derive(Debug)]
pub(crate) struct Events<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    lanes: Vec<VecDeque<Entry<E>>>,
    /// The lane whose front is due first, with the key of that front.
    first: Option<(Key, usize)>,
    sequence: u64,
}

type Key = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    at: u64,
    sequence: u64,
    event: E,
}

impl<E> Entry<E> {
    #[inline]
    fn key(&self) -> Key {
        (self.at, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    #[inline]
    fn cmp(&self, other: &Entry<E>) -> std::cmp::Ordering {
        let wide = |entry: &Entry<E>| u128::from(entry.at) << 64 | u128::from(entry.sequence);
        wide(self).cmp(&wide(other))
    }
}

impl<E: Copy> Events<E> {
    /// An empty list with `lanes` lanes.
    pub(crate) fn new(lanes: usize) -> Events<E> {
        Events {
            heap: BinaryHeap::new(),
            lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
            first: None,
            sequence: 0,
        }
    }

    /// Puts an event in.
    #[inline]
    pub(crate) fn push(&mut self, at: Instant, event: E) {
        let entry = self.entry(at, event);
        self.heap.push(Reverse(entry));
    }

    /// Puts an event in that mostly comes in order with others of its lane.
    #[inline]
    pub(crate) fn push_lane(&mut self, lane: usize, at: Instant, event: E) {
        let entry = self.entry(at, event);
        match self.lanes[lane].back() {
            Some(last) if entry.at < last.at => self.heap.push(Reverse(entry)),
            Some(_) => self.lanes[lane].push_back(entry),
            None => {
                self.lanes[lane].push_back(entry);
                if self.first.is_none_or(|(key, _)| entry.key() < key) {
                    self.first = Some((entry.key(), lane));
                }
            }
        }
    }

    /// Takes the next event out.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Instant, E)> {
        let heap = self.heap.peek().map(|Reverse(entry)| entry.key());
        let entry = match (heap, self.first) {
            (Some(key), Some((lane, at))) if lane < key => self.pop_lane(at),
            (None, Some((_, at))) => self.pop_lane(at),
            (Some(_), _) => self.heap.pop().map(|Reverse(entry)| entry),
            (None, None) => None,
        }?;
        Some((Instant::from_nanos(entry.at), entry.event))
    }

    /// When the next event is due.
    #[cfg(test)]
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let heap = self.heap.peek().map(|Reverse(entry)| entry.at);
        let lane = self.first.map(|((at, _), _)| at);
        let next = match (heap, lane) {
            (Some(heap), Some(lane)) => Some(heap.min(lane)),
            (one, other) => one.or(other),
        };
        next.map(Instant::from_nanos)
    }

    /// Places for events, taken or free.
    pub(crate) fn slots(&self) -> usize {
        self.heap.capacity() + self.lanes.iter().map(VecDeque::capacity).sum::<usize>()
    }

    /// Events in `lane`.
    #[inline]
    pub(crate) fn lane_len(&self, lane: usize) -> usize {
        self.lanes[lane].len()
    }

    /// Forgets the events of `lane` that have lost their meaning.
    pub(crate) fn retain_lane(&mut self, lane: usize, keep: impl Fn(&E) -> bool) {
        self.lanes[lane].retain(|entry| keep(&entry.event));
        self.find_first();
    }

    #[inline]
    fn entry(&mut self, at: Instant, event: E) -> Entry<E> {
        self.sequence += 1;
        Entry {
            at: at.as_nanos(),
            sequence: self.sequence,
            event,
        }
    }

    #[inline]
    fn pop_lane(&mut self, lane: usize) -> Option<Entry<E>> {
        let entry = self.lanes[lane].pop_front();
        self.find_first();
        entry
    }

    #[inline]
    fn find_first(&mut self) {
        let mut first: Option<(Key, usize)> = None;
        for (at, lane) in self.lanes.iter().enumerate() {
            if let Some(entry) = lane.front()
                && first.is_none_or(|(key, _)| entry.key() < key)
            {
                first = Some((entry.key(), at));
            }
        }
        self.first = first;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever goes where: events come out by time, equal times in the order in which they went in.
        #[test]
        fn first_in_first_out_at_equal_times(ops in prop::collection::vec((0_u64..20, 0_usize..4), 1..200)) {
            let mut events = Events::new(3);
            let mut expected: Vec<(u64, usize)> = Vec::new();
            for (number, (at, lane)) in ops.iter().enumerate() {
                if *lane < 3 {
                    events.push_lane(*lane, Instant::from_nanos(*at), number);
                } else {
                    events.push(Instant::from_nanos(*at), number);
                }
                expected.push((*at, number));
            }
            expected.sort_unstable();
            let mut popped = Vec::new();
            while let Some(due) = events.next_at() {
                let (at, number) = events.pop().expect("an event is due");
                prop_assert_eq!(due, at);
                popped.push((at.as_nanos(), number));
            }
            prop_assert_eq!(popped, expected);
        }
    }
}
