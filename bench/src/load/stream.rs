//! Streamed answers, wherever they are cut: events, tokens, usage, and how they end.
//!
//! A generator reads every byte that a gateway writes, so most events are told apart by a few bytes and only those that
//! say more are parsed.
//!
//! | Law | Test |
//! |---|---|
//! | What is seen does not depend on where the bytes are cut. | `cuts_change_nothing` |
//! | A stream is whole if it says so: one that merely ends is not. | `a_stream_that_merely_ends_is_broken` |

use std::sync::LazyLock;

use memchr::memmem::Finder;
use tollgate_core::usage::Usage;

use super::answer;

/// Takes a streamed answer apart.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// A line whose end has not come.
    line: Vec<u8>,
    /// What the event says so far.
    data: Vec<u8>,
    /// What was seen.
    pub(super) tokens: u32,
    pub(super) usage: Option<Usage>,
    pub(super) is_done: bool,
    /// An event that says what went wrong.
    pub(super) error: Option<answer::Words>,
    /// A line is longer than any answer has.
    pub(super) is_garbage: bool,
}

/// Most bytes of an event.
const MOST_EVENT: usize = 1 << 20;

static CONTENT: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("content\":"), Finder::new("\"text\":")]);
static CALL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"arguments\":"));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\":"));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\":"));

impl Stream {
    /// More bytes have come; returns how many tokens they ended.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u32 {
        let before = self.tokens;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.line.is_empty() {
                self.end_line(line);
            } else {
                self.line.extend_from_slice(line);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line);
                line.clear();
                self.line = line;
            }
            bytes = rest;
        }
        if MOST_EVENT < self.line.len() + bytes.len() {
            self.is_garbage = true;
        } else {
            self.line.extend_from_slice(bytes);
        }
        self.tokens - before
    }

    fn end_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            let mut data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                self.event(&data);
            }
            data.clear();
            self.data = data;
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if MOST_EVENT < self.data.len() + data.len() {
                self.is_garbage = true;
                return;
            }
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
    }

    fn event(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.is_done = true;
        } else if is_token(data) {
            self.tokens += 1;
            // Some say what was used in their last token.
            self.read_usage(data);
        } else if has_object(&ERROR, data) {
            self.error = Some(answer::Words::read(data));
        } else {
            self.read_usage(data);
        }
    }

    fn read_usage(&mut self, data: &[u8]) {
        if has_object(&USAGE, data)
            && let Some(usage) = answer::usage(data)
        {
            self.usage = Some(usage);
        }
    }
}

/// Whether a chunk holds text, or a part of a call of a tool.
fn is_token(data: &[u8]) -> bool {
    let starts = |finder: &Finder<'_>| {
        let mut rest = data;
        while let Some(at) = finder.find(rest) {
            rest = &rest[at + finder.needle().len()..];
            let value = rest.trim_ascii_start();
            if value.starts_with(b"\"") && !value.starts_with(b"\"\"") {
                return true;
            }
        }
        false
    };
    CONTENT.iter().any(starts) || starts(&CALL)
}

/// Whether the key that `finder` looks for has an object.
fn has_object(finder: &Finder<'_>, data: &[u8]) -> bool {
    let after = |at: usize| data[at + finder.needle().len()..].trim_ascii_start();
    finder.find(data).is_some_and(|at| after(at).starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = concat!(
        ": hello\n\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a \\\"content\\\":\\\"\"}}],\"usage\":null}\n\n",
        "event: chunk\ndata:{\"choices\":[{\"delta\": {\"content\" : \"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\": \"b\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"c\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"d\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n",
    );

    fn read(pieces: &[&[u8]]) -> Stream {
        let mut stream = Stream::default();
        let ended: u32 = pieces.iter().map(|piece| stream.read(piece)).sum();
        assert_eq!(ended, stream.tokens);
        stream
    }

    #[test]
    fn cuts_change_nothing() {
        let bytes = ANSWER.as_bytes();
        for at in 0..=bytes.len() {
            let (one, other) = bytes.split_at(at);
            for next in [other.len() / 2, 1.min(other.len())] {
                let (other, third) = other.split_at(next);
                let stream = read(&[one, other, third]);
                assert!(
                    stream.is_done && stream.error.is_none() && !stream.is_garbage,
                    "cut at {at}"
                );
                assert_eq!((stream.tokens, stream.usage), (4, Some(Usage { input: 7, output: 4 })));
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single).tokens, 4);
    }

    #[test]
    fn a_stream_that_merely_ends_is_broken() {
        let cut = ANSWER.len() - "data: [DONE]\n\n".len();
        assert!(!read(&[&ANSWER.as_bytes()[..cut]]).is_done);
        assert!(!read(&[b"data: [DONE]\n"]).is_done, "the event has not ended");
    }

    #[test]
    fn an_error_is_heard() {
        let error = br#"data: {"error": {"message": "m", "type": "server_error", "code": "provider_stream_broken"}}"#;
        let stream = read(&[error, b"\n\n"]);
        assert_eq!(
            stream.error.and_then(|words| words.code).as_deref(),
            Some("provider_stream_broken")
        );
    }

    #[test]
    fn what_never_ends_is_garbage() {
        let mut stream = Stream::default();
        for _ in 0..80 {
            stream.read(&[b'x'; 16 << 10]);
        }
        assert!(stream.is_garbage && stream.line.len() <= MOST_EVENT);
    }
}
