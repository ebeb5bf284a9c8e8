//! The body of an answer that is relayed: it drives its request on, whenever the client's side asks for more.
//!
//! Nothing is read from the endpoint that the client does not take. Dropped, it tells the lifecycle that the client has
//! gone.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tollgate_core::lifecycle::Refusal;

use crate::driver::Piece;
use crate::exchange::Driven;

/// The body of an answer that is relayed.
#[derive(Debug)]
pub(crate) struct Relay {
    driven: Driven,
    /// Events, rather than a whole.
    stream: bool,
    ended: bool,
}

/// An answer that was broken off: the client must not take what it has for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(Refusal);

impl Relay {
    /// The answer of `driven`, which has been committed to an attempt; a `stream` if it comes in events.
    pub(crate) fn new(driven: Driven, stream: bool) -> Relay {
        Relay {
            driven,
            stream,
            ended: false,
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let bytes = match ready!(self.driven.poll_piece(cx)) {
            Piece::Bytes(bytes) => bytes,
            Piece::End => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Piece::Broken(refusal) => {
                self.ended = true;
                if !self.stream {
                    return Poll::Ready(Some(Err(Broken(refusal))));
                }
                // An event, and then an end without `[DONE]`: a stream that only ended would pass for complete.
                self.driven.last_event(refusal)
            }
        };
        self.driven.gateway.observer.sent(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer was broken off: {}", self.0.name())
    }
}

impl std::error::Error for Broken {}
