//! Quantiles of recent latencies.

use alloc::vec;
use alloc::vec::Vec;

use crate::time::{Instant, Nanos};
use crate::wheel::Wheel;

/// Quantiles of the latencies of a sliding window, to within 2 %.
///
/// Two histograms take turns, each for half the window; a quantile is of both together, hence of the last half to
/// whole window. Their buckets are linear within each power of two (as in an HDR histogram), 32 to an octave, over
/// the whole range of [`Nanos`].
///
/// A quantile costs a few steps, not a scan: the state keeps a cursor at the bucket where the last one was found and
/// counts what lies below it, and from one request to the next a quantile hardly moves. So nothing is cached, and no
/// answer is out of date.
///
/// ```
/// use tollgate_core::hedge::LatencyQuantile;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let law = LatencyQuantile::default();
/// let mut state = law.fresh();
/// for millis in 1..=1000 {
///     law.observe(&mut state, Instant::from_secs(1), Nanos::from_millis(millis));
/// }
/// let p95 = law.quantile(&mut state, Instant::from_secs(2), 0.95).expect("a thousand samples are enough");
/// assert!((p95.as_secs_f64() / 0.95 - 1.0).abs() < 0.02);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyQuantile {
    /// How long one histogram is written: half the window.
    period: Nanos,
}

/// The latencies of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantileState {
    histograms: Wheel<Histogram, 2>,
    /// A bucket, and how many samples of both histograms lie below it.
    cursor: usize,
    below: u64,
}

impl Default for LatencyQuantile {
    /// Of the last minute.
    fn default() -> LatencyQuantile {
        LatencyQuantile::new(Nanos::from_secs(60))
    }
}

impl LatencyQuantile {
    /// With fewer samples there is no quantile: of twenty, the p95 is the maximum.
    pub const MIN_SAMPLES: u64 = 50;

    /// Quantiles of the last `window`.
    #[must_use]
    pub fn new(window: Nanos) -> LatencyQuantile {
        LatencyQuantile {
            period: Nanos::from_nanos(window.as_nanos().div_ceil(2).max(1)),
        }
    }

    /// No samples.
    #[must_use]
    pub fn fresh(&self) -> QuantileState {
        QuantileState {
            histograms: Wheel::new([Histogram::new(), Histogram::new()]),
            cursor: 0,
            below: 0,
        }
    }

    /// Takes a sample.
    pub fn observe(&self, state: &mut QuantileState, now: Instant, latency: Nanos) {
        self.turn(state, now);
        let bucket = bucket_of(latency.as_nanos());
        let counted = state.histograms.newest().count(bucket);
        if bucket < state.cursor {
            state.below += counted;
        }
    }

    /// The smallest latency that at least the share `q` of the samples do not exceed; none if there are fewer than
    /// [`LatencyQuantile::MIN_SAMPLES`].
    pub fn quantile(&self, state: &mut QuantileState, now: Instant, q: f64) -> Option<Nanos> {
        self.turn(state, now);
        let [one, other] = state.histograms.slots();
        let samples = one.samples + other.samples;
        if samples < LatencyQuantile::MIN_SAMPLES {
            return None;
        }
        let rank = rank(q, samples);
        let count = |bucket: usize| u64::from(one.counts[bucket]) + u64::from(other.counts[bucket]);
        let (mut cursor, mut below) = (state.cursor, state.below);
        while rank <= below {
            cursor -= 1;
            below -= count(cursor);
        }
        while below + count(cursor) < rank {
            below += count(cursor);
            cursor += 1;
        }
        (state.cursor, state.below) = (cursor, below);
        Some(Nanos::from_nanos(middle_of(cursor)))
    }

    /// How many samples count as of `now`.
    #[must_use]
    pub fn samples(&self, state: &QuantileState, now: Instant) -> u64 {
        let alive = state.histograms.alive(self.period, now);
        alive.map(|histogram| histogram.samples).sum()
    }

    #[inline]
    fn turn(self, state: &mut QuantileState, now: Instant) {
        let QuantileState {
            histograms,
            cursor,
            below,
        } = state;
        histograms.turn(self.period, now, |histogram| {
            histogram.clear();
            (*cursor, *below) = (0, 0);
        });
    }
}

/// Samples per bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Histogram {
    samples: u64,
    counts: Vec<u32>,
}

impl Histogram {
    fn new() -> Histogram {
        Histogram {
            samples: 0,
            counts: vec![0; BUCKETS],
        }
    }

    /// Counts a sample, and answers how many were: none if the bucket is full, after four thousand million.
    #[inline]
    fn count(&mut self, bucket: usize) -> u64 {
        let Some(count) = self.counts[bucket].checked_add(1) else {
            return 0;
        };
        self.counts[bucket] = count;
        self.samples += 1;
        1
    }

    fn clear(&mut self) {
        self.samples = 0;
        self.counts.fill(0);
    }
}

/// Buckets in an octave, as a power of two: the middle of a bucket is within 1/64 of all it holds.
const OCTAVE_BITS: u32 = 5;
/// Below twice an octave's buckets each value has its own; then 58 more octaves reach `u64::MAX`.
const BUCKETS: usize = (65 - OCTAVE_BITS as usize) << OCTAVE_BITS;

const _: () = assert!(size_of::<QuantileState>() + 2 * BUCKETS * size_of::<u32>() < 20 * 1024);

/// The bucket of `value`.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a bucket number is below 1920")]
const fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - (value >> OCTAVE_BITS).leading_zeros()).saturating_sub(1);
    ((shift as usize) << OCTAVE_BITS) + (value >> shift) as usize
}

/// The value in the middle of `bucket`.
#[inline]
const fn middle_of(bucket: usize) -> u64 {
    const OCTAVE: usize = 1 << OCTAVE_BITS;
    if bucket < OCTAVE {
        return bucket as u64;
    }
    let shift = (bucket >> OCTAVE_BITS) - 1;
    let lowest = ((bucket % OCTAVE + OCTAVE) as u64) << shift;
    lowest + ((1 << shift) >> 1)
}

/// Which sample in order of size is the quantile `q` of so many: the first that has that share at or below it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and counts are below 2^53"
)]
fn rank(q: f64, samples: u64) -> u64 {
    let exact = q * samples as f64;
    let whole = exact as u64;
    let rank = whole + u64::from((whole as f64) < exact);
    rank.clamp(1, samples)
}
