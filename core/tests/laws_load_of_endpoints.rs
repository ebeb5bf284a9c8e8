//! The laws of `tollgate_core::load` that concern weights, averages, what runs, and who comes back.

use proptest::prelude::*;
use tollgate_core::load::{Estimate, Ewma, LeastTime, Ramp, Running, Score, expected_delay, per_weight};
use tollgate_core::policy::SlowStart;
use tollgate_core::time::{Instant, Nanos};

/// From nothing to minutes, in seconds.
fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1.0f64, 0.0..600.0f64]
}

fn shapes() -> impl Strategy<Value = SlowStart> {
    (1u64..100_000_000_000, 0.1..10.0f64, 0.01..=1.0f64).prop_map(|(window, aggression, min_share)| SlowStart {
        window: Nanos::from_nanos(window),
        aggression,
        min_share,
    })
}

/// `dev-slowstart` of the reference values.
#[test]
fn golden_slow_start() {
    let ramp = Ramp::new(SlowStart {
        window: Nanos::from_secs(60),
        aggression: 1.0,
        min_share: 0.1,
    });
    for (percent, share) in [
        (0, 0.1),
        (5, 0.1),
        (25, 0.25),
        (50, 0.5),
        (75, 0.75),
        (100, 1.0),
        (900, 1.0),
    ] {
        let elapsed = Nanos::from_millis(600 * percent);
        assert!((ramp.share(elapsed) - share).abs() < 1e-9, "{percent} %");
    }
}

/// The value that the definition of the score is given with.
#[test]
fn golden_score() {
    let score = Score { rtt: 0.6, load: 0.4 };
    assert!((score.of(45.0, 0.7) - 0.133_043).abs() < 1e-6);
    assert!((score.load(45.0, 0.7) - (1.0 - 0.133_043)).abs() < 1e-6);
}

proptest! {
    #[test]
    fn a_plain_average_moves_a_tenth(samples in prop::collection::vec(1u64..100_000_000_000, 1..20)) {
        let mut estimate = Estimate::default();
        prop_assert!(Ewma.at(&estimate) <= 0.0);
        let mut expected = Nanos::from_nanos(samples[0]).as_secs_f64();
        for (nth, sample) in samples.iter().enumerate() {
            let sample = Nanos::from_nanos(*sample);
            Ewma.observe(&mut estimate, Instant::EPOCH, sample);
            if 0 < nth {
                expected += (sample.as_secs_f64() - expected) / 10.0;
            }
            prop_assert!((Ewma.at(&estimate) - expected).abs() <= 1e-9 * expected);
        }
        // A failure never makes it look faster.
        let before = Ewma.at(&estimate);
        Ewma.fail(&mut estimate, Instant::EPOCH, None);
        prop_assert!(before <= Ewma.at(&estimate) * (1.0 + 1e-12));
    }

    #[test]
    fn least_time_is_monotonic(
        average in seconds(),
        in_flight in 0u32..1_000,
        ages in seconds(),
        weight in 1u32..=1_000,
        more in 0.001..10.0f64,
    ) {
        let weight = f64::from(weight);
        let load = LeastTime::load(average, in_flight, ages, weight);
        prop_assert!(load <= LeastTime::load(average, in_flight + 1, ages, weight));
        prop_assert!(load < LeastTime::load(average + more, in_flight, ages, weight));
        prop_assert!(load < LeastTime::load(average, in_flight, ages + more, weight));
        prop_assert!(LeastTime::load(average, in_flight, ages, weight + 1.0) <= load);
        let whole = LeastTime::load(average, in_flight, 0.0, 1.0);
        prop_assert!((whole - average * f64::from(in_flight + 1)).abs() <= 1e-12 * whole);
    }

    #[test]
    fn score_is_monotonic(rtt in 0.0..10_000.0f64, load in 0.0..=1.0f64, more in 0.001..1.0f64) {
        let score = Score { rtt: 0.6, load: 0.4 };
        let own = score.load(rtt, load);
        prop_assert!((0.0..=1.0).contains(&own));
        prop_assert!(own < score.load(rtt + more, load));
        prop_assert!(own <= score.load(rtt, load + more));
        prop_assert_eq!(score.load(rtt, 1.0).to_bits(), score.load(rtt, 1.0 + more).to_bits());
    }

    #[test]
    fn weights_divide_loads(count in 0u32..1_000_000, weight in 1u32..=500, times in 1u32..=2) {
        let (count, weight) = (f64::from(count), f64::from(weight));
        let times = f64::from(times);
        let own = per_weight(count, weight);
        prop_assert_eq!(own.to_bits(), per_weight(count * times, weight * times).to_bits());
        prop_assert!(own < per_weight(count + 1.0, weight));
        prop_assert_eq!(expected_delay(count, weight).to_bits(), per_weight(count + 1.0, weight).to_bits());
    }

    #[test]
    fn a_share_only_grows(shape in shapes(), one in 0.0..2.0f64, other in 0.0..2.0f64) {
        let ramp = Ramp::new(shape);
        let at = |part: f64| Nanos::from_secs_f64(shape.window.as_secs_f64() * part);
        let (earlier, later) = (at(one.min(other)), at(one.max(other)));
        prop_assert!(ramp.share(earlier) <= ramp.share(later));
        prop_assert!(shape.min_share <= ramp.share(earlier) && ramp.share(later) <= 1.0);
        prop_assert_eq!(ramp.share(Nanos::ZERO).to_bits(), shape.min_share.to_bits());
        prop_assert_eq!(ramp.share(shape.window).to_bits(), 1.0f64.to_bits());
    }

    #[test]
    fn a_full_share_changes_nothing(count in 0u32..1_000_000, load in seconds(), share in 0.01..1.0f64, weight in 1u32..=1_000_000) {
        let count = f64::from(count);
        prop_assert_eq!(Ramp::count(count, 1.0).to_bits(), count.to_bits());
        prop_assert_eq!(Ramp::stretch(load, 1.0).to_bits(), load.to_bits());
        prop_assert_eq!(Ramp::weight(weight, 1.0), weight);
        prop_assert!(count < Ramp::count(count, share));
        prop_assert!(load <= Ramp::stretch(load, share));
        prop_assert!((1..=weight).contains(&Ramp::weight(weight, share)));
    }

    /// Attempts begin, complete and end in any order; the oracle keeps each.
    #[test]
    fn running_is_the_sum_of_what_runs(steps in prop::collection::vec((0u8..4, 0u64..5_000_000_000, 0u64..10_000), 0..60)) {
        let mut running = Running::default();
        let mut all: Vec<(Instant, u64, bool)> = Vec::new();
        // Late enough for the sum of two to wrap.
        let mut now = Instant::from_nanos(u64::MAX / 3 * 2);
        for (step, gap, tokens) in steps {
            now += Nanos::from_nanos(gap);
            match step {
                0 | 1 => {
                    running.begin(now, tokens);
                    all.push((now, tokens, true));
                }
                2 => {
                    if let Some(one) = all.iter_mut().find(|one| one.2) {
                        running.complete(one.0);
                        one.2 = false;
                    }
                }
                _ => {
                    if let Some((launched, tokens, is_incomplete)) = all.pop() {
                        if is_incomplete {
                            running.complete(launched);
                        }
                        running.end(tokens);
                    }
                }
            }
            let incomplete = all.iter().filter(|one| one.2);
            let age = incomplete.fold(Nanos::ZERO, |sum, one| sum + now.since(one.0));
            prop_assert_eq!(running.age(now), age);
            prop_assert_eq!(running.tokens(), all.iter().map(|one| one.1).sum::<u64>());
        }
    }
}
