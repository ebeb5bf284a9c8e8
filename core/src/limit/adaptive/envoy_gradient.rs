//! Envoy's gradient controller: the shortest latency, measured on purpose.

use super::histogram::Histogram;
use super::{ConcurrencyLaw, Sample};
use crate::dice::Rng;
use crate::math;
use crate::policy::Bounds;
use crate::time::{Instant, Nanos};

/// Measures what latency is without a queue, by letting almost nothing in, and compares with that.
///
/// Once a minute, and up to 15 % later, the limit falls to its minimum until fifty requests that were let in since have
/// been answered: their median is the *minimum latency*. In between, every 100 ms with an answer in it, `g` is the minimum latency and a
/// quarter over the median of these 100 ms, held between a half and two, and the limit becomes `L · g + sqrt(L · g)`:
/// the root is room for a queue. A limit that five times in a row stays at the minimum is measured anew at once. (Envoy's
/// adaptive concurrency filter: minimum 3, at most 1000. Its timers are looked at here when a sample comes, and when a
/// request does; without either there is nothing that they could change.)
///
/// Drops are no samples, as in Envoy.
///
/// # When it is wrong
///
/// During a measurement all but three requests are refused. Fifty answers of a few seconds each then take a minute,
/// which is as long as the limit stands before the next one: not for slow first tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvoyGradient {
    bounds: Bounds,
}

/// What the controller has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EnvoyGradientState {
    /// What it is doing.
    stage: Stage,
    /// When the latest measurement began: what was let in before is no sample.
    epoch: Instant,
    /// While it measures, the limit to come back to; zero: the initial one.
    limit: u32,
    /// How often in a row the limit has become the minimum.
    at_minimum: u8,
    /// In nanoseconds.
    minimum: f64,
    histogram: Histogram,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Samples are of the minimum latency.
    #[default]
    Measuring,
    /// When the window ends, and when the minimum latency is measured again.
    Following { ends: Instant, measures: Instant },
}

/// How long a window of samples is.
const WINDOW: Nanos = Nanos::from_millis(100);
/// Samples that a measurement takes.
const MEASURED: u32 = 50;
/// From one measurement to the next, before jitter.
const INTERVAL: Nanos = Nanos::from_secs(60);
/// The random part of it, at most.
const JITTER: Nanos = Nanos::from_secs(9);
/// How much above the minimum latency is not a queue.
const BUFFER: f64 = 0.25;
/// Windows in a row at the minimum after which the measurement is doubted.
const DOUBTED: u8 = 5;

impl EnvoyGradient {
    /// The controller within `bounds`, whose minimum is what is let in during a measurement.
    #[must_use]
    pub const fn new(bounds: Bounds) -> EnvoyGradient {
        EnvoyGradient { bounds }
    }

    fn standing(&self, state: &EnvoyGradientState) -> u32 {
        match state.limit {
            0 => self.bounds.whole(None),
            limit => limit,
        }
    }

    /// Does what is due: the end of a window, then the beginning of a measurement.
    fn turn(&self, state: &mut EnvoyGradientState, now: Instant) {
        let Stage::Following { ends, measures } = state.stage else {
            return;
        };
        if ends <= now && ends < measures {
            self.follow(state);
            let windows = now.since(ends).as_nanos() / WINDOW.as_nanos() + 1;
            let ends = ends + WINDOW * windows;
            state.stage = Stage::Following { ends, measures };
        }
        let is_doubted = DOUBTED <= state.at_minimum;
        if measures <= now || is_doubted {
            state.stage = Stage::Measuring;
            state.epoch = now.min(measures);
            state.at_minimum = 0;
            state.histogram.clear();
        }
    }

    /// A window of samples has ended.
    fn follow(&self, state: &mut EnvoyGradientState) {
        let Some(median) = state.histogram.median() else {
            return;
        };
        state.histogram.clear();
        let old = self.standing(state);
        let gradient = (state.minimum * (1.0 + BUFFER) / median.max(1.0)).clamp(0.5, 2.0);
        let limit = f64::from(old) * gradient;
        state.limit = self.bounds.whole(Some(limit + math::sqrt(limit)));
        let minimum = self.bounds.min.get();
        state.at_minimum = if old == minimum && state.limit == minimum {
            state.at_minimum + 1
        } else {
            0
        };
    }

    /// The fifty are there.
    fn measured(state: &mut EnvoyGradientState, now: Instant, rng: &mut Rng) {
        state.minimum = state.histogram.median().expect("fifty samples have a median");
        state.histogram.clear();
        state.at_minimum = 0;
        let jitter = Nanos::from_nanos(rng.below(JITTER.as_nanos()));
        state.stage = Stage::Following {
            ends: now + WINDOW,
            measures: now + INTERVAL + jitter,
        };
    }
}

impl ConcurrencyLaw for EnvoyGradient {
    type State = EnvoyGradientState;

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn limit(&self, state: &EnvoyGradientState, now: Instant) -> u32 {
        match state.stage {
            Stage::Following { measures, .. } if now < measures => self.standing(state),
            Stage::Following { .. } | Stage::Measuring => self.bounds.min.get().min(self.bounds.max.get()),
        }
    }

    fn sample(&self, state: &mut EnvoyGradientState, sample: &Sample, rng: &mut Rng) -> u32 {
        if sample.dropped {
            return self.limit(state, sample.now);
        }
        self.turn(state, sample.now);
        if let Some(latency) = sample.latency.filter(|_| state.epoch <= sample.started) {
            state.histogram.add(latency.as_nanos());
            if state.stage == Stage::Measuring && MEASURED <= state.histogram.samples() {
                EnvoyGradient::measured(state, sample.now, rng);
            }
        }
        self.limit(state, sample.now)
    }
}
