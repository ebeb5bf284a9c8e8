//! Errors as providers write them: which of them change a decision.

use bytes::Bytes;
use http::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;

use tollgate_core::lifecycle::{ErrorCode, Status};

/// What a provider answered instead of an answer: for the client, if nothing else can be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status; of an error within a stream, the one that its code stands for.
    pub status: Status,
    /// What its body is.
    pub content_type: Option<HeaderValue>,
    /// Its body, at most [`Rejection::MOST_BYTES`] of it.
    pub body: Bytes,
}

impl Rejection {
    /// Bytes of an error's body that are read. What is longer is no message.
    pub const MOST_BYTES: usize = 64 * 1024;

    /// What it says, in whichever form.
    pub(crate) fn words(&self) -> Words {
        Words::of(&self.body)
    }

    /// The code that matters, if there is one.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        self.words().spent().then_some(ErrorCode::InsufficientQuota)
    }
}

/// The status that an error stands for that came within an answer with status 200, and its code, if it matters.
pub(super) fn status_within(json: &[u8]) -> (Status, Option<ErrorCode>) {
    let words = Words::of(json);
    if words.spent() {
        return (429, Some(ErrorCode::InsufficientQuota));
    }
    (words.status(), None)
}

/// What an error says of itself; empty where it says nothing.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// A code for programs.
    pub(crate) code: String,
    /// A type, which is a code as well.
    pub(crate) kind: String,
    /// A text for people.
    pub(crate) message: String,
    status: Option<Status>,
}

impl Words {
    /// Of `{"error": {..}}`, of `{"error": ".."}`, of the inner object alone, or of any text.
    fn of(body: &[u8]) -> Words {
        let Ok(outer) = serde_json::from_slice::<Body<'_>>(body) else {
            return Words {
                message: String::from_utf8_lossy(body).into_owned(),
                ..Words::default()
            };
        };
        let inner = outer.error.filter(|error| error.get() != "null");
        let inner = inner.map(|error| match serde_json::from_str::<Body<'_>>(error.get()) {
            Ok(inner) => Words::from(&inner),
            Err(_) => Words {
                message: text(Some(error)),
                ..Words::default()
            },
        });
        inner.unwrap_or_else(|| Words::from(&outer))
    }

    /// Whether a quota is meant that does not refill by itself.
    fn spent(&self) -> bool {
        /// `OpenAI`'s, old and new, and those of servers that speak like it.
        const CODES: [&str; 9] = [
            "insufficient_quota",
            "credit_balance_exhausted",
            "project_spend_limit_exceeded",
            "organization_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
            "quota_exhausted",
        ];
        /// Azure's API Management says it with 403 and in words only.
        const MESSAGES: [&str; 2] = ["Out of call volume quota", "Out of bandwidth quota"];
        let is_code = CODES
            .iter()
            .any(|code| self.code.eq_ignore_ascii_case(code) || self.kind.eq_ignore_ascii_case(code));
        is_code || MESSAGES.iter().any(|message| self.message.contains(message))
    }

    /// The status that the words stand for; 500 if they say nothing that is known.
    fn status(&self) -> Status {
        /// Part of a code or type, and what it means. The first that is found decides.
        const MEANINGS: [(&str, Status); 17] = [
            ("rate_limit", 429),
            ("slow_down", 429),
            ("too_many_requests", 429),
            ("toomanyrequests", 429),
            ("overloaded", 529),
            ("service_unavailable", 503),
            ("unavailable", 503),
            ("capacity", 503),
            ("timeout", 408),
            ("authentication", 401),
            ("invalid_api_key", 401),
            ("permission", 403),
            ("content_filter", 400),
            ("context_length_exceeded", 400),
            ("not_found", 404),
            ("invalid_request", 400),
            ("invalid", 400),
        ];
        if let Some(status) = self.status {
            return status;
        }
        let words = [self.code.to_ascii_lowercase(), self.kind.to_ascii_lowercase()];
        let meant = |(part, _): &&(&str, Status)| words.iter().any(|word| word.contains(part));
        MEANINGS.iter().find(meant).map_or(500, |(_, status)| *status)
    }
}

impl From<&Body<'_>> for Words {
    fn from(body: &Body<'_>) -> Words {
        let numbers = [body.status, body.status_code, body.camel_code, body.code];
        let status = numbers.into_iter().flatten().find_map(|json| {
            let status: Status = json.get().trim_matches('"').parse().ok()?;
            (400..600).contains(&status).then_some(status)
        });
        Words {
            code: text(body.code),
            kind: text(body.kind),
            message: text(body.message),
            status,
        }
    }
}

/// An error, or what is around it. Each value is read by itself: one of another kind must not hide the rest.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "statusCode")]
    camel_code: Option<&'a RawValue>,
}

fn text(json: Option<&RawValue>) -> String {
    json.and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spent_quotas_are_told_from_those_that_refill() {
        let spent = [
            r#"{"error":{"message":"You exceeded","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            r#"{"error":{"message":"","type":"invalid_request_error","code":"billing_hard_limit_reached"}}"#,
            r#"{"error":{"code":"project_spend_limit_exceeded"}}"#,
            r#"{"error":{"type":"insufficient_quota"}}"#,
            r#"{ "statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 01:23:45." }"#,
            "Out of bandwidth quota. Quota will be replenished in 3.01:00:00.",
        ];
        let refills = [
            r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            r#"{"error":{"code":"429","message":"Requests to the Completions API have exceeded the call rate limit"}}"#,
            r#"{"error":"insufficient_quota in a sentence"}"#,
            r#"{"error":null}"#,
            r#"{"error":{"code":17}}"#,
            "<html>insufficient_quota</html>",
            "",
        ];
        let code = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            Rejection {
                status: 429,
                content_type: None,
                body,
            }
            .code()
        };
        for body in spent {
            assert_eq!(code(body), Some(ErrorCode::InsufficientQuota), "{body}");
        }
        for body in refills {
            assert_eq!(code(body), None, "{body}");
        }
    }

    #[test]
    fn an_error_within_an_answer_names_a_status() {
        let cases = [
            (r#"{"error":{"code":"rate_limit_exceeded","type":"tokens"}}"#, 429),
            (r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#, 529),
            (
                r#"{"error":{"code":"server_is_overloaded","type":"service_unavailable_error"}}"#,
                529,
            ),
            (r#"{"error":{"code":502,"message":"Provider returned error"}}"#, 502),
            (r#"{"error":{"code":"503","message":"no"}}"#, 503),
            (
                r#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                400,
            ),
            (r#"{"error":{"code":"content_filter"}}"#, 400),
            (r#"{"error":{"type":"authentication_error"}}"#, 401),
            (r#"{"error":{"type":"server_error","code":null}}"#, 500),
            (r#"{"error":"something broke"}"#, 500),
            (
                r#"{"object":"error","message":"boom","type":"BadRequestError","code":400}"#,
                400,
            ),
            (r#"{"error":{"code":200}}"#, 500),
            ("not JSON", 500),
        ];
        for (json, status) in cases {
            assert_eq!(status_within(json.as_bytes()), (status, None), "{json}");
        }
        let spent = status_within(br#"{"error":{"code":"insufficient_quota"}}"#);
        assert_eq!(spent, (429, Some(ErrorCode::InsufficientQuota)));
    }
}
