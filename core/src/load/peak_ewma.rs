//! The peak-sensitive moving average of latency.

use crate::math;
use crate::time::{Instant, Nanos};

/// An average of latency that jumps up to a worse sample and decays towards better ones.
///
/// The estimate is `max(sample, w · estimate + (1 - w) · sample)` with `w = exp(-elapsed / decay)`, so that
/// samples weigh by time and not by number: a busy endpoint does not forget faster. Between samples it decays
/// towards zero, which is what brings traffic back to an endpoint that was slow once. From Finagle; reads are
/// projected and do not mutate, as in linkerd.
///
/// Measure the first token, not the last: the length of an answer is the prompt's doing, not the endpoint's.
///
/// # Failures
///
/// A refusal takes a millisecond. Recorded as such it makes the failing endpoint the fastest of its pool, and the
/// pool's traffic falls into it. Use [`PeakEwma::fail`] for failures.
///
/// ```
/// use tollgate_core::load::{Estimate, PeakEwma};
/// use tollgate_core::time::{Instant, Nanos};
///
/// let law = PeakEwma::new(Nanos::from_secs(10));
/// let mut estimate = Estimate::default();
/// law.observe(&mut estimate, Instant::from_secs(1), Nanos::from_millis(400));
/// assert_eq!(law.at(&estimate, Instant::from_secs(1)), 0.4);
/// assert_eq!(law.load(&estimate, 2, Instant::from_secs(1)), 0.4 * 3.0);
/// assert!(law.at(&estimate, Instant::from_secs(11)) < 0.15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    /// The time constant, in seconds.
    decay: f64,
}

/// What is known about an endpoint's latency; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Seconds; zero: never observed.
    pub(super) cost: f64,
    pub(super) at: Instant,
}

impl PeakEwma {
    /// An average with the time constant `decay`: after so long without samples, 37 % of an estimate is left.
    #[must_use]
    pub fn new(decay: Nanos) -> PeakEwma {
        PeakEwma {
            decay: decay.max(Nanos::from_nanos(1)).as_secs_f64(),
        }
    }

    /// Takes a sample.
    pub fn observe(&self, estimate: &mut Estimate, now: Instant, latency: Nanos) {
        self.sample(estimate, now, latency.as_secs_f64());
    }

    /// Takes a failure: as if the answer had taken the [`PeakEwma::penalty`], or as long as the estimate says,
    /// whichever is longer.
    ///
    /// The second half matters where good answers take longer than the penalty: an endpoint that only fails would
    /// otherwise come to look better than its peers.
    ///
    /// ```
    /// use tollgate_core::load::{Estimate, PeakEwma};
    /// use tollgate_core::time::{Instant, Nanos};
    ///
    /// let law = PeakEwma::new(Nanos::from_secs(10));
    /// let mut estimate = Estimate::default();
    /// law.fail(&mut estimate, Instant::EPOCH, None);
    /// assert_eq!(law.at(&estimate, Instant::EPOCH), 5.0);
    /// ```
    pub fn fail(&self, estimate: &mut Estimate, now: Instant, retry_after: Option<Nanos>) {
        let latency = PeakEwma::penalty(retry_after).as_secs_f64().max(estimate.cost);
        self.sample(estimate, now, latency);
    }

    /// The latency that a failure counts as: five seconds, or what the endpoint asked to be left alone for, at most
    /// five minutes (linkerd's load biaser).
    #[must_use]
    pub fn penalty(retry_after: Option<Nanos>) -> Nanos {
        const LEAST: Nanos = Nanos::from_secs(5);
        const MOST: Nanos = Nanos::from_secs(300);
        retry_after.map_or(LEAST, |length| length.clamp(LEAST, MOST))
    }

    /// The estimate as of `now`, in seconds; zero if there is none.
    #[must_use]
    #[inline]
    pub fn at(&self, estimate: &Estimate, now: Instant) -> f64 {
        estimate.cost * self.weight(now.since(estimate.at))
    }

    /// The load of an endpoint with `in_flight` attempts: how long one more would take to be through.
    ///
    /// An endpoint that was never observed is tried once, then counts as worse than all others until its first
    /// sample is there.
    #[must_use]
    #[inline]
    pub fn load(&self, estimate: &Estimate, in_flight: u32, now: Instant) -> f64 {
        let cost = self.at(estimate, now);
        if cost <= 0.0 && 0 < in_flight {
            return UNKNOWN + f64::from(in_flight);
        }
        cost * (f64::from(in_flight) + 1.0)
    }

    fn sample(self, estimate: &mut Estimate, now: Instant, latency: f64) {
        estimate.cost = if estimate.cost < latency {
            latency
        } else {
            let weight = self.weight(now.since(estimate.at));
            estimate.cost * weight + latency * (1.0 - weight)
        };
        estimate.at = estimate.at.max(now);
    }

    #[inline]
    fn weight(self, elapsed: Nanos) -> f64 {
        if elapsed == Nanos::ZERO {
            return 1.0;
        }
        math::exp(-elapsed.as_secs_f64() / self.decay)
    }
}

/// Worse than any latency times any count, and small enough that adding one still makes a difference.
const UNKNOWN: f64 = 140_737_488_355_328.0;
