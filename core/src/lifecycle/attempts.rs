//! The attempts of a request: those that run, inline, and how many there were.

use super::timers::Timer;
use crate::gate::Ended;
use crate::health::ProbeSlot;
use crate::id::{AttemptId, EndpointId};
use crate::policy::Timeouts;
use crate::queue::Permit;
use crate::time::{Instant, Nanos};
use crate::usage::Estimate;

/// A running attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) stage: Stage,
    pub(super) endpoint: EndpointId,
    /// Of its permit: the place of a half-open breaker's probe.
    probe: Option<ProbeSlot>,
    pub(super) launched: Instant,
    /// When its present stage has lasted too long.
    pub(super) deadline: Instant,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Blocked,
    Connecting,
    Waiting,
    /// Its request was accepted, so its prompt is paid.
    Accepted,
    Streaming,
}

impl Attempt {
    /// The first token is awaited from the launch on, however long the connection may take by itself.
    pub(super) fn new(id: AttemptId, permit: Permit, now: Instant, stream: bool, timeouts: &Timeouts) -> Attempt {
        Attempt {
            id,
            stage: Stage::Connecting,
            endpoint: permit.endpoint,
            probe: permit.probe,
            launched: now,
            deadline: now + timeouts.connect.min(silence(stream, timeouts)),
        }
    }

    /// The permit that it holds.
    pub(super) fn permit(&self) -> Permit {
        Permit {
            endpoint: self.endpoint,
            probe: self.probe,
        }
    }

    /// How it ended, for whoever adds up what runs; it has answered `complete`ly, or has not.
    #[inline]
    pub(super) fn ended(&self, estimate: Estimate, complete: bool) -> Ended {
        Ended {
            launched: self.launched,
            estimate,
            answered: complete || self.stage == Stage::Streaming,
            complete,
        }
    }

    /// The connection stands: what is awaited now is the first token.
    pub(super) fn connected(&mut self, stream: bool, timeouts: &Timeouts) {
        if self.is_unconnected() {
            self.stage = Stage::Waiting;
            self.deadline = self.launched + silence(stream, timeouts);
        }
    }

    /// The endpoint has begun to answer, without a token yet.
    pub(super) fn accepted(&mut self, stream: bool, timeouts: &Timeouts) {
        self.connected(stream, timeouts);
        if self.stage == Stage::Waiting {
            self.stage = Stage::Accepted;
        }
    }

    /// It waits for a connection, or does not any more; either takes the time that connecting may take.
    pub(super) fn connects(&mut self, stage: Stage) {
        if self.is_unconnected() {
            self.stage = stage;
        }
    }

    fn is_unconnected(&self) -> bool {
        matches!(self.stage, Stage::Blocked | Stage::Connecting)
    }

    /// A token has come.
    #[inline]
    pub(super) fn heard(&mut self, now: Instant, timeouts: &Timeouts) {
        self.stage = Stage::Streaming;
        self.deadline = now + timeouts.idle;
    }

    pub(super) fn timer(&self) -> Timer {
        match self.stage {
            Stage::Blocked | Stage::Connecting => Timer::Connect(self.id),
            Stage::Waiting | Stage::Accepted => Timer::FirstToken(self.id),
            Stage::Streaming => Timer::Idle(self.id),
        }
    }
}

/// How long an attempt may take from launch to first token.
///
/// An answer that comes whole has to produce all its tokens before its first byte; it may be silent for
/// as long as a stream may before and after its first token together.
fn silence(stream: bool, timeouts: &Timeouts) -> Nanos {
    if stream {
        timeouts.ttft
    } else {
        timeouts.ttft + timeouts.idle
    }
}

/// The attempts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    live: [Option<Attempt>; Attempts::MOST_LIVE],
    /// Endpoints tried last, in front of nobody.
    tried: [EndpointId; Attempts::REMEMBERED],
}

/// No endpoint: a policy has fewer than that.
const NOBODY: EndpointId = EndpointId(u16::MAX);

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            live: [None; Attempts::MOST_LIVE],
            tried: [NOBODY; Attempts::REMEMBERED],
        }
    }
}

impl Attempts {
    /// Attempts running at once: one and its hedges.
    pub(super) const MOST_LIVE: usize = 3;
    /// Endpoints that a request remembers having tried: the last ones.
    const REMEMBERED: usize = 4;

    #[inline]
    pub(super) fn live(&self) -> impl Iterator<Item = &Attempt> {
        self.live.iter().flatten()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.live.iter().all(Option::is_none)
    }

    pub(super) fn has_room(&self) -> bool {
        self.live.iter().any(Option::is_none)
    }

    /// Endpoints tried before; not to be tried again while there are others.
    pub(super) fn tried(&self) -> &[EndpointId] {
        let n_tried = self.tried.iter().take_while(|endpoint| **endpoint != NOBODY).count();
        &self.tried[..n_tried]
    }

    /// Starts to track `attempt`.
    pub(super) fn insert(&mut self, attempt: Attempt) {
        let free = self.live.iter_mut().find(|slot| slot.is_none());
        *free.expect("a hedge is launched only where there is room") = Some(attempt);
        let n_tried = self.tried().len();
        if !self.tried[..n_tried].contains(&attempt.endpoint) {
            if n_tried == Attempts::REMEMBERED {
                self.tried.rotate_left(1);
            }
            self.tried[n_tried.min(Attempts::REMEMBERED - 1)] = attempt.endpoint;
        }
    }

    #[inline]
    pub(super) fn find(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.live.iter_mut().flatten().find(|attempt| attempt.id == id)
    }

    /// Stops tracking `id`.
    pub(super) fn remove(&mut self, id: AttemptId) -> Option<Attempt> {
        let is_it = |attempt: &Attempt| attempt.id == id;
        let slot = self.live.iter_mut().find(|slot| slot.as_ref().is_some_and(is_it))?;
        slot.take()
    }

    /// Whether any attempt but `kept` runs.
    #[inline]
    pub(super) fn runs_but(&self, kept: Option<AttemptId>) -> bool {
        self.live().any(|attempt| Some(attempt.id) != kept)
    }

    /// Stops tracking any attempt but `kept`.
    pub(super) fn pop_but(&mut self, kept: Option<AttemptId>) -> Option<Attempt> {
        let is_other = |attempt: &Attempt| Some(attempt.id) != kept;
        let slot = self.live.iter_mut().find(|slot| slot.as_ref().is_some_and(is_other))?;
        slot.take()
    }
}
