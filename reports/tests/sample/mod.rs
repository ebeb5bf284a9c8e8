//! A made-up but plausible result set: two providers, one of which goes out, and what several policies make of it.
//!
//! The numbers come from a few lines of arithmetic and noise, not from a simulation; they exist to be drawn.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use tollgate_reports::result::{
    Cause, EndpointSeriesRow, EndpointSummary, FaultWindow, Latency, Metric, NamedHistogram, RequestCounts, ResultSet,
    SeriesRow, StrategySummary, Summary, TenantRow,
};

const DURATION: u32 = 600;
const RATE: f64 = 40.0;
const OUTAGE: (u32, u32) = (180, 270);
const ENDPOINTS: [&str; 3] = ["alpha", "beta", "gamma-eu-west"];

/// How a policy reacts, in the few numbers this model needs.
struct Policy {
    name: &'static str,
    /// Seconds until the failing endpoint is left alone; the whole outage if larger.
    notices_after: f64,
    /// Share of failing attempts that a retry or fallback saves.
    saves: f64,
    /// Share of the load that is refused while capacity is short.
    refuses: f64,
    cause: Cause,
    /// Factor on latency in the outage and while recovering.
    slows: f64,
    /// Seconds after the outage until all is as before; `None` for never.
    recovers_after: Option<f64>,
}

const fn policy(
    name: &'static str,
    notices_after: f64,
    saves: f64,
    (refuses, cause): (f64, Cause),
    slows: f64,
    recovers_after: Option<f64>,
) -> Policy {
    Policy {
        name,
        notices_after,
        saves,
        refuses,
        cause,
        slows,
        recovers_after,
    }
}

const POLICIES: [Policy; 12] = [
    policy(
        "round robin, no retries",
        1e9,
        0.0,
        (0.0, Cause::Limited),
        1.0,
        Some(2.0),
    ),
    policy(
        "round robin with retries",
        1e9,
        0.7,
        (0.04, Cause::OutOfAttempts),
        3.0,
        Some(95.0),
    ),
    policy("least in flight", 1e9, 0.2, (0.02, Cause::NoEndpoint), 1.4, None),
    policy(
        "peak EWMA with breaker",
        8.0,
        0.8,
        (0.01, Cause::QueueTimeout),
        1.6,
        Some(14.0),
    ),
    policy(
        "peak EWMA, breaker, hedge and shedding",
        5.0,
        0.95,
        (0.12, Cause::Shed),
        1.15,
        Some(4.0),
    ),
    policy("random", 1e9, 0.1, (0.03, Cause::QueueFull), 1.2, Some(5.0)),
    policy(
        "power of two choices by in-flight",
        30.0,
        0.3,
        (0.05, Cause::Deadline),
        1.8,
        Some(41.0),
    ),
    policy(
        "weighted round robin",
        1e9,
        0.4,
        (0.02, Cause::Limited),
        2.2,
        Some(77.0),
    ),
    policy(
        "hash ring by tenant, bounded load 1.25, with fallback to the pool in the other region",
        20.0,
        0.5,
        (0.03, Cause::NoEndpoint),
        1.9,
        Some(33.0),
    ),
    policy("prequal", 6.0, 0.6, (0.01, Cause::TooLarge), 1.3, Some(9.0)),
    policy("token backlog", 12.0, 0.7, (0.04, Cause::QueueFull), 1.5, Some(20.0)),
    policy(
        "least time <b>&amp;</b> \"quotes\"",
        3.0,
        0.9,
        (0.02, Cause::Unauthorized),
        1.25,
        Some(6.0),
    ),
];

/// Noise that is the same on every machine and every day.
struct Noise(u64);

impl Noise {
    /// Uniform in 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).expect("the upper half is 32 bits")) / f64::from(u32::MAX)
    }

    /// About normal, mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A result set of the first `n` of twelve policies.
pub(crate) fn outage(n: usize) -> ResultSet {
    let mut set = ResultSet {
        summary: Summary {
            tollgate: "0.1.0".into(),
            scenario: "two-providers-one-outage".into(),
            scenario_hash: "c0ffee51d2a94b7e".into(),
            seed: 7,
            replications: 5,
            simulated_seconds: f64::from(DURATION),
            wall_seconds: Some(0.41),
            requests_per_wall_second: Some(4_100_000.0),
            question: Some("One of two providers goes out for ninety seconds: who notices, and at what price?".into()),
            warmup_seconds: 60.0,
            notes: vec!["made up for a look at the figures; nothing was simulated".into()],
            ..Default::default()
        },
        ..Default::default()
    };
    for (i, policy) in POLICIES.iter().take(n).enumerate() {
        add(&mut set, policy, &mut Noise(7 + i as u64));
    }
    set
}

#[expect(clippy::too_many_lines, reason = "made-up numbers read best in one piece")]
fn add(set: &mut ResultSet, policy: &Policy, noise: &mut Noise) {
    let name = || policy.name.to_owned();
    let mut requests = RequestCounts {
        admitted: Some(0.0),
        ..RequestCounts::default()
    };
    let mut window = FaultWindow {
        backend: "alpha".into(),
        kind: "outage".into(),
        start: f64::from(OUTAGE.0),
        end: f64::from(OUTAGE.1),
        recovery_seconds: policy.recovers_after,
        ..Default::default()
    };
    let mut e2e = Histogram::<u64>::new(3).expect("three digits are supported");
    let mut ttft = e2e.clone();
    let mut attempts_by = [0.0; 3];
    let mut failed_by = [0.0; 3];
    let mut ejected = 0.0;

    for second in 0..DURATION {
        let t = f64::from(second);
        let since = t - f64::from(OUTAGE.0);
        let is_out = (OUTAGE.0..OUTAGE.1).contains(&second);
        let after = t - f64::from(OUTAGE.1);
        let is_recovering = !is_out && after >= 0.0 && policy.recovers_after.is_none_or(|lag| after < lag);
        let has_noticed =
            since > policy.notices_after && (is_out || (0.0..policy.notices_after.min(30.0)).contains(&after));

        let offered = (RATE + RATE.sqrt() * noise.normal()).max(0.0).round();
        let alpha_share = if has_noticed {
            0.01
        } else {
            0.45 + 0.02 * noise.normal()
        };
        let failing = if is_out {
            offered * alpha_share
        } else {
            0.000_3 * offered
        };
        let failed = (failing * (1.0 - policy.saves)).round();
        let stress = if is_out {
            1.0
        } else if is_recovering {
            0.4
        } else {
            0.0
        };
        let refused = (offered * policy.refuses * stress * (0.5 + noise.uniform())).round();
        let completed = (offered - failed - refused).max(0.0);

        let factor = 1.0 + (policy.slows - 1.0) * stress * 2.0;
        let quick = 0.62 * factor * (1.0 + 0.05 * noise.normal());
        let slow = 1.7 * factor * (1.0 + 0.05 * noise.normal());
        let (attempted, tail) = (completed + failing, 3.2 + 0.4 * noise.normal());
        for _ in 0..20 {
            let spread = (0.55 * noise.normal()).exp();
            let value = slow * spread * if noise.uniform() < 0.01 { 3.0 } else { 1.0 };
            let ns = |seconds: f64| std::time::Duration::from_secs_f64(seconds).as_nanos();
            let record = |to: &mut Histogram<u64>, seconds| {
                to.record(u64::try_from(ns(seconds)).expect("short"))
                    .expect("it grows as needed");
            };
            record(&mut e2e, value);
            record(&mut ttft, quick * spread.sqrt());
        }

        set.series.push(SeriesRow {
            strategy: name(),
            second: t,
            offered,
            admitted: Some(offered - refused),
            refused: if refused > 0.0 {
                BTreeMap::from([(policy.cause, refused)])
            } else {
                BTreeMap::new()
            },
            completed,
            failed,
            in_flight: completed * slow,
            queued: Some(refused * 0.2),
            ttft_p50: Some(quick),
            ttft_p99: Some(quick * tail),
            e2e_p50: Some(slow),
            e2e_p99: (completed > 0.0).then_some(slow * tail),
        });
        let beta = if is_out && has_noticed { 0.7 } else { 0.6 };
        let shares = [
            alpha_share,
            (1.0 - alpha_share) * beta,
            (1.0 - alpha_share) * (1.0 - beta),
        ];
        for (i, endpoint) in ENDPOINTS.iter().enumerate() {
            let attempts = (attempted * shares[i]).round();
            let lost = if i == 0 && is_out { attempts } else { 0.0 };
            let available = if i == 0 && has_noticed {
                if second % 15 == 0 { 0.5 } else { 0.0 }
            } else {
                1.0
            };
            attempts_by[i] += attempts;
            failed_by[i] += lost;
            ejected += 1.0 - available;
            set.endpoint_series.push(EndpointSeriesRow {
                strategy: name(),
                second: t,
                endpoint: (*endpoint).into(),
                attempts,
                failed: lost,
                available,
            });
        }

        requests.offered += offered;
        requests.admitted = requests.admitted.map(|admitted| admitted + offered - refused);
        requests.completed += completed;
        requests.failed += failed;
        *requests.refused.entry(policy.cause).or_insert(0.0) += refused;
        if is_out {
            window.failed += failed;
            window.refused += refused;
        }
    }
    requests.refused.retain(|_, n| *n > 0.0);
    requests.abandoned = (requests.completed * 0.000_8).round();
    requests.completed -= requests.abandoned;

    let attempts: f64 = attempts_by.iter().sum();
    let attainment = 0.995 * requests.completed / requests.offered - 0.01 * (policy.slows - 1.0);
    let lost_in_window = window.failed + window.refused;
    window.p99 = Some(e2e_seconds(&e2e, 0.99) * policy.slows);
    window.attainment = Some((1.0 - lost_in_window / (90.0 * RATE)) * 0.98);
    let p99 = e2e_seconds(&e2e, 0.99);
    set.summary.strategies.push(StrategySummary {
        name: name(),
        policy_hash: format!("{:016x}", noise.0),
        calls: requests.offered - 400.0,
        attempts: Some(attempts),
        amplification: Some(attempts / (requests.offered - 400.0)),
        e2e: latency(&e2e),
        ttft: latency(&ttft),
        tpot: Latency {
            mean: Some(0.011),
            p50: Some(0.01),
            p99: Some(0.02),
            ..Default::default()
        },
        queue_wait: Latency {
            mean: Some(0.0),
            p50: Some(0.0),
            p99: Some(0.02),
            ..Default::default()
        },
        overhead: Latency {
            mean: Some(0.000_4),
            p50: Some(0.000_3),
            p99: Some(0.9),
            ..Default::default()
        },
        throughput: Some(requests.completed / f64::from(DURATION)),
        goodput: Some(attainment * RATE),
        attainment: Some(attainment),
        fairness: Some(1.0 - 0.02 * noise.uniform()),
        cost_usd: Some(attempts * 0.000_41),
        wasted_tokens: Some((attempts - requests.completed).max(0.0) * 40.0),
        ci95: BTreeMap::from([
            ("e2e.p99".into(), [p99 * 0.97, p99 * 1.03]),
            ("attainment".into(), [attainment - 0.002, attainment + 0.002]),
        ]),
        endpoints: (0..3)
            .map(|i| EndpointSummary {
                name: ENDPOINTS[i].into(),
                attempts: attempts_by[i],
                failed: failed_by[i],
                utilization: (i != 2).then_some(0.61),
                ejected_seconds: if i == 0 { ejected } else { 0.0 },
                share: Some(attempts_by[i] / attempts),
                cost_usd: Some(attempts_by[i] * 0.000_41),
            })
            .collect(),
        faults: vec![window],
        client: None,
        requests,
    });
    for (tenant, share) in [("acme", 0.6), ("globex", 0.3), ("initech", 0.1)] {
        let requests = &set.summary.strategies.last().expect("just pushed").requests;
        set.tenants.push(TenantRow {
            strategy: name(),
            tenant: tenant.into(),
            offered: (requests.offered * share).round(),
            admitted: requests.admitted.map(|admitted| (admitted * share).round()),
            completed: (requests.completed * share).round(),
            refused: (requests.refused_total() * share).round(),
            failed: (requests.failed * share).round(),
            abandoned: 0.0,
            tokens: (requests.completed * share * 750.0).round(),
            cost_usd: Some(attempts * share * 0.000_41),
        });
    }
    set.histograms.push(NamedHistogram::new(policy.name, Metric::E2e, &e2e));
    set.histograms
        .push(NamedHistogram::new(policy.name, Metric::Ttft, &ttft));
}

fn e2e_seconds(of: &Histogram<u64>, quantile: f64) -> f64 {
    std::time::Duration::from_nanos(of.value_at_quantile(quantile)).as_secs_f64()
}

fn latency(of: &Histogram<u64>) -> Latency {
    let at = |quantile| Some(e2e_seconds(of, quantile));
    Latency {
        mean: Some(of.mean() / 1e9),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}
