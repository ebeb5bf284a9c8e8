//! What is counted as it happens; all of it by position, without lock or allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::registry::{Metric as Encoded, Registry, Unit};
use tollgate_core::id::RouteId;
use tollgate_core::lifecycle::{Ejection, End, Outcome, Refusal, Request};
use tollgate_core::policy::{Operation, Policy};
use tollgate_core::time::Nanos;

use super::Ended;
use super::grid::{Cell, Count, Grid, Histogram, Point, Registered, Scale};
use super::table::{self, CAUSES, Metric, STATUSES};

/// Everything that is counted as it happens.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    routes: usize,
    /// The series of `OpenTelemetry`'s metrics that each endpoint counts to.
    group_of: Vec<usize>,
    nobody: usize,
    arrived: AtomicU64,
    over: AtomicU64,
    closed: AtomicU64,
    requests: Arc<Grid<2, Count>>,
    turned_away: Arc<Grid<1, Count>>,
    refusals: Arc<Grid<2, Count>>,
    retries: Arc<Grid<1, Count>>,
    hedges: Arc<Grid<1, Count>>,
    fallbacks: Arc<Grid<1, Count>>,
    ttft: Arc<Grid<1, Histogram>>,
    tpot: Arc<Grid<1, Histogram>>,
    e2e: Arc<Grid<1, Histogram>>,
    queue_wait: Arc<Grid<1, Histogram>>,
    overhead: Arc<Grid<1, Histogram>>,
    tokens: Arc<Grid<2, Count>>,
    estimated_tokens: Arc<Grid<2, Count>>,
    pub(super) attempts: Arc<Grid<2, Count>>,
    pub(super) launches: Arc<Grid<1, Count>>,
    pub(super) upstream_ttft: Arc<Grid<1, Histogram>>,
    pub(super) connection_wait: Arc<Grid<1, Histogram>>,
    pub(super) ejections: Arc<Grid<2, Count>>,
    decisions: Arc<Grid<2, Count>>,
    overflows: Arc<Grid<1, Count>>,
    pub(super) received: Arc<Grid<0, Count>>,
    pub(super) sent: Arc<Grid<0, Count>>,
    pub(super) connections: Arc<Grid<1, Count>>,
    pub(super) connections_refused: Arc<Grid<1, Count>>,
    pub(super) log_lines: Arc<Grid<0, Count>>,
    pub(super) log_dropped: Arc<Grid<0, Count>>,
    gen_ai: GenAi,
}

/// What `OpenTelemetry` has names for.
#[derive(Debug)]
struct GenAi {
    server_duration: Arc<Grid<3, Histogram>>,
    server_ttft: Arc<Grid<2, Histogram>>,
    server_tpot: Arc<Grid<2, Histogram>>,
    client_duration: Arc<Grid<2, Histogram>>,
    client_first_chunk: Arc<Grid<2, Histogram>>,
    client_per_chunk: Arc<Grid<2, Histogram>>,
    client_tokens: Arc<Grid<3, Histogram>>,
}

impl Metrics {
    /// Of a process that serves `policy` at `addresses`, with nothing counted.
    pub(super) fn new(policy: &Policy, addresses: &[String]) -> Metrics {
        let mut registry = Registry::default();
        let r = &mut registry;
        let routes = policy.routes.iter().map(|route| route.name.as_str()).chain(["none"]);
        let route = axis("route", routes);
        let endpoint = axis(
            "endpoint",
            policy.endpoints.iter().map(|endpoint| endpoint.name.as_str()),
        );
        let limit = axis("limit", policy.limits.iter().map(|limit| limit.name.as_str()));
        let tokens = axis("type", ["input", "output"]);
        let causes = axis("cause", CAUSES);
        let (groups, group_of) = groups(policy);
        let micros = |bounds| move || Histogram::new(bounds, Scale::Micros);
        let ends = axis("end", ["completed", "failed", "refused", "abandoned"]);
        let statuses = axis("status", STATUSES.iter().map(|(_, name)| *name).chain(["other"]));
        Metrics {
            routes: policy.routes.len(),
            nobody: groups.len() - 1,
            arrived: AtomicU64::new(0),
            over: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            requests: counts(r, &table::REQUESTS, [route.clone(), ends]),
            turned_away: counts(r, &table::DIRECT, [statuses]),
            refusals: counts(r, &table::REFUSALS, [route.clone(), causes]),
            retries: counts(r, &table::RETRIES, [route.clone()]),
            hedges: counts(r, &table::HEDGES, [route.clone()]),
            fallbacks: counts(r, &table::FALLBACKS, [route.clone()]),
            ttft: dense(r, &table::TTFT, [route.clone()], micros(table::TTFT_BUCKETS)),
            tpot: dense(r, &table::TPOT, [route.clone()], micros(table::TPOT_BUCKETS)),
            e2e: dense(r, &table::E2E, [route.clone()], micros(table::E2E_BUCKETS)),
            queue_wait: dense(r, &table::QUEUE_WAIT, [route.clone()], micros(table::WAIT_BUCKETS)),
            overhead: dense(r, &table::OVERHEAD, [route.clone()], micros(table::WAIT_BUCKETS)),
            tokens: counts(r, &table::TOKENS, [route.clone(), tokens.clone()]),
            estimated_tokens: counts(r, &table::ESTIMATED_TOKENS, [route, tokens]),
            attempts: counts(
                r,
                &table::ATTEMPTS,
                [endpoint.clone(), axis("end", table::attempt_ends())],
            ),
            launches: counts(r, &table::LAUNCHES, [endpoint.clone()]),
            upstream_ttft: dense(
                r,
                &table::UPSTREAM_TTFT,
                [endpoint.clone()],
                micros(table::TTFT_BUCKETS),
            ),
            connection_wait: dense(
                r,
                &table::CONNECTION_WAIT,
                [endpoint.clone()],
                micros(table::WAIT_BUCKETS),
            ),
            ejections: counts(r, &table::EJECTIONS, [endpoint, axis("cause", EJECTIONS)]),
            decisions: counts(
                r,
                &table::DECISIONS,
                [limit.clone(), axis("decision", ["allow", "wait", "never"])],
            ),
            overflows: counts(r, &table::OVERFLOWS, [limit]),
            received: counts(r, &table::RECEIVED, []),
            sent: counts(r, &table::SENT, []),
            connections: counts(
                r,
                &table::CONNECTIONS,
                [axis("address", addresses.iter().map(String::as_str))],
            ),
            connections_refused: counts(r, &table::CONNECTIONS_REFUSED, [axis("why", ["full", "handshake"])]),
            log_lines: counts(r, &table::LOG_LINES, []),
            log_dropped: counts(r, &table::LOG_DROPPED, []),
            gen_ai: GenAi::new(r, &groups),
            group_of,
            registry,
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn arrived(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that have arrived and are not over.
    pub(super) fn in_flight(&self) -> u64 {
        let over = self.over.load(Ordering::Acquire);
        self.arrived.load(Ordering::Acquire).saturating_sub(over)
    }

    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections of clients that are open.
    pub(super) fn open_connections(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.connections
            .cells()
            .iter()
            .map(Count::get)
            .sum::<u64>()
            .saturating_sub(closed)
    }

    pub(super) fn turned_away(&self, status: u16) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        self.turned_away.at([known.unwrap_or(STATUSES.len())]).one();
        self.over.fetch_add(1, Ordering::Release);
    }

    pub(super) fn ejected(&self, endpoint: usize, ejection: Ejection) {
        let cause = match ejection {
            Ejection::Tripped => 0,
            Ejection::Probe => 1,
            Ejection::RetryAfter => 2,
            Ejection::Outlier => 3,
        };
        self.ejections.at([endpoint, cause]).one();
    }

    pub(super) fn ended(&self, endpoint: usize, how: Ended) {
        let end = match how {
            Ended::Answered => 0,
            Ended::Stopped => 1,
            Ended::Failed(fault) => 2 + fault as usize,
        };
        self.attempts.at([endpoint, end]).one();
    }

    /// Requests of a route that are over: completed, failed, refused, abandoned.
    pub(super) fn ends(&self, route: usize) -> [u64; 4] {
        [0, 1, 2, 3].map(|end| self.requests.at([route, end]).get())
    }

    /// Takes down a request that is over; all there is to say of it is in its outcome.
    pub(super) fn finished(&self, outcome: &Outcome, request: &Request) {
        let route = outcome.route.map_or(self.routes, RouteId::index);
        let (end, refusal) = match outcome.end {
            // A driver takes down what is over, and nothing else.
            End::Open | End::Abandoned => (3, None),
            End::Completed => (0, None),
            End::Failed { refusal } => (1, Some(refusal)),
            End::Refused { refusal } => (2, Some(refusal)),
        };
        self.requests.at([route, end]).one();
        if let Some(refusal) = refusal {
            self.refusals.at([route, refusal.cause()]).one();
        }
        self.decided(outcome, request);
        for (grid, count) in [
            (&self.retries, outcome.retries),
            (&self.hedges, outcome.hedges),
            (&self.fallbacks, outcome.fallbacks),
        ] {
            if 0 < count {
                grid.at([route]).add(u64::from(count));
            }
        }
        self.queue_wait.at([route]).observe(micros(outcome.queue_wait));
        if let Some(ttft) = outcome.ttft() {
            self.ttft.at([route]).observe(micros(ttft));
        }
        if let Some(tpot) = outcome.tpot() {
            self.tpot.at([route]).observe(micros(tpot));
        }
        let usage = outcome.usage;
        self.tokens.at([route, 0]).add(u64::from(usage.input));
        self.tokens.at([route, 1]).add(u64::from(usage.output));
        if outcome.end == End::Completed {
            self.e2e.at([route]).observe(micros(outcome.e2e()));
            self.overhead.at([route]).observe(micros(outcome.overhead()));
            let estimate = request.estimate;
            self.estimated_tokens.at([route, 0]).add(u64::from(estimate.input));
            self.estimated_tokens
                .at([route, 1])
                .add(u64::from(estimate.output.unwrap_or(0)));
        }
        let group = outcome.endpoint.map_or(self.nobody, |id| self.group_of[id.index()]);
        self.gen_ai.finished(outcome, request, group, refusal);
        self.over.fetch_add(1, Ordering::Release);
    }

    /// What the limits said, as far as the outcome tells: a limit that refuses keeps the others from being charged.
    fn decided(&self, outcome: &Outcome, request: &Request) {
        const ALLOW: usize = 0;
        const WAIT: usize = 1;
        const NEVER: usize = 2;
        let allowed = match outcome.end {
            End::Refused {
                refusal: Refusal::Limited { limit, overflow, .. },
            } => {
                self.decisions.at([limit.index(), WAIT]).one();
                self.overflows.at([limit.index()]).add(u64::from(overflow));
                false
            }
            End::Refused {
                refusal: Refusal::TooLarge { limit },
            } => {
                if let Some(limit) = limit {
                    self.decisions.at([limit.index(), NEVER]).one();
                }
                // Without one, it was no limit that refused.
                limit.is_none()
            }
            End::Refused {
                refusal: Refusal::NoRoute | Refusal::Unauthorized,
            } => false,
            End::Open | End::Abandoned => !outcome.launched.is_far() || outcome.queue_wait != Nanos::ZERO,
            End::Completed | End::Failed { .. } | End::Refused { .. } => true,
        };
        if allowed {
            let charges = &request.class.charges;
            for at in 0..charges.len() {
                self.decisions.at([charges.at(at).0.index(), ALLOW]).one();
            }
        }
    }
}

impl GenAi {
    fn new(r: &mut Registry, groups: &[Point]) -> GenAi {
        let operations = axis("gen_ai_operation_name", ["chat", "text_completion", "embeddings"]);
        let both = || [operations.clone(), groups.to_vec()];
        let errors = axis("error_type", ["", "abandoned"].into_iter().chain(CAUSES));
        let tokens = axis("gen_ai_token_type", ["input", "output"]);
        let [operation, group] = both();
        let micros = |bounds| move || Histogram::new(bounds, Scale::Micros);
        let duration = micros(table::OTEL_DURATION_BUCKETS);
        let ttft = micros(table::OTEL_TTFT_BUCKETS);
        let tpot = micros(table::OTEL_TPOT_BUCKETS);
        GenAi {
            server_duration: sparse(
                r,
                &table::SERVER_DURATION,
                [operation.clone(), group.clone(), errors],
                duration,
            ),
            server_ttft: sparse(r, &table::SERVER_TTFT, both(), ttft),
            server_tpot: sparse(r, &table::SERVER_TPOT, both(), tpot),
            client_duration: sparse(r, &table::CLIENT_DURATION, both(), duration),
            client_first_chunk: sparse(r, &table::CLIENT_FIRST_CHUNK, both(), duration),
            client_per_chunk: sparse(r, &table::CLIENT_PER_CHUNK, both(), duration),
            client_tokens: sparse(r, &table::CLIENT_TOKENS, [operation, group, tokens], || {
                Histogram::new(table::OTEL_TOKEN_BUCKETS, Scale::Ones)
            }),
        }
    }

    fn finished(&self, outcome: &Outcome, request: &Request, group: usize, refusal: Option<Refusal>) {
        let operation = match request.needs.operation {
            Operation::Chat => 0,
            Operation::Completions => 1,
            Operation::Embeddings => 2,
        };
        let is_complete = outcome.end == End::Completed;
        let error = match refusal {
            Some(refusal) => 2 + refusal.cause(),
            None => usize::from(!is_complete),
        };
        let at = [operation, group];
        self.server_duration
            .at([operation, group, error])
            .observe(micros(outcome.e2e()));
        if let Some(ttft) = outcome.ttft() {
            self.server_ttft.at(at).observe(micros(ttft));
            self.client_first_chunk
                .at(at)
                .observe(micros(outcome.first_token.since(outcome.won)));
        }
        if let Some(tpot) = outcome.tpot() {
            self.server_tpot.at(at).observe(micros(tpot));
            self.client_per_chunk.at(at).observe(micros(tpot));
        }
        if is_complete {
            self.client_duration
                .at(at)
                .observe(micros(outcome.finished.since(outcome.won)));
            let usage = outcome.usage;
            for (kind, count) in [usage.input, usage.output].into_iter().enumerate() {
                self.client_tokens
                    .at([operation, group, kind])
                    .observe(u64::from(count));
            }
        }
    }
}

/// The causes of ejections, in the order of [`Metrics::ejected`].
const EJECTIONS: [&str; 4] = ["tripped", "probe", "retry-after", "outlier"];

/// Provider and model, once each, and which of them is each endpoint's; the last is nobody's.
fn groups(policy: &Policy) -> (Vec<Point>, Vec<usize>) {
    let point = |provider: &str, model: &str| {
        vec![
            ("gen_ai_provider_name", provider.to_owned()),
            ("gen_ai_request_model", model.to_owned()),
        ]
    };
    let mut groups: Vec<Point> = Vec::new();
    let mut group_of = Vec::new();
    for endpoint in &policy.endpoints {
        let point = point(&endpoint.provider, endpoint.model.as_deref().unwrap_or_default());
        let known = groups.iter().position(|known| *known == point);
        group_of.push(known.unwrap_or(groups.len()));
        if known.is_none() {
            groups.push(point);
        }
    }
    groups.push(point("tollgate", ""));
    (groups, group_of)
}

/// One label with these values.
pub(super) fn axis<'n>(label: &'static str, values: impl IntoIterator<Item = &'n str>) -> Vec<Point> {
    values
        .into_iter()
        .map(|value| vec![(label, value.to_owned())])
        .collect()
}

fn counts<const N: usize>(r: &mut Registry, metric: &Metric, axes: [Vec<Point>; N]) -> Arc<Grid<N, Count>> {
    dense(r, metric, axes, Count::default)
}

fn dense<const N: usize, C: Cell>(
    r: &mut Registry,
    metric: &Metric,
    axes: [Vec<Point>; N],
    cell: impl Fn() -> C,
) -> Arc<Grid<N, C>> {
    let grid = Grid::new(axes, cell);
    register(r, metric, Registered(Arc::clone(&grid)));
    grid
}

fn sparse<const N: usize, C: Cell>(
    r: &mut Registry,
    metric: &Metric,
    axes: [Vec<Point>; N],
    cell: impl Fn() -> C,
) -> Arc<Grid<N, C>> {
    let grid = Grid::sparse(axes, cell);
    register(r, metric, Registered(Arc::clone(&grid)));
    grid
}

/// Puts a metric into the registry under the name that the table has for it.
pub(super) fn register(r: &mut Registry, metric: &Metric, encoded: impl Encoded) {
    match metric.unit {
        Some(unit) => r.register_with_unit(metric.name, metric.help, Unit::Other(unit.to_owned()), encoded),
        None => r.register(metric.name, metric.help, encoded),
    }
}

/// The nearest whole number of microseconds.
#[inline]
pub(super) fn micros(length: Nanos) -> u64 {
    length.as_nanos().saturating_add(500) / 1_000
}
