//! Laws of calls and of whole workloads.

#![expect(clippy::cast_precision_loss, reason = "statistics of small counts")]

use std::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::time::Instant;

use super::super::{BackoffSpec, ClientKind, Patience, TenantSpec, TraceSpec};
use super::*;
use crate::trace::{Format, TraceRow};

fn lognormal(median: f64, p95: f64) -> Distribution {
    Distribution::lognormal_median_p95(median, p95).expect("possible")
}

/// The workload of the scenario reference.
fn reference() -> WorkloadSpec {
    WorkloadSpec {
        arrivals: ArrivalSpec::Poisson { rate: 40.0 },
        prompt_tokens: lognormal(600.0, 4000.0),
        output_tokens: lognormal(150.0, 600.0),
        max_tokens: MaxTokens::Output,
        tenants: TenantsSpec::Zipf { count: 20, skew: 1.1 },
        stream: 0.5,
        client: ClientSpec::default(),
    }
}

fn open(spec: WorkloadSpec) -> Workload {
    Workload::open(spec).expect("possible")
}

fn replayed(rows: &[TraceRow], tenants: &[&str], spec: WorkloadSpec) -> Workload {
    let mut trace = Trace::with_capacity(rows.len());
    for row in rows {
        trace.push(row);
    }
    let tenants = tenants.iter().map(|&name| name.to_owned()).collect();
    let arrivals = ArrivalSpec::Trace(TraceSpec {
        file: "t.csv".into(),
        format: Format::Auto,
        speedup: 2.0,
    });
    let trace = Arc::new(trace.finish(tenants, vec!["gpt".to_owned()], Vec::new(), false));
    Workload::with_trace(WorkloadSpec { arrivals, ..spec }, trace).expect("possible")
}

#[test]
fn lengths_have_the_stated_quantiles() {
    let workload = open(reference());
    let n = 200_000;
    let calls: Vec<Call> = (0..n).map(|number| workload.call(Dice::new(1), number)).collect();
    let share = |below: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| below(call)).count() as f64 / n as f64;
    // Four standard errors of a share, and what rounding to whole tokens may move.
    for (found, expected) in [
        (share(&|call| call.prompt <= 600), 0.5),
        (share(&|call| call.prompt <= 4000), 0.95),
        (share(&|call| call.output <= 150), 0.5),
        (share(&|call| call.output <= 600), 0.95),
        (share(&|call| call.stream), 0.5),
    ] {
        let error = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt() + 0.002;
        assert!((found - expected).abs() <= error, "{found} is not {expected}");
    }
}

#[test]
fn streams_can_be_all_or_none() {
    for (stream, expected) in [(0.0, false), (1.0, true)] {
        let workload = open(WorkloadSpec { stream, ..reference() });
        assert!((0..10_000).all(|number| workload.call(Dice::new(1), number).stream == expected));
    }
}

#[test]
fn a_trace_overrides_what_it_tells_and_nothing_else() {
    let row = TraceRow {
        time: Nanos::from_secs(3),
        prompt: NonZeroU32::new(77),
        tenant: Some(1),
        stream: Some(true),
        model: Some(0),
        max_tokens: NonZeroU32::new(1),
        ..TraceRow::default()
    };
    let premium = TenantSpec {
        name: "beta".to_owned(),
        share: 1.0,
        role: "premium".to_owned(),
        region: "eu".to_owned(),
        priority: tollgate_core::policy::Priority::High,
        model: String::new(),
        headers: Vec::new(),
    };
    let spec = WorkloadSpec {
        stream: 0.0,
        tenants: TenantsSpec::List(vec![premium]),
        ..reference()
    };
    let workload = replayed(&[TraceRow::default(), row], &["alpha", "beta"], spec);
    let call = workload.call(Dice::new(1), 1);
    assert_eq!((call.prompt, call.output, call.max_tokens), (77, 1, Some(1)));
    assert_eq!((call.tenant, call.stream, call.model), (1, true, Some(Model(0))));
    assert_eq!(workload.tenants()[1].role, "premium");
    assert_eq!(workload.tenants()[0].role, "");
    let drawn = workload.call(Dice::new(1), 0);
    assert_eq!(drawn.prompt, open(reference()).call(Dice::new(1), 0).prompt);
    let mut arrivals = workload.arrivals(Dice::new(1)).expect("open");
    assert_eq!(arrivals.next(), Some(Instant::EPOCH));
    assert_eq!(arrivals.next(), Some(Instant::from_nanos(1_500_000_000)));
    assert_eq!(arrivals.next(), None);
}

#[test]
fn a_trace_is_read_as_far_as_the_run_goes() {
    let file = std::env::temp_dir().join(format!("tollgate-workload-{}.csv", std::process::id()));
    std::fs::write(&file, "time,prompt,output\n0,1,1\n9,2,1\n11,3,1\n30,4,1\n").expect("a temporary file");
    let trace = TraceSpec {
        file: file.clone(),
        format: Format::Auto,
        speedup: 2.0,
    };
    let spec = WorkloadSpec {
        arrivals: ArrivalSpec::Trace(trace),
        ..reference()
    };
    let calls = |workload: Workload| {
        let mut arrivals = workload.arrivals(Dice::new(1)).expect("open");
        std::iter::from_fn(|| arrivals.next()).count()
    };
    assert_eq!(calls(open(spec.clone())), 4);
    let short = Workload::open_for(spec.clone(), Nanos::from_secs(5)).expect("possible");
    assert_eq!(calls(short), 2);
    std::fs::remove_file(&file).expect("it was there");
    let error = Workload::open(spec).expect_err("the file is gone").to_string();
    assert!(error.contains("check the path"), "{error}");
}

#[test]
fn closed_users_think_and_open_ones_do_not() {
    let think = Distribution::exponential(5.0).expect("possible");
    let closed = open(WorkloadSpec {
        arrivals: ArrivalSpec::Closed(ClosedSpec { users: 3, think }),
        ..reference()
    });
    assert!(closed.arrivals(Dice::new(1)).is_none());
    assert!((0..100).all(|number| closed.think(Dice::new(1), number) != Nanos::ZERO));
    assert_eq!(open(reference()).think(Dice::new(1), 0), Nanos::ZERO);
}

#[test]
fn patience_belongs_to_the_call() {
    let patience = Patience::Within(Distribution::exponential(30.0).expect("possible"));
    let client = ClientSpec {
        patience,
        ..ClientSpec::default()
    };
    let workload = open(WorkloadSpec { client, ..reference() });
    let dice = Dice::new(1);
    assert_eq!(workload.patience(dice, 4), workload.patience(dice, 4));
    assert_ne!(workload.patience(dice, 4), workload.patience(dice, 5));
}

#[test]
fn every_impossible_field_is_named() {
    let backoff = BackoffSpec {
        base: Nanos::from_secs(9),
        max: Nanos::from_secs(1),
        jitter: 2.0,
    };
    let spec = WorkloadSpec {
        arrivals: ArrivalSpec::Poisson { rate: -1.0 },
        prompt_tokens: Distribution::constant(1e12).expect("a number"),
        max_tokens: MaxTokens::Number(0),
        tenants: TenantsSpec::List(vec![]),
        stream: f64::NAN,
        client: ClientSpec {
            kind: ClientKind::Custom {
                backoff,
                honours_retry_after: true,
            },
            timeout: Some(Nanos::ZERO),
            max_retries: Some(1_000_000),
            patience: Patience::None,
        },
        ..reference()
    };
    let errors = spec.check().expect_err("nothing in it is possible");
    let fields: Vec<&str> = errors.as_slice().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "arrivals.rate",
            "prompt_tokens",
            "max_tokens",
            "tenants",
            "stream",
            "client.max_retries",
            "client.timeout",
            "client.backoff.jitter",
            "client.backoff.max"
        ]
    );
    assert!(
        errors
            .to_string()
            .starts_with("`arrivals.rate` is -1, but must lie between"),
        "{errors}"
    );
}

#[test]
fn shares_and_names_of_tenants_are_checked() {
    let tenant = |name: &str, share| TenantSpec {
        name: name.to_owned(),
        share,
        role: String::new(),
        region: String::new(),
        priority: tollgate_core::policy::Priority::Normal,
        model: String::new(),
        headers: Vec::new(),
    };
    let tenants = TenantsSpec::List(vec![
        tenant("a", 1.0),
        tenant("b", 0.0),
        tenant("a", 1.0),
        tenant("", f64::NAN),
    ]);
    let errors = WorkloadSpec { tenants, ..reference() }
        .check()
        .expect_err("three are impossible");
    let fields: Vec<&str> = errors.as_slice().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "tenants[1].share",
            "tenants[2].name",
            "tenants[3].share",
            "tenants[3].name"
        ]
    );
}

/// The same bits on every build and machine; if this fails, say in the commit why traffic has changed.
#[test]
fn calls_are_golden() {
    let workload = open(reference());
    let mut arrivals = workload.arrivals(Dice::new(7)).expect("open");
    let mut hash = 0_u64;
    for number in 0..10_000 {
        let at = arrivals.next().expect("endless").as_nanos();
        let call = workload.call(Dice::new(7), number);
        let facts = [
            u64::from(call.prompt),
            u64::from(call.output),
            u64::from(call.tenant),
            u64::from(call.stream),
        ];
        for fact in facts.into_iter().chain([at]) {
            hash = (hash.rotate_left(5) ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    assert_eq!(hash, 0x0220_96d3_d184_bc85, "{hash:#x}");
}

proptest! {
    #[test]
    fn call_depends_on_its_number_alone(seed in any::<u64>(), number in any::<u64>(), other in any::<u64>()) {
        let workload = open(reference());
        let dice = Dice::new(seed);
        let call = workload.call(dice, number);
        let _ = workload.call(dice, other);
        prop_assert_eq!(workload.call(dice, number), call);
        prop_assert!(call.prompt != 0 && call.output != 0 && call.max_tokens == Some(call.output));
    }
}
