//! Several limits at once: key, tenant, model, route and everybody, of any algorithm, all of them or none.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU32, NonZeroU64};

use proptest::prelude::*;
use tollgate_core::gate::{Granted, Limits, Reach, Used};
use tollgate_core::id::{KeyHash, LimitId, OutputKey};
use tollgate_core::limit::{Outputs, Standing};
use tollgate_core::memory::{Local, Memory, Shared};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Match, OnWait, Policy, Quota, Refund, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, PicoUsd, Unit, Usage};

const LEVELS: usize = 5;
/// Longer than any run: what a window of this length has counted is exactly what was charged.
const AGE: Nanos = Nanos::from_secs(1_000_000_000);

/// A request: how long after the one before, whose, what it is estimated at, and how the oldest that runs ends.
#[derive(Clone, Debug)]
struct Step {
    gap: Nanos,
    keys: [u64; LEVELS],
    /// Whose answers it learns from.
    who: u32,
    estimate: Estimate,
    exit: Exit,
}

#[derive(Clone, Copy, Debug)]
enum Exit {
    /// It runs on.
    None,
    /// Nothing was launched for it.
    Undone,
    /// It failed, having used this.
    Settled(Usage),
    /// It was answered with this.
    Answered(Usage),
}

fn algorithm(quotas: impl Strategy<Value = Quota>) -> impl Strategy<Value = Algorithm> {
    (quotas, 0..8_u8, 1..6_u32).prop_map(|(quota, kind, segments)| match kind {
        0 => Algorithm::Gcra(quota),
        1 => Algorithm::TokenBucket(quota),
        2 => Algorithm::LeakyBucket(quota),
        3 => Algorithm::FixedWindow(quota),
        4 => Algorithm::SegmentedWindow {
            quota,
            segments: NonZeroU32::new(segments).expect("not zero"),
        },
        5 => Algorithm::SlidingLog(quota),
        6 => Algorithm::SlidingWindow(quota),
        _ => Algorithm::Permits(NonZeroU32::new(segments * 100).expect("not zero")),
    })
}

fn quota(amount: u64, period: Nanos) -> Quota {
    let amount = NonZeroU64::new(amount).expect("not zero");
    Quota {
        amount,
        period,
        burst: amount,
    }
}

fn limit(algorithm: Algorithm, unit: Unit, refund: Refund) -> Limit {
    Limit {
        name: String::from("level"),
        algorithm,
        unit,
        per: Vec::new(),
        when: Match::default(),
        on_wait: OnWait::Refuse,
        refund,
        max_keys: NonZeroU32::new(100).expect("not zero"),
        store: Store::Local,
        output_default: 20,
        learn: false,
    }
}

fn levels(algorithm: impl Strategy<Value = Algorithm>) -> impl Strategy<Value = Policy> {
    let units = prop::sample::select(vec![
        Unit::Requests,
        Unit::Tokens,
        Unit::InputTokens,
        Unit::OutputTokens,
    ]);
    let level = (algorithm, units, any::<bool>(), any::<bool>()).prop_map(|(algorithm, unit, refunds, learn)| Limit {
        learn,
        ..limit(algorithm, unit, if refunds { Refund::Full } else { Refund::None })
    });
    prop::collection::vec(level, LEVELS).prop_map(|limits| Policy {
        limits,
        ..Policy::default()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let exit = prop_oneof![
        1 => Just(Exit::None),
        1 => Just(Exit::Undone),
        1 => (0..80_u32, 0..80_u32).prop_map(|(input, output)| Exit::Settled(Usage { input, output })),
        1 => (0..80_u32, 0..80_u32).prop_map(|(input, output)| Exit::Answered(Usage { input, output })),
    ];
    let estimate =
        (0..60_u32, prop::option::of(0..60_u32)).prop_map(|(input, output)| Estimate { input, output, more: 0 });
    // The first level has the most keys, the last one for everybody.
    let keys = (0..8_u64, 0..4_u64, 0..3_u64, 0..2_u64).prop_map(|(a, b, c, d)| [a, b, c, d, 0]);
    let step = (0..400_u64, keys, 1..4_u32, estimate, exit).prop_map(|(gap, keys, who, estimate, exit)| Step {
        gap: Nanos::from_millis(gap.saturating_sub(100)),
        keys,
        who,
        estimate,
        exit,
    });
    prop::collection::vec(step, 1..60)
}

fn class(step: &Step) -> Class {
    let mut charges = Charges::default();
    for (at, key) in step.keys.iter().enumerate() {
        charges.push(LimitId::at(at), KeyHash(*key));
    }
    Class {
        charges,
        outputs: NonZeroU32::new(step.who).map(OutputKey),
        ..Class::default()
    }
}

fn standings<M: Memory>(limits: &Limits<M>, now: Instant) -> Vec<Standing> {
    let each = (0..LEVELS).flat_map(|level| (0..8).map(move |key| (LimitId::at(level), KeyHash(key))));
    each.map(|(level, key)| limits.standing(level, key, now)).collect()
}

/// A request that runs.
type Open = (Class, Granted, Estimate);

/// What answers were like, kept from outside.
type Answers = BTreeMap<OutputKey, Outputs>;

fn assumed(answers: &Answers, class: &Class) -> Option<u32> {
    let key = class.outputs.expect("everybody has one");
    answers.get(&key).copied().unwrap_or_default().assumed()
}

fn learn(answers: &mut Answers, class: &Class, estimate: Estimate, exit: Exit) {
    if let (Exit::Answered(usage), None) = (exit, estimate.output) {
        let key = class.outputs.expect("everybody has one");
        answers.entry(key).or_default().observe(usage.output);
    }
}

fn end<M: Memory>(limits: &Limits<M>, open: &mut Vec<Open>, exit: Exit, now: Instant) -> Option<Open> {
    if open.is_empty() {
        return None;
    }
    let (class, granted, estimate) = match exit {
        Exit::None => return None,
        Exit::Undone | Exit::Settled(_) | Exit::Answered(_) => open.remove(0),
    };
    match exit {
        Exit::None => {}
        Exit::Undone => limits.undo_all(&class, granted, estimate, now),
        Exit::Settled(usage) | Exit::Answered(usage) => {
            let used = Used {
                usage,
                spent: PicoUsd::default(),
                complete: matches!(exit, Exit::Answered(_)),
            };
            limits.settle_all(&class, granted, estimate, used, now);
        }
    }
    Some((class, granted, estimate))
}

/// What one level is charged for a request, `assumed` being what was learned.
fn cost(limit: &Limit, estimate: Estimate, assumed: Option<u32>) -> u64 {
    let output = assumed.filter(|_| limit.learns()).unwrap_or(limit.output_default);
    let most = limit.algorithm.most();
    let certain = limit.unit.cost(estimate.or(0), &[]);
    match estimate.output {
        Some(_) => certain,
        None => limit.unit.cost(estimate.or(output), &[]).min(most).max(certain),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// After a refusal every level stands where it stood; and it is refused if, and only if, some level alone refuses.
    #[test]
    fn five_levels_are_all_or_none(
        policy in levels(algorithm((20..200_u64, 1..5_u64).prop_map(|(amount, secs)| quota(amount, Nanos::from_secs(secs))))),
        steps in steps(),
    ) {
        let limits = Limits::<Local>::new(&policy);
        let (mut now, mut open) = (Instant::EPOCH, Vec::new());
        let mut answers = Answers::new();
        for step in &steps {
            now += step.gap;
            let class = class(step);
            let before = standings(&limits, now);
            let alone = step.keys.iter().enumerate().all(|(level, key)| {
                let standing = limits.standing(LimitId::at(level), KeyHash(*key), now);
                cost(&policy.limits[level], step.estimate, assumed(&answers, &class)) <= standing.remaining
            });
            let said = limits.take_all(&class, Reach::Local, step.estimate, now);
            prop_assert_eq!(said.is_ok(), alone, "all allow, if and only if each does");
            if said.is_err() {
                prop_assert_eq!(standings(&limits, now), before, "a refusal is no charge");
            }
            open.extend(said.ok().map(|granted| (class, granted, step.estimate)));
            if let Some((class, _, estimate)) = end(&limits, &mut open, step.exit, now) {
                learn(&mut answers, &class, estimate, step.exit);
            }
        }
    }

    /// The level that is named refuses by itself, and no other would for longer.
    #[test]
    fn the_binding_level_is_named(
        policy in levels(algorithm((20..200_u64, 1..5_u64).prop_map(|(amount, secs)| quota(amount, Nanos::from_secs(secs))))),
        steps in steps(),
    ) {
        let limits = Limits::<Local>::new(&policy);
        let mut now = Instant::EPOCH;
        for step in &steps {
            now += step.gap;
            let Err(refusal) = limits.take_all(&class(step), Reach::Local, step.estimate, now) else {
                continue;
            };
            let level = refusal.limit.index();
            let standing = limits.standing(refusal.limit, KeyHash(step.keys[level]), now);
            let asked = cost(&policy.limits[level], step.estimate, None);
            prop_assert!(standing.remaining < asked, "{refusal:?} has room");
            prop_assert_eq!(refusal.never, standing.limit < asked);
            // Alone, none of them refuses for longer.
            for (level, key) in step.keys.iter().enumerate() {
                let mut one = Class {
                    outputs: class(step).outputs,
                    ..Class::default()
                };
                one.charges.push(LimitId::at(level), KeyHash(*key));
                match limits.take_all(&one, Reach::Local, step.estimate, now) {
                    Err(other) if !refusal.never => prop_assert!(!other.never && other.until <= refusal.until),
                    Err(_) => {}
                    Ok(granted) => limits.undo_all(&one, granted, step.estimate, now),
                }
            }
        }
    }

    /// On every exit and every level, what was charged is what is reserved, was used and was given back.
    #[test]
    fn reserved_used_and_refunded_are_what_was_charged(
        policy in levels(algorithm((300..3_000_u64).prop_map(|amount| quota(amount, AGE))).prop_filter(
            "buckets bring units meanwhile",
            |algorithm| !matches!(algorithm, Algorithm::Gcra(_) | Algorithm::TokenBucket(_) | Algorithm::LeakyBucket(_)),
        )),
        steps in steps(),
    ) {
        let limits = Limits::<Local>::new(&policy);
        let (mut now, mut open) = (Instant::EPOCH, Vec::new());
        let mut answers = Answers::new();
        let mut costs = VecDeque::new();
        let mut books = vec![[Books::default(); 8]; LEVELS];
        for step in &steps {
            now += step.gap;
            let class = class(step);
            if let Ok(granted) = limits.take_all(&class, Reach::Local, step.estimate, now) {
                let assumed = assumed(&answers, &class);
                let each_costs = |limit| cost(limit, step.estimate, assumed);
                let charged: Vec<u64> = policy.limits.iter().map(each_costs).collect();
                each(&class.charges, |level, key| {
                    let cost = charged[level];
                    books[level][key].charged += cost;
                    books[level][key].reserved += cost;
                });
                open.push((class, granted, step.estimate));
                costs.push_back(charged);
            }
            if let Some((class, _, estimate)) = end(&limits, &mut open, step.exit, now) {
                let taken = costs.pop_front().expect("the oldest has ended");
                each(&class.charges, |level, key| {
                    books[level][key].close(&policy.limits[level], taken[level], step.exit);
                });
                learn(&mut answers, &class, estimate, step.exit);
            }
            for (level, keys) in books.iter().enumerate() {
                for (key, books) in keys.iter().enumerate() {
                    prop_assert_eq!(books.reserved + books.used + books.refunded, books.charged);
                    let standing = limits.standing(LimitId::at(level), KeyHash(key as u64), now);
                    let left = standing.limit.saturating_sub(books.reserved + books.used);
                    prop_assert_eq!(standing.remaining, left, "level {}, key {}: {:?}", level, key, books);
                }
            }
            let reserved: Vec<u64> = books.iter().map(|keys| keys.iter().map(|books| books.reserved).sum()).collect();
            prop_assert_eq!(limits.reserved(), reserved);
        }
    }

    /// On many threads' memory the same is decided.
    #[test]
    fn levels_are_decided_alike_by_either_memory(
        policy in levels(algorithm((20..200_u64, 1..5_u64).prop_map(|(amount, secs)| quota(amount, Nanos::from_secs(secs))))),
        steps in steps(),
    ) {
        let (local, shared) = (Limits::<Local>::new(&policy), Limits::<Shared>::new(&policy));
        let (mut now, mut open, mut other) = (Instant::EPOCH, Vec::new(), Vec::new());
        for step in &steps {
            now += step.gap;
            let class = class(step);
            let said = local.take_all(&class, Reach::Local, step.estimate, now);
            prop_assert_eq!(said, shared.take_all(&class, Reach::Local, step.estimate, now));
            if let Ok(granted) = said {
                open.push((class, granted, step.estimate));
                other.push((class, granted, step.estimate));
            }
            end(&local, &mut open, step.exit, now);
            end(&shared, &mut other, step.exit, now);
            prop_assert_eq!(standings(&local, now), standings(&shared, now));
        }
    }
}

/// What a key of a level was charged, and what became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Books {
    charged: u64,
    reserved: u64,
    used: u64,
    refunded: u64,
}

impl Books {
    fn close(&mut self, limit: &Limit, taken: u64, exit: Exit) {
        let truth = match exit {
            Exit::None | Exit::Undone => 0,
            Exit::Settled(_) | Exit::Answered(_) if matches!(limit.algorithm, Algorithm::Permits(_)) => 0,
            Exit::Settled(used) | Exit::Answered(used) => match limit.refund {
                Refund::Full => limit.unit.cost(used, &[]),
                Refund::None => limit.unit.cost(used, &[]).max(taken),
            },
        };
        self.reserved -= taken;
        self.used += truth;
        self.refunded += taken.saturating_sub(truth);
        self.charged += truth.saturating_sub(taken);
    }
}

fn each(charges: &Charges, mut f: impl FnMut(usize, usize)) {
    for at in 0..charges.len() {
        let (level, key) = charges.at(at);
        f(level.index(), usize::try_from(key.0).expect("a few"));
    }
}
