//! Listens to a JSON object that passes by: whether it is one, whether it is complete, and what it says of its usage.
//!
//! Nothing is parsed and nothing kept but the usage: brackets are counted, strings skipped. An answer of a hundred
//! megabytes takes as little memory as a short one.
//!
//! | Law | Test |
//! |---|---|
//! | However an answer is cut, the same is heard. | `cuts_do_not_matter_to_a_scanner` |
//! | Every JSON object is complete at its last byte and not before. | `an_object_is_complete_at_its_end` |
//! | The usage is what a parser of the whole finds. | `the_usage_is_found` |

use memchr::memchr2;

/// Listens to one object.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    depth: u32,
    stage: Stage,
    text: Text,
    /// The key of the member that it is in: its first bytes.
    key: Key,
    /// What it is, once that is known; what comes later does not change it.
    heard: Option<Heard>,
    /// Bytes that came before.
    silent: usize,
    /// The value that it is in, or was in last, is the usage.
    is_usage: bool,
    /// The usage, as far as it has come.
    usage: Vec<u8>,
    /// More usage came than is kept, or a second one.
    usage_lost: bool,
    is_garbage: bool,
}

/// Whether it is within a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// Where in the object it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before its brace.
    #[default]
    Before,
    /// In a key, or before or after one.
    Key,
    /// After the colon, before the value.
    Colon,
    /// In a value.
    Value,
    /// After the last brace.
    After,
}

/// What an answer is, as far as its beginning says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is an answer.
    Answer,
    /// It is an error, whatever its status says.
    Error,
    /// It is no JSON object.
    Garbage,
}

impl Scanner {
    /// Most bytes that a usage may have; real ones have some hundreds.
    const USAGE_BYTES: usize = 8 * 1024;
    /// Most bytes that may pass before it is known what it is: white space, and a key.
    pub(super) const SILENT_BYTES: usize = 16 * 1024;

    /// Hears the next bytes.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut at = 0;
        // Where the usage goes on in these bytes.
        let mut usage_at = None;
        while at < bytes.len() && !self.is_garbage {
            let next = match self.text {
                Text::Outside => {
                    self.byte(bytes[at]);
                    at + 1
                }
                Text::Inside => self.string(bytes, at),
                Text::Escaped => {
                    self.text = Text::Inside;
                    self.key_bytes(&bytes[at..=at]);
                    at + 1
                }
            };
            if self.is_usage && self.stage == Stage::Value {
                usage_at = usage_at.or(Some(at));
            } else if let Some(from) = usage_at.take() {
                self.keep(&bytes[from..at]);
            }
            if self.heard.is_none() {
                self.silent += next - at;
                self.is_garbage |= Scanner::SILENT_BYTES < self.silent;
            }
            at = next;
        }
        if let Some(from) = usage_at {
            self.keep(&bytes[from..at]);
        }
        if self.is_garbage {
            self.heard.get_or_insert(Heard::Garbage);
        }
    }

    /// What it is, if that is known by now.
    pub(super) fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// Whether its last brace has come.
    pub(super) fn is_complete(&self) -> bool {
        self.stage == Stage::After && !self.is_garbage
    }

    /// What it says of its usage, if it does.
    pub(super) fn usage(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.usage).ok()?;
        (!self.usage_lost && !text.is_empty()).then_some(text)
    }

    /// Reads on in a string; says where it goes on.
    fn string(&mut self, bytes: &[u8], at: usize) -> usize {
        let found = memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found);
        let end = found.unwrap_or(bytes.len());
        self.key_bytes(&bytes[at..end]);
        match found {
            None => bytes.len(),
            Some(end) => {
                self.text = if bytes[end] == b'"' {
                    Text::Outside
                } else {
                    Text::Escaped
                };
                end + 1
            }
        }
    }

    fn key_bytes(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Key && self.depth == 1 {
            self.key.extend(bytes);
        }
    }

    /// Reads a byte outside strings.
    fn byte(&mut self, byte: u8) {
        match (byte, self.stage) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (b'{', Stage::Before) => {
                self.depth = 1;
                self.stage = Stage::Key;
            }
            (b'"', Stage::Key) => {
                self.text = Text::Inside;
                self.key = Key::default();
            }
            (b':', Stage::Key) => self.stage = Stage::Colon,
            (b'}', Stage::Key) => self.close(),
            (_, Stage::Before | Stage::Key | Stage::After) => self.is_garbage = true,
            (first, Stage::Colon) => {
                self.stage = Stage::Value;
                let is_error = self.key.is(b"error") && first != b'n';
                self.heard
                    .get_or_insert(if is_error { Heard::Error } else { Heard::Answer });
                self.is_usage = self.key.is(b"usage");
                self.usage_lost |= self.is_usage && !self.usage.is_empty();
                self.inside(first);
            }
            (_, Stage::Value) => self.inside(byte),
        }
    }

    /// Reads a byte of a value.
    fn inside(&mut self, byte: u8) {
        match byte {
            b'"' => self.text = Text::Inside,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b']' if self.depth == 1 => self.is_garbage = true,
            b'}' | b']' => self.close(),
            b',' if self.depth == 1 => self.stage = Stage::Key,
            _ => {}
        }
    }

    fn close(&mut self) {
        self.depth -= 1;
        if self.depth == 0 {
            self.stage = Stage::After;
            self.heard.get_or_insert(Heard::Answer);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if Scanner::USAGE_BYTES < self.usage.len() + bytes.len() {
            self.usage_lost = true;
        } else {
            self.usage.extend_from_slice(bytes);
        }
    }
}

/// The first bytes of a key; longer ones are none that matter.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    bytes: [u8; 8],
    len: usize,
}

impl Key {
    fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(self.bytes.len() + 1) {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
            }
            self.len += 1;
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.bytes.get(..self.len) == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::usage::Counted;

    fn scan(pieces: &[&[u8]]) -> Scanner {
        let mut scanner = Scanner::default();
        for piece in pieces {
            scanner.hear(piece);
        }
        scanner
    }

    #[test]
    fn what_it_is_is_known_early() {
        let cases = [
            ("", None),
            ("  {", None),
            ("{\"id\"", None),
            ("{\"id\": ", None),
            ("{\"id\": \"", Some(Heard::Answer)),
            ("{}", Some(Heard::Answer)),
            ("{\"error\": ", None),
            ("{\"error\": {", Some(Heard::Error)),
            ("{\"error\": null", Some(Heard::Answer)),
            ("{\"errors\": {", Some(Heard::Answer)),
            ("{\"id\":1,\"error\":{}}", Some(Heard::Answer)),
            ("<html>", Some(Heard::Garbage)),
            ("[1]", Some(Heard::Garbage)),
            ("{7", Some(Heard::Garbage)),
            ("{} x", Some(Heard::Answer)),
            ("{\"id\":1 }]", Some(Heard::Answer)),
        ];
        for (text, heard) in cases {
            assert_eq!(scan(&[text.as_bytes()]).heard(), heard, "{text}");
        }
    }

    #[test]
    fn the_usage_at_the_top_counts() {
        let usage = |text: &str| scan(&[text.as_bytes()]).usage().and_then(Counted::of);
        let inner = r#"{"choices":[{"usage":{"prompt_tokens":1}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#;
        assert_eq!(usage(inner).map(|usage| usage.input), Some(3));
        let text = r#"{"text":"\"usage\":{\"prompt_tokens\":1}","usage" : { "prompt_tokens":3 } , "id":1}"#;
        assert_eq!(usage(text).map(|usage| usage.input), Some(3));
        assert_eq!(usage(r#"{"usage":null}"#), None);
        assert_eq!(
            usage(r#"{"usage":{"prompt_tokens":3},"usage":{"prompt_tokens":4}}"#),
            None
        );
        let long = format!(r#"{{"usage":{{"x":"{}","prompt_tokens":3}}}}"#, "y".repeat(9_000));
        assert_eq!(usage(&long), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z{}\\[\\]\",:\\\\]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,6}|usage|error", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn any_object() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-z\"\\\\]{0,6}|usage", any_json(), 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn an_object_is_complete_at_its_end(object in any_object(), is_pretty: bool) {
            let text = if is_pretty { format!("{object:#}") } else { object.to_string() };
            prop_assert!(scan(&[text.as_bytes()]).is_complete());
            for end in 0..text.len() {
                prop_assert!(!scan(&[&text.as_bytes()[..end]]).is_complete());
            }
        }

        #[test]
        fn cuts_do_not_matter_to_a_scanner(object in any_object(), cut: prop::sample::Index) {
            let text = object.to_string();
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let (whole, halves) = (scan(&[text.as_bytes()]), scan(&[head, tail]));
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let each = scan(&bytes);
            for other in [&halves, &each] {
                prop_assert_eq!(whole.heard(), other.heard());
                prop_assert_eq!(whole.usage(), other.usage());
                prop_assert_eq!(whole.is_complete(), other.is_complete());
            }
        }

        #[test]
        fn the_usage_is_found(mut object in any_object(), input: u32, output: u32) {
            object["usage"] = json!({"prompt_tokens": input, "completion_tokens": output});
            let text = object.to_string();
            let scanner = scan(&[text.as_bytes()]);
            let found: Value = serde_json::from_str(scanner.usage().expect("there is one")).expect("JSON");
            prop_assert_eq!(&found, &object["usage"]);
        }
    }
}
