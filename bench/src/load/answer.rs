//! What an answer means to a client: done, refused, failed, and whether to come back.
//!
//! A gateway of ours says in its headers why it refuses. Of any other, status and code are all there is.

use std::borrow::Cow;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use tollgate_core::fault::Fault;
use tollgate_core::id::LimitId;
use tollgate_core::lifecycle::{End, Refusal};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_sim::workload::Answer;

/// Most bytes of an error that are read.
pub(super) const MOST_ERROR: usize = 64 << 10;
/// Most bytes of an answer that comes whole.
pub(super) const MOST_WHOLE: usize = 16 << 20;

/// Says which of core's refusals it is.
const REFUSAL: &str = "x-tollgate-refusal";
const SHOULD_RETRY: &str = "x-should-retry";
const RETRY_AFTER_MS: &str = "retry-after-ms";

/// What an error says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: ErrorWords<'a>,
}

#[derive(Deserialize)]
struct ErrorWords<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct UsageBody {
    usage: Option<UsageWords>,
}

#[derive(Deserialize)]
struct WholeBody {
    usage: Option<UsageWords>,
    #[serde(rename = "choices")]
    _choices: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
struct UsageWords {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

impl Words {
    /// What `body` says; nothing if it is none of `OpenAI`'s errors.
    pub(super) fn read(body: &[u8]) -> Words {
        match serde_json::from_slice::<ErrorBody<'_>>(body) {
            Ok(ErrorBody { error }) => Words {
                kind: error.kind.map(Cow::into_owned),
                code: error.code.map(Cow::into_owned),
            },
            Err(_) => Words::default(),
        }
    }
}

impl UsageWords {
    fn usage(&self) -> Option<Usage> {
        Some(Usage {
            input: self.prompt_tokens?,
            output: self.completion_tokens?,
        })
    }
}

/// What a chunk says was used.
pub(super) fn usage(chunk: &[u8]) -> Option<Usage> {
    let body: UsageBody = serde_json::from_slice(chunk).ok()?;
    body.usage?.usage()
}

/// What a whole answer says was used, if it says so; an error if it is no answer.
pub(super) fn whole(body: &[u8]) -> Result<Option<Usage>, serde_json::Error> {
    let body: WholeBody = serde_json::from_slice(body)?;
    Ok(body.usage.and_then(|usage| usage.usage()))
}

/// How a request ended that was answered with an error.
pub(super) fn end(status: u16, headers: &HeaderMap, words: &Words) -> End {
    let said = headers.get(REFUSAL).and_then(|value| value.to_str().ok());
    match said.map_or_else(|| guessed(status, words), named) {
        Some(refusal) => End::Refused { refusal },
        None => failed(fault(status)),
    }
}

/// A request that failed after it was sent on, as far as anybody can tell.
pub(super) const fn failed(fault: Fault) -> End {
    End::Failed {
        refusal: Refusal::OutOfAttempts {
            fault,
            until: Instant::FAR,
        },
    }
}

/// The refusal that a gateway of ours names. Nothing of one that follows attempts: then the request has failed.
fn named(name: &str) -> Option<Refusal> {
    match name {
        "limited" => Some(LIMITED),
        "queue_full" => Some(Refusal::QueueFull),
        "queue_timeout" => Some(Refusal::QueueTimeout),
        "shed" => Some(Refusal::Shed),
        "no_endpoint" => Some(Refusal::NoEndpoint { until: Instant::FAR }),
        "no_route" => Some(Refusal::NoRoute),
        "too_large" => Some(Refusal::TooLarge { limit: None }),
        "unauthorized" => Some(Refusal::Unauthorized),
        // The total timeout passes where something is waited for, which is an endpoint more often than a place.
        _ => None,
    }
}

/// What another gateway or a provider may mean.
fn guessed(status: u16, words: &Words) -> Option<Refusal> {
    let code = words.code.as_deref().unwrap_or_default();
    match status {
        429 => Some(LIMITED),
        401 => Some(Refusal::Unauthorized),
        404 if code == "model_not_found" => Some(Refusal::NoRoute),
        413 => Some(Refusal::TooLarge { limit: None }),
        503 if code == "server_is_overloaded" => Some(Refusal::Shed),
        _ => None,
    }
}

const LIMITED: Refusal = Refusal::Limited {
    limit: LimitId(0),
    until: Instant::FAR,
    overflow: false,
};

fn fault(status: u16) -> Fault {
    match status {
        400..=428 | 430..=499 => Fault::Client,
        429 => Fault::RateLimited,
        503 | 529 => Fault::Overloaded,
        504 => Fault::Timeout,
        _ => Fault::Server,
    }
}

/// What the rules of an SDK look at.
pub(super) fn advice(status: u16, headers: &HeaderMap, wall: SystemTime) -> Answer {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    let should_retry = text(SHOULD_RETRY).and_then(|word| word.parse().ok());
    let retry_after = match (text(RETRY_AFTER_MS), headers.get(RETRY_AFTER)) {
        (Some(millis), _) => Some(seconds(millis, 1e-3).unwrap_or_default()),
        (None, Some(value)) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| wait(text, wall))
                .unwrap_or_default(),
        ),
        (None, None) => None,
    };
    Answer {
        status: Some(status),
        retry_after,
        should_retry,
    }
}

fn wait(text: &str, wall: SystemTime) -> Option<Nanos> {
    seconds(text, 1.0).or_else(|| {
        let until = httpdate::parse_http_date(text.trim()).ok()?;
        let wait = until.duration_since(wall).unwrap_or_default();
        Some(Nanos::from_secs_f64(wait.as_secs_f64()))
    })
}

fn seconds(text: &str, unit: f64) -> Option<Nanos> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite() && 0.0 <= number).then(|| Nanos::from_secs_f64(number * unit))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn every_refusal_of_ours_is_known_by_its_name() {
        for cause in Refusal::CAUSES {
            let end = end(503, &headers(&[("x-tollgate-refusal", cause)]), &Words::default());
            match end {
                End::Refused { refusal } => assert_eq!(refusal.name(), cause),
                End::Failed { .. } => assert!(["out_of_attempts", "deadline"].contains(&cause), "{cause}"),
                End::Open | End::Completed | End::Abandoned => panic!("{cause}"),
            }
        }
    }

    #[test]
    fn others_are_understood_by_status_and_code() {
        let of = |status, body: &str| match end(status, &HeaderMap::new(), &Words::read(body.as_bytes())) {
            End::Refused { refusal } => refusal.name(),
            End::Failed { .. } => "failed",
            End::Open | End::Completed | End::Abandoned => "neither",
        };
        assert_eq!(
            of(429, r#"{"error":{"type":"requests","code":"rate_limit_exceeded"}}"#),
            "limited"
        );
        assert_eq!(of(401, ""), "unauthorized");
        assert_eq!(of(404, r#"{"error":{"code":"model_not_found"}}"#), "no_route");
        assert_eq!(of(404, "<html>"), "failed");
        assert_eq!(
            of(503, r#"{"error":{"code":"server_is_overloaded","type":null}}"#),
            "shed"
        );
        assert_eq!(of(500, r#"{"error":"what"}"#), "failed");
    }

    #[test]
    fn advice_is_what_sdks_look_at() {
        let wall = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let after = |pairs: &[_]| advice(429, &headers(pairs), wall).retry_after;
        assert_eq!(after(&[]), None);
        assert_eq!(
            after(&[("retry-after-ms", "1250"), ("retry-after", "9")]),
            Some(Nanos::from_millis(1250))
        );
        assert_eq!(after(&[("retry-after", "2.5")]), Some(Nanos::from_millis(2500)));
        assert_eq!(
            after(&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")]),
            Some(Nanos::from_secs(3))
        );
        for rubbish in ["soon", "-1", "NaN"] {
            assert_eq!(
                advice(429, &headers(&[("retry-after", "soon")]), wall).retry_after,
                Some(Nanos::ZERO),
                "{rubbish}"
            );
        }
        let told = advice(429, &headers(&[("x-should-retry", "false")]), wall);
        assert_eq!(told.should_retry, Some(false));
    }
}
