//! Everything that goes wrong, on the wire.

use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::{FaultKind, FaultSpec};
use tollgate_mock_llm::server::Fault;

use crate::client::{Lab, chat, spec, whole, with, with_plain};
use crate::world::seconds;

/// A server with this fault from 10 s to 20 s.
fn struck<T>(kind: FaultKind, test: impl AsyncFnOnce(Lab) -> T) -> T {
    let mut spec = spec();
    spec.faults = vec![FaultSpec::new(kind, seconds(10.0), Nanos::from_secs(10)).expect("in range")];
    with(spec, |builder| builder, test)
}

#[test]
fn an_outage_answers_its_status() {
    for (status, kind, code) in [
        (500, "server_error", None),
        (503, "service_unavailable_error", Some("server_is_overloaded")),
        (529, "service_unavailable_error", Some("server_is_overloaded")),
        (401, "invalid_request_error", Some("invalid_api_key")),
        (429, "requests", Some("rate_limit_exceeded")),
    ] {
        struck(FaultKind::Outage { status }, async |lab| {
            lab.until(12.0).await;
            let heard = lab.send(chat(5)).await.expect("an answer");
            assert_eq!((heard.status, heard.is_whole), (status, true));
            assert!(seconds(12.005) <= heard.opened && heard.opened <= seconds(12.05));
            let error = &heard.json()["error"];
            assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some(kind), code));
            assert!(error["param"].is_null() && error["message"].is_string());
            assert_eq!(heard.header("retry-after"), None);
            lab.until(20.0).await;
            assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 200);
        });
    }
}

#[test]
fn an_outage_breaks_streams() {
    struck(FaultKind::Outage { status: 502 }, async |lab| {
        lab.until(9.0).await;
        let heard = lab.send(chat(101)).await.expect("an answer");
        assert_eq!((heard.status, heard.is_whole, heard.ended), (200, false, seconds(10.0)));
        let tokens = heard.tokens();
        assert_eq!((tokens.len(), tokens.last()), (51, Some(&seconds(10.0))));
        assert!(!heard.text().contains("[DONE]"));
    });
}

#[test]
fn a_refused_connection_is_reset() {
    struck(FaultKind::ConnectionRefused, async |lab| {
        lab.until(9.9).await;
        let waiting = lab.server.connect().expect("not refused yet");
        lab.until(10.0).await;
        let refused = lab.server.connect().expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(
            crate::client::open_over(waiting, chat(5)).await.is_none(),
            "one that stood"
        );
        assert_eq!(lab.clock_now(), seconds(10.0));
        lab.until(20.0).await;
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 200);
        assert_eq!(lab.server.stats().requests["POST /v1/chat/completions"]["refused"], 1);
    });
}

#[test]
fn a_black_hole_is_silent() {
    struck(FaultKind::BlackHole, async |lab| {
        lab.until(12.0).await;
        let stream = lab.server.connect().expect("it is accepted");
        tokio::select! {
            _ = crate::client::open_over(stream, chat(5)) => unreachable!("no answer, ever"),
            () = lab.until(100.0) => {}
        }
        lab.until(100.1).await;
        let stats = lab.server.stats();
        assert_eq!(
            (stats.jobs, stats.cancelled, stats.cancellations[0].at),
            (0, 1, seconds(100.0))
        );
    });
}

#[test]
fn a_stream_falls_silent_in_a_black_hole() {
    struck(FaultKind::BlackHole, async |lab| {
        lab.until(9.0).await;
        tokio::select! {
            _ = lab.send(chat(101)) => unreachable!("no end, ever"),
            () = lab.until(50.0) => {}
        }
        assert_eq!(lab.server.stats().open_streams, 1, "until the client hangs up");
        lab.until(50.1).await;
        assert_eq!(lab.server.stats().open_streams, 0);
    });
}

#[test]
fn shares_of_attempts_fail() {
    for (kind, status) in [
        (
            FaultKind::ErrorBurst {
                share: 0.5,
                status: 503,
            },
            503,
        ),
        (
            FaultKind::FailFast {
                latency: Nanos::from_millis(1),
                share: 0.5,
            },
            500,
        ),
    ] {
        struck(kind, async |lab| {
            lab.until(10.0).await;
            let mut failed = 0;
            for _ in 0..10 {
                let heard = lab.send(whole(1)).await.expect("an answer");
                assert!(heard.status == 200 || heard.status == status);
                failed += u32::from(heard.status == status);
            }
            assert!((1..=9).contains(&failed), "{failed}");
        });
    }
}

#[test]
fn a_brownout_slows_every_token() {
    struck(FaultKind::Brownout { factor: 4.0 }, async |lab| {
        lab.until(10.0).await;
        let heard = lab.send(chat(3)).await.expect("an answer");
        assert_eq!(heard.tokens(), [seconds(12.0), seconds(12.02), seconds(12.04)]);
        // What is left of a stream speeds up as it ends: nothing is sent late.
        lab.until(17.5).await;
        let heard = lab.send(chat(101)).await.expect("an answer");
        let tokens = heard.tokens();
        assert_eq!(
            (tokens[0], tokens[25], tokens[26]),
            (seconds(19.5), seconds(20.0), seconds(20.01))
        );
        assert_eq!(heard.ended, seconds(20.75));
    });
}

#[test]
fn a_slow_start_fades() {
    let ramp = Nanos::from_secs(10);
    struck(FaultKind::SlowStart { ramp }, async |lab| {
        lab.until(19.0).await;
        let slow = lab.send(chat(1)).await.expect("an answer");
        let slow = slow.opened.since(seconds(19.0));
        lab.until(30.0).await;
        let heard = lab.send(chat(1)).await.expect("an answer");
        assert_eq!(heard.opened, seconds(30.5));
        assert!(Nanos::from_millis(500) <= slow && slow < Nanos::from_secs(1), "{slow}");
    });
}

#[test]
fn a_stall_pauses_and_goes_on() {
    let pause = Nanos::from_secs(5);
    struck(FaultKind::Stall { share: 1.0, pause }, async |lab| {
        lab.until(10.0).await;
        let heard = lab.send(chat(101)).await.expect("an answer");
        let tokens = heard.tokens();
        let is_pause = |pair: &[Instant]| pause < pair[1].since(pair[0]);
        assert_eq!(tokens.windows(2).filter(|pair| is_pause(pair)).count(), 1);
        assert_eq!((tokens.len(), heard.is_whole, heard.ended), (101, true, seconds(16.5)));
    });
}

#[test]
fn a_truncated_stream_has_no_end() {
    struck(FaultKind::Truncate { share: 1.0 }, async |lab| {
        lab.until(10.0).await;
        let heard = lab.send(chat(101)).await.expect("an answer");
        assert_eq!((heard.status, heard.is_whole), (200, false));
        assert!(!heard.text().contains("[DONE]") && !heard.text().contains("finish_reason\":\"stop"));
        let tokens = heard.tokens();
        assert!(!tokens.is_empty() && tokens.len() < 101);
        assert_eq!(tokens.last(), Some(&heard.ended), "what was said is not lost");
        // An answer that comes whole does not come at all.
        assert!(lab.send(whole(101)).await.is_none());
    });
}

#[test]
fn an_exhausted_quota_is_told_apart() {
    struck(FaultKind::QuotaExhausted, async |lab| {
        lab.until(10.0).await;
        let heard = lab.send(chat(5)).await.expect("an answer");
        assert_eq!((heard.status, heard.opened), (429, seconds(10.0)));
        let error = &heard.json()["error"];
        assert_eq!(
            (&error["type"], &error["code"]),
            (&"insufficient_quota".into(), &"insufficient_quota".into())
        );
    });
}

#[test]
fn faults_are_injected_and_cleared() {
    with_plain(async |lab| {
        let outage = FaultSpec::new(FaultKind::Outage { status: 503 }, Instant::EPOCH, Nanos::FOREVER);
        lab.server
            .inject(Fault::Model(outage.expect("in range")))
            .expect("in range");
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 503);
        assert_eq!(lab.server.ordered().len(), 1);
        lab.server.clear();
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 200);
        assert_eq!(lab.server.ordered(), []);
    });
}
