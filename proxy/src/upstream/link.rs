//! One connection to an endpoint, as HTTP/1.1 or HTTP/2 speaks it.
//!
//! A connection over HTTP/1.1 has no task of its own: whoever uses it drives it, so that a request that is dropped
//! closes it in the same breath, and nothing is read that the client does not ask for. One over HTTP/2 is shared and
//! needs a task; a request that is dropped resets its stream.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tollgate_core::time::Instant;

use super::connect::{Connecting, Protocol, Wire};
use super::pool::{Bounds, Seat};
use crate::tasks::Tasks;

/// A request as it goes to an endpoint.
pub(crate) type Outbound = Request<Full<Bytes>>;

/// The head of an answer on its way.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Outbound>>> + Send>>;

/// The use of a connection, for one request.
#[derive(Debug)]
pub(crate) enum Link {
    /// All of it.
    Http1(Http1),
    /// One stream of it.
    Http2(Stream),
}

type Connection = http1::Connection<TokioIo<Box<dyn Wire>>, Full<Bytes>>;

/// A connection over HTTP/1.1.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    /// None once it has ended: a request that it has not taken by then is given back as it is dropped.
    connection: Option<Box<Connection>>,
    seat: Seat,
    pub(super) born: Instant,
    pub(super) idle_since: Instant,
    /// An answer has come on it already.
    used: bool,
    /// The end of the answer before, where what it says was over before its bytes were.
    tail: Option<Incoming>,
}

/// A connection over HTTP/2.
pub(crate) struct Session {
    sender: http2::SendRequest<Full<Bytes>>,
    seat: Seat,
    load: Arc<Load>,
    born: Instant,
    /// When a stream of it was last asked for, in nanoseconds.
    used_at: AtomicU64,
}

/// How many streams a session has, and may have.
#[derive(Debug)]
struct Load {
    streams: AtomicU32,
    most: AtomicU32,
}

/// A stream of a connection over HTTP/2.
#[derive(Debug)]
pub(crate) struct Stream {
    session: Arc<Session>,
    /// It was never used: nobody is told that there is room again.
    void: bool,
}

/// Opens a connection in `seat`.
pub(super) async fn open(connecting: Connecting, mut seat: Seat, now: Instant, tasks: Tasks) -> io::Result<Link> {
    let connected = connecting.await?;
    let io = TokioIo::new(connected.wire);
    match connected.protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(MOST_BUFFERED)
                .max_header_size(MOST_HEAD)
                .handshake(io)
                .await
                .map_err(io::Error::other)?;
            seat.connected();
            Ok(Link::Http1(Http1 {
                sender,
                connection: Some(Box::new(connection)),
                seat,
                born: now,
                idle_since: now,
                used: false,
                tail: None,
            }))
        }
        Protocol::Http2 => {
            let (sender, mut connection) = http2::Builder::new(tasks.clone())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_TIMEOUT)
                .max_header_list_size(u32::try_from(MOST_HEAD).expect("a small number"))
                .handshake(io)
                .await
                .map_err(io::Error::other)?;
            let load = Arc::new(Load {
                streams: AtomicU32::new(1),
                most: AtomicU32::new(MOST_STREAMS),
            });
            let told = Arc::clone(&load);
            let _is_running = tasks.spawn(async move {
                let driven = poll_fn(|cx| {
                    let polled = Pin::new(&mut connection).poll(cx);
                    let most = u32::try_from(connection.current_max_send_streams()).unwrap_or(u32::MAX);
                    told.most.store(most.min(MOST_STREAMS), Ordering::Relaxed);
                    polled
                });
                // Those who use it hear of its end themselves.
                let _end = driven.await;
            });
            seat.connected();
            let pool = Arc::clone(seat.pool());
            let session = Arc::new(Session {
                sender,
                seat,
                load,
                born: now,
                used_at: AtomicU64::new(now.as_nanos()),
            });
            pool.share(&session);
            Ok(Link::Http2(Stream { session, void: false }))
        }
    }
}

impl Link {
    /// Sends `request`. Nothing moves until the link is driven.
    pub(super) fn send(&mut self, request: Outbound) -> Answering {
        match self {
            Link::Http1(link) => Box::pin(link.sender.try_send_request(request)),
            Link::Http2(stream) => Box::pin(stream.session.sender.clone().try_send_request(request)),
        }
    }

    /// Moves bytes, if nobody else does it for this link.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Link::Http1(link) => link.drive(cx),
            Link::Http2(_) => {}
        }
    }

    /// Whether it has been used before, and may have been closed unseen.
    pub(super) fn was_used(&self) -> bool {
        match self {
            Link::Http1(link) => link.used,
            Link::Http2(_) => true,
        }
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&mut self) -> bool {
        match self {
            Link::Http1(link) => link.is_open(),
            Link::Http2(stream) => !stream.session.sender.is_closed(),
        }
    }

    /// Closes it, so that another can be opened in its place; none if its place is shared.
    pub(super) fn into_seat(self) -> Option<Seat> {
        match self {
            Link::Http1(link) => Some(link.seat.again()),
            Link::Http2(_) => None,
        }
    }

    /// The answer is complete, but perhaps for the last bytes of `body`: keeps what can be used again.
    pub(super) fn end(self, body: Option<Incoming>, now: Instant) {
        match self {
            Link::Http1(mut link) => {
                link.used = true;
                link.tail = body;
                if link.is_open() || link.tail.is_some() {
                    let pool = Arc::clone(link.seat.pool());
                    pool.put(link, now);
                }
            }
            Link::Http2(_) => {}
        }
    }
}

impl Http1 {
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if Pin::new(connection).poll(cx).is_ready() {
            // Whoever waits for an answer hears of its end from there.
            self.connection = None;
        }
    }

    /// Whether it can be used now; lets go of the task that used it before.
    fn is_open(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        self.drive(cx);
        while let Some(tail) = &mut self.tail {
            let mut frame = Pin::new(&mut *tail).poll_frame(cx);
            if frame.is_pending() {
                // The connection reads on only once it has been asked for more.
                self.drive(cx);
                frame = self
                    .tail
                    .as_mut()
                    .map_or(Poll::Ready(None), |tail| Pin::new(tail).poll_frame(cx));
            }
            match frame {
                Poll::Ready(None) => {
                    self.tail = None;
                    self.drive(cx);
                }
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_none_or(Bytes::is_empty) => {}
                // More than there should be, or less.
                Poll::Ready(Some(Ok(_) | Err(_))) => {
                    self.tail = None;
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        self.sender.is_ready()
    }

    /// Closes it, for another in its place.
    pub(super) fn into_seat(self) -> Seat {
        self.seat.vacated()
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1")
            .field("born", &self.born)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A stream of it, if there is room.
    pub(super) fn stream(self: &Arc<Session>, now: Instant) -> Option<Stream> {
        if self.sender.is_closed() {
            return None;
        }
        let most = self.load.most.load(Ordering::Relaxed);
        let take = |streams: u32| (streams < most).then_some(streams + 1);
        let taken = self
            .load
            .streams
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, take);
        taken.ok().map(|_| {
            self.used_at.fetch_max(now.as_nanos(), Ordering::Relaxed);
            Stream {
                session: Arc::clone(self),
                void: false,
            }
        })
    }

    /// Whether no further stream is to be opened.
    pub(super) fn is_over(&self, now: Instant, bounds: Bounds) -> bool {
        let used_at = Instant::from_nanos(self.used_at.load(Ordering::Relaxed));
        let is_idle = self.load.streams.load(Ordering::Acquire) == 0 && bounds.idle <= now.since(used_at);
        self.sender.is_closed() || is_idle || bounds.age <= now.since(self.born)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("born", &self.born)
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Gives it back unused, without a word to those who wait.
    pub(super) fn forget(mut self) {
        self.void = true;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.session.load.streams.fetch_sub(1, Ordering::AcqRel);
        if !self.void {
            self.session.seat.pool().hand_out(&self.session);
        }
    }
}

/// Most bytes that a connection over HTTP/1.1 holds at once, each way.
const MOST_BUFFERED: usize = 128 << 10;
/// Most bytes of the head of an answer.
const MOST_HEAD: usize = 64 << 10;
/// Most streams of one connection over HTTP/2; fewer if the endpoint says so.
const MOST_STREAMS: u32 = 100;
/// How often a connection over HTTP/2 that says nothing is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
