//! An endpoint with two keys: they take turns, and one that is refused is left alone until its Retry-After has passed.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tollgate_core::policy::file;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock, ManualClock, sleep_until};
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, router};
use tower::ServiceExt as _;

const POLICY: &str = r#"
[[pool]]
name = "only"
[[pool.endpoint]]
name = "alpha"
url = "http://alpha/v1"
api_key_env = ["ONE", "TWO"]

[[route]]
name = "all"
pools = ["only"]
retry = { max_attempts = 2, backoff = { base = "0s" } }
"#;

const OK: StatusCode = StatusCode::OK;

/// A provider in this process that takes down which key was shown, and refuses some.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    shown: Vec<String>,
    /// The keys that are refused, and what with.
    refused: Vec<(&'static str, StatusCode)>,
}

impl Provider {
    /// Which keys were shown since it was asked last.
    fn shown(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic").shown)
    }

    fn refuse(&self, refused: &[(&'static str, StatusCode)]) {
        self.0.lock().expect("no panic").refused = refused.to_vec();
    }

    fn answer(&self, key: &str) -> Response<Full<Bytes>> {
        const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":11}}"#;
        let mut book = self.0.lock().expect("no panic");
        let key = key.strip_prefix("Bearer key-").expect("a key of ours");
        book.shown.push(key.to_owned());
        let refused = book.refused.iter().find(|(refused, _)| *refused == key);
        let response = Response::builder().header(CONTENT_TYPE, "application/json");
        let response = match refused {
            Some((_, status)) => response.status(*status).header(RETRY_AFTER, 20),
            None => response,
        };
        response.body(Full::from(ANSWER)).expect("a response")
    }
}

impl Connect for Provider {
    fn connect(&self, _: &Address) -> Connecting {
        let provider = self.clone();
        let (wire, other) = tokio::io::duplex(1 << 16);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let key = request.headers()[AUTHORIZATION].to_str().expect("plain").to_owned();
            let answer = provider.answer(&key);
            async move { Ok::<_, Infallible>(answer) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        // It ends with its connection.
        drop(tokio::spawn(server.serve_connection(TokioIo::new(other), service)));
        Box::pin(async {
            Ok(Connected {
                wire: Box::new(wire),
                protocol: Protocol::Http1,
            })
        })
    }
}

/// Asks so often, one after the other; what was answered.
async fn ask<const N: usize>(gateway: &Arc<Gateway>) -> [StatusCode; N] {
    let mut statuses = [StatusCode::OK; N];
    for status in &mut statuses {
        let request = Request::post("/v1/chat/completions")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(
                r#"{"model":"any","messages":[{"role":"user","content":"Hello"}]}"#,
            ))
            .expect("a request");
        let answer = router(Arc::clone(gateway)).oneshot(request).await;
        let (head, body) = answer.expect("a router always answers").into_parts();
        *status = head.status;
        axum::body::to_bytes(body, 1 << 20).await.expect("a whole answer");
    }
    statuses
}

#[test]
fn a_key_that_is_refused_leaves_all_to_the_other() {
    let clock = ManualClock::new();
    let runtime = clock.runtime().expect("a runtime");
    let (policy, _) = file::read("policy.toml", POLICY).expect("a good policy");
    runtime.block_on(async {
        let (time, provider): (Arc<dyn Clock>, _) = (Arc::new(clock), Provider::default());
        let gateway = Gateway::builder(policy)
            .clock(Arc::clone(&time))
            .connect(Arc::new(provider.clone()))
            .look_up(|variable| Some(format!("key-{variable}")))
            .build()
            .expect("everything is there");
        gateway.begin();
        let later = async |length: u64| sleep_until(&*time, time.now() + Nanos::from_secs(length)).await;
        later(1).await;

        assert_eq!(ask(&gateway).await, [OK; 4]);
        assert_eq!(provider.shown(), ["ONE", "TWO", "ONE", "TWO"]);

        // The request that meets the refusal is tried again with the other key, and nobody else meets it.
        provider.refuse(&[("ONE", StatusCode::TOO_MANY_REQUESTS)]);
        assert_eq!(ask(&gateway).await, [OK; 4]);
        assert_eq!(provider.shown(), ["ONE", "TWO", "TWO", "TWO", "TWO"]);

        provider.refuse(&[]);
        later(19).await;
        assert_eq!(ask(&gateway).await, [OK; 2]);
        assert_eq!(provider.shown(), ["TWO", "TWO"]);
        later(1).await;
        assert_eq!(ask(&gateway).await, [OK; 4]);
        assert_eq!(provider.shown(), ["ONE", "TWO", "ONE", "TWO"]);

        // When both are refused the endpoint is out of reach, and is not asked.
        let refused = StatusCode::TOO_MANY_REQUESTS;
        provider.refuse(&[("ONE", refused), ("TWO", refused)]);
        let [first, second] = ask(&gateway).await;
        assert!(first != OK && second != OK, "{first} {second}");
        assert_eq!(provider.shown(), ["ONE", "TWO"]);
        let until = gateway.snapshot().endpoints[0].cooling_until;
        let left = until.since(Instant::EPOCH).as_secs_f64() - time.now().since(Instant::EPOCH).as_secs_f64();
        assert!((left - 20.0).abs() < 0.1, "{left} s");

        // A key that is not accepted is left alone, too.
        provider.refuse(&[("ONE", StatusCode::UNAUTHORIZED)]);
        later(20).await;
        let [first, second, third] = ask(&gateway).await;
        assert_eq!((first == OK, second, third), (false, OK, OK));
        assert_eq!(provider.shown(), ["ONE", "TWO", "TWO"]);
        gateway.ended().await;
    });
}
