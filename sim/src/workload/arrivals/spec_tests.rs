//! What no arrival process can be, and in whose words that is said.

use tollgate_core::dice::Dice;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;

use super::*;
use crate::workload::Cause;

#[test]
fn impossible_numbers_are_named() {
    let steps = |steps: &[(u64, f64)]| ArrivalSpec::Schedule {
        steps: steps.iter().map(|(at, rate)| (Nanos::from_secs(*at), *rate)).collect(),
        ramp: false,
        noise: Noise::Poisson,
    };
    let second = Nanos::from_secs(1);
    let think = Distribution::constant(1.0).expect("possible");
    for (spec, field) in [
        (ArrivalSpec::Poisson { rate: 0.0 }, "arrivals.rate"),
        (ArrivalSpec::Poisson { rate: -4.0 }, "arrivals.rate"),
        (ArrivalSpec::Poisson { rate: f64::NAN }, "arrivals.rate"),
        (ArrivalSpec::Deterministic { rate: 1e12 }, "arrivals.rate"),
        (ArrivalSpec::Gamma { rate: 1.0, cv: 0.0 }, "arrivals.cv"),
        (
            ArrivalSpec::Hawkes {
                rate: 1.0,
                branching: 1.0,
                decay: 1.0,
            },
            "arrivals.branching",
        ),
        (
            ArrivalSpec::Hawkes {
                rate: 1.0,
                branching: 0.5,
                decay: 0.0,
            },
            "arrivals.decay",
        ),
        (
            ArrivalSpec::Mmpp {
                rates: vec![],
                holds: vec![],
            },
            "arrivals.rates",
        ),
        (
            ArrivalSpec::Mmpp {
                rates: vec![1.0],
                holds: vec![],
            },
            "arrivals.holds",
        ),
        (
            ArrivalSpec::Mmpp {
                rates: vec![0.0, 0.0],
                holds: vec![second; 2],
            },
            "arrivals.rates",
        ),
        (
            ArrivalSpec::Mmpp {
                rates: vec![1e-6, 0.0],
                holds: vec![Nanos::from_nanos(5); 2],
            },
            "arrivals.holds",
        ),
        (steps(&[]), "arrivals.steps"),
        (steps(&[(1, 4.0)]), "arrivals.steps"),
        (steps(&[(0, 4.0), (0, 5.0)]), "arrivals.steps"),
        (steps(&[(0, 0.0)]), "arrivals.steps"),
        (steps(&[(0, -1.0)]), "arrivals.steps[0]"),
        (
            ArrivalSpec::Diurnal {
                mean: 1.0,
                peak_over_mean: 3.0,
                period: second,
            },
            "arrivals.peak_over_mean",
        ),
        (ArrivalSpec::Closed(ClosedSpec { users: 0, think }), "arrivals.users"),
    ] {
        let errors = spec.check().expect_err(field);
        assert_eq!(errors.as_slice()[0].field, field, "{spec:?}");
    }
}

#[test]
fn a_closed_workload_has_no_process() {
    let think = Distribution::constant(1.0).expect("possible");
    let errors = Arrivals::new(&ArrivalSpec::Closed(ClosedSpec { users: 3, think }), Dice::new(1)).expect_err("closed");
    assert_eq!(errors.as_slice()[0].cause, Cause::NotOpen);
}
