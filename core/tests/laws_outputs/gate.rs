//! What limits make of learned outputs: who is charged how much, and who teaches.

use std::num::{NonZeroU32, NonZeroU64};

use proptest::prelude::*;
use tollgate_core::gate::{Limits, Reach, Used};
use tollgate_core::id::{KeyHash, LimitId, OutputKey};
use tollgate_core::limit::Outputs;
use tollgate_core::memory::{Local, Memory, Shared};
use tollgate_core::policy::{Algorithm, Charges, Class, Limit, Match, OnWait, Policy, Quota, Refund, Store};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, PicoUsd, Unit, Usage};

const MOST: u64 = 1_000_000;
const DEFAULT: u32 = 512;

/// A limit that nothing leaves while a test runs.
fn limit(unit: Unit, learn: bool, most: u64, max_keys: u32) -> Limit {
    let amount = NonZeroU64::new(most).expect("not zero");
    Limit {
        name: String::from("limit"),
        algorithm: Algorithm::SlidingLog(Quota {
            amount,
            period: Nanos::from_secs(1_000_000_000),
            burst: amount,
        }),
        unit,
        per: Vec::new(),
        when: Match::default(),
        on_wait: OnWait::Refuse,
        refund: Refund::Full,
        max_keys: NonZeroU32::new(max_keys).expect("not zero"),
        store: Store::Local,
        output_default: DEFAULT,
        learn,
    }
}

fn limits<M: Memory>(list: Vec<Limit>) -> Limits<M> {
    Limits::new(&Policy {
        limits: list,
        ..Policy::default()
    })
}

/// Somebody's request, charged to the first `n_limits`.
fn class(who: u32, n_limits: usize) -> Class {
    let mut charges = Charges::default();
    for at in 0..n_limits {
        charges.push(LimitId::at(at), KeyHash(0));
    }
    Class {
        charges,
        outputs: NonZeroU32::new(who).map(OutputKey),
        ..Class::default()
    }
}

fn open(input: u32) -> Estimate {
    Estimate {
        input,
        output: None,
        more: 0,
    }
}

fn used(usage: Usage, complete: bool) -> Used {
    Used {
        usage,
        spent: PicoUsd::default(),
        complete,
    }
}

/// What a request would be charged, per limit.
fn charge<M: Memory>(limits: &Limits<M>, class: &Class, estimate: Estimate) -> Vec<u64> {
    let before = limits.reserved();
    let granted = limits.take_all(class, Reach::Local, estimate, Instant::EPOCH);
    let granted = granted.expect("the quota is large");
    let charged = limits.reserved().iter().zip(before).map(|(is, was)| is - was).collect();
    limits.undo_all(class, granted, estimate, Instant::EPOCH);
    charged
}

/// A request is answered with `output` tokens.
fn answer<M: Memory>(limits: &Limits<M>, class: &Class, estimate: Estimate, output: u32, complete: bool) {
    let granted = limits.take_all(class, Reach::Local, estimate, Instant::EPOCH);
    let granted = granted.expect("the quota is large");
    let usage = Usage { input: 0, output };
    limits.settle_all(class, granted, estimate, used(usage, complete), Instant::EPOCH);
    assert!(limits.reserved().iter().all(|reserved| *reserved == 0));
}

fn one<M: Memory>() -> Limits<M> {
    limits(vec![limit(Unit::OutputTokens, true, MOST, 100)])
}

#[test]
fn the_default_is_assumed_before_the_first_answer() {
    let limits = one::<Local>();
    assert_eq!(charge(&limits, &class(1, 1), open(7)), [u64::from(DEFAULT)]);
    answer(&limits, &class(1, 1), open(7), 90, true);
    assert_eq!(charge(&limits, &class(1, 1), open(7)), [90]);
    assert_eq!(
        charge(&limits, &class(2, 1), open(7)),
        [u64::from(DEFAULT)],
        "of somebody else"
    );
}

#[test]
fn limits_that_learn_assume_alike_and_others_their_default() {
    let limits = limits::<Shared>(vec![
        limit(Unit::Tokens, true, MOST, 100),
        limit(Unit::OutputTokens, true, MOST, 1),
        limit(Unit::OutputTokens, false, MOST, 100),
        limit(Unit::Requests, false, MOST, 100),
    ]);
    answer(&limits, &class(1, 4), open(10), 40, true);
    assert_eq!(charge(&limits, &class(1, 4), open(10)), [50, 40, u64::from(DEFAULT), 1]);
}

#[test]
fn several_answers_are_learned_and_assumed_one_by_one() {
    let limits = one::<Local>();
    let four = Estimate { more: 3, ..open(0) };
    answer(&limits, &class(1, 1), four, 41, true);
    assert_eq!(charge(&limits, &class(1, 1), open(0)), [11]);
    assert_eq!(charge(&limits, &class(1, 1), four), [44]);
}

#[test]
fn keys_beyond_the_bound_learn_together() {
    let limits = limits::<Local>(vec![limit(Unit::OutputTokens, true, MOST, 2)]);
    for (who, output) in [(1, 10), (2, 20), (3, 30)] {
        answer(&limits, &class(who, 1), open(0), output, true);
    }
    let charges: Vec<u64> = (1..5)
        .flat_map(|who| charge(&limits, &class(who, 1), open(0)))
        .collect();
    assert_eq!(charges, [10, 20, 30, 30]);
}

#[test]
fn forgetting_forgets_nothing_that_was_learned() {
    let limits = one::<Shared>();
    answer(&limits, &class(1, 1), open(0), 90, true);
    limits.forget(Instant::FAR);
    assert_eq!(charge(&limits, &class(1, 1), open(0)), [90]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Only whole answers to open questions teach; of all others nothing stays.
    #[test]
    fn aborted_answers_teach_nothing(
        steps in prop::collection::vec((0..2_000_u32, any::<bool>(), any::<bool>(), any::<bool>()), 1..60),
    ) {
        let (local, shared) = (one::<Local>(), one::<Shared>());
        let mut oracle = Outputs::default();
        for (output, complete, named, undone) in steps {
            let estimate = Estimate { output: named.then_some(output), ..open(0) };
            let who = class(1, 1);
            for charged in [charge(&local, &who, estimate), charge(&shared, &who, estimate)] {
                let assumed = oracle.assumed().unwrap_or(DEFAULT);
                let expected = if named { output } else { assumed };
                prop_assert_eq!(charged, vec![u64::from(expected)]);
            }
            if undone {
                continue;
            }
            answer(&local, &who, estimate, output, complete);
            answer(&shared, &who, estimate, output, complete);
            if complete && !named {
                oracle.observe(output);
            }
        }
    }

    /// Whatever was learned, what is certain is charged, and a guess is no reason to refuse for ever.
    #[test]
    fn what_is_certain_is_charged(most in 1..300_u64, input in 0..300_u32, output in 0..5_000_u32) {
        let limits = limits::<Local>(vec![
            limit(Unit::OutputTokens, true, MOST, 100),
            limit(Unit::Tokens, true, most, 100),
        ]);
        answer(&limits, &class(1, 1), open(0), output, true);
        let estimate = open(input);
        let who = class(1, 2);
        let said = limits.take_all(&who, Reach::Local, estimate, Instant::EPOCH);
        prop_assert_eq!(said.is_ok(), u64::from(input) <= most);
        if said.is_ok() {
            let charged = limits.reserved()[1];
            let expected = u64::from(input) + u64::from(output.max(1));
            prop_assert_eq!(charged, expected.min(most));
            prop_assert!(u64::from(input) <= charged);
        }
    }
}
