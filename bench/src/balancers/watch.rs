//! Where attempts went, and what follows from it.

use std::collections::VecDeque;

use tollgate_core::id::EndpointId;
use tollgate_core::time::{Instant, Nanos};
use tollgate_sim::record::{Observer, Record};

use super::world::{ENDPOINTS, FAULT, RATE, SERVICE, World};

/// Every launch of a run.
#[derive(Debug, Default)]
pub(super) struct Launches(Vec<(Instant, u16)>);

impl Observer for Launches {
    fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        self.0.push((now, endpoint.0));
    }
}

/// What became of the traffic under one balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Mean seconds from request to last token.
    pub mean: Option<f64>,
    /// The same, of the slowest in a hundred.
    pub p99: Option<f64>,
    /// The busiest endpoint over the mean, by utilization.
    pub imbalance: Option<f64>,
    /// The most launches at one endpoint within a mean time of service, over its fair share.
    pub herd: Option<f64>,
    /// Share of the requests that were not answered.
    pub unanswered: Option<f64>,
    /// Seconds from the fault's begin until 90 % of the failing endpoint's traffic has left it.
    pub left: Option<f64>,
    /// Seconds from the fault's end until 90 % of its share has come back.
    pub back: Option<f64>,
    /// Seconds, and the share of attempts at the first endpoint.
    pub first: Vec<(f64, f64)>,
}

impl Findings {
    pub(super) fn of(world: &World, record: &Record<Launches>) -> Findings {
        let launches = &record.observer.0;
        let busy = record.endpoints.iter().filter_map(|endpoint| {
            let capacity = f64::from(endpoint.load.capacity?);
            #[expect(clippy::cast_precision_loss, reason = "for people to read")]
            let busy = endpoint.load.busy as f64;
            Some(busy / capacity)
        });
        let busy: Vec<f64> = busy.collect();
        let mean_busy = busy.iter().sum::<f64>() / f64::from(ENDPOINTS);
        let most_busy = busy.iter().copied().fold(0.0, f64::max);
        let counts = &record.counts;
        let share = |count: u64| number(count) / number(counts.offered);
        let (left, back) = if world.fails() {
            (
                moves(launches, FAULT.0, 1.0, |count, fair| count <= 0.1 * fair),
                moves(launches, FAULT.1, 5.0, |count, fair| 0.9 * fair <= count),
            )
        } else {
            (None, None)
        };
        Findings {
            mean: record.latencies.e2e.mean(),
            p99: record.latencies.e2e.quantile(0.99),
            imbalance: (0.0 < mean_busy).then(|| most_busy / mean_busy),
            herd: Some(herd(launches)),
            unanswered: (0 < counts.offered).then(|| 1.0 - share(counts.completed)),
            left,
            back,
            first: over_time(launches),
        }
    }
}

/// The most launches at one endpoint within a mean time of service, over what its fair share would be on average.
fn herd(launches: &[(Instant, u16)]) -> f64 {
    let length = Nanos::from_secs_f64(SERVICE);
    let mut recent: Vec<VecDeque<Instant>> = vec![VecDeque::new(); ENDPOINTS as usize];
    let mut most = 0;
    for (at, endpoint) in launches {
        let recent = &mut recent[usize::from(*endpoint)];
        recent.push_back(*at);
        while recent.front().is_some_and(|first| length < at.since(*first)) {
            recent.pop_front();
        }
        most = most.max(recent.len());
    }
    number(most as u64) / (RATE * SERVICE / f64::from(ENDPOINTS))
}

/// Seconds after `from` at which the launches at the first endpoint in the following `window` seconds are as wanted, given
/// its fair share of them.
fn moves(launches: &[(Instant, u16)], from: f64, window: f64, is_wanted: impl Fn(f64, f64) -> bool) -> Option<f64> {
    /// How finely it is looked for, in seconds.
    const STEP: f64 = 0.05;
    let fair = RATE * window / f64::from(ENDPOINTS);
    let first = launches.iter().filter(|(_, endpoint)| *endpoint == 0);
    let first: Vec<f64> = first.map(|(at, _)| at.as_secs_f64()).collect();
    let last = launches.last()?.0.as_secs_f64();
    let mut at = from;
    while at + window < last {
        let before = |end: f64| first.partition_point(|launched| *launched < end) as u64;
        if is_wanted(number(before(at + window) - before(at)), fair) {
            return Some(at - from);
        }
        at += STEP;
    }
    None
}

/// The share of the first endpoint in pieces of two seconds, up to a while after the fault.
fn over_time(launches: &[(Instant, u16)]) -> Vec<(f64, f64)> {
    const PIECE: f64 = 2.0;
    const UNTIL: f64 = FAULT.1 + 60.0;
    let mut pieces: Vec<(f64, u64, u64)> = Vec::new();
    let mut end = 0.0;
    for (at, endpoint) in launches.iter().take_while(|(at, _)| at.as_secs_f64() < UNTIL) {
        while end <= at.as_secs_f64() {
            pieces.push((end + PIECE / 2.0, 0, 0));
            end += PIECE;
        }
        if let Some((_, first, all)) = pieces.last_mut() {
            *first += u64::from(*endpoint == 0);
            *all += 1;
        }
    }
    let share = |(at, first, all): (f64, u64, u64)| (at, number(first) / number(all.max(1)));
    pieces.into_iter().map(share).collect()
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn number(count: u64) -> f64 {
    count as f64
}
