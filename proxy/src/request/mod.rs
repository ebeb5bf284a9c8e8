//! What the proxy reads of a request body, and what it changes in it.
//!
//! A body is megabytes of prompt around a dozen short values. Those values are found by one pass that skips everything
//! else and builds nothing; the body itself stays the bytes that came, and unknown keys go through as they are.
//! The keys that are read must be beyond doubt, for what the gateway reads and what an endpoint reads must be the same:
//! a key that stands there twice, or again in other capitals, is an error.
//!
//! | Law | Test |
//! |---|---|
//! | Whatever the bytes are, the answer is a reading or what is wrong with them. | `any_bytes_are_read_or_refused` |
//! | What is read is what a parser of the whole body finds. | `readings_agree_with_a_full_parse` |
//! | However deep a body is nested, it takes neither stack nor more than its own size of memory. | `depth_costs_nothing` |
//! | The larger of two aliases is reserved. | `the_largest_alias_is_reserved` |
//! | What a route grants is what an endpoint is told. | `an_endpoint_is_told_what_is_granted` |

mod edits;
mod estimate;
mod id;
mod invalid;
mod keys;
mod prompt;
#[cfg(test)]
mod tests;
mod values;

use std::fmt::Display;

use bytes::Bytes;

use tollgate_core::policy::{Adjustment, Needs, Operation, Parameters};
use tollgate_core::usage::Estimate;

pub use self::estimate::{Estimator, NoTokenizer};
pub use self::id::{REQUEST_ID, request_id};
pub use self::invalid::{Flaw, Invalid};

use self::edits::Edits;
use self::keys::{Found, Key, Span};
use self::prompt::Contents;
use self::values::{Place, Sampling, UsageOption, UsagePlace, quoted};

/// What decisions need of a request, and where in its body it stands.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The kind of request.
    pub operation: Operation,
    /// The model that is asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client itself asked for the usage at the end of a stream.
    pub include_usage: bool,
    /// For whom the client asks, if it says so.
    pub user: Option<String>,
    /// All but the most that it may answer, which a route may change.
    needs: Needs,
    /// Prompts that are answered one by one.
    prompts: u32,
    sampling: Sampling,
    /// Where the model stands.
    model_at: Span,
    /// Just after the brace that opens the body.
    open: usize,
    usage: UsagePlace,
    body: Bytes,
    /// What the route changes.
    edits: Edits<'static>,
}

impl Reading {
    /// Longest name of a model: it is matched, counted and logged.
    pub const MODEL_BYTES: usize = 256;

    /// Reads `body`, a request for `operation`.
    ///
    /// # Errors
    ///
    /// What is wrong with it: the form of the whole first, then key after key.
    pub fn of(operation: Operation, body: &Bytes, estimator: &Estimator) -> Result<Reading, Invalid> {
        let found = Found::of(text(body)?)?;
        let (model, model_at) = found.model()?;
        let (contents, input) = found.prompt(operation, *estimator)?;
        let (stream, usage, sampling) = match operation {
            Operation::Chat | Operation::Completions => {
                (found.flag(Key::Stream)?, found.usage_option()?, found.sampling()?)
            }
            Operation::Embeddings => (false, UsageOption::default(), Sampling::default()),
        };
        Ok(Reading {
            operation,
            model,
            stream,
            include_usage: usage.wanted,
            user: found.user()?,
            needs: Needs {
                operation,
                input,
                output: 0,
                tools: found.is_filled(Key::Tools) || found.is_filled(Key::Functions),
                vision: contents.vision,
                json: found.wants_json(),
                region: None,
            },
            prompts: prompts(operation, &contents),
            sampling,
            model_at,
            open: found.open(),
            usage: usage.place,
            body: body.clone(),
            edits: Edits::default(),
        })
    }

    /// Fills in and bounds what the route says; before the request is estimated. Once: what it does shows in what
    /// the reading says, and in the body.
    pub fn adjust(&mut self, adjustment: &Adjustment) {
        if adjustment.is_none() || self.operation == Operation::Embeddings {
            return;
        }
        let asked = Parameters {
            temperature: self.sampling.temperature.value,
            top_p: self.sampling.top_p.value,
            max_tokens: self.sampling.largest(),
            n: self.sampling.n.value,
        };
        let granted = adjustment.apply(asked);
        let Reading {
            sampling, edits, open, ..
        } = self;
        set(
            edits,
            *open,
            Key::Temperature,
            &mut sampling.temperature,
            granted.temperature,
        );
        set(edits, *open, Key::TopP, &mut sampling.top_p, granted.top_p);
        set(edits, *open, Key::N, &mut sampling.n, granted.n);
        // Drawing more answers than are shown costs as much as showing them.
        if sampling.best_of.value.is_some() {
            let drawn = Parameters {
                n: sampling.best_of.value,
                ..Parameters::default()
            };
            set(
                edits,
                *open,
                Key::BestOf,
                &mut sampling.best_of,
                adjustment.apply(drawn).n,
            );
        }
        let Some(most) = granted.max_tokens else {
            return;
        };
        let is_silent = sampling.largest().is_none();
        for (place, key) in sampling.max_output.iter_mut().zip(Sampling::MAX_OUTPUT) {
            let value = match place.value {
                Some(value) => Some(value.min(most)),
                None if is_silent && key == Sampling::MAX_OUTPUT[0] => Some(most),
                None => None,
            };
            set(edits, *open, key, place, value);
        }
    }

    /// The most tokens that one answer may have: the largest, if several keys say it.
    #[must_use]
    pub fn max_output(&self) -> Option<u32> {
        self.sampling.largest()
    }

    /// How many answers are made; all of them cost.
    #[must_use]
    pub fn copies(&self) -> u32 {
        self.sampling.copies().saturating_mul(self.prompts)
    }

    /// What limits are charged with before the truth is known.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        Estimate {
            input: self.needs.input,
            output: match self.operation {
                Operation::Chat | Operation::Completions => {
                    self.max_output().map(|most| most.saturating_mul(self.copies()))
                }
                Operation::Embeddings => Some(0),
            },
            more: self.copies().saturating_sub(1),
        }
    }

    /// What an endpoint must be able to do.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs {
            output: self.max_output().unwrap_or(0),
            ..self.needs
        }
    }

    /// Lets go of the body, once nobody will be sent it any more.
    pub(crate) fn forget_body(&mut self) {
        self.body = Bytes::new();
        self.edits = Edits::default();
    }

    /// The body for an endpoint that calls the model `model`; as it came if nothing has to change.
    ///
    /// A stream is asked to end with its usage, whoever wants to know it.
    #[must_use]
    pub fn body_for(&self, model: Option<&str>) -> Bytes {
        let mut edits = self.edits.clone();
        if let Some(model) = model.filter(|model| *model != self.model) {
            edits.replace(self.model_at, quoted(model));
        }
        if self.stream && !self.include_usage {
            match self.usage {
                UsagePlace::Absent => edits.insert(self.open, r#""stream_options":{"include_usage":true},"#),
                UsagePlace::Null(at) => edits.replace(at, r#"{"include_usage":true}"#),
                UsagePlace::Within { at, others: false } => edits.insert(at, r#""include_usage":true"#),
                UsagePlace::Within { at, others: true } => edits.insert(at, r#""include_usage":true,"#),
                UsagePlace::Value(at) => edits.replace(at, "true"),
            }
        }
        edits.apply(&self.body)
    }
}

/// Makes `key` say `value` from now on.
fn set<T: Copy + PartialEq + Display>(
    edits: &mut Edits<'static>,
    open: usize,
    key: Key,
    place: &mut Place<T>,
    value: Option<T>,
) {
    if place.value == value {
        return;
    }
    if let Some(value) = value {
        match place.span {
            Some(span) => edits.replace(span, value.to_string()),
            None => edits.insert(open, format!("\"{}\":{value},", key.name())),
        }
    }
    place.value = value;
}

/// Prompts that are answered one by one.
fn prompts(operation: Operation, contents: &Contents) -> u32 {
    match operation {
        Operation::Chat => 1,
        Operation::Completions | Operation::Embeddings => u32::try_from(contents.elements).unwrap_or(u32::MAX).max(1),
    }
}

fn text(body: &Bytes) -> Result<&str, Invalid> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Invalid::body(Flaw::Empty, "the body is empty: send a JSON object"));
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        let message = "the body begins with a byte order mark: send UTF-8 without one";
        return Err(Invalid::body(Flaw::Encoding, message));
    }
    let wrong = |error: std::str::Utf8Error| {
        let message = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        Invalid::body(Flaw::Encoding, message)
    };
    std::str::from_utf8(body).map_err(wrong)
}
