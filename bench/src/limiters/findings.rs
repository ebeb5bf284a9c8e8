//! What a limiter did with a sequence of arrivals.

use hdrhistogram::Histogram;
use tollgate_core::limit::{Decision, Limiter};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};

use super::arrivals::Arrival;

/// What a limiter did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Requests that asked.
    pub offered: u64,
    /// Units that passed, over those that the quota allows from the first arrival to the last.
    pub rate_held: Option<f64>,
    /// Share of the requests that were refused.
    pub refused: Option<f64>,
    /// The most units that went ahead within any stretch of one period's length, without its end, over the quota's amount.
    pub worst_window: f64,
    /// Seconds until the instant that refusals name: mean, and of one in a hundred.
    pub come_back: [Option<f64>; 2],
    /// Seconds by which what passed was delayed: mean, and of one in a hundred.
    pub delay: [Option<f64>; 2],
    /// Seconds, and the units that went ahead in the period before.
    pub window_over_time: Vec<(f64, f64)>,
}

/// Asks a limiter for everything that arrives, and looks at what it does; arrivals must be in order.
///
/// One's own limiter can be judged as well as ours:
///
/// ```
/// use tollgate_bench::limiters::{Arrival, Options, judge};
/// use tollgate_core::limit::Gcra;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let quota = Options::default().quota;
/// let at_once = vec![Arrival { at: Instant::EPOCH, cost: 1 }; 300];
/// let findings = judge(&Gcra::new(quota, Nanos::ZERO), quota, &at_once);
/// assert_eq!((findings.worst_window, findings.refused), (1.0, Some(200.0 / 300.0)));
/// ```
#[must_use]
pub fn judge<L: Limiter>(limiter: &L, quota: Quota, arrivals: &[Arrival]) -> Findings {
    let mut state = L::State::default();
    let mut taken: Vec<(Instant, u64)> = Vec::new();
    let (mut come_back, mut delay) = (Spread::new(), Spread::new());
    let mut refused = 0_u64;
    for arrival in arrivals {
        match limiter.take(&mut state, arrival.at, arrival.cost) {
            Decision::Allow { at } => {
                delay.add(at.since(arrival.at));
                taken.push((at, arrival.cost));
            }
            Decision::Wait { until } => {
                refused += 1;
                come_back.add(until.since(arrival.at));
            }
            Decision::Never => refused += 1,
        }
    }
    // Whoever is delayed may go ahead after somebody who came later.
    taken.sort_unstable_by_key(|(at, _)| *at);
    let (most, window_over_time) = windows(&taken, quota.period);
    let amount = number(quota.amount.get());
    let units: u64 = taken.iter().map(|(_, cost)| cost).sum();
    let length = match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) => last.at.since(first.at).as_secs_f64(),
        (Some(_) | None, _) => 0.0,
    };
    let allowed = amount / quota.period.as_secs_f64() * length;
    let offered = arrivals.len() as u64;
    Findings {
        offered,
        rate_held: (0.0 < allowed).then(|| number(units) / allowed),
        refused: (0 < offered).then(|| number(refused) / number(offered)),
        worst_window: number(most) / amount,
        come_back: come_back.read(),
        delay: delay.read(),
        window_over_time,
    }
}

/// The most units in any stretch of `period` without its end, and the units of the period before each of up to so many instants.
fn windows(taken: &[(Instant, u64)], period: Nanos) -> (u64, Vec<(f64, f64)>) {
    const DRAWN: usize = 600;
    let mut most = 0;
    let (mut from, mut inside) = (0, 0);
    let mut drawn: Vec<(f64, f64)> = Vec::new();
    let every = taken.len().div_ceil(DRAWN).max(1);
    for (nth, (at, cost)) in taken.iter().enumerate() {
        inside += cost;
        while period <= at.since(taken[from].0) {
            inside -= taken[from].1;
            from += 1;
        }
        most = most.max(inside);
        if nth % every == 0 {
            drawn.push((at.as_secs_f64(), number(inside)));
        }
    }
    (most, drawn)
}

/// The longest length of time that is told apart from longer ones, in nanoseconds: a month.
const LONGEST: u64 = 2_678_400_000_000_000;

/// Lengths of time, of which the mean and the slowest in a hundred are asked for.
struct Spread {
    sum: u128,
    lengths: Histogram<u64>,
}

impl Spread {
    fn new() -> Spread {
        Spread {
            sum: 0,
            lengths: Histogram::new_with_bounds(1, LONGEST, 3).expect("three digits within these bounds"),
        }
    }

    fn add(&mut self, length: Nanos) {
        self.sum += u128::from(length.as_nanos());
        self.lengths.saturating_record(length.as_nanos());
    }

    fn read(&self) -> [Option<f64>; 2] {
        if self.lengths.is_empty() {
            return [None; 2];
        }
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let mean = self.sum as f64 / number(self.lengths.len());
        let slow = Nanos::from_nanos(self.lengths.value_at_quantile(0.99));
        [Some(mean * 1e-9), Some(slow.as_secs_f64())]
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn number(count: u64) -> f64 {
    count as f64
}
