//! One recorded call.

use std::num::NonZeroU32;

use tollgate_core::time::Nanos;

/// One recorded call. What a trace does not tell is drawn by the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceRow {
    /// When it arrived, since the trace began.
    pub time: Nanos,
    /// Tokens of the prompt.
    pub prompt: Option<NonZeroU32>,
    /// Tokens of the answer.
    pub output: Option<NonZeroU32>,
    /// The most tokens that the client said it wants.
    pub max_tokens: Option<NonZeroU32>,
    /// Whose it was: a position in [`Trace::tenants`](super::Trace::tenants).
    pub tenant: Option<u32>,
    /// What it asked for: a position in [`Trace::models`](super::Trace::models).
    pub model: Option<u8>,
    /// Whether the answer was streamed.
    pub stream: Option<bool>,
}
