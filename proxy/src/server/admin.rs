//! The admin address: health, metrics, status, and a page for people.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::connection::{self, builder};
use super::pulse::{Pulse, Served};
use super::status::Status;
use super::{Phase, page};
use crate::auth::digest;
use crate::gateway::Gateway;
use crate::observe::Observer;

/// Most connections at once; further ones wait.
const MOST_CONNECTIONS: usize = 64;

/// Serves whoever keeps watch, to the very end.
pub(super) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, phase: watch::Receiver<Phase>) {
    /// After a connection could not be accepted.
    const PAUSE: Duration = Duration::from_millis(100);
    let router = router(Arc::clone(&gateway));
    let builder = Arc::new(builder(&gateway.settings().limits));
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let served = Served {
            router: router.clone(),
            gateway: Arc::clone(&gateway),
            pulse: Arc::new(Pulse::default()),
            peer,
        };
        let (builder, phase) = (Arc::clone(&builder), phase.clone());
        drop(tokio::spawn(async move {
            let _place = place;
            connection::serve(stream, served, builder, phase).await;
        }));
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    let open = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz));
    let guarded = Router::new()
        .route("/", get(people))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                "there are /, /status, /metrics, /healthz and /readyz\n",
            )
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard));
    open.merge(guarded).with_state(gateway)
}

/// Lets nobody pass who does not show the token, if there is one.
async fn guard(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let Some(token) = &gateway.settings().admin_token else {
        return next.run(request).await;
    };
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let shown = shown.and_then(|shown| shown.strip_prefix(b"Bearer "));
    // Hashes are compared, so that the time it takes tells nothing of the token.
    if shown.is_some_and(|shown| digest(shown) == digest(token.0.as_bytes())) {
        return next.run(request).await;
    }
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        "show the token: `Authorization: Bearer TOKEN`\n",
    )
        .into_response()
}

async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        "ok\n".into_response()
    }
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let now = gateway.clock().now();
    let snapshot = gateway.snapshot();
    let text = gateway
        .observer()
        .metrics(gateway.policy(), &snapshot, now, gateway.is_draining());
    ([(CONTENT_TYPE, HeaderValue::from_static(Observer::METRICS_TYPE))], text).into_response()
}

async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    let json = serde_json::to_vec_pretty(&Status::of(&gateway)).expect("texts and finite numbers");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, json).into_response()
}

async fn people(State(gateway): State<Arc<Gateway>>) -> Response {
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        ),
    ];
    (headers, Html(page::page(&Status::of(&gateway)))).into_response()
}
