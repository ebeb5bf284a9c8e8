//! Between gateway and backends: attempts on their way there, tokens on their way back.

use tollgate_core::fault::Fault;
use tollgate_core::id::{AttemptId, EndpointId};
use tollgate_core::lifecycle::{AttemptEvent, Input, Phase};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_mock_llm::model::{AnyBackend, Backend, Job, JobId, Output, WakeKey};

use super::{Engine, Event, JobRef, Key, LANE_BACK, LANE_OUT};
use crate::record::{BackendLoad, Observer, Stopped};

/// Something under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parcel {
    /// An attempt, to its backend.
    Job { life: Key, attempt: AttemptId },
    /// The word that it is not needed any more.
    Cancel { backend: u16, job: JobId },
    /// What a backend says.
    Said {
        life: Key,
        attempt: AttemptId,
        event: AttemptEvent,
    },
    /// Word to or from the store of shared limits.
    Store(super::store::Letter),
}

impl<O: Observer> Engine<'_, O> {
    /// Starts an attempt.
    pub(super) fn launch(&mut self, key: Key, attempt: AttemptId, endpoint: EndpointId) {
        self.recorder.launched(endpoint, self.now);
        let network = &self.plan.network;
        let Some(life) = self.lives.find(key) else {
            return;
        };
        let slot = life.jobs.iter_mut().find(|slot| slot.is_none());
        *slot.expect("the lifecycle bounds attempts at once") = Some(JobRef {
            attempt,
            endpoint,
            job: None,
            connected: false,
            seen: 0,
        });
        let dice = life.lifecycle.dice();
        let number = 4 * u32::from(attempt.0);
        let way = network.gateway_overhead.draw(dice, number + 100) + network.gateway_to_backend.draw(dice, number);
        if way == Nanos::ZERO {
            self.submit(key, attempt);
        } else {
            self.send(LANE_OUT, way, Parcel::Job { life: key, attempt });
        }
    }

    /// Stops an attempt.
    pub(super) fn cancel(&mut self, key: Key, attempt: AttemptId, fault: Option<Fault>) {
        let now = self.now;
        let Some(life) = self.lives.find(key) else {
            return;
        };
        let Some(slot) = life.jobs.iter_mut().find(|slot| is_of(slot.as_ref(), attempt)) else {
            return;
        };
        let Some(reference) = slot.take() else {
            return;
        };
        let (dice, phase, asked) = (life.lifecycle.dice(), life.lifecycle.phase(), life.asked);
        let backend = self.plan.backend_of[reference.endpoint.index()];
        let sent = reference
            .job
            .and_then(|job| self.backends[usize::from(backend)].progress(now, job));
        let stopped = Stopped {
            fault,
            sent: Usage {
                input: asked.prompt,
                output: sent.map_or(0, |sent| sent.tokens),
            },
            wasted: fault.is_some() || phase != Phase::Settled,
        };
        self.recorder
            .cancelled(self.plan, reference.endpoint, asked.tenant, stopped, now);
        if let Some(job) = reference.job {
            let way = self
                .plan
                .network
                .gateway_to_backend
                .draw(dice, 4 * u32::from(attempt.0) + 1);
            if way == Nanos::ZERO {
                self.cancel_job(backend, job);
            } else {
                self.send(LANE_OUT, way, Parcel::Cancel { backend, job });
            }
        }
    }

    /// What was under way has come.
    pub(super) fn unpack(&mut self, parcel: Key) {
        match self.parcels.remove(parcel) {
            Some(Parcel::Job { life, attempt }) => self.submit(life, attempt),
            Some(Parcel::Cancel { backend, job }) => self.cancel_job(backend, job),
            Some(Parcel::Said { life, attempt, event }) => self.hear(life, attempt, event),
            Some(Parcel::Store(letter)) => self.open(letter),
            None => {}
        }
    }

    pub(super) fn wake_backend(&mut self, backend: u16, key: WakeKey) {
        self.backends[usize::from(backend)].wake(self.now, key, &mut self.outputs);
        self.collect(backend);
    }

    /// Delivers what has been sent so far and no event has told yet, so that a timer is judged by the truth.
    pub(super) fn deliver_progress(&mut self, key: Key) {
        for slot in 0..3 {
            let Some(life) = self.lives.find(key) else {
                return;
            };
            let Some(reference) = life.jobs[slot] else {
                continue;
            };
            let Some(job) = reference.job else {
                continue;
            };
            let dice = life.lifecycle.dice();
            let way = self
                .plan
                .network
                .gateway_to_backend
                .draw(dice, 4 * u32::from(reference.attempt.0) + 2);
            let backend = &self.backends[usize::from(self.plan.backend_of[reference.endpoint.index()])];
            let Some(sent) = backend.progress(self.now - way, job) else {
                continue;
            };
            let id = reference.attempt;
            if sent.connected && !reference.connected {
                let event = AttemptEvent::Connected;
                life.lifecycle
                    .handle(&self.gate, self.now, Input::Attempt { id, event }, &mut self.effects);
            }
            // The first token has an event of its own.
            let news = sent.tokens.saturating_sub(reference.seen);
            let tokens = 0 < reference.seen && 0 < news;
            if tokens {
                let event = AttemptEvent::Tokens { count: news };
                let at = (sent.last + way).min(self.now);
                life.lifecycle
                    .handle(&self.gate, at, Input::Attempt { id, event }, &mut self.effects);
            }
            if let Some(reference) = &mut life.jobs[slot] {
                reference.connected |= sent.connected;
                reference.seen += if tokens { news } else { 0 };
            }
            self.perform(Some(key));
        }
    }

    /// An attempt reaches its backend.
    fn submit(&mut self, key: Key, attempt: AttemptId) {
        let Some(life) = self.lives.find(key) else {
            return;
        };
        let Some(reference) = life.jobs.iter_mut().flatten().find(|job| job.attempt == attempt) else {
            return;
        };
        let backend = self.plan.backend_of[reference.endpoint.index()];
        let call = &life.asked;
        // As the route has adjusted it.
        let most = life.lifecycle.request().estimate.output;
        let job = Job {
            tag: tag(key, attempt),
            dice: life.lifecycle.dice(),
            attempt: u32::from(attempt.0),
            input: call.prompt,
            cached: 0,
            output: most.map_or(call.output, |most| call.output.min(most)),
            max_output: most,
            stream: call.stream,
            priority: life.lifecycle.request().priority,
        };
        let id = self.backends[usize::from(backend)].submit(self.now, job, &mut self.outputs);
        reference.job = Some(id);
        self.collect(backend);
    }

    fn cancel_job(&mut self, backend: u16, job: JobId) {
        self.backends[usize::from(backend)].cancel(self.now, job, &mut self.outputs);
        self.collect(backend);
    }

    /// Sends on what a backend has just said.
    fn collect(&mut self, backend: u16) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut rest = outputs.as_slice();
        while let Some((output, after)) = rest.split_first() {
            match *output {
                Output::WakeAt { at, key } => self.events.push(at, Event::Backend { backend, key }),
                Output::Progress { tag, event } => {
                    if !is_implied(tag, event, after.first()) {
                        self.say(tag, event);
                    }
                }
                // What it says of its beginning, its end implies.
                Output::Answer { tag, usage } => self.say(tag, AttemptEvent::Finish { usage }),
                Output::Sent { tag, sent } => self.catch_up(tag, sent.tokens),
                // Tokens are counted here, not sent one by one.
                Output::Repaced { .. } => {}
            }
            rest = after;
        }
        outputs.clear();
        self.outputs = outputs;
    }

    /// Tokens that no event has told of are told before their stream breaks off.
    fn catch_up(&mut self, tag: u64, tokens: u32) {
        let (life, attempt) = untag(tag);
        let Some((_, life)) = self.lives.find_slot(life, GENERATION) else {
            return;
        };
        let reference = life.jobs.iter().flatten().find(|job| job.attempt == attempt);
        let seen = reference.map_or(0, |job| job.seen);
        if 0 < seen && seen < tokens {
            self.say(tag, AttemptEvent::Tokens { count: tokens - seen });
        }
    }

    /// Sends one event of a backend to the gateway.
    #[inline]
    fn say(&mut self, tag: u64, event: AttemptEvent) {
        let (life, attempt) = untag(tag);
        let Some((life, state)) = self.lives.find_slot(life, GENERATION) else {
            return;
        };
        let dice = state.lifecycle.dice();
        let way = self
            .plan
            .network
            .gateway_to_backend
            .draw(dice, 4 * u32::from(attempt.0) + 2);
        if way == Nanos::ZERO {
            self.hear(life, attempt, event);
        } else {
            self.send(LANE_BACK, way, Parcel::Said { life, attempt, event });
        }
    }

    /// What a backend said reaches the gateway.
    #[inline]
    fn hear(&mut self, key: Key, id: AttemptId, event: AttemptEvent) {
        let now = self.now;
        let Some(life) = self.lives.find(key) else {
            return;
        };
        let Some(slot) = life.jobs.iter_mut().find(|slot| is_of(slot.as_ref(), id)) else {
            return;
        };
        let Some(reference) = slot else {
            return;
        };
        let endpoint = reference.endpoint;
        match event {
            // No backend says so: it is the proxy that runs out of connections.
            AttemptEvent::Waiting | AttemptEvent::Connecting => {}
            AttemptEvent::Connected => reference.connected = true,
            AttemptEvent::FirstToken => {
                reference.connected = true;
                reference.seen = 1;
            }
            AttemptEvent::Tokens { count } => reference.seen += count,
            AttemptEvent::Open { status, .. } if status < 400 => reference.connected = true,
            AttemptEvent::Open { .. } | AttemptEvent::Fail { .. } => {
                *slot = None;
                self.recorder.failed(endpoint, now);
            }
            AttemptEvent::Finish { usage } => {
                *slot = None;
                self.recorder
                    .answered(self.plan, endpoint, life.asked.tenant, usage, now);
            }
        }
        self.inbox.push_back((key, Input::Attempt { id, event }));
    }

    pub(super) fn send(&mut self, lane: usize, way: Nanos, parcel: Parcel) {
        let at = self.now + way;
        let parcel = self.parcels.insert(|_| parcel);
        self.events.push_lane(lane, at, Event::Parcel { parcel });
    }
}

/// Whether what follows at once says `event` as well, as one read of a socket returns all that has come.
///
/// Nothing can be decided between two events of one instant: a status says that the connection stands, a first token
/// that the status was good, and the end of an answer that it has begun.
#[inline]
fn is_implied(tag: u64, event: AttemptEvent, next: Option<&Output>) -> bool {
    let Some(Output::Progress {
        tag: other,
        event: next,
    }) = next
    else {
        return false;
    };
    let begins = matches!(next, AttemptEvent::FirstToken | AttemptEvent::Finish { .. });
    *other == tag
        && match event {
            AttemptEvent::Connected => begins || matches!(next, AttemptEvent::Open { .. }),
            AttemptEvent::Open { status, .. } => status < 400 && begins,
            AttemptEvent::FirstToken => matches!(next, AttemptEvent::Finish { .. }),
            AttemptEvent::Waiting
            | AttemptEvent::Connecting
            | AttemptEvent::Tokens { .. }
            | AttemptEvent::Finish { .. }
            | AttemptEvent::Fail { .. } => false,
        }
}

/// How busy a backend has been.
pub(super) fn load(backend: &AnyBackend, now: Instant) -> BackendLoad {
    BackendLoad {
        busy: backend.busy(now),
        capacity: backend.capacity(),
    }
}

fn is_of(slot: Option<&JobRef>, attempt: AttemptId) -> bool {
    slot.is_some_and(|reference| reference.attempt == attempt)
}

/// An attempt's name towards a backend: its request's slot, as much of the generation as fits, its number.
fn tag(life: Key, attempt: AttemptId) -> u64 {
    u64::from(life.slot) << 32 | u64::from(life.generation & GENERATION) << 8 | u64::from(attempt.0)
}

const GENERATION: u32 = 0x00ff_ffff;

#[expect(clippy::cast_possible_truncation, reason = "takes the parts apart again")]
fn untag(tag: u64) -> (Key, AttemptId) {
    let life = Key {
        slot: (tag >> 32) as u32,
        generation: (tag >> 8) as u32 & GENERATION,
    };
    (life, AttemptId(tag as u8))
}
