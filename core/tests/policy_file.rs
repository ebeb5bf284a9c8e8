//! Policy files: what is read, what is refused, and in which words.

#![cfg(feature = "file")]

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_core::fault::Fault;
use tollgate_core::id::RouteId;
use tollgate_core::policy::{
    AdaptiveKind, Algorithm, BalanceKind, Bounds, BreakerKind, Budget, EnvoyAdmission, HedgeAfter, LoadKind, OnOutage,
    OnWait, Order, Outlier, Partition, Policy, Priority, RetryConcurrency, Shedding, Store, Throttle, Until, Weight,
    Window, Word, file,
};
use tollgate_core::time::Nanos;
use tollgate_core::usage::{Rates, Unit};

const REFERENCE: &str = include_str!("policies/reference.toml");
const MINIMAL: &str = include_str!("policies/minimal.toml");

fn good(text: &str) -> Policy {
    let (policy, warnings) = file::read("policy.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");
    policy
}

#[test]
fn the_reference_reads_as_it_says() {
    let policy = good(REFERENCE);
    assert_eq!(policy.tenants.len(), 2, "the nameless one and acme");
    assert_eq!(policy.tenants[1].priority, Priority::High);
    assert_eq!(policy.tenants[1].weight, Weight::ONE);
    assert_eq!(policy.tenants[1].key_hashes[0][..2], [0x9f, 0x86]);

    let limit = &policy.limits[0];
    let Algorithm::Gcra(quota) = limit.algorithm else {
        panic!("{limit:?}")
    };
    assert_eq!(
        (quota.amount.get(), quota.burst.get(), quota.period),
        (600, 60, Nanos::from_secs(60))
    );
    assert_eq!(limit.when.words[0].0, Word::Role);
    let tokens = &policy.limits[1];
    assert_eq!(
        tokens.on_wait,
        OnWait::Delay {
            most: Nanos::from_secs(2)
        }
    );
    assert_eq!(tokens.per[8], Partition::Header("x-device".into()));
    let windowed = &policy.limits[2];
    let Algorithm::FixedWindow(quota) = windowed.algorithm else {
        panic!("{windowed:?}")
    };
    assert_eq!(quota.burst, quota.amount);
    assert_eq!(windowed.per, [Partition::Tenant]);
    assert_eq!(
        windowed.store,
        Store::Strict {
            deadline: Nanos::from_millis(10),
            on_outage: OnOutage::LocalShare
        }
    );
    let Algorithm::Permits(permits) = policy.limits[3].algorithm else {
        panic!()
    };
    assert_eq!((permits.get(), policy.limits[3].unit), (64, Unit::InFlight));
    assert_eq!(policy.limits[4].unit, Unit::Tokens);
    assert_eq!(
        policy.limits[5].on_wait,
        OnWait::Delay {
            most: Nanos::from_secs(2)
        },
        "a full bucket leaks out in that"
    );
    let Algorithm::SegmentedWindow { segments, .. } = policy.limits[6].algorithm else {
        panic!()
    };
    assert_eq!(segments.get(), 6);
    assert!(matches!(policy.limits[7].algorithm, Algorithm::SlidingLog(_)));
    assert!(matches!(policy.limits[8].algorithm, Algorithm::SlidingWindow(_)));
    let Algorithm::Adaptive(AdaptiveKind::Gradient, bounds) = policy.limits[9].algorithm else {
        panic!()
    };
    let numbers = [bounds.initial, bounds.min, bounds.max].map(core::num::NonZeroU32::get);
    assert_eq!((numbers, policy.limits[9].unit), ([20, 5, 1_000], Unit::InFlight));
    for (at, kind) in [
        (10, AdaptiveKind::Aimd),
        (11, AdaptiveKind::Vegas),
        (12, AdaptiveKind::EnvoyGradient),
    ] {
        let as_published = Algorithm::Adaptive(kind, Bounds::published(kind));
        assert_eq!(policy.limits[at].algorithm, as_published);
    }

    assert_eq!(policy.pools[0].endpoints, 0..2);
    assert_eq!(policy.endpoints[0].scope, policy.endpoints[1].scope);
    assert_ne!(policy.endpoints[1].scope, policy.endpoints[2].scope);
    assert_eq!(policy.pools[1].balance.kind, BalanceKind::Least);
    assert_eq!(policy.pools[2].breaker, BreakerKind::Off);
    let by_envoy = policy
        .pools
        .iter()
        .find(|pool| pool.name == "as-envoy")
        .expect("there is one");
    assert_eq!(by_envoy.breaker, BreakerKind::Outlier(Outlier::default()));
    queues_read_as_they_say(&policy);
    balances_read_as_they_say(&policy);

    let route = &policy.routes[0];
    assert_eq!(route.pools.len(), 2);
    assert!(route.require_region.is_some() && route.require_region == policy.endpoints[0].region);
    assert_eq!(route.hedge.map(|hedge| hedge.after), Some(HedgeAfter::Quantile(0.95)));
    assert_eq!(route.request.defaults.max_tokens, Some(1024));
    assert_eq!(route.request.caps.n, Some(1));
    assert_eq!(route.headers.request.set, [("x-team".into(), "search".into())]);
    assert_eq!(route.headers.response.remove, ["server"]);
    let acme = policy.keys[0];
    assert_eq!(policy.identify(Some(&acme.0)), Ok(acme.1));
    let by_load = Budget::Concurrency(RetryConcurrency { ratio: 0.2, floor: 3 });
    assert_eq!(policy.routes[1].retry.budget, Some(by_load));
    let rest = &policy.routes[2];
    assert!(rest.request.is_none());
    assert!(rest.timeouts.ttft.is_forever() && rest.retry.budget.is_none());
    assert_eq!(
        rest.hedge.map(|hedge| hedge.after),
        Some(HedgeAfter::Delay(Nanos::from_millis(800)))
    );
}

fn balances_read_as_they_say(policy: &Policy) {
    let pool = |name: &str| policy.pools.iter().find(|pool| pool.name == name).expect("a pool");
    let balance = |name| pool(name).balance;
    let turns = pool("turns");
    assert_eq!(turns.balance.kind, BalanceKind::WeightedRoundRobin { max_fails: 1 });
    let slow_start = turns.slow_start.expect("it starts slowly");
    assert_eq!(slow_start.window, Nanos::from_secs(30));
    let endpoints = &policy.endpoints[usize::from(turns.endpoints.start)..usize::from(turns.endpoints.end)];
    let shape: Vec<_> = endpoints.iter().map(|one| (one.weight.get(), one.tier)).collect();
    assert_eq!(shape, [(5, 0), (1, 0), (1, 1)]);
    assert_eq!(balance("drawn").kind, BalanceKind::WeightedRandom);
    assert!(matches!(balance("drawn-by-weight").kind, BalanceKind::WeightedP2c { choices } if choices.get() == 2));
    assert_eq!(balance("drawn-by-weight").load, LoadKind::ExpectedDelay);
    let timed = LoadKind::Time {
        until: Until::FirstToken,
        in_flight: false,
    };
    let loads = [
        ("small", LoadKind::InFlightPerWeight),
        ("timed", timed),
        ("fastest", LoadKind::Latency),
        ("soonest", LoadKind::ExpectedDelay),
        ("fewest-tokens", LoadKind::TokenBacklog),
        ("scored", LoadKind::Score { rtt: 60.0, load: 0.4 }),
    ];
    for (name, load) in loads {
        assert_eq!(
            (balance(name).kind, balance(name).load),
            (BalanceKind::Least, load),
            "{name}"
        );
    }
    assert_eq!(balance("fewest-tokens").staleness, Nanos::from_millis(250));
    assert_eq!(policy.pools[0].slow_start, None, "no time at all");
}

fn queues_read_as_they_say(policy: &Policy) {
    let (target, interval) = (Nanos::from_millis(5), Nanos::from_millis(100));
    let quantum = std::num::NonZeroU32::new(1_000).expect("not zero");
    let output_default = 512;
    let deficit = Order::Deficit {
        quantum,
        output_default,
    };
    assert_eq!(policy.pools[1].queue.order, deficit);
    assert_eq!(policy.pools[1].queue.shedding, Shedding::CoDel { target, interval });
    assert_eq!(policy.pools[2].queue.order, Order::AdaptiveLifo { after: interval });
    let shedding = Shedding::ControlledDelay { target, interval };
    assert_eq!(policy.pools[2].queue.shedding, shedding);
    assert_eq!(policy.pools[2].throttle, Some(Throttle::SRE));
    let admission = Throttle::EnvoyAdmission(EnvoyAdmission::default());
    assert_eq!(policy.pools[4].throttle, Some(admission));
}

#[test]
fn what_is_left_out_has_the_default_of_the_reference() {
    let minimal = good(MINIMAL);
    let reference = good(REFERENCE);
    let (pool, shown) = (&minimal.pools[0], &reference.pools[0]);
    assert_eq!(
        (pool.balance, pool.breaker, pool.queue),
        (shown.balance, shown.breaker, shown.queue)
    );
    assert_eq!(pool.panic_below.to_bits(), shown.panic_below.to_bits());
    assert_eq!(pool.throttle, None, "nobody is turned away");
    let (route, shown) = (&minimal.routes[0], &reference.routes[0]);
    assert_eq!((route.timeouts, route.retry), (shown.timeouts, shown.retry));
    assert!(!route.retry.on.has(Fault::Stream));
    assert!(route.hedge.is_none() && route.slo.e2e.is_forever() && route.cancel_on_abandon);
    let LoadKind::PeakEwma { decay } = pool.balance.load else {
        panic!("{pool:?}")
    };
    assert_eq!(decay, Nanos::from_secs(10));
    let BreakerKind::ErrorRate { window, .. } = pool.breaker else {
        panic!("{pool:?}")
    };
    assert_eq!(window, Window::Time(Nanos::from_secs(30)));
}

#[test]
fn every_order_has_the_numbers_of_its_textbook() {
    let read = |queue: &str| {
        let pool = format!("name = \"only\"\n{queue}");
        let policy = good(&MINIMAL.replacen("name = \"only\"", &pool, 1));
        policy.pools[0].queue
    };
    let order = |word: &str| read(&format!("queue = {{ order = \"{word}\" }}")).order;
    let output_default = 512;
    assert_eq!(order("fifo"), Order::Fifo);
    assert_eq!(order("lifo"), Order::Lifo);
    let (target, interval) = (Nanos::from_millis(5), Nanos::from_millis(100));
    assert_eq!(order("adaptive-lifo"), Order::AdaptiveLifo { after: interval });
    assert_eq!(order("priority"), Order::Priority);
    assert_eq!(order("deadline"), Order::Deadline);
    let quantum = std::num::NonZeroU32::new(1_000).expect("not zero");
    assert_eq!(
        order("deficit"),
        Order::Deficit {
            quantum,
            output_default
        }
    );
    assert_eq!(order("vtc"), Order::Vtc { output_default });
    assert_eq!(read("codel = {}").shedding, Shedding::CoDel { target, interval });
    let controlled = read("controlled_delay = {}").shedding;
    assert_eq!(controlled, Shedding::ControlledDelay { target, interval });
}

#[test]
fn weights_are_kept_to_the_thousandth() {
    let read = |weight: &str| {
        let tenant = format!("[[tenant]]\nname = \"a\"\nweight = {weight}\n{MINIMAL}");
        good(&tenant).tenants[1].weight.thousandths()
    };
    assert_eq!(
        [read("1"), read("2.5"), read("0.001"), read("0.0014")],
        [1_000, 2_500, 1, 1]
    );
    assert_eq!(read("1e6"), 1_000_000_000);
}

#[test]
fn burst_is_the_amount_unless_it_is_said() {
    let limit = "[[limit]]\nname = \"l\"\nquota = { amount = 30, period = \"1m\" }\n";
    let policy = good(&format!("{limit}{MINIMAL}"));
    let Algorithm::Gcra(quota) = policy.limits[0].algorithm else {
        panic!()
    };
    assert_eq!(quota.burst, quota.amount);
}

/// What a limit in money does not meet needs no price.
#[test]
fn money_asks_for_the_prices_it_meets() {
    let policy = good(
        r#"
        [[limit]]
        name = "money"
        unit = "micro-usd"
        when = { model = "paid" }
        quota = { amount = 5_000_000, period = "24h" }
        estimate = { output_default = 100 }
        [[pool]]
        name = "paid"
        balance = { kind = "round-robin" }
        [[pool.endpoint]]
        name = "cheap"
        price = { input = 0.15, output = 0.60 }
        [[pool.endpoint]]
        name = "dear"
        price = { input = 2.50, output = 10.0 }
        [[pool]]
        name = "own"
        [[pool.endpoint]]
        name = "gpu"
        [[route]]
        name = "paid"
        match = { model = "p*" }
        pools = ["paid"]
        [[route]]
        name = "own"
        match = { model = "own-*" }
        pools = ["own"]
        "#,
    );
    assert_eq!(policy.limits[0].unit, Unit::MicroUsd);
    let dear = Rates {
        input: 2_500_000,
        output: 10_000_000,
    };
    assert_eq!(
        policy.rates(RouteId(0)),
        [dear],
        "the other is cheaper whatever is used"
    );
    assert_eq!(policy.rates(RouteId(1)), []);
}

/// The hash names result sets: it must not move when the reader does.
#[test]
fn hash_is_pinned() {
    assert_eq!(good(MINIMAL).hash.to_string(), "f9daf36a19083936");
}

#[test]
fn hash_ignores_layout() {
    let other = r#"
        # A comment.
        route = [{ pools = ['only'], name = "a\u006cl" }]
        pool = [{ endpoint = [{ name = 'alpha' }], name = "only" }]
    "#;
    assert_eq!(good(MINIMAL).hash, good(other).hash);
    let with = |number: &str| good(&format!("{MINIMAL}retry = {{ budget = {{ ratio = {number} }} }}\n")).hash;
    assert_eq!(with("1.0"), with("1"));
    assert_eq!(with("1"), with("0.1e1"));
    assert_ne!(with("1"), with("2"));
    assert_ne!(with("1"), good(MINIMAL).hash);
}

/// Every file of `policy_errors` is refused, or warned of, in the words of the `.txt` beside it. With `REWRITE=1` the
/// words are written instead.
#[test]
fn problems_are_told_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy_errors");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(60 <= files.len(), "the bad files are gone");
    let mut differing = Vec::new();
    for path in &files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let text = fs::read_to_string(path).expect("a file");
        let problems = match file::read(name, &text) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        assert!(!problems.is_empty(), "{name} has nothing wrong");
        let (told, recorded) = (problems.to_string(), path.with_extension("txt"));
        if std::env::var_os("REWRITE").is_some() {
            fs::write(&recorded, &told).expect("a writable folder");
        } else if fs::read_to_string(&recorded).ok().as_deref() != Some(&told) {
            differing.push(told);
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
