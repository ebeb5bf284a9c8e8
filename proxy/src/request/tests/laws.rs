//! The laws of reading and changing requests, against a parser that builds the whole tree.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use tollgate_core::policy::{Adjustment, Operation, Parameters};

use super::{chat, read};
use crate::request::{Estimator, Reading};

/// What [`Reading::body_for`] should say, done to a tree.
fn edited(original: &Value, adjustment: &Adjustment, model: Option<&str>) -> Value {
    let mut body = original.clone();
    let number = |key: &str| original[key].as_f64();
    let whole = |key: &str| {
        original[key]
            .as_u64()
            .map(|value| u32::try_from(value).expect("checked"))
    };
    let aliases = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let asked = Parameters {
        temperature: number("temperature"),
        top_p: number("top_p"),
        max_tokens: aliases.iter().filter_map(|alias| whole(alias)).max(),
        n: whole("n"),
    };
    let granted = adjustment.apply(asked);
    let mut put = |key: &str, value: Value| body[key] = value;
    if granted.temperature != asked.temperature {
        put("temperature", json!(granted.temperature));
    }
    if granted.top_p != asked.top_p {
        put("top_p", json!(granted.top_p));
    }
    if granted.n != asked.n {
        put("n", json!(granted.n));
    }
    if let (Some(best_of), Some(cap)) = (whole("best_of"), adjustment.caps.n)
        && cap < best_of
    {
        put("best_of", json!(cap));
    }
    match (asked.max_tokens, granted.max_tokens) {
        (None, Some(most)) => put("max_tokens", json!(most)),
        (Some(_), Some(most)) => {
            for alias in aliases {
                if let Some(value) = whole(alias)
                    && most < value
                {
                    put(alias, json!(most));
                }
            }
        }
        (_, None) => {}
    }
    if let Some(model) = model {
        put("model", json!(model));
    }
    if original["stream"] == json!(true) {
        let mut options = original["stream_options"].as_object().cloned().unwrap_or_default();
        options.insert("include_usage".to_owned(), json!(true));
        put("stream_options", Value::Object(options));
    }
    body
}

/// A number and what is in order to be said of it: zeros and such may be written in several ways.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|it| same(value, it)))
        }
        _ => one == other,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Keys that are read, with values that are right.
fn any_known() -> impl Strategy<Value = Map<String, Value>> {
    let real = |most: u32| (0..=100_u32).prop_map(move |share| json!(f64::from(share * most) / 100.0));
    let whole = |most: u32| (1..=most).prop_map(|value| json!(value));
    let options = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"other": 1})),
        any::<bool>().prop_map(|wanted| json!({"include_usage": wanted})),
        any::<bool>().prop_map(|wanted| json!({"other": [1], "include_usage": wanted})),
    ];
    let some = |key: &'static str, value: BoxedStrategy<Value>| {
        let value = prop_oneof![3 => value, 1 => Just(Value::Null)];
        prop::option::of(value.prop_map(move |value| (key.to_owned(), value)))
    };
    let keys = (
        some("temperature", real(2).boxed()),
        some("top_p", real(1).boxed()),
        some("max_tokens", whole(9_000).boxed()),
        some("max_completion_tokens", whole(9_000).boxed()),
        some("max_output_tokens", whole(9_000).boxed()),
        some("n", whole(128).boxed()),
        some("best_of", whole(128).boxed()),
        some("stream", any::<bool>().prop_map(Value::from).boxed()),
        some("stream_options", options.boxed()),
    );
    keys.prop_map(|keys| {
        let list = [keys.0, keys.1, keys.2, keys.3, keys.4, keys.5, keys.6, keys.7, keys.8];
        list.into_iter().flatten().collect()
    })
}

/// A chat with whatever else beside it.
fn any_chat() -> impl Strategy<Value = Value> {
    let messages = prop::collection::vec(prop::collection::btree_map("role|content|name", any_json(), 0..3), 1..4);
    let others = prop::collection::btree_map("x[a-z]{0,5}|\\PC{7,9}", any_json(), 0..4);
    ("\\PC{1,8}", messages, any_known(), others).prop_map(|(model, messages, known, others)| {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(model));
        body.insert("messages".to_owned(), json!(messages));
        body.extend(known);
        body.extend(others);
        Value::Object(body)
    })
}

fn any_adjustment() -> impl Strategy<Value = Adjustment> {
    let parameters = || {
        let share = |most: f64| prop::option::of((0..=10_u8).prop_map(move |share| f64::from(share) / 10.0 * most));
        let keys = (
            share(2.0),
            share(1.0),
            prop::option::of(1..9_000_u32),
            prop::option::of(1..128_u32),
        );
        keys.prop_map(|(temperature, top_p, max_tokens, n)| Parameters {
            temperature,
            top_p,
            max_tokens,
            n,
        })
    };
    (parameters(), parameters()).prop_map(|(defaults, caps)| Adjustment { defaults, caps })
}

proptest! {
    #[test]
    fn an_edited_body_says_what_was_edited(
        original in any_chat(),
        adjustment in any_adjustment(),
        model in prop::option::of("\\PC{1,8}"),
        is_pretty: bool,
    ) {
        let text = if is_pretty { format!("{original:#}") } else { original.to_string() };
        let mut reading = read(Operation::Chat, &text).expect("valid");
        reading.adjust(&adjustment);
        let body = reading.body_for(model.as_deref());
        let found: Value = serde_json::from_slice(&body).expect("JSON");
        let expected = edited(&original, &adjustment, model.as_deref());
        prop_assert!(same(&found, &expected), "{}\n{}", found, expected);
    }

    #[test]
    fn an_endpoint_is_told_what_is_granted(original in any_chat(), adjustment in any_adjustment()) {
        let mut reading = chat(&original);
        reading.adjust(&adjustment);
        let told = Reading::of(Operation::Chat, &reading.body_for(None), &Estimator::Bytes).expect("valid");
        prop_assert_eq!(told.max_output(), reading.max_output());
        prop_assert_eq!(told.copies(), reading.copies());
        prop_assert_eq!(told.estimate(), reading.estimate());
        prop_assert_eq!(told.include_usage, told.stream || reading.include_usage);
        let caps = adjustment.caps;
        let most = |value: Option<u32>, cap: Option<u32>| cap.is_none_or(|cap| value.is_none_or(|value| value <= cap));
        prop_assert!(most(told.max_output(), caps.max_tokens) && most(Some(told.copies()), caps.n.map(|n| n.max(1))));
        prop_assert!(caps.max_tokens.is_none() || told.max_output().is_some());
    }

    #[test]
    fn readings_agree_with_a_full_parse(original in any_chat()) {
        let reading = chat(&original);
        let whole = |key: &str| original[key].as_u64();
        let aliases = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        let largest = aliases.iter().filter_map(|key| whole(key)).max();
        prop_assert_eq!(Some(reading.model.as_str()), original["model"].as_str());
        prop_assert_eq!(reading.stream, original["stream"] == json!(true));
        prop_assert_eq!(reading.include_usage, original["stream_options"]["include_usage"] == json!(true));
        prop_assert_eq!(reading.max_output().map(u64::from), largest);
        let copies = whole("n").unwrap_or(1).max(whole("best_of").unwrap_or(1));
        prop_assert_eq!(u64::from(reading.copies()), copies);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\",:a-z0-9\\\\. ]{0,80}") {
        for body in [Bytes::from(bytes), Bytes::from(text)] {
            for operation in [Operation::Chat, Operation::Completions, Operation::Embeddings] {
                let read = Reading::of(operation, &body, &Estimator::Bytes);
                let parsed: Option<Value> = serde_json::from_slice(&body).ok();
                prop_assert!(read.is_err() || parsed.is_some_and(|value| value.is_object()));
            }
        }
    }
}
