//! Outlier detection in a gate.

use std::num::NonZeroU32;

use tollgate_core::fault::Fault;
use tollgate_core::gate::GateInput;
use tollgate_core::lifecycle::{Effect, Ejection};
use tollgate_core::policy::{BreakerKind, Outlier, Percent, Row};
use tollgate_core::time::Instant;

use super::world::{World, chat, policy};

/// An outlier is ejected at once, comes back at a sweep, and the gate is woken for every sweep.
#[test]
fn an_outlier_comes_back_at_a_sweep() {
    let mut policy = policy(&[2]);
    policy.pools[0].breaker = BreakerKind::Outlier(Outlier {
        consecutive_5xx: Row {
            length: NonZeroU32::MIN,
            enforcing: Percent::ALL,
        },
        ..Outlier::default()
    });
    let mut world = World::new(policy);
    let sweep = |secs| Effect::WakeGateAt {
        at: Instant::from_secs(secs),
    };
    // It is 10 s: a sweep is due, and the next is known.
    assert_eq!(world.tell_gate(GateInput::Start), [sweep(20)]);

    world.now = Instant::from_secs(12);
    let mut doomed = world.start(chat());
    let endpoint = world.launched();
    let until = Instant::from_secs(50);
    let effects = world.fail(&mut doomed, Fault::Server);
    let ejection = Ejection::Outlier;
    assert!(effects.contains(&Effect::Eject {
        endpoint,
        ejection,
        until
    }));

    // One of two is the share that always may be out: the other fails, and stays.
    let mut other = world.start(chat());
    assert_ne!(world.launched(), endpoint);
    world.fail(&mut other, Fault::Server);
    let mut third = world.start(chat());
    assert_ne!(world.launched(), endpoint);
    world.finish(&mut third);

    for secs in [20, 30, 40] {
        world.now = Instant::from_secs(secs);
        assert_eq!(world.tell_gate(GateInput::Wake), [sweep(secs + 10)]);
    }
    world.now = until;
    assert_eq!(
        world.tell_gate(GateInput::Wake),
        [Effect::Restore { endpoint }, sweep(60)]
    );
    assert_eq!(
        world.gate.snapshot(until).endpoints[endpoint.index()].restored_at,
        until
    );

    // Its place among those who are out is free again: the next that fails has it. Woken late, sweeps stay on the grid.
    world.now = Instant::from_secs(63);
    assert_eq!(world.tell_gate(GateInput::Wake), [sweep(70)]);
    let mut next = world.start(chat());
    let endpoint = world.launched();
    let effects = world.fail(&mut next, Fault::Server);
    let is_out = |effect: &Effect| matches!(effect, Effect::Eject { endpoint: it, .. } if *it == endpoint);
    assert!(effects.iter().any(is_out), "{effects:?}");
}
