//! Laws of the processes. Seeds are fixed; each tolerance is a named multiple of a standard error or of theory's own.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "statistics of small counts"
)]

use proptest::prelude::*;
use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::time::{Instant, Nanos};

use super::*;

fn every_process() -> Vec<ArrivalSpec> {
    let steps = vec![
        (Nanos::ZERO, 40.0),
        (Nanos::from_secs(5), 400.0),
        (Nanos::from_secs(10), 40.0),
    ];
    let schedule = |ramp, noise| ArrivalSpec::Schedule {
        steps: steps.clone(),
        ramp,
        noise,
    };
    vec![
        ArrivalSpec::Deterministic { rate: 33.3 },
        ArrivalSpec::Poisson { rate: 50.0 },
        ArrivalSpec::Gamma { rate: 50.0, cv: 2.0 },
        ArrivalSpec::Weibull { rate: 50.0, cv: 3.0 },
        mmpp(),
        ArrivalSpec::Hawkes {
            rate: 50.0,
            branching: 0.7,
            decay: 2.0,
        },
        schedule(false, Noise::Poisson),
        schedule(true, Noise::Poisson),
        schedule(false, Noise::None),
        schedule(true, Noise::None),
        ArrivalSpec::Diurnal {
            mean: 50.0,
            peak_over_mean: 1.8,
            period: Nanos::from_secs(20),
        },
    ]
}

/// The process of the theory cases dev-mmpp-0.
fn mmpp() -> ArrivalSpec {
    ArrivalSpec::Mmpp {
        rates: vec![10.0, 100.0],
        holds: vec![Nanos::from_secs(10), Nanos::from_secs(2)],
    }
}

fn arrivals(spec: &ArrivalSpec, seed: u64) -> Arrivals {
    Arrivals::new(spec, Dice::new(seed)).expect("a possible process")
}

fn first(spec: &ArrivalSpec, seed: u64, calls: usize) -> Vec<Instant> {
    let mut arrivals = arrivals(spec, seed);
    std::iter::from_fn(|| arrivals.next()).take(calls).collect()
}

/// Calls in each of `windows` windows of `secs` seconds.
fn counts(spec: &ArrivalSpec, seed: u64, secs: f64, windows: usize) -> Vec<f64> {
    let mut counts = vec![0.0; windows];
    let mut arrivals = arrivals(spec, seed);
    while let Some(at) = arrivals.next() {
        let index = (at.as_secs_f64() / secs) as usize;
        match counts.get_mut(index) {
            Some(count) => *count += 1.0,
            None => break,
        }
    }
    counts
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (values.len() - 1) as f64
}

fn dispersion(values: &[f64]) -> f64 {
    variance(values) / mean(values)
}

fn gap_cv(spec: &ArrivalSpec, calls: usize) -> f64 {
    let times = first(spec, 5, calls);
    let gaps: Vec<f64> = times
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_secs_f64())
        .collect();
    variance(&gaps).sqrt() / mean(&gaps)
}

fn assert_close(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{what}: {value} is not {expected} within {tolerance}"
    );
}

#[test]
fn arrivals_never_go_back() {
    for spec in every_process() {
        let times = first(&spec, 1, 20_000);
        assert_eq!(times.len(), 20_000, "{spec:?}");
        assert!(times.is_sorted(), "{spec:?}");
    }
}

#[test]
fn same_seed_same_arrivals() {
    for spec in every_process() {
        assert_eq!(first(&spec, 9, 2000), first(&spec, 9, 2000), "{spec:?}");
        let is_random = !matches!(
            spec,
            ArrivalSpec::Deterministic { .. } | ArrivalSpec::Schedule { noise: Noise::None, .. }
        );
        assert_eq!(first(&spec, 9, 2000) != first(&spec, 10, 2000), is_random, "{spec:?}");
    }
}

#[test]
fn fewer_arrivals_are_a_prefix() {
    for spec in every_process() {
        let all = first(&spec, 2, 3000);
        assert_eq!(first(&spec, 2, 1000)[..], all[..1000], "{spec:?}");
    }
}

#[test]
fn mean_rate_is_the_stated_rate() {
    // Whole periods of the diurnal process; four standard errors of the mean of 400 windows.
    for spec in every_process() {
        let Some(rate) = spec.mean_rate() else { continue };
        if matches!(spec, ArrivalSpec::Schedule { .. }) {
            continue;
        }
        let counts = counts(&spec, 3, 60.0, 400);
        let error = (variance(&counts) / 400.0).sqrt();
        assert_close(&format!("{spec:?}"), mean(&counts), rate * 60.0, 4.0 * error + 1e-9);
    }
}

#[test]
fn the_rate_holds_from_the_beginning() {
    // The first second of 4,000 runs: a process that started cold, or in a fixed state, would show here.
    for spec in [
        mmpp(),
        ArrivalSpec::Hawkes {
            rate: 25.0,
            branching: 0.8,
            decay: 0.5,
        },
    ] {
        let firsts: Vec<f64> = (0..4000).map(|seed| counts(&spec, seed, 1.0, 1)[0]).collect();
        let error = (variance(&firsts) / 4000.0).sqrt();
        assert_close(&format!("{spec:?}"), mean(&firsts), 25.0, 4.0 * error);
    }
}

#[test]
fn rate_does_not_drift() {
    let deterministic = ArrivalSpec::Deterministic { rate: 3.0 };
    let last = first(&deterministic, 1, 3_000_001)[3_000_000];
    assert_eq!(last, Instant::from_secs(1_000_000));
    // A hundred million gaps of 0.7 ns and a bit: whole nanoseconds alone would lose all of them.
    let mut clock = clock::Clock::default();
    let mut now = Instant::EPOCH;
    for _ in 0..100_000_000_u32 {
        now = clock.advance(0.7e-9).expect("far from the end");
    }
    assert!(now.as_nanos().abs_diff(70_000_000) <= 1, "{now:?}");
    // And ten million calls at a million a second take ten seconds: four standard errors of a Poisson sum.
    let mut arrivals = arrivals(&ArrivalSpec::Poisson { rate: 1e6 }, 4);
    let mut last = Instant::EPOCH;
    for _ in 0..10_000_000_u32 {
        last = arrivals.next().expect("endless");
    }
    assert_close("poisson", last.as_secs_f64(), 10.0, 4.0 * 1e7_f64.sqrt() / 1e6);
}

#[test]
fn gaps_have_the_stated_cv() {
    // Relative standard errors of the cv at a million gaps are below 0.3 %, times four; cv 2 is theory's dev-gamma-0-cv.
    for (spec, cv) in [
        (ArrivalSpec::Poisson { rate: 10.0 }, 1.0),
        (ArrivalSpec::Gamma { rate: 10.0, cv: 2.0 }, 2.0),
        (ArrivalSpec::Gamma { rate: 10.0, cv: 0.5 }, 0.5),
        (ArrivalSpec::Weibull { rate: 10.0, cv: 2.0 }, 2.0),
        (ArrivalSpec::Weibull { rate: 10.0, cv: 0.5 }, 0.5),
        (ArrivalSpec::Deterministic { rate: 10.0 }, 0.0),
    ] {
        assert_close(&format!("{spec:?}"), gap_cv(&spec, 1_000_000), cv, 0.012 * cv + 1e-6);
    }
}

#[test]
fn gamma_renewal_disperses_to_cv_squared() {
    // Theory's dev-gamma-0-idc: windows of a hundred seconds at 10 a second, five million calls, within 5 %.
    let counts = counts(&ArrivalSpec::Gamma { rate: 10.0, cv: 2.0 }, 6, 100.0, 5000);
    assert_close("dispersion", dispersion(&counts), 4.0, 0.2);
}

#[test]
fn gamma_arrivals_wait_as_theory_says_in_front_of_one_server() {
    // Theory's dev-gim1-0-w: cv 2 at 0.7 a second, exponential service of mean 1, eight million calls, within 1.8 %.
    let mut arrivals = arrivals(&ArrivalSpec::Gamma { rate: 0.7, cv: 2.0 }, 21);
    let (mut before, mut wait, mut responses) = (Instant::EPOCH, 0.0_f64, 0.0);
    let calls = 8_000_000_u32;
    for number in 0..calls {
        let at = arrivals.next().expect("endless");
        // Lindley's recursion.
        wait = (wait - at.since(before).as_secs_f64()).max(0.0);
        before = at;
        let mut rng = Dice::new(21).request(u64::from(number)).roll(Purpose::Service, 0);
        wait += renewal::exponential(&mut rng);
        responses += wait;
    }
    assert_close(
        "mean response",
        responses / f64::from(calls),
        7.761_713_7,
        0.018 * 7.761_713_7,
    );
}

#[test]
fn mmpp_disperses_as_theory_says() {
    // dev-mmpp-0-idc1, -idc10 and -idc60, five million calls, within 10 %.
    for (secs, windows, expected) in [
        (1.0, 200_000, 38.202_909),
        (10.0, 20_000, 126.061_97),
        (60.0, 3333, 146.833_33),
    ] {
        let found = dispersion(&counts(&mmpp(), 8, secs, windows));
        assert_close(&format!("{secs} s"), found, expected, 0.1 * expected);
    }
}

#[test]
fn hawkes_disperses_by_its_branching_ratio() {
    // In windows long against the decay: 1 / (1 - n)^2. A sample variance of 2,000 windows has a relative error of 3.2 %; four of them.
    for branching in [0.0, 0.5, 0.8] {
        let spec = ArrivalSpec::Hawkes {
            rate: 20.0,
            branching,
            decay: 5.0,
        };
        let expected = 1.0 / ((1.0 - branching) * (1.0 - branching));
        let found = dispersion(&counts(&spec, 12, 200.0, 2000));
        assert_close(
            &format!("branching {branching}"),
            found,
            expected,
            4.0 * 0.032 * expected,
        );
    }
}

#[test]
fn a_schedule_without_noise_has_its_integral_in_every_stretch() {
    let steps = vec![
        (Nanos::ZERO, 40.0),
        (Nanos::from_secs(120), 400.0),
        (Nanos::from_secs(150), 40.0),
    ];
    let jumping = ArrivalSpec::Schedule {
        steps: steps.clone(),
        ramp: false,
        noise: Noise::None,
    };
    assert_eq!(
        counts(&jumping, 0, 30.0, 6),
        [1200.0, 1200.0, 1200.0, 1200.0, 12_000.0, 1200.0]
    );
    let ramping = ArrivalSpec::Schedule {
        steps,
        ramp: true,
        noise: Noise::None,
    };
    let expected = [
        30.0 * 85.0,
        30.0 * 175.0,
        30.0 * 265.0,
        30.0 * 355.0,
        30.0 * 220.0,
        1200.0,
    ];
    for (count, expected) in counts(&ramping, 0, 30.0, 6).iter().zip(expected) {
        assert_close("stretch", *count, expected, 1.0);
    }
}

#[test]
fn a_schedule_with_noise_is_poisson_with_the_same_integral() {
    let steps = vec![
        (Nanos::ZERO, 0.0),
        (Nanos::from_secs(10), 400.0),
        (Nanos::from_secs(30), 0.0),
    ];
    for (ramp, expected) in [(false, 8000.0), (true, 2000.0 + 4000.0)] {
        let spec = ArrivalSpec::Schedule {
            steps: steps.clone(),
            ramp,
            noise: Noise::Poisson,
        };
        let totals: Vec<f64> = (0..400).map(|seed| first(&spec, seed, 100_000).len() as f64).collect();
        // Four standard errors of the mean of 400 Poisson counts, and of their variance.
        assert_close("mean", mean(&totals), expected, 4.0 * (expected / 400.0).sqrt());
        assert_close("dispersion", dispersion(&totals), 1.0, 4.0 * (2.0 / 399.0_f64).sqrt());
    }
}

#[test]
fn diurnal_peaks_and_rests_where_the_sine_does() {
    let spec = ArrivalSpec::Diurnal {
        mean: 100.0,
        peak_over_mean: 2.0,
        period: Nanos::from_secs(100),
    };
    let mut quarters = [0.0; 4];
    for (index, count) in counts(&spec, 13, 25.0, 4000).iter().enumerate() {
        quarters[index % 4] += count;
    }
    // The integral of 1 + sin over a quarter: 25 s plus or minus 100 / (2 pi) s.
    let swing = 100.0 / std::f64::consts::TAU;
    for (quarter, secs) in [25.0 + swing, 25.0 + swing, 25.0 - swing, 25.0 - swing]
        .iter()
        .enumerate()
    {
        let expected = 1000.0 * 100.0 * secs;
        assert_close(
            &format!("quarter {quarter}"),
            quarters[quarter],
            expected,
            4.0 * expected.sqrt(),
        );
    }
}

/// The same bits on every build and machine; if this fails, say in the commit why traffic has changed.
#[test]
fn arrivals_are_golden() {
    let mut found = Vec::new();
    for spec in every_process() {
        let hash = first(&spec, 7, 5000).iter().fold(0_u64, |hash, at| {
            (hash.rotate_left(5) ^ at.as_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        found.push(hash);
    }
    let golden = [
        0xdbfa_00df_64a7_4caf,
        0x9ee5_53e6_a591_ee11,
        0xa69a_d06d_18b7_bd57,
        0x0dd8_a8fb_19cc_acef,
        0xa69a_030b_0dfb_7be1,
        0xd2a1_ef60_f15f_45db,
        0x5b58_c69c_02bd_f7fd,
        0x0001_6ba3_92b7_b745,
        0xce55_47c3_0084_bb9d,
        0x4e72_71dc_a812_552a,
        0xe08b_23b0_0a4f_5d68,
    ];
    assert_eq!(found, golden, "{found:#x?}");
}

#[test]
fn a_schedule_that_ends_in_silence_ends() {
    let steps = vec![(Nanos::ZERO, 10.0), (Nanos::from_secs(3), 0.0)];
    let spec = ArrivalSpec::Schedule {
        steps,
        ramp: false,
        noise: Noise::None,
    };
    let mut arrivals = arrivals(&spec, 1);
    assert_eq!(std::iter::from_fn(|| arrivals.next()).count(), 30);
    assert_eq!(arrivals.next(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a scenario says that passes the check: times are sorted and the work is bounded.
    #[test]
    fn any_possible_process_moves_forward(
        seed in any::<u64>(),
        rate in 1e-6..1e8_f64,
        cv in 0.02..50.0_f64,
        branching in 0.0..0.99_f64,
        decay in 1e-3..1e3_f64,
        rates in prop::collection::vec(0.0..1e5_f64, 1..5),
        gaps in prop::collection::vec(1_u64..1_000_000_000_000, 1..5),
        swing in 1.0..=2.0_f64,
        ramp in any::<bool>(),
        is_noisy in any::<bool>(),
    ) {
        let holds: Vec<Nanos> = gaps.iter().map(|gap| Nanos::from_nanos(*gap)).collect();
        let mut at = Nanos::ZERO;
        let mut steps = vec![];
        for (rate, gap) in rates.iter().zip(&holds) {
            steps.push((at, *rate));
            at += *gap;
        }
        let noise = if is_noisy { Noise::Poisson } else { Noise::None };
        for spec in [
            ArrivalSpec::Deterministic { rate },
            ArrivalSpec::Gamma { rate, cv },
            ArrivalSpec::Weibull { rate, cv },
            ArrivalSpec::Mmpp { rates, holds: holds.clone() },
            ArrivalSpec::Hawkes { rate, branching, decay },
            ArrivalSpec::Schedule { steps, ramp, noise },
            ArrivalSpec::Diurnal { mean: rate, peak_over_mean: swing, period: holds[0] },
        ] {
            if let Ok(mut arrivals) = Arrivals::new(&spec, Dice::new(seed)) {
                let times: Vec<Instant> = std::iter::from_fn(|| arrivals.next()).take(300).collect();
                prop_assert!(times.is_sorted(), "{:?}", spec);
            }
        }
    }
}
