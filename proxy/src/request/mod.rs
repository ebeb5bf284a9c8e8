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
//! | After the caps nothing that an endpoint is told, or assumes, is above them. | `caps_bound_what_an_endpoint_assumes` |

mod edits;
mod estimate;
mod invalid;
mod keys;
mod prompt;
mod values;

use bytes::Bytes;

use tollgate_core::policy::{Needs, Operation};
use tollgate_core::usage::Estimate;

pub use self::estimate::Estimator;
pub use self::invalid::{Flaw, Invalid};

use self::edits::Edits;
use self::keys::{Found, Key, Span};
use self::prompt::Contents;

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
    /// The most tokens that one answer may have: the largest, if several keys say it.
    pub max_output: Option<u32>,
    /// How many answers are made, all of which cost.
    pub copies: u32,
    /// Tokens of the prompt, as estimated.
    pub input: u32,
    /// For whom the client asks, if it says so.
    pub user: Option<String>,
    /// Whether it may call tools.
    pub tools: bool,
    /// Whether it shows pictures.
    pub vision: bool,
    /// Whether it wants JSON by construction.
    pub json: bool,
    body: Bytes,
    spans: Spans,
}

/// Where the values stand that may be changed.
#[derive(Clone, Copy, Debug)]
struct Spans {
    model: Span,
    /// Just after the brace that opens the body.
    open: usize,
    usage: UsageSpan,
}

/// Where it stands whether a stream ends with its usage.
#[derive(Clone, Copy, Debug)]
enum UsageSpan {
    /// Nowhere.
    Absent,
    /// These options are `null`.
    Null(Span),
    /// There are options, but not this one; its place, and whether others follow.
    Within { at: usize, others: bool },
    /// This is its value.
    Value(Span),
}

impl Reading {
    /// Longest name of a model: it is matched, counted and logged.
    pub const MODEL_BYTES: usize = 256;

    /// Reads `body`, a request for `operation`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, in the order of the body's keys.
    pub fn of(operation: Operation, body: &Bytes, estimator: &Estimator) -> Result<Reading, Invalid> {
        let text = text(body)?;
        let found = Found::of(text)?;
        let model = found.model()?;
        let (stream, usage) = match operation {
            Operation::Chat | Operation::Completions => (found.flag(Key::Stream)?, found.usage_option(text)?),
            Operation::Embeddings => (false, UsageOption::ABSENT),
        };
        let (contents, input) = found.prompt(operation, estimator)?;
        let sampled = found.sampling(operation)?;
        Ok(Reading {
            operation,
            model: model.0,
            stream,
            include_usage: usage.wanted,
            max_output: sampled.max_output,
            copies: sampled.copies.saturating_mul(prompts(operation, &contents)),
            input,
            user: found.user()?,
            tools: found.is_filled(Key::Tools) || found.is_filled(Key::Functions),
            vision: contents.vision,
            json: found.wants_json()?,
            spans: Spans {
                model: model.1,
                open: found.open(),
                usage: usage.span,
            },
            body: body.clone(),
        })
    }

    /// What limits are charged with before the truth is known.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        Estimate {
            input: self.input,
            output: match self.operation {
                Operation::Chat | Operation::Completions => {
                    self.max_output.map(|most| most.saturating_mul(self.copies))
                }
                Operation::Embeddings => Some(0),
            },
        }
    }

    /// What an endpoint must be able to do.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs {
            operation: self.operation,
            input: self.input,
            output: self.max_output.unwrap_or(0),
            tools: self.tools,
            vision: self.vision,
            json: self.json,
            region: None,
        }
    }

    /// The body for an endpoint that calls the model `model`; as it came if nothing has to change.
    ///
    /// A stream is asked to end with its usage, whoever wants to know it.
    #[must_use]
    pub fn body_for(&self, model: Option<&str>) -> Bytes {
        let mut edits = Edits::default();
        if let Some(model) = model.filter(|model| *model != self.model) {
            edits.replace(self.spans.model, values::quoted(model));
        }
        if self.stream && !self.include_usage {
            match self.spans.usage {
                UsageSpan::Absent => edits.insert(self.spans.open, r#""stream_options":{"include_usage":true},"#),
                UsageSpan::Null(at) => edits.replace(at, r#"{"include_usage":true}"#),
                UsageSpan::Within { at, others: false } => edits.insert(at, r#""include_usage":true"#),
                UsageSpan::Within { at, others: true } => edits.insert(at, r#""include_usage":true,"#),
                UsageSpan::Value(at) => edits.replace(at, "true"),
            }
        }
        edits.apply(&self.body)
    }
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
