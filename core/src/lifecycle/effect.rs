//! What a decision asks of the world.

use alloc::vec::{Drain, Vec};

use super::refusal::Refusal;
use super::timers::Timer;
use crate::fault::Fault;
use crate::id::{AttemptId, EndpointId, KeyId, RequestId};
use crate::time::Instant;
use crate::usage::Usage;

/// One thing for the driver to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Deliver [`Input::Wake`](super::Input::Wake) to this request at `at`; replaces any earlier wish.
    WakeAt {
        /// When; [`Instant::FAR`] if the request waits for no time to pass.
        at: Instant,
        /// Why; for logs, and so that wake-ups of one length can share a lane.
        reason: Timer,
    },
    /// Ask the limits that live elsewhere; answer with [`Input::Rule`](super::Input::Rule).
    Ask {
        /// To be given back with the answer.
        ticket: Ticket,
    },
    /// True up, at the limits elsewhere, what `ticket` was charged; give it back whole if nothing was `used`.
    Settle {
        /// As it was asked.
        ticket: Ticket,
        /// What the request has used.
        used: Option<Usage>,
    },
    /// Start an attempt.
    Launch {
        /// Which.
        attempt: AttemptId,
        /// Where.
        endpoint: EndpointId,
        /// With which of its keys; the first if it has one or none.
        key: KeyId,
    },
    /// Stop an attempt; nothing that it still says will be heard.
    Cancel {
        /// Which.
        attempt: AttemptId,
        /// How it failed; none if it is only not needed any more.
        fault: Option<Fault>,
    },
    /// This attempt has won: stream it to the client.
    Relay {
        /// Which.
        attempt: AttemptId,
    },
    /// Answer the client ourselves; after [`Effect::Relay`], break the stream off with this as its error.
    Refuse {
        /// Why.
        refusal: Refusal,
    },
    /// The machine is done; its outcome is complete.
    Finish,
    /// Another request's wait is over: deliver [`Input::Dequeue`](super::Input::Dequeue) to it.
    Notify {
        /// Whose.
        request: RequestId,
        /// How it ended.
        verdict: Verdict,
    },
    /// Deliver [`GateInput::Wake`](crate::gate::GateInput::Wake) at `at`, beside any earlier wish.
    WakeGateAt {
        /// When.
        at: Instant,
    },
    /// Check the health of an endpoint; answer with [`GateInput::Probe`](crate::gate::GateInput::Probe).
    Probe {
        /// Of which.
        endpoint: EndpointId,
    },
    /// An endpoint is out of its pool; for logs and metrics.
    Eject {
        /// Which; with [`Ejection::RetryAfter`], every endpoint of its scope.
        endpoint: EndpointId,
        /// Why.
        ejection: Ejection,
        /// Until when at least; [`Instant::FAR`] if an active probe has to bring it back.
        until: Instant,
    },
    /// An endpoint that had tripped or failed its probes is back; for logs and metrics.
    Restore {
        /// Which.
        endpoint: EndpointId,
    },
}

/// A charge to limits that live elsewhere, by the request that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub RequestId);

/// How a wait in a queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A permit was handed over.
    Admitted,
    /// The queue was overloaded.
    Shed,
    /// It took too long.
    Expired,
}

/// Why an endpoint is out of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ejection {
    /// Its breaker opened.
    Tripped,
    /// It is worse than its peers.
    Outlier,
    /// Active probes failed.
    Probe,
    /// It, or another endpoint of its quota scope, asked to be left alone.
    RetryAfter,
}

impl Ejection {
    /// Every cause, and its name in metrics and reports.
    pub const ALL: [(Ejection, &'static str); 4] = [
        (Ejection::Tripped, "tripped"),
        (Ejection::Outlier, "outlier"),
        (Ejection::Probe, "probe"),
        (Ejection::RetryAfter, "retry-after"),
    ];

    /// The position in [`Ejection::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The effects of one call: a buffer that the driver owns, drains and uses again.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Effects {
        Effects::default()
    }

    /// Takes the effects out, in the order in which they are to be performed.
    pub fn drain(&mut self) -> Drain<'_, Effect> {
        self.list.drain(..)
    }

    /// Forgets the effects, once they have been performed.
    #[inline]
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The effects, in the order in which they are to be performed.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[Effect] {
        &self.list
    }

    #[inline]
    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
}
