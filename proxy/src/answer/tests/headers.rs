//! Where a request stands with its limits, in headers.

use super::*;

const LIMITS: &str = r#"
    [[limit]]
    name = "wide"
    algorithm = "gcra"
    unit = "requests"
    quota = { amount = 1_000, period = "1m" }
    [[limit]]
    name = "narrow"
    algorithm = "fixed-window"
    unit = "requests"
    quota = { amount = 10, period = "10s" }
    [[limit]]
    name = "to\"kens é"
    algorithm = "token-bucket"
    unit = "tokens"
    quota = { amount = 60, period = "1s", burst = 6_000 }
    [[limit]]
    name = "flight"
    algorithm = "permits"
    unit = "in-flight"
    max_in_flight = 5
    [[limit]]
    name = "elsewhere"
    algorithm = "gcra"
    unit = "requests"
    quota = { amount = 1, period = "1h" }
    store = { kind = "redis", mode = "strict", deadline = "10ms" }
"#;

/// The head of an answer that was relayed.
fn relayed(gate: &Gate<Local>, headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let request_id = HeaderValue::from_static("id-1");
    let charges = class(gate).charges;
    let mut head = Response::new(()).into_parts().0;
    for (name, value) in headers {
        head.headers.append(*name, HeaderValue::from_static(value));
    }
    let stage = HeaderStage {
        set: vec![("x-served-by".into(), "tollgate".into())],
        remove: vec!["server".into()],
    };
    relay(gate, NOW, &stage, &about(&charges, &request_id, None), &mut head);
    head.headers
}

#[test]
fn headers_follow_the_scarcest_limit() {
    let gate = gate(LIMITS);
    let life = begin(
        &gate,
        Estimate {
            input: 1_000,
            output: Some(500),
            more: 0,
        },
    );
    assert_eq!(life.outcome().attempts, 0, "it asks limits elsewhere first");
    for headers in [
        &[("content-type", "application/json")],
        &[("content-type", "text/event-stream")],
    ] {
        let headers = relayed(&gate, headers);
        let header = |name| text(&headers, name);
        assert_eq!(
            header("x-ratelimit-limit-requests"),
            Some("10"),
            "9 of 10 is less than 999 of 1000"
        );
        assert_eq!(header("x-ratelimit-remaining-requests"), Some("9"));
        assert_eq!(header("x-ratelimit-reset-requests"), Some("10s"));
        assert_eq!(header("x-ratelimit-limit-tokens"), Some("6000"));
        assert_eq!(header("x-ratelimit-remaining-tokens"), Some("4500"));
        assert_eq!(header("x-ratelimit-reset-tokens"), Some("25s"));
        assert_eq!(
            header("ratelimit-policy"),
            Some(
                "\"wide\";q=1000;w=60, \"narrow\";q=10;w=10, \"to\\\"kens %C3%A9\";q=6000;w=100, \
                 \"flight\";q=5;qu=\"concurrent-requests\""
            )
        );
        assert_eq!(
            header("ratelimit"),
            Some("\"wide\";r=999;t=1, \"narrow\";r=9;t=10, \"to\\\"kens %C3%A9\";r=4500;t=25, \"flight\";r=4")
        );
    }
    let refused = refuse(
        &gate,
        NOW,
        Refusal::QueueFull,
        &about(&class(&gate).charges, &HeaderValue::from_static("id-1"), None),
    );
    assert_eq!(text(refused.headers(), "x-ratelimit-remaining-tokens"), Some("4500"));
    drop(settled(life, &gate));
}

/// A request has to be over before it is dropped.
fn settled(mut life: Lifecycle, gate: &Gate<Local>) -> Lifecycle {
    let mut effects = Effects::new();
    life.handle(gate, NOW, tollgate_core::lifecycle::Input::Abandon, &mut effects);
    life
}

#[test]
fn without_limits_there_are_no_headers_about_them() {
    let headers = relayed(&gate(""), &[]);
    assert!(
        headers.keys().all(|name| !name.as_str().contains("ratelimit")),
        "{headers:?}"
    );
}

#[test]
fn what_is_between_us_and_the_provider_stays_there() {
    let theirs = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("set-cookie", "a=b"),
        ("x-ratelimit-limit-requests", "99"),
        ("retry-after", "7"),
        ("x-request-id", "theirs"),
        ("x-tollgate-source", "gateway"),
        ("server", "cloud"),
        ("openai-processing-ms", "12"),
        ("content-type", "text/event-stream; charset=utf-8"),
        ("content-length", "12"),
    ];
    let headers = relayed(&gate(""), &theirs);
    let mut left: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "cache-control: no-cache",
            "content-type: text/event-stream; charset=utf-8",
            "openai-processing-ms: 12",
            "x-accel-buffering: no",
            "x-request-id: id-1",
            "x-served-by: tollgate",
            "x-tollgate-source: provider",
        ]
    );
    let whole = relayed(
        &gate(""),
        &[("content-length", "12"), ("content-type", "application/json")],
    );
    assert_eq!(text(&whole, "content-length"), Some("12"), "nothing is taken out of it");
}
