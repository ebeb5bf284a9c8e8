//! The laws of `tollgate_core::hedge`.

use proptest::prelude::*;
use tollgate_core::hedge::{self, LatencyQuantile};
use tollgate_core::policy::{Hedge, HedgeAfter};
use tollgate_core::retry::Balance;
use tollgate_core::time::{Instant, Nanos};

/// Latencies of every order of magnitude, some lumped together.
fn latencies() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        (0u32..64, 0u64..=u64::MAX).prop_map(|(shift, bits)| Nanos::from_nanos(bits >> shift)),
        (1_000_000u64..2_000_000).prop_map(Nanos::from_nanos),
        Just(Nanos::from_millis(300)),
    ]
}

/// Calls of a state: gaps in thousandths of a period, latencies, and the quantile asked for afterwards.
fn calls() -> impl Strategy<Value = Vec<(u64, Nanos, f64)>> {
    let gap = prop_oneof![60 => 0u64..10, 1 => 0u64..3000];
    prop::collection::vec((gap, latencies(), 0.0f64..=1.0), 0..400)
}

/// The smallest of `sorted` that the share `q` does not exceed, by definition.
fn exact(sorted: &[u64], q: f64) -> u64 {
    let n = f64::from(u32::try_from(sorted.len()).expect("few samples"));
    let mut rank = 1;
    while f64::from(rank) < q * n {
        rank += 1;
    }
    sorted[usize::try_from(rank - 1).expect("small")]
}

proptest! {
    /// Against an oracle that keeps every sample with the number of its period.
    #[test]
    fn quantile_is_within_two_percent(calls in calls(), window in 2000u64..1_000_000_000) {
        let law = LatencyQuantile::new(Nanos::from_nanos(window));
        let period = window.div_ceil(2);
        let mut state = law.fresh();
        let mut now = 0;
        let mut kept: Vec<(u64, u64)> = Vec::new();
        for (gap, latency, q) in calls {
            now += gap * period / 1000;
            law.observe(&mut state, Instant::from_nanos(now), latency);
            kept.push((now / period, latency.as_nanos()));
            kept.retain(|(number, _)| now / period < number + 2);
            let mut sorted: Vec<u64> = kept.iter().map(|(_, latency)| *latency).collect();
            sorted.sort_unstable();
            let answer = law.quantile(&mut state, Instant::from_nanos(now), q);
            prop_assert_eq!(answer.is_some(), 50 <= sorted.len());
            if let Some(answer) = answer {
                let exact = exact(&sorted, q);
                prop_assert!(
                    answer.as_nanos().abs_diff(exact) <= exact / 50,
                    "{answer:?} is not within 2 % of {exact} ns"
                );
            }
        }
    }

    #[test]
    fn few_samples_are_no_quantile(n in 0u64..120) {
        let law = LatencyQuantile::default();
        let mut state = law.fresh();
        for _ in 0..n {
            law.observe(&mut state, Instant::EPOCH, Nanos::from_millis(1));
        }
        let answer = law.quantile(&mut state, Instant::EPOCH, 0.95);
        prop_assert_eq!(answer.is_some(), LatencyQuantile::MIN_SAMPLES <= n);
    }

    #[test]
    fn forgets_after_the_window(at in 0u64..1_000_000_000_000, elapsed in 0u64..200_000_000_000) {
        let window = Nanos::from_secs(60);
        let law = LatencyQuantile::new(window);
        let mut state = law.fresh();
        let (at, elapsed) = (Instant::from_nanos(at), Nanos::from_nanos(elapsed));
        for _ in 0..60 {
            law.observe(&mut state, at, Nanos::from_millis(5));
        }
        let is_kept = law.quantile(&mut state, at + elapsed, 0.5).is_some();
        if elapsed < Nanos::from_secs(30) {
            prop_assert!(is_kept);
        }
        if window <= elapsed {
            prop_assert!(!is_kept);
        }
        prop_assert_eq!(law.samples(&state, at + elapsed), if is_kept { 60 } else { 0 });
    }

    /// Calls come a little late in every period; a sample still counts until its period and the next are over.
    #[test]
    fn rotation_does_not_drift(lateness in prop::collection::vec(0u64..1000, 1..50)) {
        let law = LatencyQuantile::new(Nanos::from_nanos(2000));
        let mut state = law.fresh();
        let mut period = 0;
        for late in lateness {
            law.observe(&mut state, Instant::from_nanos(period * 1000 + late), Nanos::from_nanos(1));
            period += 1;
            // That of this period and that of the one before, if there was one.
            let end_of_next = Instant::from_nanos((period + 1) * 1000);
            prop_assert_eq!(law.samples(&state, Instant::from_nanos(period * 1000 - 1)), period.min(2));
            prop_assert_eq!(law.samples(&state, end_of_next - Nanos::from_nanos(1)), 1);
            prop_assert_eq!(law.samples(&state, end_of_next), 0);
        }
    }

    #[test]
    fn late_now_forgets_nothing(calls in calls(), late in 0u64..10_000) {
        let law = LatencyQuantile::new(Nanos::from_nanos(2000));
        let (mut state, mut clamped) = (law.fresh(), law.fresh());
        let mut now = Instant::EPOCH;
        for (n, (gap, latency, q)) in calls.into_iter().enumerate() {
            now += Nanos::from_nanos(gap);
            let seen = if n % 3 == 0 { now } else { now - Nanos::from_nanos(late) };
            let _ = law.quantile(&mut clamped, now, q);
            let _ = law.quantile(&mut state, now, q);
            law.observe(&mut state, seen, latency);
            law.observe(&mut clamped, now, latency);
            prop_assert_eq!(law.quantile(&mut state, seen, q), law.quantile(&mut clamped, now, q));
        }
    }

    #[test]
    fn hedges_are_a_share_of_requests(percent in 1u32..=100, steps in prop::collection::vec((0u64..3_000, 0u8..4), 0..2000)) {
        let budget = hedge::budget(&Hedge {
            after: HedgeAfter::Quantile(0.95),
            max: 1,
            budget: f64::from(percent) / 100.0,
        });
        let mut balance = Balance::default();
        let (mut now, mut requests, mut hedges) = (Instant::EPOCH, 0u64, 0u64);
        for (millis, kind) in steps {
            now += Nanos::from_millis(millis);
            if kind == 0 {
                hedges += u64::from(budget.withdraw(&mut balance, now));
            } else {
                budget.deposit(&mut balance, now);
                requests += 1;
            }
            prop_assert!(hedges * 100 <= requests * u64::from(percent));
        }
    }
}
