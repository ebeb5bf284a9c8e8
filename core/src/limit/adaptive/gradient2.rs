//! The gradient of latency: what it usually is, over what it is now.

use super::{ConcurrencyLaw, Sample};
use crate::dice::Rng;
use crate::policy::Bounds;
use crate::time::Instant;

/// Compares the present latency with its long average, and follows the quotient.
///
/// With `g = 1.5 · average / latency`, held between a half and one, the limit moves a fifth of the way to `L · g + 4`. So
/// latency may be half above its average before anything is taken away, and while it is not, the limit grows by 0.8 a
/// sample. The average is that of the last 600 samples or so, exponentially forgotten (plain for the first ten); where
/// it is more than twice the present latency it loses a twentieth, to be back soon after a long overload. Nothing moves
/// while less than half of the limit is in flight. (Netflix `Gradient2Limit`, tolerance 1.5, from 20, between 20 and 200.)
///
/// It is meant for samples that are averages of a second: see [`Windowed`](super::Windowed), in which a policy puts it.
/// The publication does not ask whether a request was dropped. Here a window with a drop in it may lower the limit, and
/// never raises it; and a drop without a latency is nothing.
///
/// # When it is wrong
///
/// In an overload that lasts, its average becomes that of the overload, and the limit grows again, as slowly as the
/// average has grown: with a window a second, in ten minutes. It needs ten answers a second to move at all.
///
/// ```
/// use tollgate_core::dice::Rng;
/// use tollgate_core::limit::{ConcurrencyLaw, Gradient2, Sample};
/// use tollgate_core::policy::Bounds;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let law = Gradient2::new(Bounds::GRADIENT);
/// let (mut state, mut rng) = (Default::default(), Rng::new(7));
/// let now = Instant::from_secs(1);
/// let sample = Sample { now, started: now, in_flight: 20, latency: Some(Nanos::from_millis(100)), dropped: false };
/// let limits: Vec<u32> = (0..5).map(|_| law.sample(&mut state, &sample, &mut rng)).collect();
/// assert_eq!(limits, [20, 21, 22, 23, 24]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gradient2 {
    bounds: Bounds,
}

/// What Gradient2 has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gradient2State {
    /// Zero: the initial one.
    limit: f64,
    /// The long average, in seconds.
    average: f64,
    /// The sum of the first samples, in seconds.
    sum: f64,
    /// How many of the first samples there were.
    samples: u8,
}

/// Samples of which the average is plain.
const PLAIN: u8 = 10;
/// What a later one weighs, of a window of 600.
const WEIGHT: f64 = 2.0 / 601.0;
/// How much longer than its average latency may be.
const TOLERANCE: f64 = 1.5;
/// What may wait.
const QUEUE: f64 = 4.0;
/// How far a sample moves the limit.
const SMOOTHING: f64 = 0.2;

impl Gradient2 {
    /// Gradient2 within `bounds`.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Gradient2 {
        Gradient2 { bounds }
    }

    fn estimate(&self, state: &Gradient2State) -> f64 {
        if state.limit == 0.0 {
            f64::from(self.bounds.whole(None))
        } else {
            state.limit
        }
    }
}

impl ConcurrencyLaw for Gradient2 {
    type State = Gradient2State;

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn limit(&self, state: &Gradient2State, _now: Instant) -> u32 {
        self.bounds.whole(Some(self.estimate(state)))
    }

    fn sample(&self, state: &mut Gradient2State, sample: &Sample, _rng: &mut Rng) -> u32 {
        let limit = self.estimate(state);
        let Some(latency) = sample.latency else {
            return self.bounds.whole(Some(limit));
        };
        let latency = latency.as_secs_f64().max(1e-9);
        if state.samples < PLAIN {
            state.samples += 1;
            state.sum += latency;
            state.average = state.sum / f64::from(state.samples);
        } else {
            state.average = state.average * (1.0 - WEIGHT) + latency * WEIGHT;
        }
        let average = state.average;
        if 2.0 < average / latency {
            state.average *= 0.95;
        }
        if f64::from(sample.in_flight) < limit / 2.0 {
            return self.bounds.whole(Some(limit));
        }
        let gradient = (TOLERANCE * average / latency).clamp(0.5, 1.0);
        let target = limit * gradient + QUEUE;
        let next = self.bounds.hold(limit * (1.0 - SMOOTHING) + target * SMOOTHING);
        state.limit = if sample.dropped { next.min(limit) } else { next };
        self.bounds.whole(Some(state.limit))
    }
}
