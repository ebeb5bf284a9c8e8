//! The result set of a load: the simulator's, without what a client cannot see.

use tollgate_reports::ResultSet;
use tollgate_reports::result::{Latency, Metric, Mode};
use tollgate_sim::experiment::{self, Comparison, Conditions, Replicated};

use super::Loaded;

/// The result set of a load. What no client can see is undefined in it: attempts, endpoints, queues, and what the gateway adds.
/// Without a policy there are no targets, so attainment and goodput are undefined too.
#[must_use]
pub fn result_set(conditions: &Conditions, loaded: Loaded, has_policy: bool) -> ResultSet {
    let Loaded {
        strategy,
        record,
        client,
        notes,
        ..
    } = loaded;
    let comparison = Comparison {
        strategies: vec![Replicated {
            name: strategy.name.clone(),
            records: vec![record],
        }],
        wanted: 1,
    };
    let mut set = experiment::result_set(conditions, &[strategy], &comparison);
    set.summary.mode = Mode::Measured;
    set.summary.notes.extend(notes);
    for strategy in &mut set.summary.strategies {
        strategy.requests.admitted = None;
        strategy.attempts = None;
        strategy.amplification = None;
        strategy.queue_wait = Latency::default();
        strategy.overhead = Latency::default();
        strategy.wasted_tokens = None;
        if !has_policy {
            strategy.policy_hash = String::new();
            strategy.attainment = None;
            strategy.goodput = None;
        }
        strategy.client = Some(client.clone());
    }
    for row in &mut set.series {
        (row.admitted, row.queued) = (None, None);
    }
    for row in &mut set.tenants {
        row.admitted = None;
    }
    set.histograms
        .retain(|histogram| !matches!(histogram.metric, Metric::QueueWait | Metric::Overhead));
    for row in &mut set.requests {
        // A client sees when it sent a request, and nothing of what a gateway made of it.
        row.admitted = None;
        (row.attempts, row.retries, row.hedges, row.fallbacks) = (None, None, None, None);
    }
    set
}
