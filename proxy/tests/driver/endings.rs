//! Requests that end before their answer does: clients that go, time that runs out.

use http::StatusCode;
use http_body_util::BodyExt as _;
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{End, Outcome, Refusal};
use tollgate_core::time::Nanos;
use tollgate_mock_llm::clock::sleep_until;
use tollgate_mock_llm::model::{BackendSpec, FaultKind};

use crate::world::{World, api, at, broken, chat, ms, world};

/// One endpoint, one attempt, and these words of a route.
fn policy(words: &str) -> String {
    format!(
        r#"
        [[pool]]
        name = "only"
        health = {{ kind = "off" }}
        [[pool.endpoint]]
        name = "alpha"
        url = "http://alpha/v1"
        [[route]]
        name = "all"
        pools = ["only"]
        retry = {{ max_attempts = 1 }}
        {words}
        "#
    )
}

/// Sends a request for ten tokens and leaves `after` so long.
async fn leave(world: &World, after: Nanos) {
    let answered = world.ask(chat(true, 10));
    tokio::select! {
        biased;
        answer = answered => panic!("it was to be left, and yet {}", answer.body),
        () = sleep_until(&*world.time, world.time.now() + after) => {}
    }
}

#[test]
fn a_client_that_goes_before_the_first_token_stops_the_attempt() {
    world(&policy(""), vec![api("alpha", ms(300), ms(10))], async |world| {
        leave(world, ms(100)).await;
        let outcome = world.end();
        assert_eq!((outcome.end, outcome.finished), (End::Abandoned, at(100)));
        assert_eq!(outcome.usage.total(), 0);
        world.until(ms(101)).await;
        let stats = world.server("alpha").stats();
        assert_eq!((stats.jobs, stats.connections), (0, 0));
        assert_eq!(stats.cancellations[0].at, at(100), "at once");
    });
}

#[test]
fn a_client_that_goes_in_the_middle_pays_for_what_it_got() {
    world(&policy(""), vec![api("alpha", ms(300), ms(10))], async |world| {
        leave(world, ms(345)).await;
        let outcome = world.end();
        assert_eq!((outcome.end, outcome.finished), (End::Abandoned, at(345)));
        assert_eq!((outcome.usage.input > 0, outcome.usage.output), (true, 5));
        world.until(ms(346)).await;
        let stats = world.server("alpha").stats();
        assert_eq!((stats.jobs, stats.connections), (0, 0));
        assert_eq!(stats.cancellations[0].at, at(345));
    });
}

#[test]
fn a_client_that_does_not_read_is_not_read_for() {
    world(&policy(""), vec![api("alpha", ms(300), ms(10))], async |world| {
        let response = world.send(chat(true, 10)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        world.until(ms(2_000)).await;
        assert!(world.ends().is_empty(), "nothing was read, so nothing has ended");
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            read.extend(frame.expect("no error").into_data().unwrap_or_default());
        }
        assert!(String::from_utf8_lossy(&read).ends_with("data: [DONE]\n\n"));
        let outcome = world.end();
        assert_eq!((outcome.end, outcome.finished), (End::Completed, at(2_000)));
    });
}

#[test]
fn an_endpoint_may_finish_for_a_client_that_has_gone() {
    let policy = policy("cancel_on_abandon = false");
    world(&policy, vec![api("alpha", ms(300), ms(10))], async |world| {
        leave(world, ms(345)).await;
        assert!(world.ends().is_empty(), "somebody still listens");
        assert_eq!(world.gateway.in_flight(), 1);
        world.gateway.ended().await;
        let outcome = world.end();
        assert_eq!((outcome.end, outcome.finished), (End::Abandoned, at(390)));
        assert_eq!(outcome.usage.output, 10);
        assert_eq!(world.server("alpha").stats().cancelled, 0);
    });
}

/// How a request fails for want of time, and with which status.
fn times_out(words: &str, backend: BackendSpec, url: &str, stream: bool) -> (Outcome, StatusCode, String) {
    let mut ended = None;
    let policy = policy(words).replace("http://alpha", url);
    world(&policy, vec![backend], async |world| {
        let answer = world.ask(chat(stream, 10)).await;
        ended = Some((world.end(), answer.status, answer.body));
        world.until(world.now() + ms(1)).await;
        assert_eq!(world.server("alpha").stats().jobs, 0, "nothing runs on");
    });
    ended.expect("the test has run")
}

#[test]
fn a_connection_that_does_not_stand_in_time_is_given_up() {
    let words = r#"timeouts = { connect = "700ms" }"#;
    let (outcome, status, body) = times_out(words, api("alpha", ms(1), ms(1)), "http://nowhere", true);
    assert_eq!((outcome.finished, status), (at(700), StatusCode::BAD_GATEWAY), "{body}");
    assert_eq!(outcome.fault(), Some(Fault::Connect));
}

#[test]
fn a_first_token_that_does_not_come_in_time_is_given_up() {
    let words = r#"timeouts = { connect = "100ms", ttft = "800ms", idle = "100ms" }"#;
    let (outcome, status, body) = times_out(words, api("alpha", ms(5_000), ms(1)), "http://alpha", true);
    assert_eq!(
        (outcome.finished, status),
        (at(800), StatusCode::GATEWAY_TIMEOUT),
        "{body}"
    );
    assert_eq!(outcome.fault(), Some(Fault::Timeout));
    let (outcome, ..) = times_out(words, api("alpha", ms(5_000), ms(1)), "http://alpha", false);
    assert_eq!(
        outcome.finished,
        at(900),
        "a whole answer may be silent for both timeouts together"
    );
}

#[test]
fn a_stream_that_stops_is_given_up_and_says_so() {
    let words = r#"timeouts = { idle = "200ms" }"#;
    let pause = Nanos::FOREVER;
    let stalls = FaultKind::Stall { share: 1.0, pause };
    let backend = broken(api("alpha", ms(300), ms(10)), stalls, ms(60_000));
    let (outcome, status, body) = times_out(words, backend, "http://alpha", true);
    assert_eq!(status, StatusCode::OK, "it had begun");
    assert_eq!(outcome.fault(), Some(Fault::Timeout));
    let last = at(300) + ms(10) * u64::from(outcome.usage.output - 1);
    assert_eq!(outcome.finished, last + ms(200));
    assert!(body.contains("data: {\"error\":") && !body.contains("[DONE]"), "{body}");
}

#[test]
fn no_request_takes_longer_than_all_of_its_time() {
    let words = r#"timeouts = { total = "355ms" }"#;
    let (outcome, status, body) = times_out(words, api("alpha", ms(300), ms(10)), "http://alpha", true);
    assert_eq!((outcome.finished, status), (at(355), StatusCode::OK));
    assert!(
        matches!(
            outcome.end,
            End::Failed {
                refusal: Refusal::Deadline
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(outcome.usage.output, 6);
    assert!(body.contains("deadline_exceeded") && !body.contains("[DONE]"), "{body}");
}
