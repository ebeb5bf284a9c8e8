//! From an HTTP request to an answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode};

use crate::gateway::Gateway;

/// Serves every path that clients of an OpenAI-style API expect.
///
/// The service may be wrapped in any layer and served by anything that serves [`axum::Router`]s; the address of a client
/// is taken from [`axum::extract::ConnectInfo`] where the request has one.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new().fallback(answer).with_state(gateway)
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request<axum::body::Body>) -> Response {
    match request.uri().path() {
        "/readyz" if gateway.is_draining() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "/healthz" | "/readyz" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
