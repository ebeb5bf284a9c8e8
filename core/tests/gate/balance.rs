//! Tiers, old loads and slow starts: what a gate adds to balancers.

use std::num::NonZeroU32;

use tollgate_core::fault::Fault;
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{AttemptEvent, Lifecycle};
use tollgate_core::policy::{BalanceKind, BreakerKind, LoadKind, Policy, SlowStart, Ties, Until};
use tollgate_core::time::Nanos;
use tollgate_core::usage::Estimate;

use super::world::{SECOND, World, attempt, chat, policy, trips_at_once};

/// Endpoint 0 and two backups, one behind the other; nobody waits, so that what is overlooked is not found by a queue.
fn tiers() -> Policy {
    let mut policy = policy(&[3]);
    policy.pools[0].queue.length = 0;
    for (endpoint, tier) in policy.endpoints.iter_mut().zip([0, 3, 200]) {
        endpoint.tier = tier;
        endpoint.max_in_flight = Some(NonZeroU32::MIN);
    }
    policy
}

fn launch(world: &mut World) -> (Lifecycle, EndpointId) {
    let life = world.start(chat());
    let endpoint = world.launched();
    (life, endpoint)
}

#[test]
fn a_backup_waits_for_its_turn() {
    let mut world = World::new(tiers());
    for _ in 0..10 {
        let (mut life, endpoint) = launch(&mut world);
        assert_eq!(endpoint, EndpointId(0));
        world.finish(&mut life);
    }
    // A tier that is full spills over at once, and into the next in order.
    let (one, first) = launch(&mut world);
    let (other, second) = launch(&mut world);
    let (last, third) = launch(&mut world);
    assert_eq!([first, second, third], [EndpointId(0), EndpointId(1), EndpointId(2)]);
    world.leave([one, other, last]);
    let (life, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(0), "and back at once");
    world.leave([life]);
}

#[test]
fn a_backup_is_used_as_soon_as_the_last_primary_is_ejected() {
    let mut policy = tiers();
    policy.pools[0].breaker = trips_at_once();
    policy.pools[0].panic_below = 0.5;
    let mut world = World::new(policy);
    let (mut doomed, endpoint) = launch(&mut world);
    world.fail(&mut doomed, Fault::Server);
    assert_eq!(endpoint, EndpointId(0));
    // One of three is left alone: all of its tier, and still nobody panics, for a backup is fit.
    let (mut life, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(1));
    world.fail(&mut life, Fault::Server);
    let (mut life, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(2));
    world.fail(&mut life, Fault::Server);
    // Every tier is below the threshold: health is ignored, and the lowest comes first.
    let (life, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(0));
    world.leave([life]);
}

#[test]
fn a_retry_goes_to_a_backup_when_the_primary_was_tried() {
    let mut policy = tiers();
    policy.routes[0].retry.max_attempts = 2;
    let mut world = World::new(policy);
    let (mut life, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(0));
    world.fail(&mut life, Fault::Server);
    assert_eq!(world.launched(), EndpointId(1));
    world.leave([life]);
}

/// Two endpoints, the first of equals wins, and loads are a second old at most.
fn stale(load: LoadKind) -> Policy {
    let mut policy = policy(&[2]);
    policy.pools[0].balance.kind = BalanceKind::Least;
    policy.pools[0].balance.load = load;
    policy.pools[0].balance.ties = Ties::First;
    policy.pools[0].balance.staleness = SECOND;
    policy
}

#[test]
fn old_loads_are_as_of_the_last_period() {
    for load in [LoadKind::InFlight, LoadKind::InFlightPerWeight, LoadKind::ExpectedDelay] {
        let mut world = World::new(stale(load));
        let mut lives = Vec::new();
        let mut endpoints = Vec::new();
        // Three in the period in which all was idle; two in which there were three at the first; one with two more there.
        for (nth, periods) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 0), (5, 1)] {
            world.now += SECOND * periods + Nanos::from_nanos(nth);
            let (life, endpoint) = launch(&mut world);
            lives.push(life);
            endpoints.push(endpoint.0);
        }
        assert_eq!(endpoints, [0, 0, 0, 1, 1, 1], "{load:?}");
        // One at the first and all at the second end in this period, and none in the next: what the board says then is what
        // was true when that began, not what is true when somebody looks.
        for at in [0, 3, 4, 5] {
            world.finish(&mut lives[at]);
        }
        world.now += SECOND;
        world.finish(&mut lives[1]);
        world.finish(&mut lives[2]);
        let (life, endpoint) = launch(&mut world);
        assert_eq!(endpoint.0, 1, "two against none at the turn, none against none now");
        world.leave([life]);
        assert_eq!(lives.len(), 6);
    }
}

/// Whoever goes without an answer changes a load too, and writes down first what was true before.
#[test]
fn who_leaves_writes_the_board_first() {
    let mut world = World::new(stale(LoadKind::InFlight));
    let (one, first) = launch(&mut world);
    assert_eq!(first.0, 0);
    world.now += SECOND;
    world.leave([one]);
    let (life, endpoint) = launch(&mut world);
    assert_eq!(endpoint.0, 1, "one against none at the turn");
    world.leave([life]);
}

/// Nobody looks at the turn of the period; who looks later finds how old attempts were then.
#[test]
fn the_board_is_as_of_the_turn_and_not_of_the_look() {
    let mut policy = stale(LoadKind::Time {
        until: Until::FirstToken,
        in_flight: true,
    });
    policy.endpoints[0].max_in_flight = NonZeroU32::new(2);
    let mut world = World::new(policy);
    let (old, first) = launch(&mut world);
    let (leaves, second) = launch(&mut world);
    world.now += Nanos::from_millis(900);
    let (young, third) = launch(&mut world);
    let (also_young, fourth) = launch(&mut world);
    assert_eq!(
        [first.0, second.0, third.0, fourth.0],
        [0, 0, 1, 1],
        "the first is full"
    );
    world.leave([leaves]);
    // At the turn one second against twice a tenth; at the look 1.95 s against twice 1.05 s.
    world.now += Nanos::from_millis(1_050);
    let (life, endpoint) = launch(&mut world);
    assert_eq!(endpoint.0, 1);
    world.leave([old, young, also_young, life]);
}

#[test]
fn who_comes_back_starts_slowly() {
    let mut policy = policy(&[2]);
    let pool = &mut policy.pools[0];
    pool.breaker = trips_at_once();
    pool.balance.kind = BalanceKind::WeightedRoundRobin { max_fails: 0 };
    pool.slow_start = Some(SlowStart {
        window: SECOND * 10,
        aggression: 1.0,
        min_share: 0.1,
    });
    let mut world = World::new(policy);
    let (mut doomed, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(0));
    world.fail(&mut doomed, Fault::Server);
    world.now += SECOND;
    // A probe, which is good.
    loop {
        let (mut life, endpoint) = launch(&mut world);
        world.finish(&mut life);
        if endpoint == EndpointId(0) {
            break;
        }
    }
    let share = |world: &mut World| {
        let count = (0..110).filter(|_| {
            let (mut life, endpoint) = launch(world);
            world.finish(&mut life);
            endpoint == EndpointId(0)
        });
        count.count()
    };
    assert!((9..=11).contains(&share(&mut world)), "a tenth beside one");
    world.now += SECOND * 5;
    assert!((36..=37).contains(&share(&mut world)), "half beside one");
    world.now += SECOND * 5;
    assert!((54..=56).contains(&share(&mut world)), "all of it");
}

#[test]
fn a_failure_takes_weight_and_turns_give_it_back() {
    let mut policy = policy(&[2]);
    policy.endpoints[0].weight = NonZeroU32::new(4).expect("not zero");
    policy.pools[0].breaker = BreakerKind::Off;
    policy.pools[0].balance.kind = BalanceKind::WeightedRoundRobin { max_fails: 1 };
    let mut world = World::new(policy);
    let (mut doomed, endpoint) = launch(&mut world);
    assert_eq!(endpoint, EndpointId(0));
    world.fail(&mut doomed, Fault::Server);
    let picks: Vec<u16> = (0..6)
        .map(|_| {
            let (mut life, endpoint) = launch(&mut world);
            world.finish(&mut life);
            endpoint.0
        })
        .collect();
    // Credits were -1 and 1. Weights are 0 and 1, then 1 and 1, 2 and 1, 3 and 1, and whole again.
    assert_eq!(picks, [1, 1, 0, 0, 1, 0]);
}

#[test]
fn tokens_in_flight_are_a_load() {
    let mut policy = policy(&[2]);
    policy.pools[0].balance.kind = BalanceKind::Least;
    policy.pools[0].balance.load = LoadKind::TokenBacklog;
    policy.pools[0].balance.ties = Ties::First;
    let mut world = World::new(policy);
    let sized = |world: &mut World, input| {
        let mut request = chat();
        request.estimate = Estimate {
            input,
            output: Some(10),
            more: 0,
        };
        let life = world.start(request);
        (life, world.launched().0)
    };
    let (long, first) = sized(&mut world, 1_000);
    let (short, second) = sized(&mut world, 100);
    let (third_life, third) = sized(&mut world, 100);
    let (fourth_life, fourth) = sized(&mut world, 1_000);
    assert_eq!([first, second, third, fourth], [0, 1, 1, 1]);
    let backlog = |world: &World| {
        let shown = world.gate.snapshot(world.now);
        [shown.endpoints[0].backlog, shown.endpoints[1].backlog]
    };
    assert_eq!(backlog(&world), [1_010, 1_230]);
    let (last, fifth) = sized(&mut world, 0);
    assert_eq!(fifth, 0);
    world.leave([long, short, third_life, fourth_life, last]);
    assert_eq!(backlog(&world), [0, 0]);
}

#[test]
fn what_hangs_grows_old() {
    let mut policy = policy(&[2]);
    policy.pools[0].balance.kind = BalanceKind::Least;
    policy.pools[0].balance.load = LoadKind::Time {
        until: Until::FirstToken,
        in_flight: true,
    };
    policy.pools[0].balance.ties = Ties::First;
    let mut world = World::new(policy);
    let answer = |world: &mut World, life: &mut Lifecycle| {
        world.now += Nanos::from_millis(100);
        world.give(life, attempt(0, AttemptEvent::FirstToken));
        world.finish(life);
    };
    // Both have answered within 100 ms.
    let (mut one, first) = launch(&mut world);
    answer(&mut world, &mut one);
    let (mut other, second) = launch(&mut world);
    answer(&mut world, &mut other);
    assert_eq!([first.0, second.0], [0, 1]);
    let (hangs, third) = launch(&mut world);
    assert_eq!(third.0, 0);
    // 100 ms times two there, and times one to three here.
    let (here, fourth) = launch(&mut world);
    let (also_here, fifth) = launch(&mut world);
    assert_eq!(
        [fourth.0, fifth.0],
        [1, 0],
        "two here are as bad as two there, and the first wins"
    );
    world.leave([here, also_here]);
    world.now += Nanos::from_millis(150);
    let (here, sixth) = launch(&mut world);
    let (also_here, seventh) = launch(&mut world);
    assert_eq!([sixth.0, seventh.0], [1, 1], "200 ms and 150 ms of age there");
    world.leave([hangs, here, also_here]);
}
