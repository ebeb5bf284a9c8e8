//! The smallest client: one connection a request, and everything that comes with when it came.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tollgate_core::time::Instant;
use tollgate_mock_llm::clock::{Clock as _, ManualClock, sleep_until};
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::{Builder, MockServer};

use crate::world::{constant, seconds};

/// A server and the clock that it lives by.
pub(crate) struct Lab {
    pub(crate) server: MockServer,
    pub(crate) clock: ManualClock,
}

/// What came, and when.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) opened: Instant,
    /// The pieces of the body.
    pub(crate) pieces: Vec<(Instant, Bytes)>,
    /// Whether the body came to its end, and when it ended either way.
    pub(crate) is_whole: bool,
    pub(crate) ended: Instant,
}

/// Half a second to the first token, 100 tokens a second.
pub(crate) fn plain() -> ApiSpec {
    ApiSpec::new(constant(0.5), constant(0.01))
}

pub(crate) fn spec() -> BackendSpec {
    BackendSpec::new("alpha", Kind::Api(plain()))
}

/// Runs `test` against a server of `spec`, changed by `build`.
pub(crate) fn with<T>(
    spec: BackendSpec,
    build: impl FnOnce(Builder) -> Builder,
    test: impl AsyncFnOnce(Lab) -> T,
) -> T {
    let clock = ManualClock::new();
    clock.clone().runtime().expect("a runtime").block_on(async move {
        let builder = MockServer::builder(spec).clock(Arc::new(clock.clone()));
        let server = build(builder).start().expect("in range");
        test(Lab { server, clock }).await
    })
}

/// The same with nothing changed.
pub(crate) fn with_plain<T>(test: impl AsyncFnOnce(Lab) -> T) -> T {
    with(spec(), |builder| builder, test)
}

/// A streamed chat of `tokens` tokens.
pub(crate) fn chat(tokens: u32) -> Request<Full<Bytes>> {
    ask(
        "/v1/chat/completions",
        &format!(
            r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{}"}}]}}"#,
            "x".repeat(40)
        ),
        tokens,
    )
}

/// A chat of `tokens` tokens that comes whole.
pub(crate) fn whole(tokens: u32) -> Request<Full<Bytes>> {
    ask(
        "/v1/chat/completions",
        r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#,
        tokens,
    )
}

pub(crate) fn ask(path: &str, body: &str, tokens: u32) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("x-mock-output-tokens", tokens)
        .body(Full::from(body.to_owned()))
        .expect("a request")
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

impl Lab {
    /// Sends a request and waits for the head of its answer; none if the connection ends instead.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Option<http::Response<Incoming>> {
        let stream = self.server.connect().ok()?;
        open_over(stream, request).await
    }

    /// Sends a request and waits for all of its answer; none if the connection ends without a head.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Option<Heard> {
        let response = self.open(request).await?;
        let opened = self.clock.now();
        let (parts, mut body) = response.into_parts();
        let mut pieces = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                is_whole = false;
                break;
            };
            pieces.extend(frame.into_data().ok().map(|data| (self.clock.now(), data)));
        }
        Some(Heard {
            status: parts.status.as_u16(),
            headers: parts.headers,
            opened,
            pieces,
            is_whole,
            ended: self.clock.now(),
        })
    }
}

/// The same over any connection.
pub(crate) async fn open_over<S>(stream: S, request: Request<Full<Bytes>>) -> Option<http::Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    sender.send_request(request).await.ok()
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.pieces.iter().flat_map(|(_, piece)| piece.to_vec()).collect();
        String::from_utf8(bytes).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).expect("JSON")
    }

    /// The events of a stream, each with when all of it had come; the mark of the end as a string.
    pub(crate) fn events(&self) -> Vec<(Instant, Value)> {
        let mut events = Vec::new();
        let mut text = String::new();
        for (at, piece) in &self.pieces {
            text.push_str(std::str::from_utf8(piece).expect("text"));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.strip_prefix("data: ").expect("an event is data");
                let event = match data {
                    "[DONE]" => Value::from(data),
                    data => serde_json::from_str(data).expect("an event is JSON"),
                };
                events.push((*at, event));
                text = rest.to_owned();
            }
        }
        events
    }

    /// When each token of a stream came.
    pub(crate) fn tokens(&self) -> Vec<Instant> {
        let events = self.events().into_iter();
        let is_token = |event: &Value| {
            let content = &event["choices"][0]["delta"]["content"];
            content.as_str().is_some_and(|content| !content.is_empty())
        };
        events.filter(|(_, event)| is_token(event)).map(|(at, _)| at).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

impl Lab {
    pub(crate) fn clock_now(&self) -> Instant {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) async fn until(&self, secs: f64) {
        sleep_until(&self.clock, seconds(secs)).await;
    }

    /// Orders a fault as an administrator does; the answer.
    pub(crate) async fn order(&self, fault: &str) -> Heard {
        let request = Request::post("/mock/faults")
            .body(Full::from(fault.to_owned()))
            .expect("a request");
        self.send(request).await.expect("an answer")
    }
}

impl Lab {
    pub(crate) async fn until_instant(&self, at: Instant) {
        sleep_until(&self.clock, at).await;
    }
}
