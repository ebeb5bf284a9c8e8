//! What a connection is doing: whether requests are in flight, and whether one is coming in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
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
}

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
struct Beat(Arc<Pulse>);

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
        Poll::Ready(Ok(response.map(|body| Answer { body, _beat: beat })))
    }
}

/// The body of an answer; once it is sent, or dropped, its request is over.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _beat: Option<Beat>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
