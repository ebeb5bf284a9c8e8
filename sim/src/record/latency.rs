//! Distributions of latency: counts by log-linear buckets for quantiles, exact integers for the mean.
//!
//! The buckets are those of Gil Tene's `HdrHistogram`, so that a quantile here is a quantile there; recording is one
//! shift and one addition, a third of what that crate takes, and five lengths are recorded of every request.
//!
//! | Law | Test |
//! |---|---|
//! | Quantiles are those of the crate `hdrhistogram`. | `quantiles_are_those_of_hdrhistogram` |
//! | Two tracks added are one track of everything; a cleared one is new. | `adding_is_recording` |

use hdrhistogram::Histogram;
use tollgate_core::lifecycle::Outcome;
use tollgate_core::time::Nanos;
use tollgate_reports::result::Latency;

/// The distribution of one length of time.
#[derive(Clone, Debug)]
pub struct Track {
    digits: u8,
    /// A bucket has `2^half_bits` counts, the first twice as many.
    half_bits: u32,
    counts: Box<[u64]>,
    count: u64,
    sum: u128,
    min: u64,
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
        let half_bits = (2 * 10_u64.pow(u32::from(digits))).next_power_of_two().ilog2() - 1;
        let last = (index(LONGEST, half_bits) >> half_bits) + 1;
        Track {
            digits,
            half_bits,
            counts: vec![0; last << half_bits].into_boxed_slice(),
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// Records one length.
    #[inline]
    pub fn record(&mut self, length: Nanos) {
        let nanos = length.as_nanos();
        match self.counts.get_mut(index(nanos, self.half_bits)) {
            Some(count) => *count += 1,
            None => self.counts[index(LONGEST, self.half_bits)] += 1,
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds what `other` has recorded.
    ///
    /// # Panics
    ///
    /// If one is fine and the other coarse.
    pub fn add(&mut self, other: &Track) {
        assert_eq!(self.digits, other.digits, "both tell the same lengths apart");
        if other.count == 0 {
            return;
        }
        let range = other.first()..=other.last();
        for (sum, more) in self.counts[range.clone()].iter_mut().zip(&other.counts[range]) {
            *sum += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if 0 < self.count {
            let range = self.first()..=self.last();
            self.counts[range].fill(0);
        }
        self.count = 0;
        self.sum = 0;
        self.min = u64::MAX;
        self.max = 0;
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean in seconds, exact but for one rounding; none of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "one rounding of an exact sum")]
    pub fn mean(&self) -> Option<f64> {
        (0 < self.count).then(|| self.sum as f64 / self.count as f64 / 1e9)
    }

    /// The value in seconds that a share of `quantile` is at or below; none of nothing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, rounded up as a histogram is read"
    )]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let wanted = ((quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut sum = 0;
        let reached = |(_, count): &(usize, &u64)| {
            sum += **count;
            wanted <= sum
        };
        let (first, last) = (self.first(), self.last());
        let range = self.counts[first..=last].iter().enumerate();
        let at = range.map(|(at, count)| (at + first, count)).find(reached);
        let at = at.map_or(last, |(at, _)| at);
        let (lowest, width) = self.values(at);
        let value = if quantile <= 0.0 { lowest } else { lowest + (width - 1) };
        Some(Nanos::from_nanos(value.min(self.max)).as_secs_f64())
    }

    /// The largest in seconds; none of nothing.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (0 < self.count).then(|| Nanos::from_nanos(self.max).as_secs_f64())
    }

    /// What a result set says of it.
    #[must_use]
    pub fn figures(&self) -> Latency {
        Latency {
            mean: self.mean(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max(),
        }
    }

    /// As a histogram of nanoseconds, for files that other tools read.
    ///
    /// # Panics
    ///
    /// Never: it has the same buckets.
    #[must_use]
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram =
            Histogram::new_with_bounds(1, LONGEST, self.digits).expect("constant bounds that hdrhistogram takes");
        for (at, count) in self.counts.iter().enumerate().filter(|(_, count)| 0 < **count) {
            histogram.saturating_record_n(self.values(at).0, *count);
        }
        histogram
    }

    /// Where the shortest is counted, if anything is: nothing is counted before.
    fn first(&self) -> usize {
        index(self.min.min(LONGEST), self.half_bits)
    }

    /// Where the longest is counted: nothing is counted after.
    fn last(&self) -> usize {
        index(self.max, self.half_bits).min(self.counts.len() - 1)
    }

    /// The lowest value that is counted at `index`, and how many are.
    fn values(&self, index: usize) -> (u64, u64) {
        let bucket = (index >> self.half_bits).saturating_sub(1);
        let rest = index - (bucket << self.half_bits);
        ((rest as u64) << bucket, 1 << bucket)
    }
}

/// Where `value` is counted: its leading bits below the number of its bucket.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most 64 buckets of 2^10")]
fn index(value: u64, half_bits: u32) -> usize {
    let bucket = (value >> half_bits | 1).ilog2();
    (u64::from(bucket) << half_bits) as usize + (value >> bucket) as usize
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lengths() -> impl Strategy<Value = Vec<u64>> {
        let any = prop_oneof![
            0_u64..10_000,
            1_000_000_u64..1_000_000_000,
            0_u64..2 * LONGEST,
            Just(u64::MAX)
        ];
        prop::collection::vec(any, 1..200)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_hdrhistogram(lengths in lengths(), quantile in 0.0_f64..=1.0) {
            for (digits, mut track) in [(2, Track::coarse()), (3, Track::fine())] {
                let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST, digits).expect("possible bounds");
                let max = *lengths.iter().max().expect("there is one");
                for length in &lengths {
                    track.record(Nanos::from_nanos(*length));
                    histogram.saturating_record(*length);
                }
                for quantile in [0.0, quantile, 0.5, 0.99, 1.0] {
                    let expected = Nanos::from_nanos(histogram.value_at_quantile(quantile).min(max));
                    prop_assert_eq!(track.quantile(quantile), Some(expected.as_secs_f64()));
                }
                let made = track.histogram();
                prop_assert_eq!(made.len(), histogram.len());
                let counts = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
                    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
                };
                prop_assert_eq!(counts(&made), counts(&histogram));
            }
        }

        #[test]
        fn adding_is_recording(one in lengths(), other in lengths(), quantile in 0.0_f64..=1.0) {
            let record = |track: &mut Track, lengths: &[u64]| {
                for length in lengths {
                    track.record(Nanos::from_nanos(*length));
                }
            };
            let (mut sum, mut all) = (Track::coarse(), Track::coarse());
            record(&mut sum, &other);
            sum.clear();
            record(&mut sum, &one);
            let mut more = Track::coarse();
            record(&mut more, &other);
            sum.add(&more);
            record(&mut all, &one);
            record(&mut all, &other);
            prop_assert_eq!(sum.count(), all.count());
            prop_assert_eq!(sum.mean(), all.mean());
            prop_assert_eq!(sum.max(), all.max());
            prop_assert_eq!(sum.quantile(quantile), all.quantile(quantile));
        }
    }
}
