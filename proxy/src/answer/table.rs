//! The table of errors: from every cause to what a client is told.
//!
//! Statuses and advice of a [`Refusal`] are core's; what is added here are the words of the wire. `docs/errors.md` is
//! this table, written out.

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::Refusal;
use tollgate_core::time::Nanos;
use tollgate_core::usage::Unit;

use crate::request::Flaw;

/// Why a client is told an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Core refuses, or an endpoint failed; of a limit, with what it counts.
    Refused(Refusal, Option<Unit>),
    /// The request's body is wrong.
    Invalid(Flaw),
    /// The request is not one that is served.
    Unserved(Unserved),
}

/// Why a request is refused before anybody has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Nothing is at this path.
    Path,
    /// The path is there for other methods.
    Method {
        /// Which, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// The body did not come in time.
    BodyTimeout {
        /// How long was waited.
        after: Nanos,
    },
    /// The body is longer than is read.
    BodyTooLarge {
        /// Most bytes that are read.
        most: u64,
    },
    /// The body is not plain JSON.
    MediaType,
    /// It is no HTTP.
    Malformed,
    /// The path is longer than is read.
    UriTooLong,
    /// The headers are longer than is read.
    HeadersTooLarge {
        /// Most bytes that are read.
        most: u64,
    },
    /// All memory for bodies is in use.
    BuffersFull,
    /// All connections that clients may have are in use.
    ConnectionsFull,
    /// The gateway is about to stop.
    Stopping,
}

/// Who could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The gateway refuses by its own rules.
    Gateway,
    /// A provider failed, or refused.
    Provider,
}

impl Source {
    /// The value of `x-tollgate-source`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::Gateway => "gateway",
            Source::Provider => "provider",
        }
    }
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The status.
    pub status: u16,
    /// The `type` of the error.
    pub kind: &'static str,
    /// The `code` of the error.
    pub code: &'static str,
    /// Who could not go on.
    pub source: Source,
    /// What it means, for people who read about errors.
    pub meaning: &'static str,
}

impl Cause {
    /// What a client is told of it.
    #[must_use]
    pub fn row(self) -> Row {
        match self {
            Cause::Refused(refusal, unit) => refused(refusal, unit),
            Cause::Invalid(flaw) => invalid(flaw),
            Cause::Unserved(unserved) => unserved_row(unserved),
        }
    }
}

const INVALID: &str = "invalid_request_error";
const UNAVAILABLE: &str = "service_unavailable_error";
const SERVER: &str = "server_error";

fn refused(refusal: Refusal, unit: Option<Unit>) -> Row {
    let (kind, code, source, meaning) = match refusal {
        Refusal::Limited { .. } => (
            limited(unit),
            "rate_limit_exceeded",
            Source::Gateway,
            "a limit of the gateway is used up; the message names it",
        ),
        Refusal::QueueFull => (
            UNAVAILABLE,
            "server_is_overloaded",
            Source::Gateway,
            "every endpoint is busy, and so many wait already that nobody else may",
        ),
        Refusal::QueueTimeout => (
            UNAVAILABLE,
            "server_is_overloaded",
            Source::Gateway,
            "no endpoint became free while the request waited",
        ),
        Refusal::Shed => (
            UNAVAILABLE,
            "server_is_overloaded",
            Source::Gateway,
            "the gateway gave it up to get over an overload",
        ),
        Refusal::NoEndpoint { .. } => (
            UNAVAILABLE,
            "no_endpoint",
            Source::Gateway,
            "every endpoint is ejected, or was asked to be left alone",
        ),
        Refusal::NoRoute => (
            INVALID,
            "model_not_found",
            Source::Gateway,
            "no route leads from this request to an endpoint",
        ),
        Refusal::OutOfAttempts { fault, .. } => failed(fault),
        Refusal::Deadline => (
            SERVER,
            "deadline_exceeded",
            Source::Gateway,
            "the time that the route allows has passed",
        ),
        Refusal::TooLarge { limit: Some(_) } => (
            INVALID,
            "request_too_large",
            Source::Gateway,
            "it is estimated at more than a limit can ever hold",
        ),
        Refusal::TooLarge { limit: None } => (
            INVALID,
            "no_capable_endpoint",
            Source::Gateway,
            "no endpoint can do what it asks for",
        ),
        Refusal::Unauthorized => (
            INVALID,
            "invalid_api_key",
            Source::Gateway,
            "the key is missing or unknown",
        ),
    };
    Row {
        status: refusal.status(),
        kind,
        code,
        source,
        meaning,
    }
}

/// What the type of a 429 says: which of the two quotas that SDKs know is meant.
fn limited(unit: Option<Unit>) -> &'static str {
    match unit {
        Some(Unit::Tokens | Unit::InputTokens | Unit::OutputTokens) => "tokens",
        Some(Unit::Requests | Unit::MicroUsd | Unit::InFlight) | None => "requests",
    }
}

fn failed(fault: Fault) -> (&'static str, &'static str, Source, &'static str) {
    let (kind, code, meaning) = match fault {
        Fault::Connect => (SERVER, "provider_unreachable", "no connection to the provider"),
        Fault::NoConnection => (
            UNAVAILABLE,
            "no_connection",
            "every connection to the provider that the gateway may have is in use",
        ),
        Fault::Timeout => (SERVER, "provider_timeout", "the provider took too long"),
        Fault::RateLimited => (
            "requests",
            "rate_limit_exceeded",
            "a quota at the provider is used up, and refills",
        ),
        Fault::Overloaded => (UNAVAILABLE, "server_is_overloaded", "the provider has no capacity"),
        Fault::Server => (
            SERVER,
            "provider_error",
            "the provider failed, or what it sent made no sense",
        ),
        Fault::Client => (
            INVALID,
            "provider_refused",
            "the provider finds the request wrong; its own status and error are passed on",
        ),
        Fault::Stream => (SERVER, "provider_stream_broken", "the provider's answer broke off"),
        Fault::QuotaExhausted => (
            UNAVAILABLE,
            "provider_quota_exhausted",
            "a quota at the provider is used up, and does not refill by itself",
        ),
        Fault::Credential => (
            UNAVAILABLE,
            "provider_credential",
            "the provider did not accept the gateway's own key",
        ),
    };
    (kind, code, Source::Provider, meaning)
}

fn invalid(flaw: Flaw) -> Row {
    let meaning = match flaw {
        Flaw::Empty => "there is no body",
        Flaw::Encoding => "the body is not UTF-8 without a byte order mark",
        Flaw::Syntax => "the body is not JSON",
        Flaw::Duplicate => "a key stands there twice, or once more in other capitals",
        Flaw::Missing => "a key is missing",
        Flaw::Kind => "a value is of the wrong kind, or the body is no object",
        Flaw::Range => "a value is out of its bounds",
    };
    Row {
        status: 400,
        kind: INVALID,
        code: flaw.code(),
        source: Source::Gateway,
        meaning,
    }
}

fn unserved_row(unserved: Unserved) -> Row {
    let (status, kind, code, meaning) = match unserved {
        Unserved::Path => (404, INVALID, "not_found", "nothing is at this path"),
        Unserved::Method { .. } => (
            405,
            INVALID,
            "method_not_allowed",
            "the path is there for other methods",
        ),
        Unserved::BodyTimeout { .. } => (408, INVALID, "request_timeout", "the body did not come in time"),
        Unserved::BodyTooLarge { .. } => (413, INVALID, "body_too_large", "the body is longer than is read"),
        Unserved::MediaType => (
            415,
            INVALID,
            "unsupported_media_type",
            "the body is not `application/json`, or is compressed",
        ),
        Unserved::Malformed => (
            400,
            INVALID,
            "malformed_request",
            "the request is no HTTP, or TLS at a port without it",
        ),
        Unserved::UriTooLong => (414, INVALID, "uri_too_long", "the path is longer than is read"),
        Unserved::HeadersTooLarge { .. } => (
            431,
            INVALID,
            "headers_too_large",
            "the headers are longer, or more, than are read",
        ),
        Unserved::BuffersFull => (
            503,
            UNAVAILABLE,
            "server_is_overloaded",
            "all memory that the gateway has for bodies is in use",
        ),
        Unserved::ConnectionsFull => (
            503,
            UNAVAILABLE,
            "server_is_overloaded",
            "all connections that clients may have are in use",
        ),
        Unserved::Stopping => (
            503,
            UNAVAILABLE,
            "stopping",
            "this gateway is about to stop; others may not be",
        ),
    };
    Row {
        status,
        kind,
        code,
        source: Source::Gateway,
        meaning,
    }
}
