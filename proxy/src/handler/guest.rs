//! A request before it has a lifecycle: it is counted as soon as it is there, and however it is turned away.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tollgate_core::id::TenantId;
use tollgate_core::lifecycle::Refusal;
use tollgate_core::policy::{Charges, KeyDigest, Needs, Operation};
use tollgate_core::time::Instant;
use tollgate_core::usage::Estimate;

use crate::answer::{self, About, Unserved};
use crate::auth;
use crate::gateway::Gateway;
use crate::observe::Entry;
use crate::request::{Invalid, request_id};

/// A request that nobody has read yet. Dropped, its client has gone.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) gateway: Arc<Gateway>,
    /// What it is called.
    pub(super) id: HeaderValue,
    pub(super) operation: Option<Operation>,
    pub(super) tenant: Option<TenantId>,
    arrived: Instant,
    /// The status that it was answered; none once it has a lifecycle, which is counted then.
    status: Option<u16>,
}

impl Guest {
    pub(super) fn new(gateway: &Arc<Gateway>, headers: &HeaderMap, operation: Option<Operation>) -> Guest {
        gateway.observer.arrived();
        Guest {
            id: request_id(headers, gateway.name()),
            gateway: Arc::clone(gateway),
            operation,
            tenant: None,
            arrived: gateway.clock.now(),
            status: Some(GONE),
        }
    }

    /// Finds out who sends it, and what the hash of their key is.
    pub(super) fn identify(&mut self, headers: &HeaderMap) -> Result<Option<KeyDigest>, Refusal> {
        let shown = auth::shown(headers);
        self.tenant = Some(self.gateway.policy().identify(shown.as_ref())?);
        Ok(shown)
    }

    /// It has a lifecycle from now on.
    pub(super) fn let_in(mut self) {
        self.status = None;
    }

    /// Answers a request that is none of those that are served.
    pub(super) fn unserved(self, unserved: Unserved) -> Response<Body> {
        let answer = answer::unserved(unserved, &self.id);
        self.turn_away(answer)
    }

    /// Answers a request whose body is wrong.
    pub(super) fn invalid(self, invalid: &Invalid) -> Response<Body> {
        let answer = answer::invalid(invalid, &self.id);
        self.turn_away(answer)
    }

    /// Answers a request that core refuses, about the model `model`.
    pub(super) fn refuse(self, refusal: Refusal, model: &str) -> Response<Body> {
        let about = About {
            request_id: &self.id,
            model,
            charges: &Charges::default(),
            estimate: Estimate::default(),
            needs: Needs::default(),
            rejection: None,
        };
        let answer = answer::refuse(&self.gateway.gate, self.gateway.clock.now(), refusal, &about);
        self.turn_away(answer)
    }

    /// Answers it without a lifecycle.
    pub(super) fn turn_away(mut self, answer: Response<Bytes>) -> Response<Body> {
        self.status = Some(answer.status().as_u16());
        self.gateway.observer.sent(answer.body().len() as u64);
        answer.map(Body::from)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(status) = self.status else {
            return;
        };
        let entry = Entry {
            id: self.id.to_str().unwrap_or_default(),
            tenant: self.tenant,
            operation: self.operation,
            model: "",
            status,
            lost: &[],
        };
        let now = self.gateway.clock.now();
        self.gateway.observer.turned_away(self.arrived, now, &entry);
    }
}

/// The status, for the log alone, of a request whose client has gone.
const GONE: u16 = 499;
