//! The laws of `tollgate_core::load`.

use proptest::prelude::*;
use tollgate_core::load::{Estimate, PeakEwma};
use tollgate_core::math;
use tollgate_core::time::{Instant, Nanos};

fn nanos() -> impl Strategy<Value = Nanos> {
    (0u64..100_000_000_000).prop_map(Nanos::from_nanos)
}

/// What was done to an estimate: gaps and latencies, from long-lasting to instantaneous.
fn observations() -> impl Strategy<Value = Vec<(Nanos, Nanos)>> {
    prop::collection::vec((nanos(), nanos()), 0..20)
}

fn observed(law: PeakEwma, observations: &[(Nanos, Nanos)]) -> (Estimate, Instant) {
    let mut estimate = Estimate::default();
    let mut now = Instant::EPOCH;
    for (gap, latency) in observations {
        now += *gap;
        law.observe(&mut estimate, now, *latency);
    }
    (estimate, now)
}

/// Equal but for rounding.
fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-15
}

/// `dev-golden-peakewma` of the reference values: after each observation, with a decay of 10 s.
#[test]
fn golden_peak_ewma() {
    let law = PeakEwma::new(Nanos::from_secs(10));
    let mut estimate = Estimate::default();
    for (at, latency, expected) in [
        (0.0, 0.0, 0.0),
        (0.1, 0.05, 0.05),
        (0.2, 0.2, 0.2),
        (1.2, 0.05, 0.185_725_613),
        (6.2, 0.05, 0.132_321_745),
        (16.2, 0.0, 0.048_678_45),
    ] {
        let now = Instant::EPOCH + Nanos::from_secs_f64(at);
        law.observe(&mut estimate, now, Nanos::from_secs_f64(latency));
        let cost = law.at(&estimate, now);
        assert!((cost - expected).abs() <= 1e-6 * expected, "{cost} is not {expected}");
    }
}

#[test]
fn an_unknown_endpoint_is_tried_once() {
    let law = PeakEwma::new(Nanos::from_secs(10));
    let (now, mut slow) = (Instant::from_secs(1), Estimate::default());
    law.observe(&mut slow, now, Nanos::from_secs(3600));
    let unknown = Estimate::default();
    assert!(law.load(&unknown, 0, now) < law.load(&slow, 0, now));
    assert!(law.load(&slow, 1000, now) < law.load(&unknown, 1, now));
    assert!(law.load(&unknown, 1, now) < law.load(&unknown, 2, now));
}

/// Two endpoints: one answers in ten seconds, one refuses in a millisecond. The least loaded gets the next request.
#[test]
fn a_failing_endpoint_is_no_sinkhole() {
    let law = PeakEwma::new(Nanos::from_secs(10));
    let mut good = Estimate::default();
    let mut failing = Estimate::default();
    let mut now = Instant::EPOCH;
    law.observe(&mut good, now, Nanos::from_secs(10));
    law.observe(&mut failing, now, Nanos::from_secs(10));
    let mut refused = 0;
    for _ in 0..1000 {
        now += Nanos::from_secs(1);
        if law.load(&failing, 0, now) < law.load(&good, 0, now) {
            law.fail(&mut failing, now, None);
            refused += 1;
        } else {
            law.observe(&mut good, now, Nanos::from_secs(10));
        }
    }
    assert!(refused <= 510, "the failing endpoint got {refused} of 1000");
}

proptest! {
    #[test]
    fn jumps_up_at_once(past in observations(), decay in nanos(), gap in nanos(), latency in nanos()) {
        let law = PeakEwma::new(decay);
        let (mut estimate, now) = observed(law, &past);
        let highest = past.iter().map(|(_, latency)| *latency).max().unwrap_or_default();
        let worse = highest + latency + Nanos::from_nanos(1);
        law.observe(&mut estimate, now + gap, worse);
        prop_assert_eq!(law.at(&estimate, now + gap).to_bits(), worse.as_secs_f64().to_bits());
    }

    #[test]
    fn decays_towards_the_sample(past in observations(), gap in nanos(), latency in nanos()) {
        let law = PeakEwma::new(Nanos::from_secs(10));
        let (mut estimate, now) = observed(law, &past);
        let before = law.at(&estimate, now);
        let sample = latency.as_secs_f64();
        prop_assume!(sample < before);
        law.observe(&mut estimate, now + gap, latency);
        let after = law.at(&estimate, now + gap);
        prop_assert!(sample <= after * (1.0 + 1e-12) && after <= before);
        let weight = math::exp(-gap.as_secs_f64() / 10.0);
        prop_assert!(is_near(after, before * weight + sample * (1.0 - weight)));
    }

    #[test]
    fn projected_read_equals_mutate_then_read(past in observations(), gap in nanos(), in_flight in 0u32..9) {
        let law = PeakEwma::new(Nanos::from_secs(10));
        let (mut estimate, now) = observed(law, &past);
        let before = estimate;
        let projected = law.load(&estimate, in_flight, now + gap);
        prop_assert_eq!(estimate, before);
        law.observe(&mut estimate, now + gap, Nanos::ZERO);
        prop_assert!(is_near(law.load(&estimate, in_flight, now + gap), projected));
    }

    #[test]
    fn late_now_clamps(past in observations(), late in nanos(), latency in nanos()) {
        let law = PeakEwma::new(Nanos::from_secs(10));
        let (mut estimate, now) = observed(law, &past);
        let before = law.at(&estimate, now);
        prop_assert_eq!(law.at(&estimate, now - late).to_bits(), before.to_bits());
        law.observe(&mut estimate, now - late, latency);
        prop_assert!(is_near(law.at(&estimate, now), before.max(latency.as_secs_f64())));
    }

    #[test]
    fn fast_failure_never_lowers_the_load(
        past in observations(),
        gap in nanos(),
        retry_after in prop::option::of(nanos()),
        in_flight in 0u32..9,
    ) {
        let law = PeakEwma::new(Nanos::from_secs(10));
        let (mut estimate, now) = observed(law, &past);
        prop_assume!(0.0 < law.at(&estimate, now));
        let load = law.load(&estimate, in_flight, now);
        law.fail(&mut estimate, now + gap, retry_after);
        prop_assert!(load <= law.load(&estimate, in_flight, now + gap) * (1.0 + 1e-12));
        prop_assert!(PeakEwma::penalty(retry_after).as_secs_f64() <= law.at(&estimate, now + gap) * (1.0 + 1e-12));
    }

    #[test]
    fn load_grows_with_in_flight(past in observations(), gap in nanos(), in_flight in 0u32..1000) {
        let law = PeakEwma::new(Nanos::from_secs(10));
        let (estimate, now) = observed(law, &past);
        prop_assert!(law.load(&estimate, in_flight, now + gap) < law.load(&estimate, in_flight + 1, now + gap));
    }

    #[test]
    fn penalties_are_bounded(retry_after in prop::option::of(any::<u64>().prop_map(Nanos::from_nanos))) {
        let penalty = PeakEwma::penalty(retry_after);
        prop_assert!(Nanos::from_secs(5) <= penalty && penalty <= Nanos::from_secs(300));
        let asked = retry_after.unwrap_or_default().min(Nanos::from_secs(300));
        prop_assert!(asked <= penalty);
    }
}
