//! Targets that cannot be measured, and how that is said. None of them makes anybody wait.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tollgate_bench::load::{Failure, Load, LoadError, Loaded, run};
use tollgate_core::time::Nanos;
use tollgate_sim::experiment::Progress;

use crate::server::{self, Server};
use crate::{load, scenario, sent};

const OPEN: &str = "arrivals = { process = \"poisson\", rate = 200.0 }\nclient = { kind = \"fire-and-forget\" }";

fn silent(result: Result<Loaded, LoadError>) -> Failure {
    match result {
        Err(LoadError::Silent(_, failure, requests)) if 0 < requests => failure,
        other => panic!("{other:?}"),
    }
}

/// What was seen of a target that answers, but not with what was asked for.
fn failures(answer: Vec<u8>, stream: f64) -> Vec<String> {
    let server = Server::always(answer);
    let scenario = scenario("200ms", &format!("{OPEN}\nstream = {stream:?}"));
    let loaded = sent(&scenario, &server.url).expect("it is measured");
    assert_eq!(loaded.record.counts.completed, 0);
    assert_eq!(loaded.record.counts.failed, loaded.record.begun);
    let named = loaded.notes.iter().any(|note| note.contains("requests failed: "));
    assert!(named, "{:?}", loaded.notes);
    loaded.client.failures.into_keys().collect()
}

#[test]
fn a_target_that_refuses_is_said_at_once() {
    let url = Server::always(server::whole()).url.clone();
    let error = sent(&scenario("1h", OPEN), &url).expect_err("nobody listens there any more");
    assert!(matches!(error, LoadError::Unreachable(_, Failure::Refused)), "{error}");
    assert!(!error.is_wrong() && error.to_string().contains("connection refused"));
}

#[test]
fn a_target_that_resets_is_given_up() {
    // Who closes without having read resets.
    let server = Server::start(|stream| async move { stream.readable().await });
    let failure = silent(sent(&scenario("1h", OPEN), &server.url));
    assert!(matches!(failure, Failure::Reset | Failure::Closed), "{failure}");
}

#[test]
fn a_target_that_is_no_http_is_given_up() {
    let server = Server::start(|mut stream| async move {
        server::request(&mut stream).await?;
        stream.write_all(b"220 smtp.example.com ready\r\n").await
    });
    let failure = silent(sent(&scenario("1h", OPEN), &server.url));
    assert_eq!(failure, Failure::NotHttp);
    assert!(failure.way_out().contains("http:// or https://"));
}

#[test]
fn a_target_without_tls_is_said_at_once() {
    // As a server answers that finds no request in what it reads.
    let server = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .await
    });
    let url = server.url.replace("http://", "https://");
    let error = sent(&scenario("1h", OPEN), &url).expect_err("it speaks no TLS");
    assert!(matches!(error, LoadError::Unreachable(_, Failure::Tls)), "{error}");
}

#[test]
fn a_target_that_never_answers_is_cut_off() {
    let server = Server::start(|mut stream| async move {
        server::request(&mut stream).await?;
        std::future::pending().await
    });
    let scenario = scenario("200ms", OPEN);
    let load = Load {
        grace: Nanos::from_millis(200),
        ..load(&scenario, &server.url)
    };
    assert_eq!(silent(run(load, &Arc::new(Progress::default()))), Failure::Unanswered);
}

#[test]
fn users_who_are_never_answered_are_cut_off_too() {
    let server = Server::start(|mut stream| async move {
        server::request(&mut stream).await?;
        std::future::pending().await
    });
    let text = "arrivals = { process = \"closed\", users = 3, think = \"1ms\" }\n\
                client = { kind = \"openai-python\", timeout = \"none\" }";
    let mut scenario = scenario("1h", text);
    (scenario.run.duration, scenario.run.requests) = (None, Some(1_000));
    let load = Load {
        grace: Nanos::from_millis(200),
        ..load(&scenario, &server.url)
    };
    assert_eq!(silent(run(load, &Arc::new(Progress::default()))), Failure::Unanswered);
}

#[test]
fn what_answers_something_else_is_named() {
    let page = || server::ok("text/html", "<html>Welcome to nginx!</html>");
    let not_an_answer = Failure::NoAnswer.to_string();
    for stream in [0.0, 1.0] {
        assert_eq!(failures(page(), stream), [not_an_answer.as_str()]);
    }
    assert_eq!(failures(server::stream(""), 1.0), [Failure::Truncated.to_string()]);
    let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"x\"}}\n\n";
    assert_eq!(failures(server::stream(error), 1.0), [Failure::StreamError.to_string()]);
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    assert_eq!(failures(missing, 0.0), ["HTTP 404"]);
}

#[test]
fn calls_beyond_the_bound_are_counted_and_said() {
    let server = Server::start(|mut stream| async move {
        while server::request(&mut stream).await?.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            stream.write_all(&server::whole()).await?;
        }
        Ok(())
    });
    let scenario = scenario("500ms", &format!("{OPEN}\nstream = 0.0"));
    let load = Load {
        in_flight: 5,
        ..load(&scenario, &server.url)
    };
    let loaded = run(load, &Arc::new(Progress::default())).expect("it is measured");
    assert!(loaded.client.sent < loaded.client.intended, "{:?}", loaded.client);
    assert!(loaded.client.most_in_flight <= 5.0);
    let told = loaded.notes.iter().any(|note| note.contains("--in-flight"));
    assert!(told, "{:?}", loaded.notes);
}

#[test]
fn whoever_stops_it_gets_what_is_there() {
    let progress = Arc::new(Progress::default());
    let stop = Arc::clone(&progress);
    let server = Server::start(move |mut stream| {
        let stop = Arc::clone(&stop);
        async move {
            for round in 0.. {
                if server::request(&mut stream).await?.is_none() {
                    break;
                }
                if round == 3 {
                    stop.stop.store(true, std::sync::atomic::Ordering::Relaxed);
                    return std::future::pending().await;
                }
                stream.write_all(&server::whole()).await?;
            }
            Ok(())
        }
    });
    let text = "arrivals = { process = \"closed\", users = 1, think = \"1ms\" }\nstream = 0.0";
    let loaded = run(load(&scenario("1h", text), &server.url), &progress).expect("it is measured");
    assert_eq!((loaded.record.counts.completed, loaded.record.counts.abandoned), (3, 1));
    assert!(loaded.notes[0].starts_with("stopped after "), "{:?}", loaded.notes);
    assert!(loaded.record.horizon < Nanos::from_secs(3600));
}
