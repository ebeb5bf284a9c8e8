//! Token by token: what a server that sends each on its own is told.

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::{ApiSpec, Backend, BackendSpec, FaultKind, FaultSpec, Job, JobId, Kind};

use crate::api::plain;
use crate::laws::{api, fault};
use crate::world::{NANO, What, World, alone, constant, job, seconds};

/// The instant of each token of a job that is alone, taken one by one as they are due, and checked on the way.
fn tokens(world: &mut World, id: JobId) -> Vec<Instant> {
    let mut instants = Vec::new();
    let mut said: Option<(Instant, u64)> = None;
    let sent = |world: &World| world.backend.progress(world.now, id).map(|sent| sent.tokens as usize);
    loop {
        let due = world.backend.next_token(world.now, id);
        if let Some((instant, repaced)) = said {
            assert!(
                due.is_none_or(|due| due == instant) || world.repaced != repaced,
                "{instant:?} was said, and is now {due:?}"
            );
        }
        said = due.map(|due| (due, world.repaced));
        let wake = world.next_wake();
        let Some(next) = due.into_iter().chain(wake).min() else {
            return instants;
        };
        world.run_to(next - NANO, |_| {});
        let Some(before) = sent(world) else {
            return instants;
        };
        assert_eq!(before, instants.len(), "a token before {next:?}");
        let mut all = None;
        world.run_to(next, |seen| {
            if let What::Event(AttemptEvent::Finish { usage }) = seen.what {
                all = Some(usage.output as usize);
            }
        });
        let after = sent(world).or(all).unwrap_or(before);
        if before < after {
            assert_eq!((due, after), (Some(next), before + 1), "a token that was due");
            instants.push(next);
            said = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn tokens_come_when_they_are_due(kind in api(), faults in vec(fault(), 0..6), at in 0..20_000_u64, output in 1..60_u32) {
        let mut world = World::new(&BackendSpec { faults, ..BackendSpec::new("any", kind) });
        let at = Instant::EPOCH + Nanos::from_millis(at);
        let id = world.submit(at, Job { output, ..job(0) }, |_| {});
        let instants = tokens(&mut world, id);
        prop_assert!(instants.len() <= output as usize);
        prop_assert!(instants.is_sorted());
    }
}

#[test]
fn tokens_come_evenly() {
    let mut world = alone(Kind::Api(plain()));
    let id = world.submit(Instant::EPOCH, job(0), |_| {});
    let expected: Vec<Instant> = (0..101_u64)
        .map(|number| Instant::EPOCH + Nanos::from_millis(500 + 10 * number))
        .collect();
    assert_eq!(tokens(&mut world, id), expected);
}

#[test]
fn a_pause_is_foreseen() {
    let stall = FaultKind::Stall {
        share: 1.0,
        pause: Nanos::from_secs(5),
    };
    let mut spec = BackendSpec::new("struck", Kind::Api(plain()));
    spec.faults = vec![FaultSpec::new(stall, Instant::EPOCH, Nanos::from_secs(1)).expect("in range")];
    let mut world = World::new(&spec);
    let id = world.submit(Instant::EPOCH, job(0), |_| {});
    let instants = tokens(&mut world, id);
    assert_eq!(instants.len(), 101);
    let gaps: Vec<Nanos> = instants.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    let long = gaps.iter().filter(|gap| **gap == Nanos::from_millis(5_010)).count();
    let short = gaps.iter().filter(|gap| **gap == Nanos::from_millis(10)).count();
    assert_eq!((long, short), (1, 99), "{gaps:?}");
}

#[test]
fn what_comes_whole_has_no_tokens() {
    let mut world = alone(Kind::Api(ApiSpec::new(constant(0.5), constant(0.01))));
    let whole = Job {
        stream: false,
        ..job(0)
    };
    let id = world.submit(Instant::EPOCH, whole, |_| {});
    for secs in [0.0, 0.7, 1.4] {
        assert_eq!(world.backend.next_token(seconds(secs), id), None);
    }
}
