//! Clients that hang up, and servers that end.

use http_body_util::BodyExt as _;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::model::{BackendSpec, Kind, OnCancel};

use crate::client::{chat, open_over, plain, spec, whole, with, with_plain};
use crate::world::seconds;

#[test]
fn hanging_up_cancels_at_once() {
    // Before the head and in the middle; of a stream and of an answer that comes whole.
    for (request, after) in [
        (chat(101), 0.25),
        (chat(101), 0.7),
        (whole(101), 0.25),
        (whole(101), 0.7),
    ] {
        with_plain(async |lab| {
            tokio::select! {
                _ = lab.send(request) => unreachable!("the client leaves first"),
                () = lab.until(after) => {}
            }
            lab.until(after + 0.001).await;
            let stats = lab.server.stats();
            assert_eq!((stats.jobs, stats.open_streams, stats.cancelled), (0, 0, 1));
            assert_eq!(stats.cancellations[0].at, seconds(after));
            assert_eq!(stats.connections, 0);
        });
    }
}

#[test]
fn work_goes_on_where_it_would() {
    let spec = BackendSpec {
        on_cancel: OnCancel::Finish,
        ..BackendSpec::new("alpha", Kind::Api(plain()))
    };
    with(
        spec,
        |builder| builder,
        async |lab| {
            tokio::select! {
                _ = lab.send(chat(101)) => unreachable!("the client leaves first"),
                () = lab.until(0.7) => {}
            }
            lab.until(1.49).await;
            assert_eq!((lab.server.stats().jobs, lab.server.stats().cancelled), (1, 1));
            lab.until(1.51).await;
            assert_eq!(lab.server.stats().jobs, 0);
        },
    );
}

#[test]
fn what_was_answered_was_not_cancelled() {
    with_plain(async |lab| {
        for request in [chat(5), whole(5)] {
            assert!(lab.send(request).await.expect("an answer").is_whole);
        }
        assert_eq!(lab.server.stats().cancelled, 0);
    });
}

#[test]
fn a_reader_that_is_slow_gets_every_token() {
    with_plain(async |lab| {
        let stream = lab.server.connect().expect("it is accepted");
        let response = open_over(stream, chat(20_000)).await.expect("an answer");
        // Long after the last token: there was no room for them all on the way.
        lab.until(500.0).await;
        let body = response
            .into_body()
            .collect()
            .await
            .expect("the whole answer")
            .to_bytes();
        let text = std::str::from_utf8(&body).expect("text");
        assert_eq!(text.matches("\"content\":").count(), 20_001, "and the role");
        assert!(text.ends_with("data: [DONE]\n\n"));
        assert_eq!(lab.clock_now(), seconds(500.0));
    });
}

#[test]
fn a_stopped_server_takes_nobody_and_ends_what_runs() {
    with(
        spec(),
        |builder| builder,
        async |lab| {
            let running = tokio::spawn({
                let stream = lab.server.connect().expect("it is accepted");
                async move {
                    open_over(stream, chat(5))
                        .await
                        .map(|response| response.status().as_u16())
                }
            });
            let idle = lab.server.connect().expect("it is accepted");
            lab.until(0.1).await;
            lab.server.stop();
            assert!(lab.server.connect().is_err());
            assert_eq!(running.await.expect("no panic"), Some(200));
            assert!(open_over(idle, chat(5)).await.is_none());
            assert!(lab.clock_now() <= seconds(0.5) + Nanos::from_millis(1));
        },
    );
}
