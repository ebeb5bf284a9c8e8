//! Listens to an answer that comes in events, and takes out what the client did not ask for.

use bytes::{Bytes, BytesMut};

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::usage::Usage;

use super::chunk::Chunk;
use super::error::{Rejection, status_within};
use super::sse::{Event, Splitter};
use super::usage::Counted;

/// Listens to events.
#[derive(Debug)]
pub(super) struct Stream {
    /// Whether the client wants the usage.
    include_usage: bool,
    /// Tokens of the prompt, if the provider does not say.
    input: u32,
    splitter: Splitter,
    /// What became of the last event.
    fate: Fate,
    /// The beginning of an event whose end has not come.
    held: BytesMut,
    /// Bytes that came before the first token.
    silent: usize,
    /// Tokens told so far, the first among them.
    told: u32,
    /// Tokens of this read, to be told at its end.
    lump: u32,
    /// Choices that were begun and ended, a bit each.
    seen: u128,
    ended: u128,
    usage: Option<Counted>,
    rejection: Option<Rejection>,
    /// How it ended was told.
    over: bool,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Relay,
    Strip,
}

impl Stream {
    /// Most bytes of one event. A chunk with a picture in it has some hundreds of thousands.
    pub(super) const EVENT_BYTES: usize = 4 * 1024 * 1024;
    /// Most bytes before the first token, which somebody has to hold: roles, filters, signs of life.
    pub(super) const SILENT_BYTES: usize = 256 * 1024;

    pub(super) fn new(include_usage: bool, input: u32) -> Stream {
        Stream {
            include_usage,
            input,
            splitter: Splitter::default(),
            fate: Fate::Relay,
            held: BytesMut::new(),
            silent: 0,
            told: 0,
            lump: 0,
            seen: 0,
            ended: 0,
            usage: None,
            rejection: None,
            over: false,
        }
    }

    /// Hears what one read brought; gives back what of it is for the client.
    pub(super) fn frame(&mut self, bytes: &Bytes, events: &mut Vec<AttemptEvent>) -> Bytes {
        if self.over {
            return Bytes::new();
        }
        let relayed = if self.held.is_empty() {
            self.events(bytes, events)
        } else {
            self.held.extend_from_slice(bytes);
            // Only once an event is complete are bytes moved: a long one is not copied for every read.
            if self.splitter.end(&self.held, 0).is_some() {
                self.splitter = Splitter::default();
                let bytes = self.held.split().freeze();
                self.events(&bytes, events)
            } else {
                Bytes::new()
            }
        };
        if !self.over && self.is_flood(self.held.len()) {
            self.fail(events);
        }
        self.tell(events);
        relayed
    }

    /// The body has ended; gives back what is left for the client.
    pub(super) fn end(&mut self, clean: bool, events: &mut Vec<AttemptEvent>) -> Bytes {
        let mut last = BytesMut::new();
        if !self.over && clean && !self.held.is_empty() {
            // Some servers leave out the last blank line. Without it no client would hear the event.
            let held = self.held.split();
            if self.event(&held, events) == Fate::Relay {
                last.extend_from_slice(&held);
                last.extend_from_slice(b"\n\n");
            }
        }
        if !self.over {
            if self.is_ended() {
                last.extend_from_slice(b"data: [DONE]\n\n");
                self.finish(events);
            } else {
                self.over = true;
                self.tell(events);
                events.push(AttemptEvent::Fail { fault: Fault::Stream });
            }
        }
        self.tell(events);
        last.freeze()
    }

    pub(super) fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_ref()
    }

    pub(super) fn usage(&self) -> Option<Counted> {
        self.usage
    }

    /// Hears all complete events in `bytes`, and holds the rest.
    fn events(&mut self, bytes: &Bytes, events: &mut Vec<AttemptEvent>) -> Bytes {
        let mut relayed = Relayed::default();
        let mut start = 0;
        while let Some(end) = self.splitter.end(bytes, start) {
            if !self.splitter.is_rest {
                self.fate = self.event(&bytes[start..end], events);
            }
            if self.fate == Fate::Relay {
                relayed.add(bytes, start, end);
            }
            start = end;
            if self.over {
                return relayed.take(bytes);
            }
        }
        self.splitter.cut(start);
        self.held.extend_from_slice(&bytes[start..]);
        relayed.take(bytes)
    }

    /// Whether an event of so many bytes is more than can be held.
    fn is_flood(&self, bytes: usize) -> bool {
        Stream::EVENT_BYTES < bytes || self.told == 0 && Stream::SILENT_BYTES < self.silent + bytes
    }

    /// Hears one event.
    fn event(&mut self, text: &[u8], events: &mut Vec<AttemptEvent>) -> Fate {
        if self.is_flood(text.len()) {
            self.fail(events);
            return Fate::Strip;
        }
        if self.told == 0 {
            self.silent += text.len();
        }
        let event = Event::of(text);
        let Some(data) = event.data else {
            return Fate::Relay;
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.finish(events);
            return Fate::Relay;
        }
        if data.is_empty() {
            return Fate::Relay;
        }
        let Some(chunk) = Chunk::of(data) else {
            if event.is_error {
                self.reject(data, events);
            } else {
                self.fail(events);
            }
            return Fate::Strip;
        };
        if chunk.error || event.is_error {
            self.reject(data, events);
            return Fate::Strip;
        }
        self.chunk(&chunk, events);
        if chunk.only_usage && !self.include_usage {
            Fate::Strip
        } else {
            Fate::Relay
        }
    }

    fn chunk(&mut self, chunk: &Chunk, events: &mut Vec<AttemptEvent>) {
        self.seen |= chunk.seen;
        self.ended |= chunk.ended;
        self.usage = chunk.usage.or(self.usage);
        if !chunk.content {
            return;
        }
        if self.told == 0 {
            self.told = 1;
            events.push(AttemptEvent::FirstToken);
        } else {
            self.count(1);
        }
        // A provider that counts as it goes knows better than one a chunk.
        if let Some(usage) = chunk.usage {
            self.count(usage.output.saturating_sub(self.told));
        }
    }

    fn count(&mut self, tokens: u32) {
        self.told = self.told.saturating_add(tokens);
        self.lump = self.lump.saturating_add(tokens);
    }

    /// Tells the tokens of this read.
    fn tell(&mut self, events: &mut Vec<AttemptEvent>) {
        if 0 < self.lump {
            events.push(AttemptEvent::Tokens { count: self.lump });
            self.lump = 0;
        }
    }

    /// Whether every choice that was begun has said why it ends.
    fn is_ended(&self) -> bool {
        self.seen != 0 && self.seen & !self.ended == 0
    }

    fn finish(&mut self, events: &mut Vec<AttemptEvent>) {
        self.over = true;
        self.tell(events);
        let usage = match self.usage {
            Some(usage) => Usage {
                input: usage.input,
                output: usage.output,
            },
            None => Usage {
                input: self.input,
                output: self.told,
            },
        };
        events.push(AttemptEvent::Finish { usage });
    }

    /// The provider says itself that it failed.
    fn reject(&mut self, data: &[u8], events: &mut Vec<AttemptEvent>) {
        if 0 < self.told {
            return self.fail(events);
        }
        let (status, code) = status_within(data);
        let shown = &data[..data.len().min(Rejection::MOST_BYTES)];
        self.rejection = Some(Rejection {
            status,
            content_type: None,
            body: Bytes::copy_from_slice(shown),
        });
        self.over = true;
        events.push(AttemptEvent::Open {
            status,
            code,
            retry_after: None,
        });
    }

    /// What comes cannot be understood, or not be held.
    fn fail(&mut self, events: &mut Vec<AttemptEvent>) {
        self.over = true;
        self.held = BytesMut::new();
        self.tell(events);
        let fault = if self.told == 0 { Fault::Server } else { Fault::Stream };
        events.push(AttemptEvent::Fail { fault });
    }
}

/// Pieces of a read that go on to the client: one piece is not copied.
#[derive(Default)]
struct Relayed {
    start: usize,
    end: usize,
    before: BytesMut,
}

impl Relayed {
    fn add(&mut self, bytes: &Bytes, start: usize, end: usize) {
        if self.end != start {
            self.before.extend_from_slice(&bytes[self.start..self.end]);
            self.start = start;
        }
        self.end = end;
    }

    fn take(mut self, bytes: &Bytes) -> Bytes {
        if self.before.is_empty() {
            return bytes.slice(self.start..self.end);
        }
        self.before.extend_from_slice(&bytes[self.start..self.end]);
        self.before.freeze()
    }
}
