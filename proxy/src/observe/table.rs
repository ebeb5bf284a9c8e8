//! Every metric: its name, what it counts and by what. Names and labels are taken from here, and so is its page.

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::Refusal;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// Its name, without unit and `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The unit, which ends the name.
    pub(super) unit: Option<&'static str>,
    pub(super) labels: &'static [&'static Label],
    /// What it means, without the full stop.
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// What series of a metric are told apart by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) name: &'static str,
    /// What values there are.
    pub(super) values: &'static str,
}

impl Metric {
    /// The name of its series, but for what a histogram appends.
    pub(super) fn full_name(&self) -> String {
        let unit = self.unit.map_or(String::new(), |unit| format!("_{unit}"));
        let total = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{unit}{total}", self.name)
    }
}

macro_rules! labels {
    ($($id:ident = $name:literal, $values:literal;)*) => {
        $(pub(super) static $id: Label = Label { name: $name, values: $values };)*
    };
}

labels! {
    ROUTE = "route", "the routes of the policy, and `none`";
    ENDPOINT = "endpoint", "the endpoints of the policy";
    POOL = "pool", "the pools of the policy";
    LIMIT = "limit", "the limits of the policy";
    END = "end", "`completed`, `failed`, `refused`, `abandoned`";
    CAUSE = "cause", "the causes of refusals, a closed set";
    ATTEMPT_END = "end", "`answered`, `stopped`, or the fault, a closed set";
    EJECTION = "cause", "`tripped`, `probe`, `retry-after`, `outlier`";
    DECISION = "decision", "`allow`, `wait`, `never`";
    TOKEN_TYPE = "type", "`input`, `output`";
    BUDGET = "budget", "`retries`, `hedges`";
    STATUS = "status", "the statuses that the gateway answers itself, and `other`";
    ADDRESS = "address", "the addresses of `listen`";
    CONNECTION_END = "why", "`full`, `handshake`";
    VERSION = "version", "one: of this build";
    POLICY = "policy", "one: the hash of the policy that is served";
    OPERATION = "gen_ai_operation_name", "`chat`, `text_completion`, `embeddings`";
    PROVIDER = "gen_ai_provider_name", "the providers of the policy, and `tollgate` where none took part";
    MODEL = "gen_ai_request_model", "the models that endpoints of the policy name, and none";
    ERROR = "error_type", "empty, `abandoned`, or the causes of refusals, a closed set";
    GEN_AI_TOKEN = "gen_ai_token_type", "`input`, `output`";
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal $unit:expr, [$($label:ident),*], $help:literal;)*) => {
        $(pub(super) static $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$(&$label),*],
            help: $help,
        };)*

        /// Every metric, in the order in which they are written.
        pub(super) static METRICS: &[&Metric] = &[$(&$id),*];
    };
}

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

metrics! {
    REQUESTS = Counter "tollgate_requests" None, [ROUTE, END],
        "Requests that are over, by how they ended; those that never had a lifecycle are not among them";
    DIRECT = Counter "tollgate_direct_answers" None, [STATUS],
        "Requests that the gateway answered without a lifecycle: for the list of models, and what is malformed, too large or has no known key";
    REFUSALS = Counter "tollgate_refusals" None, [ROUTE, CAUSE],
        "Requests that were told of a refusal, before any attempt or after the last";
    RETRIES = Counter "tollgate_retries" None, [ROUTE],
        "Attempts because an earlier one had failed, in the same pool";
    HEDGES = Counter "tollgate_hedges" None, [ROUTE], "Attempts beside a slow one";
    FALLBACKS = Counter "tollgate_fallbacks" None, [ROUTE], "Attempts in the next pool of the route";
    TTFT = Histogram "tollgate_ttft" SECONDS, [ROUTE],
        "From the arrival of a request to its first token, of streamed answers";
    TPOT = Histogram "tollgate_tpot" SECONDS, [ROUTE],
        "Time per output token after the first, of complete streamed answers";
    E2E = Histogram "tollgate_e2e" SECONDS, [ROUTE],
        "From the arrival of a request to its last token, of complete answers";
    QUEUE_WAIT = Histogram "tollgate_queue_wait" SECONDS, [ROUTE], "Time spent waiting for a permit, of all requests";
    OVERHEAD = Histogram "tollgate_overhead" SECONDS, [ROUTE],
        "From the arrival of a request to the launch of the attempt that won, of complete answers";
    TOKENS = Counter "tollgate_tokens" None, [ROUTE, TOKEN_TYPE], "Tokens used, as far as they are known";
    ESTIMATED_TOKENS = Counter "tollgate_estimated_tokens" None, [ROUTE, TOKEN_TYPE],
        "What the tokens of completed requests had been estimated at: the prompt, and the most that it might answer if it said so";
    ATTEMPTS = Counter "tollgate_attempts" None, [ENDPOINT, ATTEMPT_END], "Attempts that are over, by how they ended";
    LAUNCHES = Counter "tollgate_launches" None, [ENDPOINT], "Attempts that were launched";
    UPSTREAM_TTFT = Histogram "tollgate_upstream_ttft" SECONDS, [ENDPOINT],
        "From the launch of an attempt to its first token; of an answer that comes whole, to its first byte";
    CONNECTION_WAIT = Histogram "tollgate_connection_wait" SECONDS, [ENDPOINT],
        "From the launch of an attempt until it had a connection, new or used before";
    EJECTIONS = Counter "tollgate_ejections" None, [ENDPOINT, EJECTION], "How often an endpoint was taken out of its pool";
    DECISIONS = Counter "tollgate_limiter_decisions" None, [LIMIT, DECISION],
        "What limits said to requests; one that refuses keeps those beside it from being charged";
    OVERFLOWS = Counter "tollgate_limit_overflows" None, [LIMIT],
        "Refusals of keys that shared their state with others, because the limit had too many keys";
    RECEIVED = Counter "tollgate_received" BYTES, [], "Bytes of bodies that came from clients";
    SENT = Counter "tollgate_sent" BYTES, [], "Bytes of bodies that went to clients";
    CONNECTIONS = Counter "tollgate_connections" None, [ADDRESS], "Connections of clients that were accepted";
    CONNECTIONS_REFUSED = Counter "tollgate_connections_refused" None, [CONNECTION_END],
        "Connections of clients that were not served: there were too many, or no TLS came of it";
    LOG_LINES = Counter "tollgate_access_log_lines" None, [], "Lines of the access log that were written";
    LOG_DROPPED = Counter "tollgate_access_log_dropped" None, [],
        "Lines of the access log that were not, because the disk was slower than the requests";
    SERVER_DURATION = Histogram "gen_ai_server_request_duration" SECONDS, [OPERATION, PROVIDER, MODEL, ERROR],
        "OpenTelemetry: gen_ai.server.request.duration, from arrival to the last token or to whatever ended it";
    SERVER_TTFT = Histogram "gen_ai_server_time_to_first_token" SECONDS, [OPERATION, PROVIDER, MODEL],
        "OpenTelemetry: gen_ai.server.time_to_first_token, of streamed answers";
    SERVER_TPOT = Histogram "gen_ai_server_time_per_output_token" SECONDS, [OPERATION, PROVIDER, MODEL],
        "OpenTelemetry: gen_ai.server.time_per_output_token, of complete streamed answers";
    CLIENT_DURATION = Histogram "gen_ai_client_operation_duration" SECONDS, [OPERATION, PROVIDER, MODEL],
        "OpenTelemetry: gen_ai.client.operation.duration, of attempts that won and were completed";
    CLIENT_FIRST_CHUNK = Histogram "gen_ai_client_operation_time_to_first_chunk" SECONDS, [OPERATION, PROVIDER, MODEL],
        "OpenTelemetry: gen_ai.client.operation.time_to_first_chunk, of attempts that won and were streamed";
    CLIENT_PER_CHUNK = Histogram "gen_ai_client_operation_time_per_output_chunk" SECONDS, [OPERATION, PROVIDER, MODEL],
        "OpenTelemetry: gen_ai.client.operation.time_per_output_chunk, of attempts that won, were streamed and completed";
    CLIENT_TOKENS = Histogram "gen_ai_client_token_usage" None, [OPERATION, PROVIDER, MODEL, GEN_AI_TOKEN],
        "OpenTelemetry: gen_ai.client.token.usage, of completed requests";

    IN_FLIGHT = Gauge "tollgate_in_flight_requests" None, [],
        "Requests that have arrived and are not over, with those whose client has gone and whose endpoint may finish";
    ENDPOINT_IN_FLIGHT = Gauge "tollgate_in_flight_attempts" None, [ENDPOINT], "Permits of an endpoint that are out";
    EJECTED = Gauge "tollgate_ejected" None, [ENDPOINT], "1 while an endpoint is out of its pool, else 0";
    QUEUED = Gauge "tollgate_queued_requests" None, [POOL], "Requests that wait for a permit";
    LIMIT_KEYS = Gauge "tollgate_limit_keys" None, [LIMIT],
        "Keys that a limit remembers; beyond `max_keys` further ones share one state";
    RESERVED = Gauge "tollgate_limit_reserved_units" None, [LIMIT],
        "Units that requests were charged on an estimate and that are not settled yet";
    ADAPTIVE_LIMIT = Gauge "tollgate_adaptive_limit" None, [LIMIT],
        "What an adaptive limit lets be in flight now, of the key that was heard of last; absent of limits that do not move";
    BUDGET_BALANCE = Gauge "tollgate_budget_balance" None, [ROUTE, BUDGET],
        "Attempts that a budget would pay for now; absent where nothing bounds them";
    OPEN_CONNECTIONS = Gauge "tollgate_open_connections" None, [], "Connections of clients that are open";
    DRAINING = Gauge "tollgate_draining" None, [], "1 once the process has been told to end, else 0";
    BUILD = Info "tollgate_build" None, [VERSION, POLICY], "What is running";

    CPU = Counter "process_cpu" SECONDS, [], "Time spent on processors, in user and system; on Linux only, as what follows";
    RESIDENT = Gauge "process_resident_memory" BYTES, [], "Memory that is in use";
    OPEN_FILES = Gauge "process_open_fds" None, [], "Files and sockets that are open";
    MOST_FILES = Gauge "process_max_fds" None, [], "How many may be";
    THREADS = Gauge "process_threads" None, [], "Threads";
    START_TIME = Gauge "process_start_time" SECONDS, [], "When the process began, since 1970";
}

/// The causes of refusals.
pub(super) const CAUSES: [&str; Refusal::CAUSES.len()] = Refusal::CAUSES;

/// How attempts end: answered, stopped, or with a fault, in the order of [`Fault::ALL`].
pub(super) fn attempt_ends() -> impl Iterator<Item = &'static str> {
    ["answered", "stopped"].into_iter().chain(Fault::ALL.map(Fault::name))
}

/// What requests without a lifecycle are told.
pub(super) const STATUSES: [(u16, &str); 14] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (411, "411"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (431, "431"),
    (499, "499"),
    (503, "503"),
];

/// Microseconds: from a token's time to that of a long answer.
pub(super) const TTFT_BUCKETS: &[u64] = &[
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
    5_000_000, 7_500_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Microseconds per token.
pub(super) const TPOT_BUCKETS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000,
    1_000_000, 2_500_000,
];

/// Microseconds, doubling.
pub(super) const E2E_BUCKETS: &[u64] = &[
    10_000,
    20_000,
    40_000,
    80_000,
    160_000,
    320_000,
    640_000,
    1_280_000,
    2_560_000,
    5_120_000,
    10_240_000,
    20_480_000,
    40_960_000,
    81_920_000,
    163_840_000,
    327_680_000,
    655_360_000,
];

/// Microseconds of waiting, which should be next to none.
pub(super) const WAIT_BUCKETS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// OpenTelemetry's for time to the first token, in microseconds.
pub(super) const OTEL_TTFT_BUCKETS: &[u64] = &[
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
    5_000_000, 7_500_000, 10_000_000,
];

/// OpenTelemetry's for time per output token, in microseconds.
pub(super) const OTEL_TPOT_BUCKETS: &[u64] = &[
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000, 1_000_000, 2_500_000,
];

/// OpenTelemetry's for durations, in microseconds.
pub(super) const OTEL_DURATION_BUCKETS: &[u64] = &[
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000, 20_480_000,
    40_960_000, 81_920_000,
];

/// OpenTelemetry's for tokens: powers of four.
pub(super) const OTEL_TOKEN_BUCKETS: &[u64] = &[
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow() {
        let all = [
            TTFT_BUCKETS,
            TPOT_BUCKETS,
            E2E_BUCKETS,
            WAIT_BUCKETS,
            OTEL_TTFT_BUCKETS,
            OTEL_TPOT_BUCKETS,
            OTEL_DURATION_BUCKETS,
            OTEL_TOKEN_BUCKETS,
        ];
        assert!(all.iter().all(|bounds| bounds.is_sorted_by(|a, b| a < b)));
    }

    #[test]
    fn names_follow_the_rules() {
        for metric in METRICS {
            let ours = ["tollgate_", "gen_ai_", "process_"]
                .iter()
                .any(|start| metric.name.starts_with(start));
            assert!(ours && !metric.help.ends_with('.'), "{}", metric.name);
            let mut labels: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
            labels.sort_unstable();
            labels.dedup();
            assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        }
    }
}
