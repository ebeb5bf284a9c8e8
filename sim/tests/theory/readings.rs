//! From a run back to the metric of its case.

use tollgate_core::lifecycle::{End, Outcome, Refusal};

use crate::case::{Case, Reading};
use crate::models::WARM_QUOTA;
use crate::setup::{Run, as_f64, wide_as_f64};
use crate::storms;

/// The metric of `case` in `run`.
pub(crate) fn measure(case: &Case, way: &str, run: &Run) -> Reading {
    if let Some(reading) = storms::measure(case, way, run) {
        return reading;
    }
    let record = &run.record;
    let (watch, latencies) = (&record.observer, &record.latencies);
    let mean_response = || latencies.e2e.mean().expect("requests were completed");
    let offered = as_f64(record.counts.offered);
    let number = match case.metric.as_str() {
        "mean_wait" if case.id.starts_with("dev-prio") => wait_of_class(case, run),
        // Behind a gateway without a queue, what is not service is waiting.
        "mean_wait" | "mean_wait_accepted" if is_at_backend(run) => mean_response() - mean_service(run),
        "mean_wait" | "mean_wait_accepted" => latencies.queue_wait.mean().expect("requests were completed"),
        "wait_p99" if is_at_backend(run) => {
            let response = latencies.e2e.quantile(0.99).expect("requests were completed");
            response - case.number("service_const")
        }
        "wait_p99" => latencies.queue_wait.quantile(0.99).expect("requests were completed"),
        "P(wait>0)" => as_f64(watch.waited) / as_f64(watch.finished),
        // Waiting says nothing about one's own service, so E[T^2] = E[W^2] + 2 E[W] E[S] + E[S^2]; E[S^2] = 2 E[S]^2.
        "E[wait^2]" => watch.squares / as_f64(watch.finished) - 2.0 * (mean_response() - 1.0) - 2.0,
        "mean_response" | "mean" => mean_response(),
        "response_p50" | "p50" => latencies.e2e.quantile(0.5).expect("requests were completed"),
        "response_p95" | "p95" => latencies.e2e.quantile(0.95).expect("requests were completed"),
        "response_p99" | "p99" => latencies.e2e.quantile(0.99).expect("requests were completed"),
        "response_p99.9" => latencies.e2e.quantile(0.999).expect("requests were completed"),
        "P(N>=5)" => watch.system.at_least(5),
        "P(N>=3)" => watch.system.at_least(3),
        "P(both idle)" => 1.0 - watch.system.at_least(1),
        // Whoever is refused does not stay, so who is there has a permit; and far more ask than there are permits.
        "mean_concurrency" | "average_limit" => watch.system.mean(),
        "concurrency_p99_time_average" => {
            as_f64(u64::try_from(watch.system.quantile(0.99)).expect("a number of requests"))
        }
        "peak_concurrency" => watch.cycle.as_ref().expect("the cycle is watched").peak(),
        "P(reject)" => 1.0 - as_f64(record.counts.completed) / offered,
        "throughput" => case.number("lambda_") * as_f64(record.counts.completed) / offered,
        "P(abandon)" => as_f64(watch.left_queue) / as_f64(watch.finished),
        "fraction_of_servers_with_queue>=2" => watch.endpoints.share(2),
        "fraction_of_servers_with_queue>=3" => watch.endpoints.share(3),
        "fraction_of_servers_with_queue>=4" => watch.endpoints.share(4),
        "share_of_traffic_to_failing_replica" | "max_share_of_traffic_to_failing_server" => share_of(run, 0..1),
        "share_of_requests_to_fast_servers" => share_of(run, 0..10),
        // Demand on slow servers over what they can serve.
        "load_on_slow_servers" => {
            let rate = case.number("load")
                * (case.number("fast") * case.number("mu_fast") + case.number("slow") * case.number("mu_slow"));
            rate * share_of(run, 10..20) / (case.number("slow") * case.number("mu_slow"))
        }
        // All are busy all the time if the balancer can use what is there.
        "max stable load (lambda / total capacity)" => watch.endpoints.share(1),
        "max_admitted_in_[0,T]"
        | "max_admitted_in_any_interval_of_length_W"
        | "max_true_count_in_any_window_at_fraction_f=0.9" => as_f64(record.counts.admitted),
        "admitted_requests_per_min_long_run" => {
            as_f64(record.counts.completed) / (record.horizon.as_secs_f64() - WARM_QUOTA) * 60.0
        }
        "mean_rate" => as_f64(record.begun) / record.horizon.as_secs_f64(),
        "iat_cv" => watch.gaps.variance().sqrt() / watch.gaps.mean(),
        metric if metric.starts_with("index_of_dispersion") => {
            let spread = &watch.windows[0].spread;
            spread.variance() / spread.mean()
        }
        "pick_sequence" => return Reading::Numbers(picks(run)),
        "allowed(1/0)" => return Reading::Numbers(decisions(run, |end, _| f64::from(u8::from(end == End::Completed)))),
        "retry_after_s" => {
            return Reading::Numbers(decisions(run, |end, arrived| match end {
                End::Refused {
                    refusal: Refusal::Limited { until, .. },
                } => until.since(arrived).as_secs_f64(),
                End::Open | End::Completed | End::Failed { .. } | End::Refused { .. } | End::Abandoned => 0.0,
            }));
        }
        metric => panic!("nobody measures `{metric}`"),
    };
    Reading::Number(number)
}

/// Where each request went, in order.
fn picks(run: &Run) -> Vec<f64> {
    let mut each = run.record.observer.each.clone().expect("each request is remembered");
    each.sort_by_key(|(number, _)| *number);
    let endpoint = |outcome: &Outcome| outcome.endpoint.expect("all are answered").index();
    each.iter()
        .map(|(_, outcome)| as_f64(endpoint(outcome) as u64))
        .collect()
}

fn decisions(run: &Run, of: impl Fn(End, tollgate_core::time::Instant) -> f64) -> Vec<f64> {
    let mut each = run.record.observer.each.clone().expect("each request is remembered");
    each.sort_by_key(|(number, _)| *number);
    each.iter()
        .map(|(_, outcome)| of(outcome.end, outcome.arrived))
        .collect()
}

/// The share of attempts at these endpoints.
fn share_of(run: &Run, endpoints: core::ops::Range<usize>) -> f64 {
    let attempts =
        |list: &[tollgate_sim::record::EndpointRecord]| list.iter().map(|one| as_f64(one.attempts)).sum::<f64>();
    attempts(&run.record.endpoints[endpoints]) / attempts(&run.record.endpoints)
}

/// Whether the one backend has a bounded number of servers, so that requests wait there.
fn is_at_backend(run: &Run) -> bool {
    run.record.endpoints[0].load.capacity.is_some()
}

/// The mean service of the one backend, exactly: busy time over jobs served.
fn mean_service(run: &Run) -> f64 {
    wide_as_f64(run.record.endpoints[0].load.busy) / 1e9 / as_f64(run.record.observer.served)
}

fn wait_of_class(case: &Case, run: &Run) -> f64 {
    let priority = usize::from(case.count("class_") != 0);
    let (count, sum) = run.record.observer.tenants[priority];
    sum / as_f64(count) - case.number("mean_service")
}
