//! From records to the result set that a report is drawn from: means over replications, and how sure they are.

use std::collections::BTreeMap;

use tollgate_core::lifecycle::{End, Refusal};
use tollgate_core::time::{Instant, Nanos};
use tollgate_reports::result::{
    Cause, EndpointSeriesRow, EndpointSummary, FaultWindow, Latency, Metric, NamedHistogram, RequestCounts, RequestRow,
    ResultSet, SeriesRow, StrategySummary, Summary, TenantRow,
};

use super::figures::{attainment, fairness, float, lost_in_faults, no_answer, share, utilization};
use super::interval::t_interval;
use super::outage::{Moment, average, recovery};
use super::run::{Comparison, Replicated, Strategy};
use crate::engine::Plan;
use crate::record::{Bin, Latencies, Quiet, Record, Sample, Track};

/// The conditions of a comparison, as a reader of its results needs them.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// The version that ran.
    pub tollgate: String,
    /// The name of the scenario.
    pub scenario: String,
    /// Hash over the scenario.
    pub scenario_hash: String,
    /// The question that it asks.
    pub question: Option<String>,
    /// The trace that was replayed.
    pub trace: Option<String>,
    /// The root of all randomness.
    pub seed: u64,
    /// How long it took, in real seconds.
    pub wall_seconds: f64,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
}

type Records = [Record<Quiet>];

/// The result set of a comparison.
#[must_use]
pub fn result_set(conditions: &Conditions, strategies: &[Strategy], comparison: &Comparison) -> ResultSet {
    let runs: Vec<Run<'_>> = strategies.iter().zip(&comparison.strategies).map(Run::new).collect();
    let first = runs.first().and_then(|run| run.records.first());
    let wall = conditions.wall_seconds;
    let requests = float(comparison.requests());
    let summary = Summary {
        tollgate: conditions.tollgate.clone(),
        scenario: conditions.scenario.clone(),
        scenario_hash: conditions.scenario_hash.clone(),
        seed: conditions.seed,
        replications: u32::try_from(comparison.replications()).unwrap_or(u32::MAX),
        simulated_seconds: first.map_or(0.0, |record| record.horizon.as_secs_f64()),
        wall_seconds: Some(wall),
        requests_per_wall_second: (0.0 < wall).then(|| requests / wall),
        question: conditions.question.clone(),
        warmup_seconds: strategies
            .first()
            .map_or(0.0, |strategy| strategy.plan.warmup.as_secs_f64()),
        trace: conditions.trace.clone(),
        notes: conditions.notes.clone(),
        strategies: runs.iter().map(Run::summary).collect(),
        ..Summary::default()
    };
    ResultSet {
        summary,
        bin_seconds: runs.iter().map(|run| run.width().as_secs_f64()).fold(1.0, f64::max),
        series: runs.iter().flat_map(Run::series).collect(),
        endpoint_series: runs.iter().flat_map(Run::endpoint_series).collect(),
        tenants: runs.iter().flat_map(Run::tenants).collect(),
        histograms: runs.iter().flat_map(Run::histograms).collect(),
        requests: runs.iter().flat_map(Run::requests).collect(),
    }
}

/// One strategy and what its replications left behind.
struct Run<'a> {
    name: &'a str,
    plan: &'a Plan,
    records: &'a Records,
    pooled: Option<Latencies>,
}

impl<'a> Run<'a> {
    fn new((strategy, replicated): (&'a Strategy, &'a Replicated)) -> Run<'a> {
        let pooled = replicated
            .records
            .iter()
            .map(|record| record.latencies.clone())
            .reduce(|mut sum, more| {
                sum.add(&more);
                sum
            });
        Run {
            name: &strategy.name,
            plan: &strategy.plan,
            records: &replicated.records,
            pooled,
        }
    }

    fn summary(&self) -> StrategySummary {
        let rate = |count: fn(&Record<Quiet>) -> u64| self.mean(|record| self.per_second(record, count(record)));
        StrategySummary {
            name: self.name.to_owned(),
            policy_hash: self.plan.policy.hash.to_string(),
            calls: self.count(|record| record.calls),
            requests: self.requests_counted(),
            attempts: Some(self.count(|record| record.attempts)),
            amplification: self.mean(|record| share(record.attempts, record.calls)),
            e2e: self.latency(|latencies| &latencies.e2e),
            ttft: self.latency(|latencies| &latencies.ttft),
            tpot: self.latency(|latencies| &latencies.tpot),
            queue_wait: self.latency(|latencies| &latencies.queue_wait),
            overhead: self.latency(|latencies| &latencies.overhead),
            throughput: rate(|record| record.counts.completed),
            goodput: rate(|record| record.attained),
            attainment: self.mean(attainment),
            fairness: self.mean(fairness),
            cost_usd: self.mean(|record| record.cost),
            wasted_tokens: Some(self.count(|record| record.wasted_tokens)),
            ci95: self.intervals(),
            endpoints: self.endpoints(),
            faults: self.faults(),
            client: None,
        }
    }

    /// `count` over the time that is counted.
    fn per_second(&self, record: &Record<Quiet>, count: u64) -> Option<f64> {
        let seconds = (record.horizon - self.plan.warmup).as_secs_f64();
        (0.0 < seconds).then(|| float(count) / seconds)
    }

    fn requests_counted(&self) -> RequestCounts {
        let refused = Cause::ALL.into_iter().map(|cause| {
            let at = Refusal::CAUSES.iter().position(|name| *name == cause.name());
            let at = at.expect("reports and core name the same causes");
            (cause, self.count(|record| record.counts.refused[at]))
        });
        RequestCounts {
            offered: self.count(|record| record.counts.offered),
            admitted: Some(self.count(|record| record.counts.admitted)),
            completed: self.count(|record| record.counts.completed),
            failed: self.count(|record| record.counts.failed),
            abandoned: self.count(|record| record.counts.abandoned),
            refused: refused.filter(|(_, count)| 0.0 < *count).collect(),
        }
    }

    /// The distribution over all replications together.
    fn latency(&self, of: impl Fn(&Latencies) -> &Track) -> Latency {
        self.pooled.as_ref().map(of).map_or(Latency::default(), Track::figures)
    }

    fn intervals(&self) -> BTreeMap<String, [f64; 2]> {
        let mut intervals = BTreeMap::new();
        let mut add = |name: &str, of: &dyn Fn(&Record<Quiet>) -> Option<f64>| {
            let values: Option<Vec<f64>> = self.records.iter().map(of).collect();
            if let Some(interval) = values.and_then(|values| t_interval(&values)) {
                intervals.insert(name.to_owned(), interval);
            }
        };
        for (name, quantile) in [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
            ("p999", 0.999),
        ] {
            add(&format!("e2e.{name}"), &|record| {
                record.latencies.e2e.quantile(quantile)
            });
            add(&format!("ttft.{name}"), &|record| {
                record.latencies.ttft.quantile(quantile)
            });
        }
        add("e2e.mean", &|record| record.latencies.e2e.mean());
        add("ttft.mean", &|record| record.latencies.ttft.mean());
        add("tpot.mean", &|record| record.latencies.tpot.mean());
        add("queue_wait.mean", &|record| record.latencies.queue_wait.mean());
        add("attainment", &attainment);
        add("amplification", &|record| share(record.attempts, record.calls));
        add("requests.completed", &|record| Some(float(record.counts.completed)));
        add("requests.failed", &|record| Some(float(record.counts.failed)));
        add("cost_usd", &|record| record.cost);
        add("goodput", &|record| self.per_second(record, record.attained));
        add("fairness", &fairness);
        add("wasted_tokens", &|record| Some(float(record.wasted_tokens)));
        add("no_answer", &no_answer);
        add("lost_in_faults", &lost_in_faults);
        intervals
    }

    fn endpoints(&self) -> Vec<EndpointSummary> {
        let all = self.count(|record| record.attempts);
        let summary = |(at, endpoint): (usize, &tollgate_core::policy::Endpoint)| {
            let attempts = self.count(|record| record.endpoints[at].attempts);
            EndpointSummary {
                name: endpoint.name.clone(),
                attempts,
                failed: self.count(|record| record.endpoints[at].failed),
                utilization: self.mean(|record| utilization(record, at)),
                ejected_seconds: self.count(|record| record.endpoints[at].ejected) / 1e9,
                share: (0.0 < all).then(|| attempts / all),
                cost_usd: self.plan.prices[at].and_then(|_| self.mean(|record| Some(record.endpoints[at].cost))),
            }
        };
        self.plan.policy.endpoints.iter().enumerate().map(summary).collect()
    }

    fn faults(&self) -> Vec<FaultWindow> {
        let Some(first) = self.records.first() else {
            return Vec::new();
        };
        let moments = self.moments();
        let bin = self.width().as_secs_f64();
        let window = |(at, fault): (usize, &crate::record::FaultRecord)| {
            let pooled = self
                .records
                .iter()
                .map(|record| record.faults[at].e2e.clone())
                .reduce(|mut sum, more| {
                    sum.add(&more);
                    sum
                });
            FaultWindow {
                backend: fault.backend.clone(),
                kind: fault.kind.to_owned(),
                start: fault.start.as_secs_f64(),
                end: fault.end.as_secs_f64(),
                failed: self.count(|record| record.faults[at].failed),
                refused: self.count(|record| record.faults[at].refused),
                limited: self.count(|record| record.faults[at].limited),
                abandoned: self.count(|record| record.faults[at].abandoned),
                p99: pooled.and_then(|track| track.quantile(0.99)),
                attainment: self.mean(|record| share(record.faults[at].attained, record.faults[at].calls)),
                recovery_seconds: recovery(
                    &moments,
                    self.bin_of(Instant::EPOCH + self.plan.warmup),
                    self.bin_of(fault.start),
                    self.bin_of(fault.end),
                    bin,
                ),
            }
        };
        first.faults.iter().enumerate().map(window).collect()
    }

    /// Bins averaged over replications, up to the end of arrivals.
    ///
    /// The latency is TTFT where answers are streamed: E2E tells of a bin what began long before it.
    fn moments(&self) -> Vec<Moment> {
        let streams = self.pooled.as_ref().is_some_and(|pooled| 0 < pooled.ttft.count());
        let p99 = |bin: &Bin| f64::from(if streams { bin.ttft[1] } else { bin.e2e[1] });
        let horizon = self.records.first().map_or(Nanos::ZERO, |record| record.horizon);
        let bins = self.bin_of(Instant::EPOCH + horizon);
        let moment = |at: usize| Moment {
            p99: average(self.bins(at).map(p99).filter(|p99| !p99.is_nan())),
            attainment: average(
                self.bins(at)
                    .filter_map(|bin| share(bin.attained.into(), bin.calls.into())),
            ),
        };
        (0..bins).map(moment).collect()
    }

    fn series(&self) -> Vec<SeriesRow> {
        let width = self.width();
        let row = |at: usize| {
            let count = |of: fn(&Bin) -> u64| self.average_bin(at, of);
            let latency = |of: fn(&Bin) -> f32| {
                average(
                    self.bins(at)
                        .map(|bin| f64::from(of(bin)))
                        .filter(|value| !value.is_nan()),
                )
            };
            let refused = Cause::ALL.into_iter().enumerate().map(|(cause, name)| {
                let bins = self.bins(at).map(|bin| f64::from(bin.refused[cause]));
                (name, bins.sum::<f64>() / float(self.records.len() as u64))
            });
            SeriesRow {
                strategy: self.name.to_owned(),
                second: (width * at as u64).as_secs_f64(),
                offered: count(|bin| bin.offered.into()),
                admitted: Some(count(|bin| bin.admitted.into())),
                refused: refused.filter(|(_, count)| 0.0 < *count).collect(),
                completed: count(|bin| bin.completed.into()),
                failed: count(|bin| bin.failed.into()),
                in_flight: count(|bin| bin.in_flight) / float(width.as_nanos()),
                queued: Some(count(|bin| bin.queued) / float(width.as_nanos())),
                ttft_p50: latency(|bin| bin.ttft[0]),
                ttft_p99: latency(|bin| bin.ttft[1]),
                e2e_p50: latency(|bin| bin.e2e[0]),
                e2e_p99: latency(|bin| bin.e2e[1]),
            }
        };
        (0..self.n_bins()).map(row).collect()
    }

    fn endpoint_series(&self) -> Vec<EndpointSeriesRow> {
        let width = self.width();
        let mut rows = Vec::new();
        for at in 0..self.n_bins() {
            for (number, endpoint) in self.plan.policy.endpoints.iter().enumerate() {
                let bins = || {
                    let lists = self
                        .records
                        .iter()
                        .filter_map(move |record| record.bins.endpoints.get(number));
                    lists.filter_map(move |list| list.get(at))
                };
                if self.records.iter().all(|record| record.bins.endpoints.is_empty()) {
                    continue;
                }
                let n = float(self.records.len() as u64);
                let out = bins().map(|bin| float(bin.ejected)).sum::<f64>() / n / float(width.as_nanos());
                rows.push(EndpointSeriesRow {
                    strategy: self.name.to_owned(),
                    second: (width * at as u64).as_secs_f64(),
                    endpoint: endpoint.name.clone(),
                    attempts: bins().map(|bin| f64::from(bin.attempts)).sum::<f64>() / n,
                    failed: bins().map(|bin| f64::from(bin.failed)).sum::<f64>() / n,
                    available: (1.0 - out).clamp(0.0, 1.0),
                });
            }
        }
        rows
    }

    fn tenants(&self) -> Vec<TenantRow> {
        let priced = self.plan.prices.iter().any(Option::is_some);
        let row = |(at, tenant): (usize, &crate::workload::Tenant)| TenantRow {
            strategy: self.name.to_owned(),
            tenant: tenant.name.clone(),
            offered: self.count(|record| record.tenants[at].offered),
            admitted: Some(self.count(|record| record.tenants[at].admitted)),
            completed: self.count(|record| record.tenants[at].completed),
            refused: self.count(|record| record.tenants[at].refused),
            failed: self.count(|record| record.tenants[at].failed),
            abandoned: self.count(|record| record.tenants[at].abandoned),
            tokens: self.count(|record| record.tenants[at].tokens),
            cost_usd: priced
                .then(|| self.mean(|record| Some(record.tenants[at].cost)))
                .flatten(),
        };
        self.plan.workload.tenants().iter().enumerate().map(row).collect()
    }

    fn histograms(&self) -> Vec<NamedHistogram> {
        let Some(pooled) = &self.pooled else {
            return Vec::new();
        };
        let track = |metric| match metric {
            Metric::E2e => &pooled.e2e,
            Metric::Ttft => &pooled.ttft,
            Metric::Tpot => &pooled.tpot,
            Metric::QueueWait => &pooled.queue_wait,
            Metric::Overhead => &pooled.overhead,
        };
        let named = |metric| NamedHistogram::new(self.name, metric, &track(metric).histogram());
        Metric::ALL
            .into_iter()
            .filter(|metric| 0 < track(*metric).count())
            .map(named)
            .collect()
    }

    /// The requests of the first replication that were kept whole.
    fn requests(&self) -> Vec<RequestRow> {
        let samples = self.records.first().map_or(&[][..], |record| &record.samples);
        samples.iter().map(|sample| self.request(sample)).collect()
    }

    fn request(&self, sample: &Sample) -> RequestRow {
        let outcome = &sample.outcome;
        let at = |instant: Instant| (!instant.is_far()).then(|| instant.as_secs_f64());
        RequestRow {
            id: sample.number,
            tenant: self.plan.workload.tenants()[sample.tenant as usize].name.clone(),
            strategy: self.name.to_owned(),
            arrived: outcome.arrived.as_secs_f64(),
            admitted: at(outcome.admitted),
            launched: at(outcome.launched),
            first_token: at(outcome.first_token),
            finished: at(outcome.finished),
            attempts: Some(outcome.attempts.into()),
            retries: Some(outcome.retries.into()),
            hedges: Some(outcome.hedges.into()),
            fallbacks: Some(outcome.fallbacks.into()),
            prompt_tokens: outcome.usage.input.into(),
            output_tokens: outcome.usage.output.into(),
            endpoint: outcome
                .endpoint
                .map_or_else(String::new, |id| self.plan.policy.endpoint(id).name.clone()),
            outcome: match outcome.end {
                End::Completed => "completed",
                End::Failed { .. } => "failed",
                End::Refused { refusal } => refusal.name(),
                End::Abandoned | End::Open => "abandoned",
            }
            .to_owned(),
        }
    }

    /// The mean of a count over replications.
    fn count(&self, of: impl Fn(&Record<Quiet>) -> u64) -> f64 {
        average(self.records.iter().map(|record| float(of(record)))).unwrap_or(0.0)
    }

    /// The mean over the replications in which it is defined.
    fn mean(&self, of: impl Fn(&Record<Quiet>) -> Option<f64>) -> Option<f64> {
        average(self.records.iter().filter_map(of))
    }

    fn width(&self) -> Nanos {
        self.records
            .iter()
            .map(|record| record.bins.width)
            .max()
            .unwrap_or(Nanos::from_secs(1))
    }

    fn n_bins(&self) -> usize {
        self.records
            .iter()
            .map(|record| record.bins.list.len())
            .max()
            .unwrap_or(0)
    }

    fn bins(&self, at: usize) -> impl Iterator<Item = &Bin> {
        self.records.iter().filter_map(move |record| record.bins.list.get(at))
    }

    fn average_bin(&self, at: usize, of: impl Fn(&Bin) -> u64) -> f64 {
        self.bins(at).map(|bin| float(of(bin))).sum::<f64>() / float(self.records.len() as u64)
    }

    fn bin_of(&self, at: Instant) -> usize {
        usize::try_from(at.as_nanos() / self.width().as_nanos()).unwrap_or(usize::MAX)
    }
}
