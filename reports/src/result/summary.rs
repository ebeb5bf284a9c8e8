//! `summary.json` as types: the conditions of a run and the figures of each strategy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{WriteError, number};

/// What one run compared, under which conditions, and what came out.
///
/// The fields serialise in this order to `summary.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The version that made the set, such as `0.1.0`.
    pub tollgate: String,
    /// The name of the scenario.
    pub scenario: String,
    /// Hash over the scenario, so that two sets can be known to answer the same question.
    pub scenario_hash: String,
    /// The root of all randomness.
    pub seed: u64,
    /// How many replications were completed; counts are means over them.
    pub replications: u32,
    /// Length of one replication in seconds of virtual (or, when measured, real) time.
    #[serde(serialize_with = "number::finite")]
    pub simulated_seconds: f64,
    /// How long the run took in real seconds. Differs between runs of one seed.
    #[serde(serialize_with = "number::maybe")]
    pub wall_seconds: Option<f64>,
    /// Simulated requests per real second, over all strategies. Differs between runs of one seed.
    #[serde(serialize_with = "number::whole_maybe")]
    pub requests_per_wall_second: Option<f64>,
    /// Whether the numbers were simulated or measured.
    pub mode: Mode,
    /// The question the scenario asks, in one line.
    pub question: Option<String>,
    /// Seconds at the beginning that every count leaves out.
    #[serde(serialize_with = "number::finite")]
    pub warmup_seconds: f64,
    /// The trace that was replayed, by name.
    pub trace: Option<String>,
    /// What a reader must know beside the numbers, such as "stopped after 3 of 5 replications".
    pub notes: Vec<String>,
    /// One entry a strategy, in the order of the scenario.
    pub strategies: Vec<StrategySummary>,
}

/// Where the numbers of a result set come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Virtual time.
    #[default]
    Simulated,
    /// Real time against a real endpoint.
    Measured,
    /// Both, side by side as strategies.
    Twin,
}

/// The figures of one strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StrategySummary {
    /// The strategy's name; unique within a summary.
    pub name: String,
    /// Hash over its policy.
    pub policy_hash: String,
    /// What people wanted: a client's retry is a further request of the same call.
    #[serde(serialize_with = "number::count")]
    pub calls: f64,
    /// The requests and how they ended.
    pub requests: RequestCounts,
    /// Tries at endpoints, by every cause (first, retry, hedge, fallback); `None` where nobody saw them.
    #[serde(serialize_with = "number::whole_maybe")]
    pub attempts: Option<f64>,
    /// Attempts over calls.
    #[serde(serialize_with = "number::maybe")]
    pub amplification: Option<f64>,
    /// From receiving a request to its last token.
    pub e2e: Latency,
    /// From receiving a request to its first token.
    pub ttft: Latency,
    /// Seconds per output token after the first.
    pub tpot: Latency,
    /// Time spent queued.
    pub queue_wait: Latency,
    /// E2E minus the winning attempt's time.
    pub overhead: Latency,
    /// Completed requests per second.
    #[serde(serialize_with = "number::maybe")]
    pub throughput: Option<f64>,
    /// Requests per second that met all their targets.
    #[serde(serialize_with = "number::maybe")]
    pub goodput: Option<f64>,
    /// Share of calls that met all their targets, 0 to 1; refused, failed and abandoned ones are misses.
    #[serde(serialize_with = "number::maybe")]
    pub attainment: Option<f64>,
    /// Jain's fairness index over tenants, 0 to 1.
    #[serde(serialize_with = "number::maybe")]
    pub fairness: Option<f64>,
    /// What the attempts cost, in US dollars, when endpoints have prices.
    #[serde(serialize_with = "number::maybe")]
    pub cost_usd: Option<f64>,
    /// Tokens paid for and thrown away by hedges and retries.
    #[serde(serialize_with = "number::whole_maybe")]
    pub wasted_tokens: Option<f64>,
    /// 95 % confidence intervals `[low, high]` by the name of the figure, such as `e2e.p99` or `attainment`.
    #[serde(serialize_with = "number::intervals")]
    pub ci95: BTreeMap<String, [f64; 2]>,
    /// One entry an endpoint, in the order of the policy.
    pub endpoints: Vec<EndpointSummary>,
    /// One entry a fault window, in order of time.
    pub faults: Vec<FaultWindow>,
    /// What only a client measures, in a set that was measured; absent from one that was simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSummary>,
}

/// What only a client measures: how it kept to its plan, and what streams looked like as they arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientSummary {
    /// Requests that the plan wanted sent, warm-up included.
    #[serde(serialize_with = "number::count")]
    pub intended: f64,
    /// Those that were sent.
    #[serde(serialize_with = "number::count")]
    pub sent: f64,
    /// From the intended start of a request to the instant at which it was sent. It is part of every other latency.
    pub send_lag: Latency,
    /// From the intended start to the first byte of an answer, streamed or not.
    pub first_byte: Latency,
    /// Between one token of a stream and the next.
    pub itl: Latency,
    /// Tokens of completed answers per second.
    #[serde(serialize_with = "number::maybe")]
    pub output_tokens_per_second: Option<f64>,
    /// Connections that were opened.
    #[serde(serialize_with = "number::count")]
    pub connections: f64,
    /// Most requests that were open at once.
    #[serde(serialize_with = "number::count")]
    pub most_in_flight: f64,
    /// Requests that failed, by what the client saw.
    #[serde(serialize_with = "number::named_counts")]
    pub failures: BTreeMap<String, f64>,
}

/// Requests and how they ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestCounts {
    /// All that arrived after the warm-up.
    #[serde(serialize_with = "number::count")]
    pub offered: f64,
    /// Those that passed limits and queues; `None` where nobody saw it.
    #[serde(serialize_with = "number::whole_maybe")]
    pub admitted: Option<f64>,
    /// Those answered in full.
    #[serde(serialize_with = "number::count")]
    pub completed: f64,
    /// Those answered with the error of an endpoint.
    #[serde(serialize_with = "number::count")]
    pub failed: f64,
    /// Those whose client went away.
    #[serde(serialize_with = "number::count")]
    pub abandoned: f64,
    /// Those the gateway answered itself, by cause; causes that never happened are left out.
    #[serde(serialize_with = "number::counts")]
    pub refused: BTreeMap<Cause, f64>,
}

/// Why the gateway answered a request itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Over a limit.
    Limited,
    /// The wait queue had no room.
    QueueFull,
    /// Waited as long as the policy allows.
    QueueTimeout,
    /// Refused because of overload.
    Shed,
    /// No endpoint was available.
    NoEndpoint,
    /// No route matched.
    NoRoute,
    /// Every attempt the policy allows had failed.
    OutOfAttempts,
    /// The deadline passed.
    Deadline,
    /// Larger than the limit can ever hold.
    TooLarge,
    /// No valid key.
    Unauthorized,
}

/// A latency distribution in seconds; `None` where nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Arithmetic mean.
    #[serde(serialize_with = "number::maybe")]
    pub mean: Option<f64>,
    /// Median.
    #[serde(serialize_with = "number::maybe")]
    pub p50: Option<f64>,
    /// 90th percentile.
    #[serde(serialize_with = "number::maybe")]
    pub p90: Option<f64>,
    /// 95th percentile.
    #[serde(serialize_with = "number::maybe")]
    pub p95: Option<f64>,
    /// 99th percentile.
    #[serde(serialize_with = "number::maybe")]
    pub p99: Option<f64>,
    /// 99.9th percentile.
    #[serde(serialize_with = "number::maybe")]
    pub p999: Option<f64>,
    /// The largest.
    #[serde(serialize_with = "number::maybe")]
    pub max: Option<f64>,
}

/// What one endpoint saw under one strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSummary {
    /// The endpoint's name.
    pub name: String,
    /// Attempts it was given.
    #[serde(serialize_with = "number::count")]
    pub attempts: f64,
    /// Attempts that failed.
    #[serde(serialize_with = "number::count")]
    pub failed: f64,
    /// Busy share of its permits or replica, 0 to 1; `None` if unbounded.
    #[serde(serialize_with = "number::maybe")]
    pub utilization: Option<f64>,
    /// Seconds it was ejected from its pool.
    #[serde(serialize_with = "number::finite")]
    pub ejected_seconds: f64,
    /// Its share of the strategy's attempts, 0 to 1.
    #[serde(serialize_with = "number::maybe")]
    pub share: Option<f64>,
    /// What its attempts cost in US dollars, when it has a price.
    #[serde(serialize_with = "number::maybe")]
    pub cost_usd: Option<f64>,
}

/// One fault and what it cost under one strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultWindow {
    /// The backend that failed.
    pub backend: String,
    /// The kind of fault, kebab-case as in the scenario, such as `outage`.
    pub kind: String,
    /// When it began, seconds since the start of the run.
    #[serde(serialize_with = "number::finite")]
    pub start: f64,
    /// When it ended, seconds since the start of the run.
    #[serde(serialize_with = "number::finite")]
    pub end: f64,
    /// Requests that failed in the window.
    #[serde(serialize_with = "number::count")]
    pub failed: f64,
    /// Requests refused in the window.
    #[serde(serialize_with = "number::count")]
    pub refused: f64,
    /// Of these, those over a limit of the policy, in which the fault has no part.
    #[serde(serialize_with = "number::count")]
    pub limited: f64,
    /// Requests in the window whose client went away.
    #[serde(serialize_with = "number::count")]
    pub abandoned: f64,
    /// The 99th percentile of E2E in the window, in seconds.
    #[serde(serialize_with = "number::maybe")]
    pub p99: Option<f64>,
    /// Attainment in the window.
    #[serde(serialize_with = "number::maybe")]
    pub attainment: Option<f64>,
    /// Seconds after the window's end until p99 and attainment were back within 10 % of before; `None` if they never
    /// were.
    #[serde(serialize_with = "number::maybe")]
    pub recovery_seconds: Option<f64>,
}

impl FaultWindow {
    /// Requests that the fault cost: failed, abandoned, or refused for another reason than a limit.
    #[must_use]
    pub fn lost(&self) -> f64 {
        self.failed + self.abandoned + self.turned_away()
    }

    /// Requests that the gateway refused because it could not serve them.
    #[must_use]
    pub fn turned_away(&self) -> f64 {
        (self.refused - self.limited).max(0.0)
    }
}

impl Summary {
    /// The text of `summary.json`, ending in a newline.
    ///
    /// # Errors
    ///
    /// When a count or a duration that must be defined is not finite.
    pub fn to_json(&self) -> Result<String, WriteError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| WriteError::Undefined {
            file: "summary.json".into(),
            cause: error.to_string(),
        })?;
        text.push('\n');
        Ok(text)
    }

    /// The strategy of that name.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<&StrategySummary> {
        self.strategies.iter().find(|strategy| strategy.name == name)
    }

    /// One file-name stem per strategy, in order: lower-case ASCII letters, digits and hyphens, unique.
    #[must_use]
    pub fn slugs(&self) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        for (i, strategy) in self.strategies.iter().enumerate() {
            let mut slug = slug(&strategy.name);
            if slug.is_empty() {
                slug = format!("strategy-{}", i + 1);
            }
            let stem = slug.clone();
            let mut n = 2;
            while taken.contains(&slug) {
                slug = format!("{stem}-{n}");
                n += 1;
            }
            taken.push(slug);
        }
        taken
    }
}

fn slug(name: &str) -> String {
    const LONGEST: usize = 60;

    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == LONGEST {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

impl RequestCounts {
    /// Refused requests of every cause together.
    #[must_use]
    pub fn refused_total(&self) -> f64 {
        self.refused.values().sum()
    }
}

impl Cause {
    /// Every cause, in the order used everywhere.
    pub const ALL: [Cause; 10] = [
        Cause::Limited,
        Cause::QueueFull,
        Cause::QueueTimeout,
        Cause::Shed,
        Cause::NoEndpoint,
        Cause::NoRoute,
        Cause::OutOfAttempts,
        Cause::Deadline,
        Cause::TooLarge,
        Cause::Unauthorized,
    ];

    /// The cause as it stands in files, such as `queue_full`.
    ///
    /// ```
    /// use tollgate_reports::result::Cause;
    ///
    /// assert_eq!(Cause::OutOfAttempts.name(), "out_of_attempts");
    /// assert_eq!("queue_full".parse(), Ok(Cause::QueueFull));
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Limited => "limited",
            Cause::QueueFull => "queue_full",
            Cause::QueueTimeout => "queue_timeout",
            Cause::Shed => "shed",
            Cause::NoEndpoint => "no_endpoint",
            Cause::NoRoute => "no_route",
            Cause::OutOfAttempts => "out_of_attempts",
            Cause::Deadline => "deadline",
            Cause::TooLarge => "too_large",
            Cause::Unauthorized => "unauthorized",
        }
    }
}

impl std::str::FromStr for Cause {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Cause::ALL
            .into_iter()
            .find(|cause| cause.name() == name)
            .ok_or_else(|| format!("`{name}` is not a cause of refusal"))
    }
}
