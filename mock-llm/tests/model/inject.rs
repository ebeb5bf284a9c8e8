//! Faults that nobody has foreseen.

use proptest::prelude::*;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::{Backend, BackendSpec, FaultKind, FaultSpec, Job, Kind, Probe};

use crate::api::plain;
use crate::laws::{backend, fault, in_order};
use crate::world::{Seen, What, World, alone, job, seconds};

/// What jobs at these instants live to see, with `fault` scheduled, or injected as it begins and cleared as it ends.
fn story(spec: &BackendSpec, fault: FaultSpec, arrivals: &[u64], injected: bool) -> (Vec<Seen>, u128) {
    let mut spec = spec.clone();
    spec.faults = if injected { Vec::new() } else { vec![fault] };
    let mut world = World::new(&spec);
    let mut seen = Vec::new();
    // An odd nanosecond, so that no arrival meets an edge of the fault.
    let arrivals = arrivals.iter().map(|millis| Nanos::from_nanos(millis * 1_000_000 + 1));
    let mut steps: Vec<(Instant, Option<bool>)> = arrivals.map(|at| (Instant::EPOCH + at, None)).collect();
    if injected {
        steps.extend([(fault.at, Some(true)), (fault.end(), Some(false))]);
    }
    steps.sort_by_key(|(at, _)| *at);
    let mut number = 0;
    let mut ids = Vec::new();
    for (at, step) in steps {
        match step {
            None => {
                let stream = number % 2 == 0;
                let job = Job { stream, ..job(number) };
                ids.push(world.submit(at, job, |it| seen.push(it)));
                number += 1;
            }
            Some(true) => world.inject(
                at,
                FaultSpec {
                    at: Instant::EPOCH,
                    ..fault
                },
                |it| seen.push(it),
            ),
            Some(false) => world.clear(at, |it| seen.push(it)),
        }
    }
    let end = seconds(100_000.0);
    world.run_to(end, |it| seen.push(it));
    for id in ids {
        world.cancel(end, id, |it| seen.push(it));
    }
    assert_eq!(world.backend.jobs(), 0);
    (in_order(seen), world.backend.busy(end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn an_injected_fault_is_a_scheduled_one(
        spec in backend(), fault in fault(), arrivals in proptest::collection::vec(0..30_000_u64, 0..30),
    ) {
        // A load factor looks at a backend's own dice, which are the same.
        let fault = FaultSpec { at: fault.at + Nanos::from_nanos(500), ..fault };
        prop_assert_eq!(story(&spec, fault, &arrivals, true), story(&spec, fault, &arrivals, false));
    }
}

#[test]
fn faults_are_switched_on_and_off() {
    let mut world = alone(Kind::Api(plain()));
    let forever = |kind| FaultSpec::new(kind, Instant::EPOCH, Nanos::FOREVER).expect("in range");
    let mut first = None;
    let mut see = |seen: Seen| {
        if let What::Event(AttemptEvent::FirstToken) = seen.what {
            first = Some(seen.at);
        }
    };
    world.submit(Instant::EPOCH, job(0), &mut see);
    world.inject(seconds(0.25), forever(FaultKind::Brownout { factor: 4.0 }), &mut see);
    world.run_to(seconds(1.0), &mut see);
    world.clear(seconds(1.0), &mut see);
    world.run_to(seconds(2.0), &mut see);
    // A quarter of a second, three quarters at a fourth of the speed; what was left then takes as long as it would have.
    assert_eq!(first, Some(seconds(1.0625)));

    world.inject(seconds(10.0), forever(FaultKind::ConnectionRefused), |_| {});
    assert_eq!(world.backend.probe(seconds(11.0)), Probe::Refused);
    world.clear(seconds(12.0), |_| {});
    assert!(matches!(
        world.backend.probe(seconds(12.0)),
        Probe::Answer { status: 200, .. }
    ));

    // What is still to come is forgotten, too.
    let later = FaultSpec::new(FaultKind::BlackHole, seconds(30.0), Nanos::from_secs(10)).expect("in range");
    world.inject(seconds(20.0), later, |_| {});
    assert_eq!(world.backend.probe(seconds(35.0)), Probe::Silence);
    world.clear(seconds(21.0), |_| {});
    assert!(matches!(world.backend.probe(seconds(35.0)), Probe::Answer { .. }));
}

#[test]
fn impossible_faults_and_too_many_are_refused() {
    let mut world = alone(Kind::Api(plain()));
    let fault = |kind| FaultSpec {
        kind,
        at: Instant::EPOCH,
        lasts: Nanos::from_secs(1),
    };
    let mut inject = |at, kind| world.backend.inject(at, fault(kind), &mut Vec::new());
    let error = inject(Instant::EPOCH, FaultKind::Truncate { share: 1.5 }).expect_err("out of range");
    assert_eq!(error.field, "share");
    for _ in 0..1_024 {
        inject(Instant::EPOCH, FaultKind::BlackHole).expect("one more");
    }
    let error = inject(Instant::EPOCH, FaultKind::BlackHole).expect_err("too many");
    assert_eq!(error.to_string(), "`faults` must be at most 1,024 at a time");
    inject(seconds(2.0), FaultKind::BlackHole).expect("those are over");
}
