//! A connection that can be broken in every way that connections break.
//!
//! A handler says through the [`Line`] of its connection what shall become of the answer; the [`Wire`], which stands
//! between HTTP and the socket, does it to the bytes. What ends a connection is noticed by whoever serves it
//! ([`Line::broken`]), because HTTP may have nothing to read or write just then.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;
use tollgate_core::time::Nanos;

use crate::clock::{Clock, Timer};

/// What shall become of an answer on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing in particular.
    #[default]
    Whole,
    /// The connection is reset after so many bytes of the body.
    Reset { after: u64 },
    /// It is closed.
    Truncate { after: u64 },
    /// It stays open, and nothing more comes.
    Hang { after: u64 },
    /// The body trickles: so many bytes at a time, and a pause.
    Trickle { bytes: u64, every: Nanos },
    /// Something else comes in its place that is not HTTP, and the connection is closed.
    Garbage,
    /// A head that never ends.
    EndlessHeaders,
}

/// A connection, as handlers see it.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<LineState>,
    broken: Notify,
}

#[derive(Debug, Default)]
struct LineState {
    plan: Plan,
    /// How far the answer is.
    part: Part,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So many bytes of the empty line that ends a head have just gone.
    Head { matched: usize },
    /// So many bytes of the body have gone.
    Body { sent: u64 },
}

impl Default for Part {
    fn default() -> Part {
        Part::Head { matched: 0 }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As if nothing were wrong.
    Closed,
    /// At once, and the other side is told so.
    Reset,
}

impl Line {
    /// Another answer begins. Over HTTP/2 it shares the connection with others, and its head cannot be told from its body.
    pub(super) fn plan(&self, plan: Plan, has_head: bool) {
        let mut state = self.lock();
        state.plan = plan;
        state.part = if has_head {
            Part::default()
        } else {
            Part::Body { sent: 0 }
        };
    }

    /// The connection ends now.
    pub(super) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.broken.notify_one();
    }

    /// How the connection ends, once it was decided that it does.
    pub(super) async fn broken(&self) -> End {
        loop {
            let noticed = self.broken.notified();
            if let Some(end) = self.lock().end {
                return end;
            }
            noticed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of bytes whose answers meet what was planned for them.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    line: Arc<Line>,
    /// Makes the stream tell the other side that it was reset, once it is dropped.
    reset: fn(&S),
    /// Rings when a trickle may go on.
    timer: Box<dyn Timer>,
    clock: Arc<dyn Clock>,
    resting: bool,
    /// How long the first byte may take; none once it has come.
    patience: Option<Pin<Box<Sleep>>>,
    /// Bytes that stand in for the answer, and how far they have gone.
    instead: usize,
}

/// How long a client may be connected without a word.
const PATIENCE: Duration = Duration::from_secs(30);
const GARBAGE: &[u8] = b"\x16\x03\x03\x00\x2a\x00\xff tollgate mock: this is not HTTP \xfe\xff\r\n\r\n\x00\x01\x02";
const STATUS_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// One of endlessly many headers.
const HEADER: &[u8; 64] = b"x-endless: 0123456789abcdef0123456789abcdef0123456789abcdef012\r\n";
/// How much of an endless head goes at once, and how long until the next.
const HEADERS_AT_ONCE: usize = 256;
const HEADERS_EVERY: Nanos = Nanos::from_millis(1);

impl<S> Wire<S> {
    pub(super) fn new(stream: S, reset: fn(&S), line: Arc<Line>, clock: Arc<dyn Clock>) -> Wire<S> {
        Wire {
            stream,
            line,
            reset,
            timer: clock.timer(),
            clock,
            resting: false,
            patience: Some(Box::pin(tokio::time::sleep(PATIENCE))),
            instead: 0,
        }
    }

    fn rest(&mut self, length: Nanos) {
        self.timer.set(self.clock.now() + length);
        self.resting = true;
    }

    fn poll_rested(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.resting {
            ready!(self.timer.poll(cx));
            self.resting = false;
        }
        Poll::Ready(())
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.line.lock().end == Some(End::Reset) {
            (self.reset)(&self.stream);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(patience) = &mut wire.patience
            && patience.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut wire.stream).poll_read(cx, buf))?;
        wire.patience = None;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let plan = wire.line.lock().plan;
        match plan {
            Plan::Whole => Pin::new(&mut wire.stream).poll_write(cx, buf),
            Plan::Garbage => wire.poll_garbage(cx),
            Plan::EndlessHeaders => wire.poll_headers(cx),
            Plan::Reset { after } => wire.poll_part(cx, buf, after, Some(End::Reset)),
            Plan::Truncate { after } => wire.poll_part(cx, buf, after, Some(End::Closed)),
            Plan::Hang { after } => wire.poll_part(cx, buf, after, None),
            Plan::Trickle { bytes, every } => {
                ready!(wire.poll_rested(cx));
                let written = ready!(wire.poll_up_to(cx, buf, |sent| sent.saturating_add(bytes)))?;
                if matches!(wire.line.lock().part, Part::Body { .. }) {
                    wire.rest(every);
                }
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes until `after` bytes of the body have gone, and then no more.
    fn poll_part(&mut self, cx: &mut Context<'_>, buf: &[u8], after: u64, end: Option<End>) -> Poll<io::Result<usize>> {
        let written = ready!(self.poll_up_to(cx, buf, |_| after))?;
        if written == 0 {
            // All has gone that will. Whoever serves the connection ends it; nobody else would.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            if let Some(end) = end {
                self.line.end(end);
            }
            return Poll::Pending;
        }
        Poll::Ready(Ok(written))
    }

    /// Writes the head, and of the body no more than as many bytes in all as `most` says of those that have gone.
    fn poll_up_to(&mut self, cx: &mut Context<'_>, buf: &[u8], most: impl Fn(u64) -> u64) -> Poll<io::Result<usize>> {
        let part = self.line.lock().part;
        let allowed = match part {
            Part::Head { .. } => match part.after(buf) {
                Part::Head { .. } => buf.len(),
                Part::Body { sent } => buf.len() - usize::try_from(sent).expect("no more than there are"),
            },
            Part::Body { sent } => {
                let left = most(sent).saturating_sub(sent);
                usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()))
            }
        };
        if allowed == 0 {
            return Poll::Ready(Ok(0));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &buf[..allowed]))?;
        self.line.lock().part = part.after(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_garbage(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.instead < GARBAGE.len() {
            self.instead += ready!(Pin::new(&mut self.stream).poll_write(cx, &GARBAGE[self.instead..]))?;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.line.end(End::Closed);
        Poll::Pending
    }

    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_rested(cx));
            let rest = match STATUS_LINE.get(self.instead..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &HEADER[(self.instead - STATUS_LINE.len()) % HEADER.len()..],
            };
            self.instead += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            let headers = self.instead.saturating_sub(STATUS_LINE.len());
            if headers.is_multiple_of(HEADERS_AT_ONCE * HEADER.len()) {
                ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                self.rest(HEADERS_EVERY);
            }
        }
    }
}

impl Part {
    /// Where the answer is once these bytes have gone as well.
    fn after(self, bytes: &[u8]) -> Part {
        const END: &[u8] = b"\r\n\r\n";
        match self {
            Part::Body { sent } => Part::Body {
                sent: sent.saturating_add(bytes.len() as u64),
            },
            Part::Head { mut matched } => {
                for (at, byte) in bytes.iter().enumerate() {
                    matched = match () {
                        () if *byte == END[matched] => matched + 1,
                        () if *byte == END[0] => 1,
                        () => 0,
                    };
                    if matched == END.len() {
                        let sent = (bytes.len() - at - 1) as u64;
                        return Part::Body { sent };
                    }
                }
                Part::Head { matched }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_comes() {
        let answer = b"HTTP/1.1 200 OK\r\na: b\r\r\nc: d\r\n\r\nbody";
        for cut in 0..answer.len() {
            let (one, other) = answer.split_at(cut);
            assert_eq!(Part::default().after(one).after(other), Part::Body { sent: 4 }, "{cut}");
        }
        assert_eq!(
            Part::default().after(b"HTTP/1.1 200 OK\r\n\r"),
            Part::Head { matched: 3 }
        );
    }
}
