//! The laws of `tollgate_core::health` that are about counting: windows, thresholds, active checks.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::health::{Breaker, ProbeState, Probing, Report, Tally, Turn};
use tollgate_core::policy::{BreakerKind, Window};
use tollgate_core::time::{Instant, Nanos};

const OPEN: Nanos = Nanos::from_secs(10);
const GOOD: Report = Report::Success { latency: Nanos::ZERO };

fn nonzero(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn error_rate(percent: u16, window: Window, min_requests: u32) -> BreakerKind {
    BreakerKind::ErrorRate {
        share: f32::from(percent) / 100.0,
        window,
        min_requests: nonzero(min_requests),
        open: OPEN,
        probes: NonZeroU32::MIN,
    }
}

fn report(is_failure: bool) -> Report {
    if is_failure { Report::Failure } else { GOOD }
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1u32..200).prop_map(|size| Window::Count(nonzero(size))),
        (1u64..60_000_000_000).prop_map(|length| Window::Time(Nanos::from_nanos(length))),
    ]
}

proptest! {
    #[test]
    fn trips_at_threshold_not_before(percent in 1u32..=100, failures in 1u32..50) {
        let breaker = Breaker::new(&BreakerKind::Consecutive {
            failures: nonzero(failures),
            open: OPEN,
            probes: NonZeroU32::MIN,
        });
        let mut health = breaker.fresh();
        for n in 1..=failures {
            let trip = breaker.record(&mut health, Instant::EPOCH, Report::Failure, None);
            prop_assert_eq!(trip.is_some(), n == failures);
        }

        // A hundred attempts, of which the last decides.
        let share = u16::try_from(percent).expect("small");
        for window in [Window::Count(nonzero(100)), Window::Time(OPEN)] {
            for n_failures in [percent - 1, percent] {
                let breaker = Breaker::new(&error_rate(share, window, 100));
                let mut health = breaker.fresh();
                let trips = (0..100)
                    .filter(|n| breaker.record(&mut health, Instant::EPOCH, report(*n < n_failures), None).is_some())
                    .count();
                prop_assert_eq!(trips, usize::from(n_failures == percent));
            }
        }
    }

    #[test]
    fn min_requests_is_respected(window in windows(), min in 1u32..300) {
        let enough = match window {
            Window::Count(size) => min.min(size.get()),
            Window::Time(_) => min,
        };
        let breaker = Breaker::new(&error_rate(1, window, min));
        let mut health = breaker.fresh();
        for n in 1..=enough {
            let trip = breaker.record(&mut health, Instant::EPOCH, Report::Failure, None);
            prop_assert_eq!(trip.is_some(), n == enough);
        }
    }

    /// Against an oracle that keeps the instant of every attempt; then the same attempts in one burst.
    #[test]
    fn a_burst_and_a_spread_reach_the_same_verdict(
        length in 1u64..60_000_000_000,
        attempts in prop::collection::vec((0u64..1300, any::<bool>()), 1..300),
        percent in 1u16..=100,
        min in 1u32..20,
        later in 0u64..1300,
    ) {
        let width = length.div_ceil(10);
        let breaker = Breaker::new(&error_rate(percent, Window::Time(Nanos::from_nanos(length)), min));
        let (mut spread, mut burst) = (breaker.fresh(), breaker.fresh());
        let mut kept: Vec<(u64, bool)> = Vec::new();
        let (mut now, mut has_expired) = (0, false);
        for (gap, is_failure) in attempts {
            // Mostly short gaps: the verdict is compared while all fit the window.
            now += gap.saturating_sub(900) * width / 100;
            let n_kept = kept.len();
            kept.retain(|(bucket, _)| now / width < bucket + 10);
            has_expired |= kept.len() < n_kept;
            kept.push((now / width, is_failure));
            let failures = kept.iter().filter(|(_, is_failure)| *is_failure).count();
            let oracle = Tally {
                attempts: u32::try_from(kept.len()).expect("few"),
                failures: u32::try_from(failures).expect("few"),
            };
            let trips = min <= oracle.attempts && oracle.attempts * u32::from(percent) <= oracle.failures * 100;

            let verdict = breaker.record(&mut spread, Instant::from_nanos(now), report(is_failure), None);
            prop_assert_eq!(verdict.is_some(), trips);
            if !has_expired {
                let verdict = breaker.record(&mut burst, Instant::EPOCH, report(is_failure), None);
                prop_assert_eq!(verdict.is_some(), trips);
            }
            if trips {
                break;
            }
            prop_assert_eq!(breaker.tally(&spread, Instant::from_nanos(now)), oracle);
            let later = now + later * width / 100;
            let alive = kept.iter().filter(|(bucket, _)| later / width < bucket + 10).count();
            let told = breaker.tally(&spread, Instant::from_nanos(later)).attempts;
            prop_assert_eq!(usize::try_from(told).expect("few"), alive);
        }
    }

    #[test]
    fn the_last_attempts_decide(size in 1u32..150, results in prop::collection::vec(any::<bool>(), 0..500)) {
        let breaker = Breaker::new(&error_rate(100, Window::Count(nonzero(size)), 1000));
        let mut health = breaker.fresh();
        let size = usize::try_from(size).expect("small");
        for n in 0..results.len() {
            let last = &results[(n + 1).saturating_sub(size)..=n];
            let failures = last.iter().filter(|is_failure| **is_failure).count();
            let is_full_of_failures = failures == size;
            let trip = breaker.record(&mut health, Instant::EPOCH, report(results[n]), None);
            prop_assert_eq!(trip.is_some(), is_full_of_failures);
            if is_full_of_failures {
                break;
            }
            let tally = breaker.tally(&health, Instant::EPOCH);
            prop_assert_eq!(usize::try_from(tally.attempts).expect("small"), last.len());
            prop_assert_eq!(usize::try_from(tally.failures).expect("small"), failures);
        }
    }

    /// Against the definition: the standing turns when the last so many checks all contradict it.
    #[test]
    fn rise_and_fall_are_exact(rise in 1u32..5, fall in 1u32..5, checks in prop::collection::vec(any::<bool>(), 0..200)) {
        let probing = Probing::new(nonzero(rise), nonzero(fall));
        let mut state = ProbeState::default();
        let (mut is_up, mut since) = (true, 0);
        for n in 0..checks.len() {
            let needed = usize::try_from(if is_up { fall } else { rise }).expect("small");
            let turns = needed <= n + 1 - since && checks[n + 1 - needed..=n].iter().all(|is_good| *is_good != is_up);
            let expected = turns.then_some(if is_up { Turn::Down } else { Turn::Up });
            prop_assert_eq!(probing.judge(&mut state, checks[n]), expected);
            if turns {
                (is_up, since) = (!is_up, n + 1);
            }
            prop_assert_eq!(state.is_up(), is_up);
        }
    }
}
