//! The answer as it comes: what it means to core, and what of it is for the client.
//!
//! A reader is told of the head, of every read, and of the end; each time it says what happened. It does not matter to
//! it how the bytes are cut, nor to its driver whether the answer is a stream, comes whole, or is an error.
//!
//! | Law | Test |
//! |---|---|
//! | However an answer is cut, the same happens, but for the size of the lumps. | `cuts_change_nothing` |
//! | Any bytes are heard without panic, and how they end is told exactly once. | `any_answer_ends_once` |
//! | What a client gets is what the provider sent, but for the usage that it did not ask for. | `only_unasked_usage_is_stripped` |
//! | An unchanged read is not copied. | `what_is_not_stripped_is_not_copied` |
//! | What is held is bounded. | `floods_are_faults` |

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::response::Parts;

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::policy::Operation;
use tollgate_core::time::Nanos;
use tollgate_core::usage::Usage;

use super::error::status_within;
use super::retry_after::retry_after;
use super::stream::Stream;
use super::usage::Counted;
use super::whole::{Heard, Scanner};
use super::{Asked, Rejection};

/// Listens to one answer.
#[derive(Debug)]
pub struct AnswerReader {
    asked: Asked,
    form: Form,
    rejection: Option<Rejection>,
    cached: Option<u32>,
}

/// What the answer is.
#[derive(Debug)]
enum Form {
    /// Not known yet, or not worth hearing any more.
    Mute,
    Stream(Box<Stream>),
    Whole(Box<Whole>),
    Error(Box<ErrorBody>),
}

/// An answer that comes whole.
#[derive(Debug, Default)]
struct Whole {
    scanner: Scanner,
    /// What came before it was known what it is.
    head: BytesMut,
    known: bool,
    bytes: u64,
}

/// An error, whose body says more.
#[derive(Debug)]
struct ErrorBody {
    /// None if the body has to say it: it came as an answer.
    status: Option<u16>,
    content_type: Option<HeaderValue>,
    retry_after: Option<Nanos>,
    body: BytesMut,
}

impl AnswerReader {
    /// A reader that has heard nothing.
    #[must_use]
    pub fn new(asked: Asked) -> AnswerReader {
        AnswerReader {
            asked,
            form: Form::Mute,
            rejection: None,
            cached: None,
        }
    }

    /// Hears status and headers, at the date `wall`. Nothing yet of an error: its body says what it means.
    pub fn head(&mut self, head: &Parts, wall: SystemTime) -> Option<AttemptEvent> {
        let status = head.status.as_u16();
        let content_type = head.headers.get(CONTENT_TYPE);
        if 400 <= status {
            self.form = Form::Error(Box::new(ErrorBody {
                status: Some(status),
                content_type: content_type.cloned(),
                retry_after: retry_after(&head.headers, wall),
                body: BytesMut::new(),
            }));
            return None;
        }
        let kind = match content_type.map(HeaderValue::to_str) {
            None => Some(self.asked.stream),
            Some(Ok(text)) => is_stream(text),
            Some(Err(_)) => None,
        };
        let encoding = head.headers.get(CONTENT_ENCODING);
        let is_plain = encoding.is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        match kind.filter(|_| is_plain && (200..300).contains(&status)) {
            // A redirection, a page for people, or what we cannot read.
            None => Some(AttemptEvent::Fail { fault: Fault::Server }),
            Some(is_stream) => {
                self.form = if is_stream {
                    Form::Stream(Box::new(Stream::new(self.asked.include_usage, self.asked.input)))
                } else {
                    Form::Whole(Box::default())
                };
                Some(AttemptEvent::Open {
                    status,
                    code: None,
                    retry_after: None,
                })
            }
        }
    }

    /// Hears what one read brought, and gives back what of it is for the client.
    ///
    /// After an event that ends the attempt there is nothing more to hear.
    pub fn frame(&mut self, bytes: Bytes, events: &mut Vec<AttemptEvent>) -> Bytes {
        match &mut self.form {
            Form::Mute => Bytes::new(),
            Form::Stream(stream) => stream.frame(&bytes, events),
            Form::Whole(whole) => {
                let fault = whole.hear(&bytes, events);
                match fault {
                    None => return bytes,
                    Some(Unfit::Garbage) => self.garbage(events),
                    Some(Unfit::Error(body)) => {
                        self.form = Form::Error(Box::new(ErrorBody {
                            status: None,
                            content_type: None,
                            retry_after: None,
                            body,
                        }));
                    }
                }
                Bytes::new()
            }
            Form::Error(error) => {
                let left = Rejection::MOST_BYTES - error.body.len();
                error.body.extend_from_slice(&bytes[..bytes.len().min(left)]);
                if left <= bytes.len() {
                    self.reject(events);
                }
                Bytes::new()
            }
        }
    }

    /// The body has ended, `clean` or not; gives back what is left for the client.
    pub fn end(&mut self, clean: bool, events: &mut Vec<AttemptEvent>) -> Bytes {
        match &mut self.form {
            Form::Mute => Bytes::new(),
            Form::Stream(stream) => stream.end(clean, events),
            Form::Whole(whole) => {
                let event = whole.finish(self.asked);
                self.cached = whole.counted().and_then(|usage| usage.cached);
                self.form = Form::Mute;
                events.push(event);
                Bytes::new()
            }
            Form::Error(_) => {
                self.reject(events);
                Bytes::new()
            }
        }
    }

    /// What the provider answered instead of an answer.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.form {
            Form::Stream(stream) => stream.rejection(),
            Form::Mute | Form::Whole(_) | Form::Error(_) => self.rejection.as_ref(),
        }
    }

    /// Tokens of the prompt that the provider had in its cache, if it says so.
    #[must_use]
    pub fn cached_input(&self) -> Option<u32> {
        match &self.form {
            Form::Stream(stream) => stream.usage().and_then(|usage| usage.cached),
            Form::Mute | Form::Whole(_) | Form::Error(_) => self.cached,
        }
    }

    fn garbage(&mut self, events: &mut Vec<AttemptEvent>) {
        self.form = Form::Mute;
        events.push(AttemptEvent::Fail { fault: Fault::Server });
    }

    /// The error is heard as far as it will be.
    fn reject(&mut self, events: &mut Vec<AttemptEvent>) {
        let Form::Error(error) = std::mem::replace(&mut self.form, Form::Mute) else {
            return;
        };
        let status = error.status.unwrap_or_else(|| status_within(&error.body).0);
        let rejection = Rejection {
            status,
            content_type: error.content_type,
            body: error.body.freeze(),
        };
        events.push(AttemptEvent::Open {
            status,
            code: rejection.code(),
            retry_after: error.retry_after,
        });
        self.rejection = Some(rejection);
    }
}

/// Why what was to be an answer is none.
enum Unfit {
    Garbage,
    /// It is an error under a status that says otherwise; this has come of it.
    Error(BytesMut),
}

impl Whole {
    fn hear(&mut self, bytes: &[u8], events: &mut Vec<AttemptEvent>) -> Option<Unfit> {
        self.bytes += bytes.len() as u64;
        self.scanner.hear(bytes);
        if self.known {
            return None;
        }
        match self.scanner.heard() {
            None => {
                self.head.extend_from_slice(bytes);
                None
            }
            Some(Heard::Garbage) => Some(Unfit::Garbage),
            Some(Heard::Error) => {
                self.head.extend_from_slice(bytes);
                let mut body = self.head.split();
                body.truncate(Rejection::MOST_BYTES);
                Some(Unfit::Error(body))
            }
            Some(Heard::Answer) => {
                self.known = true;
                self.head = BytesMut::new();
                events.push(AttemptEvent::FirstToken);
                None
            }
        }
    }

    fn counted(&self) -> Option<Counted> {
        self.scanner.usage().and_then(Counted::of)
    }

    fn finish(&self, asked: Asked) -> AttemptEvent {
        if !self.scanner.is_complete() {
            return AttemptEvent::Fail { fault: Fault::Stream };
        }
        let usage = self.counted().map(|usage| Usage {
            input: usage.input,
            output: usage.output,
        });
        let usage = usage.unwrap_or_else(|| Usage {
            input: asked.input,
            output: match asked.operation {
                // Most of it is text, at four bytes a token.
                Operation::Chat | Operation::Completions => u32::try_from(self.bytes.div_ceil(4)).unwrap_or(u32::MAX),
                Operation::Embeddings => 0,
            },
        });
        AttemptEvent::Finish { usage }
    }
}

/// Whether this is a stream; nothing if it is neither that nor JSON.
fn is_stream(content_type: &str) -> Option<bool> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json");
    if kind.eq_ignore_ascii_case("text/event-stream") {
        Some(true)
    } else {
        is_json.then_some(false)
    }
}
