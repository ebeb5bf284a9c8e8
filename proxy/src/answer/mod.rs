//! What clients are told: errors in `OpenAI`'s form, and where they stand, in headers.
//!
//! | Law | Test |
//! |---|---|
//! | Every cause has its row, and every row is what the page says. | `every_row_is_what_is_promised`, `the_page_is_the_table` |
//! | An error has all four keys, whoever made it. | `every_error_has_four_keys` |
//! | A wait is at least a second and never too short, and one beyond two minutes says not to come back. | `waits_are_rounded_up` |
//! | Headers say what the limits of the request say, on streams as on whole answers. | `headers_follow_the_scarcest_limit` |

mod go;
mod limits;
mod message;
mod relay;
mod table;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use tollgate_core::fault::Fault;
use tollgate_core::gate::Gate;
use tollgate_core::lifecycle::{Advice, Refusal};
use tollgate_core::memory::Memory;
use tollgate_core::policy::{Charges, Needs};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Unit};

pub use self::relay::relay;
pub use self::table::{Cause, Row, Source, Unserved};

use crate::provider::{Rejection, Words};
use crate::request::{Invalid, REQUEST_ID};

/// Which request an answer is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What it is called.
    pub request_id: &'a HeaderValue,
    /// The model that it asks for.
    pub model: &'a str,
    /// The limits that it was charged to.
    pub charges: &'a Charges,
    /// What it was estimated at.
    pub estimate: Estimate,
    /// What an endpoint must be able to do.
    pub needs: Needs,
    /// What the provider of its last attempt answered instead of an answer.
    pub rejection: Option<&'a Rejection>,
}

/// The answer to a request that core refuses.
pub fn refuse<M: Memory>(gate: &Gate<M>, now: Instant, refusal: Refusal, about: &About<'_>) -> Response<Bytes> {
    let told = Told::of(gate, now, refusal, about);
    let mut response = respond(told.status, told.source, about.request_id, told.body);
    let headers = response.headers_mut();
    limits::put(headers, gate, about.charges, now);
    headers.insert(REFUSAL, HeaderValue::from_static(refusal.name()));
    put_advice(headers, told.advice);
    if refusal == Refusal::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The status of the answer to a client that is refused.
pub(crate) fn status(refusal: Refusal, rejection: Option<&Rejection>) -> u16 {
    passed_on(refusal, rejection).map_or(refusal.status(), |rejection| rejection.status)
}

/// The last event of a stream that breaks off: a client that saw it merely end would take it for complete.
pub fn stream_error<M: Memory>(gate: &Gate<M>, now: Instant, refusal: Refusal, about: &About<'_>) -> Bytes {
    let told = Told::of(gate, now, refusal, about);
    let mut event = b"data: ".to_vec();
    event.extend(told.body.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

/// The answer to a request whose body is wrong.
#[must_use]
pub fn invalid(invalid: &Invalid, request_id: &HeaderValue) -> Response<Bytes> {
    let row = Cause::Invalid(invalid.flaw).row();
    let body = body(&invalid.message, row.kind, invalid.param, Some(row.code));
    let mut response = respond(row.status, row.source, request_id, body);
    put_advice(response.headers_mut(), HOPELESS);
    response
}

/// The answer to a request that nobody has read.
#[must_use]
pub fn unserved(unserved: Unserved, request_id: &HeaderValue) -> Response<Bytes> {
    let row = Cause::Unserved(unserved).row();
    let body = body(&message::unserved(unserved), row.kind, None, Some(row.code));
    let mut response = respond(row.status, row.source, request_id, body);
    let headers = response.headers_mut();
    if let Unserved::Method { allow } = unserved {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    put_advice(headers, advice_of(unserved));
    response
}

/// Says which of core's refusals it is: some share a code.
const REFUSAL: HeaderName = HeaderName::from_static("x-tollgate-refusal");
/// Says whether the gateway refuses, or a provider failed.
const SOURCE: HeaderName = HeaderName::from_static("x-tollgate-source");
/// A word to SDKs that overrules what they make of a status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The wait, more exactly than in seconds.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The same would be wrong again.
const HOPELESS: Advice = Advice {
    retry_after: None,
    should_retry: Some(false),
};

fn advice_of(unserved: Unserved) -> Advice {
    match unserved {
        Unserved::Path
        | Unserved::Method { .. }
        | Unserved::BodyTooLarge { .. }
        | Unserved::MediaType
        | Unserved::Malformed
        | Unserved::UriTooLong
        | Unserved::HeadersTooLarge { .. } => HOPELESS,
        Unserved::BodyTimeout { .. } | Unserved::BuffersFull | Unserved::ConnectionsFull | Unserved::Stopping => {
            Advice::default()
        }
    }
}

/// What a client is told of a refusal.
struct Told {
    status: u16,
    source: Source,
    advice: Advice,
    body: Bytes,
}

impl Told {
    fn of<M: Memory>(gate: &Gate<M>, now: Instant, refusal: Refusal, about: &About<'_>) -> Told {
        let row = Cause::Refused(refusal, unit(gate, refusal)).row();
        let advice = refusal.advice(now);
        let rejection = passed_on(refusal, about.rejection);
        let form = || {
            body(
                &message::refusal(gate, refusal, about, advice),
                row.kind,
                param(refusal),
                Some(row.code),
            )
        };
        Told {
            status: rejection.map_or(row.status, |rejection| rejection.status),
            source: row.source,
            advice,
            body: rejection.and_then(theirs).unwrap_or_else(form),
        }
    }
}

/// The provider's error that is passed on, if the refusal is about one.
fn passed_on(refusal: Refusal, rejection: Option<&Rejection>) -> Option<&Rejection> {
    let is_theirs = matches!(
        refusal,
        Refusal::OutOfAttempts {
            fault: Fault::Client,
            ..
        }
    );
    rejection.filter(|rejection| is_theirs && (400..500).contains(&rejection.status))
}

/// A provider's error: as it is if it has all four keys, else written anew from what it says, if it says something.
fn theirs(rejection: &Rejection) -> Option<Bytes> {
    let read: Value = serde_json::from_slice(&rejection.body).ok()?;
    let has_all = |error: &Map<String, Value>| KEYS.iter().all(|key| error.contains_key(*key));
    if read["error"].as_object().is_some_and(has_all) {
        return Some(rejection.body.clone());
    }
    let Words {
        code, kind, message, ..
    } = rejection.words();
    let said = |word: String| (!word.is_empty()).then_some(word);
    let kind = said(kind).unwrap_or_else(|| "invalid_request_error".to_owned());
    let message = said(message)?;
    Some(body(&message, &kind, None, said(code).as_deref()))
}

/// The keys that every error has.
const KEYS: [&str; 4] = ["message", "type", "param", "code"];

/// What the limit counts that refuses, if one does.
fn unit<M: Memory>(gate: &Gate<M>, refusal: Refusal) -> Option<Unit> {
    match refusal {
        Refusal::Limited { limit, .. } => Some(gate.policy().limits[limit.index()].unit),
        Refusal::QueueFull
        | Refusal::QueueTimeout
        | Refusal::Shed
        | Refusal::NoEndpoint { .. }
        | Refusal::NoRoute
        | Refusal::OutOfAttempts { .. }
        | Refusal::Deadline
        | Refusal::TooLarge { .. }
        | Refusal::Unauthorized => None,
    }
}

/// The key of the request that a refusal is about.
fn param(refusal: Refusal) -> Option<&'static str> {
    (refusal == Refusal::NoRoute).then_some("model")
}

fn respond(status: u16, source: Source, request_id: &HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses of the table have three digits");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REQUEST_ID, request_id.clone());
    headers.insert(SOURCE, HeaderValue::from_static(source.name()));
    response
}

/// When to come back: whole seconds, for some clients read nothing else, and milliseconds.
fn put_advice(headers: &mut HeaderMap, advice: Advice) {
    const MILLI: u64 = 1_000_000;
    if let Some(wait) = advice.retry_after {
        let millis = wait.max(Nanos::from_millis(1)).as_nanos().div_ceil(MILLI);
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
    }
    if let Some(should_retry) = advice.should_retry {
        let word = if should_retry { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(word));
    }
}

/// An error, as `OpenAI` writes it.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

fn body(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let error = ErrorObject {
        message,
        kind,
        param,
        code,
    };
    Bytes::from(serde_json::to_vec(&ErrorBody { error }).expect("texts can be written as JSON"))
}
