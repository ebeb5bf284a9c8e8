//! One side of a twin: what came out, from what was simulated or from the log of the gateway that was live.
//!
//! Both have the same definitions: a request is counted by the instant at which it arrived at the gateway, and an attempt
//! by that at which it was launched, if that is after the warm-up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use tollgate_core::lifecycle::{Ejection, End, Outcome, Refusal};
use tollgate_core::policy::Policy;
use tollgate_core::time::{Instant, Nanos};
use tollgate_reports::result::Metric;
use tollgate_reports::twin::Curve;
use tollgate_sim::record::{Quiet, Record};

use super::sorted::Sorted;
use crate::log::Log;

/// What came out on one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// How often everything happened that did.
    pub counts: BTreeMap<Tally, u64>,
    /// TTFT, TPOT and E2E of completed requests, in seconds.
    pub samples: BTreeMap<Metric, Sorted>,
    /// The first request of each call that was answered by its first attempt, by the call's number.
    pub plain: BTreeMap<u64, Plain>,
}

/// A request with which nothing happened but its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// Who answered.
    pub endpoint: String,
    /// Its E2E, in seconds.
    pub e2e: f64,
    /// Its TTFT, if it was streamed.
    pub ttft: Option<f64>,
}

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// Requests that arrived.
    Offered,
    /// Answered in full.
    Completed,
    /// Refused before any attempt, for this.
    Refused(String),
    /// Failed after attempts, for this.
    Failed(String),
    /// Left by their client.
    Abandoned,
    /// Attempts.
    Attempts,
    /// Those after a failure, in the same pool.
    Retries,
    /// Those beside another.
    Hedges,
    /// Those in a further pool.
    Fallbacks,
    /// Those at this endpoint.
    AttemptsAt(String),
    /// Those that failed at this endpoint.
    FailuresAt(String),
    /// How often this endpoint was taken out of its pool, for this; warm-up included.
    Ejections(String, String),
}

/// The metrics that are compared.
pub const METRICS: [Metric; 3] = [Metric::Ttft, Metric::Tpot, Metric::E2e];

impl Side {
    fn add(&mut self, tally: Tally, count: u64) {
        if 0 < count {
            *self.counts.entry(tally).or_default() += count;
        }
    }

    /// How often something happened.
    #[must_use]
    pub fn count(&self, tally: &Tally) -> u64 {
        self.counts.get(tally).copied().unwrap_or(0)
    }

    /// What one replication left behind, all of whose requests were kept.
    #[must_use]
    pub fn simulated(record: &Record<Quiet>, policy: &Policy, warmup: Nanos) -> Side {
        let mut side = Side::default();
        let mut values = Values::default();
        let mut before = BTreeSet::new();
        for sample in &record.samples {
            let is_first = before.insert(sample.number);
            let outcome = &sample.outcome;
            if outcome.arrived < Instant::EPOCH + warmup {
                continue;
            }
            side.add(Tally::Offered, 1);
            side.add(ended(outcome), 1);
            side.add(Tally::Attempts, outcome.attempts.into());
            side.add(Tally::Retries, outcome.retries.into());
            side.add(Tally::Hedges, outcome.hedges.into());
            side.add(Tally::Fallbacks, outcome.fallbacks.into());
            if outcome.end == End::Completed {
                let secs = |length: Nanos| length.as_secs_f64();
                values.push(outcome.ttft().map(secs), outcome.tpot().map(secs), secs(outcome.e2e()));
                if let Some(endpoint) = outcome.endpoint.filter(|_| is_first && outcome.attempts == 1) {
                    let plain = Plain {
                        endpoint: policy.endpoint(endpoint).name.clone(),
                        e2e: secs(outcome.e2e()),
                        ttft: outcome.ttft().map(secs),
                    };
                    side.plain.insert(sample.number, plain);
                }
            }
        }
        for (endpoint, of) in policy.endpoints.iter().zip(&record.endpoints) {
            side.add(Tally::AttemptsAt(endpoint.name.clone()), of.attempts);
            side.add(Tally::FailuresAt(endpoint.name.clone()), of.failed);
            for ((_, cause), count) in Ejection::ALL.iter().zip(of.ejections) {
                side.add(Tally::Ejections(endpoint.name.clone(), (*cause).to_owned()), count);
            }
        }
        side.samples = values.sorted();
        side
    }

    /// What a gateway has written down whose clock began at `began`, and what its metrics say of ejections.
    #[must_use]
    pub fn live(log: &Log, metrics: &str, began: SystemTime, warmup: Nanos) -> Side {
        let mut side = Side::default();
        let mut values = Values::default();
        let warm = began + Duration::from_nanos(warmup.as_nanos());
        for entry in &log.entries {
            let Some(arrived) = entry.time else { continue };
            let after = |millis: f64| warm <= arrived + Duration::from_secs_f64(millis.max(0.0) / 1e3);
            for lost in &entry.lost {
                if after(lost.launched_ms) {
                    side.add(Tally::AttemptsAt(lost.endpoint.clone()), 1);
                    side.add(
                        Tally::FailuresAt(lost.endpoint.clone()),
                        u64::from(lost.fault.is_some()),
                    );
                }
            }
            if let (Some(endpoint), Some(launched)) = (&entry.endpoint, entry.overhead_ms)
                && entry.end == "completed"
                && after(launched)
            {
                side.add(Tally::AttemptsAt(endpoint.clone()), 1);
            }
            if arrived < warm {
                continue;
            }
            let cause = || entry.cause.clone().unwrap_or_default();
            side.add(Tally::Offered, 1);
            let end = match entry.end.as_str() {
                "completed" => Tally::Completed,
                "refused" => Tally::Refused(cause()),
                "failed" => Tally::Failed(entry.fault.clone().unwrap_or_else(cause)),
                _ => Tally::Abandoned,
            };
            side.add(end, 1);
            side.add(Tally::Attempts, entry.attempts.into());
            side.add(Tally::Retries, entry.retries.into());
            side.add(Tally::Hedges, entry.hedges.into());
            side.add(Tally::Fallbacks, entry.fallbacks.into());
            if entry.end == "completed" {
                let secs = |millis: f64| millis / 1e3;
                values.push(entry.ttft_ms.map(secs), entry.tpot_ms().map(secs), secs(entry.e2e_ms));
                if let (Some(number), Some(endpoint), 1) = (first_of(&entry.id), &entry.endpoint, entry.attempts) {
                    let plain = Plain {
                        endpoint: endpoint.clone(),
                        e2e: secs(entry.e2e_ms),
                        ttft: entry.ttft_ms.map(secs),
                    };
                    side.plain.insert(number, plain);
                }
            }
        }
        for (endpoint, cause, count) in ejections(metrics) {
            side.add(Tally::Ejections(endpoint, cause), count);
        }
        side.samples = values.sorted();
        side
    }
}

/// The distributions of both sides, as they are drawn.
#[must_use]
pub fn curves(simulated: &Side, live: &Side) -> Vec<Curve> {
    let points = |side: &Side, metric| side.samples.get(&metric).map_or_else(Vec::new, Sorted::curve);
    let curve = |metric: Metric| Curve {
        name: match metric {
            Metric::Ttft => "TTFT",
            Metric::Tpot => "TPOT",
            Metric::E2e => "E2E",
            Metric::QueueWait => "queue wait",
            Metric::Overhead => "overhead",
        }
        .to_owned(),
        simulated: points(simulated, metric),
        live: points(live, metric),
    };
    METRICS.map(curve).to_vec()
}

/// The number of the call whose first request is called `id` by the load generator: `load-SEED-REPLICATION-NUMBER-0`.
fn first_of(id: &str) -> Option<u64> {
    let mut words = id.strip_prefix("load-")?.rsplit('-');
    let retries = words.next()?;
    (retries == "0").then(|| words.next()?.parse().ok()).flatten()
}

#[derive(Default)]
struct Values {
    ttft: Vec<f64>,
    tpot: Vec<f64>,
    e2e: Vec<f64>,
}

impl Values {
    fn push(&mut self, ttft: Option<f64>, tpot: Option<f64>, e2e: f64) {
        self.ttft.extend(ttft);
        self.tpot.extend(tpot);
        self.e2e.push(e2e);
    }

    fn sorted(self) -> BTreeMap<Metric, Sorted> {
        let of = [
            (Metric::Ttft, self.ttft),
            (Metric::Tpot, self.tpot),
            (Metric::E2e, self.e2e),
        ];
        of.into_iter()
            .map(|(metric, values)| (metric, Sorted::new(values)))
            .collect()
    }
}

fn ended(outcome: &Outcome) -> Tally {
    match outcome.end {
        End::Completed => Tally::Completed,
        End::Abandoned | End::Open => Tally::Abandoned,
        End::Refused { refusal } => Tally::Refused(refusal.name().to_owned()),
        End::Failed {
            refusal: Refusal::OutOfAttempts { fault, .. },
        } => Tally::Failed(fault.name().to_owned()),
        End::Failed { refusal } => Tally::Failed(refusal.name().to_owned()),
    }
}

/// What `metrics`, as a gateway shows them, say of ejections: endpoint, cause, how often.
fn ejections(metrics: &str) -> Vec<(String, String, u64)> {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("tollgate_ejections_total{"));
    let read = lines.filter_map(|line| {
        let count = line.rsplit_once(' ')?.1.parse().ok()?;
        Some((label(line, "endpoint")?, label(line, "cause")?, count))
    });
    read.collect()
}

impl Tally {
    /// Whether every request or attempt that is counted is one of the offered or attempted ones, so that chance moves the
    /// count as it moves a share.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Tally::Offered)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tally::Offered => f.write_str("requests"),
            Tally::Completed => f.write_str("completed"),
            Tally::Refused(cause) => write!(f, "refused: {cause}"),
            Tally::Failed(cause) => write!(f, "failed: {cause}"),
            Tally::Abandoned => f.write_str("abandoned"),
            Tally::Attempts => f.write_str("attempts"),
            Tally::Retries => f.write_str("retries"),
            Tally::Hedges => f.write_str("hedges"),
            Tally::Fallbacks => f.write_str("fallbacks"),
            Tally::AttemptsAt(endpoint) => write!(f, "attempts at {endpoint}"),
            Tally::FailuresAt(endpoint) => write!(f, "failures at {endpoint}"),
            Tally::Ejections(endpoint, cause) => write!(f, "ejections of {endpoint}: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_log_is_counted_from_the_warm_up_on() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let line = |at: &str, rest: &str| format!("{{\"time\":\"1970-01-12T13:46:{at}Z\",{rest}}}\n");
        let lost = r#""lost":[{"endpoint":"b","launched_ms":0.2,"fault":"server"}]"#;
        let text = [
            line(
                "41.000",
                r#""end":"completed","endpoint":"a","overhead_ms":0.1,"e2e_ms":5.0,"attempts":1"#,
            ),
            line(
                "43.000",
                &format!(
                    r#""end":"completed","endpoint":"a","overhead_ms":1.1,"e2e_ms":50.0,"attempts":2,"retries":1,{lost}"#
                ),
            ),
            line("44.000", r#""end":"refused","cause":"limited""#),
            line(
                "44.500",
                &format!(r#""end":"failed","cause":"out_of_attempts","fault":"server","attempts":1,{lost}"#),
            ),
        ];
        let mut log = Log::default();
        log.read(text.concat().as_bytes(), Path::new("log")).expect("bytes");
        let metrics = "# TYPE x\ntollgate_ejections_total{endpoint=\"a\",cause=\"tripped\"} 2\n\
                       tollgate_ejections_total{endpoint=\"b\",cause=\"outlier\"} 0\n";
        let side = Side::live(&log, metrics, began, Nanos::from_secs(2));
        let expected = [
            (Tally::Offered, 3),
            (Tally::Completed, 1),
            (Tally::Refused("limited".into()), 1),
            (Tally::Failed("server".into()), 1),
            (Tally::Attempts, 3),
            (Tally::Retries, 1),
            (Tally::AttemptsAt("a".into()), 1),
            (Tally::AttemptsAt("b".into()), 2),
            (Tally::FailuresAt("b".into()), 2),
            (Tally::Ejections("a".into(), "tripped".into()), 2),
        ];
        assert_eq!(side.counts, BTreeMap::from(expected));
        assert_eq!(side.samples[&Metric::E2e].values(), [0.05]);
    }
}
