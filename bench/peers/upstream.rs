//! The upstream behind every peer: answers of 400 bytes, or streams of 64 chunks, at once or in time.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// Chunks of a stream, beside the one with its usage and the one that ends it.
const CHUNKS: u32 = 64;

/// How long an answer is that comes whole.
const ANSWER_BYTES: usize = 400;

/// An upstream that answers, on a thread of its own, until the process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    manner: Arc<Manner>,
    left: Receiver<Instant>,
}

/// In which time it answers, in microseconds.
#[derive(Debug, Default)]
struct Manner {
    /// Before the head of an answer.
    delay: AtomicU64,
    /// From one chunk to the next.
    gap: AtomicU64,
}

impl Upstream {
    /// Begins to answer at a free port.
    pub(crate) fn start() -> io::Result<Upstream> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let manner = Arc::new(Manner::default());
        let (sender, left) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&manner);
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || runtime.block_on(listen(listener, shared, sender)))?;
        Ok(Upstream { address, manner, left })
    }

    /// From now on it answers after `delay`, and lets `gap` pass between chunks.
    pub(crate) fn behave(&self, delay: Duration, gap: Duration) {
        let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.manner.delay.store(micros(delay), Ordering::Relaxed);
        self.manner.gap.store(micros(gap), Ordering::Relaxed);
    }

    /// When the next client is found to have left before the end of its stream; none if nobody has within `patience`.
    pub(crate) fn left(&self, patience: Duration) -> Option<Instant> {
        self.left.recv_timeout(patience).ok()
    }

    /// Forgets who has left so far.
    pub(crate) fn forget(&self) {
        while self.left.try_recv().is_ok() {}
    }
}

async fn listen(listener: std::net::TcpListener, manner: Arc<Manner>, left: Sender<Instant>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        drop(tokio::spawn(serve(stream, Arc::clone(&manner), left.clone())));
    }
}

async fn serve(stream: TcpStream, manner: Arc<Manner>, left: Sender<Instant>) {
    let service = service_fn(|request| answer(request, Arc::clone(&manner), left.clone()));
    let http = hyper::server::conn::http1::Builder::new();
    // A client that leaves is what some cases are about.
    let _left = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    manner: Arc<Manner>,
    left: Sender<Instant>,
) -> Result<Response<Either<Full<Bytes>, Chunks>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let is_stream = memchr::memmem::find(&body, br#""stream":true"#).is_some();
    let micros = |length: &AtomicU64| Duration::from_micros(length.load(Ordering::Relaxed));
    let delay = micros(&manner.delay);
    if !delay.is_zero() {
        sleep(delay).await;
    }
    Ok(if is_stream {
        let mut response = Response::new(Either::Right(Chunks {
            next: 0,
            gap: micros(&manner.gap),
            wait: None,
            left,
        }));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // Else nginx would wait for company.
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        response
    } else {
        let mut response = Response::new(Either::Left(Full::new(Bytes::from(whole()))));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    })
}

/// A chat completion of 400 bytes.
fn whole() -> String {
    let head = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let tail = r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":40,"total_tokens":60}}"#;
    let text = ANSWER_BYTES.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(text))
}

/// A stream of a chat completion.
struct Chunks {
    next: u32,
    gap: Duration,
    wait: Option<Pin<Box<Sleep>>>,
    /// Told if it is dropped before its end.
    left: Sender<Instant>,
}

const CHUNK: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const USAGE: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":64,\"total_tokens\":84}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
        }
        let number = self.next;
        let chunk = match number.checked_sub(CHUNKS) {
            None => CHUNK,
            Some(0) => USAGE,
            Some(1) => DONE,
            Some(_) => return Poll::Ready(None),
        };
        self.next += 1;
        self.wait = (number < CHUNKS && !self.gap.is_zero()).then(|| Box::pin(sleep(self.gap)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if self.next < CHUNKS {
            // Nobody may be there to hear it any more.
            let _nobody = self.left.send(Instant::now());
        }
    }
}
