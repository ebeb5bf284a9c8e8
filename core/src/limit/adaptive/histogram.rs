//! The latencies of one window, for their median.

/// A histogram of latencies: 16 buckets to an octave, from a microsecond to eighteen minutes.
///
/// A bucket is 4 to 6 % wide, about as wide as those of the histogram that Envoy uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Histogram {
    counts: [u16; BUCKETS],
    samples: u32,
}

/// Latencies below 2^10 ns are one octave, those from 2^40 ns on are in the last bucket.
const LOWEST: u32 = 10;
const OCTAVES: usize = 30;
const WIDTH: usize = 16;
const BUCKETS: usize = (OCTAVES + 1) * WIDTH;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: [0; BUCKETS],
            samples: 0,
        }
    }
}

impl Histogram {
    /// How many samples there are.
    pub(super) fn samples(&self) -> u32 {
        self.samples
    }

    /// Takes a latency in nanoseconds. What a bucket cannot count any more is not counted.
    pub(super) fn add(&mut self, nanos: u64) {
        let count = &mut self.counts[bucket(nanos)];
        if *count < u16::MAX {
            *count += 1;
            self.samples += 1;
        }
    }

    /// Forgets every sample.
    pub(super) fn clear(&mut self) {
        *self = Histogram::default();
    }

    /// The median, in nanoseconds, interpolated within its bucket; nothing without samples.
    pub(super) fn median(&self) -> Option<f64> {
        let half = f64::from(self.samples) / 2.0;
        let mut below = 0.0;
        for (at, count) in self.counts.iter().enumerate() {
            let count = f64::from(*count);
            if 0.0 < count && half <= below + count {
                let (from, to) = (start(at), start(at + 1));
                return Some(from + (to - from) * (half - below) / count);
            }
            below += count;
        }
        None
    }
}

fn bucket(nanos: u64) -> usize {
    let octave = nanos.max(1).ilog2();
    let (octave, fraction) = if octave < LOWEST {
        (0, nanos >> (LOWEST - 4))
    } else {
        (octave - LOWEST + 1, (nanos >> (octave - 4)) & 15)
    };
    let at = u64::from(octave) * WIDTH as u64 + fraction;
    usize::try_from(at).map_or(BUCKETS - 1, |at| at.min(BUCKETS - 1))
}

/// Where the bucket at `index` begins.
#[expect(clippy::cast_precision_loss, reason = "five bits, shifted")]
fn start(index: usize) -> f64 {
    let (octave, fraction) = (index / WIDTH, (index % WIDTH) as u64);
    let nanos = match octave.checked_sub(1) {
        None => fraction << (LOWEST - 4),
        Some(shift) => (16 + fraction) << (LOWEST - 4) << shift,
    };
    nanos as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_where_they_say() {
        for index in 0..BUCKETS {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole numbers below 2^41"
            )]
            let nanos = start(index) as u64;
            assert_eq!(bucket(nanos), index, "{nanos}");
            assert!(start(index) < start(index + 1));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(0), 0);
    }

    #[test]
    fn the_median_is_the_middle() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.median(), None);
        for micros in 1..=1001 {
            histogram.add(micros * 100_000);
        }
        let median = histogram.median().expect("there are samples");
        assert!((median / 50.1e6 - 1.0).abs() < 0.03, "{median}");
    }
}
