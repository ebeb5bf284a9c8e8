//! The rows behind a summary: over time, per endpoint, per tenant, per request.

use std::collections::BTreeMap;

use super::Cause;

/// What happened in one bin of time under one strategy; a row of `series.csv`.
///
/// Counts are per bin (of [`ResultSet::bin_seconds`](super::ResultSet::bin_seconds)) and means over replications. A
/// request is offered, admitted and refused in the bin of that instant, completed and failed in the bin in which it
/// ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesRow {
    /// The strategy's name.
    pub strategy: String,
    /// Where the bin begins, in seconds since the start of the run.
    pub second: f64,
    /// Requests that arrived.
    pub offered: f64,
    /// Requests that passed limits and queues.
    pub admitted: Option<f64>,
    /// Requests the gateway answered itself, by cause; a cause that is missing is zero.
    pub refused: BTreeMap<Cause, f64>,
    /// Requests answered in full.
    pub completed: f64,
    /// Requests answered with the error of an endpoint.
    pub failed: f64,
    /// Requests admitted and unfinished, mean over the bin.
    pub in_flight: f64,
    /// Requests waiting, mean over the bin.
    pub queued: Option<f64>,
    /// Median TTFT of the answers that began in the bin, in seconds.
    pub ttft_p50: Option<f64>,
    /// 99th percentile of TTFT of the answers that began in the bin, in seconds.
    pub ttft_p99: Option<f64>,
    /// Median E2E of the requests completed in the bin, in seconds.
    pub e2e_p50: Option<f64>,
    /// 99th percentile of E2E of the requests completed in the bin, in seconds.
    pub e2e_p99: Option<f64>,
}

impl SeriesRow {
    /// Refused requests of every cause together.
    #[must_use]
    pub fn refused_total(&self) -> f64 {
        self.refused.values().sum()
    }
}

/// What one endpoint saw in one bin of time; a row of `endpoint_series.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointSeriesRow {
    /// The strategy's name.
    pub strategy: String,
    /// Where the bin begins, in seconds since the start of the run.
    pub second: f64,
    /// The endpoint's name.
    pub endpoint: String,
    /// Attempts launched at it in the bin.
    pub attempts: f64,
    /// Attempts that failed in the bin.
    pub failed: f64,
    /// Share of the bin in which it was available (not ejected), 0 to 1.
    pub available: f64,
}

/// What one tenant got under one strategy; a row of `tenants.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantRow {
    /// The strategy's name.
    pub strategy: String,
    /// The tenant's name.
    pub tenant: String,
    /// Requests that arrived.
    pub offered: f64,
    /// Requests that passed limits and queues.
    pub admitted: Option<f64>,
    /// Requests answered in full.
    pub completed: f64,
    /// Requests the gateway answered itself.
    pub refused: f64,
    /// Requests answered with the error of an endpoint.
    pub failed: f64,
    /// Requests whose client went away.
    pub abandoned: f64,
    /// Prompt and output tokens of completed requests.
    pub tokens: f64,
    /// What its attempts cost in US dollars, when endpoints have prices.
    pub cost_usd: Option<f64>,
}

/// One sampled request; a row of `requests.csv`. Instants are seconds since the start of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRow {
    /// The request's number, the same under every strategy.
    pub id: u64,
    /// The tenant's name.
    pub tenant: String,
    /// The strategy's name.
    pub strategy: String,
    /// When the gateway received it.
    pub arrived: f64,
    /// When it passed limits and queues.
    pub admitted: Option<f64>,
    /// When its first attempt was launched.
    pub launched: Option<f64>,
    /// When its first token was sent to the client.
    pub first_token: Option<f64>,
    /// When it ended, however it ended.
    pub finished: Option<f64>,
    /// Attempts of every kind.
    pub attempts: Option<u32>,
    /// Attempts because an earlier one had failed, in the same pool.
    pub retries: Option<u32>,
    /// Attempts while another was still running.
    pub hedges: Option<u32>,
    /// Attempts in a later pool of the route.
    pub fallbacks: Option<u32>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens sent to the client.
    pub output_tokens: u64,
    /// The endpoint whose answer the client got; empty if none.
    pub endpoint: String,
    /// How it ended: `completed`, `failed`, `abandoned`, or the cause of its refusal.
    pub outcome: String,
}
