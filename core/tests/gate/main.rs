//! Gate and lifecycle by hand: one short story per law that random worlds would meet too rarely, and per bug.

mod balance;
mod keys;
mod outlier;
mod throttle;
mod world;

use std::num::{NonZeroU32, NonZeroU64};

use tollgate_core::fault::Fault;
use tollgate_core::gate::GateInput;
use tollgate_core::health::Circuit;
use tollgate_core::id::{EndpointId, KeyHash, LimitId, PoolId};
use tollgate_core::lifecycle::{
    AttemptEvent, Effect, Ejection, End, Input, Phase, Refusal, Request, Ruling, Ticket, Verdict,
};
use tollgate_core::policy::{
    Algorithm, Backoff, Charges, Jitter, Limit, Match, Needs, OnOutage, OnWait, Price, Probe, Quota, Refund, Store,
};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Unit, Usage};

use self::world::{SECOND, World, admitted, attempt, chat, end, on_route, policy, trips_at_once};

/// Below the panic threshold health is ignored; a Retry-After is not.
#[test]
fn panic_ignores_health() {
    let mut policy = policy(&[2]);
    policy.pools[0].breaker = trips_at_once();
    policy.pools[0].panic_below = 0.6;
    let mut world = World::new(policy);
    let mut doomed = world.start(chat());
    world.fail(&mut doomed, Fault::Server);
    assert_eq!(doomed.phase(), Phase::Settled);

    // One of two is healthy, less than 60 percent: both are used again, the tripped one too.
    let mut used = [0, 0];
    let mut lives = Vec::new();
    for _ in 0..32 {
        let life = world.start(chat());
        used[world.launched().index()] += 1;
        lives.push(life);
    }
    assert!(0 < used[0] && 0 < used[1], "health is ignored: {used:?}");
    for life in &mut lives {
        life.handle(&world.gate, world.now, Input::Abandon, &mut world.effects);
    }

    // A Retry-After is not: the scope is left alone whatever the health of others.
    for at in 0..2 {
        let mut life = loop {
            let mut life = world.start(chat());
            if world.launched() == EndpointId(at) {
                break life;
            }
            world.give(&mut life, Input::Abandon);
        };
        let open = AttemptEvent::Open {
            status: 429,
            code: None,
            retry_after: Some(SECOND * (10 + u64::from(at))),
        };
        world.give(&mut life, attempt(0, open));
    }
    let refused = world.start(chat());
    let until = world.now + SECOND * 10;
    assert_eq!(
        end(&refused),
        End::Refused {
            refusal: Refusal::NoEndpoint { until }
        }
    );
}

/// A health check that is due is asked for once, and one wake-up follows another, however often the gate is woken.
#[test]
fn wishes_do_not_pile_up() {
    let mut policy = policy(&[1]);
    policy.pools[0].probe = Some(Probe {
        path: String::from("/health"),
        every: SECOND,
        timeout: SECOND,
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN,
    });
    let mut world = World::new(policy);
    let mut wishes = world.tell_gate(GateInput::Start);
    for _ in 0..10 {
        wishes.extend(world.tell_gate(GateInput::Wake));
    }
    let endpoint = EndpointId(0);
    let at = world.now + SECOND;
    assert_eq!(wishes, [Effect::Probe { endpoint }, Effect::WakeGateAt { at }]);
}

/// A permit that no waiter can use is free to others, although somebody waits.
#[test]
fn who_cannot_use_a_permit_does_not_block_it() {
    let mut policy = policy(&[2]);
    for endpoint in &mut policy.endpoints {
        endpoint.max_in_flight = Some(NonZeroU32::MIN);
    }
    policy.endpoints[1].can.tools = false;
    let mut world = World::new(policy);
    let tools = Needs {
        tools: true,
        ..Needs::default()
    };
    let with_tools = Request { needs: tools, ..chat() };

    let first = world.start(with_tools);
    assert_eq!(world.launched(), EndpointId(0));
    let mut second = world.start(chat());
    assert_eq!(world.launched(), EndpointId(1));
    let picky = world.start(with_tools);
    let mut easy = world.start(chat());
    assert_eq!((picky.phase(), easy.phase()), (Phase::Queued, Phase::Queued));

    // The second endpoint goes to the one who can use it, and comes back while the other still waits.
    world.finish(&mut second);
    world.give(&mut easy, admitted());
    assert_eq!(world.launched(), EndpointId(1));
    world.finish(&mut easy);
    assert_eq!(picky.phase(), Phase::Queued);
    assert!(!world.gate.snapshot(world.now).endpoints[1].awaited);

    let last = world.start(chat());
    assert_eq!((last.phase(), world.launched()), (Phase::Racing, EndpointId(1)));
    world.leave([first, picky, last]);
}

/// Who waits in a pool is woken when a quota scope has cooled down that an endpoint of another pool had heated.
#[test]
fn a_shared_scope_wakes_every_pool() {
    let mut policy = policy(&[1, 2]);
    policy.pools[0].queue.length = 0;
    policy.endpoints[1].scope = policy.endpoints[0].scope;
    policy.endpoints[2].max_in_flight = Some(NonZeroU32::MIN);
    let mut other = policy.routes[0].clone();
    policy.routes[0].pools = vec![PoolId(0)];
    other.pools = vec![PoolId(1)];
    policy.routes.push(other);
    let mut world = World::new(policy);

    let mut heater = world.start(chat());
    let open = AttemptEvent::Open {
        status: 429,
        code: None,
        retry_after: Some(SECOND),
    };
    let effects = world.give(&mut heater, attempt(0, open));
    let at = world.now + SECOND;
    assert!(effects.contains(&Effect::WakeGateAt { at }), "{effects:?}");

    let busy = world.start(on_route(1));
    let mut waiter = world.start(on_route(1));
    assert_eq!(waiter.phase(), Phase::Queued);
    world.now = at;
    let told = world.tell_gate(GateInput::Wake);
    let request = waiter.id();
    let verdict = Verdict::Admitted;
    assert_eq!(told, [Effect::Notify { request, verdict }]);
    world.give(&mut waiter, admitted());
    assert_eq!(world.launched(), EndpointId(1));
    world.leave([busy, waiter]);
}

/// When one endpoint more trips and the pool panics, those who wait get the ejected ones at once.
#[test]
fn a_trip_that_makes_a_pool_panic_admits_waiters() {
    let mut policy = policy(&[2]);
    policy.pools[0].breaker = trips_at_once();
    policy.pools[0].panic_below = 0.5;
    for endpoint in &mut policy.endpoints {
        endpoint.max_in_flight = Some(NonZeroU32::MIN);
    }
    let mut world = World::new(policy);
    let mut doomed = world.start(chat());
    world.fail(&mut doomed, Fault::Server);
    let mut running = world.start(chat());
    let waiters = [world.start(chat()), world.start(chat())];
    assert!(waiters.iter().all(|life| life.phase() == Phase::Queued));

    let effects = world.fail(&mut running, Fault::Server);
    let notified = effects.iter().filter(|effect| matches!(effect, Effect::Notify { .. }));
    assert_eq!(notified.count(), 2, "{effects:?}");
    world.leave(waiters);
}

/// A late wake-up does not launch what would have to stop at once.
#[test]
fn a_late_wake_up_launches_nothing() {
    let mut policy = policy(&[2]);
    policy.routes[0].retry.max_attempts = 3;
    policy.routes[0].retry.backoff = Backoff {
        base: SECOND,
        max: SECOND,
        jitter: Jitter::None,
    };
    let mut world = World::new(policy);
    let mut life = world.start(chat());
    world.fail(&mut life, Fault::Server);
    assert_eq!(life.phase(), Phase::BackingOff);
    world.now += SECOND * 100;
    let effects = world.give(&mut life, Input::Wake);
    let refusal = Refusal::Deadline;
    assert_eq!(effects, [Effect::Refuse { refusal }, Effect::Finish]);
}

/// Out of probes nobody can say when an endpoint is back: a client is not told to come back at once.
#[test]
fn half_open_names_no_time_to_come_back() {
    let mut policy = policy(&[1]);
    policy.pools[0].breaker = trips_at_once();
    let mut world = World::new(policy);
    let mut doomed = world.start(chat());
    let effects = world.fail(&mut doomed, Fault::Server);
    let until = world.now + SECOND;
    let (endpoint, ejection) = (EndpointId(0), Ejection::Tripped);
    assert!(effects.contains(&Effect::Eject {
        endpoint,
        ejection,
        until
    }));

    world.now = until;
    let probe = world.start(chat());
    let circuit = world.gate.snapshot(world.now).endpoints[0].circuit;
    assert!(matches!(circuit, Circuit::HalfOpen { admitted: 1, .. }));
    let refused = world.start(chat());
    let until = Instant::FAR;
    assert_eq!(
        end(&refused),
        End::Refused {
            refusal: Refusal::NoEndpoint { until }
        }
    );
    world.leave([probe]);
}

/// Out of attempts, a client is told of the first pool that comes back, not of the one that failed last.
#[test]
fn the_first_pool_that_comes_back_counts() {
    let mut policy = policy(&[1, 1]);
    policy.routes[0].retry.max_attempts = 2;
    policy.routes[0].retry.backoff.max = Nanos::ZERO;
    let mut world = World::new(policy);
    let mut life = world.start(chat());
    for (id, secs) in [(0, 5), (1, 10)] {
        let open = AttemptEvent::Open {
            status: 429,
            code: None,
            retry_after: Some(SECOND * secs),
        };
        world.give(&mut life, attempt(id, open));
    }
    let until = world.now + SECOND * 5;
    let (fault, refused) = (Fault::RateLimited, end(&life));
    let refusal = Refusal::OutOfAttempts { fault, until };
    assert_eq!(refused, End::Failed { refusal });
}

/// Connect time that runs out while it waits for a connection is a fault of its own, and not the endpoint's.
#[test]
fn waiting_for_a_connection_is_a_fault_of_its_own() {
    let mut policy = policy(&[1]);
    policy.pools[0].breaker = trips_at_once();
    let connect = policy.routes[0].timeouts.connect;
    let mut world = World::new(policy);
    let cases = [
        (vec![AttemptEvent::Waiting], Fault::NoConnection),
        (vec![AttemptEvent::Waiting, AttemptEvent::Connecting], Fault::Connect),
        (vec![], Fault::Connect),
    ];
    for (events, expected) in cases {
        let mut life = world.start(chat());
        for event in events {
            world.give(&mut life, attempt(0, event));
        }
        world.now += connect;
        world.give(&mut life, Input::Wake);
        assert_eq!(life.outcome().fault(), Some(expected));
        let circuit = world.gate.snapshot(world.now).endpoints[0].circuit;
        let is_closed = matches!(circuit, Circuit::Closed);
        assert_eq!(
            is_closed,
            expected == Fault::NoConnection,
            "only the endpoint's own faults trip"
        );
        world.now += SECOND;
    }
}

/// An answer to a health check of an endpoint that a new policy does not have is ignored.
#[test]
fn health_of_nobody_is_ignored() {
    let mut world = World::new(policy(&[1]));
    let endpoint = EndpointId(7);
    assert_eq!(world.tell_gate(GateInput::Probe { endpoint, ok: false }), []);
}

/// What was charged when a store did not answer comes back into the window in which it was charged.
#[test]
fn a_fallback_charge_is_settled_where_it_was_taken() {
    let mut policy = policy(&[1]);
    let quota = Quota {
        amount: NonZeroU64::new(100).expect("not zero"),
        period: SECOND,
        burst: NonZeroU64::new(100).expect("not zero"),
    };
    for store in [
        Store::Local,
        Store::Strict {
            deadline: SECOND,
            on_outage: OnOutage::LocalShare,
        },
    ] {
        policy.limits.push(Limit {
            name: String::from("tokens"),
            algorithm: Algorithm::FixedWindow(quota),
            unit: Unit::Tokens,
            per: Vec::new(),
            when: Match::default(),
            on_wait: OnWait::Refuse,
            refund: Refund::Full,
            max_keys: NonZeroU32::MIN,
            store,
            output_default: 0,
            learn: false,
        });
    }
    let mut world = World::new(policy);
    let key = KeyHash(1);
    let mut charges = Charges::default();
    charges.push(LimitId(0), key);
    charges.push(LimitId(1), key);
    let mut request = chat();
    request.class.charges = charges;
    request.estimate = Estimate {
        input: 60,
        output: Some(30),
        more: 0,
    };
    let mut life = world.start(request);
    world.now += SECOND;
    let ticket = Ticket(life.id());
    let ruling = Ruling::Unavailable;
    world.give(&mut life, Input::Rule { ticket, ruling });
    let usage = Usage { input: 60, output: 10 };
    world.give(&mut life, attempt(0, AttemptEvent::Finish { usage }));

    let left = |limit| world.gate.standing(LimitId(limit), key, world.now).remaining;
    assert_eq!((left(0), left(1)), (100, 30));
}

/// An endpoint that comes back, by its breaker or by an active probe, remembers when: a slow start counts from there.
#[test]
fn coming_back_is_remembered() {
    let mut policy = policy(&[1]);
    policy.pools[0].breaker = trips_at_once();
    policy.pools[0].probe = Some(Probe {
        path: String::from("/health"),
        every: SECOND,
        timeout: SECOND,
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN,
    });
    let mut world = World::new(policy);
    let restored_at = |world: &World| world.gate.snapshot(world.now).endpoints[0].restored_at;
    let mut doomed = world.start(chat());
    world.fail(&mut doomed, Fault::Server);
    assert_eq!(restored_at(&world), Instant::EPOCH);

    world.now += SECOND;
    let mut probe = world.start(chat());
    assert_eq!(restored_at(&world), Instant::EPOCH, "a probe is out, and not judged");
    world.finish(&mut probe);
    assert_eq!(restored_at(&world), world.now);

    let endpoint = EndpointId(0);
    world.tell_gate(GateInput::Probe { endpoint, ok: false });
    world.now += SECOND;
    world.tell_gate(GateInput::Probe { endpoint, ok: true });
    assert_eq!(restored_at(&world), world.now);
}

/// Money is reserved at the dearest endpoint of the route, and settled by what each attempt cost where it ran: the one
/// that answered all it used, and a hedge whose request was accepted the prompt.
#[test]
fn money_is_settled_by_what_attempts_cost() {
    let mut policy = policy(&[1, 1]);
    for (endpoint, dollars) in policy.endpoints.iter_mut().zip([1.0, 10.0]) {
        endpoint.price = Some(Price {
            input: dollars,
            cached_input: dollars,
            output: dollars * 4.0,
        });
    }
    policy.routes[0].retry.max_attempts = 2;
    let amount = NonZeroU64::new(100_000).expect("not zero");
    policy.limits.push(Limit {
        name: String::from("money"),
        algorithm: Algorithm::FixedWindow(Quota {
            amount,
            period: SECOND * 1_000,
            burst: amount,
        }),
        unit: Unit::MicroUsd,
        per: Vec::new(),
        when: Match::default(),
        on_wait: OnWait::Refuse,
        refund: Refund::Full,
        max_keys: NonZeroU32::MIN,
        store: Store::Local,
        output_default: 0,
        learn: false,
    });
    let mut world = World::new(policy);
    let mut request = chat();
    request.class.charges.push(LimitId(0), KeyHash(1));
    request.estimate = Estimate {
        input: 100,
        output: Some(50),
        more: 0,
    };
    let left = |world: &World| world.gate.standing(LimitId(0), KeyHash(1), world.now).remaining;

    let mut life = world.start(request);
    assert_eq!(left(&world), 100_000 - (100 * 10 + 50 * 40), "the dearest");
    let accepted = AttemptEvent::Open {
        status: 200,
        code: None,
        retry_after: None,
    };
    world.give(&mut life, attempt(0, accepted));
    world.fail(&mut life, Fault::Overloaded);
    assert_eq!(life.phase(), Phase::Racing, "another attempt");
    let second = world.gate.policy().endpoint(world.launched()).price;
    let usage = Usage { input: 90, output: 10 };
    world.give(&mut life, attempt(1, AttemptEvent::Finish { usage }));
    let answer = second.expect("every endpoint has one").rates().cost(usage);
    assert_eq!(life.outcome().spent.micro_usd(), 100 + answer.micro_usd());
    assert_eq!(left(&world), 100_000 - life.outcome().spent.micro_usd());
}
