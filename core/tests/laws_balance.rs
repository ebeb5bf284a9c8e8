//! The laws of `tollgate_core::balance`.
//!
//! Statistical tests have fixed seeds. Their critical value is the 0.999 quantile of the chi-square distribution,
//! by Wilson and Hilferty's cube.

use core::cell::{Cell, RefCell};
use core::num::NonZeroU32;
use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::balance::{AnyBalancer, Balancer, LeastInFlight, P2c, PoolView, Random, RoundRobin};
use tollgate_core::dice::Rng;
use tollgate_core::math;
use tollgate_core::policy::Ties;

/// A pool that remembers which loads were looked at.
#[derive(Clone, Debug)]
struct Pool {
    available: Vec<bool>,
    loads: Vec<f64>,
    turn: Cell<u64>,
    looked: RefCell<Vec<usize>>,
}

impl Pool {
    fn new(available: Vec<bool>, loads: Vec<f64>) -> Pool {
        Pool {
            available,
            loads,
            turn: Cell::new(0),
            looked: RefCell::default(),
        }
    }

    /// `n` endpoints with the loads 0, 1, 2, …, of which those in `mask` are available.
    fn ranked(n: usize, mask: u64) -> Pool {
        let available = (0..n).map(|index| mask & 1 << index != 0).collect();
        let loads = (0..n).map(as_f64).collect();
        Pool::new(available, loads)
    }

    fn n_available(&self) -> usize {
        self.available.iter().filter(|is_available| **is_available).count()
    }
}

impl PoolView for Pool {
    fn len(&self) -> usize {
        self.available.len()
    }
    fn is_available(&self, index: usize) -> bool {
        self.available[index]
    }
    fn load(&self, index: usize) -> f64 {
        self.looked.borrow_mut().push(index);
        self.loads[index]
    }
    fn turn(&self) -> u64 {
        self.turn.replace(self.turn.get() + 1)
    }
}

fn p2c(choices: u32) -> P2c {
    P2c::new(NonZeroU32::new(choices).expect("choices are at least one"))
}

fn every_balancer() -> Vec<AnyBalancer> {
    let mut all = vec![
        AnyBalancer::RoundRobin(RoundRobin),
        AnyBalancer::Random(Random),
        AnyBalancer::LeastInFlight(LeastInFlight::new(Ties::Random)),
        AnyBalancer::LeastInFlight(LeastInFlight::new(Ties::First)),
    ];
    all.extend([1, 2, 3, 8, 9, u32::MAX].map(|choices| AnyBalancer::P2c(p2c(choices))));
    all
}

/// Pools with few different loads, so that ties are frequent; some with no available endpoint.
fn pools() -> impl Strategy<Value = Pool> {
    let load = prop_oneof![(0u32..4).prop_map(f64::from), Just(f64::INFINITY)];
    let share = prop_oneof![Just(0.02), Just(0.3), Just(1.0)];
    share
        .prop_flat_map(move |share| prop::collection::vec((prop::bool::weighted(share), load.clone()), 0..40))
        .prop_map(|endpoints| {
            let (available, loads) = endpoints.into_iter().unzip();
            Pool::new(available, loads)
        })
}

proptest! {
    #[test]
    fn never_picks_unavailable(pool in pools(), seed: u64) {
        for balancer in every_balancer() {
            if let Some(index) = balancer.pick(&pool, &mut Rng::new(seed)) {
                prop_assert!(pool.available[index], "{balancer:?} picked {index}");
            }
        }
    }

    #[test]
    fn picks_whenever_one_is_available(pool in pools(), seed: u64) {
        for balancer in every_balancer() {
            let picked = balancer.pick(&pool, &mut Rng::new(seed));
            prop_assert_eq!(picked.is_some(), 0 < pool.n_available(), "{:?}", balancer);
        }
    }

    #[test]
    fn least_is_least(pool in pools(), seed: u64) {
        let lowest = (0..pool.len()).filter(|i| pool.available[*i]).map(|i| pool.loads[i]).reduce(f64::min);
        for ties in [Ties::Random, Ties::First] {
            let picked = LeastInFlight::new(ties).pick(&pool, &mut Rng::new(seed));
            prop_assert_eq!(picked.map(|index| pool.loads[index]), lowest);
        }
        let first = (0..pool.len()).find(|i| pool.available[*i] && Some(pool.loads[*i]) == lowest);
        prop_assert_eq!(LeastInFlight::new(Ties::First).pick(&pool, &mut Rng::new(seed)), first);
        // With at least as many choices as endpoints, P2C compares all.
        let all = p2c(40).pick(&pool, &mut Rng::new(seed));
        prop_assert_eq!(all.map(|index| pool.loads[index]), lowest);
    }

    #[test]
    fn round_robin_is_even(pool in pools(), start in 0u64..1 << 60, turns in 0usize..500) {
        pool.turn.set(start);
        let mut counts = vec![0u32; pool.len()];
        for _ in 0..turns {
            if let Some(index) = RoundRobin.pick(&pool, &mut Rng::new(0)) {
                counts[index] += 1;
            }
        }
        let available = || (0..pool.len()).filter(|i| pool.available[*i]).map(|i| counts[i]);
        let (most, least) = (available().max().unwrap_or(0), available().min().unwrap_or(0));
        prop_assert!(most - least <= 2, "{counts:?}");
        if pool.n_available() == pool.len() {
            prop_assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn pure(pool in pools(), seed: u64) {
        for balancer in every_balancer() {
            let (one, other) = (pool.clone(), pool.clone());
            let picks = [&one, &other].map(|pool| {
                let mut rng = Rng::new(seed);
                [(); 5].map(|()| balancer.pick(pool, &mut rng))
            });
            prop_assert_eq!(picks[0], picks[1]);
            prop_assert_eq!(one.looked, other.looked);
        }
    }
}

#[test]
fn p2c_is_two_choices() {
    for mask in 0u64..1 << 6 {
        if 1 < mask.count_ones() {
            assert_choices_are_uniform(P2c::default(), 2, &Pool::ranked(6, mask));
        }
    }
    // Few of many, so that most draws end in the scan.
    assert_choices_are_uniform(P2c::default(), 2, &Pool::ranked(60, 0b1001_0000_1001 << 40));
    assert_choices_are_uniform(P2c::default(), 2, &Pool::ranked(8, 0xff));
}

#[test]
fn more_choices_are_as_uniform() {
    for mask in [0b11111, 0b10111, 0b11_0110_0011] {
        assert_choices_are_uniform(p2c(3), 3, &Pool::ranked(10, mask));
    }
    for choices in [8, 9, 10] {
        let choices_of_twelve = usize::try_from(choices).expect("small");
        assert_choices_are_uniform(p2c(choices), choices_of_twelve, &Pool::ranked(14, 0b11_1110_1111_1011));
    }
}

/// Every set of `choices` distinct available endpoints is compared equally often, and the least loaded wins.
fn assert_choices_are_uniform(balancer: P2c, choices: usize, pool: &Pool) {
    let mut rng = Rng::new(20);
    let mut counts = BTreeMap::<Vec<usize>, usize>::new();
    let sets = binomial(pool.n_available(), choices);
    for _ in 0..sets * 400 {
        pool.looked.borrow_mut().clear();
        let picked = balancer.pick(pool, &mut rng);
        let mut compared = pool.looked.borrow().clone();
        compared.sort_unstable();
        compared.dedup();
        assert_eq!(compared.len(), choices.min(pool.n_available()), "not distinct");
        assert_eq!(
            picked,
            compared.first().copied(),
            "loads are ranked, so the first is least"
        );
        *counts.entry(compared).or_default() += 1;
    }
    assert_uniform(counts.values().copied(), sets);
}

#[test]
fn random_is_uniform() {
    for pool in [
        Pool::ranked(8, 0xff),
        Pool::ranked(8, 0b0101_1000),
        Pool::ranked(60, 0b11_0001 << 31),
    ] {
        let mut rng = Rng::new(21);
        assert_picks_are_uniform(&pool, pool.n_available(), || Random.pick(&pool, &mut rng));
    }
}

#[test]
fn ties_are_fair() {
    let equal = |mask: u64| Pool::new((0..10).map(|i| mask & 1 << i != 0).collect(), vec![1.0; 10]);
    for pool in [equal(0x3ff), equal(0b10_0100_1001)] {
        for balancer in [
            AnyBalancer::LeastInFlight(LeastInFlight::new(Ties::Random)),
            AnyBalancer::P2c(p2c(2)),
            AnyBalancer::P2c(p2c(3)),
            AnyBalancer::P2c(p2c(9)),
            AnyBalancer::P2c(p2c(100)),
        ] {
            let mut rng = Rng::new(22);
            assert_picks_are_uniform(&pool, pool.n_available(), || balancer.pick(&pool, &mut rng));
        }
    }
}

fn assert_picks_are_uniform(pool: &Pool, cells: usize, mut pick: impl FnMut() -> Option<usize>) {
    let mut counts = vec![0usize; pool.len()];
    for _ in 0..cells * 2_000 {
        counts[pick().expect("one is available")] += 1;
    }
    assert_uniform(counts.into_iter().filter(|count| 0 < *count), cells);
}

fn assert_uniform(counts: impl Iterator<Item = usize> + Clone, cells: usize) {
    assert_eq!(counts.clone().count(), cells, "some were never drawn");
    let expected = as_f64(counts.clone().sum()) / as_f64(cells);
    let statistic: f64 = counts
        .map(|count| (as_f64(count) - expected) * (as_f64(count) - expected) / expected)
        .sum();
    let critical = chi_square_999(cells - 1);
    assert!(statistic <= critical, "chi-square {statistic} exceeds {critical}");
}

/// The 0.999 quantile of the chi-square distribution.
fn chi_square_999(freedom: usize) -> f64 {
    const NORMAL_999: f64 = 3.090_232;
    let k = as_f64(freedom);
    if freedom == 0 {
        return 0.0;
    }
    let spread = 2.0 / (9.0 * k);
    k * math::pow(1.0 - spread + NORMAL_999 * math::sqrt(spread), 3.0)
}

fn binomial(n: usize, k: usize) -> usize {
    (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("counts are small"))
}
