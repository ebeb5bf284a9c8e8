//! The laws of `tollgate_core::balance`.
//!
//! Statistical tests have fixed seeds. Their critical value is the 0.999 quantile of the chi-square distribution,
//! by Wilson and Hilferty's cube.

mod chance;

use core::cell::RefCell;
use core::num::NonZeroU32;
use std::collections::BTreeMap;

use chance::{as_f64, assert_in_proportion, assert_uniform, chi_square_999};
use proptest::prelude::*;
use tollgate_core::balance::{
    AnyBalancer, Balancer, Least, Own, OwnBalancer, P2c, PlainPool, PoolView, Random, RoundRobin, Rounds, WeightedP2c,
    WeightedRandom, WeightedRoundRobin,
};
use tollgate_core::dice::Rng;
use tollgate_core::laws::balance::{self as laws, case};
use tollgate_core::policy::Ties;

/// A pool that remembers which loads were looked at.
#[derive(Clone, Debug)]
struct Pool {
    plain: PlainPool,
    looked: RefCell<Vec<usize>>,
}

impl Pool {
    fn new(available: &[bool], loads: &[f64]) -> Pool {
        Pool {
            plain: PlainPool::new(loads).with_available(available),
            looked: RefCell::default(),
        }
    }

    /// `n` endpoints with the loads 0, 1, 2, …, of which those in `mask` are available.
    fn ranked(n: usize, mask: u64) -> Pool {
        let available: Vec<bool> = (0..n).map(|index| mask & 1 << index != 0).collect();
        let loads: Vec<f64> = (0..n).map(as_f64).collect();
        Pool::new(&available, &loads)
    }

    fn weighted(mut self, weights: &[u32]) -> Pool {
        self.plain = self.plain.with_weights(weights);
        self
    }

    fn n_available(&self) -> usize {
        self.plain
            .available
            .iter()
            .filter(|is_available| **is_available)
            .count()
    }
}

impl PoolView for Pool {
    fn len(&self) -> usize {
        self.plain.len()
    }
    fn is_available(&self, index: usize) -> bool {
        self.plain.is_available(index)
    }
    fn load(&self, index: usize) -> f64 {
        self.looked.borrow_mut().push(index);
        self.plain.load(index)
    }
    fn weight(&self, index: usize) -> u32 {
        self.plain.weight(index)
    }
    fn turn(&self) -> u64 {
        self.plain.turn()
    }
    fn rounds(&self, pick: &mut dyn FnMut(&mut Rounds)) {
        self.plain.rounds(pick);
    }
}

fn p2c(choices: u32) -> P2c {
    P2c::new(NonZeroU32::new(choices).expect("choices are at least one"))
}

fn weighted_p2c(choices: u32) -> WeightedP2c {
    WeightedP2c::new(NonZeroU32::new(choices).expect("choices are at least one"))
}

fn every_balancer() -> Vec<AnyBalancer> {
    let mut all = vec![
        AnyBalancer::RoundRobin(RoundRobin),
        AnyBalancer::WeightedRoundRobin(WeightedRoundRobin),
        AnyBalancer::Random(Random),
        AnyBalancer::WeightedRandom(WeightedRandom),
        AnyBalancer::Least(Least::new(Ties::Random)),
        AnyBalancer::Least(Least::new(Ties::First)),
    ];
    all.extend([1, 2, 8].map(|choices| AnyBalancer::WeightedP2c(weighted_p2c(choices))));
    all.extend([1, 2, 3, 8, 9, u32::MAX].map(|choices| AnyBalancer::P2c(p2c(choices))));
    all
}

/// The pools of the laws that are exposed, remembering which loads were looked at.
fn pools() -> impl Strategy<Value = Pool> {
    case().prop_map(|case| Pool {
        plain: case.pool,
        looked: RefCell::default(),
    })
}

proptest! {
    #[test]
    fn never_picks_unavailable(case in case()) {
        for balancer in every_balancer() {
            laws::never_picks_unavailable(&balancer, &case).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn picks_whenever_one_is_available(case in case()) {
        for balancer in every_balancer() {
            laws::picks_whenever_one_is_available(&balancer, &case).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn least_is_least(pool in pools(), seed: u64) {
        let lowest = (0..pool.len()).filter(|i| pool.plain.available[*i]).map(|i| pool.plain.loads[i]).reduce(f64::min);
        for ties in [Ties::Random, Ties::First] {
            let picked = Least::new(ties).pick(&pool, &mut Rng::new(seed));
            prop_assert_eq!(picked.map(|index| pool.plain.loads[index]), lowest);
        }
        let first = (0..pool.len()).find(|i| pool.plain.available[*i] && Some(pool.plain.loads[*i]) == lowest);
        prop_assert_eq!(Least::new(Ties::First).pick(&pool, &mut Rng::new(seed)), first);
        // With at least as many choices as endpoints, P2C compares all.
        let all = p2c(40).pick(&pool, &mut Rng::new(seed));
        prop_assert_eq!(all.map(|index| pool.plain.loads[index]), lowest);
    }

    #[test]
    fn round_robin_is_even(pool in pools(), start in 0u64..1 << 60, turns in 0usize..500) {
        pool.plain.turn.set(start);
        let mut counts = vec![0u32; pool.len()];
        for _ in 0..turns {
            if let Some(index) = RoundRobin.pick(&pool, &mut Rng::new(0)) {
                counts[index] += 1;
            }
        }
        let available = || (0..pool.len()).filter(|i| pool.plain.available[*i]).map(|i| counts[i]);
        let (most, least) = (available().max().unwrap_or(0), available().min().unwrap_or(0));
        prop_assert!(most - least <= 2, "{counts:?}");
        if pool.n_available() == pool.len() {
            prop_assert!(most - least <= 1, "{counts:?}");
        }
    }

    /// From the beginning, and while nothing changes: every cycle gives each its weight; nobody is a turn ahead.
    #[test]
    fn weighted_turns_are_exact_and_smooth(endpoints in prop::collection::vec((prop::bool::weighted(0.8), 1u32..=12), 1..8)) {
        let (available, weights): (Vec<bool>, Vec<u32>) = endpoints.into_iter().unzip();
        let pool = PlainPool::alike(weights.len()).with_weights(&weights).with_available(&available);
        let of = |index: usize| if available[index] { weights[index] } else { 0 };
        let total: u32 = (0..weights.len()).map(of).sum();
        let mut counts = vec![0u32; weights.len()];
        for nth in 1..=3 * total {
            let picked = WeightedRoundRobin.pick(&pool, &mut Rng::new(0)).expect("one is available");
            counts[picked] += 1;
            for (index, count) in counts.iter().enumerate() {
                // Ahead of its share by less than a turn; the share of so many picks is nth * weight / total.
                prop_assert!(count * total < nth * of(index) + total, "{weights:?}: {counts:?} after {nth}");
                if nth % total == 0 {
                    prop_assert_eq!(*count, nth / total * of(index));
                }
            }
        }
    }

    /// Who has failed is picked less, and its weight is whole again after as many picks as it lost units.
    #[test]
    fn weights_drop_and_recover(weights in prop::collection::vec(1u32..=20, 2..6), failed in 0usize..6, max_fails in 1u32..5) {
        let failed = failed % weights.len();
        let pool = PlainPool::alike(weights.len()).with_weights(&weights);
        pool.rounds.borrow_mut().fail(weights.len(), failed, weights[failed], max_fails);
        let lost = weights[failed] / max_fails;
        let mut left = lost;
        let mut credits = vec![0i64; weights.len()];
        for _ in 0..4 * weights.iter().sum::<u32>() {
            let effective: Vec<i64> = (0..weights.len())
                .map(|index| i64::from(if index == failed { weights[index] - left } else { weights[index] }))
                .collect();
            left = left.saturating_sub(1);
            let mut best = 0;
            for index in 0..weights.len() {
                credits[index] += effective[index];
                if credits[best] < credits[index] {
                    best = index;
                }
            }
            credits[best] -= effective.iter().sum::<i64>();
            prop_assert_eq!(WeightedRoundRobin.pick(&pool, &mut Rng::new(0)), Some(best));
        }
        prop_assert_eq!(left, 0);
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

/// Algorithms that are wrong, and the law that says so.
#[test]
fn the_laws_find_flaws() {
    /// The least loaded, available or not.
    struct Blind;
    /// The first that is available among the first three.
    struct Lazy;
    /// Whoever was not picked before.
    struct Moody(core::cell::Cell<usize>);
    /// The available one of the highest load.
    struct Backwards;

    impl Balancer for Blind {
        fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
            (0..pool.len()).min_by(|one, other| pool.load(*one).total_cmp(&pool.load(*other)))
        }
    }
    impl Balancer for Lazy {
        fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
            (0..pool.len().min(3)).find(|index| pool.is_available(*index))
        }
    }
    impl Balancer for Moody {
        fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
            let available: Vec<usize> = (0..pool.len()).filter(|index| pool.is_available(*index)).collect();
            let nth = self.0.replace(self.0.get() + 1);
            available.get(nth % available.len().max(1)).copied()
        }
    }
    impl Balancer for Backwards {
        fn pick(&self, pool: &impl PoolView, _rng: &mut Rng) -> Option<usize> {
            let available = (0..pool.len()).filter(|index| pool.is_available(*index));
            available.max_by(|one, other| pool.load(*one).total_cmp(&pool.load(*other)))
        }
    }

    let broken = |verdict: Result<(), String>| verdict.expect_err("a law is broken");
    assert!(broken(laws::hold(&Blind, 200)).starts_with("never_picks_unavailable"));
    assert!(broken(laws::hold(&Lazy, 200)).starts_with("picks_whenever_one_is_available"));
    assert!(broken(laws::hold(&Moody(core::cell::Cell::new(0)), 200)).starts_with("pure"));
    let case = laws::Case {
        pool: PlainPool::new(&[1.0, 2.0]),
        seed: 7,
    };
    assert!(laws::least_is_least(&Backwards, &case).is_err());
    assert_eq!(laws::least_is_least(&Least::default(), &case), Ok(()));
}

/// Picks endpoint 1, available or not.
struct Second;

impl OwnBalancer for Second {
    fn name(&self) -> &'static str {
        "second"
    }
    fn pick(&self, _pool: &dyn PoolView, _rng: &mut Rng) -> Option<usize> {
        Some(1)
    }
}

#[test]
fn ones_own_is_asked_and_checked() {
    let own = AnyBalancer::Own(Own(&Second));
    let picks = |pool: &PlainPool| own.pick(pool, &mut Rng::new(7));
    assert_eq!(picks(&PlainPool::alike(2)), Some(1));
    assert_eq!(picks(&PlainPool::alike(2).with_available(&[true, false])), None);
    assert_eq!(picks(&PlainPool::alike(1)), None);
    assert_eq!(Own(&Second), Own(&Second));
    assert_eq!(format!("{:?}", Own(&Second)), "Own(\"second\")");
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
fn weighted_random_holds_weights() {
    for (weights, available) in [
        ([1, 1, 1, 1, 1], [true; 5]),
        ([5, 1, 1, 3, 100], [true; 5]),
        ([1_000, 1, 7, 3, 9], [false, true, true, false, true]),
    ] {
        let mut pool = PlainPool::alike(5).with_available(&available);
        // In the smallest units there are: a sum that is off by one would be seen.
        pool.weights = weights.to_vec();
        let shares = weights
            .iter()
            .zip(available)
            .map(|(weight, is)| if is { *weight } else { 0 });
        let mut rng = Rng::new(23);
        assert_in_proportion(&shares.collect::<Vec<_>>(), || {
            WeightedRandom.pick(&pool, &mut rng).expect("one is available")
        });
    }
}

/// Of each pair `i`, `j` the chance to be compared is `w_i / W * w_j / (W - w_i)`, and that with the two exchanged.
#[test]
fn weighted_choices_are_drawn_by_weight() {
    const DRAWS: usize = 40_000;
    let weights = [5u32, 1, 1, 3, 10];
    let pool = Pool::ranked(5, 0b11111).weighted(&weights);
    let total: u32 = weights.iter().sum();
    let mut expected = BTreeMap::new();
    for (i, one) in weights.iter().enumerate() {
        for (j, other) in weights.iter().enumerate().filter(|(j, _)| *j != i) {
            let chance = f64::from(one * other) / f64::from(total * (total - one));
            *expected.entry([i.min(j), i.max(j)]).or_insert(0.0) += chance;
        }
    }
    let mut rng = Rng::new(24);
    let mut counts = BTreeMap::<[usize; 2], usize>::new();
    for _ in 0..DRAWS {
        pool.looked.borrow_mut().clear();
        let picked = WeightedP2c::default().pick(&pool, &mut rng);
        let looked = pool.looked.borrow();
        let pair = [looked[0].min(looked[1]), looked[0].max(looked[1])];
        assert!(looked.len() == 2 && pair[0] != pair[1], "two distinct ones");
        assert_eq!(picked, Some(pair[0]), "loads are ranked");
        *counts.entry(pair).or_default() += 1;
    }
    let statistic: f64 = expected
        .iter()
        .map(|(pair, chance)| {
            let (found, expected) = (as_f64(counts[pair]), chance * as_f64(DRAWS));
            (found - expected) * (found - expected) / expected
        })
        .sum();
    assert!(
        statistic <= chi_square_999(expected.len() - 1),
        "chi-square {statistic}"
    );
}

/// `dev-swrr-0` and `dev-swrr-1` of the reference values.
#[test]
fn golden_smooth_weighted_round_robin() {
    let sequences: [(&[u32], &[usize]); 2] = [
        (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]),
        (
            &[7, 3, 2, 1],
            &[
                0, 1, 0, 2, 0, 3, 0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 3, 0, 1, 0, 2, 0, 1, 0,
            ],
        ),
    ];
    for (weights, expected) in sequences {
        let pool = PlainPool::alike(weights.len()).with_weights(weights);
        let picks: Vec<usize> = (0..expected.len())
            .map(|_| {
                WeightedRoundRobin
                    .pick(&pool, &mut Rng::new(0))
                    .expect("all are available")
            })
            .collect();
        assert_eq!(picks, expected);
    }
}

#[test]
fn ties_are_fair() {
    let equal = |mask: u64| {
        let available: Vec<bool> = (0..10).map(|i| mask & 1 << i != 0).collect();
        Pool::new(&available, &[1.0; 10])
    };
    for pool in [equal(0x3ff), equal(0b10_0100_1001)] {
        for balancer in [
            AnyBalancer::Least(Least::new(Ties::Random)),
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

fn binomial(n: usize, k: usize) -> usize {
    (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
}
