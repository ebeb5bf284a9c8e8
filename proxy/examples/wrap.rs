//! The proxy as a part of somebody else's service: wrapped in a layer, in front of a mock backend in the same process.
//!
//! `cargo run -p tollgate-proxy --example wrap` prints one answer. Its test does the same.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tollgate_core::policy::file;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, router};
use tower::ServiceExt;

const POLICY: &str = r#"
    [[pool]]
    name = "only"
    [[pool.endpoint]]
    name = "alpha"
    url = "http://alpha/v1"
    [[route]]
    name = "all"
    pools = ["only"]
"#;

/// Streams to the mock, whatever the address.
struct ToMock(MockServer);

impl Connect for ToMock {
    fn connect(&self, _address: &Address) -> Connecting {
        let connected = self.0.connect().map(|wire| Connected {
            wire: Box::new(wire),
            protocol: Protocol::Http1,
        });
        Box::pin(std::future::ready(connected))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let answer = ask().await?;
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

/// One request through layer, proxy and mock.
async fn ask() -> Result<String, Box<dyn Error>> {
    let profile = ApiSpec::profile("gpt-4o-mini").ok_or("a known profile")?;
    let mock = MockServer::builder(BackendSpec::new("alpha", Kind::Api(profile))).start()?;
    let (policy, _warnings) = file::read("policy.toml", POLICY)?;
    let gateway = Gateway::builder(policy).connect(Arc::new(ToMock(mock))).build()?;

    // Any layer will do: this one signs every answer.
    let sign = |mut response: Response<Body>| {
        let name = HeaderValue::from_static("ours");
        response.headers_mut().insert("x-wrapped-by", name);
        response
    };
    let service = ServiceExt::<Request<Body>>::map_response(router(gateway), sign);

    let body = r#"{"model":"any","messages":[{"role":"user","content":"Hello"}],"max_tokens":8}"#;
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Body::from(body))?;
    let response = service.oneshot(request).await?;
    let wrapped = response.headers().contains_key("x-wrapped-by");
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    Ok(format!("{status}, wrapped: {wrapped}\n{text}\n"))
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_example_answers() {
        let answer = super::ask().await.expect("an answer");
        assert!(answer.starts_with("200 OK, wrapped: true\n"), "{answer}");
        assert!(answer.contains("\"choices\""), "{answer}");
    }
}
