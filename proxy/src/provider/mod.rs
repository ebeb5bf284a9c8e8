//! What providers say and want to hear: dialects of HTTP, from bytes to the facts that core decides by.
//!
//! Nothing here waits, reads a clock or opens a connection. A [`Dialect`] writes the request of an attempt, and hands
//! out the [`AnswerReader`] that listens to its answer.

mod chunk;
mod error;
mod headers;
mod openai;
mod reader;
mod retry_after;
mod sse;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod usage;
mod whole;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Request};

use tollgate_core::policy::{HeaderStage, Operation};

pub use self::error::Rejection;
pub(crate) use self::error::Words;
pub use self::headers::{apply, passed_on, strip};
pub use self::openai::OpenAi;
pub use self::reader::AnswerReader;
pub use self::target::{BadUrl, Target};

use crate::auth::Secret;

/// How a provider is spoken to.
pub trait Dialect: Send + Sync {
    /// The request of an attempt at `target`.
    fn request(&self, target: &Target, call: Call<'_>) -> Request<Bytes>;

    /// Who listens to its answer.
    fn reader(&self, asked: Asked) -> AnswerReader;
}

/// What an attempt asks for.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The kind of request.
    pub operation: Operation,
    /// What the client sent beside the body.
    pub headers: &'a HeaderMap,
    /// What the route does to it.
    pub stage: &'a HeaderStage,
    /// The body, as this endpoint is to get it.
    pub body: Bytes,
    /// Our key.
    pub key: Option<&'a Secret>,
    /// What the request is called.
    pub request_id: &'a HeaderValue,
}

/// What an answer is read against.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The kind of request.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants to see the usage at the end of a stream; else it is ours alone.
    pub include_usage: bool,
    /// Tokens of the prompt, as estimated: what it took if the provider does not say.
    pub input: u32,
}

/// The dialect that a policy calls `provider`; nothing if it is not built.
#[must_use]
pub fn dialect(provider: &str) -> Option<&'static dyn Dialect> {
    match provider {
        "openai" => Some(&OpenAi),
        _ => None,
    }
}
