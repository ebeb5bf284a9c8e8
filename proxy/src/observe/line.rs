//! A line of the access log: what is known of a request once it is over, and nothing that it carried.

use std::time::SystemTime;

use serde::Serialize;
use tollgate_core::id::TenantId;
use tollgate_core::lifecycle::{End, Outcome, Request};
use tollgate_core::policy::{Operation, Policy};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Estimate;

use super::{Entry, Lost};

/// A request on its way to the log.
#[derive(Debug)]
pub(super) struct Line {
    id: Box<str>,
    model: Box<str>,
    tenant: Option<TenantId>,
    operation: Option<Operation>,
    status: u16,
    /// None is most often there, and takes no memory then.
    lost: Box<[Lost]>,
    how: How,
}

#[derive(Debug)]
enum How {
    /// It had a lifecycle.
    Over { outcome: Outcome, estimate: Estimate },
    /// It was answered before it had one.
    TurnedAway { arrived: Instant, now: Instant },
}

impl Line {
    pub(super) fn over(outcome: &Outcome, request: &Request, entry: &Entry<'_>) -> Line {
        let how = How::Over {
            outcome: *outcome,
            estimate: request.estimate,
        };
        Line {
            operation: Some(request.needs.operation),
            ..Line::new(entry, how)
        }
    }

    pub(super) fn turned_away(arrived: Instant, now: Instant, entry: &Entry<'_>) -> Line {
        Line::new(entry, How::TurnedAway { arrived, now })
    }

    fn new(entry: &Entry<'_>, how: How) -> Line {
        Line {
            id: cut(entry.id),
            model: cut(entry.model),
            tenant: entry.tenant,
            operation: entry.operation,
            status: entry.status,
            lost: entry.lost.into(),
            how,
        }
    }

    /// When the request arrived.
    pub(super) fn arrived(&self) -> Instant {
        match &self.how {
            How::Over { outcome, .. } => outcome.arrived,
            How::TurnedAway { arrived, .. } => *arrived,
        }
    }
}

/// What the clients say may be long; that much of it is written down.
const MOST_CHARS: usize = 128;

fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

/// The names that lines refer to by number.
#[derive(Debug)]
pub(super) struct Names {
    tenants: Vec<String>,
    routes: Vec<String>,
    endpoints: Vec<String>,
    policy: String,
}

impl Names {
    pub(super) fn of(policy: &Policy) -> Names {
        Names {
            tenants: policy.tenants.iter().map(|tenant| tenant.name.clone()).collect(),
            routes: policy.routes.iter().map(|route| route.name.clone()).collect(),
            endpoints: policy.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect(),
            policy: policy.hash.to_string(),
        }
    }
}

/// A line as it is written; the order is that of the fields.
#[derive(Serialize)]
struct Record<'a> {
    time: String,
    id: &'a str,
    tenant: Option<&'a str>,
    route: Option<&'a str>,
    operation: Option<&'static str>,
    model: &'a str,
    endpoint: Option<&'a str>,
    status: u16,
    end: &'static str,
    cause: Option<&'static str>,
    fault: Option<&'static str>,
    stream: Option<bool>,
    prompt: Option<u32>,
    prompt_estimate: Option<u32>,
    output: Option<u32>,
    max_tokens: Option<u32>,
    attempts: u8,
    retries: u8,
    hedges: u8,
    fallbacks: u8,
    queue_wait_ms: f64,
    ttft_ms: Option<f64>,
    e2e_ms: f64,
    overhead_ms: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<Unanswered<'a>>,
    policy: &'a str,
}

/// An attempt that did not answer.
#[derive(Serialize)]
struct Unanswered<'a> {
    endpoint: &'a str,
    /// Since the request arrived.
    launched_ms: f64,
    /// None if it was stopped.
    fault: Option<&'static str>,
}

/// Appends `line`, of a request that arrived at `time`, to `buffer`.
pub(super) fn write(buffer: &mut Vec<u8>, line: &Line, names: &Names, time: SystemTime) {
    let mut record = Record {
        time: rfc3339(time),
        id: &line.id,
        tenant: line
            .tenant
            .and_then(|id| names.tenants.get(id.index()))
            .map(String::as_str)
            .filter(|name| !name.is_empty()),
        route: None,
        operation: line.operation.map(operation),
        model: &line.model,
        endpoint: None,
        status: line.status,
        end: "direct",
        cause: None,
        fault: None,
        stream: None,
        prompt: None,
        prompt_estimate: None,
        output: None,
        max_tokens: None,
        attempts: 0,
        retries: 0,
        hedges: 0,
        fallbacks: 0,
        queue_wait_ms: 0.0,
        ttft_ms: None,
        e2e_ms: 0.0,
        overhead_ms: None,
        lost: Vec::new(),
        policy: &names.policy,
    };
    match &line.how {
        How::TurnedAway { arrived, now } => record.e2e_ms = millis(now.since(*arrived)),
        How::Over { outcome, estimate } => {
            fill(&mut record, outcome, *estimate, names);
            let lost = line.lost.iter().map(|lost| Unanswered {
                endpoint: names.endpoints.get(lost.endpoint.index()).map_or("", String::as_str),
                launched_ms: millis(lost.launched.since(outcome.arrived)),
                fault: lost.fault.map(tollgate_core::fault::Fault::name),
            });
            record.lost = lost.collect();
        }
    }
    let written = serde_json::to_writer(&mut *buffer, &record);
    written.expect("numbers are finite, and a buffer takes everything");
    buffer.push(b'\n');
}

fn fill<'n>(record: &mut Record<'n>, outcome: &Outcome, estimate: Estimate, names: &'n Names) {
    let (end, refusal) = match outcome.end {
        End::Open => ("open", None),
        End::Completed => ("completed", None),
        End::Failed { refusal } => ("failed", Some(refusal)),
        End::Refused { refusal } => ("refused", Some(refusal)),
        End::Abandoned => ("abandoned", None),
    };
    let name = |list: &'n [String], at: usize| list.get(at).map(String::as_str);
    let is_known = |count: u32| (0 < count).then_some(count);
    record.route = outcome.route.and_then(|id| name(&names.routes, id.index()));
    record.endpoint = outcome.endpoint.and_then(|id| name(&names.endpoints, id.index()));
    record.end = end;
    record.cause = refusal.map(tollgate_core::lifecycle::Refusal::name);
    record.fault = outcome.fault().map(tollgate_core::fault::Fault::name);
    record.stream = Some(outcome.stream);
    record.prompt = is_known(outcome.usage.input);
    record.prompt_estimate = is_known(estimate.input);
    record.output = is_known(outcome.usage.output);
    record.max_tokens = estimate.output;
    record.attempts = outcome.attempts;
    record.retries = outcome.retries;
    record.hedges = outcome.hedges;
    record.fallbacks = outcome.fallbacks;
    record.queue_wait_ms = millis(outcome.queue_wait);
    record.ttft_ms = outcome.ttft().map(millis);
    record.e2e_ms = millis(outcome.e2e());
    record.overhead_ms = (!outcome.won.is_far()).then(|| millis(outcome.overhead()));
}

/// A line that says how many are missing.
pub(super) fn write_dropped(buffer: &mut Vec<u8>, dropped: u64, time: SystemTime) {
    let line = format!("{{\"time\":\"{}\",\"dropped\":{dropped}}}\n", rfc3339(time));
    buffer.extend_from_slice(line.as_bytes());
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

const fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat => "chat",
        Operation::Completions => "completions",
        Operation::Embeddings => "embeddings",
    }
}

/// In milliseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "read by people")]
fn millis(length: Nanos) -> f64 {
    (length.as_nanos() / 1_000) as f64 / 1e3
}
