//! The plain moving average of latency.

use super::{Estimate, PeakEwma};
use crate::time::{Instant, Nanos};

/// An average in which each sample weighs a tenth and what was before nine: the factor of 90 that Angie's
/// `upstream_probe` averages have, and `least_time` with it.
///
/// Samples weigh by number, not by time, and nothing decays.
///
/// **Where it is wrong:** an endpoint that was slow once and is never asked again stays slow for ever. [`PeakEwma`]
/// forgets.
///
/// ```
/// use tollgate_core::load::{Estimate, Ewma};
/// use tollgate_core::time::{Instant, Nanos};
///
/// let mut estimate = Estimate::default();
/// Ewma.observe(&mut estimate, Instant::EPOCH, Nanos::from_millis(100));
/// Ewma.observe(&mut estimate, Instant::EPOCH, Nanos::from_millis(200));
/// assert!((Ewma.at(&estimate) - 0.110).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ewma;

/// What a sample leaves of the average before it.
const FACTOR: f64 = 0.9;

impl Ewma {
    /// Takes a sample; the first is the average.
    pub fn observe(self, estimate: &mut Estimate, now: Instant, latency: Nanos) {
        sample(estimate, now, latency.as_secs_f64());
    }

    /// Takes a failure as [`PeakEwma`] does: an endpoint that fails fast must not come to look fast.
    pub fn fail(self, estimate: &mut Estimate, now: Instant, retry_after: Option<Nanos>) {
        let latency = PeakEwma::penalty(retry_after).as_secs_f64().max(estimate.cost);
        sample(estimate, now, latency);
    }

    /// The average in seconds; zero if there is none.
    #[must_use]
    #[inline]
    pub fn at(self, estimate: &Estimate) -> f64 {
        estimate.cost
    }
}

fn sample(estimate: &mut Estimate, now: Instant, latency: f64) {
    estimate.cost = if estimate.cost <= 0.0 {
        latency
    } else {
        FACTOR * estimate.cost + (1.0 - FACTOR) * latency
    };
    estimate.at = estimate.at.max(now);
}
