//! The smallest driver: a heap of events around one backend.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tollgate_core::dice::Dice;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{AnyBackend, Backend, BackendSpec, FaultSpec, Job, JobId, Kind, Output, Sent, WakeKey};

/// A backend and its event heap.
pub(crate) struct World {
    pub(crate) backend: AnyBackend,
    pub(crate) now: Instant,
    /// Wake-ups that were delivered.
    pub(crate) wakes: u64,
    /// How often a stream came to another pace.
    pub(crate) repaced: u64,
    pub(crate) out: Vec<Output>,
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    keys: Vec<WakeKey>,
    free: Vec<usize>,
    sequence: u64,
}

/// The shortest time there is.
pub(crate) const NANO: Nanos = Nanos::from_nanos(1);

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) tag: u64,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Event(AttemptEvent),
    Sent(Sent),
}

impl World {
    pub(crate) fn new(spec: &BackendSpec) -> World {
        World {
            backend: AnyBackend::new(spec, Dice::new(1)).expect("a spec in range"),
            now: Instant::EPOCH,
            wakes: 0,
            repaced: 0,
            out: Vec::new(),
            heap: BinaryHeap::new(),
            keys: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }

    /// Delivers every wake-up up to `until`, and moves there.
    pub(crate) fn run_to(&mut self, until: Instant, mut see: impl FnMut(Seen)) {
        loop {
            self.perform(&mut see);
            match self.heap.peek() {
                Some(Reverse((at, _, _))) if *at <= until => {
                    let Reverse((at, _, place)) = self.heap.pop().expect("just seen");
                    self.now = self.now.max(at);
                    self.free.push(place);
                    self.wakes += 1;
                    self.backend.wake(self.now, self.keys[place], &mut self.out);
                }
                _ => break,
            }
        }
        self.now = self.now.max(until);
    }

    pub(crate) fn submit(&mut self, at: Instant, job: Job, mut see: impl FnMut(Seen)) -> JobId {
        self.run_to(at, &mut see);
        let id = self.backend.submit(at, job, &mut self.out);
        self.perform(&mut see);
        id
    }

    pub(crate) fn cancel(&mut self, at: Instant, id: JobId, mut see: impl FnMut(Seen)) {
        self.run_to(at, &mut see);
        self.backend.cancel(at, id, &mut self.out);
        self.perform(&mut see);
    }

    pub(crate) fn inject(&mut self, at: Instant, fault: FaultSpec, mut see: impl FnMut(Seen)) {
        self.run_to(at - NANO, &mut see);
        self.now = at;
        self.backend.inject(at, fault, &mut self.out).expect("in range");
        self.run_to(at, see);
    }

    pub(crate) fn clear(&mut self, at: Instant, mut see: impl FnMut(Seen)) {
        self.run_to(at - NANO, &mut see);
        self.now = at;
        self.backend.clear(at, &mut self.out);
        self.run_to(at, see);
    }

    /// When the next wake-up is due.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Delivers a key of the past or of the future, now.
    pub(crate) fn poke(&mut self, number: usize, mut see: impl FnMut(Seen)) {
        if !self.keys.is_empty() {
            let key = self.keys[number % self.keys.len()];
            self.backend.wake(self.now, key, &mut self.out);
            self.perform(&mut see);
        }
    }

    fn perform(&mut self, see: &mut impl FnMut(Seen)) {
        for output in self.out.drain(..) {
            match output {
                Output::Progress { tag, event } => see(Seen {
                    at: self.now,
                    tag,
                    what: What::Event(event),
                }),
                Output::Answer { tag, usage } => {
                    let open = AttemptEvent::Open {
                        status: 200,
                        code: None,
                        retry_after: None,
                    };
                    let finish = AttemptEvent::Finish { usage };
                    for event in [AttemptEvent::Connected, open, AttemptEvent::FirstToken, finish] {
                        let what = What::Event(event);
                        see(Seen {
                            at: self.now,
                            tag,
                            what,
                        });
                    }
                }
                Output::Sent { tag, sent } => see(Seen {
                    at: self.now,
                    tag,
                    what: What::Sent(sent),
                }),
                Output::Repaced { .. } => self.repaced += 1,
                Output::WakeAt { at, key } => {
                    let place = self.free.pop().unwrap_or_else(|| {
                        self.keys.push(key);
                        self.keys.len() - 1
                    });
                    self.keys[place] = key;
                    self.sequence += 1;
                    self.heap.push(Reverse((at, self.sequence, place)));
                }
            }
        }
    }
}

/// Attempt 0 of request `number`.
pub(crate) fn job(number: u64) -> Job {
    Job {
        tag: number,
        dice: Dice::new(2).request(number),
        attempt: 0,
        input: 600,
        cached: 0,
        output: 101,
        max_output: None,
        stream: true,
        priority: Priority::Normal,
    }
}

pub(crate) fn seconds(secs: f64) -> Instant {
    Instant::EPOCH + Nanos::from_secs_f64(secs)
}

pub(crate) fn constant(value: f64) -> Distribution {
    Distribution::constant(value).expect("in range")
}

/// A backend of this kind, without faults.
pub(crate) fn alone(kind: Kind) -> World {
    World::new(&BackendSpec::new("alone", kind))
}

/// Whatever happens to `tag`, with when.
pub(crate) fn of(tag: u64, seen: &[Seen]) -> Vec<(f64, What)> {
    seen.iter()
        .filter(|seen| seen.tag == tag)
        .map(|seen| (seen.at.as_secs_f64(), seen.what))
        .collect()
}
