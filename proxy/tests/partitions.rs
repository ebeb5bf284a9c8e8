//! Networks that lose everything: endpoints that cannot be reached, and connections whose other end has vanished.
//!
//! Gateway and backends are hosts of a simulated network, whose time is simulated as well. Whatever the network does,
//! every request ends, within the timeouts of its route, and nothing is held afterwards.
//!
//! | Law | Test |
//! |---|---|
//! | An endpoint that cannot be reached costs a request no more than the connect timeout. | `an_unreachable_endpoint_is_given_up` |
//! | What a partition takes before the first token is tried elsewhere, and nobody sees it. | `a_partition_before_the_first_token_is_invisible` |
//! | What it takes later ends the stream with an error, after the idle timeout. | `a_partition_in_a_stream_is_told` |
//! | A connection whose other end has vanished costs no more than the timeouts of the first token and of connecting. | `a_half_open_connection_is_given_up`, `an_endpoint_that_crashed_is_reached_again` |
//! | Traffic comes back with the network. | `traffic_returns_with_the_network` |

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::time::{Instant as Moment, sleep};
use tollgate_core::gate::Circuit;
use tollgate_core::policy::file;
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, router};
use tower::ServiceExt as _;

/// Two endpoints, of which the first is asked first.
const POLICY: &str = r#"
[[pool]]
name = "chat"
balance = { kind = "least-in-flight", ties = "first" }
health = { kind = "consecutive", failures = 2, open = "5s", probes = 1 }
[[pool.endpoint]]
name = "alpha"
url = "http://alpha:80/v1"
provider = "openai"

[[pool]]
name = "spare"
[[pool.endpoint]]
name = "beta"
url = "http://beta:80/v1"
provider = "openai"

[[route]]
name = "all"
pools = ["chat", "spare"]
timeouts = { connect = "1s", ttft = "2s", idle = "1s", total = "20s" }
retry = { max_attempts = 3, budget = "none", backoff = { base = "10ms", max = "20ms", jitter = "full" } }
"#;

/// Connections of the simulated network.
struct Network;

impl Connect for Network {
    fn connect(&self, address: &Address) -> Connecting {
        let address = address.clone();
        Box::pin(async move {
            let stream = turmoil::net::TcpStream::connect((address.host.as_str(), address.port)).await?;
            Ok(Connected {
                wire: Box::new(stream),
                protocol: Protocol::Http1,
            })
        })
    }
}

/// What a test asks of the world outside of its host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nothing,
    /// The first endpoint loses power.
    Crash,
    /// It starts again.
    Start,
}

/// A gateway within the network.
struct Site {
    gateway: Arc<Gateway>,
    router: Router,
    order: Rc<Cell<Order>>,
}

/// How a request has ended.
#[derive(Debug)]
struct Ended {
    status: u16,
    text: String,
    took: Duration,
}

/// A backend with 500 ms to the first token, and 100 ms from one to the next.
async fn backend(name: &'static str) -> turmoil::Result {
    let constant = |secs| Distribution::constant(secs).expect("in range");
    let spec = BackendSpec::new(name, Kind::Api(ApiSpec::new(constant(0.5), constant(0.1))));
    let server = MockServer::builder(spec).start().expect("in range");
    let listener = turmoil::net::TcpListener::bind(("0.0.0.0", 80)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let server = server.clone();
        tokio::spawn(async move { server.serve(stream).await });
    }
}

/// Runs `test` in a network of a gateway and two backends, and looks at what is held at its end.
fn simulate<F: Future<Output = ()> + 'static>(test: impl FnOnce(Rc<Site>) -> F + 'static) {
    let mut simulation = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(60))
        .tick_duration(Duration::from_millis(2))
        .max_message_latency(Duration::from_millis(4))
        .rng_seed(7)
        .build();
    simulation.host("alpha", || backend("alpha"));
    simulation.host("beta", || backend("beta"));
    let order = Rc::new(Cell::new(Order::Nothing));
    let heard = Rc::clone(&order);
    simulation.client("gateway", async move {
        let policy = file::read("policy.toml", POLICY).unwrap_or_else(|problems| panic!("{problems}"));
        let gateway = Gateway::builder(policy.0).connect(Arc::new(Network)).build();
        let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
        gateway.begin();
        let site = Rc::new(Site {
            router: router(Arc::clone(&gateway)),
            gateway,
            order,
        });
        test(Rc::clone(&site)).await;
        site.gateway.ended().await;
        assert_eq!(site.gateway.in_flight(), 0);
        assert_eq!(site.gateway.buffered(), 0);
        let held = site.gateway.snapshot();
        assert!(
            held.endpoints
                .iter()
                .all(|endpoint| endpoint.in_flight == 0 && !endpoint.awaited)
        );
        assert!(held.waiting.iter().all(|waiting| *waiting == 0));
        Ok(())
    });
    while !simulation.step().expect("no test fails") {
        match heard.replace(Order::Nothing) {
            Order::Nothing => {}
            Order::Crash => simulation.crash("alpha"),
            Order::Start => simulation.bounce("alpha"),
        }
    }
}

impl Site {
    /// A request whose answer has so many tokens.
    async fn ask(&self, stream: bool, tokens: u32) -> Ended {
        let began = Moment::now();
        let body = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hello"}}]}}"#);
        let request = Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-mock-output-tokens", tokens)
            .body(Body::from(body))
            .expect("a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router always answers");
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.ok().and_then(|frame| frame.into_data().ok());
            text.extend_from_slice(&data.unwrap_or_default());
        }
        Ended {
            status,
            text: String::from_utf8(text).expect("text"),
            took: began.elapsed(),
        }
    }

    /// Does `act` so long after a request has begun; how that ends.
    async fn ask_and(&self, stream: bool, tokens: u32, after: Duration, act: impl FnOnce()) -> Ended {
        let later = async {
            sleep(after).await;
            act();
        };
        tokio::join!(self.ask(stream, tokens), later).0
    }
}

impl Ended {
    #[track_caller]
    fn is_whole_within(&self, most: Duration) {
        assert!(self.status == 200 && self.took <= most, "{self:?}");
        assert!(
            self.text.ends_with("data: [DONE]\n\n") || self.text.ends_with('}'),
            "{self:?}"
        );
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_unreachable_endpoint_is_given_up() {
    simulate(async |site: Rc<Site>| {
        // Whoever knocks is not answered at all, or told so at once.
        turmoil::hold("gateway", "alpha");
        site.ask(true, 5).await.is_whole_within(millis(1_000 * 3 + 1_500));
        turmoil::release("gateway", "alpha");
        turmoil::partition("gateway", "alpha");
        site.ask(true, 5).await.is_whole_within(millis(1_500));
        // Neither can be.
        turmoil::partition("gateway", "beta");
        let ended = site.ask(true, 5).await;
        assert!([502, 503, 504].contains(&ended.status), "{ended:?}");
        assert!(ended.text.contains("\"param\":null"), "{ended:?}");
    });
}

#[test]
fn a_partition_before_the_first_token_is_invisible() {
    for stream in [false, true] {
        simulate(async move |site: Rc<Site>| {
            let cut = || turmoil::partition("gateway", "alpha");
            let ended = site.ask_and(stream, 5, millis(300), cut).await;
            ended.is_whole_within(millis(2_000 + 500 + 1_500));
            assert!(millis(2_000) <= ended.took, "{ended:?}");
        });
    }
}

#[test]
fn a_partition_in_a_stream_is_told() {
    simulate(async |site: Rc<Site>| {
        let cut = || turmoil::partition("gateway", "alpha");
        let ended = site.ask_and(true, 100, millis(2_000), cut).await;
        assert_eq!(ended.status, 200);
        assert!(
            ended.text.contains("\"content\":") && !ended.text.contains("[DONE]"),
            "{ended:?}"
        );
        let last = ended.text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        assert!(last.starts_with("data: {\"error\":{"), "{last}");
        assert!(millis(2_900) <= ended.took && ended.took <= millis(3_300), "{ended:?}");
    });
}

#[test]
fn a_half_open_connection_is_given_up() {
    simulate(async |site: Rc<Site>| {
        site.ask(false, 1).await.is_whole_within(millis(800));
        assert_eq!(site.gateway.connections(tollgate_core::id::EndpointId(0)), 1);
        // What is sent on it is lost, and nobody says so.
        turmoil::partition("gateway", "alpha");
        site.ask(false, 1).await.is_whole_within(millis(2_000 + 1_000 + 1_000));
        turmoil::repair("gateway", "alpha");
        site.ask(false, 1).await.is_whole_within(millis(800));
    });
}

#[test]
fn an_endpoint_that_crashed_is_reached_again() {
    simulate(async |site: Rc<Site>| {
        site.ask(false, 1).await.is_whole_within(millis(800));
        site.order.set(Order::Crash);
        sleep(millis(100)).await;
        site.ask(false, 1).await.is_whole_within(millis(2_000 + 1_000));
        site.order.set(Order::Start);
        sleep(millis(6_000)).await;
        for _ in 0..3 {
            site.ask(true, 3).await.is_whole_within(millis(2_000 + 1_500));
        }
    });
}

#[test]
fn traffic_returns_with_the_network() {
    simulate(async |site: Rc<Site>| {
        turmoil::partition("gateway", "alpha");
        for _ in 0..4 {
            site.ask(true, 3).await.is_whole_within(millis(2_000));
        }
        let circuit = |site: &Site| site.gateway.snapshot().endpoints[0].circuit;
        assert!(matches!(circuit(&site), Circuit::Open { .. }), "{:?}", circuit(&site));
        turmoil::repair("gateway", "alpha");
        sleep(millis(5_500)).await;
        for _ in 0..3 {
            site.ask(true, 3).await.is_whole_within(millis(1_500));
        }
        assert!(matches!(circuit(&site), Circuit::Closed), "{:?}", circuit(&site));
        assert_eq!(site.gateway.connections(tollgate_core::id::EndpointId(0)), 1);
    });
}
