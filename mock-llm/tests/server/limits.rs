//! Requests that make no sense, or too much of it.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::client::{ask, chat, get, with_plain};

#[test]
fn nonsense_is_refused_in_form() {
    with_plain(async |lab| {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for (path, body, param) in [
            ("/v1/chat/completions", "", None),
            ("/v1/chat/completions", "{\"model\":", None),
            ("/v1/chat/completions", "\u{0}", None),
            ("/v1/chat/completions", deep.as_str(), None),
            ("/v1/chat/completions", r#"{"model":"m"}"#, Some("messages")),
            ("/v1/completions", r#"{"prompt":"p"}"#, Some("model")),
            ("/v1/completions", r#"{"model":"m","prompt":3}"#, Some("prompt")),
            ("/v1/embeddings", r#"{"model":"m"}"#, Some("input")),
            (
                "/v1/embeddings",
                r#"{"model":"m","input":"a","dimensions":0}"#,
                Some("dimensions"),
            ),
        ] {
            let heard = lab.send(ask(path, body, 1)).await.expect("an answer");
            assert_eq!(heard.status, 400, "{body:.40}");
            let error = &heard.json()["error"];
            assert_eq!(error["type"], "invalid_request_error");
            assert_eq!(error["param"].as_str(), param, "{body:.40}");
            assert!(error.get("code").is_some() && error["message"].is_string());
            assert!(heard.header("x-request-id").is_some());
        }
        for name in [
            "x-tollgate-dice",
            "x-tollgate-attempt",
            "x-mock-output-tokens",
            "x-mock-prompt-tokens",
            "x-mock-priority",
        ] {
            let mut request = chat(1);
            request
                .headers_mut()
                .insert(name, http::HeaderValue::from_static("some"));
            let heard = lab.send(request).await.expect("an answer");
            assert_eq!(heard.status, 400, "{name}");
            assert!(heard.text().contains(name));
        }
        assert_eq!(lab.server.stats().jobs, 0);
        assert!(lab.server.stats().attempts.is_empty(), "nothing reached the backend");
    });
}

#[test]
fn paths_and_methods_are_refused_in_form() {
    with_plain(async |lab| {
        let delete = Request::delete("/v1/models")
            .body(Full::<Bytes>::default())
            .expect("a request");
        for (request, status) in [
            (get("/v2/models"), 404),
            (get("/v1/chat/completions"), 405),
            (delete, 405),
        ] {
            let heard = lab.send(request).await.expect("an answer");
            assert_eq!(heard.status, status);
            assert_eq!(heard.json()["error"]["type"], "invalid_request_error");
        }
    });
}

#[test]
fn a_body_that_is_too_large_is_refused_in_form() {
    with_plain(async |lab| {
        let body = format!(r#"{{"model":"m","messages":"{}"}}"#, "x".repeat(17 << 20));
        let heard = lab
            .send(ask("/v1/chat/completions", &body, 1))
            .await
            .expect("an answer");
        assert_eq!(heard.status, 413);
        assert!(heard.text().contains("larger than"));
    });
}

#[test]
fn an_answer_without_measure_has_one() {
    with_plain(async |lab| {
        let mut request = ask("/v1/completions", r#"{"model":"m","prompt":"a","n":128}"#, u32::MAX);
        request.headers_mut().insert("x-mock-output-tokens", u32::MAX.into());
        let completion = lab.send(request).await.expect("an answer").json();
        assert_eq!(completion["usage"]["completion_tokens"], 1_000_000);
    });
}
