//! Distributions of latency: a histogram for quantiles, exact integers for the mean.

use hdrhistogram::Histogram;
use tollgate_core::lifecycle::Outcome;
use tollgate_core::time::Nanos;

/// The distribution of one length of time.
#[derive(Clone, Debug)]
pub struct Track {
    histogram: Histogram<u64>,
    sum: u128,
    max: u64,
}

/// Longest length that is told apart: a week.
const LONGEST: u64 = 7 * 24 * 3600 * 1_000_000_000;

impl Track {
    /// Nothing recorded; quantiles to three digits.
    #[must_use]
    pub fn fine() -> Track {
        Track::with_digits(3)
    }

    /// Nothing recorded; quantiles to two digits, in a tenth of the memory.
    #[must_use]
    pub fn coarse() -> Track {
        Track::with_digits(2)
    }

    fn with_digits(digits: u8) -> Track {
        Track {
            histogram: Histogram::new_with_bounds(1, LONGEST, digits).expect("constant bounds that hdrhistogram takes"),
            sum: 0,
            max: 0,
        }
    }

    /// Records one length.
    #[inline]
    pub fn record(&mut self, length: Nanos) {
        let nanos = length.as_nanos();
        self.histogram.saturating_record(nanos);
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds what `other` has recorded.
    pub fn add(&mut self, other: &Track) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.histogram.reset();
        self.sum = 0;
        self.max = 0;
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The mean in seconds, exact but for one rounding; none of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "one rounding of an exact sum")]
    pub fn mean(&self) -> Option<f64> {
        (0 < self.count()).then(|| self.sum as f64 / self.count() as f64 / 1e9)
    }

    /// The value in seconds that a share of `quantile` is at or below; none of nothing.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let value = || Nanos::from_nanos(self.histogram.value_at_quantile(quantile).min(self.max));
        (0 < self.count()).then(|| value().as_secs_f64())
    }

    /// The largest in seconds; none of nothing.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (0 < self.count()).then(|| Nanos::from_nanos(self.max).as_secs_f64())
    }

    /// The histogram, in nanoseconds.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

/// The distributions of a run.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From arrival to the last token, of completed requests.
    pub e2e: Track,
    /// From arrival to the first token, of streamed ones.
    pub ttft: Track,
    /// Per output token after the first, of streamed ones.
    pub tpot: Track,
    /// Time spent in queues.
    pub queue_wait: Track,
    /// What the gateway added.
    pub overhead: Track,
}

impl Latencies {
    pub(super) fn new() -> Latencies {
        Latencies {
            e2e: Track::fine(),
            ttft: Track::fine(),
            tpot: Track::fine(),
            queue_wait: Track::fine(),
            overhead: Track::fine(),
        }
    }

    /// Records a completed request.
    #[inline]
    pub(super) fn record(&mut self, outcome: &Outcome) {
        self.e2e.record(outcome.e2e());
        if let Some(ttft) = outcome.ttft() {
            self.ttft.record(ttft);
        }
        if let Some(tpot) = outcome.tpot() {
            self.tpot.record(tpot);
        }
        self.queue_wait.record(outcome.queue_wait);
        self.overhead.record(outcome.overhead());
    }

    /// Adds what `other` has recorded.
    pub fn add(&mut self, other: &Latencies) {
        self.e2e.add(&other.e2e);
        self.ttft.add(&other.ttft);
        self.tpot.add(&other.tpot);
        self.queue_wait.add(&other.queue_wait);
        self.overhead.add(&other.overhead);
    }
}
