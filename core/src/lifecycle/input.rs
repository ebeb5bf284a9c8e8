//! What the world tells a request.

use crate::fault::Fault;
use crate::time::Nanos;
use crate::usage::Usage;

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
    /// The connection stands.
    Connected,
    /// The status line and headers have come.
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
    /// The transport failed.
    Fail {
        /// How.
        fault: Fault,
    },
}
