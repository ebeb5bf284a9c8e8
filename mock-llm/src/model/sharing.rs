//! Processor sharing in virtual time.
//!
//! Everybody present has been served at the same rate, so one clock is enough: it shows the service that a job would
//! have had if it had been there from the beginning, and a job is done when the clock has gone forward by its service.
//! A change of how many share changes the clock's speed and no job. The clock counts 2^-32 of a nanosecond, is rounded
//! down once per change, and starts again whenever nobody is there: it does not drift.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tollgate_core::time::{Instant, Nanos};

use super::slab::Slab;
use super::{JobId, Output, WakeKey};

/// Jobs that share the servers.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    servers: u128,
    /// In parts of 2^-16.
    slowdown: u128,
    sharers: u128,
    clock: u128,
    since: Instant,
    /// Who is done next; entries of jobs that have left are skipped.
    heap: BinaryHeap<Reverse<Turn>>,
    /// Keeps jobs with the same end in order of arrival.
    arrivals: u64,
    stamp: u32,
    armed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    done: u128,
    arrival: u64,
    slot: u32,
    generation: u32,
}

const CLOCK_BITS: u32 = 32;
const SLOWDOWN_BITS: u32 = 16;

impl Sharing {
    pub(super) fn new(servers: u32) -> Sharing {
        Sharing {
            servers: u128::from(servers),
            slowdown: 1 << SLOWDOWN_BITS,
            sharers: 0,
            clock: 0,
            since: Instant::EPOCH,
            heap: BinaryHeap::new(),
            arrivals: 0,
            stamp: 0,
            armed: None,
        }
    }

    pub(super) fn join(&mut self, now: Instant, id: JobId, service: Nanos) {
        self.move_to(now);
        self.sharers += 1;
        self.arrivals += 1;
        let done = self.clock.saturating_add(u128::from(service.as_nanos()) << CLOCK_BITS);
        self.heap.push(Reverse(Turn {
            done,
            arrival: self.arrivals,
            slot: id.slot,
            generation: id.generation,
        }));
    }

    /// Somebody leaves, done or not; whoever was not done is forgotten by `jobs`, now or by the end of the call.
    pub(super) fn leave<T>(&mut self, now: Instant, jobs: &Slab<T>) {
        self.move_to(now);
        self.sharers -= 1;
        if self.sharers == 0 {
            self.heap.clear();
            self.clock = 0;
        } else if 16 + 2 * self.sharers < self.heap.len() as u128 {
            self.heap.retain(|Reverse(turn)| jobs.find(turn.id()).is_some());
        }
    }

    /// Who is done by `now`, one at a time; the caller lets it leave.
    pub(super) fn done<T>(&mut self, now: Instant, jobs: &Slab<T>) -> Option<u32> {
        let turn = self.next(jobs)?;
        if turn.done <= self.clock_at(now) {
            self.heap.pop();
            Some(turn.slot)
        } else {
            None
        }
    }

    pub(super) fn set_slowdown(&mut self, now: Instant, factor: f64) {
        self.move_to(now);
        self.slowdown = fixed_point(factor);
    }

    /// Asks to be woken when the next job is done, unless an earlier wake-up is on its way.
    pub(super) fn arm<T>(&mut self, slot: u32, jobs: &Slab<T>, out: &mut Vec<Output>) {
        let Some(turn) = self.next(jobs) else {
            return;
        };
        let ahead = turn
            .done
            .saturating_sub(self.clock)
            .saturating_mul(self.sharers * self.slowdown);
        let share = self.servers.min(self.sharers) << SLOWDOWN_BITS;
        let nanos = ahead.div_ceil(share << CLOCK_BITS);
        let at = self.since + Nanos::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if at.is_far() || self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.stamp = self.stamp.wrapping_add(1);
        self.armed = Some(at);
        out.push(Output::WakeAt {
            at,
            key: WakeKey {
                slot,
                stamp: self.stamp,
            },
        });
    }

    /// A wake-up has come.
    pub(super) fn woken(&mut self, key: WakeKey) {
        if key.stamp == self.stamp {
            self.armed = None;
        }
    }

    /// Makes `now` the instant that the clock is counted from. Only a change of its speed does: to look at it in between
    /// must not change where it is rounded.
    fn move_to(&mut self, now: Instant) {
        self.clock = self.clock_at(now);
        self.since = self.since.max(now);
    }

    fn clock_at(&self, now: Instant) -> u128 {
        if self.sharers == 0 {
            return self.clock;
        }
        let passed = u128::from(now.since(self.since).as_nanos()) << CLOCK_BITS;
        let share = self.servers.min(self.sharers) << SLOWDOWN_BITS;
        self.clock
            .saturating_add(passed.saturating_mul(share) / (self.sharers * self.slowdown))
    }

    fn next<T>(&mut self, jobs: &Slab<T>) -> Option<Turn> {
        while let Some(Reverse(turn)) = self.heap.peek() {
            if jobs.find(turn.id()).is_some() {
                return Some(*turn);
            }
            self.heap.pop();
        }
        None
    }
}

impl Turn {
    fn id(&self) -> JobId {
        JobId {
            slot: self.slot,
            generation: self.generation,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a factor of at least 1; huge ones saturate"
)]
fn fixed_point(factor: f64) -> u128 {
    u128::from((factor * f64::from(1_u32 << SLOWDOWN_BITS) + 0.5) as u64)
}
