//! Whatever happens, in whatever order: what was taken is given back, once, and nobody waits for nothing.
//!
//! Each test draws worlds of its own kind; every law is looked at in all of them. `TOLLGATE_STEPS` says how many
//! steps they take together: a million if it does not, a hundred million in the full checks.

mod world;

use std::env;

use tollgate_core::memory::Local;
use tollgate_core::time::Nanos;

use world::Tilt;

/// A share of all steps, in worlds of `tilt`.
fn worlds(first_seed: u64, percent: u64, tilt: &Tilt) {
    let steps = env::var("TOLLGATE_STEPS").map_or(1_000_000, |steps| steps.parse().expect("a number of steps"));
    world::run::<Local>(first_seed << 40, steps / 100 * percent, tilt, &mut ());
}

#[test]
fn every_hold_released_once() {
    worlds(1, 25, &Tilt::default());
}

#[test]
fn effects_are_total() {
    let strays = 60;
    worlds(
        2,
        15,
        &Tilt {
            strays,
            ..Tilt::default()
        },
    );
}

#[test]
fn committed_never_retries() {
    let faults = 60;
    worlds(
        3,
        10,
        &Tilt {
            faults,
            breakers: 0,
            ..Tilt::default()
        },
    );
}

#[test]
fn deadline_is_final() {
    const SHORT: &[Nanos] = &[Nanos::from_millis(1), Nanos::from_millis(20), Nanos::from_millis(200)];
    worlds(
        4,
        10,
        &Tilt {
            totals: SHORT,
            ..Tilt::default()
        },
    );
}

#[test]
fn attempts_are_bounded() {
    let faults = 85;
    worlds(
        5,
        10,
        &Tilt {
            faults,
            scarce: 20,
            ..Tilt::default()
        },
    );
}

#[test]
fn no_wakeup_lost() {
    let scarce = 100;
    worlds(
        6,
        20,
        &Tilt {
            scarce,
            ..Tilt::default()
        },
    );
}

#[test]
fn probes_are_bounded() {
    let breakers = 100;
    worlds(
        7,
        10,
        &Tilt {
            breakers,
            faults: 60,
            ..Tilt::default()
        },
    );
}
