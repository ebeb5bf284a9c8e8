//! From launches and records to figures.

use tollgate_core::id::EndpointId;
use tollgate_core::time::Instant;
use tollgate_sim::record::{EndpointRecord, Observer};

use super::{FAILS, FAILS_AT, LENGTH, RATE, ROUND_TRIP, SHARE, WARMUP, WELL_AT, weight};

/// Every launch, in order.
#[derive(Debug, Default)]
pub(super) struct Launches {
    /// When, in seconds, and where.
    all: Vec<(f64, usize)>,
}

impl Observer for Launches {
    fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        let at = now.since(Instant::EPOCH).as_secs_f64();
        self.all.push((at, endpoint.index()));
    }
}

impl Launches {
    /// The most launches at one endpoint within a round trip, over its fair share: while nobody fails.
    pub(super) fn herd(&self) -> f64 {
        let mut most = 0.0_f64;
        for endpoint in 0..8 {
            let fair = RATE * ROUND_TRIP * f64::from(weight(endpoint)) / 12.0;
            let at: Vec<f64> = self.at(endpoint, WARMUP, FAILS_AT).collect();
            let mut first = 0;
            for (last, now) in at.iter().enumerate() {
                while at[first] + ROUND_TRIP < *now {
                    first += 1;
                }
                most = most.max(count(last - first + 1) / fair);
            }
        }
        most
    }

    /// Seconds from the fault until a period begins in which the endpoint gets a tenth of its traffic at most.
    pub(super) fn left(&self) -> Option<f64> {
        let usual = self.usual();
        self.first(FAILS_AT, WELL_AT, |rate| rate <= 0.1 * usual)
    }

    /// Seconds from the end of the fault until a period begins in which it gets nine tenths of it again.
    pub(super) fn back(&self) -> Option<f64> {
        let usual = self.usual();
        self.first(WELL_AT, LENGTH, |rate| 0.9 * usual <= rate)
    }

    /// Launches a second at the endpoint that fails, before it does; a thousandth of its share at least.
    fn usual(&self) -> f64 {
        let before = count(self.at(FAILS, WARMUP, FAILS_AT).count()) / (FAILS_AT - WARMUP);
        before.max(RATE * SHARE / 1_000.0)
    }

    /// When a period begins, counted from `from`, in which the rate is as asked for.
    fn first(&self, from: f64, until: f64, is_it: impl Fn(f64) -> bool) -> Option<f64> {
        /// Long enough for a rate to be seen, in seconds.
        const PERIOD: f64 = 5.0;
        /// From one beginning to the next, in seconds.
        const STEP: f64 = 0.1;
        let at: Vec<f64> = self.at(FAILS, from, until).collect();
        let mut begin = from;
        while begin + PERIOD <= until {
            let launches = at.partition_point(|at| *at < begin + PERIOD) - at.partition_point(|at| *at < begin);
            if is_it(count(launches) / PERIOD) {
                return Some(begin - from);
            }
            begin += STEP;
        }
        None
    }

    fn at(&self, endpoint: usize, from: f64, until: f64) -> impl Iterator<Item = f64> {
        let here = move |(at, where_): &&(f64, usize)| *where_ == endpoint && from <= *at && *at < until;
        self.all.iter().filter(here).map(|(at, _)| *at)
    }
}

/// The largest utilization over the mean.
pub(super) fn imbalance(endpoints: &[EndpointRecord]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "one rounding of an exact sum")]
    let busy = endpoints.iter().map(|endpoint| endpoint.load.busy as f64);
    let (most, sum) = busy.fold((0.0_f64, 0.0), |(most, sum), busy| (most.max(busy), sum + busy));
    most * count(endpoints.len()) / sum
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn count(count: usize) -> f64 {
    count as f64
}
