//! The law of limits in money: reserved is what the dearest endpoint would cost, rounded up.

use proptest::prelude::*;
use tollgate_core::gate::{Limits, Reach};
use tollgate_core::id::{KeyHash, LimitId, RouteId};
use tollgate_core::memory::Local;
use tollgate_core::policy::{Class, Policy, file};
use tollgate_core::time::Instant;
use tollgate_core::usage::Estimate;

const ALL: u64 = 1_000_000_000;

/// One pool of endpoints with these prices, in thousandths of a dollar for a million tokens of prompt and of answer.
fn policy(prices: &[(u32, u32)]) -> Policy {
    let dollars = |price: u32| f64::from(price) / 1e3;
    let endpoint = |(at, (input, output)): (usize, &(u32, u32))| {
        let (input, output) = (dollars(*input), dollars(*output));
        format!("[[pool.endpoint]]\nname = \"e{at}\"\nprice = {{ input = {input:.3}, output = {output:.3} }}\n")
    };
    let endpoints: String = prices.iter().enumerate().map(endpoint).collect();
    let text = format!(
        "[[limit]]\nname = \"money\"\nalgorithm = \"fixed-window\"\nunit = \"micro-usd\"\n\
         quota = {{ amount = {ALL}, period = \"1h\" }}\n\
         [[pool]]\nname = \"only\"\n{endpoints}[[route]]\nname = \"all\"\npools = [\"only\"]\n"
    );
    file::read("policy.toml", &text).expect("a good policy").0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Which endpoint is the dearest depends on the request: one asks more for prompts, the other for answers.
    #[test]
    fn money_is_reserved_at_the_dearest(
        prices in prop::collection::vec((0_u32..50_000, 0_u32..50_000), 1..6),
        input in 0_u32..5_000,
        output in 0_u32..5_000,
    ) {
        let policy = policy(&prices);
        let limits = Limits::<Local>::new(&policy);
        let mut class = Class { route: Some(RouteId::at(0)), ..Class::default() };
        class.charges.push(LimitId::at(0), KeyHash(1));
        let estimate = Estimate { input, output: Some(output), more: 0 };
        prop_assert!(limits.take_all(&class, Reach::Local, estimate, Instant::EPOCH).is_ok());

        // A thousandth of a dollar for a million tokens is a thousandth of a millionth for each.
        let thousandths = |(prompt, answer): &(u32, u32)| {
            u64::from(*prompt) * u64::from(input) + u64::from(*answer) * u64::from(output)
        };
        let dearest = prices.iter().map(thousandths).max().unwrap_or(0).div_ceil(1_000);
        let left = limits.standing(LimitId::at(0), KeyHash(1), Instant::EPOCH).remaining;
        prop_assert_eq!(ALL - left, dearest);
    }
}
