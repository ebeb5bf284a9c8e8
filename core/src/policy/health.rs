//! When a pool leaves an endpoint alone.

use alloc::string::String;
use core::num::NonZeroU32;

use super::Outlier;
use crate::time::Nanos;

/// When an endpoint is ejected for failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakerKind {
    /// Never.
    Off,
    /// After so many failures in a row.
    Consecutive {
        /// How many.
        failures: NonZeroU32,
        /// How long it stays open.
        open: Nanos,
        /// How many attempts decide in the half-open state.
        probes: NonZeroU32,
    },
    /// When failures reach a share of the attempts in a sliding window.
    ErrorRate {
        /// The share, above 0 and at most 1.
        share: f32,
        /// The window.
        window: Window,
        /// Attempts in the window below which it never trips.
        min_requests: NonZeroU32,
        /// How long it stays open.
        open: Nanos,
        /// How many attempts decide in the half-open state.
        probes: NonZeroU32,
    },
    /// After so many failures, as nginx counts them; one attempt at a time tries it again.
    MaxFails {
        /// How many.
        max_fails: NonZeroU32,
        /// How long it is left alone.
        fail_timeout: Nanos,
    },
    /// When it is worse than its peers, as Envoy detects it.
    Outlier(Outlier),
}

/// What a sliding window of attempts is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many attempts.
    Count(NonZeroU32),
    /// The attempts of so long, in ten buckets.
    Time(Nanos),
}

/// An active health check.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The path that is asked for.
    pub path: String,
    /// From one check of an endpoint to the next.
    pub every: Nanos,
    /// How long an answer may take.
    pub timeout: Nanos,
    /// Good answers in a row that bring an endpoint back.
    pub rise: NonZeroU32,
    /// Bad answers in a row that take it out.
    pub fall: NonZeroU32,
}
