//! Between real time and a backend: attempts on their way in, tokens on their way back.
//!
//! The twin of the simulator's wire. It has the only event list of its backend, and delivers each wake-up with the
//! instant that was asked for, however late the machine is: what an attempt meets does not depend on how busy the machine
//! was. Whoever looks brings the backend up to the present first, so a wake-up that is late is late for nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{AttemptEvent, ErrorCode, Status};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use super::stats::{Record, Subject};
use crate::clock::Clock;
use crate::model::{AnyBackend, Backend as _, Job, JobId, Output, WakeKey};

/// A backend in real time, shared by its connections.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// A backend, what it will do, and who listens to it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) backend: AnyBackend,
    pub(super) record: Record,
    now: Instant,
    /// What happens when; ties are first in, first out.
    events: BTreeMap<(Instant, u64), Event>,
    /// Tokens of a stream after the first are sent this far apart, or further.
    lump: Nanos,
    sequence: u64,
    listeners: BTreeMap<u64, Listener>,
    tags: u64,
    outputs: Vec<Output>,
    /// Whoever rings for the first event.
    keeper: Option<Waker>,
    /// Who is to be woken once the lock is free: a waker may drop what takes it.
    woken: Vec<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Wake(WakeKey),
    /// The next token of a stream.
    Token(u64),
}

/// Who waits for an answer.
#[derive(Debug)]
struct Listener {
    job: Option<JobId>,
    subject: Subject,
    stream: bool,
    /// Tokens of the answer, and those of them that were told.
    tokens: u32,
    told: u32,
    /// Where the next token stands among the events.
    due: Option<(Instant, u64)>,
    heard: VecDeque<Heard>,
    /// Nothing will be added to `heard`.
    over: bool,
    waker: Option<Waker>,
}

/// What is heard of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The head of an answer; with an error it is the last that is heard.
    Open {
        status: Status,
        code: Option<ErrorCode>,
        retry_after: Option<Nanos>,
    },
    /// So many more tokens of a stream.
    Tokens(u32),
    /// The answer is complete.
    Finish(Usage),
    /// It breaks off.
    Broken,
    /// There is nobody: no connection.
    Refused,
}

impl Driver {
    pub(super) fn new(backend: AnyBackend, clock: Arc<dyn Clock>, lump: Nanos) -> Driver {
        Driver {
            clock,
            state: Mutex::new(State {
                backend,
                record: Record::default(),
                now: Instant::EPOCH,
                events: BTreeMap::new(),
                lump,
                sequence: 0,
                listeners: BTreeMap::new(),
                tags: 0,
                outputs: Vec::new(),
                keeper: None,
                woken: Vec::new(),
            }),
        }
    }

    /// Does something at the present instant, to which the backend has been brought.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        // A panic elsewhere has left a state that is whole: each call ends what it began.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up(self.clock.now());
        let now = state.now;
        let first = state.first();
        let result = act(&mut state, now);
        if state.first() != first
            && let Some(keeper) = state.keeper.take()
        {
            state.woken.push(keeper);
        }
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        for waker in woken {
            waker.wake();
        }
        result
    }

    /// Keeps time: rings for every event. Never ends.
    pub(super) async fn keep(&self) {
        let mut timer = self.clock.timer();
        let mut armed = Instant::FAR;
        std::future::poll_fn(|cx| {
            loop {
                let first = self.with(|state, _| {
                    state.keeper = Some(cx.waker().clone());
                    state.first()
                });
                if armed != first {
                    armed = first;
                    timer.set(first);
                }
                if timer.poll(cx).is_pending() {
                    return Poll::<()>::Pending;
                }
                // What has rung would ring again at once, for ever, if nothing else is to come.
                armed = Instant::FAR;
                timer.set(armed);
            }
        })
        .await;
    }

    /// Sends an attempt to the backend.
    pub(super) fn submit(self: &Arc<Driver>, job: Job, subject: Subject) -> Hearing {
        let tag = self.with(|state, now| state.submit(now, job, subject));
        Hearing {
            driver: Arc::clone(self),
            tag,
        }
    }
}

impl State {
    fn first(&self) -> Instant {
        self.events.first_key_value().map_or(Instant::FAR, |((at, _), _)| *at)
    }

    /// Delivers everything that is due, each thing at its own instant.
    fn catch_up(&mut self, now: Instant) {
        while self.first() <= now
            && let Some(((at, _), event)) = self.events.pop_first()
        {
            self.now = self.now.max(at);
            match event {
                Event::Wake(key) => {
                    self.backend.wake(self.now, key, &mut self.outputs);
                    self.collect();
                }
                Event::Token(tag) => self.send_tokens(tag),
            }
        }
        self.now = self.now.max(now);
    }

    fn submit(&mut self, now: Instant, job: Job, subject: Subject) -> u64 {
        let tag = self.tags;
        self.tags += 1;
        self.listeners.insert(
            tag,
            Listener {
                job: None,
                subject,
                stream: job.stream,
                tokens: job.output.min(job.max_output.unwrap_or(u32::MAX)),
                told: 0,
                due: None,
                heard: VecDeque::new(),
                over: false,
                waker: None,
            },
        );
        self.record.arrived(subject);
        let id = self.backend.submit(now, Job { tag, ..job }, &mut self.outputs);
        if let Some(listener) = self.listeners.get_mut(&tag) {
            listener.job = Some(id);
        }
        self.collect();
        tag
    }

    /// Whoever listened has gone.
    fn leave(&mut self, now: Instant, tag: u64) {
        let Some(listener) = self.listeners.remove(&tag) else {
            return;
        };
        if let Some(due) = listener.due {
            self.events.remove(&due);
        }
        self.woken.extend(listener.waker);
        if listener.over {
            return;
        }
        self.record.cancelled(listener.subject, now);
        if let Some(job) = listener.job {
            self.backend.cancel(now, job, &mut self.outputs);
            self.collect();
        }
    }

    /// Hands on what the backend has just said.
    pub(super) fn collect(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::WakeAt { at, key } => {
                    self.push(at, Event::Wake(key));
                }
                Output::Progress { tag, event } => self.hear(tag, event),
                Output::Answer { tag, usage } => {
                    let open = Heard::Open {
                        status: 200,
                        code: None,
                        retry_after: None,
                    };
                    self.tell(tag, open, false);
                    self.hear(tag, AttemptEvent::Finish { usage });
                }
                Output::Sent { tag, sent } => self.tell_tokens(tag, sent.tokens),
                // One that was due at this very instant has been sent.
                Output::Repaced { tag } => self.send_tokens(tag),
            }
        }
        self.outputs = outputs;
    }

    /// Where what a backend says of faults goes.
    pub(super) fn backend(&mut self) -> (&mut AnyBackend, &mut Vec<Output>) {
        (&mut self.backend, &mut self.outputs)
    }

    fn push(&mut self, at: Instant, event: Event) -> (Instant, u64) {
        self.sequence += 1;
        let place = (at, self.sequence);
        self.events.insert(place, event);
        place
    }

    fn hear(&mut self, tag: u64, event: AttemptEvent) {
        match event {
            AttemptEvent::Waiting | AttemptEvent::Connecting | AttemptEvent::Connected => {}
            AttemptEvent::Open {
                status,
                code,
                retry_after,
            } => {
                let open = Heard::Open {
                    status,
                    code,
                    retry_after,
                };
                self.tell(tag, open, 400 <= status);
            }
            AttemptEvent::FirstToken => {
                self.tell_tokens(tag, 1);
                self.await_token(tag);
            }
            AttemptEvent::Tokens { .. } => unreachable!("tokens are asked for, a backend does not say them"),
            AttemptEvent::Finish { usage } => {
                self.tell_tokens(tag, usage.output);
                self.tell(tag, Heard::Finish(usage), true);
            }
            AttemptEvent::Fail { fault: Fault::Connect } => self.tell(tag, Heard::Refused, true),
            AttemptEvent::Fail { .. } => self.tell(tag, Heard::Broken, true),
        }
    }

    /// The next token of a stream may be due.
    fn send_tokens(&mut self, tag: u64) {
        let job = self.listeners.get(&tag).and_then(|listener| listener.job);
        if let Some(sent) = job.and_then(|job| self.backend.progress(self.now, job)) {
            self.tell_tokens(tag, sent.tokens);
            self.await_token(tag);
        }
    }

    fn await_token(&mut self, tag: u64) {
        let Some(listener) = self.listeners.get_mut(&tag).filter(|listener| listener.stream) else {
            return;
        };
        let (before, job) = (listener.due.take(), listener.job);
        if let Some(before) = before {
            self.events.remove(&before);
        }
        let next = job.and_then(|job| self.backend.next_token(self.now, job));
        let least = self.now + self.lump;
        let due = next.map(|at| self.push(at.max(least), Event::Token(tag)));
        if let Some(listener) = self.listeners.get_mut(&tag) {
            listener.due = due;
        }
    }

    /// `tokens` of a stream have been sent in all.
    fn tell_tokens(&mut self, tag: u64, tokens: u32) {
        let Some(listener) = self.listeners.get_mut(&tag).filter(|listener| listener.stream) else {
            return;
        };
        let tokens = tokens.min(listener.tokens);
        if listener.told < tokens {
            let news = tokens - listener.told;
            listener.told = tokens;
            self.tell(tag, Heard::Tokens(news), false);
        }
    }

    fn tell(&mut self, tag: u64, heard: Heard, last: bool) {
        let Some(listener) = self.listeners.get_mut(&tag) else {
            return;
        };
        // One lump for whoever is slow to read, so that a queue holds no more than the few kinds of news.
        match (listener.heard.back_mut(), heard) {
            (Some(Heard::Tokens(before)), Heard::Tokens(news)) => *before += news,
            _ => listener.heard.push_back(heard),
        }
        self.woken.extend(listener.waker.take());
        if last {
            listener.over = true;
            if let Some(due) = listener.due.take() {
                self.events.remove(&due);
            }
        }
    }
}

/// An attempt at a backend, as whoever waits for it holds it. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(super) struct Hearing {
    driver: Arc<Driver>,
    tag: u64,
}

impl Hearing {
    /// The next that is heard.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        let tag = self.tag;
        self.driver.with(|state, _| {
            let Some(listener) = state.listeners.get_mut(&tag) else {
                return Poll::Pending;
            };
            if let Some(heard) = listener.heard.pop_front() {
                return Poll::Ready(heard);
            }
            let before = listener.waker.replace(cx.waker().clone());
            let is_other = |before: &Waker| !before.will_wake(cx.waker());
            state.woken.extend(before.filter(is_other));
            Poll::Pending
        })
    }

    pub(super) async fn next(&mut self) -> Heard {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let tag = self.tag;
        self.driver.with(|state, now| state.leave(now, tag));
    }
}
