//! Connections to the target, used again and bounded.
//!
//! A connection has no task of its own: whoever uses it drives it, which saves a hand-over for every piece of an answer.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant as Moment;
use tollgate_proxy::upstream::{Address, Connect, Wire};

use super::failure::Failure;

/// Longest that a connection may take to stand, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest that a connection may wait for its first request.
const LONGEST_UNUSED: Duration = Duration::from_secs(4);

/// A request as it goes out.
pub(super) type Outbound = Request<Full<Bytes>>;

type Connection = http1::Connection<TokioIo<Box<dyn Wire>>, Full<Bytes>>;

/// The connections to one address.
pub(super) struct Pool {
    connect: Box<dyn Connect>,
    address: Address,
    /// One for each connection that is in use.
    places: Semaphore,
    idle: Mutex<Vec<Link>>,
    /// Connections that were opened, ever.
    pub(super) opened: AtomicU64,
    /// Requests that had to wait for a connection.
    pub(super) waited: AtomicU64,
}

/// A connection, in use.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended.
    connection: Option<Box<Connection>>,
    /// An answer has come on it already.
    pub(super) used: bool,
    opened: Moment,
}

impl Pool {
    pub(super) fn new(connect: Box<dyn Connect>, address: Address, most: usize) -> Pool {
        Pool {
            connect,
            address,
            places: Semaphore::new(most),
            idle: Mutex::default(),
            opened: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        }
    }

    /// Where they lead.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Opens connections that requests will find, as many as can be opened up to `count`.
    ///
    /// # Errors
    ///
    /// Not one could be opened.
    pub(super) async fn warm_up(&self, count: usize) -> Result<(), Failure> {
        let first = self.open().await?;
        let mut links = vec![first];
        while links.len() < count {
            match self.open().await {
                Ok(link) => links.push(link),
                // The first will do; what it means that there are no more, requests will find out.
                Err(_) => break,
            }
        }
        self.lock().append(&mut links);
        Ok(())
    }

    /// The right to use a connection, once there is one.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        if let Ok(place) = self.places.try_acquire() {
            return place;
        }
        self.waited.fetch_add(1, Ordering::Relaxed);
        self.places.acquire().await.expect("nobody closes it")
    }

    /// A connection, the one that was used last if there is one.
    pub(super) async fn link(&self) -> Result<Link, Failure> {
        while let Some(mut link) = self.pop() {
            if link.is_fresh() && link.is_open() {
                return Ok(link);
            }
        }
        self.open().await
    }

    /// A connection that can be used again.
    pub(super) fn put(&self, mut link: Link) {
        link.used = true;
        if link.is_open() {
            self.lock().push(link);
        }
    }

    pub(super) async fn open(&self) -> Result<Link, Failure> {
        let connecting = self.connect.connect(&self.address);
        let connected = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Err(_) => return Err(Failure::ConnectTimeout),
            Ok(connected) => connected.map_err(|error| Failure::of_connect(&error))?,
        };
        let made = http1::handshake(TokioIo::new(connected.wire)).await;
        let (sender, connection) = made.map_err(|error| Failure::of(&error))?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Link {
            sender,
            connection: Some(Box::new(connection)),
            used: false,
            opened: Moment::now(),
        })
    }

    fn pop(&self) -> Option<Link> {
        self.lock().pop()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        // Nothing that panics is done while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Outbound) -> Result<Response<Incoming>, TrySendError<Outbound>> {
        let mut answering = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            drive(&mut self.connection, cx);
            answering.as_mut().poll(cx)
        })
        .await
    }

    /// More of `body`.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        poll_fn(|cx| {
            let frame = Pin::new(&mut *body).poll_frame(cx);
            if frame.is_ready() {
                return frame;
            }
            // The connection reads on only once it has been asked for more.
            drive(&mut self.connection, cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
        .await
    }

    /// Whether its other end still waits for a first request: one that is left alone for long is closed unseen.
    fn is_fresh(&self) -> bool {
        self.used || self.opened.elapsed() < LONGEST_UNUSED
    }

    /// Whether it can be used now; lets go of the task that used it before.
    fn is_open(&mut self) -> bool {
        drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("used", &self.used).finish_non_exhaustive()
    }
}

fn drive(connection: &mut Option<Box<Connection>>, cx: &mut Context<'_>) {
    if let Some(running) = connection
        && let Poll::Ready(_end) = Pin::new(running).poll(cx)
    {
        // Whoever waits for an answer hears of its end from there.
        *connection = None;
    }
}

/// How a stream of bytes failed that the machine has no more means for, among other things.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    /// `EMFILE` and `ENFILE`, on every system that has them.
    const TOO_MANY: [i32; 2] = [24, 23];
    error.raw_os_error().is_some_and(|code| TOO_MANY.contains(&code))
}
