//! What the world tells a request.

use super::effect::{Ticket, Verdict};
use crate::fault::Fault;
use crate::id::{AttemptId, LimitId};
use crate::time::{Instant, Nanos};
use crate::usage::Usage;

/// What a driver delivers to a request.
///
/// Any input in any phase is harmless: what does not apply any more is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The request arrived. First, and once.
    Start,
    /// The instant asked for by [`Effect::WakeAt`](super::Effect::WakeAt) has come.
    Wake,
    /// The wait in a queue is over.
    Dequeue {
        /// How it ended.
        verdict: Verdict,
    },
    /// The limits that live elsewhere have answered.
    Rule {
        /// As it was asked.
        ticket: Ticket,
        /// The answer.
        ruling: Ruling,
    },
    /// Something happened to an attempt.
    Attempt {
        /// To which.
        id: AttemptId,
        /// What.
        event: AttemptEvent,
    },
    /// The client went away.
    Abandon,
}

/// The answer of the limits that live elsewhere, all of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Charged.
    Allow {
        /// When the request may go on; after now if a limit shapes.
        at: Instant,
    },
    /// Not charged: there are not enough units now.
    Wait {
        /// The limit that binds.
        limit: LimitId,
        /// When there are.
        until: Instant,
    },
    /// Not charged: the request asks for more than the limit can ever hold.
    Never {
        /// The limit.
        limit: LimitId,
    },
    /// Nobody answered.
    Unavailable,
}

/// An HTTP status.
pub type Status = u16;

/// Error codes that change a decision; all others are told by their status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `insufficient_quota` and the spend-limit codes: the quota does not refill by itself.
    InsufficientQuota,
}

/// Something that happened to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEvent {
    /// Every connection that may be had is taken: it waits for one.
    Waiting,
    /// It waits no longer, and connects.
    Connecting,
    /// The connection stands.
    Connected,
    /// The status line and headers have come. With a status from 400 on the attempt is over, and its body unheard.
    Open {
        /// The status.
        status: Status,
        /// The error code, where one matters.
        code: Option<ErrorCode>,
        /// When the endpoint wants to be asked again.
        retry_after: Option<Nanos>,
    },
    /// The first token that is not empty; of an answer that comes whole, its first byte.
    FirstToken,
    /// Further tokens, in lumps.
    Tokens {
        /// How many.
        count: u32,
    },
    /// The answer is complete.
    Finish {
        /// What it took.
        usage: Usage,
    },
    /// The transport failed, which ends the attempt.
    Fail {
        /// How.
        fault: Fault,
    },
}
