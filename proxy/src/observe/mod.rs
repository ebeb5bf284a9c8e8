//! What is told of requests: metrics, the access log, the log of the process.
//!
//! The driver says what happens, in one line beside each effect; every figure of a request comes from its
//! [`Outcome`], which is what the simulator's reports are made of.
//!
//! | Law | Test |
//! |---|---|
//! | Counting takes neither a lock nor memory. | `counting_takes_no_memory` |
//! | Every metric is in the table, with its labels, and nothing else is shown. | `what_is_shown_is_in_the_table` |
//! | Whatever can be read by Prometheus is. | `what_is_shown_can_be_read` |
//! | A line that was dropped is counted, and said in the log. | `dropped_lines_are_said` |
//! | A log is a trace of the same requests. | `a_log_is_a_trace` |

mod access;
mod grid;
mod line;
mod metrics;
mod page;
mod process;
mod process_log;
mod scrape;
mod table;

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use tollgate_core::fault::Fault;
use tollgate_core::gate::Snapshot;
use tollgate_core::id::{EndpointId, TenantId};
use tollgate_core::lifecycle::{Ejection, Outcome, Request};
use tollgate_core::policy::{Operation, Policy};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::Clock;

pub use page::page;
pub use process_log::ProcessLog;

use self::access::{AccessLog, Means};
use self::line::{Line, Names};
use self::metrics::{Metrics, micros};
use self::scrape::Present;
use crate::settings::{Level, Settings};

/// Who is told what happens to requests; one for all threads.
#[derive(Debug)]
pub struct Observer {
    metrics: Metrics,
    endpoints: Vec<String>,
    access: Option<AccessLog>,
    log: ProcessLog,
}

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
    /// Its attempts that did not answer, in the order in which they ended.
    pub lost: &'a [Lost],
}

/// An attempt that did not answer its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where it was made.
    pub endpoint: EndpointId,
    /// When it was launched.
    pub launched: Instant,
    /// How it failed; none if it was stopped because it was not needed any more.
    pub fault: Option<Fault>,
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

/// Why a connection of a client was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconnected {
    /// There were too many already.
    Full,
    /// No TLS came of it.
    Handshake,
}

impl Observer {
    /// Of a process that serves `policy`; counts, and writes nothing down.
    #[must_use]
    pub fn new(policy: &Policy, settings: &Settings) -> Observer {
        let addresses: Vec<String> = settings.listen.iter().map(ToString::to_string).collect();
        Observer {
            metrics: Metrics::new(policy, &addresses),
            endpoints: policy.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect(),
            access: None,
            log: ProcessLog::quiet(),
        }
    }

    /// The same with the logs that `settings` ask for; `clock` dates their lines.
    ///
    /// # Errors
    ///
    /// If the access log cannot be opened.
    pub fn with_logs(policy: &Policy, settings: &Settings, clock: &Arc<dyn Clock>) -> io::Result<Observer> {
        let mut observer = Observer::new(policy, settings);
        observer.log = ProcessLog::new(&settings.log, Arc::clone(clock));
        let means = Means {
            names: Names::of(policy),
            clock: Arc::clone(clock),
            is_real: settings.time_scale.to_bits() == 1.0_f64.to_bits(),
            log: observer.log.clone(),
            lines: Arc::clone(&observer.metrics.log_lines),
            dropped: Arc::clone(&observer.metrics.log_dropped),
        };
        observer.access = AccessLog::open(&settings.log.access, means)?;
        Ok(observer)
    }

    /// A request is there; exactly one [`Observer::finished`] or [`Observer::turned_away`] follows.
    #[inline]
    pub fn arrived(&self) {
        self.metrics.arrived();
    }

    /// A request is over.
    pub fn finished(&self, outcome: &Outcome, request: &Request, entry: &Entry<'_>) {
        if let Some(access) = &self.access {
            access.write(Line::over(outcome, request, entry));
        }
        self.metrics.finished(outcome, request);
    }

    /// A request was answered without a lifecycle: the list of models, or what is malformed, unknown or too large.
    pub fn turned_away(&self, arrived: Instant, now: Instant, entry: &Entry<'_>) {
        if let Some(access) = &self.access {
            access.write(Line::turned_away(arrived, now, entry));
        }
        self.metrics.turned_away(entry.status);
    }

    /// An attempt is launched; exactly one [`Observer::ended`] follows.
    #[inline]
    pub fn launched(&self, endpoint: EndpointId) {
        self.metrics.launches.at([endpoint.index()]).one();
    }

    /// An attempt has a connection, for which it waited so long.
    #[inline]
    pub fn connected(&self, endpoint: EndpointId, waited: Nanos) {
        self.metrics
            .connection_wait
            .at([endpoint.index()])
            .observe(micros(waited));
    }

    /// The first token of an attempt came so long after its launch.
    #[inline]
    pub fn first_token(&self, endpoint: EndpointId, after: Nanos) {
        self.metrics.upstream_ttft.at([endpoint.index()]).observe(micros(after));
    }

    /// An attempt is over.
    #[inline]
    pub fn ended(&self, endpoint: EndpointId, how: Ended) {
        self.metrics.ended(endpoint.index(), how);
        let Ended::Failed(fault) = how else { return };
        // Neither mends itself, and the endpoint's scope is left alone after it: this is said a few times a minute.
        let what = match fault {
            Fault::Credential => "a provider does not accept our key",
            Fault::QuotaExhausted => "a quota at a provider is used up, and does not refill by itself",
            Fault::Connect
            | Fault::NoConnection
            | Fault::Timeout
            | Fault::RateLimited
            | Fault::Overloaded
            | Fault::Server
            | Fault::Client
            | Fault::Stream => return,
        };
        self.log.tell(Level::Warn, what, &[("endpoint", self.name(endpoint))]);
    }

    /// No connection to an endpoint came about, and why: name, port, or certificate. Under load it is said often, so only
    /// to those who look for it.
    pub fn unreachable(&self, endpoint: EndpointId, error: &std::io::Error) {
        let fields: [(&str, &dyn Display); 2] = [("endpoint", self.name(endpoint)), ("error", error)];
        self.log.tell(Level::Debug, "an endpoint cannot be reached", &fields);
    }

    /// An endpoint is out of its pool.
    pub fn ejected(&self, endpoint: EndpointId, ejection: Ejection, now: Instant, until: Instant) {
        self.metrics.ejected(endpoint.index(), ejection);
        let (level, cause) = match ejection {
            Ejection::Tripped => (Level::Warn, "its breaker tripped"),
            Ejection::Outlier => (Level::Warn, "it is worse than its peers"),
            Ejection::Probe => (Level::Warn, "it failed its probes"),
            // A provider that is busy says so often, and it concerns nobody who is on call.
            Ejection::RetryAfter => (Level::Debug, "it asked to be left alone"),
        };
        let length = if until.is_far() {
            "until a probe succeeds".to_owned()
        } else {
            format!("{:.3}s", until.since(now).as_secs_f64())
        };
        let fields: [(&str, &dyn Display); 3] =
            [("endpoint", self.name(endpoint)), ("cause", &cause), ("for", &length)];
        self.log.tell(level, "an endpoint is out of its pool", &fields);
    }

    /// An endpoint is back.
    pub fn restored(&self, endpoint: EndpointId) {
        let fields: [(&str, &dyn Display); 1] = [("endpoint", self.name(endpoint))];
        self.log.tell(Level::Info, "an endpoint is back in its pool", &fields);
    }

    /// So many bytes of a request's body came from a client.
    #[inline]
    pub fn received(&self, bytes: u64) {
        self.metrics.received.at([]).add(bytes);
    }

    /// So many bytes of an answer's body went to a client.
    #[inline]
    pub fn sent(&self, bytes: u64) {
        self.metrics.sent.at([]).add(bytes);
    }

    /// A client has connected to the address of this position in `listen`; one [`Observer::disconnected`] follows.
    #[inline]
    pub fn accepted(&self, address: usize) {
        self.metrics.connections.at([address]).one();
    }

    /// A connection of a client is closed.
    #[inline]
    pub fn disconnected(&self) {
        self.metrics.closed();
    }

    /// A connection of a client is not served.
    #[inline]
    pub fn unconnected(&self, why: Unconnected) {
        let why = match why {
            Unconnected::Full => 0,
            Unconnected::Handshake => 1,
        };
        self.metrics.connections_refused.at([why]).one();
    }

    /// Requests that have arrived and are not over.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.metrics.in_flight()
    }

    /// Connections of clients that are open.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.metrics.open_connections()
    }

    /// Requests of the route at this position that are over: completed, failed, refused, abandoned.
    pub(crate) fn ends(&self, route: usize) -> [u64; 4] {
        self.metrics.ends(route)
    }

    /// What the process tells of itself.
    #[must_use]
    pub fn log(&self) -> &ProcessLog {
        &self.log
    }

    /// Opens the access log anew, for whoever has moved it; whether there is one.
    pub fn reopen(&self) -> bool {
        if let Some(access) = &self.access {
            access.reopen();
        }
        self.access.is_some()
    }

    /// Writes what waits to be written. Nothing is written afterwards.
    pub fn close(&self) {
        if let Some(access) = &self.access {
            access.close();
        }
    }

    /// Every metric in the text format of `OpenMetrics`, with the state that `snapshot` shows of a gate at `now`.
    #[must_use]
    pub fn metrics(&self, policy: &Policy, snapshot: &Snapshot, now: Instant, draining: bool) -> String {
        let present = Present {
            now,
            in_flight: self.in_flight(),
            connections: self.open_connections(),
            draining,
        };
        let mut text = String::new();
        // A string takes everything.
        let _never = encode_registry(&mut text, self.metrics.registry())
            .and_then(|()| encode_registry(&mut text, &scrape::registry(policy, snapshot, present)))
            .and_then(|()| encode_eof(&mut text));
        text
    }

    /// What [`Observer::metrics`] is.
    pub const METRICS_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    fn name(&self, endpoint: EndpointId) -> &String {
        &self.endpoints[endpoint.index()]
    }
}
