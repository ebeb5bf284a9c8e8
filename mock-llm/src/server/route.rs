//! Which path leads where, and what costs a backend nothing: models, health, faults and figures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body as Incoming;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::json;

use super::MockServer;
use super::ask::Operation;
use super::fault::Fault;
use super::handler::ask;
use super::refusal::Refusal;
use super::shape::{Model, json as to_json};
use super::stream::Body;
use crate::clock::sleep_until;
use crate::model::{Backend as _, Probe};

/// Largest body that is read; of a larger one, so much more is thrown away, so that its sender hears why.
const MOST_BODY: usize = 16 << 20;
const MOST_DISCARDED: usize = 256 << 20;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

impl MockServer {
    /// The paths of this server. Refusals and resets need a connection that the server holds itself: see
    /// [`listen`](MockServer::listen), [`serve`](MockServer::serve) and [`connect`](MockServer::connect). Here they are
    /// status 503.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/completions", post(completion))
            .route("/v1/embeddings", post(embedding))
            .route("/v1/models", get(models))
            .route("/v1/models/{*id}", get(model))
            .route("/health", get(health))
            .route("/mock/faults", get(faults).post(inject).delete(clear))
            .route("/mock/stats", get(stats))
            .fallback(nothing)
            .method_not_allowed_fallback(not_so)
            .with_state(self.clone())
    }
}

async fn chat(State(server): State<MockServer>, request: Request) -> Response {
    ask(server, Operation::Chat, request).await
}

async fn completion(State(server): State<MockServer>, request: Request) -> Response {
    ask(server, Operation::Completion, request).await
}

async fn embedding(State(server): State<MockServer>, request: Request) -> Response {
    ask(server, Operation::Embedding, request).await
}

async fn models(State(server): State<MockServer>, headers: HeaderMap) -> Response {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Model<'a>>,
    }
    let listed = server.authorize(&headers).map(|()| {
        let name = server.name();
        let own = [name.to_owned()];
        let models = if server.shared.models.is_empty() {
            &own
        } else {
            server.shared.models.as_slice()
        };
        to_json(&List {
            object: "list",
            data: models.iter().map(|id| Model::new(id, name)).collect(),
        })
    });
    server.reply("GET /v1/models", listed)
}

async fn model(State(server): State<MockServer>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let found = server
        .authorize(&headers)
        .and_then(|()| server.find_model(&id))
        .map(|()| to_json(&Model::new(&id, server.name())));
    server.reply("GET /v1/models/{id}", found)
}

/// What a health check meets is the backend's to say, as in the simulator.
async fn health(State(server): State<MockServer>) -> Response {
    let driver = &server.shared.driver;
    let (asked, met) = driver.with(|state, now| (now, state.backend.probe(now)));
    let told = match met {
        Probe::Silence => std::future::pending().await,
        Probe::Refused => Err(Refusal::new(503, "nobody is there")),
        Probe::Answer { after, status } => {
            sleep_until(&*driver.clock, asked + after).await;
            if status < 400 {
                Ok(Bytes::from_static(b"{\"status\":\"ok\"}"))
            } else {
                Err(Refusal::new(status, "it is not well"))
            }
        }
    };
    server.reply("GET /health", told)
}

async fn faults(State(server): State<MockServer>) -> Response {
    let faults = server.ordered();
    let list: Vec<_> = faults.iter().map(Fault::json).collect();
    let list = json!({ "faults": list });
    server.reply("GET /mock/faults", Ok(to_json(&list)))
}

async fn inject(State(server): State<MockServer>, request: Request) -> Response {
    let read = async {
        let body = read_body(request.into_body()).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("the body is not text", None))?;
        let fault = Fault::read(text).map_err(|error| Refusal::invalid(error, None))?;
        let ordered = server.inject(fault);
        ordered.map_err(|error| Refusal::invalid(error.to_string(), Some(error.field)))?;
        let fault = fault.not_before(server.shared.driver.clock.now());
        Ok(to_json(&fault.json()))
    };
    server.reply("POST /mock/faults", read.await)
}

async fn clear(State(server): State<MockServer>) -> Response {
    server.clear();
    server.reply("DELETE /mock/faults", Ok(Bytes::from_static(b"{\"faults\":[]}")))
}

async fn stats(State(server): State<MockServer>) -> Response {
    let stats = server.stats();
    server.reply("GET /mock/stats", Ok(to_json(&stats)))
}

async fn nothing(State(server): State<MockServer>, request: Request) -> Response {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    server.reply("other", Err(Refusal::new(404, message)))
}

async fn not_so(State(server): State<MockServer>, method: Method, request: Request) -> Response {
    let message = format!("Not allowed to {method} on {}", request.uri().path());
    server.reply("other", Err(Refusal::new(405, message)))
}

impl MockServer {
    pub(super) fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = &self.shared.api_key else {
            return Ok(());
        };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let own = headers.get("x-api-key").and_then(|value| value.to_str().ok());
        match bearer.or(own) {
            Some(shown) if shown == key => Ok(()),
            Some(_) => Err(Refusal::new(401, "Incorrect API key provided.")),
            None => Err(Refusal::new(
                401,
                "You didn't provide an API key. You need to provide it in an Authorization header: `Bearer YOUR_KEY`.",
            )),
        }
    }

    pub(super) fn find_model(&self, model: &str) -> Result<(), Refusal> {
        let models = &self.shared.models;
        if models.is_empty() || models.iter().any(|known| known == model) {
            Ok(())
        } else {
            Err(Refusal::unknown_model(model))
        }
    }

    /// An answer to whatever costs the backend nothing.
    pub(super) fn reply(&self, path: &'static str, body: Result<Bytes, Refusal>) -> Response {
        let response = match body {
            Ok(body) => json_response(body),
            Err(refusal) => whole(refusal.response()),
        };
        let status = response.status().as_u16().to_string();
        let driver = &self.shared.driver;
        driver.with(|state, _| state.record.answered(path, status));
        sign(response, &self.other_id())
    }

    pub(super) fn other_id(&self) -> String {
        let number = self.shared.other.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.shared.dice.branch(0).request(number).to_bits())
    }
}

/// Every answer has an id, by which people ask about it.
pub(super) fn sign(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    let id = HeaderValue::try_from(format!("req_{id}")).expect("letters and digits");
    headers.insert(REQUEST_ID, id);
    headers.insert(OPENAI_VERSION, HeaderValue::from_static("2020-10-01"));
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENAI_VERSION: HeaderName = HeaderName::from_static("openai-version");

pub(super) async fn read_body(mut body: Incoming) -> Result<Vec<u8>, Refusal> {
    let read = async {
        let mut bytes = Vec::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::invalid("the body breaks off", None))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            length += data.len();
            if length <= MOST_BODY {
                bytes.extend_from_slice(&data);
            } else if MOST_DISCARDED < length {
                break;
            } else {
                bytes = Vec::new();
            }
        }
        if MOST_BODY < length {
            let message = format!("the body is larger than {MOST_BODY} bytes");
            return Err(Refusal::new(413, message));
        }
        Ok(bytes)
    };
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::new(408, "the body of the request took too long")),
    }
}

pub(super) fn json_response(body: Bytes) -> Response {
    let mut response = Response::new(Incoming::new(Body::Whole(Some(body))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn whole(response: http::Response<Bytes>) -> Response {
    response.map(|body| Incoming::new(Body::Whole(Some(body))))
}
