//! What answers look like.

use serde_json::{Value, json};
use tollgate_core::time::Nanos;

use crate::client::{ask, chat, get, spec, whole, with, with_plain};

fn chat_with(more: &str, tokens: u32) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hello"}}],{more}}}"#);
    ask("/v1/chat/completions", &body, tokens)
}

#[test]
fn a_whole_chat_has_its_shape() {
    with_plain(async |lab| {
        let heard = lab.send(whole(3)).await.expect("an answer");
        assert_eq!(heard.header("content-type"), Some("application/json"));
        let mut chat = heard.json();
        let id = chat["id"].take();
        let content = chat["choices"][0]["message"]["content"].take();
        assert!(id.as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
        assert_eq!(content.as_str().map(|text| text.split(' ').count()), Some(3));
        assert_eq!(
            chat,
            json!({
                "id": null, "object": "chat.completion", "created": 0, "model": "m",
                "choices": [{
                    "index": 0,
                    "message": { "role": "assistant", "content": null, "refusal": null, "annotations": [] },
                    "logprobs": null, "finish_reason": "stop",
                }],
                "usage": {
                    "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5,
                    "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
                    "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
                },
                "service_tier": "default", "system_fingerprint": "fp_tollgate",
            })
        );
        let request_id = heard.header("x-request-id").expect("an id");
        assert_eq!(request_id.len(), 4 + 18);
        assert!(id.as_str().is_some_and(|id| request_id[4..] == id["chatcmpl-".len()..]));
    });
}

#[test]
fn a_streamed_chat_has_its_shape() {
    with_plain(async |lab| {
        let heard = lab.send(chat(2)).await.expect("an answer");
        assert_eq!(heard.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let events: Vec<Value> = heard.events().into_iter().map(|(_, event)| event).collect();
        let part = |delta: Value, reason: Value| {
            json!({
                "id": events[0]["id"], "object": "chat.completion.chunk", "created": 0, "model": "m",
                "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }],
                "service_tier": "default", "system_fingerprint": "fp_tollgate",
            })
        };
        let content = |at: usize| json!({ "content": events[at]["choices"][0]["delta"]["content"] });
        let first = json!({ "role": "assistant", "content": "", "refusal": null });
        assert_eq!(
            events,
            [
                part(first, Value::Null),
                part(content(1), Value::Null),
                part(content(2), Value::Null),
                part(json!({}), "stop".into()),
                "[DONE]".into(),
            ]
        );
    });
}

#[test]
fn usage_comes_last_and_only_if_it_is_asked_for() {
    with_plain(async |lab| {
        let heard = lab
            .send(chat_with(r#""stream":true,"stream_options":{"include_usage":true}"#, 3))
            .await;
        let events: Vec<Value> = heard
            .expect("an answer")
            .events()
            .into_iter()
            .map(|(_, event)| event)
            .collect();
        let (last, rest) = events.split_last().expect("some");
        let (usage, rest) = rest.split_last().expect("some");
        assert_eq!(last, "[DONE]");
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"]["total_tokens"], 5);
        assert_eq!(rest.len(), 5);
        assert!(rest.iter().all(|event| event.get("usage") == Some(&Value::Null)));

        let heard = lab.send(chat_with(r#""stream":true"#, 3)).await.expect("an answer");
        assert!(heard.events().iter().all(|(_, event)| event.get("usage").is_none()));
    });
}

#[test]
fn the_maximum_ends_an_answer_and_says_so() {
    with_plain(async |lab| {
        for (more, tokens, reason) in [
            (r#""max_tokens":2"#, 2, "length"),
            (r#""max_completion_tokens":2,"max_tokens":9"#, 2, "length"),
            (r#""max_tokens":3"#, 3, "stop"),
            (r#""max_tokens":null"#, 3, "stop"),
        ] {
            let chat = lab.send(chat_with(more, 3)).await.expect("an answer").json();
            assert_eq!(chat["usage"]["completion_tokens"], tokens, "{more}");
            assert_eq!(chat["choices"][0]["finish_reason"], reason, "{more}");
        }
    });
}

#[test]
fn choices_share_the_tokens() {
    with_plain(async |lab| {
        let chat = lab.send(chat_with(r#""n":3"#, 4)).await.expect("an answer").json();
        assert_eq!(chat["usage"]["completion_tokens"], 12);
        let said: Vec<&str> = (0..3)
            .filter_map(|at| chat["choices"][at]["message"]["content"].as_str())
            .collect();
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|text| text.split(' ').count() == 4));
        assert_ne!(said[0], said[1]);

        let heard = lab
            .send(chat_with(r#""n":3,"stream":true"#, 4))
            .await
            .expect("an answer");
        let mut streamed = vec![String::new(); 3];
        for (_, event) in heard.events() {
            if let (Some(index), Some(content)) = (
                event["choices"][0]["index"].as_u64(),
                event["choices"][0]["delta"]["content"].as_str(),
            ) {
                streamed[usize::try_from(index).expect("an index")].push_str(content);
            }
        }
        assert!(streamed.iter().all(|text| text.split(' ').count() == 4), "{streamed:?}");
    });
}

/// The words are drawn by the dice of a request, however they are sent.
#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let said = |stream: bool| {
        with_plain(async |lab| {
            let heard = lab
                .send(chat_with(&format!(r#""stream":{stream}"#), 20))
                .await
                .expect("an answer");
            if stream {
                let events = heard.events();
                let contents = events
                    .iter()
                    .filter_map(|(_, event)| event["choices"][0]["delta"]["content"].as_str());
                contents.collect::<String>()
            } else {
                heard.json()["choices"][0]["message"]["content"]
                    .as_str()
                    .map(String::from)
                    .expect("a text")
            }
        })
    };
    assert_eq!(said(true), said(false));
}

#[test]
fn completions_have_their_shape() {
    with_plain(async |lab| {
        let body = r#"{"model":"m","prompt":["one","two"]}"#;
        let completion = lab
            .send(ask("/v1/completions", body, 2))
            .await
            .expect("an answer")
            .json();
        assert_eq!(completion["object"], "text_completion");
        assert_eq!(completion["choices"].as_array().map(Vec::len), Some(2));
        assert_eq!(completion["choices"][1]["index"], 1);
        assert_eq!(completion["choices"][1]["finish_reason"], "stop");
        assert_eq!(completion["usage"]["completion_tokens"], 4);

        let body = r#"{"model":"m","prompt":"one","stream":true}"#;
        let heard = lab.send(ask("/v1/completions", body, 2)).await.expect("an answer");
        let events: Vec<Value> = heard.events().into_iter().map(|(_, event)| event).collect();
        assert_eq!(events.len(), 4);
        assert_eq!(events[0]["object"], "text_completion");
        assert_eq!(events[0]["choices"][0]["finish_reason"], Value::Null);
        assert_eq!(
            events[2]["choices"][0],
            json!({ "text": "", "index": 0, "logprobs": null, "finish_reason": "stop" })
        );
        assert_eq!(events[3], "[DONE]");
    });
}

#[test]
fn embeddings_come_as_numbers_or_in_base64() {
    with_plain(async |lab| {
        let body = |format: &str| {
            format!(r#"{{"model":"m","input":["one","two","one"],"dimensions":8,"encoding_format":"{format}"}}"#)
        };
        let floats = lab
            .send(ask("/v1/embeddings", &body("float"), 9))
            .await
            .expect("an answer")
            .json();
        assert_eq!(floats["object"], "list");
        assert_eq!(floats["usage"], json!({ "prompt_tokens": 3, "total_tokens": 3 }));
        let data = floats["data"].as_array().expect("a list");
        assert_eq!(
            (data.len(), &data[2]["index"], &data[2]["object"]),
            (3, &json!(2), &json!("embedding"))
        );
        assert_eq!(data[0]["embedding"].as_array().map(Vec::len), Some(8));
        assert_eq!(data[0]["embedding"], data[2]["embedding"], "the same text");
        assert_ne!(data[0]["embedding"], data[1]["embedding"]);

        let coded = lab
            .send(ask("/v1/embeddings", &body("base64"), 9))
            .await
            .expect("an answer")
            .json();
        let text = coded["data"][0]["embedding"].as_str().expect("base64");
        assert_eq!(text.len(), 44, "32 bytes");

        let whole = lab
            .send(ask("/v1/embeddings", r#"{"model":"m","input":"one"}"#, 9))
            .await
            .expect("an answer");
        assert_eq!(
            whole.json()["data"][0]["embedding"].as_array().map(Vec::len),
            Some(1_536)
        );
    });
}

#[test]
fn models_are_listed_and_others_unknown() {
    with_plain(async |lab| {
        let models = lab.send(get("/v1/models")).await.expect("an answer").json();
        let alpha = json!({ "id": "alpha", "object": "model", "created": 1_704_067_200, "owned_by": "alpha" });
        assert_eq!(models, json!({ "object": "list", "data": [alpha] }));
        let any = lab.send(get("/v1/models/some/thing")).await.expect("an answer");
        assert_eq!((any.status, &any.json()["id"]), (200, &json!("some/thing")));
    });
    let models = vec![String::from("m"), String::from("gpt-4o")];
    with(
        spec(),
        |builder| builder.models(models),
        async |lab| {
            let listed = lab.send(get("/v1/models")).await.expect("an answer").json();
            assert_eq!(listed["data"][1]["id"], "gpt-4o");
            assert_eq!(lab.send(whole(1)).await.expect("an answer").status, 200);
            let body = r#"{"model":"gpt-5","messages":[{"role":"user"}]}"#;
            for request in [get("/v1/models/gpt-5"), ask("/v1/chat/completions", body, 1)] {
                let heard = lab.send(request).await.expect("an answer");
                assert_eq!(heard.status, 404);
                assert_eq!(heard.json()["error"]["code"], "model_not_found");
            }
        },
    );
}

#[test]
fn a_key_is_asked_for_if_there_is_one() {
    with(
        spec(),
        |builder| builder.api_key(Some(String::from("sk-1"))),
        async |lab| {
            let refused = json!("invalid_api_key");
            for (name, value, status) in [
                ("accept", "*/*", 401),
                ("authorization", "Bearer sk-2", 401),
                ("authorization", "Basic sk-1", 401),
                ("authorization", "Bearer sk-1", 200),
                ("x-api-key", "sk-1", 200),
            ] {
                for request in [get("/v1/models"), whole(1)] {
                    let mut request = request;
                    request
                        .headers_mut()
                        .insert(name, http::HeaderValue::from_static(value));
                    let heard = lab.send(request).await.expect("an answer");
                    assert_eq!(heard.status, status, "{name}: {value}");
                    if status == 401 {
                        assert_eq!(heard.json()["error"]["code"], refused);
                        assert_eq!(heard.header("www-authenticate"), Some("Bearer"));
                    }
                }
            }
        },
    );
}

#[test]
fn lengths_are_drawn_where_nobody_says() {
    with_plain(async |lab| {
        let mut lengths = Vec::new();
        for _ in 0..200 {
            let mut request = whole(1);
            request.headers_mut().remove("x-mock-output-tokens");
            let chat = lab.send(request).await.expect("an answer").json();
            lengths.push(chat["usage"]["completion_tokens"].as_u64().expect("a count"));
        }
        lengths.sort_unstable();
        // The median is 150; so few values stray no further than this.
        assert!((100..=220).contains(&lengths[100]), "{lengths:?}");
        let start = lab.clock_now();
        let mut request = whole(1);
        request.headers_mut().insert("x-mock-prompt-tokens", 77.into());
        let chat = lab.send(request).await.expect("an answer").json();
        assert_eq!(chat["usage"]["prompt_tokens"], 77);
        assert!(start < lab.clock_now() && lab.clock_now() <= start + Nanos::from_secs(1));
    });
}
