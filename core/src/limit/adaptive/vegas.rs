//! Vegas: how many of what is in flight are waiting.

use super::{ConcurrencyLaw, Sample};
use crate::dice::Rng;
use crate::policy::Bounds;
use crate::time::{Instant, Nanos};

/// Keeps the queue that it causes between three and six, at a limit below a hundred; at a larger one, more.
///
/// The shortest latency seen is the one without a queue. Of a limit `L`, `L · (1 - shortest / latency)` requests are then
/// waiting rather than served. With `lg` the decimal logarithm of `L`, rounded down and at least one: up to `lg` waiting
/// the limit grows by `6 lg`, below `3 lg` by `lg`, above `6 lg` it falls by `lg`, as it does after a drop. Nothing grows
/// while less than half of it is in flight. After 15 to 30 times `L` samples the latency of the next one is taken for the
/// shortest, so that an endpoint that has become slower is not throttled for ever. (Netflix `VegasLimit`, smoothing 1:
/// from 20, between 1 and 1000. The idea is Brakmo and Peterson's TCP Vegas, 1995.)
///
/// A drop that was refused at once has no latency: it lowers the limit, and says nothing of the shortest.
///
/// It is meant to be told once a round trip, as TCP is: fed with single samples, each of which moves the limit while those
/// that were let in before still wait, it swings between ten and ninety before a server with 32 places. A policy puts it
/// in [`Windowed`](super::Windowed).
///
/// # When it is wrong
///
/// Where latencies vary by themselves, the shortest is an outlier, and everything else looks like a queue. Where the
/// limit is reached all the time, the sample taken for the shortest has waited itself, and each time the limit creeps up.
///
/// ```
/// use tollgate_core::dice::Rng;
/// use tollgate_core::limit::{ConcurrencyLaw, Sample, Vegas};
/// use tollgate_core::policy::Bounds;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let law = Vegas::new(Bounds::VEGAS);
/// let (mut state, mut rng) = (Default::default(), Rng::new(7));
/// let now = Instant::from_secs(1);
/// let fast = Sample { now, started: now, in_flight: 20, latency: Some(Nanos::from_millis(100)), dropped: false };
/// assert_eq!(law.sample(&mut state, &fast, &mut rng), 20, "the first one is the shortest");
/// assert_eq!(law.sample(&mut state, &fast, &mut rng), 26, "nobody waits");
/// let slow = Sample { latency: Some(Nanos::from_millis(200)), ..fast };
/// assert_eq!(law.sample(&mut state, &slow, &mut rng), 25, "13 wait");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vegas {
    bounds: Bounds,
    /// Samples per unit of limit after which the shortest latency is measured anew, before jitter; infinite: never.
    probe: f64,
}

/// What Vegas has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VegasState {
    /// Zero: the initial one.
    limit: f64,
    /// The shortest latency; zero: none yet.
    shortest: Nanos,
    /// Samples since it was measured anew.
    samples: u32,
    /// What the wait for the next measurement is multiplied with, from 0.5 to 1; zero: not drawn yet.
    jitter: f64,
}

impl Vegas {
    /// Vegas within `bounds`.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Vegas {
        Vegas { bounds, probe: 30.0 }
    }

    /// The same, which never measures the shortest latency anew.
    #[must_use]
    pub const fn without_probes(self) -> Vegas {
        Vegas {
            probe: f64::INFINITY,
            ..self
        }
    }

    fn estimate(&self, state: &VegasState) -> f64 {
        if state.limit == 0.0 {
            f64::from(self.bounds.whole(None))
        } else {
            state.limit
        }
    }

    /// Whether this latency is taken for the shortest.
    fn rebases(&self, state: &mut VegasState, limit: f64, latency: Nanos, rng: &mut Rng) -> bool {
        let draw = |rng: &mut Rng| 0.5 + rng.uniform() / 2.0;
        if state.jitter == 0.0 {
            state.jitter = draw(rng);
        }
        state.samples = state.samples.saturating_add(1);
        let is_due = state.jitter * self.probe * limit <= f64::from(state.samples);
        if is_due {
            state.jitter = draw(rng);
            state.samples = 0;
        }
        let is_shortest = state.shortest == Nanos::ZERO || latency < state.shortest;
        if is_due || is_shortest {
            state.shortest = latency;
        }
        is_due || is_shortest
    }
}

impl ConcurrencyLaw for Vegas {
    type State = VegasState;

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn limit(&self, state: &VegasState, _now: Instant) -> u32 {
        self.bounds.whole(Some(self.estimate(state)))
    }

    fn sample(&self, state: &mut VegasState, sample: &Sample, rng: &mut Rng) -> u32 {
        let limit = self.estimate(state);
        let whole = self.bounds.whole(Some(limit));
        let latency = sample.latency.map(|latency| latency.max(Nanos::from_nanos(1)));
        if let Some(latency) = latency
            && self.rebases(state, limit, latency, rng)
        {
            return whole;
        }
        let step = f64::from(whole.max(1).ilog10().max(1));
        let next = match latency {
            _ if sample.dropped => limit - step,
            None => return whole,
            Some(_) if f64::from(sample.in_flight) * 2.0 < limit => return whole,
            Some(latency) => {
                // Rounded up, which a comparison with whole numbers does by itself but for the strict one.
                let waiting = libm::ceil(limit * (1.0 - state.shortest.as_secs_f64() / latency.as_secs_f64()));
                if waiting <= step {
                    limit + 6.0 * step
                } else if waiting < 3.0 * step {
                    limit + step
                } else if 6.0 * step < waiting {
                    limit - step
                } else {
                    return whole;
                }
            }
        };
        state.limit = self.bounds.hold(next);
        self.bounds.whole(Some(state.limit))
    }
}
