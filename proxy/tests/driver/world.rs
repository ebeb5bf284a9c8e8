//! A gateway, its backends and a clock that stands still while anything can happen.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tollgate_core::lifecycle::Outcome;
use tollgate_core::policy;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock, ManualClock, sleep_until};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, FaultKind, FaultSpec, Kind};
use tollgate_mock_llm::server::{Fault, MockServer, WireFault, WireKind};
use tollgate_proxy::settings::Settings;
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, Watch, router};
use tower::ServiceExt as _;

/// A gateway and its backends.
pub(crate) struct World {
    pub(crate) time: Arc<dyn Clock>,
    pub(crate) gateway: Arc<Gateway>,
    router: Router,
    servers: BTreeMap<String, MockServer>,
    ends: Arc<Ends>,
}

/// How requests ended, in that order.
#[derive(Default)]
struct Ends(Mutex<Vec<Outcome>>);

impl Watch for Ends {
    fn finished(&self, _id: &str, outcome: &Outcome) {
        self.0.lock().expect("no panic").push(*outcome);
    }
}

/// Streams within the process to the server that has the host's name. Nobody ever answers at `nowhere`.
/// HTTP/2 is spoken to hosts whose names end in `-h2`.
struct InProcess(BTreeMap<String, MockServer>);

impl Connect for InProcess {
    fn connect(&self, address: &Address) -> Connecting {
        if address.host == "nowhere" {
            return Box::pin(std::future::pending());
        }
        if address.host == "late" {
            return Box::pin(async { Ok(late()) });
        }
        let (name, protocol) = match address.host.strip_suffix("-h2") {
            Some(name) => (name, Protocol::Http2),
            None => (address.host.as_str(), Protocol::Http1),
        };
        let server = self.0.get(name).cloned();
        Box::pin(async move {
            let server = server.ok_or(io::ErrorKind::NotFound)?;
            Ok(Connected {
                wire: Box::new(server.connect()?),
                protocol,
            })
        })
    }
}

/// A server of HTTP/2 that sends every byte of its answer, and never the mark of its end.
fn late() -> Connected {
    const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":11}}"#;
    let (wire, other) = tokio::io::duplex(1 << 16);
    let answer = service_fn(|_request| async {
        let bytes = Unending(Some(Bytes::from_static(ANSWER.as_bytes())));
        let response = Response::builder().header("content-type", "application/json");
        let response = response.header("content-length", ANSWER.len());
        Ok::<_, Infallible>(response.body(bytes).expect("a response"))
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // It ends with its connection.
    drop(tokio::spawn(server.serve_connection(TokioIo::new(other), answer)));
    Connected {
        wire: Box::new(wire),
        protocol: Protocol::Http2,
    }
}

/// A body of these bytes that does not end.
struct Unending(Option<Bytes>);

impl http_body::Body for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

/// Runs `test` in a world of these backends; afterwards nothing may be held any more.
pub(crate) fn world(policy: &str, backends: Vec<BackendSpec>, test: impl AsyncFnOnce(&World)) {
    world_with(Settings::default(), policy, backends, test);
}

/// The same with other settings.
pub(crate) fn world_with(settings: Settings, policy: &str, backends: Vec<BackendSpec>, test: impl AsyncFnOnce(&World)) {
    let clock = ManualClock::new();
    let runtime = clock.runtime().expect("a runtime");
    let policy = policy::file::read("policy.toml", policy);
    let (policy, _) = policy.unwrap_or_else(|problems| panic!("{problems}"));
    runtime.block_on(async {
        let time: Arc<dyn Clock> = Arc::new(clock);
        let serve = |spec: BackendSpec| {
            let server = MockServer::builder(spec).clock(Arc::clone(&time)).start();
            let server = server.expect("checked numbers");
            (server.name().to_owned(), server)
        };
        let servers: BTreeMap<_, _> = backends.into_iter().map(serve).collect();
        let ends = Arc::new(Ends::default());
        let gateway = Gateway::builder(policy)
            .settings(Settings {
                mock_dice: true,
                seed: Some(7),
                ..settings
            })
            .clock(Arc::clone(&time))
            .connect(Arc::new(InProcess(servers.clone())))
            .watch(Arc::clone(&ends) as Arc<dyn Watch>)
            .build()
            .expect("everything is there");
        gateway.begin();
        let world = World {
            router: router(Arc::clone(&gateway)),
            time,
            gateway,
            servers,
            ends,
        };
        test(&world).await;
        world.settles().await;
    });
}

impl World {
    /// Waits until `at`, from the beginning.
    pub(crate) async fn until(&self, at: Nanos) {
        sleep_until(&*self.time, Instant::EPOCH + at).await;
    }

    pub(crate) fn now(&self) -> Nanos {
        self.time.now().since(Instant::EPOCH)
    }

    pub(crate) fn server(&self, name: &str) -> &MockServer {
        &self.servers[name]
    }

    /// Lets a connection of `name` go wrong from now on.
    pub(crate) fn break_wire(&self, name: &str, kind: WireKind) {
        let fault = WireFault {
            kind,
            share: 1.0,
            at: Instant::EPOCH,
            lasts: Nanos::FOREVER,
        };
        self.servers[name]
            .inject(Fault::Wire(fault))
            .expect("a fault that can be");
    }

    /// How requests have ended so far.
    pub(crate) fn ends(&self) -> Vec<Outcome> {
        self.ends.0.lock().expect("no panic").clone()
    }

    /// The only request that has ended.
    pub(crate) fn end(&self) -> Outcome {
        let ends = self.ends();
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends[0]
    }

    /// Sends a request, up to the head of its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.router.clone().oneshot(request).await;
        answer.expect("a router always answers")
    }

    /// Sends a request, and reads its answer to the end.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (head, mut body) = self.send(request).await.into_parts();
        let mut bytes = Vec::new();
        let mut whole = true;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                whole = false;
                break;
            };
            bytes.extend(frame.into_data().unwrap_or_default());
        }
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(bytes).expect("text"),
            whole,
        }
    }

    /// Lets everything run that can, and looks that nothing is held.
    async fn settles(&self) {
        self.gateway.ended().await;
        let now = self.now() + Nanos::from_secs(1);
        self.until(now).await;
        let snapshot = self.gateway.snapshot();
        assert_eq!(self.gateway.in_flight(), 0, "requests in flight");
        assert_eq!(self.gateway.buffered(), 0, "bytes of bodies");
        for endpoint in &snapshot.endpoints {
            assert_eq!((endpoint.in_flight, endpoint.awaited), (0, false), "permits");
        }
        assert!(snapshot.waiting.iter().all(|waiting| *waiting == 0), "waiters");
        assert!(snapshot.reserved.iter().all(|reserved| *reserved == 0), "reservations");
    }
}

/// A request for `tokens` tokens.
pub(crate) fn chat(stream: bool, tokens: u32) -> Request<Body> {
    let body = format!(r#"{{"model":"any","messages":[{{"role":"user","content":"Hello"}}],"stream":{stream}}}"#);
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("x-mock-output-tokens", tokens)
        .header("x-mock-prompt-tokens", 5)
        .body(Body::from(body))
        .expect("a request")
}

/// A backend whose first token comes after `ttft`, and each further one `tpot` later.
pub(crate) fn api(name: &str, ttft: Nanos, tpot: Nanos) -> BackendSpec {
    let constant = |length: Nanos| Distribution::constant(length.as_secs_f64()).expect("a length");
    BackendSpec::new(name, Kind::Api(ApiSpec::new(constant(ttft), constant(tpot))))
}

/// The same, and this is wrong with it from the beginning on.
pub(crate) fn broken(mut backend: BackendSpec, kind: FaultKind, lasts: Nanos) -> BackendSpec {
    let at = Instant::EPOCH;
    backend.faults.push(FaultSpec { kind, at, lasts });
    backend
}

pub(crate) const fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

/// The instant so long after the beginning.
pub(crate) fn at(millis: u64) -> Instant {
    Instant::EPOCH + ms(millis)
}
