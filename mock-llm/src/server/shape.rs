//! The JSON that clients of OpenAI's API expect, byte for byte the same for the same answer.

use bytes::Bytes;
use serde::Serialize;
use tollgate_core::usage::Usage;

use super::ask::Operation;
use super::text::{base64, embed};

/// What all parts of one answer have in common.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) operation: Operation,
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) choices: u32,
    /// Whether every part has usage, which is null in all but the last.
    pub(super) include_usage: bool,
    /// Why the answer ends: `stop`, or `length` where the client's maximum ends it.
    pub(super) finish_reason: &'static str,
}

const FINGERPRINT: &str = "fp_tollgate";
const TIER: &str = "default";

#[derive(Serialize)]
struct Chat<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [C],
    #[serde(skip_serializing_if = "Told::is_absent")]
    usage: Told,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Completion<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [C],
    #[serde(skip_serializing_if = "Told::is_absent")]
    usage: Told,
    system_fingerprint: &'static str,
}

/// What a part of an answer says of usage.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Told {
    /// Nothing.
    Absent,
    /// That it will be told later.
    Null,
    This(Counts),
}

impl Told {
    fn is_absent(&self) -> bool {
        matches!(self, Told::Absent)
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    index: u32,
    message: Said<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
    annotations: [(); 0],
}

#[derive(Serialize)]
struct Part<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    First {
        role: &'static str,
        content: &'static str,
        refusal: Option<()>,
    },
    Token {
        content: &'a str,
    },
    Last {},
}

#[derive(Serialize)]
struct Piece<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Clone, Copy, Serialize)]
struct Counts {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Default, Serialize)]
struct PromptDetails {
    cached_tokens: u32,
    audio_tokens: u32,
}

#[derive(Clone, Copy, Default, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u32,
    audio_tokens: u32,
}

impl Counts {
    fn of(usage: Usage) -> Counts {
        Counts {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}

impl Identity {
    /// A whole answer; one text for each choice.
    pub(super) fn whole(&self, texts: &[String], usage: Usage) -> Bytes {
        let usage = Told::This(Counts::of(usage));
        match self.operation {
            Operation::Chat => {
                let choices: Vec<Whole<'_>> = (0..)
                    .zip(texts)
                    .map(|(index, text)| Whole {
                        index,
                        message: Said {
                            role: "assistant",
                            content: text,
                            refusal: None,
                            annotations: [],
                        },
                        logprobs: None,
                        finish_reason: self.finish_reason,
                    })
                    .collect();
                json(&self.chat("chat.completion", &choices, usage))
            }
            Operation::Completion | Operation::Embedding => {
                let choice = |(index, text)| piece(index, text, Some(self.finish_reason));
                let texts = (0..).zip(texts.iter().map(String::as_str));
                json(&self.completion(&texts.map(choice).collect::<Vec<_>>(), usage))
            }
        }
    }

    /// The first event of a choice, which has no text.
    pub(super) fn begin(&self, index: u32, to: &mut Vec<u8>) {
        if self.operation == Operation::Chat {
            let delta = Delta::First {
                role: "assistant",
                content: "",
                refusal: None,
            };
            self.part(index, delta, None, to);
        }
    }

    /// A token of a choice.
    pub(super) fn token(&self, index: u32, text: &str, to: &mut Vec<u8>) {
        match self.operation {
            Operation::Chat => self.part(index, Delta::Token { content: text }, None, to),
            Operation::Completion | Operation::Embedding => {
                let usage = self.no_usage_yet();
                event(&self.completion(&[piece(index, text, None)], usage), to);
            }
        }
    }

    /// The last event of a choice.
    pub(super) fn finish(&self, index: u32, to: &mut Vec<u8>) {
        let reason = Some(self.finish_reason);
        match self.operation {
            Operation::Chat => self.part(index, Delta::Last {}, reason, to),
            Operation::Completion | Operation::Embedding => {
                let usage = self.no_usage_yet();
                event(&self.completion(&[piece(index, "", reason)], usage), to);
            }
        }
    }

    /// The end of a stream: usage, if it was asked for, and the mark that all is said.
    pub(super) fn end(&self, usage: Usage, to: &mut Vec<u8>) {
        if self.include_usage {
            let usage = Told::This(Counts::of(usage));
            match self.operation {
                Operation::Chat => event(&self.chat::<()>("chat.completion.chunk", &[], usage), to),
                Operation::Completion | Operation::Embedding => event(&self.completion::<()>(&[], usage), to),
            }
        }
        to.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn part(&self, index: u32, delta: Delta<'_>, finish_reason: Option<&'static str>, to: &mut Vec<u8>) {
        let part = Part {
            index,
            delta,
            logprobs: None,
            finish_reason,
        };
        event(&self.chat("chat.completion.chunk", &[part], self.no_usage_yet()), to);
    }

    fn no_usage_yet(&self) -> Told {
        if self.include_usage { Told::Null } else { Told::Absent }
    }

    fn chat<'a, C>(&'a self, object: &'static str, choices: &'a [C], usage: Told) -> Chat<'a, C> {
        Chat {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            choices,
            usage,
            service_tier: TIER,
            system_fingerprint: FINGERPRINT,
        }
    }

    fn completion<'a, C>(&'a self, choices: &'a [C], usage: Told) -> Completion<'a, C> {
        Completion {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage,
            system_fingerprint: FINGERPRINT,
        }
    }
}

fn piece<'a>(index: u32, text: &'a str, finish_reason: Option<&'static str>) -> Piece<'a> {
    Piece {
        text,
        index,
        logprobs: None,
        finish_reason,
    }
}

#[derive(Serialize)]
struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Entry>,
    model: &'a str,
    usage: InputCounts,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    index: u32,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct InputCounts {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// The vectors of `inputs`.
pub(super) fn embeddings(model: &str, inputs: &[u64], dimensions: u32, is_base64: bool, prompt_tokens: u32) -> Bytes {
    let embedding = |(index, input): (u32, &u64)| {
        let vector = embed(*input, dimensions);
        Entry {
            object: "embedding",
            index,
            embedding: if is_base64 {
                Vector::Base64(base64(&vector))
            } else {
                Vector::Floats(vector)
            },
        }
    };
    json(&Embeddings {
        object: "list",
        data: (0..).zip(inputs).map(embedding).collect(),
        model,
        usage: InputCounts {
            prompt_tokens,
            total_tokens: prompt_tokens,
        },
    })
}

/// What a list of models says of one.
#[derive(Serialize)]
pub(super) struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    pub(super) fn new(id: &'a str, owned_by: &'a str) -> Model<'a> {
        Model {
            id,
            object: "model",
            // The beginning of 2024: models do not change while they are served.
            created: 1_704_067_200,
            owned_by,
        }
    }
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("names are strings, and writing to memory does not fail"))
}

fn event<T: Serialize>(value: &T, to: &mut Vec<u8>) {
    to.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *to, value).expect("names are strings, and writing to memory does not fail");
    to.extend_from_slice(b"\n\n");
}
