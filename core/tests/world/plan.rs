//! Policies at random: everything that a policy may say, in combinations that nobody would write.

use std::num::{NonZeroU32, NonZeroU64};

use tollgate_core::fault::{Fault, FaultSet};
use tollgate_core::id::{PoolId, ScopeId};
use tollgate_core::policy::{
    AdaptiveKind, Adjustment, Algorithm, Backoff, Balance, BalanceKind, Bounds, BreakerKind, Budget, Capability,
    Endpoint, EnvoyAdmission, FailurePercentage, HeaderStages, Hedge, HedgeAfter, Jitter, Limit, LoadKind, Match,
    OnOutage, OnWait, Order, Outlier, Percent, Policy, Pool, Price, Probe, QueueShape, Quota, Refund, RegionId, Retry,
    RetryBudget, RetryConcurrency, Route, Row, Shedding, Slo, SlowStart, Split, Store, SuccessRate, Tenant, Throttle,
    Ties, Timeouts, Until, Volume, Weight, Window,
};
use tollgate_core::time::Nanos;
use tollgate_core::usage::Unit;

use super::Tilt;
use super::entropy::Entropy;

/// A window that outlasts every world: what a limit of this length has counted is exactly what was charged.
pub(crate) const AGE: Nanos = Nanos::from_secs(1_000_000_000);

pub(crate) fn policy(dice: &mut impl Entropy, tilt: &Tilt) -> Policy {
    let n_scopes = 1 + dice.index(4);
    let mut policy = Policy {
        scopes: vec![String::from("account"); n_scopes],
        regions: vec![String::from("here"), String::from("there")],
        tenants: tenants(dice),
        ..Policy::default()
    };
    for _ in 0..=dice.below(3) {
        let start = u16::try_from(policy.endpoints.len()).expect("a few");
        for _ in 0..=dice.below(3) {
            let pool = PoolId::at(policy.pools.len());
            policy.endpoints.push(endpoint(dice, tilt, pool, n_scopes));
        }
        let end = u16::try_from(policy.endpoints.len()).expect("a few");
        policy.pools.push(pool(dice, tilt, start..end));
    }
    for _ in 0..dice.below(5) {
        policy.limits.push(limit(dice));
    }
    for _ in 0..=dice.below(2) {
        let route = route(dice, tilt, policy.pools.len());
        policy.routes.push(route);
    }
    policy
}

/// The nameless one, and two of different weight.
fn tenants(dice: &mut impl Entropy) -> Vec<Tenant> {
    let mut tenant = || Tenant {
        weight: Weight::from_thousandths(nonzero(dice.pick(&[1, 1_000, 2_500]))),
        ..Tenant::default()
    };
    vec![Tenant::default(), tenant(), tenant()]
}

fn endpoint(dice: &mut impl Entropy, tilt: &Tilt, pool: PoolId, n_scopes: usize) -> Endpoint {
    let can = if dice.chance(70) {
        Capability::default()
    } else {
        Capability {
            context: dice.pick(&[50, 150, u32::MAX]),
            tools: dice.chance(50),
            vision: dice.chance(50),
            ..Capability::default()
        }
    };
    Endpoint {
        name: String::from("endpoint"),
        pool,
        url: None,
        provider: String::from("openai"),
        model: None,
        api_key_env: (0..dice.pick(&[0, 0, 1, 2, 3]))
            .map(|key| format!("KEY_{key}"))
            .collect(),
        region: dice.pick(&[None, None, Some(RegionId(0)), Some(RegionId(1))]),
        tier: dice.pick(&[0, 0, 0, 1, 7]),
        weight: nonzero(dice.pick(&[1, 1, 1, 2, 5, 1_000])),
        max_in_flight: dice.chance(tilt.scarce).then(|| nonzero(1 + dice.small(3))),
        price: dice.chance(60).then(|| Price {
            input: dice.pick(&[0.15, 2.5]),
            cached_input: 0.0,
            output: dice.pick(&[0.6, 10.0]),
        }),
        can,
        scope: ScopeId::at(dice.index(n_scopes)),
        shares_quota: dice.chance(30),
    }
}

fn pool(dice: &mut impl Entropy, tilt: &Tilt, endpoints: std::ops::Range<u16>) -> Pool {
    let choices = nonzero(1 + dice.small(3));
    let max_fails = dice.small(3);
    let balance = Balance {
        kind: dice.pick(&[
            BalanceKind::RoundRobin,
            BalanceKind::WeightedRoundRobin { max_fails },
            BalanceKind::Random,
            BalanceKind::WeightedRandom,
            BalanceKind::Least,
            BalanceKind::P2c { choices },
            BalanceKind::WeightedP2c { choices },
        ]),
        load: load(dice),
        ties: dice.pick(&[Ties::Random, Ties::First]),
        staleness: dice.pick(&[Nanos::ZERO, Nanos::ZERO, MILLI, SECOND]),
    };
    let probe = dice.chance(30).then(|| Probe {
        path: String::from("/health"),
        every: dice.pick(&[MILLI * 100, SECOND]),
        timeout: MILLI * 50,
        rise: nonzero(1 + dice.small(2)),
        fall: nonzero(1 + dice.small(2)),
    });
    Pool {
        name: String::from("pool"),
        endpoints,
        balance,
        slow_start: dice.chance(30).then(|| SlowStart {
            window: dice.pick(&[MILLI, SECOND]),
            aggression: dice.pick(&[0.5, 1.0, 2.0]),
            min_share: dice.pick(&[0.1, 1.0]),
        }),
        breaker: breaker(dice, tilt),
        panic_below: dice.pick(&[0.0, 0.5, 0.5, 1.0]),
        probe,
        throttle: throttle(dice),
        queue: queue(dice),
    }
}

fn throttle(dice: &mut impl Entropy) -> Option<Throttle> {
    if !dice.chance(25) {
        return None;
    }
    let window = dice.pick(&[MILLI * 50, SECOND, AGE]);
    Some(if dice.chance(50) {
        Throttle::Sre {
            k_thousandths: nonzero(dice.pick(&[1_000, 1_100, 2_000])),
            window,
        }
    } else {
        Throttle::EnvoyAdmission(EnvoyAdmission {
            success_rate_millionths: nonzero(dice.pick(&[1, 950_000, 1_000_000])),
            aggression: dice.pick(&[1.0, 2.5]),
            max: dice.pick(&[0.0, 0.8, 1.0]),
            rps_threshold: dice.pick(&[0, 0, 10]),
            window,
        })
    })
}

fn queue(dice: &mut impl Entropy) -> QueueShape {
    let (length, wait) = (
        dice.small(6),
        dice.pick(&[MILLI, MILLI * 200, SECOND * 5, Nanos::FOREVER]),
    );
    let (quantum, output_default) = (nonzero(dice.pick(&[1, 100])), 10);
    let (target, interval) = (MILLI, MILLI * 20);
    QueueShape {
        order: dice.pick(&[
            Order::Fifo,
            Order::Fifo,
            Order::Lifo,
            Order::AdaptiveLifo { after: MILLI },
            Order::Priority,
            Order::Deadline,
            Order::Deficit {
                quantum,
                output_default,
            },
            Order::Vtc { output_default },
        ]),
        length,
        wait,
        shedding: dice.pick(&[
            Shedding::Never,
            Shedding::Never,
            Shedding::CoDel { target, interval },
            Shedding::ControlledDelay { target, interval },
        ]),
    }
}

fn load(dice: &mut impl Entropy) -> LoadKind {
    let until = dice.pick(&[Until::FirstToken, Until::LastToken]);
    let in_flight = dice.chance(50);
    dice.pick(&[
        LoadKind::InFlight,
        LoadKind::InFlightPerWeight,
        LoadKind::ExpectedDelay,
        LoadKind::TokenBacklog,
        LoadKind::PeakEwma { decay: SECOND },
        LoadKind::Latency,
        LoadKind::Time { until, in_flight },
        LoadKind::Time { until, in_flight },
        LoadKind::Score { rtt: 0.6, load: 0.4 },
    ])
}

fn breaker(dice: &mut impl Entropy, tilt: &Tilt) -> BreakerKind {
    if !dice.chance(tilt.breakers) {
        return BreakerKind::Off;
    }
    let open = dice.pick(&[Nanos::ZERO, MILLI * 50, MILLI * 500, SECOND * 3]);
    let probes = nonzero(1 + dice.small(3));
    if dice.chance(20) {
        return BreakerKind::Outlier(outlier(dice));
    }
    if dice.chance(20) {
        return BreakerKind::MaxFails {
            max_fails: nonzero(1 + dice.small(3)),
            fail_timeout: open,
        };
    }
    if dice.chance(50) {
        return BreakerKind::Consecutive {
            failures: nonzero(1 + dice.small(3)),
            open,
            probes,
        };
    }
    BreakerKind::ErrorRate {
        share: dice.pick(&[0.1, 0.5, 1.0]),
        window: dice.pick(&[Window::Count(nonzero(4)), Window::Time(SECOND)]),
        min_requests: nonzero(1 + dice.small(3)),
        open,
        probes,
    }
}

fn outlier(dice: &mut impl Entropy) -> Outlier {
    let percents = [Percent::NONE, Percent::new(50), Percent::ALL, Percent::ALL];
    let volume = Volume {
        minimum_hosts: 1 + dice.small(2),
        request_volume: 1 + dice.small(2),
    };
    let row = Row {
        length: nonzero(1 + dice.small(4)),
        enforcing: dice.pick(&percents),
    };
    Outlier {
        interval: dice.pick(&[MILLI * 20, MILLI * 500]),
        base_ejection_time: dice.pick(&[MILLI, MILLI * 100, SECOND]),
        max_ejection_time: SECOND * 2,
        max_ejection_percent: dice.pick(&percents),
        consecutive_5xx: row,
        consecutive_gateway_failure: row,
        success_rate: SuccessRate {
            volume,
            stdev_thousandths: dice.pick(&[1, 1_000, 1_900]),
            enforcing: dice.pick(&percents),
        },
        failure_percentage: FailurePercentage {
            volume,
            threshold: Percent::new(50),
            enforcing: dice.pick(&percents),
        },
    }
}

fn limit(dice: &mut impl Entropy) -> Limit {
    let quota = Quota {
        amount: NonZeroU64::new(dice.pick(&[2, 20, 500])).expect("not zero"),
        period: dice.pick(&[MILLI * 100, SECOND, SECOND * 60]),
        burst: NonZeroU64::new(dice.pick(&[1, 20, 500])).expect("not zero"),
    };
    let ledger = Quota {
        amount: NonZeroU64::new(dice.pick(&[30, 3_000, 1_000_000])).expect("not zero"),
        period: AGE,
        ..quota
    };
    let most = nonzero(1 + dice.small(8));
    let segments = nonzero(1 + dice.small(4));
    let bounds = Bounds {
        initial: most,
        min: nonzero(1),
        max: nonzero(8 + dice.small(8)),
    };
    let kind = dice.pick(&[
        AdaptiveKind::Aimd,
        AdaptiveKind::Vegas,
        AdaptiveKind::Gradient,
        AdaptiveKind::EnvoyGradient,
    ]);
    let algorithm = dice.pick(&[
        Algorithm::Gcra(quota),
        Algorithm::TokenBucket(quota),
        Algorithm::LeakyBucket(quota),
        Algorithm::FixedWindow(quota),
        Algorithm::SegmentedWindow { quota, segments },
        Algorithm::SlidingLog(quota),
        Algorithm::SlidingWindow(quota),
        Algorithm::FixedWindow(ledger),
        Algorithm::SegmentedWindow {
            quota: ledger,
            segments,
        },
        Algorithm::SlidingLog(ledger),
        Algorithm::SlidingWindow(ledger),
        Algorithm::Permits(most),
        Algorithm::Permits(nonzero(most.get() * 300)),
        Algorithm::Adaptive(kind, bounds),
        Algorithm::Adaptive(kind, bounds),
    ]);
    let unit = match algorithm {
        Algorithm::Permits(permits) if permits == most => Unit::InFlight,
        Algorithm::Adaptive(..) => Unit::InFlight,
        Algorithm::Permits(_) => dice.pick(&[Unit::Tokens, Unit::InputTokens, Unit::OutputTokens]),
        Algorithm::Gcra(_)
        | Algorithm::TokenBucket(_)
        | Algorithm::LeakyBucket(_)
        | Algorithm::FixedWindow(_)
        | Algorithm::SegmentedWindow { .. }
        | Algorithm::SlidingLog(_)
        | Algorithm::SlidingWindow(_)
        | Algorithm::Own(_) => dice.pick(&[
            Unit::Requests,
            Unit::Tokens,
            Unit::InputTokens,
            Unit::OutputTokens,
            Unit::MicroUsd,
        ]),
    };
    let on_wait = dice.pick(&[OnWait::Refuse, OnWait::Delay { most: MILLI * 300 }]);
    Limit {
        name: String::from("limit"),
        algorithm,
        unit,
        per: Vec::new(),
        when: Match::default(),
        on_wait,
        refund: dice.pick(&[Refund::Full, Refund::None]),
        max_keys: match algorithm {
            Algorithm::FixedWindow(quota)
            | Algorithm::SegmentedWindow { quota, .. }
            | Algorithm::SlidingLog(quota)
            | Algorithm::SlidingWindow(quota)
                if quota.period != AGE =>
            {
                nonzero(1 + dice.small(2))
            }
            Algorithm::Gcra(_) | Algorithm::TokenBucket(_) | Algorithm::LeakyBucket(_) | Algorithm::Own(_) => {
                nonzero(1 + dice.small(2))
            }
            Algorithm::FixedWindow(_)
            | Algorithm::SegmentedWindow { .. }
            | Algorithm::SlidingLog(_)
            | Algorithm::SlidingWindow(_)
            | Algorithm::Permits(_)
            | Algorithm::Adaptive(..) => nonzero(100),
        },
        store: store(dice, unit, algorithm, on_wait),
        output_default: dice.pick(&[0, 10, 1_000]),
        learn: dice.chance(50),
    }
}

fn store(dice: &mut impl Entropy, unit: Unit, algorithm: Algorithm, on_wait: OnWait) -> Store {
    let flows = match algorithm {
        Algorithm::Gcra(_) | Algorithm::TokenBucket(_) | Algorithm::LeakyBucket(_) => on_wait == OnWait::Refuse,
        Algorithm::FixedWindow(_)
        | Algorithm::SegmentedWindow { .. }
        | Algorithm::SlidingLog(_)
        | Algorithm::SlidingWindow(_)
        | Algorithm::Permits(_)
        | Algorithm::Adaptive(..)
        | Algorithm::Own(_) => false,
    };
    match dice.below(4) {
        1 if flows => Store::Leased {
            most: nonzero(dice.pick(&[1, 4, 100])),
        },
        0 if unit != Unit::MicroUsd => Store::Strict {
            deadline: dice.pick(&[MILLI, MILLI * 50]),
            on_outage: dice.pick(&[
                OnOutage::LocalShare,
                OnOutage::LocalShare,
                OnOutage::Allow,
                OnOutage::Refuse,
            ]),
        },
        _ => Store::Local,
    }
}

fn route(dice: &mut impl Entropy, tilt: &Tilt, n_pools: usize) -> Route {
    let first = dice.index(n_pools);
    let n_used = 1 + dice.index(n_pools);
    let pools = (0..n_used).map(|nth| PoolId::at((first + nth) % n_pools)).collect();
    let everything = Fault::ALL.into_iter().fold(FaultSet::NONE, FaultSet::with);
    let budget = match dice.below(4) {
        0 | 1 => None,
        2 => Some(Budget::Ratio(RetryBudget {
            ratio: dice.pick(&[0.1, 0.5, 2.0]),
            floor_per_sec: dice.pick(&[0.0, 1.0]),
            ttl: dice.pick(&[SECOND, AGE]),
        })),
        _ => Some(Budget::Concurrency(RetryConcurrency {
            ratio: dice.pick(&[0.1, 0.2, 0.5, 1.0]),
            floor: dice.pick(&[0, 1, 3]),
        })),
    };
    let quantile = HedgeAfter::Quantile(0.5);
    let hedge = dice.chance(40).then(|| Hedge {
        after: dice.pick(&[HedgeAfter::Delay(MILLI * 5), HedgeAfter::Delay(MILLI * 100), quantile]),
        max: 1 + u8::try_from(dice.below(3)).expect("small"),
        budget: dice.pick(&[0.05, 0.5, 1.0]),
    });
    let weights = (0..n_used).map(|_| dice.small(3)).collect();
    let split = dice.chance(30).then(|| Split::new(weights)).flatten();
    Route {
        name: String::from("route"),
        matches: Match::default(),
        pools,
        split,
        require_region: dice.pick(&[None, None, None, None, Some(RegionId(0)), Some(RegionId(1))]),
        request: Adjustment::default(),
        headers: HeaderStages::default(),
        timeouts: Timeouts {
            connect: dice.pick(&[MILLI * 10, MILLI * 100, Nanos::FOREVER]),
            ttft: dice.pick(&[MILLI * 50, SECOND, Nanos::FOREVER]),
            idle: dice.pick(&[MILLI * 20, SECOND, Nanos::FOREVER]),
            total: dice.pick(tilt.totals),
        },
        retry: Retry {
            max_attempts: 1 + u8::try_from(dice.below(6)).expect("small"),
            on: dice.pick(&[FaultSet::RETRIABLE, FaultSet::RETRIABLE, FaultSet::NONE, everything]),
            budget,
            backoff: Backoff {
                base: dice.pick(&[Nanos::ZERO, MILLI, MILLI * 100]),
                max: dice.pick(&[Nanos::ZERO, MILLI * 200, SECOND * 10]),
                jitter: dice.pick(&[Jitter::Full, Jitter::Decorrelated, Jitter::None]),
            },
        },
        hedge,
        cancel_on_abandon: dice.chance(60),
        slo: Slo {
            e2e: dice.pick(&[MILLI * 30, SECOND, Nanos::FOREVER]),
            ..Slo::default()
        },
    }
}

pub(crate) const MILLI: Nanos = Nanos::from_millis(1);
pub(crate) const SECOND: Nanos = Nanos::from_secs(1);

fn nonzero(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}
