//! When limiters are asked, and for how much.

use std::num::NonZeroU32;

use tollgate_core::dice::Dice;
use tollgate_core::policy::Quota;
use tollgate_core::time::Instant;
use tollgate_sim::trace::TraceRow;
use tollgate_sim::workload::{ArrivalSpec, Arrivals};

use super::{Options, Unit};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// For how many units.
    pub cost: u64,
}

/// A kind of arrivals.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What data calls it.
    pub key: &'static str,
    /// What people call it.
    pub title: String,
    /// What it is, in a sentence.
    pub meaning: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A process, its rate as a multiple of the quota's.
    Process(ArrivalSpec),
    /// A flood that begins at the worst moment.
    Flood,
    /// What was recorded.
    Recorded,
}

/// Most arrivals of a process, on average: of faster quotas each asks for several units.
const MOST: u64 = 2_000_000;
/// How many times the quota a flood asks for.
const FLOOD: u64 = 20;

impl Pattern {
    /// Every kind, for these options.
    #[must_use]
    pub fn all(options: &Options) -> Vec<Pattern> {
        let rate = rate(options);
        let pattern = |key, title: &str, meaning: &str, kind| Pattern {
            key,
            title: title.to_owned(),
            meaning: meaning.to_owned(),
            kind,
        };
        let period = options.quota.period;
        let bursty = ArrivalSpec::Mmpp {
            rates: vec![0.4 * rate, 6.0 * rate],
            holds: vec![period * 9, period],
        };
        let mut patterns = vec![
            pattern(
                "saturated",
                "Saturated: Poisson at twice the quota",
                "More is always asked for than may pass: what passes is the rate that the limiter holds.",
                Kind::Process(ArrivalSpec::Poisson { rate: 2.0 * rate }),
            ),
            pattern(
                "poisson",
                "Poisson at nine tenths of the quota",
                "On average there is enough for everybody; refusals are the price of chance.",
                Kind::Process(ArrivalSpec::Poisson { rate: 0.9 * rate }),
            ),
            pattern(
                "bursty",
                "Bursty: six times the quota for one period in ten",
                "Traffic that comes in waves (a Markov-modulated Poisson process), 0.96 of the quota on average.",
                Kind::Process(bursty),
            ),
            pattern(
                "adversarial",
                "Adversarial: a flood that begins at the worst moment",
                "After silence somebody asks for twenty times the quota, from that moment in a period on that lets most \
                 through in one period's length.",
                Kind::Flood,
            ),
        ];
        patterns.push(match &options.trace {
            Some(recorded) => pattern(
                "real",
                &format!("Recorded: {}", recorded.name),
                "Real traffic as it was recorded, at its own speed.",
                Kind::Recorded,
            ),
            None => pattern(
                "real",
                "Like a recorded code assistant: gamma gaps, coefficient of variation 13",
                "A stand-in for real arrivals, at nine tenths of the quota; --trace FILE replays your own.",
                Kind::Process(ArrivalSpec::Gamma {
                    rate: 0.9 * rate,
                    cv: 13.0,
                }),
            ),
        });
        patterns
    }

    /// The arrivals, in order. Of a flood, one sequence for each moment at which it may begin; of everything else one.
    ///
    /// # Panics
    ///
    /// If the pattern is of options that had a trace, and these have none.
    #[must_use]
    pub fn arrivals(&self, options: &Options) -> Vec<Vec<Arrival>> {
        let period = options.quota.period;
        match &self.kind {
            Kind::Process(spec) => {
                let mut arrivals = Arrivals::new(spec, Dice::new(options.seed)).expect("rates of a checked quota");
                let end = Instant::EPOCH + period * u64::from(options.periods);
                let next = std::iter::from_fn(|| arrivals.next());
                let instants = next.take_while(|at| *at < end);
                let cost = grain(options);
                vec![instants.map(|at| Arrival { at, cost }).collect()]
            }
            Kind::Flood => (0..PHASES).map(|phase| flood(options.quota, phase)).collect(),
            Kind::Recorded => {
                let trace = &options.trace.as_ref().expect("this pattern is for a trace").trace;
                let tokens = |count: Option<NonZeroU32>| count.map_or(0, |count| u64::from(count.get()));
                let cost = |row: &TraceRow| match options.unit {
                    Unit::Requests => 1,
                    Unit::Tokens => tokens(row.prompt) + tokens(row.output),
                };
                let arrival = |row: TraceRow| Arrival {
                    at: Instant::EPOCH + row.time,
                    cost: cost(&row),
                };
                vec![trace.rows().map(arrival).collect()]
            }
        }
    }
}

/// Moments within a period at which a flood may begin.
const PHASES: u64 = 20;

/// Silence for some periods, then twenty times the quota for three periods, from the `phase`-th moment of a period on.
fn flood(quota: Quota, phase: u64) -> Vec<Arrival> {
    const SILENCE: u64 = 4;
    const LENGTH: u64 = 3;
    let period = quota.period.as_nanos();
    // Just before the end of each part, so that the last is just before a boundary.
    let begin = SILENCE * period + (phase + 1) * (period / PHASES) - period / 1000;
    let asked = (FLOOD * quota.amount.get()).min(1 << 17);
    let cost = quota.amount.get().div_ceil(1 << 13).min(quota.burst.get());
    let after = |nth: u64| u64::try_from(u128::from(nth) * u128::from(period) / u128::from(asked)).unwrap_or(u64::MAX);
    let arrival = |nth| Arrival {
        at: Instant::from_nanos(begin.saturating_add(after(nth))),
        cost,
    };
    (0..LENGTH * asked).map(arrival).collect()
}

/// Arrivals a second that ask for what the quota allows.
#[expect(clippy::cast_precision_loss, reason = "a rate of arrivals")]
fn rate(options: &Options) -> f64 {
    let units = options.quota.amount.get() as f64 / options.quota.period.as_secs_f64();
    units / grain(options) as f64
}

/// Units that an arrival of a process asks for: one, unless there would be too many arrivals.
fn grain(options: &Options) -> u64 {
    let units = options
        .quota
        .amount
        .get()
        .saturating_mul(2 * u64::from(options.periods));
    units.div_ceil(MOST).min(options.quota.burst.get())
}
