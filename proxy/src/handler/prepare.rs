//! From bytes to a request that core can decide about.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use tollgate_core::lifecycle;
use tollgate_core::policy::{Facts, Header};

use super::guest::Guest;
use crate::address::{self, counted};
use crate::answer::Unserved;
use crate::auth::key_name;
use crate::exchange::{Driven, Exchange, Order};
use crate::intake::{self, Unread};
use crate::request::{Flaw, Invalid, Reading};
use crate::thread;

/// Reads a request; or turns it away, with an answer.
pub(super) async fn prepare(mut guest: Guest, request: Request<Body>) -> Result<Driven, Box<Response<Body>>> {
    let (parts, body) = request.into_parts();
    let key = match guest.identify(&parts.headers) {
        Ok(key) => key,
        Err(refusal) => return Err(Box::new(guest.refuse(refusal, ""))),
    };
    if !is_plain_json(&parts.headers) {
        return Err(Box::new(guest.unserved(Unserved::MediaType)));
    }
    let gateway = std::sync::Arc::clone(&guest.gateway);
    let limits = &gateway.settings.limits;
    let read = intake::read(
        body,
        limits.max_body,
        limits.body_timeout,
        &gateway.room,
        &*gateway.clock,
    );
    let (body, share) = match read.await {
        Ok(read) => read,
        Err(unread) => return Err(Box::new(turn_away(guest, unread))),
    };
    gateway.observer.received(body.len() as u64);
    let operation = guest.operation.expect("only requests for an operation are prepared");
    let mut reading = match Reading::of(operation, &body, &gateway.estimator) {
        Ok(reading) => reading,
        Err(invalid) => return Err(Box::new(guest.invalid(&invalid))),
    };
    let policy = gateway.policy();
    let tenant = guest.tenant.expect("it was identified");
    let who = &policy.tenants[tenant.index()];
    let client = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let trusted = &gateway.settings.trusted_proxies;
    let client = client.map(|info| address::client(trusted, info.0.ip(), &parts.headers));
    let headers = named(&gateway.named, &parts);
    let mut class = policy.classify(
        gateway.seed(),
        &Facts {
            path: parts.uri.path(),
            model: &reading.model,
            tenant: &who.name,
            role: &who.role,
            region: &who.region,
            key: &key.as_ref().map(key_name).unwrap_or_default(),
            client_ip: &client.map(counted).unwrap_or_default(),
            headers: &headers,
        },
    );
    class.charges.lane = thread::lane();
    if let Some(route) = class.route {
        reading.adjust(&policy.route(route).request);
    }
    let request = lifecycle::Request {
        class,
        estimate: reading.estimate(),
        needs: reading.needs(),
        stream: reading.stream,
        priority: who.priority,
        tenant,
    };
    let order = Order {
        reading,
        headers: parts.headers,
        id: guest.id.clone(),
        tenant,
        share: Some(share),
    };
    let driven = Exchange::open(&gateway, request, gateway.roll(), order);
    guest.let_in();
    Ok(driven)
}

fn turn_away(guest: Guest, unread: Unread) -> Response<Body> {
    let limits = &guest.gateway.settings.limits;
    let unserved = match unread {
        Unread::TooLarge => Unserved::BodyTooLarge { most: limits.max_body },
        Unread::Crowded => Unserved::BuffersFull,
        Unread::TooSlow => Unserved::BodyTimeout {
            after: limits.body_timeout,
        },
        Unread::Broken => {
            return guest.invalid(&Invalid {
                flaw: Flaw::Syntax,
                param: None,
                message: "the body broke off".to_owned(),
            });
        }
    };
    guest.unserved(unserved)
}

/// The headers that the policy asks about, as far as they are there.
fn named<'a>(names: &'a [String], parts: &'a Parts) -> Vec<Header<'a>> {
    let of = |name: &'a String| {
        let value = parts.headers.get(name.as_str())?.to_str().ok()?;
        Some(Header { name, value })
    };
    names.iter().filter_map(of).collect()
}

/// Whether the body is said to be JSON, or not said to be anything.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let is_json = |kind: &HeaderValue| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        let kind = kind.trim_ascii();
        kind.eq_ignore_ascii_case(b"application/json") || kind.to_ascii_lowercase().ends_with(b"+json")
    };
    let is_identity = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    headers.get_all(CONTENT_TYPE).iter().all(is_json) && headers.get_all(CONTENT_ENCODING).iter().all(is_identity)
}
