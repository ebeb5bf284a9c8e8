//! The values that decisions need: their kinds and bounds, and what to say when they are others.

use tollgate_core::policy::Operation;

use super::estimate::Estimator;
use super::invalid::{Flaw, Invalid};
use super::keys::{Found, Key, Member, Span, span_of};
use super::prompt::Contents;

/// How an answer is drawn, as far as it costs or may be wrong: each value, and where it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sampling {
    pub(super) temperature: Place<f64>,
    pub(super) top_p: Place<f64>,
    /// By each name that a client may use.
    pub(super) max_output: [Place<u32>; 3],
    pub(super) n: Place<u32>,
    pub(super) best_of: Place<u32>,
}

/// A value and where it stands; a value that is `null` stands somewhere and is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<T> {
    pub(super) value: Option<T>,
    pub(super) span: Option<Span>,
}

/// Whether a stream is to end with its usage, and where the client says so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UsageOption {
    pub(super) wanted: bool,
    pub(super) place: UsagePlace,
}

/// Where it stands whether a stream ends with its usage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum UsagePlace {
    /// Nowhere.
    #[default]
    Absent,
    /// The options are `null`.
    Null(Span),
    /// There are options, but not this one: where it would stand, and whether others follow.
    Within { at: usize, others: bool },
    /// This is its value.
    Value(Span),
}

impl Sampling {
    /// Names of the most that an answer may have; the first is the one that is filled in.
    pub(super) const MAX_OUTPUT: [Key; 3] = [Key::MaxTokens, Key::MaxCompletionTokens, Key::MaxOutputTokens];

    pub(super) fn largest(&self) -> Option<u32> {
        self.max_output.iter().filter_map(|place| place.value).max()
    }

    /// How many answers are made of one prompt.
    pub(super) fn copies(&self) -> u32 {
        let n = self.n.value.unwrap_or(1);
        n.max(self.best_of.value.unwrap_or(1))
    }
}

impl Found<'_> {
    /// The model, and where it stands.
    pub(super) fn model(&self) -> Result<(String, Span), Invalid> {
        const MOST: usize = super::Reading::MODEL_BYTES;
        let key = Key::Model;
        let (Some(json), Some(span)) = (self.value(key), self.span(key)) else {
            return Err(missing(key, "the name of a model"));
        };
        let name: String = text(key, json)?;
        if name.is_empty() || MOST < name.len() {
            let message = format!("`model` must be a name of 1 to {MOST} bytes");
            return Err(Invalid::key(Flaw::Range, key.name(), message));
        }
        Ok((name, span))
    }

    pub(super) fn user(&self) -> Result<Option<String>, Invalid> {
        self.value(Key::User).map(|json| text(Key::User, json)).transpose()
    }

    pub(super) fn flag(&self, key: Key) -> Result<bool, Invalid> {
        match self.value(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong_kind(key, "`true` or `false`")),
        }
    }

    /// Whether `key` is a list that is not empty.
    pub(super) fn is_filled(&self, key: Key) -> bool {
        self.value(key)
            .is_some_and(|json| json.starts_with('[') && !is_hollow(json))
    }

    /// How the answer is drawn.
    pub(super) fn sampling(&self) -> Result<Sampling, Invalid> {
        let mut max_output = [Place::default(); 3];
        for (place, key) in max_output.iter_mut().zip(Sampling::MAX_OUTPUT) {
            *place = self.whole(key, u32::MAX)?;
        }
        Ok(Sampling {
            temperature: self.real(Key::Temperature, 2)?,
            top_p: self.real(Key::TopP, 1)?,
            max_output,
            n: self.whole(Key::N, MOST_COPIES)?,
            best_of: self.whole(Key::BestOf, MOST_COPIES)?,
        })
    }

    /// What the prompt holds, and its tokens with all that is shown to the model beside it.
    pub(super) fn prompt(&self, operation: Operation, estimator: Estimator) -> Result<(Contents, u32), Invalid> {
        let (key, what) = match operation {
            Operation::Chat => (Key::Messages, "an array of messages that is not empty"),
            Operation::Completions => (Key::Prompt, "a text, or an array of texts or tokens that is not empty"),
            Operation::Embeddings => (Key::Input, "a text, or an array of texts or tokens that is not empty"),
        };
        let json = self.value(key).ok_or_else(|| missing(key, what))?;
        let read = match operation {
            Operation::Chat => Contents::of_messages(json, estimator),
            Operation::Completions | Operation::Embeddings => Contents::of_prompt(json, estimator),
        };
        let contents = read.map_err(|error| {
            if error.is_data() {
                wrong_kind(key, what)
            } else {
                unreadable(key)
            }
        })?;
        if contents.elements == 0 {
            let message = format!("`{}` must be {what}", key.name());
            return Err(Invalid::key(Flaw::Range, key.name(), message));
        }
        let beside = [Key::Tools, Key::Functions, Key::ResponseFormat];
        let others = beside.iter().filter_map(|key| self.value(*key)).map(str::len).sum();
        Ok((contents, estimator.input(json.len(), &contents, others)))
    }

    /// Whether the answer is to be JSON by construction.
    pub(super) fn wants_json(&self) -> bool {
        let format = self.value(Key::ResponseFormat);
        let form = format
            .and_then(|json| Member::of(json, "type"))
            .and_then(|member| member.value);
        matches!(form, Some(r#""json_object""# | r#""json_schema""#))
    }

    /// Whether a stream is to end with its usage.
    pub(super) fn usage_option(&self) -> Result<UsageOption, Invalid> {
        const NAME: &str = "include_usage";
        let key = Key::StreamOptions;
        let Some(span) = self.span(key) else {
            return Ok(UsageOption::default());
        };
        let Some(json) = self.value(key) else {
            return Ok(UsageOption {
                wanted: false,
                place: UsagePlace::Null(span),
            });
        };
        let member = Member::of(json, NAME).ok_or_else(|| wrong_kind(key, "an object"))?;
        if 1 < member.times {
            let message = "`stream_options.include_usage` stands there twice";
            return Err(Invalid::key(Flaw::Duplicate, key.name(), message));
        }
        let Some(value) = member.value else {
            let place = UsagePlace::Within {
                at: span.start + 1,
                others: !is_hollow(json),
            };
            return Ok(UsageOption { wanted: false, place });
        };
        let wanted = match value {
            "true" => true,
            "false" | "null" => false,
            _ => {
                let message = "`stream_options.include_usage` must be `true` or `false`";
                return Err(Invalid::key(Flaw::Kind, key.name(), message));
            }
        };
        let within = span_of(json, value);
        let place = UsagePlace::Value(Span {
            start: span.start + within.start,
            end: span.start + within.end,
        });
        Ok(UsageOption { wanted, place })
    }

    /// A whole number from 1 to `most`.
    fn whole(&self, key: Key, most: u32) -> Result<Place<u32>, Invalid> {
        let span = self.span(key);
        let Some(json) = self.value(key) else {
            return Ok(Place { value: None, span });
        };
        let expected = format!("a whole number from 1 to {most}");
        let is_whole = json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_whole {
            return Err(wrong_kind(key, &expected));
        }
        match json.parse::<u32>() {
            Ok(value) if 1 <= value && value <= most => Ok(Place {
                value: Some(value),
                span,
            }),
            Ok(_) | Err(_) => Err(out_of_range(key, &expected)),
        }
    }

    /// A number from 0 to `most`.
    fn real(&self, key: Key, most: u8) -> Result<Place<f64>, Invalid> {
        let span = self.span(key);
        let Some(json) = self.value(key) else {
            return Ok(Place { value: None, span });
        };
        let expected = format!("a number from 0 to {most}");
        let is_number = json.starts_with(|first: char| first.is_ascii_digit() || first == '-');
        let value = json.parse::<f64>().ok().filter(|_| is_number);
        let value = value.ok_or_else(|| wrong_kind(key, &expected))?;
        if (0.0..=f64::from(most)).contains(&value) {
            Ok(Place {
                value: Some(value),
                span,
            })
        } else {
            Err(out_of_range(key, &expected))
        }
    }
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Most answers to one prompt, as providers bound it.
const MOST_COPIES: u32 = 128;

/// Whether an array or object, written as `json`, has nothing in it.
fn is_hollow(json: &str) -> bool {
    json[1..json.len() - 1].trim_ascii().is_empty()
}

fn text(key: Key, json: &str) -> Result<String, Invalid> {
    serde_json::from_str(json).map_err(|error| {
        if error.is_data() {
            wrong_kind(key, "a text")
        } else {
            unreadable(key)
        }
    })
}

fn missing(key: Key, what: &str) -> Invalid {
    Invalid::key(
        Flaw::Missing,
        key.name(),
        format!("`{}` is missing: it must be {what}", key.name()),
    )
}

fn wrong_kind(key: Key, what: &str) -> Invalid {
    Invalid::key(Flaw::Kind, key.name(), format!("`{}` must be {what}", key.name()))
}

fn out_of_range(key: Key, what: &str) -> Invalid {
    Invalid::key(Flaw::Range, key.name(), format!("`{}` must be {what}", key.name()))
}

/// An escape that stands for half a character is allowed in JSON and means nothing.
fn unreadable(key: Key) -> Invalid {
    let message = format!("`{}` has a `\\u` escape that is no character", key.name());
    Invalid::key(Flaw::Syntax, key.name(), message)
}
