//! Where the few keys that decisions need stand in a body: found without a tree, everything else skipped unread.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::invalid::{Flaw, Invalid};

/// The keys that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Key {
    Model,
    Messages,
    Prompt,
    Input,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    BestOf,
    Temperature,
    TopP,
    User,
    Tools,
    Functions,
    ResponseFormat,
}

impl Key {
    pub(super) const ALL: [Key; 17] = [
        Key::Model,
        Key::Messages,
        Key::Prompt,
        Key::Input,
        Key::Stream,
        Key::StreamOptions,
        Key::MaxTokens,
        Key::MaxCompletionTokens,
        Key::MaxOutputTokens,
        Key::N,
        Key::BestOf,
        Key::Temperature,
        Key::TopP,
        Key::User,
        Key::Tools,
        Key::Functions,
        Key::ResponseFormat,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Key::Model => "model",
            Key::Messages => "messages",
            Key::Prompt => "prompt",
            Key::Input => "input",
            Key::Stream => "stream",
            Key::StreamOptions => "stream_options",
            Key::MaxTokens => "max_tokens",
            Key::MaxCompletionTokens => "max_completion_tokens",
            Key::MaxOutputTokens => "max_output_tokens",
            Key::N => "n",
            Key::BestOf => "best_of",
            Key::Temperature => "temperature",
            Key::TopP => "top_p",
            Key::User => "user",
            Key::Tools => "tools",
            Key::Functions => "functions",
            Key::ResponseFormat => "response_format",
        }
    }
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What was found in an object: the text of each key's value.
#[derive(Debug)]
pub(super) struct Found<'a> {
    text: &'a str,
    values: [Option<&'a str>; Key::ALL.len()],
}

impl<'a> Found<'a> {
    /// The keys of the object that `text` is.
    pub(super) fn of(text: &'a str) -> Result<Found<'a>, Invalid> {
        let mut object = Object {
            values: [None; Key::ALL.len()],
            wrong: None,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(&mut object).and_then(|()| json.end());
        match (read, object.wrong) {
            (Err(error), _) => Err(unreadable(&error)),
            (Ok(()), Some(wrong)) => Err(wrong),
            (Ok(()), None) => Ok(Found {
                text,
                values: object.values,
            }),
        }
    }

    /// The value of `key`; `null` is as good as nothing.
    pub(super) fn value(&self, key: Key) -> Option<&'a str> {
        self.values[key as usize].filter(|value| *value != "null")
    }

    /// Just after the brace that opens the object.
    pub(super) fn open(&self) -> usize {
        let brace = self.text.find('{').expect("an object was read");
        brace + 1
    }

    /// Where the value of `key` stands, be it `null`.
    pub(super) fn span(&self, key: Key) -> Option<Span> {
        self.values[key as usize].map(|value| span_of(self.text, value))
    }
}

/// What one key of a small object says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member<'a> {
    /// Its value, as it is written; the last, if there are several.
    pub(super) value: Option<&'a str>,
    /// How often it stands there.
    pub(super) times: u32,
}

impl<'a> Member<'a> {
    /// What `json` says about `name`; nothing if it is not an object.
    pub(super) fn of(json: &'a str, name: &str) -> Option<Member<'a>> {
        let mut json = serde_json::Deserializer::from_str(json);
        json.deserialize_map(One(name)).ok()
    }
}

/// Where `part` stands in `text`, of which it is a slice.
pub(super) fn span_of(text: &str, part: &str) -> Span {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    Span {
        start,
        end: start + part.len(),
    }
}

/// A message without a word of the body: only where it stops being JSON.
fn unreadable(error: &serde_json::Error) -> Invalid {
    if error.is_data() {
        return Invalid::body(Flaw::Kind, "the body must be a JSON object");
    }
    let (line, column) = (error.line(), error.column());
    let what = if error.is_eof() {
        format!("the body ends within its JSON, at line {line} column {column}")
    } else {
        format!("the body is not JSON from line {line} column {column} on")
    };
    Invalid::body(Flaw::Syntax, what)
}

struct Object<'a> {
    values: [Option<&'a str>; Key::ALL.len()],
    wrong: Option<Invalid>,
}

impl<'a> Visitor<'a> for &mut Object<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(named) = map.next_key_seed(Name)? {
            match named {
                Named::Key(key) => {
                    let value: &RawValue = map.next_value()?;
                    let place = &mut self.values[key as usize];
                    if place.is_some() {
                        let message = format!("`{}` stands there twice", key.name());
                        self.wrong
                            .get_or_insert_with(|| Invalid::key(Flaw::Duplicate, key.name(), message));
                    }
                    *place = Some(value.get());
                }
                Named::Like(key) => {
                    let name = key.name();
                    let message = format!("write `{name}` in small letters: servers do not agree on other capitals");
                    self.wrong
                        .get_or_insert_with(|| Invalid::key(Flaw::Duplicate, name, message));
                    map.next_value::<IgnoredAny>()?;
                }
                Named::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a key without keeping it.
struct Name;

enum Named {
    /// One that is read.
    Key(Key),
    /// One that some servers take for one that is read, and others do not.
    Like(Key),
    Other,
}

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Named;

    fn deserialize<D: serde::Deserializer<'a>>(self, json: D) -> Result<Named, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Named, E> {
        let like = Key::ALL.into_iter().find(|key| key.name().eq_ignore_ascii_case(name));
        Ok(match like {
            Some(key) if key.name() == name => Named::Key(key),
            Some(key) => Named::Like(key),
            None => Named::Other,
        })
    }
}

/// Looks for one key.
struct One<'n>(&'n str);

impl<'a> Visitor<'a> for One<'_> {
    type Value = Member<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Member<'a>, A::Error> {
        let mut member = Member::default();
        while let Some(is_it) = map.next_key_seed(Is(self.0))? {
            let value: &RawValue = map.next_value()?;
            if is_it {
                member.value = Some(value.get());
                member.times = member.times.saturating_add(1);
            }
        }
        Ok(member)
    }
}

/// Whether a key is this one.
struct Is<'n>(&'n str);

impl<'a> DeserializeSeed<'a> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'a>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
