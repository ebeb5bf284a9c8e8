//! What is read of requests, and what is wrong with others.

mod laws;

use serde_json::{Map, Value, json};

use super::*;

fn read(operation: Operation, body: &str) -> Result<Reading, Invalid> {
    Reading::of(operation, &Bytes::copy_from_slice(body.as_bytes()), &Estimator::Bytes)
}

fn chat(body: &Value) -> Reading {
    read(Operation::Chat, &body.to_string()).expect("a valid request")
}

/// A chat with these further keys.
fn with(more: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    let map = body.as_object_mut().expect("an object");
    map.extend(more.as_object().expect("an object").clone());
    body
}

/// What is wrong with a chat with these further keys.
fn wrong(more: &Value) -> (Flaw, Option<&'static str>) {
    let error = read(Operation::Chat, &with(more).to_string()).expect_err("something is wrong");
    (error.flaw, error.param)
}

#[test]
fn bodies_that_are_no_request_are_named() {
    let cases: [(&[u8], Flaw, Option<&str>); 27] = [
        (b"", Flaw::Empty, None),
        (b" \r\n\t", Flaw::Empty, None),
        (b"\xef\xbb\xbf{}", Flaw::Encoding, None),
        (b"{\"model\":\"\xff\"}", Flaw::Encoding, None),
        (b"{", Flaw::Syntax, None),
        (b"{\"model\":}", Flaw::Syntax, None),
        (b"{\"model\":\"m\"", Flaw::Syntax, None),
        (b"{} {}", Flaw::Syntax, None),
        (b"{\"a\":1,}", Flaw::Syntax, None),
        (b"{'a':1}", Flaw::Syntax, None),
        (b"{\"a\":01}", Flaw::Syntax, None),
        (b"{\"a\":NaN}", Flaw::Syntax, None),
        (b"{\"a\":\"\n\"}", Flaw::Syntax, None),
        (b"hello", Flaw::Syntax, None),
        (b"[]", Flaw::Kind, None),
        (b"\"text\"", Flaw::Kind, None),
        (b"17", Flaw::Kind, None),
        (b"null", Flaw::Kind, None),
        (b"{}", Flaw::Missing, Some("model")),
        (b"{\"model\":null}", Flaw::Missing, Some("model")),
        (b"{\"model\":7}", Flaw::Kind, Some("model")),
        (b"{\"model\":\"\"}", Flaw::Range, Some("model")),
        (b"{\"model\":\"\\ud800\"}", Flaw::Syntax, Some("model")),
        (b"{\"model\":\"m\"}", Flaw::Missing, Some("messages")),
        (b"{\"model\":\"m\",\"model\":\"m\"}", Flaw::Duplicate, Some("model")),
        (
            b"{\"model\":\"m\",\"mod\\u0065l\":\"n\"}",
            Flaw::Duplicate,
            Some("model"),
        ),
        (b"{\"model\":\"m\",\"Model\":\"n\"}", Flaw::Duplicate, Some("model")),
    ];
    for (body, flaw, param) in cases {
        let shown = String::from_utf8_lossy(body);
        let error = Reading::of(Operation::Chat, &Bytes::copy_from_slice(body), &Estimator::Bytes);
        let error = error.expect_err(&shown);
        assert_eq!((error.flaw, error.param), (flaw, param), "{shown}: {error}");
    }
}

#[test]
fn values_out_of_bounds_are_named() {
    let cases = [
        (json!({"messages": null}), Flaw::Missing, "messages"),
        (json!({"messages": []}), Flaw::Range, "messages"),
        (json!({"messages": {}}), Flaw::Kind, "messages"),
        (json!({"messages": "Hi"}), Flaw::Kind, "messages"),
        (json!({"messages": ["Hi"]}), Flaw::Kind, "messages"),
        (json!({"messages": [[]]}), Flaw::Kind, "messages"),
        (json!({"temperature": 2.1}), Flaw::Range, "temperature"),
        (json!({"temperature": -0.1}), Flaw::Range, "temperature"),
        (json!({"temperature": "1"}), Flaw::Kind, "temperature"),
        (json!({"temperature": [1]}), Flaw::Kind, "temperature"),
        (json!({"top_p": 1.5}), Flaw::Range, "top_p"),
        (json!({"max_tokens": 0}), Flaw::Range, "max_tokens"),
        (json!({"max_tokens": -5}), Flaw::Range, "max_tokens"),
        (json!({"max_tokens": 1.5}), Flaw::Kind, "max_tokens"),
        (json!({"max_tokens": 1e3}), Flaw::Kind, "max_tokens"),
        (json!({"max_tokens": "9"}), Flaw::Kind, "max_tokens"),
        (json!({"max_tokens": 4_294_967_296_u64}), Flaw::Range, "max_tokens"),
        (
            json!({"max_completion_tokens": true}),
            Flaw::Kind,
            "max_completion_tokens",
        ),
        (json!({"max_output_tokens": 0}), Flaw::Range, "max_output_tokens"),
        (json!({"n": 0}), Flaw::Range, "n"),
        (json!({"n": 129}), Flaw::Range, "n"),
        (json!({"best_of": 1000}), Flaw::Range, "best_of"),
        (json!({"stream": 1}), Flaw::Kind, "stream"),
        (json!({"stream": "true"}), Flaw::Kind, "stream"),
        (json!({"stream_options": true}), Flaw::Kind, "stream_options"),
        (
            json!({"stream_options": {"include_usage": 1}}),
            Flaw::Kind,
            "stream_options",
        ),
        (json!({"user": 7}), Flaw::Kind, "user"),
        (json!({"model": "x".repeat(257)}), Flaw::Range, "model"),
    ];
    for (more, flaw, param) in cases {
        assert_eq!(wrong(&more), (flaw, Some(param)), "{more}");
    }
    let twice = r#"{"model":"m","messages":[{}],"stream_options":{"include_usage":true,"include_usage":false}}"#;
    let error = read(Operation::Chat, twice).expect_err("twice");
    assert_eq!((error.flaw, error.param), (Flaw::Duplicate, Some("stream_options")));
}

#[test]
fn messages_say_nothing_that_the_client_wrote() {
    let secrets = [
        r#"{"model":"swordfish"#,
        r#"{"model":"m","messages":"swordfish"}"#,
        r#"{"model":"m","messages":[{"content":"swordfish"}],"temperature":"swordfish"}"#,
        r#""swordfish""#,
        "swordfish",
        r#"{"model":"m","swordfish":}"#,
    ];
    for body in secrets {
        let error = read(Operation::Chat, body).expect_err(body);
        assert!(!error.message.contains("swordfish"), "{error}");
    }
}

#[test]
fn nothing_is_what_null_says() {
    let names = [
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "temperature",
        "top_p",
        "user",
        "tools",
        "response_format",
    ];
    let nulls: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let reading = chat(&with(&Value::Object(nulls)));
    assert!(!reading.stream && reading.user.is_none() && reading.max_output().is_none());
    assert_eq!(reading.copies(), 1);
}

#[test]
fn the_largest_alias_is_reserved() {
    let reading = chat(&with(
        &json!({"max_tokens": 10, "max_completion_tokens": 500, "max_output_tokens": 70}),
    ));
    assert_eq!(reading.max_output(), Some(500));
    assert_eq!(reading.estimate().output, Some(500));

    let many = chat(&with(&json!({"max_tokens": 10, "n": 3, "best_of": 5})));
    assert_eq!((many.copies(), many.estimate().output), (5, Some(50)));
    assert_eq!(many.needs().output, 10, "an endpoint makes each answer for itself");

    let batch = r#"{"model":"m","prompt":["a","b","c"],"n":2,"max_tokens":10}"#;
    let batch = read(Operation::Completions, batch).expect("a batch");
    assert_eq!((batch.copies(), batch.estimate().output), (6, Some(60)));
    let tokens = read(Operation::Completions, r#"{"model":"m","prompt":[1,2,3]}"#).expect("tokens");
    assert_eq!(tokens.copies(), 1);

    let embedded = read(
        Operation::Embeddings,
        r#"{"model":"m","input":["a","b"],"max_tokens":"x"}"#,
    );
    assert_eq!(
        embedded.expect("embeddings have no such key").estimate().output,
        Some(0)
    );
}

#[test]
fn prompts_of_every_form_are_read() {
    for prompt in [r#""Hi""#, r#"["a","b"]"#, "[1,2]", "[[1],[2,3]]"] {
        for (operation, key) in [(Operation::Completions, "prompt"), (Operation::Embeddings, "input")] {
            let body = format!(r#"{{"model":"m","{key}":{prompt}}}"#);
            assert!(read(operation, &body).is_ok(), "{body}");
        }
    }
    for prompt in ["[]", "{}", "7", "true", "[{}]", "[\"a\",{}]", "[1.5]", "[[\"a\"]]"] {
        let body = format!(r#"{{"model":"m","input":{prompt}}}"#);
        let error = read(Operation::Embeddings, &body).expect_err(&body);
        assert_eq!(error.param, Some("input"), "{body}");
    }
}

#[test]
fn needs_are_found() {
    let needs = |more: Value| chat(&with(&more)).needs();
    assert!(needs(json!({"tools": [{"type": "function"}]})).tools);
    assert!(needs(json!({"functions": [{}]})).tools);
    assert!(!needs(json!({"tools": []})).tools);
    assert!(needs(json!({"response_format": {"type": "json_object"}})).json);
    assert!(needs(json!({"response_format": {"json_schema": {}, "type": "json_schema"}})).json);
    assert!(!needs(json!({"response_format": {"type": "text"}})).json);
    let shows = |part: Value| needs(json!({"messages": [{"content": [{"type": "text", "text": "a"}, part]}]})).vision;
    assert!(shows(
        json!({"type": "image_url", "image_url": {"url": "https://host/a.png"}})
    ));
    assert!(shows(
        json!({"type": "input_image", "image_url": "data:image/png;base64,AA"})
    ));
    assert!(!shows(json!({"type": "text", "text": "\"image_url\""})));
    assert!(!needs(json!({"messages": [{"content": "image_url"}]})).vision);
}

#[test]
fn pictures_cost_the_same_wherever_they_are() {
    let cost = |url: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let messages = json!([{"role": "user", "content": [part]}]);
        chat(&with(&json!({"messages": messages}))).needs().input
    };
    let there = cost("https://host/picture.png");
    let here = cost(&format!("data:image/png;base64,{}", "A".repeat(1_000_000)));
    assert!(there.abs_diff(here) < 20, "{there} and {here}");
    assert!((765..900).contains(&here), "{here}");

    let sound = json!([{"content": [{"type": "input_audio", "input_audio": {"data": "A".repeat(400_000)}}]}]);
    let file = json!([{"content": [{"type": "file", "file": {"file_data": "A".repeat(400_000)}}]}]);
    for messages in [sound, file] {
        let input = chat(&with(&json!({"messages": messages}))).needs().input;
        assert!((765..900).contains(&input), "{input}");
    }
}

#[test]
fn four_bytes_are_a_token() {
    let messages = json!([{"role": "user", "content": "x".repeat(4_000)}]);
    let bytes = u32::try_from(messages.to_string().len()).expect("short");
    assert_eq!(
        chat(&with(&json!({"messages": messages}))).needs().input,
        bytes.div_ceil(4)
    );
    let tools = json!([{"type": "function"}]);
    let more = u32::try_from(tools.to_string().len()).expect("short");
    let both = chat(&with(&json!({"messages": messages, "tools": tools})))
        .needs()
        .input;
    assert_eq!(
        both,
        bytes.div_ceil(4) + more.div_ceil(4),
        "tools are shown to the model as well"
    );
}

#[test]
fn depth_costs_nothing() {
    const DEEP: usize = 2 * 1024 * 1024;
    let (open, close) = ("[".repeat(DEEP), "]".repeat(DEEP));
    let objects = (r#"{"a":"#.repeat(DEEP / 5), "}".repeat(DEEP / 5));
    let bodies = [
        format!(r#"{{"model":"m","messages":[{{}}],"x":{open}{close}}}"#),
        format!(r#"{{"model":"m","messages":[{{"content":{open}{close}}}]}}"#),
        format!(r#"{{"model":"m","messages":[{{"content":[{{"x":{open}{close}}}]}}]}}"#),
        format!(r#"{{"model":"m","messages":[{{}}],"response_format":{open}{close}}}"#),
        format!(r#"{{"model":"m","messages":[{{}}],"x":{}1{}}}"#, objects.0, objects.1),
    ];
    for body in bodies {
        assert!(read(Operation::Chat, &body).is_ok(), "{}..", &body[..60]);
    }
    for broken in [&open, &objects.0] {
        let error = read(Operation::Chat, broken).expect_err("it never ends");
        assert!(matches!(error.flaw, Flaw::Kind | Flaw::Syntax), "{error}");
    }
}

#[test]
fn nothing_changed_is_nothing_copied() {
    for body in [
        with(&json!({})),
        with(&json!({"stream": true, "stream_options": {"include_usage": true}})),
        with(&json!({"temperature": 0.5})),
    ] {
        let body = Bytes::from(body.to_string());
        let mut reading = Reading::of(Operation::Chat, &body, &Estimator::Bytes).expect("valid");
        reading.adjust(&Adjustment {
            defaults: Parameters {
                temperature: reading.sampling.temperature.value,
                ..Parameters::default()
            },
            caps: Parameters::default(),
        });
        for model in [None, Some("m")] {
            assert_eq!(reading.body_for(model).as_ptr(), body.as_ptr());
        }
    }
}
