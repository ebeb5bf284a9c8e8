//! The bodies of answers: whole, streamed token by token, or broken off.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tollgate_core::usage::Usage;

use super::driver::{Driver, Heard, Hearing};
use super::shape::Identity;
use super::text::Words;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it.
    Whole(Option<Bytes>),
    /// A head that promises so much, and nothing after it.
    Cut { length: u64, flushed: bool },
    /// Events, as they happen.
    Events(Box<Events>),
}

/// A stream breaks off: the connection is closed without an end of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer breaks off here")
    }
}

impl std::error::Error for BrokenOff {}

/// A streamed answer.
#[derive(Debug)]
pub(super) struct Events {
    hearing: Hearing,
    identity: Identity,
    /// What each choice says, and how many tokens all of them have said.
    words: Vec<Words>,
    said: u64,
    /// Tokens that are there and not yet said.
    owed: u32,
    begun: bool,
    stage: Stage,
    _open: OpenStream,
}

/// Most tokens of one piece of a body.
const MOST_AT_ONCE: u32 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// It will break off as soon as what was said is on its way.
    Breaking,
    Broken,
    Done,
}

impl Events {
    pub(super) fn new(hearing: Hearing, identity: Identity, words: Vec<Words>, open: OpenStream) -> Events {
        Events {
            hearing,
            identity,
            words,
            said: 0,
            owed: 0,
            begun: false,
            stage: Stage::Running,
            _open: open,
        }
    }

    /// Everything that is there, as one piece of the body.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        match self.stage {
            Stage::Running => {}
            Stage::Breaking => {
                // Whoever writes the body flushes when there is nothing more; only then may it break.
                self.stage = Stage::Broken;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Stage::Broken => {
                self.stage = Stage::Done;
                return Poll::Ready(Some(Err(BrokenOff)));
            }
            Stage::Done => return Poll::Ready(None),
        }
        let mut piece = Vec::new();
        if !self.begun {
            self.begun = true;
            for index in 0..self.identity.choices {
                self.identity.begin(index, &mut piece);
            }
        }
        while self.stage == Stage::Running {
            if 0 < self.owed {
                // Whoever has fallen behind by very many gets them in several pieces.
                let count = self.owed.min(MOST_AT_ONCE);
                self.owed -= count;
                self.speak(count, &mut piece);
                if 0 < self.owed {
                    break;
                }
            }
            match self.hearing.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Heard::Tokens(count)) => self.owed = count,
                Poll::Ready(Heard::Finish(usage)) => self.finish(usage, &mut piece),
                Poll::Ready(Heard::Open { .. }) => {}
                Poll::Ready(Heard::Broken | Heard::Refused) => self.stage = Stage::Breaking,
            }
        }
        if !piece.is_empty() {
            return Poll::Ready(Some(Ok(Bytes::from(piece))));
        }
        match self.stage {
            Stage::Running => Poll::Pending,
            Stage::Breaking | Stage::Broken | Stage::Done => self.poll_piece(cx),
        }
    }

    /// Tokens go to the choices in turn.
    fn speak(&mut self, count: u32, piece: &mut Vec<u8>) {
        let mut text = String::new();
        for _ in 0..count {
            let index = u32::try_from(self.said % u64::from(self.identity.choices)).expect("fewer than the choices");
            self.said += 1;
            text.clear();
            self.words[index as usize].speak(1, &mut text);
            self.identity.token(index, &text, piece);
        }
    }

    fn finish(&mut self, usage: Usage, piece: &mut Vec<u8>) {
        for index in 0..self.identity.choices {
            self.identity.finish(index, piece);
        }
        self.identity.end(usage, piece);
        self.stage = Stage::Done;
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Body::Cut { flushed: true, .. } => Poll::Ready(Some(Err(BrokenOff))),
            Body::Cut { flushed, .. } => {
                // As above: first the head.
                *flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Body::Events(events) => events.poll_piece(cx),
        };
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Body::Cut { .. } => false,
            Body::Events(events) => events.stage == Stage::Done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Cut { length, .. } => SizeHint::with_exact(*length),
            Body::Events(_) => SizeHint::default(),
        }
    }
}

/// Counts a stream for as long as it is open.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Driver>);

impl OpenStream {
    pub(super) fn new(driver: &Arc<Driver>) -> OpenStream {
        driver.with(|state, _| state.record.open_streams += 1);
        OpenStream(Arc::clone(driver))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.with(|state, _| state.record.open_streams -= 1);
    }
}
