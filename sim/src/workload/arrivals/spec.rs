//! What a scenario may say about arrivals.

use std::path::PathBuf;

use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;

use super::process::played;
use crate::trace::Format;
use crate::workload::error::{Cause, Faults, WorkloadErrors};

/// The highest rate: one arrival a nanosecond.
pub const MAX_RATE: f64 = 1e9;
/// The most states of an MMPP.
pub const MAX_STATES: usize = 64;
/// The most steps of a schedule.
pub const MAX_STEPS: usize = 100_000;
/// The most users of a closed workload.
pub const MAX_USERS: u32 = 10_000_000;
const LEAST_RATE: f64 = 1e-9;
const MAX_SWITCHES: f64 = 10_000.0;

/// When calls arrive. Rates are per second.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrivalSpec {
    /// Equal gaps; the first call arrives at once.
    Deterministic {
        /// Calls a second.
        rate: f64,
    },
    /// Independent exponential gaps.
    Poisson {
        /// Calls a second.
        rate: f64,
    },
    /// Independent gamma gaps of shape `1 / cv^2`.
    Gamma {
        /// Calls a second.
        rate: f64,
        /// Standard deviation of the gaps over their mean; above 1 is bursty.
        cv: f64,
    },
    /// Independent Weibull gaps.
    Weibull {
        /// Calls a second.
        rate: f64,
        /// Standard deviation of the gaps over their mean.
        cv: f64,
    },
    /// A Poisson process whose rate follows a Markov chain: each state in turn, the last followed by the first.
    ///
    /// It starts in a state drawn by the share of time spent there, so that the mean rate holds from the beginning.
    Mmpp {
        /// Calls a second in each state; zero is silence.
        rates: Vec<f64>,
        /// Mean time spent in each state.
        holds: Vec<Nanos>,
    },
    /// Each call makes further calls more likely for a while (Hawkes 1971, exponential kernel).
    ///
    /// The background rate is `rate (1 - branching)`; each call adds `branching decay exp(-decay t)`. It starts at
    /// the mean intensity, so that the mean rate holds from the beginning.
    Hawkes {
        /// Long-run mean of calls a second.
        rate: f64,
        /// Mean number of calls that one call causes directly; at least 0 and below 1.
        branching: f64,
        /// How fast the excitement fades, per second.
        decay: f64,
    },
    /// A rate that changes at stated times; the last one stays.
    Schedule {
        /// From when, and how many calls a second.
        steps: Vec<(Nanos, f64)>,
        /// Whether the rate moves linearly from one step to the next instead of jumping.
        ramp: bool,
        /// What is random about it.
        noise: Noise,
    },
    /// A Poisson process with rate `mean (1 + (peak_over_mean - 1) sin(2 pi t / period))`.
    Diurnal {
        /// Mean calls a second over a period.
        mean: f64,
        /// The highest rate over the mean: 1 is constant, 2 falls to zero once a period; a sine knows no more.
        peak_over_mean: f64,
        /// Length of a day.
        period: Nanos,
    },
    /// Users who think, ask, and wait for the answer before they think again.
    Closed(ClosedSpec),
    /// Recorded arrivals.
    Trace(TraceSpec),
}

/// A closed workload: arrivals are caused by completions, so the simulator drives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedSpec {
    /// How many users.
    pub users: u32,
    /// Seconds from an answer to the next question, and from the start to the first one.
    pub think: Distribution,
}

/// A recorded workload.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpec {
    /// The file.
    pub file: PathBuf,
    /// How it is written.
    pub format: Format,
    /// How much faster than recorded it is replayed: 2 halves every gap.
    pub speedup: f64,
}

impl TraceSpec {
    /// When a call is replayed that was recorded at `time`.
    #[must_use]
    pub fn played(&self, time: Nanos) -> Nanos {
        played(time, self.speedup)
    }
}

/// What is random about a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// A Poisson process with the scheduled rate.
    #[default]
    Poisson,
    /// Nothing: the n-th call arrives when the integrated rate reaches n.
    None,
}

impl ArrivalSpec {
    /// Whether every number is possible.
    ///
    /// # Errors
    ///
    /// Every impossible one, by field below `arrivals`.
    pub fn check(&self) -> Result<(), WorkloadErrors> {
        let mut faults = Faults::default();
        self.check_into(&mut faults);
        faults.finish()
    }

    /// Mean calls a second in the long run; none if it depends on completions or on a file.
    #[must_use]
    pub fn mean_rate(&self) -> Option<f64> {
        match self {
            ArrivalSpec::Deterministic { rate }
            | ArrivalSpec::Poisson { rate }
            | ArrivalSpec::Gamma { rate, .. }
            | ArrivalSpec::Weibull { rate, .. }
            | ArrivalSpec::Hawkes { rate, .. } => Some(*rate),
            ArrivalSpec::Mmpp { rates, holds } => {
                let time: f64 = holds.iter().map(|hold| hold.as_secs_f64()).sum();
                let calls: f64 = rates
                    .iter()
                    .zip(holds)
                    .map(|(rate, hold)| rate * hold.as_secs_f64())
                    .sum();
                Some(calls / time)
            }
            ArrivalSpec::Schedule { steps, .. } => steps.last().map(|(_, rate)| *rate),
            ArrivalSpec::Diurnal { mean, .. } => Some(*mean),
            ArrivalSpec::Closed(_) | ArrivalSpec::Trace(_) => None,
        }
    }

    /// Mean calls a second over a run of `length`, where that is what the scenario says and no file.
    #[must_use]
    pub fn mean_rate_over(&self, length: Nanos) -> Option<f64> {
        let ArrivalSpec::Schedule { steps, ramp, .. } = self else {
            return self.mean_rate();
        };
        let seconds = length.as_secs_f64();
        let mut calls = 0.0;
        for (at, (from, rate)) in steps.iter().enumerate() {
            let (until, then) = steps
                .get(at + 1)
                .map_or((Nanos::FOREVER, *rate), |(at, rate)| (*at, *rate));
            let (from, until) = (from.as_secs_f64(), until.as_secs_f64());
            let end = until.min(seconds);
            if from < end {
                let last = if *ramp {
                    rate + (then - rate) * (end - from) / (until - from)
                } else {
                    *rate
                };
                calls += (rate + last) / 2.0 * (end - from);
            }
        }
        (0.0 < seconds).then(|| calls / seconds)
    }

    /// The same with every rate `factor` times as high. When rates change stays as it is, but for a trace, which is
    /// replayed faster. None for a closed workload, whose rate is what its users make of it.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Option<ArrivalSpec> {
        let mut scaled = self.clone();
        match &mut scaled {
            ArrivalSpec::Deterministic { rate }
            | ArrivalSpec::Poisson { rate }
            | ArrivalSpec::Gamma { rate, .. }
            | ArrivalSpec::Weibull { rate, .. }
            | ArrivalSpec::Hawkes { rate, .. }
            | ArrivalSpec::Diurnal { mean: rate, .. } => *rate *= factor,
            ArrivalSpec::Mmpp { rates, .. } => rates.iter_mut().for_each(|rate| *rate *= factor),
            ArrivalSpec::Schedule { steps, .. } => steps.iter_mut().for_each(|(_, rate)| *rate *= factor),
            ArrivalSpec::Trace(trace) => trace.speedup *= factor,
            ArrivalSpec::Closed(_) => return None,
        }
        Some(scaled)
    }

    pub(crate) fn check_into(&self, faults: &mut Faults) {
        match self {
            ArrivalSpec::Deterministic { rate } | ArrivalSpec::Poisson { rate } => check_rate(faults, *rate),
            ArrivalSpec::Gamma { rate, cv } | ArrivalSpec::Weibull { rate, cv } => {
                check_rate(faults, *rate);
                faults.within("arrivals.cv", *cv, 0.01, 100.0);
            }
            ArrivalSpec::Mmpp { rates, holds } => check_mmpp(faults, rates, holds),
            ArrivalSpec::Hawkes { rate, branching, decay } => {
                check_rate(faults, *rate);
                faults.within("arrivals.branching", *branching, 0.0, 0.999);
                faults.within("arrivals.decay", *decay, 1e-9, 1e9);
            }
            ArrivalSpec::Schedule { steps, .. } => check_steps(faults, steps),
            ArrivalSpec::Diurnal {
                mean,
                peak_over_mean,
                period,
            } => {
                faults.within("arrivals.mean", *mean, LEAST_RATE, MAX_RATE / 2.0);
                faults.within("arrivals.peak_over_mean", *peak_over_mean, 1.0, 2.0);
                faults.within("arrivals.period", period.as_secs_f64(), 1e-6, 1e9);
            }
            ArrivalSpec::Closed(closed) => {
                faults.within("arrivals.users", f64::from(closed.users), 1.0, f64::from(MAX_USERS));
                faults.within("arrivals.think", closed.think.mean(), 0.0, 1e9);
            }
            ArrivalSpec::Trace(trace) => faults.within("arrivals.speedup", trace.speedup, 1e-6, 1e6),
        }
    }
}

fn check_rate(faults: &mut Faults, rate: f64) {
    faults.within("arrivals.rate", rate, LEAST_RATE, MAX_RATE);
}

fn check_mmpp(faults: &mut Faults, rates: &[f64], holds: &[Nanos]) {
    faults.len_within("arrivals.rates", rates.len(), MAX_STATES);
    if rates.len() != holds.len() {
        let cause = Cause::UnequalLengths {
            other: "arrivals.rates",
            len: holds.len(),
            other_len: rates.len(),
        };
        faults.add("arrivals.holds", cause);
        return;
    }
    for (index, rate) in rates.iter().enumerate() {
        faults.within(format!("arrivals.rates[{index}]"), *rate, 0.0, MAX_RATE);
    }
    for (index, hold) in holds.iter().enumerate() {
        faults.within(format!("arrivals.holds[{index}]"), hold.as_secs_f64(), 1e-9, 1e9);
    }
    let calls: f64 = rates
        .iter()
        .zip(holds)
        .map(|(rate, hold)| rate * hold.as_secs_f64())
        .sum();
    if calls == 0.0 && !rates.is_empty() {
        faults.add("arrivals.rates", Cause::NothingArrives);
        return;
    }
    let states = f64::from(u32::try_from(rates.len()).unwrap_or(u32::MAX));
    let switches = states / calls;
    if MAX_SWITCHES < switches {
        faults.add(
            "arrivals.holds",
            Cause::TooManySwitches {
                switches,
                most: MAX_SWITCHES,
            },
        );
    }
}

fn check_steps(faults: &mut Faults, steps: &[(Nanos, f64)]) {
    faults.len_within("arrivals.steps", steps.len(), MAX_STEPS);
    for (index, (_, rate)) in steps.iter().enumerate() {
        faults.within(format!("arrivals.steps[{index}]"), *rate, 0.0, MAX_RATE);
    }
    let starts_at_zero = steps.first().is_none_or(|(at, _)| *at == Nanos::ZERO);
    if !starts_at_zero || steps.windows(2).any(|pair| pair[1].0 <= pair[0].0) {
        faults.add("arrivals.steps", Cause::NotIncreasing);
    }
    if !steps.is_empty() && steps.iter().all(|(_, rate)| *rate == 0.0) {
        faults.add("arrivals.steps", Cause::NothingArrives);
    }
}
