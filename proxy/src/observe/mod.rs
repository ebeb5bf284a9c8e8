//! What is told of requests: metrics, the access log, the log of the process.
//!
//! The driver says what happens, in one line beside each effect; every figure of a request comes from its
//! [`Outcome`], which is what the simulator's reports are made of.

use tollgate_core::fault::Fault;
use tollgate_core::id::{EndpointId, TenantId};
use tollgate_core::lifecycle::{Ejection, Outcome, Request};
use tollgate_core::policy::{Operation, Policy};
use tollgate_core::time::{Instant, Nanos};

use crate::settings::Settings;

/// Who is told what happens to requests; one for all threads.
#[derive(Debug)]
pub struct Observer {}

/// What a finished request was, beside its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name, as the client was told.
    pub id: &'a str,
    /// Who sent it; none if that was never found out.
    pub tenant: Option<TenantId>,
    /// The kind of request; none if its path has none.
    pub operation: Option<Operation>,
    /// The model that was asked for; empty if none was read.
    pub model: &'a str,
    /// The HTTP status that the client was answered; 499 if it had gone.
    pub status: u16,
}

/// How an attempt ended, for whoever counts attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a complete answer.
    Answered,
    /// It failed.
    Failed(Fault),
    /// It was stopped because it was not needed any more.
    Stopped,
}

impl Observer {
    /// Of a process that serves `policy`.
    #[must_use]
    pub fn new(_policy: &Policy, _settings: &Settings) -> Observer {
        Observer {}
    }

    /// A request is there; exactly one [`Observer::finished`] or [`Observer::turned_away`] follows.
    pub fn arrived(&self) {}

    /// A request is over.
    pub fn finished(&self, _outcome: &Outcome, _request: &Request, _entry: &Entry<'_>) {}

    /// A request was answered before it had a lifecycle: malformed, unknown, too large.
    pub fn turned_away(&self, _arrived: Instant, _now: Instant, _entry: &Entry<'_>) {}

    /// An attempt is launched; exactly one [`Observer::ended`] follows.
    pub fn launched(&self, _endpoint: EndpointId) {}

    /// An attempt has a connection, for which it waited so long.
    pub fn connected(&self, _endpoint: EndpointId, _waited: Nanos) {}

    /// The first token of an attempt came so long after its launch.
    pub fn first_token(&self, _endpoint: EndpointId, _after: Nanos) {}

    /// An attempt is over.
    pub fn ended(&self, _endpoint: EndpointId, _how: Ended) {}

    /// An endpoint is out of its pool.
    pub fn ejected(&self, _endpoint: EndpointId, _ejection: Ejection, _now: Instant, _until: Instant) {}

    /// An endpoint is back.
    pub fn restored(&self, _endpoint: EndpointId) {}

    /// So many bytes of a request's body came from a client.
    pub fn received(&self, _bytes: u64) {}

    /// So many bytes of an answer's body went to a client.
    pub fn sent(&self, _bytes: u64) {}
}
