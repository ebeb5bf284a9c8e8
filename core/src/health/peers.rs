//! Endpoints compared with each other: the statistics of outlier detection, in integers.

use crate::math;
use crate::policy::{FailurePercentage, SuccessRate, Volume};

/// What one endpoint did in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Attempts that ended.
    pub attempts: u32,
    /// Those that succeeded.
    pub successes: u32,
}

/// Success rates are counted in this many parts: 26 bits, so that the sums below fit 128 for 4,096 endpoints.
const WHOLE: u64 = 1 << 26;

impl Peer {
    pub(super) fn count(&mut self, is_success: bool) {
        self.attempts = self.attempts.saturating_add(1);
        self.successes = self.successes.saturating_add(u32::from(is_success)).min(self.attempts);
    }

    /// Whether its failures reach the threshold, and enough is known of it.
    pub(super) fn fails(self, law: &FailurePercentage) -> bool {
        let failures = u64::from(self.attempts - self.successes);
        law.volume.request_volume <= self.attempts
            && u64::from(law.threshold.get()) * u64::from(self.attempts) <= failures * 100
    }

    fn rate(self) -> u64 {
        u64::from(self.successes) * WHOLE / u64::from(self.attempts.max(1))
    }
}

/// The success rates of the endpoints that count, summed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    peers: u64,
    rates: u64,
    /// Of the squares of `peers · rate - rates`: the variance times the number of peers to the third.
    squares: u128,
}

impl Sums {
    /// The sums of those of `peers` of which enough is known; no sums if those are too few.
    pub(super) fn of(peers: &[(usize, Peer)], volume: Volume) -> Sums {
        let counted = || peers.iter().filter(|(_, peer)| volume.request_volume <= peer.attempts);
        let n = counted().count() as u64;
        if !enough(peers, volume) {
            return Sums {
                peers: 0,
                rates: 0,
                squares: 0,
            };
        }
        let rates = counted().map(|(_, peer)| peer.rate()).sum();
        let square = |(_, peer): &(usize, Peer)| {
            let distance = u128::from((n * peer.rate()).abs_diff(rates));
            distance * distance
        };
        Sums {
            peers: n,
            rates,
            squares: counted().map(square).sum(),
        }
    }

    /// Whether `peer`, of which enough is known, is below the mean by more than the law's standard deviations.
    ///
    /// `rate < mean - k · stdev`, multiplied by the number of peers and squared, so that peers that are equally bad
    /// are equal, and none of them an outlier by the rounding of a mean.
    pub(super) fn is_outlier(&self, peer: Peer, law: &SuccessRate) -> bool {
        let own = self.peers * peer.rate();
        if peer.attempts < law.volume.request_volume || self.rates <= own {
            return false;
        }
        let below = u128::from(self.rates - own);
        let factor = u128::from(law.stdev_thousandths);
        // Both sides times a million, for a factor in thousandths.
        let deviations = self.squares.saturating_mul(factor * factor);
        let distance = (below * below)
            .saturating_mul(u128::from(self.peers))
            .saturating_mul(1_000_000);
        deviations < distance
    }
}

/// Whether enough is known of enough of `peers`.
pub(super) fn enough(peers: &[(usize, Peer)], volume: Volume) -> bool {
    let counted = peers.iter().filter(|(_, peer)| volume.request_volume <= peer.attempts);
    let n = counted.count();
    0 < n && volume.minimum_hosts as usize <= n
}

/// The success rate below which an endpoint is an outlier among `rates`: their mean less so many standard deviations
/// of the population. For people and for the reference values; what decides counts in integers.
///
/// ```
/// use tollgate_core::health::success_rate_threshold;
///
/// // Envoy's own example: mean 90, deviation 20.
/// let threshold = success_rate_threshold(&[50.0, 100.0, 100.0, 100.0, 100.0], 1.9);
/// assert!((threshold - 52.0).abs() < 1e-9);
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no pool has 2^52 endpoints")]
pub fn success_rate_threshold(rates: &[f64], stdevs: f64) -> f64 {
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let variance = rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / n;
    mean - stdevs * math::sqrt(variance)
}
