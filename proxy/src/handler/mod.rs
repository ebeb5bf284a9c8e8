//! From an HTTP request to an answer: what paths there are, and what is done at each.

mod guest;
mod models;
mod prepare;

use std::future::poll_fn;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use tollgate_core::policy::Operation;

use self::guest::Guest;
use crate::answer::{self, Unserved};
use crate::driver::Verdict;
use crate::exchange::Driven;
use crate::gateway::Gateway;
use crate::relay::Relay;

/// Serves every path that clients of an OpenAI-style API expect.
///
/// The service may be wrapped in any layer and served by anything that serves [`axum::Router`]s; the address of a client
/// is taken from [`axum::extract::ConnectInfo`] where the request has one.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new().fallback(answer).with_state(gateway)
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    gateway.begin();
    let path = request.uri().path();
    let operation = match path {
        "/readyz" if gateway.is_draining() => return state(StatusCode::SERVICE_UNAVAILABLE),
        "/healthz" | "/readyz" => return state(StatusCode::OK),
        "/v1/chat/completions" => Some(Operation::Chat),
        "/v1/completions" => Some(Operation::Completions),
        "/v1/embeddings" => Some(Operation::Embeddings),
        _ => None,
    };
    let guest = Guest::new(&gateway, request.headers(), operation);
    match (operation, models::asked(path)) {
        (Some(_), _) if request.method() == Method::POST => serve(guest, request).await,
        (Some(_), _) => guest.unserved(Unserved::Method { allow: "POST" }),
        (None, Some(asked)) if request.method() == Method::GET => models::answer(guest, request.headers(), asked),
        (None, Some(_)) => guest.unserved(Unserved::Method { allow: "GET" }),
        (None, None) => guest.unserved(Unserved::Path),
    }
}

/// Answers a request for an operation.
async fn serve(guest: Guest, request: Request<Body>) -> Response<Body> {
    let mut driven = match prepare::prepare(guest, request).await {
        Ok(driven) => driven,
        Err(answer) => return *answer,
    };
    driven.start();
    match poll_fn(|cx| driven.poll_verdict(cx)).await {
        Verdict::Relay => relay(driven),
        Verdict::Refuse(refusal) => {
            let answer = driven.refusal(refusal);
            driven.gateway.observer.sent(answer.body().len() as u64);
            answer.map(Body::from)
        }
    }
}

/// The answer of an attempt that has won.
fn relay(mut driven: Driven) -> Response<Body> {
    let mut head = driven.take_head().expect("an attempt that wins has answered");
    let gateway = &driven.gateway;
    let policy = gateway.policy();
    let route = driven
        .life
        .request()
        .class
        .route
        .expect("a request without a route launches nothing");
    let stage = &policy.route(route).headers.response;
    answer::relay(&gateway.gate, gateway.clock.now(), stage, &driven.about(), &mut head);
    let is_events = |kind: &http::HeaderValue| kind.as_bytes().starts_with(b"text/event-stream");
    let stream = head.headers.get(CONTENT_TYPE).is_some_and(is_events);
    Response::from_parts(*head, Body::new(Relay::new(driven, stream)))
}

fn state(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(if status.is_success() { "ok\n" } else { "draining\n" }));
    *response.status_mut() = status;
    response
}
