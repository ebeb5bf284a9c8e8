//! Endpoints that fail in ways that only a connection knows.

use http::StatusCode;
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::End;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::FaultKind;
use tollgate_mock_llm::server::WireKind;

use crate::world::{World, api, at, broken, chat, ms, world};

const ONE: &str = r#"
    [[pool]]
    name = "only"
    health = { kind = "off" }
    [[pool.endpoint]]
    name = "alpha"
    url = "http://alpha/v1"
    [[route]]
    name = "all"
    pools = ["only"]
    timeouts = { ttft = "2s", idle = "1s" }
    retry = { max_attempts = 1 }
"#;

/// Lets `kind` happen to a request, and tells how it ended for its client.
fn happens(kind: WireKind, stream: bool, look: impl AsyncFnOnce(&World, StatusCode, &str, bool)) {
    world(ONE, vec![api("alpha", ms(300), ms(10))], async |world| {
        // On a fresh connection, and on one that was used before.
        for _ in 0..2 {
            assert_eq!(world.ask(chat(stream, 3)).await.status, StatusCode::OK);
        }
        world.break_wire("alpha", kind);
        let answer = world.ask(chat(stream, 10)).await;
        look(world, answer.status, &answer.body, answer.whole).await;
        world.server("alpha").clear();
        assert_eq!(
            world.ask(chat(stream, 3)).await.status,
            StatusCode::OK,
            "and then all is well"
        );
    });
}

fn last_fault(world: &World) -> Option<Fault> {
    world.ends().last().and_then(tollgate_core::lifecycle::Outcome::fault)
}

#[test]
fn what_is_not_http_is_a_fault_of_the_server() {
    for kind in [WireKind::Garbage, WireKind::EndlessHeaders] {
        happens(kind, true, async |world, status, body, _| {
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{kind:?}: {body}");
            assert_eq!(last_fault(world), Some(Fault::Server), "{kind:?}");
        });
    }
}

#[test]
fn a_reset_before_the_answer_is_no_connection() {
    for stream in [false, true] {
        happens(
            WireKind::Reset { after: None },
            stream,
            async |world, status, body, _| {
                assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
                assert_eq!(last_fault(world), Some(Fault::Connect));
            },
        );
    }
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error() {
    for kind in [
        WireKind::Truncate { after: 700 },
        WireKind::Reset { after: Some(700) },
        WireKind::Hang { after: 700 },
    ] {
        happens(kind, true, async |_, status, body, whole| {
            assert_eq!(status, StatusCode::OK, "{kind:?}");
            assert!(whole && body.contains("data: {\"error\":"), "{kind:?}: {body}");
            assert!(!body.contains("[DONE]"), "{kind:?}: {body}");
        });
    }
}

#[test]
fn a_whole_answer_that_breaks_off_is_seen_to() {
    for kind in [WireKind::Truncate { after: 60 }, WireKind::Reset { after: Some(60) }] {
        happens(kind, false, async |world, status, body, whole| {
            assert_eq!(status, StatusCode::OK, "{kind:?}: {body}");
            assert!(!whole, "{kind:?}: the client must not take it for the whole");
            assert_eq!(last_fault(world), Some(Fault::Stream), "{kind:?}");
        });
    }
}

#[test]
fn a_body_that_trickles_arrives() {
    let kind = WireKind::SlowBody {
        bytes: 50,
        every: ms(20),
    };
    happens(kind, true, async |_, status, body, whole| {
        assert!(
            status == StatusCode::OK && whole && body.ends_with("data: [DONE]\n\n"),
            "{body}"
        );
    });
}

#[test]
fn a_mistake_of_the_client_is_passed_on_as_the_provider_says_it() {
    let wrong = FaultKind::ErrorBurst {
        share: 1.0,
        status: 422,
    };
    world(
        ONE,
        vec![broken(api("alpha", ms(300), ms(10)), wrong, ms(60_000))],
        async |world| {
            let answer = world.ask(chat(true, 5)).await;
            assert_eq!(answer.status.as_u16(), 422, "{}", answer.body);
            assert_eq!(answer.headers["x-tollgate-source"], "provider");
            assert_eq!(last_fault(world), Some(Fault::Client));
        },
    );
}

#[test]
fn a_spent_quota_is_told_from_one_that_refills() {
    let spent = broken(api("alpha", ms(300), ms(10)), FaultKind::QuotaExhausted, ms(60_000));
    world(ONE, vec![spent], async |world| {
        let answer = world.ask(chat(true, 5)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
        assert_eq!(answer.headers["x-should-retry"], "false");
        assert_eq!(last_fault(world), Some(Fault::QuotaExhausted));
    });
}

#[test]
fn a_key_that_is_not_accepted_is_our_affair() {
    let wrong = FaultKind::ErrorBurst {
        share: 1.0,
        status: 401,
    };
    world(
        ONE,
        vec![broken(api("alpha", ms(300), ms(10)), wrong, ms(60_000))],
        async |world| {
            let answer = world.ask(chat(true, 5)).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
            assert_eq!(last_fault(world), Some(Fault::Credential));
        },
    );
}

#[test]
fn probes_eject_an_endpoint_and_bring_it_back() {
    let policy = ONE.replace(
        "health = { kind = \"off\" }",
        "panic_below = 0.0\nprobe = { path = \"/health\", every = \"1s\", timeout = \"300ms\", rise = 2, fall = 2 }",
    );
    let refuses = broken(api("alpha", ms(300), ms(10)), FaultKind::ConnectionRefused, ms(10_500));
    world(&policy, vec![refuses], async |world| {
        let ejected = async || {
            let snapshot = world.gateway.snapshot();
            snapshot.endpoints[0].ejected_until != Instant::EPOCH
        };
        world.until(ms(500)).await;
        assert!(!ejected().await, "one bad answer is not two");
        world.until(ms(1_500)).await;
        assert!(ejected().await);
        assert_eq!(world.ask(chat(true, 5)).await.status, StatusCode::SERVICE_UNAVAILABLE);
        world.until(ms(11_500)).await;
        assert!(ejected().await, "one good answer is not two");
        world.until(ms(12_500)).await;
        assert!(!ejected().await);
        assert_eq!(world.ask(chat(true, 5)).await.status, StatusCode::OK);
    });
}

#[test]
fn a_black_hole_is_silent_until_the_timeout() {
    let silent = broken(
        api("alpha", ms(300), ms(10)),
        FaultKind::BlackHole,
        Nanos::from_secs(60),
    );
    world(ONE, vec![silent], async |world| {
        let answer = world.ask(chat(true, 5)).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
        let outcome = world.end();
        assert_eq!((outcome.finished, outcome.fault()), (at(2_000), Some(Fault::Timeout)));
        assert!(matches!(outcome.end, End::Failed { .. }));
    });
}
