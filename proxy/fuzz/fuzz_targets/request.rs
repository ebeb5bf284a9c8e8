//! Bodies of requests: whatever the bytes are, they are read as a parser of the whole reads them, or refused.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run request proxy/fuzz/seeds/request --fuzz-dir proxy/fuzz -- -max_len=4096 -max_total_time=60`
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use tollgate_core::policy::{Adjustment, Operation, Parameters};
use tollgate_proxy::request::{Estimator, Reading};

const ADJUSTMENT: Adjustment = Adjustment {
    defaults: Parameters {
        temperature: Some(0.5),
        top_p: None,
        max_tokens: Some(100),
        n: None,
    },
    caps: Parameters {
        temperature: Some(1.0),
        top_p: Some(0.5),
        max_tokens: Some(1_000),
        n: Some(2),
    },
};

/// What a route or an attempt may change.
const CHANGED: [&str; 9] = [
    "best_of",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "model",
    "n",
    "stream_options",
    "temperature",
    "top_p",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let operation = [Operation::Chat, Operation::Completions, Operation::Embeddings][usize::from(first % 3)];
    let body = Bytes::copy_from_slice(body);
    let mut reading = match Reading::of(operation, &body, &Estimator::Bytes) {
        Ok(reading) => reading,
        Err(invalid) => {
            assert!(!invalid.message.is_empty());
            return;
        }
    };
    assert_eq!(reading.body_for(Some(&reading.model)).is_empty(), body.is_empty());
    reading.adjust(&ADJUSTMENT);
    let edited = reading.body_for(Some("another"));
    let again = Reading::of(operation, &edited, &Estimator::Bytes).expect("what was edited can be read");
    assert_eq!(again.model, "another");
    assert_eq!((again.max_output(), again.copies()), (reading.max_output(), reading.copies()));
    assert_eq!(again.stream, reading.stream);
    assert!(again.include_usage || !again.stream);
    if operation != Operation::Embeddings {
        assert!(again.max_output().is_some_and(|most| most <= 1_000));
    }
    // Deep nesting and numbers beyond reason are read by us and not by a parser that builds a tree.
    let (Ok(before), Ok(after)) = (tree(&body), tree(&edited)) else {
        return;
    };
    assert_eq!(before["model"].as_str(), Some(reading.model.as_str()));
    for (key, value) in before.as_object().expect("an object") {
        if !CHANGED.contains(&key.as_str()) {
            assert_eq!(after.get(key), Some(value), "{key}");
        }
    }
    if operation == Operation::Embeddings {
        let (mut before, mut after) = (before, after);
        (before["model"], after["model"]) = (Value::Null, Value::Null);
        assert_eq!(before, after, "there is nothing else to change");
    }
});

fn tree(body: &Bytes) -> serde_json::Result<Value> {
    serde_json::from_slice(body)
}
