//! The laws of leases: one key, asked about in several lanes.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use proptest::prelude::*;
use tollgate_core::gate::{Granted, Limits, Reach, Used};
use tollgate_core::id::{KeyHash, Lane, LimitId};
use tollgate_core::limit::Lease;
use tollgate_core::memory::{Local, Memory, Shared};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Match, OnWait, Policy, Quota, Refund, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Unit, Usage};

const KEY: KeyHash = KeyHash(7);
const LANES: u16 = 4;

/// What happens next: how long after, in which lane, for how many units, and how the oldest that runs ends.
#[derive(Clone, Copy, Debug)]
struct Step {
    gap: Nanos,
    lane: u16,
    cost: u32,
    exit: Exit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Exit {
    /// It runs on.
    None,
    /// Nothing was launched for it.
    Undone,
    /// It used so many hundredths of what it was charged.
    Used(u32),
}

#[derive(Clone, Debug)]
struct World {
    amount: u64,
    burst: u64,
    lease: u32,
    kind: u8,
    steps: Vec<Step>,
}

impl World {
    fn policy(&self, store: Store) -> Policy {
        let quota = Quota {
            amount: NonZeroU64::new(self.amount).expect("not zero"),
            period: Nanos::from_secs(1),
            burst: NonZeroU64::new(self.burst).expect("not zero"),
        };
        Policy {
            limits: vec![Limit {
                name: String::from("leased"),
                algorithm: match self.kind {
                    0 => Algorithm::Gcra(quota),
                    1 => Algorithm::TokenBucket(quota),
                    _ => Algorithm::LeakyBucket(quota),
                },
                unit: Unit::InputTokens,
                per: Vec::new(),
                when: Match::default(),
                on_wait: OnWait::Refuse,
                refund: Refund::Full,
                max_keys: NonZeroU32::new(100).expect("not zero"),
                store,
                output_default: 20,
                learn: false,
            }],
            ..Policy::default()
        }
    }

    fn leased(&self) -> Store {
        Store::Leased {
            most: NonZeroU32::new(self.lease).expect("not zero"),
        }
    }

    fn limits<M: Memory>(&self, store: Store, lanes: u16) -> Limits<M> {
        Limits::with_lanes(&self.policy(store), NonZeroU16::new(lanes).expect("not zero"))
    }
}

/// Costs are seldom more than a burst and often fit a lease; gaps are about what a unit takes to come, and now and then longer
/// than a lease lives.
fn worlds() -> impl Strategy<Value = World> {
    let exit = prop_oneof![
        2 => Just(Exit::None),
        1 => Just(Exit::Undone),
        3 => (0..150_u32).prop_map(Exit::Used),
    ];
    let gap = prop_oneof![8 => 0..50_u64, 1 => 0..3_000_u64];
    let step = (gap, 0..LANES, 1..16_u32, exit).prop_map(|(gap, lane, cost, exit)| Step {
        gap: Nanos::from_millis(gap),
        lane,
        cost,
        exit,
    });
    let steps = prop::collection::vec(step, 1..150);
    (1..200_u64, 12..60_u64, 1..13_u32, 0..3_u8, steps).prop_map(|(amount, burst, lease, kind, steps)| World {
        amount,
        burst,
        lease,
        kind,
        steps,
    })
}

fn class(lane: u16) -> Class {
    let mut charges = Charges::default();
    charges.lane = Lane(lane);
    charges.push(LimitId(0), KEY);
    Class {
        charges,
        ..Class::default()
    }
}

fn estimate(cost: u32) -> Estimate {
    Estimate {
        input: cost,
        output: Some(0),
        more: 0,
    }
}

fn take<M: Memory>(limits: &Limits<M>, lane: u16, cost: u32, now: Instant) -> Option<Granted> {
    limits.take_all(&class(lane), Reach::Local, estimate(cost), now).ok()
}

fn end<M: Memory>(limits: &Limits<M>, lane: u16, cost: u32, granted: Granted, exit: Exit, now: Instant) {
    match exit {
        Exit::None => {}
        Exit::Undone => limits.undo_all(&class(lane), granted, estimate(cost), now),
        Exit::Used(percent) => {
            let usage = Usage {
                input: cost * percent / 100,
                output: 0,
            };
            let used = Used {
                usage,
                ..Used::default()
            };
            limits.settle_all(&class(lane), granted, estimate(cost), used, now);
        }
    }
}

/// Everything that was decided, with requests ended in the order in which they began; then all that runs is ended as
/// `last` says.
fn run<M: Memory>(world: &World, limits: &Limits<M>, last: Exit) -> (Vec<bool>, Instant) {
    let (mut now, mut open, mut said) = (Instant::EPOCH, Vec::new(), Vec::new());
    for step in &world.steps {
        now += step.gap;
        let granted = take(limits, step.lane, step.cost, now);
        said.push(granted.is_some());
        open.extend(granted.map(|granted| (step.lane, step.cost, granted)));
        if step.exit != Exit::None && !open.is_empty() {
            let (lane, cost, granted) = open.remove(0);
            end(limits, lane, cost, granted, step.exit, now);
        }
    }
    for (lane, cost, granted) in open {
        end(limits, lane, cost, granted, last, now);
    }
    (said, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The bound that the documentation states, of every window between two requests.
    #[test]
    fn never_exceeds_quota_and_leases(world in worlds()) {
        let limits = world.limits::<Local>(world.leased(), LANES);
        let (mut now, mut spent) = (Instant::EPOCH, Vec::new());
        for step in &world.steps {
            now += step.gap;
            if take(&limits, step.lane, step.cost, now).is_some() {
                spent.push((now, u64::from(step.cost)));
            }
        }
        for (first, (from, _)) in spent.iter().enumerate() {
            let mut units = 0;
            for (to, cost) in &spent[first..] {
                units += cost;
                let window = u128::from(to.since(*from).as_nanos());
                let flowed = u128::from(world.amount) * window / 1_000_000_000;
                let leases = u128::from(world.lease) * u128::from(LANES);
                prop_assert!(u128::from(units) <= u128::from(world.burst) + flowed + 1 + leases);
            }
        }
    }

    /// Everything is given back unused: then, when leases have ended, the key is as if it had never been asked about.
    #[test]
    fn leases_lose_nothing(world in worlds()) {
        let whole = World {
            steps: world.steps.iter().map(|step| Step {
                exit: if let Exit::Used(_) = step.exit { Exit::Used(0) } else { step.exit },
                ..*step
            }).collect(),
            ..world
        };
        let limits = whole.limits::<Local>(whole.leased(), LANES);
        let (_, now) = run(&whole, &limits, Exit::Undone);
        prop_assert_eq!(limits.reserved(), vec![0]);
        limits.forget(now + Lease::LIFE);
        // At the same instant: nothing had time to come back by itself.
        let standing = limits.standing(LimitId(0), KEY, now);
        prop_assert_eq!(standing.remaining, standing.limit);
        prop_assert_eq!(limits.keys(), vec![0]);
    }

    /// While no time passes no more is spent than a burst, whatever lanes take and give back.
    #[test]
    fn a_burst_is_spent_once(world in worlds()) {
        let limits = world.limits::<Local>(world.leased(), LANES);
        let (now, mut open, mut held) = (Instant::EPOCH, Vec::new(), 0);
        for step in &world.steps {
            let granted = take(&limits, step.lane, step.cost, now);
            held += granted.map_or(0, |_| u64::from(step.cost));
            prop_assert!(held <= world.burst, "{held} of {}", world.burst);
            open.extend(granted.map(|granted| (step.lane, step.cost, granted)));
            if step.exit == Exit::Undone && !open.is_empty() {
                let (lane, cost, granted) = open.remove(0);
                end(&limits, lane, cost, granted, Exit::Undone, now);
                held -= u64::from(cost);
            }
        }
    }

    /// While no time passes a lane alone is told what it would be told without leases.
    #[test]
    fn one_lane_is_refused_by_the_key_only(world in worlds()) {
        let leased = world.limits::<Local>(world.leased(), 1);
        let exact = world.limits::<Local>(Store::Local, 1);
        for step in &world.steps {
            let said = [&leased, &exact].map(|limits| take(limits, 0, step.cost, Instant::EPOCH).is_some());
            prop_assert_eq!(said[0], said[1]);
        }
    }

    #[test]
    fn leases_are_decided_alike_by_either_memory(world in worlds()) {
        let local = run(&world, &world.limits::<Local>(world.leased(), LANES), Exit::Used(100));
        let shared = run(&world, &world.limits::<Shared>(world.leased(), LANES), Exit::Used(100));
        prop_assert_eq!(local, shared);
    }

    #[test]
    fn a_lane_holds_no_more_than_a_lease(most in 1..20_u64, calls in prop::collection::vec((0..3_u8, 0..20_u64, 0..400_u64), 1..100)) {
        let (mut lease, mut now) = (Lease::default(), Instant::EPOCH);
        for (call, units, gap) in calls {
            now += Nanos::from_millis(gap);
            let before = lease.units(now);
            match call {
                0 => prop_assert_eq!(lease.spend(now, units), units <= before),
                1 => lease.renew(now, units.min(most)),
                _ => {
                    let is_kept = lease.put(now, units, most);
                    prop_assert_eq!(lease.units(now), before + if is_kept { units } else { 0 });
                }
            }
            prop_assert!(lease.units(now) <= most);
            prop_assert_eq!(lease.units(now + Lease::LIFE), 0);
        }
    }
}

/// A key that two lanes ask about: ten at once, and another each second.
fn rare() -> World {
    World {
        amount: 1,
        burst: 10,
        lease: 8,
        kind: 0,
        steps: Vec::new(),
    }
}

/// What a lane holds is not there for others, until its life is over; then its lane may not spend it either.
#[test]
fn leases_end() {
    let limits = rare().limits::<Shared>(rare().leased(), 2);
    let now = Instant::from_secs(1);
    assert!(take(&limits, 0, 1, now).is_some(), "and seven more are taken");
    assert!(take(&limits, 1, 2, now).is_some(), "all that was left");
    assert!(take(&limits, 1, 1, now).is_none());
    assert!(take(&limits, 0, 1, now).is_some(), "it has its own");

    let later = now + Lease::LIFE;
    // Before anybody looks at the lease it is still out; one has come by itself meanwhile.
    assert!(take(&limits, 1, 2, later).is_none());
    limits.forget(later);
    assert!(
        take(&limits, 1, 7, later).is_some(),
        "six that went back, and one that came"
    );
    assert!(take(&limits, 0, 1, later).is_none());
}

/// A lane that asks about its key gives back what is left of a lease that has ended, before it takes another.
#[test]
fn a_lane_gives_back_what_it_asks_about() {
    let limits = rare().limits::<Local>(rare().leased(), 2);
    let now = Instant::from_secs(1);
    assert!(take(&limits, 0, 1, now).is_some());
    let later = now + Lease::LIFE;
    assert!(
        take(&limits, 0, 8, later).is_some(),
        "it takes what it needs, of ten again"
    );
    assert!(take(&limits, 1, 2, later).is_some());
    assert!(take(&limits, 1, 1, later).is_none());
}

/// The bound is not only a bound: a lease for each lane is spent on top of a full burst.
#[test]
fn leases_are_spent_on_top_of_a_burst() {
    let world = World { amount: 100, ..rare() };
    let limits = world.limits::<Local>(world.leased(), 2);
    let now = Instant::from_secs(1);
    for lane in [0, 1] {
        assert!(take(&limits, lane, 1, now + Nanos::from_millis(100) * u64::from(lane)).is_some());
    }
    let now = now + Nanos::from_millis(250);
    let spent = (0..100).filter(|nth| take(&limits, nth % 2, 1, now).is_some()).count();
    assert_eq!(spent, 10 + 2 * 7);
}

/// A cost above a lease is taken from the key, and no more than that.
#[test]
fn what_does_not_fit_a_lease_is_exact() {
    let limits = rare().limits::<Local>(rare().leased(), 2);
    let now = Instant::EPOCH;
    assert!(take(&limits, 0, 9, now).is_some());
    assert!(take(&limits, 1, 1, now).is_some(), "no more was taken than asked for");
    assert!(take(&limits, 1, 1, now).is_none());
}
