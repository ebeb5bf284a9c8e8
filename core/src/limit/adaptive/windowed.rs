//! Samples of a second, as one.

use super::{ConcurrencyLaw, Sample};
use crate::dice::Rng;
use crate::policy::Bounds;
use crate::time::{Instant, Nanos};

/// Feeds a law with the average of a second instead of with single requests.
///
/// A window ends with the first sample after its second. If it has ten samples the law is given the mean of their
/// latencies, the most that was in flight, and whether anything was dropped; with fewer they are forgotten. Latencies
/// below 100 µs are nobody's. (Netflix `WindowedLimit` with `AverageSampleWindow`. There every sample has a latency; here
/// a drop that has none counts as a sample, and is not in the mean.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windowed<L> {
    law: L,
}

/// A window, and what its law has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowedState<S> {
    learned: S,
    /// When the window ends.
    ends: Instant,
    /// When the first request of the window was let in.
    started: Option<Instant>,
    /// Of latencies, and how many.
    sum: Nanos,
    latencies: u32,
    /// Latencies and drops.
    samples: u32,
    most_in_flight: u32,
    dropped: bool,
}

/// How long a window is.
const WINDOW: Nanos = Nanos::from_secs(1);
/// Fewest samples that are worth an average.
const FEWEST: u32 = 10;
/// What is faster is not an answer.
const THRESHOLD: Nanos = Nanos::from_micros(100);

impl<L: ConcurrencyLaw> Windowed<L> {
    /// Windows for `law`.
    #[must_use]
    pub const fn new(law: L) -> Windowed<L> {
        Windowed { law }
    }
}

impl<L: ConcurrencyLaw> ConcurrencyLaw for Windowed<L> {
    type State = WindowedState<L::State>;

    fn bounds(&self) -> Bounds {
        self.law.bounds()
    }

    fn limit(&self, state: &Self::State, now: Instant) -> u32 {
        self.law.limit(&state.learned, now)
    }

    fn sample(&self, state: &mut Self::State, sample: &Sample, rng: &mut Rng) -> u32 {
        let latency = sample.latency.filter(|latency| THRESHOLD <= *latency);
        if latency.is_none() && !sample.dropped {
            return self.law.limit(&state.learned, sample.now);
        }
        state.sum += latency.unwrap_or(Nanos::ZERO);
        state.latencies = state.latencies.saturating_add(u32::from(latency.is_some()));
        state.samples = state.samples.saturating_add(1);
        state.dropped |= sample.dropped;
        state.most_in_flight = state.most_in_flight.max(sample.in_flight);
        let started = *state.started.get_or_insert(sample.started);
        if sample.now <= state.ends {
            return self.law.limit(&state.learned, sample.now);
        }
        let window = *state;
        *state = WindowedState {
            learned: window.learned,
            ends: sample.now + WINDOW,
            ..WindowedState::default()
        };
        if window.samples < FEWEST {
            return self.law.limit(&state.learned, sample.now);
        }
        let mean = window.sum.as_nanos().checked_div(u64::from(window.latencies));
        let average = Sample {
            now: sample.now,
            started,
            in_flight: window.most_in_flight,
            latency: mean.map(Nanos::from_nanos),
            dropped: window.dropped,
        };
        self.law.sample(&mut state.learned, &average, rng)
    }
}
