//! The laws of balancers, over random pools.
//!
//! ```
//! use tollgate_core::balance::P2c;
//! use tollgate_core::laws::balance::hold;
//!
//! assert_eq!(hold(&P2c::default(), 64), Ok(()));
//! ```

use alloc::format;
use alloc::vec::Vec;
use core::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRng, TestRunner};

use super::{Verdict, demand};
use crate::balance::{Balancer, PlainPool, PoolView, WEIGHT_UNIT};
use crate::dice::Rng;

/// A pool and the dice of a pick.
#[derive(Clone, Debug)]
pub struct Case {
    /// The pool.
    pub pool: PlainPool,
    /// The seed of the dice.
    pub seed: u64,
}

/// One law of balancers.
pub type Law<B> = fn(&B, &Case) -> Verdict;

/// Every law that any balancer obeys, with its name.
#[must_use]
pub fn all<B: Balancer>() -> [(&'static str, Law<B>); 3] {
    [
        ("never_picks_unavailable", never_picks_unavailable::<B>),
        ("picks_whenever_one_is_available", picks_whenever_one_is_available::<B>),
        ("pure", pure::<B>),
    ]
}

/// Runs every law over so many random cases, always the same ones.
///
/// # Errors
///
/// The first law that is broken, how, and the smallest case found that breaks it.
pub fn hold<B: Balancer>(balancer: &B, cases: u32) -> Verdict {
    for (name, law) in all::<B>() {
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let verdict = runner.run(&case(), |case| law(balancer, &case).map_err(TestCaseError::fail));
        verdict.map_err(|broken| format!("{name}: {broken}"))?;
    }
    Ok(())
}

/// An unavailable endpoint is never picked, nor one that is not there.
///
/// # Errors
///
/// Which was.
pub fn never_picks_unavailable<B: Balancer>(balancer: &B, case: &Case) -> Verdict {
    let pool = case.pool.clone();
    if let Some(index) = balancer.pick(&pool, &mut Rng::new(case.seed)) {
        demand!(
            index < pool.len() && pool.is_available(index),
            "picked {index}, which is not available"
        );
    }
    Ok(())
}

/// If an endpoint is available one is picked, and else none.
///
/// # Errors
///
/// What was picked.
pub fn picks_whenever_one_is_available<B: Balancer>(balancer: &B, case: &Case) -> Verdict {
    let pool = case.pool.clone();
    let n_available = pool.available.iter().filter(|is_available| **is_available).count();
    let picked = balancer.pick(&pool, &mut Rng::new(case.seed));
    demand!(
        picked.is_some() == (0 < n_available),
        "picked {picked:?} where {n_available} are available"
    );
    Ok(())
}

/// Equal pool and equal dice: equal picks, however often it was asked before.
///
/// # Errors
///
/// Which picks differ.
pub fn pure<B: Balancer>(balancer: &B, case: &Case) -> Verdict {
    let picks = || {
        let pool = case.pool.clone();
        let mut rng = Rng::new(case.seed);
        [(); 5].map(|()| balancer.pick(&pool, &mut rng))
    };
    let (one, other) = (picks(), picks());
    demand!(one == other, "picked {one:?}, and then {other:?}");
    Ok(())
}

/// The available endpoint of the lowest load is picked: a law of those who compare all.
///
/// # Errors
///
/// What was picked instead.
pub fn least_is_least<B: Balancer>(balancer: &B, case: &Case) -> Verdict {
    let pool = case.pool.clone();
    let available = (0..pool.len()).filter(|index| pool.available[*index]);
    let lowest = available.map(|index| pool.loads[index]).reduce(f64::min);
    let picked = balancer
        .pick(&pool, &mut Rng::new(case.seed))
        .map(|index| pool.loads[index]);
    demand!(
        picked == lowest,
        "picked a load of {picked:?} where the lowest is {lowest:?}"
    );
    Ok(())
}

/// Pools with few different loads, so that ties are frequent; some with no available endpoint, some with no endpoint.
pub fn case() -> impl Strategy<Value = Case> {
    let load = prop_oneof![(0_u32..4).prop_map(f64::from), Just(f64::INFINITY)];
    let weight = prop_oneof![Just(1_u32), 1_u32..=1_000];
    let share = prop_oneof![Just(0.02), Just(0.3), Just(1.0)];
    let endpoints = share.prop_flat_map(move |share| {
        prop::collection::vec((prop::bool::weighted(share), load.clone(), weight.clone()), 0..40)
    });
    (endpoints, any::<u64>()).prop_map(|(endpoints, seed)| {
        let loads: Vec<f64> = endpoints.iter().map(|(_, load, _)| *load).collect();
        let mut pool = PlainPool::new(&loads);
        pool.available = endpoints.iter().map(|(is_available, ..)| *is_available).collect();
        pool.weights = endpoints.iter().map(|(.., weight)| weight * WEIGHT_UNIT).collect();
        Case { pool, seed }
    })
}
