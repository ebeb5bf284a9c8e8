//! Answers that succeed, however hard that is.

use std::num::NonZeroU32;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tollgate_core::lifecycle::End;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::model::FaultKind;
use tollgate_proxy::settings::{Settings, Upstream};

use crate::world::{api, at, broken, chat, ms, world, world_with};

const ONE: &str = r#"
    [[pool]]
    name = "only"
    [[pool.endpoint]]
    name = "alpha"
    url = "http://alpha/v1"
    [[route]]
    name = "all"
    pools = ["only"]
"#;

const TWO: &str = r#"
    [[pool]]
    name = "both"
    balance = { kind = "round-robin" }
    health = { kind = "off" }
    [[pool.endpoint]]
    name = "alpha"
    url = "http://alpha/v1"
    [[pool.endpoint]]
    name = "beta"
    url = "http://beta/v1"
    [[route]]
    name = "all"
    pools = ["both"]
    retry = { max_attempts = 3, backoff = { base = "100ms", max = "1s", jitter = "none" } }
"#;

#[test]
fn a_whole_answer_is_relayed() {
    world(ONE, vec![api("alpha", ms(300), ms(10))], async |world| {
        let answer = world.ask(chat(false, 11)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.whole && answer.body.contains("\"choices\""), "{}", answer.body);
        assert!(answer.headers.contains_key("x-request-id"));
        assert_eq!(answer.headers["x-tollgate-source"], "provider");
        let outcome = world.end();
        assert_eq!(outcome.end, End::Completed);
        assert_eq!(outcome.finished, at(400));
        assert_eq!((outcome.usage.input, outcome.usage.output), (5, 11));
    });
}

/// A client's connection asks for no more once all bytes that were announced are sent: the answer is complete then,
/// although the mark of its end is another frame of HTTP/2.
#[test]
fn an_answer_over_http2_is_complete_with_its_last_byte() {
    let policy = ONE.replace("http://alpha/v1", "http://late/v1");
    world(&policy, vec![], async |world| {
        let (head, mut body) = world.send(chat(false, 11)).await.into_parts();
        let announced = head.headers["content-length"].to_str().expect("digits");
        let announced: u64 = announced.parse().expect("a number");
        let mut sent = 0;
        while sent < announced {
            let frame = body.frame().await.expect("there is more").expect("it comes whole");
            sent += frame.into_data().map_or(0, |data| data.len() as u64);
        }
        drop(body);
        let outcome = world.end();
        assert_eq!(outcome.end, End::Completed);
        assert_eq!((outcome.usage.input, outcome.usage.output), (5, 11));
    });
}

#[test]
fn a_stream_over_http2_is_relayed_and_can_be_left() {
    let policy = ONE.replace("alpha/v1", "alpha-h2/v1");
    world(&policy, vec![api("alpha", ms(300), ms(10))], async |world| {
        let answer = world.ask(chat(true, 11)).await;
        assert!(
            answer.whole && answer.body.ends_with("data: [DONE]\n\n"),
            "{}",
            answer.body
        );
        assert_eq!(world.end().end, End::Completed);
        let left = world.send(chat(true, 1000)).await;
        drop(left);
        assert_eq!(world.ends()[1].end, End::Abandoned);
        world.until(ms(2_000)).await;
        assert_eq!(world.server("alpha").stats().cancelled, 1, "the stream is reset");
    });
}

#[test]
fn a_stream_is_relayed_token_by_token() {
    world(ONE, vec![api("alpha", ms(300), ms(10))], async |world| {
        let answer = world.ask(chat(true, 11)).await;
        assert_eq!(answer.status, StatusCode::OK);
        let kind = answer.headers["content-type"].to_str().expect("text");
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        assert_eq!(answer.headers["x-accel-buffering"], "no");
        assert!(answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
        assert!(!answer.body.contains("\"prompt_tokens\""), "nobody asked for the usage");
        let outcome = world.end();
        assert_eq!((outcome.first_token, outcome.finished), (at(300), at(400)));
        assert_eq!((outcome.usage.input, outcome.usage.output), (5, 11));
    });
}

#[test]
fn a_connection_is_used_again() {
    for stream in [false, true] {
        world(ONE, vec![api("alpha", ms(300), ms(10))], async |world| {
            for _ in 0..5 {
                assert_eq!(world.ask(chat(stream, 3)).await.status, StatusCode::OK);
            }
            assert_eq!(world.server("alpha").stats().connections, 1);
            world.until(world.now() + Nanos::from_secs(121)).await;
            assert_eq!(world.server("alpha").stats().connections, 0, "it was idle for too long");
        });
    }
}

#[test]
fn a_retry_cannot_be_seen() {
    let alpha = broken(api("alpha", ms(300), ms(10)), FaultKind::ConnectionRefused, ms(60_000));
    world(TWO, vec![alpha, api("beta", ms(200), ms(10))], async |world| {
        let answer = world.ask(chat(true, 5)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.ends_with("data: [DONE]\n\n"));
        let outcome = world.end();
        assert_eq!((outcome.attempts, outcome.retries), (2, 1));
        assert_eq!(
            (outcome.won, outcome.first_token),
            (at(100), at(300)),
            "after the backoff"
        );
    });
}

#[test]
fn a_hedge_wins_and_the_slow_attempt_is_stopped() {
    let policy = TWO.to_owned() + "hedge = { after = \"200ms\", max = 1, budget = 1.0 }\n";
    let slow = api("alpha", ms(5_000), ms(10));
    world(&policy, vec![slow, api("beta", ms(100), ms(10))], async |world| {
        assert_eq!(world.ask(chat(true, 5)).await.status, StatusCode::OK);
        let outcome = world.end();
        assert_eq!(
            (outcome.hedges, outcome.won, outcome.first_token),
            (1, at(200), at(300))
        );
        let stopped = world.server("alpha").stats().cancellations;
        assert_eq!(stopped.len(), 1);
        assert_eq!(stopped[0].at, at(300), "as the other's first token came");
        assert_eq!(world.server("alpha").stats().jobs, 0);
    });
}

#[test]
fn who_waits_is_admitted_as_another_ends() {
    let policy = ONE.replace("name = \"alpha\"", "name = \"alpha\"\nmax_in_flight = 1");
    world(&policy, vec![api("alpha", ms(300), ms(10))], async |world| {
        let (first, second, third) = tokio::join!(
            world.ask(chat(false, 1)),
            world.ask(chat(true, 1)),
            world.ask(chat(false, 1))
        );
        for answer in [first, second, third] {
            assert_eq!(answer.status, StatusCode::OK);
        }
        let ends = world.ends();
        let admitted: Vec<_> = ends.iter().map(|outcome| outcome.admitted).collect();
        assert_eq!(admitted, [at(0), at(300), at(600)]);
        assert_eq!(ends[2].queue_wait, ms(600));
    });
}

#[test]
fn connections_are_bounded_and_waited_for() {
    let settings = || Settings {
        upstream: Upstream {
            max_connections: NonZeroU32::MIN,
            ..Upstream::default()
        },
        ..Settings::default()
    };
    world_with(settings(), ONE, vec![api("alpha", ms(300), ms(10))], async |world| {
        let (first, second) = tokio::join!(world.ask(chat(false, 1)), world.ask(chat(true, 1)));
        assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
        assert_eq!(world.server("alpha").stats().connections, 1);
        assert_eq!(world.ends()[1].finished, at(600), "one after the other");
    });
    let once = ONE.to_owned() + "retry = { max_attempts = 1 }\n";
    world_with(
        settings(),
        &once,
        vec![api("alpha", ms(3_000), ms(10))],
        async |world| {
            let (first, second) = tokio::join!(world.ask(chat(false, 1)), world.ask(chat(true, 1)));
            assert_eq!(first.status, StatusCode::OK);
            assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(second.body.contains("no_connection"), "{}", second.body);
        },
    );
}

#[test]
fn the_list_of_models_is_what_the_policy_names() {
    let policy = ONE.replace("url =", "model = \"large-2\"\nurl =");
    world(&policy, vec![api("alpha", ms(1), ms(1))], async |world| {
        let get = |path: &str| Request::get(path).body(Body::empty()).expect("a request");
        let list = world.ask(get("/v1/models")).await;
        assert!(list.body.contains("\"id\":\"large-2\""), "{}", list.body);
        assert_eq!(world.ask(get("/v1/models/large-2")).await.status, StatusCode::OK);
        let unknown = world.ask(get("/v1/models/other")).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        assert!(unknown.body.contains("model_not_found"), "{}", unknown.body);
        assert_eq!(world.ask(get("/healthz")).await.status, StatusCode::OK);
        assert_eq!(world.ask(get("/readyz")).await.status, StatusCode::OK);
        world.gateway.drain();
        assert_eq!(world.ask(get("/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    });
}

#[test]
fn what_is_not_served_is_said_in_form() {
    let settings = Settings {
        limits: tollgate_proxy::settings::Limits {
            max_body: 100,
            ..tollgate_proxy::settings::Limits::default()
        },
        ..Settings::default()
    };
    world_with(settings, ONE, vec![api("alpha", ms(1), ms(1))], async |world| {
        let post = |path: &str, kind: &str, body: &str| {
            let request = Request::post(path).header("content-type", kind);
            request.body(Body::from(body.to_owned())).expect("a request")
        };
        let chat = "/v1/chat/completions";
        let long = format!(r#"{{"model":"{}"}}"#, "a".repeat(200));
        let cases = [
            (post("/v1/other", "application/json", "{}"), 404),
            (Request::get(chat).body(Body::empty()).expect("a request"), 405),
            (post("/v1/models", "application/json", "{}"), 405),
            (post(chat, "text/plain", "{}"), 415),
            (post(chat, "application/json", "{"), 400),
            (post(chat, "application/json", ""), 400),
            (post(chat, "application/json", &long), 413),
        ];
        for (request, status) in cases {
            let line = format!("{} {}", request.method(), request.uri());
            let answer = world.ask(request).await;
            assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.body);
            for key in ["message", "type", "param", "code"] {
                assert!(answer.body.contains(&format!("\"{key}\":")), "{line}: {}", answer.body);
            }
        }
        assert!(world.ends().is_empty(), "none of them had a lifecycle");
    });
}
