//! The floor: the model written by hand, with nothing that the model does not need.
//!
//! One heap of `u128` keys, each an instant, a sequence number and the slot of a request; a slab; eight queues; a
//! histogram. No lifecycle, no effects, no timeouts, no bookkeeping: what is lost against it is what the generality of
//! the simulator costs. With [`Sequential`](crate::draws::Sequential) draws it shares nothing with the simulator but the
//! crate of the histogram; with [`Keyed`](crate::draws::Keyed) ones it has the simulator's dice, and so its answers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hdrhistogram::Histogram;
use tollgate_core::time::Nanos;

use crate::draws::Draws;
use crate::model;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Requests that arrived.
    pub offered: u64,
    /// Those that the limit refused.
    pub refused: u64,
    /// Those that were answered.
    pub completed: u64,
    /// Those that were given up.
    pub failed: u64,
    /// From arrival to answer, in nanoseconds.
    pub latency: Histogram<u64>,
    /// The sum of these.
    pub total: u128,
    /// Events that were handled.
    pub events: u64,
}

impl Answers {
    /// The mean latency in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean, read to four digits")]
    pub fn mean(&self) -> f64 {
        self.total as f64 / self.completed as f64 / 1e9
    }

    /// The share of requests that were refused.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, read to four digits")]
    pub fn refused_share(&self) -> f64 {
        self.refused as f64 / self.offered as f64
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    arrived: u64,
    number: u64,
    attempt: u32,
    /// Where it is served; [`BACKS_OFF`] if it is not.
    backend: u32,
}

struct Floor<D> {
    draws: D,
    heap: BinaryHeap<Reverse<u128>>,
    sequence: u64,
    slab: Vec<Request>,
    free: Vec<u32>,
    in_flight: [u32; N],
    queues: [VecDeque<u32>; N],
}

const N: usize = model::BACKENDS as usize;
const SLOT_BITS: u32 = 24;
const ARRIVAL: u32 = (1 << SLOT_BITS) - 1;
const BACKS_OFF: u32 = u32::MAX;

/// Runs the model for `requests` requests, and then until it is empty.
///
/// # Panics
///
/// Never: the bounds of the histogram are constant.
#[must_use]
pub fn run<D: Draws>(seed: u64, requests: u64) -> Answers {
    let mut floor = Floor {
        draws: D::new(seed),
        heap: BinaryHeap::new(),
        sequence: 0,
        slab: Vec::new(),
        free: Vec::new(),
        in_flight: [0; N],
        queues: [const { VecDeque::new() }; N],
    };
    floor.run(requests)
}

impl<D: Draws> Floor<D> {
    fn run(&mut self, requests: u64) -> Answers {
        const WEEK: u64 = 7 * 24 * 3600 * 1_000_000_000;
        let mut answers = Answers {
            offered: 0,
            refused: 0,
            completed: 0,
            failed: 0,
            latency: Histogram::new_with_bounds(1, WEEK, 3).expect("constant bounds that it takes"),
            total: 0,
            events: 0,
        };
        // The limit, in nanoseconds: when the next request may come at the earliest, and how early is early enough.
        let (mut tat, period) = (0.0_f64, 1e9 / limit(model::LIMIT));
        let tolerance = period * limit(model::BURST - 1);
        let mut clock = self.draws.gap(0);
        self.push(whole(clock), ARRIVAL);
        while let Some(Reverse(key)) = self.heap.pop() {
            answers.events += 1;
            let (now, slot) = unpack(key);
            if slot == ARRIVAL {
                let number = answers.offered;
                answers.offered += 1;
                if answers.offered < requests {
                    clock += self.draws.gap(answers.offered);
                    self.push(whole(clock), ARRIVAL);
                }
                let at = float(now);
                if at + tolerance < tat {
                    answers.refused += 1;
                    continue;
                }
                tat = tat.max(at) + period;
                let slot = self.insert(now, number);
                self.dispatch(now, slot);
                continue;
            }
            let request = self.slab[slot as usize];
            if request.backend == BACKS_OFF {
                self.dispatch(now, slot);
                continue;
            }
            self.leave(now, request.backend as usize);
            if !self.draws.fails(request.number, request.attempt) {
                let latency = now - request.arrived;
                answers.latency.saturating_record(latency);
                answers.total += u128::from(latency);
                answers.completed += 1;
                self.free.push(slot);
            } else if request.attempt + 1 < u32::from(model::ATTEMPTS) {
                let retry = request.attempt;
                let longest = model::BACKOFF.as_nanos() << retry;
                let at = now + self.draws.backoff(request.number, retry, longest);
                self.slab[slot as usize].attempt += 1;
                self.slab[slot as usize].backend = BACKS_OFF;
                self.push(at, slot);
            } else {
                answers.failed += 1;
                self.free.push(slot);
            }
        }
        answers
    }

    /// The less loaded of two takes it.
    #[inline]
    fn dispatch(&mut self, now: u64, slot: u32) {
        let Request { number, attempt, .. } = self.slab[slot as usize];
        let (one, other) = self.draws.two(number, attempt, u32::from(model::BACKENDS));
        let less = self.in_flight[other as usize] < self.in_flight[one as usize];
        let backend = if less { other } else { one };
        self.slab[slot as usize].backend = backend;
        self.in_flight[backend as usize] += 1;
        if self.in_flight[backend as usize] <= model::SERVERS {
            self.serve(now, slot);
        } else {
            self.queues[backend as usize].push_back(slot);
        }
    }

    #[inline]
    fn serve(&mut self, now: u64, slot: u32) {
        let Request { number, attempt, .. } = self.slab[slot as usize];
        let service = self.draws.service(number, attempt);
        self.push(now + service, slot);
    }

    /// An attempt is over: the next one is served.
    #[inline]
    fn leave(&mut self, now: u64, backend: usize) {
        self.in_flight[backend] -= 1;
        if let Some(next) = self.queues[backend].pop_front() {
            self.serve(now, next);
        }
    }

    #[inline]
    fn insert(&mut self, now: u64, number: u64) -> u32 {
        let request = Request {
            arrived: now,
            number,
            attempt: 0,
            backend: 0,
        };
        if let Some(slot) = self.free.pop() {
            self.slab[slot as usize] = request;
            return slot;
        }
        self.slab.push(request);
        u32::try_from(self.slab.len() - 1).expect("a few hundred at once")
    }

    #[inline]
    fn push(&mut self, at: u64, slot: u32) {
        self.sequence += 1;
        let key = u128::from(at) << 64 | u128::from(self.sequence) << SLOT_BITS | u128::from(slot);
        self.heap.push(Reverse(key));
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes the parts of a key apart")]
fn unpack(key: u128) -> (u64, u32) {
    ((key >> 64) as u64, key as u32 & ARRIVAL)
}

/// Nanoseconds fit 53 bits for 104 days.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "exact in runs of less than 104 days")]
fn float(nanos: u64) -> f64 {
    nanos as f64
}

#[inline]
fn whole(nanos: f64) -> u64 {
    Nanos::from_secs_f64(nanos * 1e-9).as_nanos()
}

fn limit(number: u64) -> f64 {
    float(number)
}
