//! The laws of outlier detection, against Envoy's arithmetic in floating point.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::dice::Rng;
use tollgate_core::fault::Fault;
use tollgate_core::health::{Answer, Cause, Outlier, Peer, Suspect, success_rate_threshold};
use tollgate_core::policy::{self, FailurePercentage, Percent, Row, SuccessRate, Volume};
use tollgate_core::time::{Instant, Nanos};

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

/// The n-th failure in a row, and no earlier one.
fn row(length: u32) -> Row {
    Row {
        length: NonZeroU32::new(length).expect("not zero"),
        enforcing: Percent::ALL,
    }
}

fn numbers(hosts: u32, volume: u32, stdev_thousandths: u32) -> policy::Outlier {
    let volume = Volume {
        minimum_hosts: hosts,
        request_volume: volume,
    };
    policy::Outlier {
        success_rate: SuccessRate {
            volume,
            stdev_thousandths,
            enforcing: Percent::ALL,
        },
        failure_percentage: FailurePercentage {
            volume,
            threshold: Percent::new(85),
            enforcing: Percent::ALL,
        },
        ..policy::Outlier::default()
    }
}

/// Endpoints after an interval in which they were sent so many attempts, so many of them good.
fn peers(intervals: &[(u32, u32)]) -> Vec<(usize, Peer)> {
    let peer = |(attempts, successes): &(u32, u32)| Peer {
        attempts: *attempts,
        successes: (*successes).min(*attempts),
    };
    intervals.iter().map(peer).enumerate().collect()
}

fn by(law: &Outlier, peers: &[(usize, Peer)], cause: Cause) -> Vec<usize> {
    let found = law.suspects(peers).filter(|(_, why)| *why == cause);
    found.map(|(at, _)| at).collect()
}

fn rate(peer: Peer) -> f64 {
    f64::from(peer.successes) / f64::from(peer.attempts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_is_found_when_it_is_full(length in 1u32..20, gateway in any::<bool>(), good in 0u32..20) {
        let law = Outlier::new(&policy::Outlier {
            consecutive_5xx: row(length),
            consecutive_gateway_failure: row(length),
            ..policy::Outlier::default()
        });
        let mut suspect = Suspect::default();
        let bad = if gateway { Answer::GatewayFailure } else { Answer::Failure };
        for _ in 0..good.min(length - 1) {
            law.record(&mut suspect, bad);
        }
        law.record(&mut suspect, Answer::Success);
        for round in 0..3 {
            for nth in 1..=length {
                let is_full = nth == length;
                let expected = [
                    (gateway && is_full).then_some(Cause::ConsecutiveGatewayFailure),
                    is_full.then_some(Cause::Consecutive5xx),
                ];
                prop_assert_eq!(law.record(&mut suspect, bad), expected, "round {}, failure {}", round, nth);
            }
        }
        // Whoever is out is not suspected, and comes back with a clean slate.
        law.eject(&mut suspect, at(1));
        for _ in 0..2 * length {
            prop_assert_eq!(law.record(&mut suspect, bad), [None, None]);
        }
        let until = suspect.ejected_until();
        prop_assert!(law.sweep(&mut suspect, until).restored);
        for nth in 1..length {
            prop_assert_eq!(law.record(&mut suspect, bad), [None, None], "failure {}", nth);
        }
    }

    #[test]
    fn the_ejected_share_is_bounded(percent in 0u8..=100, endpoints in 1usize..200) {
        let law = Outlier::new(&policy::Outlier {
            max_ejection_percent: Percent::new(percent),
            ..policy::Outlier::default()
        });
        let mut ejected = 0u64;
        while law.has_room(ejected, endpoints) && ejected <= 200 {
            ejected += 1;
        }
        let allowed = u64::from(percent) * u64::try_from(endpoints).expect("few") / 100;
        prop_assert_eq!(ejected, allowed.max(1));
    }

    #[test]
    fn ejections_grow_and_decay(base in 1u64..100, most in 1u64..1_000, healthy in 0u32..20) {
        let most = most.max(base);
        let law = Outlier::new(&policy::Outlier {
            interval: Nanos::from_secs(1),
            base_ejection_time: Nanos::from_secs(base),
            max_ejection_time: Nanos::from_secs(most),
            ..policy::Outlier::default()
        });
        let mut suspect = Suspect::default();
        let mut now = at(0);
        for nth in 1..30u64 {
            let until = law.eject(&mut suspect, now);
            prop_assert_eq!(until.since(now), Nanos::from_secs((base * nth).min(most)));
            now = until;
            prop_assert!(!law.sweep(&mut suspect, now - Nanos::from_secs(1)).restored);
            prop_assert!(law.sweep(&mut suspect, now).restored);
        }
        // One more than the longest is the most that has to be worked off.
        let before = suspect.multiplier();
        prop_assert!(u64::from(before) <= most.div_ceil(base) + 1);
        for _ in 0..healthy {
            law.sweep(&mut suspect, now);
        }
        prop_assert_eq!(suspect.multiplier(), before.saturating_sub(healthy));
    }

    #[test]
    fn sweeps_are_on_the_grid(interval in 1u64..20_000_000_000, now in 0u64..1_000_000_000_000) {
        let interval = Nanos::from_nanos(interval);
        let law = Outlier::new(&policy::Outlier { interval, ..policy::Outlier::default() });
        let now = Instant::from_nanos(now);
        let after = law.sweep_after(now);
        prop_assert!(now < after && law.sweep_before(after) <= now);
        prop_assert_eq!(after.as_nanos() % interval.as_nanos(), 0);
        let until = law.eject(&mut Suspect::default(), now);
        let over = now + Nanos::from_secs(30);
        prop_assert_eq!(until.as_nanos() % interval.as_nanos(), 0);
        prop_assert!(over <= until && until.since(over) < interval);
    }

    #[test]
    fn equally_bad_is_no_outlier(
        attempts in 100u32..5_000,
        percent in 0u32..=100,
        endpoints in 5usize..100,
        factor in 1u32..5_000,
    ) {
        let law = Outlier::new(&numbers(5, 100, factor));
        let intervals = vec![(attempts, attempts * percent / 100); endpoints];
        prop_assert_eq!(by(&law, &peers(&intervals), Cause::SuccessRate), vec![0usize; 0]);
        // Nor is the best.
        let mut intervals = intervals;
        intervals[0].1 = attempts;
        prop_assert!(!by(&law, &peers(&intervals), Cause::SuccessRate).contains(&0));
    }

    #[test]
    fn too_little_is_not_compared(endpoints in 1usize..12, enough in 0usize..12, bad in 0usize..12) {
        let law = Outlier::new(&numbers(5, 100, 1_000));
        let interval = |at: usize| {
            let attempts = if at < enough { 100 } else { 99 };
            (attempts, if at == bad { 0 } else { attempts })
        };
        let intervals: Vec<_> = (0..endpoints).map(interval).collect();
        let peers = peers(&intervals);
        let compared = 5 <= enough.min(endpoints) && bad < enough.min(endpoints);
        for cause in [Cause::SuccessRate, Cause::FailurePercentage] {
            let expected: Vec<usize> = compared.then_some(bad).into_iter().collect();
            prop_assert_eq!(by(&law, &peers, cause), expected);
        }
    }

    /// Within a part in a million of the threshold either may be right.
    #[test]
    fn outliers_are_envoys(
        intervals in prop::collection::vec((1u32..2_000, 0u32..2_000), 1..60),
        factor in 1u32..4_000,
    ) {
        const NEAR: f64 = 1e-6;
        let law = Outlier::new(&numbers(5, 100, factor));
        let peers = peers(&intervals);
        let counted: Vec<_> = peers.iter().filter(|(_, peer)| 100 <= peer.attempts).collect();
        let rates: Vec<f64> = counted.iter().map(|(_, peer)| rate(*peer)).collect();
        let found = by(&law, &peers, Cause::SuccessRate);
        let failing = by(&law, &peers, Cause::FailurePercentage);
        if counted.len() < 5 {
            prop_assert!(found.is_empty() && failing.is_empty());
            return Ok(());
        }
        let threshold = success_rate_threshold(&rates, f64::from(factor) / 1e3);
        for (at, peer) in counted {
            let distance = rate(*peer) - threshold;
            if NEAR < distance.abs() {
                prop_assert_eq!(found.contains(at), distance < 0.0, "{:?}, {} away", peer, distance);
            }
            let failures = u64::from(peer.attempts - peer.successes);
            prop_assert_eq!(failing.contains(at), 85 * u64::from(peer.attempts) <= 100 * failures);
        }
    }

    #[test]
    fn a_share_of_suspects_is_ejected(percent in 0u8..=100, seed in any::<u64>()) {
        const ROLLS: u32 = 2_000;
        let enforcing = Percent::new(percent);
        let law = Outlier::new(&policy::Outlier {
            consecutive_5xx: Row { enforcing, ..row(5) },
            ..policy::Outlier::default()
        });
        let mut rng = Rng::new(seed);
        let n = (0..ROLLS).filter(|_| law.enforces(Cause::Consecutive5xx, &mut rng)).count();
        let share = f64::from(percent) / 100.0;
        let expected = share * f64::from(ROLLS);
        let deviation = (expected * (1.0 - share)).sqrt();
        let n = f64::from(u32::try_from(n).expect("few"));
        prop_assert!((n - expected).abs() <= 6.0 * deviation, "{} of {}", n, expected);
    }
}

/// `dev-golden-envoy-sr` of the reference values.
#[test]
fn golden_success_rate() {
    let rates = [0.99, 0.98, 0.995, 0.97, 0.6, 0.985];
    assert!((success_rate_threshold(&rates, 1.9) - 0.647_685).abs() < 1e-6);

    let law = Outlier::new(&numbers(5, 100, 1_900));
    let intervals = [
        (1_000, 990),
        (1_000, 980),
        (1_000, 995),
        (1_000, 970),
        (1_000, 600),
        (1_000, 985),
    ];
    assert_eq!(by(&law, &peers(&intervals), Cause::SuccessRate), [4]);
}

/// `dev-eject-times-0` of the reference values: base 30 s, at most 300 s, six ejections one after another.
#[test]
fn golden_ejection_times() {
    let law = Outlier::new(&policy::Outlier::default());
    let lengths = [1, 2, 3, 4, 5, 6].map(|nth| law.length(nth));
    assert_eq!(lengths, [30, 60, 90, 120, 150, 180].map(Nanos::from_secs));
    assert_eq!(law.length(11), Nanos::from_secs(300));
}

/// `dev-consec-1` and, with a wider tolerance, `dev-consec-0`: the mean number of attempts until five failures in a
/// row is `(1 - p^5) / ((1 - p) p^5)`.
#[test]
fn rows_come_as_often_as_they_should() {
    let law = Outlier::new(&policy::Outlier::default());
    for (share, expected, rows, tolerance) in [(0.5, 62.0, 20_000_u32, 0.03), (0.1, 111_110.0, 100, 0.4)] {
        let mut rng = Rng::new(7);
        let mut suspect = Suspect::default();
        let (mut attempts, mut found) = (0u32, 0u32);
        while found < rows {
            attempts += 1;
            let is_failure = rng.uniform() < share;
            let answer = if is_failure { Answer::Failure } else { Answer::Success };
            found += u32::from(law.record(&mut suspect, answer) != [None, None]);
        }
        let mean = f64::from(attempts) / f64::from(rows);
        assert!(
            (mean / expected - 1.0).abs() < tolerance,
            "{mean} attempts, {expected} expected"
        );
    }
}

#[test]
fn what_is_a_failure_is_what_envoy_takes_for_one() {
    let answers = [
        (Fault::Server, Some(500), Some(Answer::Failure)),
        (Fault::Server, Some(501), Some(Answer::Failure)),
        (Fault::Server, Some(502), Some(Answer::GatewayFailure)),
        (Fault::Overloaded, Some(503), Some(Answer::GatewayFailure)),
        (Fault::Overloaded, Some(529), Some(Answer::Failure)),
        (Fault::Overloaded, Some(409), Some(Answer::Success)),
        (Fault::RateLimited, Some(429), Some(Answer::Success)),
        (Fault::Client, Some(400), Some(Answer::Success)),
        (Fault::Connect, None, Some(Answer::GatewayFailure)),
        (Fault::Timeout, None, Some(Answer::GatewayFailure)),
        (Fault::Stream, None, Some(Answer::GatewayFailure)),
        (Fault::NoConnection, None, None),
    ];
    for (fault, status, expected) in answers {
        assert_eq!(Answer::of(fault, status), expected, "{fault:?} {status:?}");
    }
}
