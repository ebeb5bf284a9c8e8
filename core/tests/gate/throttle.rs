//! Who is turned away before an endpoint is looked for, and what becomes of them.

use tollgate_core::fault::{Fault, FaultSet};
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{AttemptEvent, End, Input, Lifecycle, Phase, Refusal};
use tollgate_core::policy::{EnvoyAdmission, Policy, Throttle};

use crate::world::{World, attempt, chat, end, policy};

/// A route over `sizes`, whose first pool has `throttle`.
fn throttled(sizes: &[u16], throttle: Throttle) -> Policy {
    let mut policy = policy(sizes);
    policy.pools[0].throttle = Some(throttle);
    policy
}

/// Turns nearly everybody away once anything has failed.
fn steep() -> Throttle {
    Throttle::EnvoyAdmission(EnvoyAdmission {
        success_rate_millionths: 1_000_000.try_into().expect("not zero"),
        aggression: 100.0,
        max: 1.0,
        ..EnvoyAdmission::default()
    })
}

/// Begins requests until somebody is turned away; every attempt at the first pool before fails with `fault`.
fn until_turned_away(world: &mut World, fault: Fault) -> Lifecycle {
    for _ in 0..100 {
        let mut life = world.start(chat());
        let is_tried = life.phase() == Phase::Racing && world.launched() == EndpointId(0);
        if !is_tried {
            return life;
        }
        world.fail(&mut life, fault);
    }
    panic!("nobody is turned away");
}

/// Who is turned away is served by the next pool of the route, and refused only where there is none.
#[test]
fn whoever_is_turned_away_goes_on() {
    let mut world = World::new(throttled(&[1, 1], Throttle::SRE));
    let mut life = until_turned_away(&mut world, Fault::Overloaded);
    assert_eq!(world.launched(), EndpointId(1));
    world.finish(&mut life);
    assert_eq!((life.outcome().attempts, life.outcome().fallbacks), (1, 1));

    let mut world = World::new(throttled(&[1], Throttle::SRE));
    let life = until_turned_away(&mut world, Fault::Timeout);
    let refusal = Refusal::Shed;
    assert_eq!(end(&life), End::Refused { refusal });
    assert_eq!(refusal.status(), 503);
}

/// Retries and fallbacks ask as first attempts do.
#[test]
fn every_attempt_asks() {
    let retrying = |throttle: Option<Throttle>| {
        let mut policy = policy(&[2]);
        policy.pools[0].throttle = throttle;
        policy.routes[0].retry.max_attempts = 3;
        policy.routes[0].retry.on = FaultSet::NONE.with(Fault::Overloaded);
        let mut world = World::new(policy);
        let mut life = world.start(chat());
        while life.phase() == Phase::Racing {
            world.fail(&mut life, Fault::Overloaded);
        }
        life.outcome().attempts
    };
    assert_eq!((retrying(None), retrying(Some(steep()))), (3, 1));

    let mut policy = throttled(&[1, 1, 1], Throttle::SRE);
    policy.pools[1].throttle = Some(steep());
    policy.pools[0].throttle = None;
    policy.routes[0].retry.max_attempts = 2;
    let mut world = World::new(policy);
    let mut fall_back = || {
        let mut life = world.start(chat());
        world.fail(&mut life, Fault::Overloaded);
        let endpoint = world.launched();
        world.fail(&mut life, Fault::Overloaded);
        endpoint
    };
    let backups = [fall_back(), fall_back()];
    assert_eq!(backups, [EndpointId(1), EndpointId(2)]);
}

/// What is in flight says nothing yet, and what was called off never will.
#[test]
fn what_has_no_answer_says_nothing() {
    let mut world = World::new(throttled(&[1], Throttle::SRE));
    for _ in 0..20 {
        let lives = [world.start(chat()), world.start(chat()), world.start(chat())];
        assert!(lives.iter().all(|life| life.phase() == Phase::Racing));
        world.leave(lives);
    }
}

/// The first token is what accepts: how the answer ends later changes nothing.
#[test]
fn the_first_token_accepts() {
    let mut world = World::new(throttled(&[1], Throttle::SRE));
    for _ in 0..40 {
        let mut life = world.start(chat());
        assert_eq!(life.phase(), Phase::Racing);
        world.give(&mut life, attempt(0, AttemptEvent::FirstToken));
        world.fail(&mut life, Fault::Stream);
    }
}

/// By the book a 429 is a refusal and a 500 an answer; by Envoy it is the other way round.
#[test]
fn what_counts_is_the_kinds_own() {
    let is_turned_away = |throttle: Throttle, status: u16| {
        let mut world = World::new(throttled(&[1], throttle));
        let mut lives = (0..30).map(|_| {
            let mut life = world.start(chat());
            let open = AttemptEvent::Open {
                status,
                code: None,
                retry_after: Some(tollgate_core::time::Nanos::ZERO),
            };
            world.give(&mut life, attempt(0, open));
            let is_shed = end(&life) == End::Refused { refusal: Refusal::Shed };
            world.give(&mut life, Input::Abandon);
            is_shed
        });
        lives.any(|is_shed| is_shed)
    };
    let envoy = Throttle::EnvoyAdmission(EnvoyAdmission::default());
    for (status, by_the_book, by_envoy) in [(429, true, false), (500, false, true), (503, true, true)] {
        assert_eq!(is_turned_away(Throttle::SRE, status), by_the_book, "{status}");
        assert_eq!(is_turned_away(envoy, status), by_envoy, "{status}");
    }
}
