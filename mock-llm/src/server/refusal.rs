//! Answers that say no, in the form of OpenAI: one table for every status.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;
use tollgate_core::lifecycle::{ErrorCode, Status};
use tollgate_core::time::Nanos;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) kind: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<&'static str>,
    pub(super) message: String,
    pub(super) retry_after: Option<Nanos>,
}

pub(super) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

impl Refusal {
    /// The request makes no sense.
    pub(super) fn invalid(message: impl Into<String>, param: Option<&'static str>) -> Refusal {
        Refusal {
            param,
            ..Refusal::new(400, message)
        }
    }

    /// A status with the words that go with it.
    pub(super) fn new(status: Status, message: impl Into<String>) -> Refusal {
        let (kind, code) = match status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            403 => ("permission_error", None),
            408 => ("timeout_error", None),
            429 => ("requests", Some("rate_limit_exceeded")),
            502..=504 | 529 => ("service_unavailable_error", Some("server_is_overloaded")),
            500.. => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        Refusal {
            status,
            kind,
            code,
            param: None,
            message: message.into(),
            retry_after: None,
        }
    }

    /// What a backend says instead of an answer.
    pub(super) fn of(status: Status, code: Option<ErrorCode>) -> Refusal {
        match code {
            Some(ErrorCode::InsufficientQuota) => Refusal {
                kind: "insufficient_quota",
                code: Some("insufficient_quota"),
                ..Refusal::new(
                    status,
                    "You exceeded your current quota, please check your plan and billing details.",
                )
            },
            None => Refusal::new(status, words(status)),
        }
    }

    /// A quota is used up for a while, or can never hold what was asked for.
    pub(super) fn limited(unit: &'static str, model: &str, retry_after: Option<Nanos>) -> Refusal {
        let message = match retry_after {
            Some(wait) => format!(
                "Rate limit reached for {model} on {unit} per min. Please try again in {}.",
                go_duration(wait)
            ),
            None => format!("Request too large for {model} on {unit} per min: it must be smaller to ever be answered."),
        };
        Refusal {
            kind: unit,
            retry_after,
            ..Refusal::new(429, message)
        }
    }

    pub(super) fn unknown_model(model: &str) -> Refusal {
        Refusal {
            code: Some("model_not_found"),
            param: Some("model"),
            ..Refusal::new(
                404,
                format!("The model `{model}` does not exist or you do not have access to it."),
            )
        }
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let body = json!({
            "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code }
        });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Whoever comes a moment too early is refused again: rounded up, and never "now".
            headers.insert(RETRY_AFTER, wait.as_nanos().div_ceil(1_000_000_000).max(1).into());
            headers.insert(RETRY_AFTER_MS, wait.as_nanos().div_ceil(1_000_000).max(1).into());
        }
        response
    }
}

/// `wait` in milliseconds, to the nanosecond.
pub(super) fn exact_millis(wait: Nanos) -> HeaderValue {
    let (millis, rest) = (wait.as_nanos() / 1_000_000, wait.as_nanos() % 1_000_000);
    HeaderValue::try_from(format!("{millis}.{rest:06}")).expect("digits can stand in a header")
}

fn words(status: Status) -> &'static str {
    match status {
        401 => "Incorrect API key provided.",
        403 => "You are not allowed to do this.",
        408 => "The request took too long.",
        429 => "Rate limit reached. Please slow down.",
        500 => "The server had an error while processing your request. Sorry about that!",
        502..=504 => "The server is overloaded or not ready yet.",
        529 => "The service is overloaded.",
        400..500 => "The request was refused.",
        _ => "The server had an error.",
    }
}

/// As Go prints a duration, and providers their resets: `12ms`, `1.5s`, `6m0s`; whole milliseconds, rounded up.
pub(super) fn go_duration(length: Nanos) -> String {
    let millis = length.as_nanos().div_ceil(1_000_000);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let secs = match (rest / 1_000, rest % 1_000) {
        (secs, 0) => format!("{secs}s"),
        (secs, millis) => format!("{}s", format!("{secs}.{millis:03}").trim_end_matches('0')),
    };
    match (minutes / 60, minutes % 60) {
        (0, 0) if millis == 0 => String::from("0s"),
        (0, 0) if millis < 1_000 => format!("{millis}ms"),
        (0, 0) => secs,
        (0, minutes) => format!("{minutes}m{secs}"),
        (hours, minutes) => format!("{hours}h{minutes}m{secs}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_200, "1.2s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (3_723_050, "1h2m3.05s"),
        ] {
            assert_eq!(go_duration(Nanos::from_millis(millis)), text);
        }
        assert_eq!(go_duration(Nanos::from_nanos(1)), "1ms", "rounded up");
    }

    #[test]
    fn a_wait_can_be_said_exactly() {
        assert_eq!(exact_millis(Nanos::from_nanos(200_074_923)), "200.074923");
        assert_eq!(exact_millis(Nanos::from_nanos(7)), "0.000007");
    }

    #[test]
    fn nobody_is_asked_back_too_early() {
        for (nanos, secs, millis) in [(0, "1", "1"), (1, "1", "1"), (1_000_000_001, "2", "1001")] {
            let refusal = Refusal::limited("tokens", "m", Some(Nanos::from_nanos(nanos)));
            let response = refusal.response();
            assert_eq!(response.headers()["retry-after"], secs);
            assert_eq!(response.headers()["retry-after-ms"], millis);
        }
    }
}
