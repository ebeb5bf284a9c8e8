//! How large a prompt is, and what is in it, without a tree of it.
//!
//! Only what has a meaning is looked at: messages, the parts of their content, the texts and addresses in a part.
//! Everything else is skipped, however deep it is nested.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::estimate::Estimator;

/// What was found in a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Messages of a chat; prompts of a batch.
    pub(super) elements: u64,
    /// Pictures, recordings and files.
    pub(super) media: u64,
    /// Bytes of those that stand in the prompt itself.
    pub(super) media_bytes: u64,
    /// Whether there are pictures.
    pub(super) vision: bool,
    /// Tokens of the texts, and of what is around messages.
    pub(super) text_tokens: u64,
}

impl Contents {
    /// What `messages` holds, the text of an array of objects.
    pub(super) fn of_messages(messages: &str, estimator: Estimator) -> serde_json::Result<Contents> {
        let mut walk = Walk::new(estimator);
        let mut json = serde_json::Deserializer::from_str(messages);
        json.deserialize_seq(Messages(&mut walk))?;
        Ok(walk.contents)
    }

    /// What `prompt` holds: the text of a string, or of an array of strings, of tokens, or of arrays of tokens.
    pub(super) fn of_prompt(prompt: &str, estimator: Estimator) -> serde_json::Result<Contents> {
        let mut walk = Walk::new(estimator);
        let mut json = serde_json::Deserializer::from_str(prompt);
        json.deserialize_any(Prompts {
            walk: &mut walk,
            is_top: true,
        })?;
        Ok(walk.contents)
    }
}

struct Walk {
    estimator: Estimator,
    contents: Contents,
    /// Bytes of texts so far.
    text_bytes: u64,
}

impl Walk {
    fn new(estimator: Estimator) -> Walk {
        Walk {
            estimator,
            contents: Contents::default(),
            text_bytes: 0,
        }
    }

    fn text(&mut self, text: &str) {
        self.contents.text_tokens += self.estimator.tokens(text, self.text_bytes);
        self.text_bytes += text.len() as u64;
    }

    fn media(&mut self, bytes: usize) {
        self.contents.media += 1;
        self.contents.media_bytes += bytes as u64;
    }
}

/// A visitor that is handed on to the values inside.
macro_rules! seed {
    ($name:ident, $how:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = <Self as Visitor<'de>>::Value;

            fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
                json.$how(self)
            }
        }
    };
}

/// What is neither text nor container says nothing.
macro_rules! scalars {
    () => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E: Error>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

/// The array of a chat.
struct Messages<'w>(&'w mut Walk);

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Message(self.0))?.is_some() {
            self.0.contents.elements += 1;
            self.0.contents.text_tokens += MESSAGE_TOKENS;
        }
        Ok(())
    }
}

/// Tokens around a message: its role, and the marks where it begins and ends.
const MESSAGE_TOKENS: u64 = 4;

/// One message: its content is looked at, and tool calls that an assistant made are text as well.
struct Message<'w>(&'w mut Walk);

seed!(Message, deserialize_map);

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match name {
                Word::Content => map.next_value_seed(Content(self.0))?,
                Word::Type | Word::Picture | Word::Media | Word::Text | Word::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The content of a message: a text, or parts.
struct Content<'w>(&'w mut Walk);

seed!(Content, deserialize_any);

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content")
    }

    scalars!();

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Part(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        skip(map)
    }
}

/// One part of a content: a text, a picture, a recording, a file.
struct Part<'w>(&'w mut Walk);

seed!(Part, deserialize_any);

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")
    }

    scalars!();

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let before = self.0.contents.media;
        let mut is_picture = false;
        while let Some(name) = map.next_key_seed(Name)? {
            match name {
                Word::Type => is_picture |= map.next_value_seed(IsPicture)?,
                Word::Picture => {
                    is_picture = true;
                    map.next_value_seed(Within(self.0))?;
                }
                Word::Text => map.next_value_seed(Content(self.0))?,
                Word::Media | Word::Content | Word::Other => map.next_value_seed(Within(self.0))?,
            }
        }
        self.0.contents.vision |= is_picture;
        if is_picture && self.0.contents.media == before {
            // Elsewhere: it has an address, and the same size for a model.
            self.0.media(0);
        }
        Ok(())
    }
}

/// What a part says beside its type and text: an address, or an object with one.
struct Within<'w>(&'w mut Walk);

seed!(Within, deserialize_any);

impl<'de> Visitor<'de> for Within<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars!();

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if is_data(text) {
            self.0.media(text.len());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            map.next_value_seed(Address {
                walk: self.0,
                is_media: matches!(name, Word::Media),
            })?;
        }
        Ok(())
    }
}

/// A text that may be a medium; whatever else it is, it is skipped.
struct Address<'w> {
    walk: &'w mut Walk,
    /// Its key says so: recordings come in base64 without `data:` before it.
    is_media: bool,
}

seed!(Address, deserialize_any);

impl<'de> Visitor<'de> for Address<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars!();

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.is_media || is_data(text) {
            self.walk.media(text.len());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        skip(map)
    }
}

/// A prompt, or the elements of a batch.
struct Prompts<'w> {
    walk: &'w mut Walk,
    is_top: bool,
}

seed!(Prompts, deserialize_any);

impl<'de> Visitor<'de> for Prompts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prompt")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        if self.is_top {
            return Err(E::custom("a number is no prompt"));
        }
        // A token; all of them together are one prompt.
        self.walk.contents.elements = self.walk.contents.elements.max(1);
        self.walk.contents.text_tokens += 1;
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.walk.contents.elements += 1;
        self.walk.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.is_top {
            while seq
                .next_element_seed(Prompts {
                    walk: self.walk,
                    is_top: false,
                })?
                .is_some()
            {}
            return Ok(());
        }
        self.walk.contents.elements += 1;
        while seq.next_element::<u64>()?.is_some() {
            self.walk.contents.text_tokens += 1;
        }
        Ok(())
    }
}

/// The keys of messages and parts that have a meaning here.
enum Word {
    Type,
    Content,
    Text,
    Picture,
    Media,
    Other,
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Word;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Word, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Word, E> {
        Ok(match name {
            "type" => Word::Type,
            "content" => Word::Content,
            "text" => Word::Text,
            "image_url" | "image" => Word::Picture,
            "data" | "file_data" => Word::Media,
            _ => Word::Other,
        })
    }
}

/// Whether the type of a part is that of a picture.
struct IsPicture;

impl<'de> DeserializeSeed<'de> for IsPicture {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsPicture {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type of a part")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(matches!(name, "image_url" | "input_image" | "image"))
    }
}

fn is_data(text: &str) -> bool {
    text.starts_with("data:")
}

fn skip<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
