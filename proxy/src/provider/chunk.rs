//! One event of a stream: whether it has something to read, ends an answer, counts, or is an error.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::usage::Counted;

/// What one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// It has something for a reader, in any of its choices.
    pub(super) content: bool,
    /// Choices that it speaks of, a bit each.
    pub(super) seen: u128,
    /// Choices that it ends.
    pub(super) ended: u128,
    /// The usage so far, or in the end.
    pub(super) usage: Option<Counted>,
    /// It is there for its usage alone.
    pub(super) only_usage: bool,
    /// It is an error.
    pub(super) error: bool,
}

impl Chunk {
    /// What `json` says; nothing if it is no JSON object.
    pub(super) fn of(json: &[u8]) -> Option<Chunk> {
        if !json.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let event: Event<'_> = serde_json::from_slice(json).ok()?;
        let Choices {
            content, seen, ended, ..
        } = event.choices;
        let usage = event.usage.and_then(|usage| Counted::of(usage.get()));
        Some(Chunk {
            content,
            seen,
            ended,
            usage,
            only_usage: usage.is_some() && event.choices.count == 0,
            error: event.error.is_some_and(|error| error.get() != "null"),
        })
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default)]
    choices: Choices,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// What all choices of an event say together.
#[derive(Clone, Copy, Debug, Default)]
struct Choices {
    count: u32,
    content: bool,
    seen: u128,
    ended: u128,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Choices, D::Error> {
        json.deserialize_any(Choices::default())
    }
}

impl<'de> Visitor<'de> for Choices {
    type Value = Choices;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("choices")
    }

    fn visit_unit<E: Error>(self) -> Result<Choices, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Choices, A::Error> {
        while let Some(choice) = seq.next_element::<Choice<'de>>()? {
            // As many as a request may ask for have a bit; what is beyond shares the last.
            let bit = 1 << choice.index.min(127);
            self.count += 1;
            self.content |= choice.has_content();
            self.seen |= bit;
            if choice.finish_reason.is_some_and(|reason| !is_hollow(reason.get())) {
                self.ended |= bit;
            }
        }
        Ok(self)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    /// Of a completion.
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    delta: Delta,
}

impl Choice<'_> {
    fn has_content(&self) -> bool {
        self.delta.0 || self.text.is_some_and(|text| !is_hollow(text.get()))
    }
}

/// Whether a delta has something for a reader.
#[derive(Clone, Copy, Debug, Default)]
struct Delta(bool);

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Delta, D::Error> {
        json.deserialize_any(Delta(false))
    }
}

impl<'de> Visitor<'de> for Delta {
    type Value = Delta;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delta")
    }

    fn visit_unit<E: Error>(self) -> Result<Delta, E> {
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Delta, A::Error> {
        while let Some(Telling(is_telling)) = map.next_key()? {
            if is_telling {
                let value: &RawValue = map.next_value()?;
                self.0 |= !is_hollow(value.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(self)
    }
}

/// Whether what stands under a key of a delta was made by the model, token by token.
struct Telling(bool);

impl<'de> Deserialize<'de> for Telling {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Telling, D::Error> {
        json.deserialize_str(Telling(false))
    }
}

impl Visitor<'_> for Telling {
    type Value = Telling;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Telling, E> {
        Ok(Telling(matches!(
            name,
            "content" | "reasoning_content" | "reasoning" | "refusal" | "tool_calls" | "function_call" | "audio"
        )))
    }
}

/// Whether a value has nothing in it.
fn is_hollow(json: &str) -> bool {
    match json {
        "null" | "\"\"" | "[]" | "{}" => true,
        _ => {
            let inner = json
                .strip_prefix(['[', '{'])
                .and_then(|rest| rest.strip_suffix([']', '}']));
            inner.is_some_and(|inner| inner.trim_ascii().is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        Chunk::of(json.as_bytes()).expect(json)
    }

    #[test]
    fn content_is_whatever_a_model_writes() {
        let telling = [
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#,
            r#"{"choices":[{"delta":{"content":" "}}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":"","reasoning_content":"Hm"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"Hm"}}]}"#,
            r#"{"choices":[{"delta":{"refusal":"No"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{"arguments":"{"}}}]}"#,
            r#"{"choices":[{"text":"Hi","index":0}]}"#,
            r#"{"choices":[{"delta":{}},{"index":1,"delta":{"content":"Hi"}}]}"#,
        ];
        let silent = [
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[ ]}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":null}]}"#,
            r#"{"choices":[{"text":""}]}"#,
            r#"{"choices":[],"prompt_filter_results":[{"content":"Hi"}]}"#,
            r#"{"choices":null}"#,
            r#"{"type":"ping"}"#,
        ];
        for json in telling {
            assert!(chunk(json).content, "{json}");
        }
        for json in silent {
            assert!(!chunk(json).content, "{json}");
        }
    }

    #[test]
    fn usage_errors_and_ends_are_found() {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#;
        assert!(chunk(usage).only_usage);
        assert_eq!(chunk(usage).usage.map(|usage| usage.output), Some(5));
        let beside = r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#;
        assert!(!chunk(beside).only_usage && chunk(beside).usage.is_some());
        assert!(!chunk(r#"{"choices":[],"usage":null}"#).only_usage);

        assert!(chunk(r#"{"error":{"message":"boom"}}"#).error);
        assert!(!chunk(r#"{"error":null,"choices":[]}"#).error);

        let ended = chunk(r#"{"choices":[{"index":2,"delta":{},"finish_reason":"stop"},{"index":0,"delta":{}}]}"#);
        assert_eq!((ended.seen, ended.ended), (0b101, 0b100));
        assert_eq!(
            chunk(r#"{"choices":[{"index":900,"finish_reason":null}]}"#).seen,
            1 << 127
        );

        for garbage in ["", "[", "[]", "7", "{\"choices\":7}", "{\"choices\":[7]}"] {
            assert_eq!(Chunk::of(garbage.as_bytes()), None, "{garbage}");
        }
    }
}
