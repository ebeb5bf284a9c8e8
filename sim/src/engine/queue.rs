//! The event list: a heap, and FIFO lanes beside it for what comes in order anyway.
//!
//! Events of equal instants come out in the order in which they were put in. Most wake-ups of a simulation have
//! one of a few constant lengths; those of one length are due in the order in which they were asked for, and a
//! lane takes them for the price of a ring buffer. An event that would be out of order in its lane goes to the heap.

use std::collections::{BinaryHeap, VecDeque};

use tollgate_core::time::Instant;

/// The event list.
///
/// ```
/// use tollgate_core::time::Instant;
/// use tollgate_sim::engine::Events;
///
/// let mut events = Events::new(1);
/// events.push(Instant::from_nanos(5), "an answer");
/// events.push_lane(0, Instant::from_nanos(3), "an arrival");
/// assert_eq!(events.pop(), Some((Instant::from_nanos(3), "an arrival")));
/// ```
#[derive(Debug)]
pub struct Events<E> {
    heap: BinaryHeap<Entry<E>>,
    /// The heap's top has been taken out, and its place is free for the next that goes in.
    hole: bool,
    lanes: Vec<VecDeque<Entry<E>>>,
    /// The key of each lane's front, and which lanes have one: a bit each.
    fronts: Vec<u128>,
    filled: u32,
    /// The lane whose front is due first, and the key of that front.
    first: (u128, usize),
    sequence: u64,
}

/// An event under its key: its instant, and its place among those that were put in.
#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    key: u128,
    event: E,
}

/// Later than every event.
const NONE: u128 = u128::MAX;

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    #[inline]
    fn partial_cmp(&self, other: &Entry<E>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }

    #[inline]
    fn lt(&self, other: &Entry<E>) -> bool {
        other.key < self.key
    }

    #[inline]
    fn le(&self, other: &Entry<E>) -> bool {
        other.key <= self.key
    }
}

impl<E> Ord for Entry<E> {
    /// Turned around: the heap has its greatest on top.
    #[inline]
    fn cmp(&self, other: &Entry<E>) -> std::cmp::Ordering {
        other.key.cmp(&self.key)
    }
}

impl<E: Copy> Events<E> {
    /// An empty list with `lanes` lanes, at most 32.
    #[must_use]
    pub fn new(lanes: usize) -> Events<E> {
        debug_assert!(lanes <= 32, "a bit for each lane");
        Events {
            heap: BinaryHeap::new(),
            hole: false,
            lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
            fronts: vec![NONE; lanes],
            filled: 0,
            first: (NONE, 0),
            sequence: 0,
        }
    }

    /// Puts an event in.
    #[inline]
    pub fn push(&mut self, at: Instant, event: E) {
        let entry = self.entry(at, event);
        self.push_heap(entry);
    }

    /// Puts an event in that mostly comes in order with others of its lane.
    #[inline]
    pub fn push_lane(&mut self, lane: usize, at: Instant, event: E) {
        let entry = self.entry(at, event);
        match self.lanes[lane].back() {
            Some(last) if at < last.at() => self.push_heap(entry),
            Some(_) => self.lanes[lane].push_back(entry),
            None => {
                self.lanes[lane].push_back(entry);
                self.fronts[lane] = entry.key;
                self.filled |= 1 << lane;
                if entry.key < self.first.0 {
                    self.first = (entry.key, lane);
                }
            }
        }
    }

    /// Takes the next event out.
    #[inline]
    pub fn pop(&mut self) -> Option<(Instant, E)> {
        if self.hole {
            self.hole = false;
            self.heap.pop();
        }
        let top = self.heap.peek();
        let entry = match top {
            Some(top) if top.key < self.first.0 => {
                self.hole = true;
                *top
            }
            Some(_) | None if self.first.0 != NONE => self.pop_lane(self.first.1)?,
            Some(_) | None => return None,
        };
        Some((entry.at(), entry.event))
    }

    /// Places for events, taken or free.
    pub(crate) fn slots(&self) -> usize {
        self.heap.capacity() + self.lanes.iter().map(VecDeque::capacity).sum::<usize>()
    }

    /// Events in `lane`.
    #[must_use]
    #[inline]
    pub fn lane_len(&self, lane: usize) -> usize {
        self.lanes[lane].len()
    }

    /// Forgets the events of `lane` that have lost their meaning.
    pub fn retain_lane(&mut self, lane: usize, keep: impl Fn(&E) -> bool) {
        self.lanes[lane].retain(|entry| keep(&entry.event));
        self.find_first(lane);
    }

    #[inline]
    fn entry(&mut self, at: Instant, event: E) -> Entry<E> {
        self.sequence += 1;
        Entry {
            key: u128::from(at.as_nanos()) << 64 | u128::from(self.sequence),
            event,
        }
    }

    /// Where something has just been taken out, the new entry takes its place: one way through the heap, not two.
    #[inline]
    fn push_heap(&mut self, entry: Entry<E>) {
        if self.hole
            && let Some(mut top) = self.heap.peek_mut()
        {
            self.hole = false;
            *top = entry;
        } else {
            self.heap.push(entry);
        }
    }

    #[inline]
    fn pop_lane(&mut self, lane: usize) -> Option<Entry<E>> {
        let entry = self.lanes[lane].pop_front();
        self.find_first(lane);
        entry
    }

    /// The front of `lane` has changed: which is the first now?
    #[inline]
    fn find_first(&mut self, lane: usize) {
        match self.lanes[lane].front() {
            Some(entry) => self.fronts[lane] = entry.key,
            None => self.filled &= !(1 << lane),
        }
        let mut first = (NONE, 0);
        let mut rest = self.filled;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let key = self.fronts[at];
            if key < first.0 {
                first = (key, at);
            }
        }
        self.first = first;
    }
}

impl<E> Entry<E> {
    #[inline]
    fn at(&self) -> Instant {
        Instant::from_nanos((self.key >> 64) as u64)
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
            while let Some((at, number)) = events.pop() {
                popped.push((at.as_nanos(), number));
            }
            prop_assert_eq!(popped, expected);
        }

        /// The same while events are taken out in between, whose places are used again.
        #[test]
        fn places_are_used_again_in_order(ops in prop::collection::vec((0_u64..20, 0_usize..6), 1..200)) {
            let mut events = Events::new(3);
            let mut expected: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (number, (after, lane)) in ops.iter().enumerate() {
                let at = Instant::from_nanos(now + after);
                match lane {
                    0..3 => events.push_lane(*lane, at, number),
                    3 | 4 => events.push(at, number),
                    _ => {
                        expected.sort_unstable_by_key(|entry| std::cmp::Reverse(*entry));
                        let popped = events.pop().map(|(at, number)| (at.as_nanos(), number));
                        prop_assert_eq!(popped, expected.pop());
                        now = popped.map_or(now, |(at, _)| at);
                        continue;
                    }
                }
                expected.push((now + after, number));
            }
        }
    }
}
