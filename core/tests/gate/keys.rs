//! Endpoints with several keys: which one is used, and what cools when it is refused.

use tollgate_core::fault::Fault;
use tollgate_core::id::{EndpointId, KeyId, ScopeId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Ejection, End, ErrorCode, Lifecycle, Refusal, Status};
use tollgate_core::policy::Policy;
use tollgate_core::time::Nanos;

use super::world::{SECOND, World, attempt, chat, end, policy};

/// One endpoint with so many keys.
fn keys(n_keys: usize) -> Policy {
    let mut policy = policy(&[1]);
    policy.endpoints[0].api_key_env = (0..n_keys).map(|key| format!("KEY_{key}")).collect();
    policy
}

/// A request, and the key that its attempt uses.
fn launch(world: &mut World) -> (Lifecycle, KeyId) {
    let life = world.start(chat());
    (life, world.used())
}

fn refuse(world: &mut World, life: &mut Lifecycle, status: Status, after: Option<Nanos>) -> Vec<Effect> {
    let event = AttemptEvent::Open {
        status,
        code: None,
        retry_after: after,
    };
    world.give(life, attempt(0, event))
}

fn ejects(effects: &[Effect]) -> bool {
    let is_cooling = |effect: &Effect| {
        matches!(
            effect,
            Effect::Eject {
                ejection: Ejection::RetryAfter,
                ..
            }
        )
    };
    effects.iter().any(is_cooling)
}

/// Which keys the next requests use.
fn turns<const N: usize>(world: &mut World) -> [u8; N] {
    std::array::from_fn(|_| {
        let (mut life, key) = launch(world);
        world.finish(&mut life);
        key.0
    })
}

#[test]
fn all_keys_cool_before_the_endpoint_does() {
    let mut world = World::new(keys(2));
    assert_eq!(turns(&mut world), [0, 1, 0]);
    let (mut life, key) = launch(&mut world);
    assert_eq!(key, KeyId(1));
    assert!(!ejects(&refuse(&mut world, &mut life, 429, Some(SECOND * 5))));
    assert_eq!(turns(&mut world), [0, 0, 0]);

    // The other one is refused, too: nothing is left, until the first of them is back.
    world.now += SECOND;
    let (mut life, key) = launch(&mut world);
    assert_eq!(key, KeyId(0));
    assert!(ejects(&refuse(&mut world, &mut life, 429, Some(SECOND * 20))));
    let until = world.now + SECOND * 4;
    let life = world.start(chat());
    let refusal = Refusal::NoEndpoint { until };
    assert_eq!(end(&life), End::Refused { refusal });

    world.now = until;
    assert_eq!(turns(&mut world), [1, 1]);
    world.now += SECOND * 16;
    assert_eq!(turns(&mut world), [0, 1, 0, 1]);
}

/// A quota that is used up and a key that is not accepted cool a key for a minute; overload is the endpoint's.
#[test]
fn what_is_of_a_key_cools_it() {
    for status in [401, 402, 403, 429] {
        let mut world = World::new(keys(3));
        let (mut life, _) = launch(&mut world);
        assert!(!ejects(&refuse(&mut world, &mut life, status, None)), "{status}");
        assert_eq!(turns(&mut world), [1, 2, 1, 2], "{status}");
        world.now += if status == 429 { SECOND } else { SECOND * 60 };
        assert_eq!(turns(&mut world), [0, 1, 2], "{status}");
    }
    let mut world = World::new(keys(3));
    let (mut life, _) = launch(&mut world);
    assert!(ejects(&refuse(&mut world, &mut life, 503, Some(SECOND))));

    let mut world = World::new(keys(2));
    let (mut life, _) = launch(&mut world);
    let event = AttemptEvent::Open {
        status: 429,
        code: Some(ErrorCode::InsufficientQuota),
        retry_after: None,
    };
    assert!(!ejects(&world.give(&mut life, attempt(0, event))));
    assert_eq!(life.outcome().fault(), Some(Fault::QuotaExhausted));
    assert_eq!(turns(&mut world), [1, 1]);
}

/// With one key, or none, nothing changes.
#[test]
fn one_key_cools_as_its_endpoint() {
    for n_keys in [0, 1] {
        for status in [401, 402, 403, 429] {
            let mut world = World::new(keys(n_keys));
            assert_eq!(turns(&mut world), [0, 0]);
            let (mut life, _) = launch(&mut world);
            assert!(ejects(&refuse(&mut world, &mut life, status, None)), "{status}");
            assert_eq!(world.start(chat()).outcome().attempts, 0, "{status}");
        }
    }
}

/// Where the policy names the quota that keys share, it cools as a whole, with every endpoint of it. Whether a key is
/// accepted is still its own affair.
#[test]
fn keys_of_one_quota_cool_together() {
    let shared = || {
        let mut policy = policy(&[2]);
        for endpoint in &mut policy.endpoints {
            endpoint.api_key_env = vec![String::from("A"), String::from("B")];
            endpoint.scope = ScopeId(0);
            endpoint.shares_quota = true;
        }
        policy
    };
    for status in [402, 429] {
        let mut world = World::new(shared());
        let (mut life, _) = launch(&mut world);
        assert!(ejects(&refuse(&mut world, &mut life, status, None)), "{status}");
        assert_eq!(world.start(chat()).outcome().attempts, 0, "{status}");
    }
    let mut policy = shared();
    policy.endpoints[1].tier = 1;
    let mut world = World::new(policy);
    let (mut life, _) = launch(&mut world);
    assert!(!ejects(&refuse(&mut world, &mut life, 401, None)));
    assert_eq!(turns(&mut world), [1, 1]);
    let (mut life, _) = launch(&mut world);
    assert_eq!(world.launched(), EndpointId(0));
    world.finish(&mut life);
}
