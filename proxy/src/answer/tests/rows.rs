//! The table of errors, written out by hand and compared row by row.

use super::*;
use crate::request::Flaw;

const FAR: Instant = Instant::FAR;
const SOON: Instant = Instant::from_nanos(1_001_200_000_000);
const LATE: Instant = Instant::from_secs(1_000 + 121);

/// Status, type, code, `x-should-retry`, `retry-after`, `retry-after-ms`, source.
type Expected = (
    u16,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

const REQUESTS: LimitId = LimitId(0);
const TOKENS: LimitId = LimitId(1);
const IN_FLIGHT: LimitId = LimitId(2);

const LIMITS: &str = r#"
    [[limit]]
    name = "rate"
    algorithm = "gcra"
    unit = "requests"
    quota = { amount = 600, period = "1m", burst = 60 }
    [[limit]]
    name = "tokens"
    algorithm = "token-bucket"
    unit = "tokens"
    quota = { amount = 6_000, period = "1m" }
    [[limit]]
    name = "flight"
    algorithm = "permits"
    unit = "in-flight"
    max_in_flight = 2
"#;

fn limited(limit: LimitId, until: Instant) -> Refusal {
    Refusal::Limited {
        limit,
        until,
        overflow: false,
    }
}

fn failed(fault: Fault, until: Instant) -> Refusal {
    Refusal::OutOfAttempts { fault, until }
}

#[expect(clippy::too_many_lines, reason = "one row a cause")]
fn refusals() -> Vec<(Refusal, Expected)> {
    let gateway = "gateway";
    let provider = "provider";
    let server = "server_error";
    let unavailable = "service_unavailable_error";
    let invalid = "invalid_request_error";
    let limit = "rate_limit_exceeded";
    let overloaded = "server_is_overloaded";
    let never = Some("false");
    vec![
        (
            limited(REQUESTS, SOON),
            (429, "requests", limit, None, Some("2"), Some("1200"), gateway),
        ),
        (
            limited(TOKENS, SOON),
            (429, "tokens", limit, None, Some("2"), Some("1200"), gateway),
        ),
        (
            limited(TOKENS, LATE),
            (429, "tokens", limit, never, Some("121"), Some("121000"), gateway),
        ),
        (
            limited(IN_FLIGHT, FAR),
            (429, "requests", limit, None, None, None, gateway),
        ),
        (
            limited(REQUESTS, NOW),
            (429, "requests", limit, None, Some("1"), Some("1"), gateway),
        ),
        (
            Refusal::QueueFull,
            (503, unavailable, overloaded, None, None, None, gateway),
        ),
        (
            Refusal::QueueTimeout,
            (503, unavailable, overloaded, None, None, None, gateway),
        ),
        (Refusal::Shed, (503, unavailable, overloaded, None, None, None, gateway)),
        (
            Refusal::NoEndpoint { until: SOON },
            (503, unavailable, "no_endpoint", None, Some("2"), Some("1200"), gateway),
        ),
        (
            Refusal::NoEndpoint { until: FAR },
            (503, unavailable, "no_endpoint", None, None, None, gateway),
        ),
        (
            Refusal::NoRoute,
            (404, invalid, "model_not_found", never, None, None, gateway),
        ),
        (
            Refusal::Deadline,
            (504, server, "deadline_exceeded", None, None, None, gateway),
        ),
        (
            Refusal::TooLarge { limit: Some(TOKENS) },
            (400, invalid, "request_too_large", never, None, None, gateway),
        ),
        (
            Refusal::TooLarge { limit: None },
            (400, invalid, "no_capable_endpoint", never, None, None, gateway),
        ),
        (
            Refusal::Unauthorized,
            (401, invalid, "invalid_api_key", never, None, None, gateway),
        ),
        (
            failed(Fault::Connect, FAR),
            (502, server, "provider_unreachable", None, None, None, provider),
        ),
        (
            failed(Fault::NoConnection, FAR),
            (503, unavailable, "no_connection", None, None, None, provider),
        ),
        (
            failed(Fault::Timeout, FAR),
            (504, server, "provider_timeout", None, None, None, provider),
        ),
        (
            failed(Fault::RateLimited, SOON),
            (429, "requests", limit, None, Some("2"), Some("1200"), provider),
        ),
        (
            failed(Fault::Overloaded, FAR),
            (503, unavailable, overloaded, None, None, None, provider),
        ),
        (
            failed(Fault::Server, FAR),
            (502, server, "provider_error", None, None, None, provider),
        ),
        (
            failed(Fault::Client, FAR),
            (400, invalid, "provider_refused", never, None, None, provider),
        ),
        (
            failed(Fault::Stream, FAR),
            (502, server, "provider_stream_broken", None, None, None, provider),
        ),
        (
            failed(Fault::QuotaExhausted, FAR),
            (
                503,
                unavailable,
                "provider_quota_exhausted",
                never,
                None,
                None,
                provider,
            ),
        ),
        (
            failed(Fault::Credential, FAR),
            (503, unavailable, "provider_credential", None, None, None, provider),
        ),
    ]
}

fn flaws() -> Vec<(Flaw, &'static str)> {
    vec![
        (Flaw::Empty, "empty_body"),
        (Flaw::Encoding, "invalid_encoding"),
        (Flaw::Syntax, "invalid_json"),
        (Flaw::Duplicate, "duplicate_parameter"),
        (Flaw::Missing, "missing_required_parameter"),
        (Flaw::Kind, "invalid_type"),
        (Flaw::Range, "invalid_value"),
    ]
}

fn others() -> Vec<(Unserved, u16, &'static str, &'static str, Option<&'static str>)> {
    let invalid = "invalid_request_error";
    let unavailable = "service_unavailable_error";
    let never = Some("false");
    let after = Nanos::from_secs(30);
    vec![
        (Unserved::Path, 404, invalid, "not_found", never),
        (
            Unserved::Method { allow: "POST" },
            405,
            invalid,
            "method_not_allowed",
            never,
        ),
        (Unserved::BodyTimeout { after }, 408, invalid, "request_timeout", None),
        (
            Unserved::BodyTooLarge { most: 9 },
            413,
            invalid,
            "body_too_large",
            never,
        ),
        (Unserved::MediaType, 415, invalid, "unsupported_media_type", never),
        (
            Unserved::HeadersTooLarge { most: 9 },
            431,
            invalid,
            "headers_too_large",
            never,
        ),
        (Unserved::Malformed, 400, invalid, "malformed_request", never),
        (Unserved::UriTooLong, 414, invalid, "uri_too_long", never),
        (Unserved::BuffersFull, 503, unavailable, "server_is_overloaded", None),
        (
            Unserved::ConnectionsFull,
            503,
            unavailable,
            "server_is_overloaded",
            None,
        ),
        (Unserved::Stopping, 503, unavailable, "stopping", None),
    ]
}

fn check(response: &Response<Bytes>, expected: Expected, what: &str) {
    let headers = response.headers();
    let error = error(response);
    let word = |key: &str| error[key].as_str().expect("a text");
    let (status, kind, code, should_retry, seconds, millis, source) = expected;
    assert_eq!(
        (response.status().as_u16(), word("type"), word("code")),
        (status, kind, code),
        "{what}"
    );
    assert_eq!(text(headers, "x-should-retry"), should_retry, "{what}");
    assert_eq!(text(headers, "retry-after"), seconds, "{what}");
    assert_eq!(text(headers, "retry-after-ms"), millis, "{what}");
    assert_eq!(text(headers, "x-tollgate-source"), Some(source), "{what}");
    assert_eq!(text(headers, "x-request-id"), Some("id-1"), "{what}");
    assert_eq!(text(headers, "content-type"), Some("application/json"), "{what}");
    assert!(!word("message").is_empty(), "{what}");
}

#[test]
fn every_row_is_what_is_promised() {
    let gate = gate(LIMITS);
    let request_id = HeaderValue::from_static("id-1");
    let charges = Charges::default();
    let about = about(&charges, &request_id, None);
    let rows = refusals();
    for (refusal, expected) in &rows {
        let response = refuse(&gate, NOW, *refusal, &about);
        check(&response, *expected, &format!("{refusal:?}"));
        assert_eq!(text(response.headers(), "x-tollgate-refusal"), Some(refusal.name()));
        let asks = text(response.headers(), "www-authenticate");
        assert_eq!(asks, (*refusal == Refusal::Unauthorized).then_some("Bearer"));
    }
    for cause in 0..Refusal::CAUSES.len() {
        assert!(
            rows.iter().any(|(refusal, _)| refusal.cause() == cause),
            "{}",
            Refusal::CAUSES[cause]
        );
    }
    for fault in Fault::ALL {
        let is_it = |refusal: Refusal| matches!(refusal, Refusal::OutOfAttempts { fault: of, .. } if of == fault);
        assert!(rows.iter().any(|(refusal, _)| is_it(*refusal)), "{fault:?}");
    }
    let kind = "invalid_request_error";
    for (flaw, code) in flaws() {
        let wrong = Invalid {
            flaw,
            param: Some("n"),
            message: "`n` is wrong".into(),
        };
        let response = invalid(&wrong, &request_id);
        check(&response, (400, kind, code, Some("false"), None, None, "gateway"), code);
        assert_eq!(error(&response)["param"], "n");
    }
    assert_eq!(flaws().len(), Flaw::ALL.len());
    for (cause, status, kind, code, should_retry) in others() {
        let response = unserved(cause, &request_id);
        check(
            &response,
            (status, kind, code, should_retry, None, None, "gateway"),
            code,
        );
        assert_eq!(text(response.headers(), "allow"), (status == 405).then_some("POST"));
    }
}

/// Every cause, in the order of the page.
pub(super) fn causes() -> Vec<Cause> {
    let gate = gate(LIMITS);
    let refusals = refusals().into_iter().map(|(refusal, _)| refusal);
    let refusals = refusals.filter(|refusal| refusal.until() != Some(LATE));
    let refusals = refusals.map(|refusal| Cause::Refused(refusal, unit(&gate, refusal)));
    let flaws = flaws().into_iter().map(|(flaw, _)| Cause::Invalid(flaw));
    let others = others().into_iter().map(|other| Cause::Unserved(other.0));
    refusals.chain(flaws).chain(others).collect()
}

#[test]
fn messages_say_what_binds_and_when_to_come_back() {
    let gate = gate(LIMITS);
    let request_id = HeaderValue::from_static("id-1");
    let charges = Charges::default();
    let mut about = about(&charges, &request_id, None);
    about.needs = Needs {
        input: 2_000,
        output: 10_000,
        vision: true,
        ..Needs::default()
    };
    let say = |refusal| {
        let response = refuse(&gate, NOW, refusal, &about);
        error(&response)["message"].as_str().expect("a text").to_owned()
    };
    let shared = Refusal::Limited {
        limit: REQUESTS,
        until: SOON,
        overflow: true,
    };
    let cases = [
        (
            limited(REQUESTS, SOON),
            "Limit `rate` is used up: it grants 600 requests per 1m, at most 60 at once. Try again in 1.2s.",
        ),
        (
            shared,
            "Limit `rate` is used up: it grants 600 requests per 1m, at most 60 at once. It has more than 100000 keys, \
             its `max_keys`: this one shares its quota with others. Try again in 1.2s.",
        ),
        (
            limited(IN_FLIGHT, FAR),
            "Limit `flight` is used up: it grants 2 requests in flight.",
        ),
        (
            Refusal::TooLarge { limit: Some(TOKENS) },
            "This is estimated at 12000 tokens (2000 of the prompt, up to 10000 of the answer); limit `tokens` never \
             holds more than 6000. Send a shorter prompt, or a smaller `max_tokens`.",
        ),
        (
            Refusal::TooLarge { limit: None },
            "No endpoint for the model `gpt-large` can serve this: about 2000 tokens of prompt, up to 10000 of answer, \
             pictures.",
        ),
        (
            Refusal::NoRoute,
            "The model `gpt-large` does not exist here, or not for this key.",
        ),
        (
            Refusal::NoEndpoint { until: SOON },
            "No endpoint can serve this now. Try again in 1.2s.",
        ),
        (failed(Fault::Timeout, FAR), "The provider took too long."),
    ];
    for (refusal, message) in cases {
        assert_eq!(say(refusal), message);
    }
}

#[test]
fn waits_are_rounded_up() {
    let gate = gate(LIMITS);
    let request_id = HeaderValue::from_static("id-1");
    let charges = Charges::default();
    let about = about(&charges, &request_id, None);
    for nanos in [
        0,
        1,
        999_999,
        1_000_000,
        1_000_001,
        999_000_001,
        1_000_000_000,
        59_000_000_001,
        120_000_000_001,
    ] {
        let until = NOW + Nanos::from_nanos(nanos);
        let response = refuse(&gate, NOW, limited(REQUESTS, until), &about);
        let number = |name| {
            text(response.headers(), name)
                .and_then(|text| text.parse::<u64>().ok())
                .expect("a number")
        };
        let (seconds, millis) = (number("retry-after"), number("retry-after-ms"));
        assert!(1 <= seconds && 1 <= millis && nanos <= millis * 1_000_000 && millis <= seconds * 1_000);
        let is_hopeless = text(response.headers(), "x-should-retry") == Some("false");
        assert_eq!(is_hopeless, 120_000 < millis, "{nanos}");
    }
}

#[test]
fn every_error_has_four_keys() {
    let gate = gate(LIMITS);
    let request_id = HeaderValue::from_static("id-1");
    let charges = Charges::default();
    let told = |status, body: &'static str| {
        let rejection = Rejection {
            status,
            content_type: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        let about = about(&charges, &request_id, Some(&rejection));
        let response = refuse(&gate, NOW, failed(Fault::Client, FAR), &about);
        let broken = stream_error(&gate, NOW, failed(Fault::Client, FAR), &about);
        let inner = broken
            .strip_prefix(b"data: ")
            .and_then(|rest| rest.strip_suffix(b"\n\n"))
            .expect("an event");
        assert!(!inner.contains(&b'\n'), "one line");
        assert_eq!(
            serde_json::from_slice::<Value>(inner).expect("JSON"),
            serde_json::from_slice::<Value>(response.body()).expect("JSON")
        );
        let error = error(&response);
        (response.status().as_u16(), error, response)
    };
    let theirs = "{\n \"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\",\"inner\":{\"x\":1}}}";
    let (status, error, response) = told(422, theirs);
    assert_eq!(
        (status, response.body().as_ref()),
        (422, theirs.as_bytes()),
        "passed on as it is"
    );
    assert_eq!(error["inner"]["x"], 1);

    let (status, error, _) = told(404, r#"{"error":{"message":"no such model","code":17}}"#);
    assert_eq!((status, error["message"].as_str()), (404, Some("no such model")));
    assert_eq!(
        (&error["type"], &error["code"]),
        (&Value::from("invalid_request_error"), &Value::Null)
    );
    let (_, error, _) = told(400, r#"{"error":"too long"}"#);
    assert_eq!(error["message"], "too long");

    let (status, error, _) = told(413, "<html>no</html>");
    assert_eq!(status, 413);
    assert_eq!(error["message"], "The provider refused the request with status 413.");
    assert_eq!(
        told(502, theirs).0,
        400,
        "whatever is no refusal of a request is not passed on"
    );
}
