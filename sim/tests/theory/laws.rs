//! Golden values: laws of core by themselves, fed with what the case lists.

use core::num::{NonZeroU32, NonZeroU64};

use serde_json::Value;
use tollgate_core::dice::{Dice, Purpose, Rng};
use tollgate_core::health::{Breaker, Outlier, Report, Transition, success_rate_threshold};
use tollgate_core::limit::{Aimd, ConcurrencyLaw, Gradient2, Limiter as _, Sample, SlidingWindow, TwoWindows, Vegas};
use tollgate_core::load::{Estimate, PeakEwma, Ramp};
use tollgate_core::policy::{self, Bounds, BreakerKind, Quota, SlowStart};
use tollgate_core::queue::{CoDel, CoDelState, Pass};
use tollgate_core::throttle::{History, Throttle};
use tollgate_core::time::{Instant, Nanos};

use crate::case::{Case, Reading};
use crate::setup::as_f64;

fn pair(value: &Value) -> (f64, f64) {
    let number = |at: usize| value[at].as_f64().expect("a pair of numbers");
    (number(0), number(1))
}

fn small(case: &Case, name: &str) -> u32 {
    u32::try_from(case.count(name)).expect("a small number")
}

pub(crate) fn peak_ewma(case: &Case) -> Reading {
    let law = PeakEwma::new(Nanos::from_secs_f64(case.number("tau")));
    let mut estimate = Estimate::default();
    let costs = case.list("observations").iter().map(|observation| {
        let (at, latency) = pair(observation);
        let now = Instant::EPOCH + Nanos::from_secs_f64(at);
        law.observe(&mut estimate, now, Nanos::from_secs_f64(latency));
        law.at(&estimate, now)
    });
    Reading::Numbers(costs.collect())
}

/// When somebody is shed of those who come to the head of a long queue and have all waited alike.
pub(crate) fn codel(case: &Case) -> Reading {
    let length = |key: &str| Nanos::from_secs_f64(case.number(key));
    let law = CoDel {
        target: length("target"),
        interval: length("interval"),
    };
    let (every, waited) = (length("dequeue_every"), length("constant_sojourn"));
    let mut state = CoDelState::default();
    // Later than the epoch, so that whoever waits has come since.
    let begin = Instant::from_secs(1);
    let (mut now, mut shed) = (begin, Vec::new());
    while now <= begin + length("until") {
        let mut pass = Pass::default();
        while law.sheds(&mut state, &mut pass, now, waited, u32::MAX) {
            shed.push(now.since(begin).as_secs_f64());
        }
        now += every;
    }
    Reading::Numbers(shed)
}

/// Attempts until so many fail in a row, as the breaker counts them: too many for a simulation with everything around.
pub(crate) fn streaks(case: &Case) -> Reading {
    let breaker = Breaker::new(&BreakerKind::Consecutive {
        failures: NonZeroU32::new(small(case, "k")).expect("a few failures"),
        open: Nanos::from_secs(1),
        probes: NonZeroU32::MIN,
    });
    let share = case.number("p_fail");
    let mut rng = Dice::new(1).request(0).roll(Purpose::Service, 0);
    let (mut attempts, mut episodes) = (0_u64, 0_u64);
    while episodes < case.requests() {
        let mut health = breaker.fresh();
        loop {
            attempts += 1;
            let report = if rng.uniform() < share {
                Report::Failure
            } else {
                Report::Success { latency: Nanos::ZERO }
            };
            if let Some(Transition::Trip { .. }) = breaker.record(&mut health, Instant::EPOCH, report, None) {
                break;
            }
        }
        episodes += 1;
    }
    Reading::Number(as_f64(attempts) / as_f64(episodes))
}

/// The chance to be turned away once so many of so many requests were accepted.
pub(crate) fn throttle(case: &Case) -> Reading {
    let k = case.number("K");
    assert!((k - 2.0).abs() < f64::EPSILON, "the book's own, and not {k}");
    let law = Throttle::new(&policy::Throttle::SRE);
    let (mut history, now) = (History::default(), Instant::from_secs(1));
    for nth in 0..case.count("requests") {
        law.record(&mut history, now, nth < case.count("accepts"));
    }
    Reading::Number(law.chance(&history, now))
}

fn bounds(case: &Case, min: u32) -> Bounds {
    let count = |n: u32| NonZeroU32::new(n).expect("a limit is not zero");
    Bounds {
        initial: count(small(case, "initial")),
        min: count(min),
        max: count(small(case, "max")),
    }
}

/// The limit after each sample of a series: latency in so many seconds a unit, in flight, perhaps whether it was dropped.
fn limits(law: &impl ConcurrencyLaw, series: &[Value], unit: f64) -> Reading {
    let (mut state, mut rng) = (Default::default(), Rng::new(7));
    let now = Instant::from_secs(1);
    let limits = series.iter().map(|entry| {
        let (latency, in_flight) = pair(entry);
        let sample = Sample {
            now,
            started: now,
            in_flight: format!("{in_flight}").parse().expect("a whole number"),
            latency: Some(Nanos::from_secs_f64(latency * unit)),
            dropped: entry[2].as_bool().unwrap_or_default(),
        };
        f64::from(law.sample(&mut state, &sample, &mut rng))
    });
    Reading::Numbers(limits.collect())
}

pub(crate) fn aimd(case: &Case) -> Reading {
    let law = Aimd::new(bounds(case, small(case, "min")));
    limits(&law, case.list("series_rtt_s_inflight_drop"), 1.0)
}

pub(crate) fn vegas(case: &Case) -> Reading {
    let law = Vegas::new(bounds(case, 1)).without_probes();
    limits(&law, case.list("series_rtt_inflight_drop"), 1e-3)
}

pub(crate) fn gradient2(case: &Case) -> Reading {
    let law = Gradient2::new(bounds(case, small(case, "min")));
    limits(&law, case.list("series_rtt_inflight"), 1e-3)
}

pub(crate) fn success_rate(case: &Case) -> Reading {
    let rates: Vec<f64> = case.list("success_rates").iter().filter_map(Value::as_f64).collect();
    Reading::Number(success_rate_threshold(&rates, case.number("stdev_factor")))
}

pub(crate) fn ejection_times(case: &Case) -> Reading {
    let law = Outlier::new(&policy::Outlier {
        base_ejection_time: Nanos::from_secs_f64(case.number("base_ejection_s")),
        max_ejection_time: Nanos::from_secs_f64(case.number("max_ejection_s")),
        ..policy::Outlier::default()
    });
    let lengths = (1..=small(case, "consecutive_ejections")).map(|nth| law.length(nth).as_secs_f64());
    Reading::Numbers(lengths.collect())
}

pub(crate) fn slow_start(case: &Case) -> Reading {
    let window = Nanos::from_secs_f64(case.number("window_s"));
    let ramp = Ramp::new(SlowStart {
        window,
        aggression: case.number("aggression"),
        min_share: case.number("min_weight_percent") / 100.0,
    });
    let share = |part: f64| ramp.share(Nanos::from_secs_f64(window.as_secs_f64() * part));
    Reading::Numbers([0.25, 0.5, 0.75].map(share).to_vec())
}

/// How far the estimate of a sliding window counter is from what really came within the window, seen at a fraction `f` of each
/// window, where the limit is too high to refuse anything. A request is a thousand units, so that the estimate, which is
/// whole, is exact enough.
pub(crate) fn estimate_error(case: &Case) -> Reading {
    const UNITS: u64 = 1_000;
    const LIMIT: u64 = 1 << 40;
    let window = Nanos::from_secs_f64(case.number("window"));
    let limiter = SlidingWindow::new(Quota {
        amount: NonZeroU64::new(LIMIT).expect("not zero"),
        period: window,
        burst: NonZeroU64::MIN,
    });
    let mut rng = Dice::new(1).request(0).roll(Purpose::Arrival, 0);
    let mut gap = || Nanos::from_secs_f64(-tollgate_core::math::ln(1.0 - rng.uniform()) / case.number("lambda_"));
    let (mut state, mut arrivals) = (TwoWindows::default(), std::collections::VecDeque::new());
    let (mut next, mut look) = (Instant::EPOCH + gap(), Instant::EPOCH + window + window * 9);
    look += Nanos::from_secs_f64(window.as_secs_f64() * case.number("f"));
    let (mut looks, mut sum, mut squares, mut arrived) = (0_u64, 0.0, 0.0, 0);
    while arrived < case.requests() {
        if next < look {
            let taken = limiter.take(&mut state, next, UNITS);
            assert!(taken.is_allowed(), "the limit is far");
            arrivals.push_back(next);
            arrived += 1;
            next += gap();
            continue;
        }
        while arrivals.front().is_some_and(|at| window <= look.since(*at)) {
            arrivals.pop_front();
        }
        let estimate = as_f64(LIMIT - limiter.standing(&state, look).remaining) / as_f64(UNITS);
        let error = estimate - as_f64(arrivals.len() as u64);
        (looks, sum, squares) = (looks + 1, sum + error, squares + error * error);
        look += window;
    }
    let mean = sum / as_f64(looks);
    Reading::Number((squares / as_f64(looks) - mean * mean).sqrt())
}
