//! The arrivals themselves: one state for each process.

use std::sync::Arc;

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::{Distribution, OutOfRange};

use super::diurnal::Diurnal;
use super::hawkes::Hawkes;
use super::mmpp::Mmpp;
use super::renewal::{Poisson, Renewal};
use super::schedule::{Schedule, count};
use super::spec::ArrivalSpec;
use crate::trace::Trace;
use crate::workload::error::{Cause, Faults, WorkloadErrors};

/// The arrivals of one run, in order.
///
/// ```
/// use tollgate_core::dice::Dice;
/// use tollgate_core::time::Instant;
/// use tollgate_sim::workload::{ArrivalSpec, Arrivals};
///
/// let spec = ArrivalSpec::Deterministic { rate: 4.0 };
/// let mut arrivals = Arrivals::new(&spec, Dice::new(7))?;
/// assert_eq!(arrivals.next(), Some(Instant::EPOCH));
/// assert_eq!(arrivals.next(), Some(Instant::from_nanos(250_000_000)));
/// # Ok::<(), tollgate_sim::workload::WorkloadErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arrivals {
    process: Process,
    dice: Dice,
    number: u64,
}

#[derive(Clone, Debug)]
enum Process {
    Deterministic { rate: f64 },
    Poisson(Poisson),
    Renewal(Box<Renewal>),
    Mmpp(Mmpp),
    Hawkes(Hawkes),
    Schedule(Schedule),
    Diurnal(Diurnal),
    Replay { trace: Arc<Trace>, speedup: f64 },
}

impl Arrivals {
    /// The arrivals of `spec` under `dice`.
    ///
    /// # Errors
    ///
    /// Every impossible number of `spec`; [`Cause::NotOpen`] for a closed workload, which completions drive, and for
    /// a trace, which [`Arrivals::replay`] reads.
    pub fn new(spec: &ArrivalSpec, dice: Dice) -> Result<Arrivals, WorkloadErrors> {
        spec.check()?;
        let process = match spec {
            ArrivalSpec::Deterministic { rate } => Process::Deterministic { rate: *rate },
            ArrivalSpec::Poisson { rate } => Process::Poisson(Poisson::new(*rate)),
            ArrivalSpec::Gamma { rate, cv } => renewal(Distribution::gamma(1.0 / rate, *cv)),
            ArrivalSpec::Weibull { rate, cv } => renewal(Distribution::weibull(1.0 / rate, *cv)),
            ArrivalSpec::Mmpp { rates, holds } => Process::Mmpp(Mmpp::new(rates, holds)),
            ArrivalSpec::Hawkes { rate, branching, decay } => Process::Hawkes(Hawkes::new(*rate, *branching, *decay)),
            ArrivalSpec::Schedule { steps, ramp, noise } => Process::Schedule(Schedule::new(steps, *ramp, *noise)),
            ArrivalSpec::Diurnal {
                mean,
                peak_over_mean,
                period,
            } => Process::Diurnal(Diurnal::new(*mean, *peak_over_mean, *period)),
            ArrivalSpec::Closed(_) | ArrivalSpec::Trace(_) => {
                let mut faults = Faults::default();
                faults.add("arrivals", Cause::NotOpen);
                faults.finish()?;
                unreachable!("a fault was added")
            }
        };
        Ok(Arrivals {
            process,
            dice,
            number: 0,
        })
    }

    /// The arrivals recorded in `trace`, `speedup` times as fast.
    #[must_use]
    pub fn replay(trace: Arc<Trace>, speedup: f64) -> Arrivals {
        Arrivals {
            process: Process::Replay { trace, speedup },
            dice: Dice::new(0),
            number: 0,
        }
    }

    /// The number of the call that [`Arrivals::next`] will tell the arrival of; the first is 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When the next call arrives, or none if there are no more; never before the previous one.
    #[expect(
        clippy::should_implement_trait,
        reason = "an endless process in a `for` loop is a trap"
    )]
    #[inline]
    pub fn next(&mut self) -> Option<Instant> {
        let number = self.number;
        let mut rng = self.dice.request(number).roll(Purpose::Arrival, 0);
        let at = match &mut self.process {
            Process::Poisson(poisson) => poisson.next(&mut rng),
            Process::Deterministic { rate } => {
                let at = Instant::EPOCH + Nanos::from_secs_f64(count(number) / *rate);
                (!at.is_far()).then_some(at)
            }
            Process::Renewal(renewal) => renewal.next(&mut rng),
            Process::Mmpp(mmpp) => mmpp.next(&mut rng),
            Process::Hawkes(hawkes) => hawkes.next(&mut rng),
            Process::Schedule(schedule) => schedule.next(number, &mut rng),
            Process::Diurnal(diurnal) => diurnal.next(&mut rng),
            Process::Replay { trace, speedup } => {
                let row = trace.row(usize::try_from(number).ok()?)?;
                Some(Instant::EPOCH + played(row.time, *speedup))
            }
        }?;
        self.number += 1;
        Some(at)
    }
}

fn renewal(gaps: Result<Distribution, OutOfRange>) -> Process {
    let gaps = gaps.expect("the checked bounds of rate and cv are within those of the distribution");
    Process::Renewal(Box::new(Renewal::new(gaps)))
}

/// When what was recorded at `time` is replayed; untouched at a speedup of 1.
pub(super) fn played(time: Nanos, speedup: f64) -> Nanos {
    #[expect(
        clippy::float_cmp,
        reason = "exactly 1 is the default, and keeps the recorded nanoseconds"
    )]
    if speedup == 1.0 {
        return time;
    }
    Nanos::from_secs_f64(time.as_secs_f64() / speedup)
}
