//! The values that decisions need: their kinds and bounds, and what to say when they are others.

use tollgate_core::policy::Operation;

use super::UsageSpan;
use super::estimate::Estimator;
use super::invalid::{Flaw, Invalid};
use super::keys::{Found, Key, Span, span_of};
use super::prompt::Contents;

/// How an answer is drawn, as far as it costs or may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    pub(super) max_output: Option<u32>,
    pub(super) copies: u32,
}

/// Whether a stream is to end with its usage, and where the client says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsageOption {
    pub(super) wanted: bool,
    pub(super) span: UsageSpan,
}

impl UsageOption {
    pub(super) const ABSENT: UsageOption = UsageOption {
        wanted: false,
        span: UsageSpan::Absent,
    };
}
