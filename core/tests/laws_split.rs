//! The laws of a route's split.

use proptest::prelude::*;
use tollgate_core::dice::Dice;
use tollgate_core::id::PoolId;
use tollgate_core::policy::{Policy, Route, Split, file};

/// A route over as many pools as there are weights.
fn route(weights: &[u32]) -> Route {
    let pool = |at: usize| format!("[[pool]]\nname = \"p{at}\"\nendpoint = [{{ name = \"e{at}\" }}]\n");
    let pools: String = (0..weights.len()).map(pool).collect();
    let names: Vec<String> = (0..weights.len()).map(|at| format!("\"p{at}\"")).collect();
    let weight = |(at, weight): (usize, &u32)| (0 < *weight).then(|| format!("p{at} = {weight}"));
    let split: Vec<String> = weights.iter().enumerate().filter_map(weight).collect();
    let (names, split) = (names.join(", "), split.join(", "));
    let text = format!("{pools}[[route]]\nname = \"all\"\npools = [{names}]\nsplit = {{ {split} }}\n");
    let read: Policy = file::read("policy.toml", &text).expect("a good policy").0;
    read.routes[0].clone()
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let some = |weights: &Vec<u32>| weights.iter().any(|weight| 0 < *weight);
    prop::collection::vec(0u32..10, 1..8).prop_filter("somebody is first", some)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Chi-square over the pools with weight; a pool without is never first.
    #[test]
    fn first_pools_have_their_shares(weights in weights(), seed in any::<u64>()) {
        const REQUESTS: u32 = 20_000;
        let route = route(&weights);
        let dice = Dice::new(seed);
        let mut firsts = vec![0u32; weights.len()];
        for request in 0..REQUESTS {
            firsts[route.nth_pool(0, dice.request(u64::from(request))).index()] += 1;
        }
        let total: u32 = weights.iter().sum();
        let mut squares = 0.0;
        let mut degrees = -1.0;
        for (first, weight) in firsts.iter().zip(&weights) {
            if *weight == 0 {
                prop_assert_eq!(*first, 0);
                continue;
            }
            let expected = f64::from(REQUESTS) * f64::from(*weight) / f64::from(total);
            let distance = f64::from(*first) - expected;
            squares += distance * distance / expected;
            degrees += 1.0;
        }
        // Six standard deviations of a chi-square above its mean.
        prop_assert!(squares <= degrees + 6.0 * f64::sqrt(2.0 * degrees) + 12.0, "{:?} of {:?}", firsts, weights);
    }

    #[test]
    fn a_request_has_one_first_pool(weights in weights(), seed in any::<u64>(), request in any::<u64>()) {
        let dice = Dice::new(seed).request(request);
        let (one, mut other) = (route(&weights), route(&weights));
        other.retry.max_attempts = 1;
        prop_assert_eq!(one.nth_pool(0, dice), other.nth_pool(0, dice));
        prop_assert_eq!(one.nth_pool(0, dice), one.nth_pool(0, dice));
    }

    #[test]
    fn the_others_follow_in_order(weights in weights(), seed in any::<u64>()) {
        let route = route(&weights);
        let dice = Dice::new(seed).request(0);
        let order: Vec<PoolId> = (0..weights.len()).map(|nth| route.nth_pool(nth, dice)).collect();
        let others: Vec<PoolId> = route.pools.iter().copied().filter(|pool| *pool != order[0]).collect();
        prop_assert_eq!(&order[1..], &others[..]);
    }
}

#[test]
fn a_split_of_nothing_is_none() {
    assert_eq!(Split::new(vec![0, 0]), None);
    assert_eq!(Split::new(Vec::new()), None);
}
