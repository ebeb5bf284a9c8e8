//! What a connection is doing: whether requests are in flight, and whether one is coming in.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Instant as Moment;
use tower::Service as _;

use crate::gateway::Gateway;

/// What a connection is doing, as those see it who read from it and those who answer.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests that have begun and those that are over, in one word each half.
    begun: AtomicU64,
    over: AtomicU64,
    /// Bytes have come that are not part of a request yet.
    is_partial: AtomicBool,
    /// Several requests share it.
    is_shared: AtomicBool,
    /// The answers that share it. There are no more than a client may have streams, but for those that are over.
    flows: Mutex<Vec<Weak<Mutex<Flow>>>>,
}

/// The body of an answer on a connection that others share: the window of its stream may be closed while bytes go to and
/// fro on the connection. Nobody asks for more of it then, and so nothing that would end its request is noticed.
#[derive(Debug)]
pub(super) struct Flow {
    /// None once its client was given up.
    answer: Option<(Body, Option<Beat>)>,
    /// Since when nobody has asked for more.
    since: Option<Moment>,
}

/// A client that took nothing of an answer for too long.
#[derive(Debug)]
struct GivenUp;

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client took nothing for too long")
    }
}

impl std::error::Error for GivenUp {}

impl Pulse {
    /// Requests that have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether no request is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.begun() == self.over.load(Ordering::Relaxed)
    }

    /// Whether a request has begun to come in, and is not there yet. Where requests share the connection, bytes tell
    /// nothing of requests.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial.load(Ordering::Relaxed) && !self.is_shared.load(Ordering::Relaxed)
    }

    /// Whether several requests share it.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    /// Gives up answers of which nobody has taken anything for `patience`, where answers share the connection.
    pub(super) fn give_up(&self, now: Moment, patience: Duration) {
        let flows: Vec<_> = lock(&self.flows).iter().filter_map(Weak::upgrade).collect();
        for flow in flows {
            let mut flow = lock(&flow);
            let is_late = flow.since.is_some_and(|since| patience <= now.duration_since(since));
            let answer = if is_late { flow.answer.take() } else { None };
            drop(flow);
            // What ends a request may look at its connection.
            drop(answer);
        }
    }

    fn flow(&self, body: Body, beat: Option<Beat>) -> Arc<Mutex<Flow>> {
        let flow = Arc::new(Mutex::new(Flow {
            answer: Some((body, beat)),
            since: None,
        }));
        let mut flows = lock(&self.flows);
        flows.retain(|flow| 0 < flow.strong_count());
        flows.push(Arc::downgrade(&flow));
        flow
    }

    /// Bytes have come.
    pub(super) fn heard(&self) {
        if self.is_idle() {
            self.is_partial.store(true, Ordering::Relaxed);
        }
    }

    fn begin(self: &Arc<Pulse>, version: Version) -> Beat {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.is_partial.store(false, Ordering::Relaxed);
        self.is_shared.store(version == Version::HTTP_2, Ordering::Relaxed);
        Beat(Arc::clone(self))
    }
}

/// One request, until its answer is sent or given up.
#[derive(Debug)]
pub(super) struct Beat(Arc<Pulse>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) router: Router,
    pub(super) gateway: Arc<Gateway>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) peer: std::net::SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Served {
    type Response = Response<Answer>;
    type Error = std::convert::Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let version = request.version();
        let beat = self.pulse.begin(version);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Answering {
            // A router is always ready.
            answer: self.router.clone().call(request),
            gateway: Arc::clone(&self.gateway),
            closes: version != Version::HTTP_2,
            beat: Some(beat),
        }
    }
}

pin_project! {
    /// A request while its answer is made.
    pub(super) struct Answering {
        #[pin]
        answer: axum::routing::future::RouteFuture<std::convert::Infallible>,
        gateway: Arc<Gateway>,
        closes: bool,
        beat: Option<Beat>,
    }
}

impl Future for Answering {
    type Output = Result<Response<Answer>, std::convert::Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.answer.poll(cx))?;
        // Whoever is about to end asks clients to connect elsewhere next time. HTTP/2 has a frame for that.
        if *this.closes && this.gateway.is_draining() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let beat = this.beat.take();
        let pulse = beat.as_ref().map(|beat| Arc::clone(&beat.0));
        Poll::Ready(Ok(response.map(|body| match pulse {
            Some(pulse) if !*this.closes => Answer::Shared(pulse.flow(body, beat)),
            Some(_) | None => Answer::Alone { body, _beat: beat },
        })))
    }
}

/// The body of an answer; once it is sent, or dropped, its request is over.
#[derive(Debug)]
pub(super) enum Answer {
    /// It has the connection for itself.
    Alone { body: Body, _beat: Option<Beat> },
    /// It shares the connection.
    Shared(Arc<Mutex<Flow>>),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            Answer::Alone { body, .. } => Pin::new(body).poll_frame(cx),
            Answer::Shared(flow) => {
                let mut flow = lock(flow);
                let Some((body, _)) = &mut flow.answer else {
                    return Poll::Ready(Some(Err(axum::Error::new(GivenUp))));
                };
                let frame = Pin::new(body).poll_frame(cx);
                flow.since = matches!(frame, Poll::Ready(Some(Ok(_)))).then(Moment::now);
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Alone { body, .. } => body.is_end_stream(),
            Answer::Shared(flow) => lock(flow).answer.as_ref().is_some_and(|(body, _)| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Alone { body, .. } => body.size_hint(),
            Answer::Shared(flow) => {
                let flow = lock(flow);
                flow.answer
                    .as_ref()
                    .map_or_else(SizeHint::default, |(body, _)| body.size_hint())
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No call leaves it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
