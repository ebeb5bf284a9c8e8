//! Pools of interchangeable endpoints.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::ops::Range;

use crate::id::{EndpointId, PoolId, ScopeId};
use crate::time::Nanos;

/// Interchangeable endpoints, balanced together.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its endpoints: positions in the policy's list.
    pub endpoints: Range<u16>,
    /// How one of them is picked.
    pub balance: Balance,
    /// When one of them is ejected for failing.
    pub breaker: BreakerKind,
    /// Share of healthy endpoints below which health is ignored, 0 to 1.
    pub panic_below: f32,
    /// Active health checks.
    pub probe: Option<Probe>,
    /// Who may wait for a permit when all are taken.
    pub queue: QueueShape,
}

impl Pool {
    /// How many endpoints it has.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether it has none, which a checked policy rules out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Its endpoint at `index`.
    #[must_use]
    #[inline]
    pub fn endpoint(&self, index: usize) -> EndpointId {
        EndpointId(self.endpoints.start + EndpointId::at(index).0)
    }
}

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// The algorithm.
    pub kind: BalanceKind,
    /// What it compares, if it compares.
    pub load: LoadKind,
    /// Which of equal loads wins.
    pub ties: Ties,
}

/// The algorithms that pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceKind {
    /// Each in turn.
    RoundRobin,
    /// Any, equally likely.
    Random,
    /// The least loaded of all.
    LeastInFlight,
    /// The least loaded of `choices` distinct ones drawn at random.
    P2c {
        /// How many are drawn; two by default.
        choices: NonZeroU32,
    },
}

/// What orders endpoints; lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// Attempts in flight.
    InFlight,
    /// Peak EWMA of latency, times attempts in flight plus one.
    PeakEwma {
        /// The time constant of the average.
        decay: Nanos,
    },
}

/// Which of equal loads wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// Any, equally likely.
    #[default]
    Random,
    /// The one seen first.
    First,
}

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

/// Who may wait for an endpoint permit: first in, first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueShape {
    /// Most requests waiting; 0: nobody waits.
    pub length: u32,
    /// The longest wait.
    pub wait: Nanos,
}

/// One thing that can serve an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name; in simulation, the backend of this name.
    pub name: String,
    /// The pool it belongs to.
    pub pool: PoolId,
    /// Where it is, in production.
    pub url: Option<String>,
    /// The wire dialect.
    pub provider: String,
    /// What it calls the model.
    pub model: Option<String>,
    /// Environment variables that hold its keys.
    pub api_key_env: Vec<String>,
    /// Where it is.
    pub region: Option<RegionId>,
    /// Most attempts in flight; none: unbounded.
    pub max_in_flight: Option<NonZeroU32>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// What it can do.
    pub can: Capability,
    /// Whom it shares an account with.
    pub scope: ScopeId,
}

impl Endpoint {
    /// Whether it is able and allowed to serve a request with these `needs`.
    #[must_use]
    #[inline]
    pub fn can_serve(&self, needs: &Needs) -> bool {
        let there = needs.region.is_none() || needs.region == self.region;
        there && self.can.meets(needs)
    }
}

/// A region of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionId(pub u16);

/// Prices in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the part of the prompt that was cached.
    pub cached_input: f64,
    /// Of the answer.
    pub output: f64,
}

/// What an endpoint can do; the default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Kinds of requests.
    pub operations: Operations,
    /// Most tokens of prompt and answer together.
    pub context: u32,
    /// Most tokens of an answer.
    pub max_output: u32,
    /// Tool calls.
    pub tools: bool,
    /// Pictures in the prompt.
    pub vision: bool,
    /// Answers that are JSON by construction.
    pub json: bool,
}

impl Default for Capability {
    fn default() -> Capability {
        Capability {
            operations: Operations::ALL,
            context: u32::MAX,
            max_output: u32::MAX,
            tools: true,
            vision: true,
            json: true,
        }
    }
}

impl Capability {
    /// Whether an endpoint that can do this can serve a request with these `needs`.
    #[must_use]
    #[inline]
    pub fn meets(&self, needs: &Needs) -> bool {
        let fits = needs.output <= self.max_output && needs.input.saturating_add(needs.output) <= self.context;
        let knows = (self.tools || !needs.tools) && (self.vision || !needs.vision) && (self.json || !needs.json);
        fits && knows && self.operations.has(needs.operation)
    }
}

/// What a request needs of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The kind of request.
    pub operation: Operation,
    /// Tokens of the prompt, as estimated.
    pub input: u32,
    /// Most tokens of the answer; 0 if the request names no maximum.
    pub output: u32,
    /// Whether it calls tools.
    pub tools: bool,
    /// Whether it shows pictures.
    pub vision: bool,
    /// Whether it wants JSON by construction.
    pub json: bool,
    /// Where the endpoint must be; taken from the route.
    pub region: Option<RegionId>,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// `/v1/chat/completions`
    #[default]
    Chat = 1,
    /// `/v1/completions`
    Completions = 2,
    /// `/v1/embeddings`
    Embeddings = 4,
}

/// A set of [`Operation`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    /// Every operation there is or will be.
    pub const ALL: Operations = Operations(u8::MAX);
    /// No operation.
    pub const NONE: Operations = Operations(0);

    /// This set and `operation`.
    #[must_use]
    pub const fn with(self, operation: Operation) -> Operations {
        Operations(self.0 | operation as u8)
    }

    /// Whether `operation` is in the set.
    #[must_use]
    pub const fn has(self, operation: Operation) -> bool {
        self.0 & operation as u8 != 0
    }
}
