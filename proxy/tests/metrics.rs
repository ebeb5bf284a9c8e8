//! Metrics: what is shown can be read, is in the table, and costs next to nothing to count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tollgate_core::fault::Fault;
use tollgate_core::gate::Gate;
use tollgate_core::id::{EndpointId, KeyHash, LimitId, RouteId};
use tollgate_core::lifecycle::{Ejection, End, Outcome, Refusal, Request};
use tollgate_core::memory::Shared;
use tollgate_core::policy::{Policy, file};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, PicoUsd, Usage};
use tollgate_proxy::observe::{Ended, Entry, Observer, Unconnected, page};
use tollgate_proxy::settings::Settings;

const POLICY: &str = r#"
[[tenant]]
name = "acme"

[[limit]]
name = "rpm \"quoted\" \\"
algorithm = "gcra"
unit = "requests"
per = ["tenant"]
quota = { amount = 10, period = "1m" }

[[limit]]
name = "adapts"
algorithm = "gradient"
unit = "in-flight"
per = []

[[pool]]
name = "chat"
  [[pool.endpoint]]
  name = "alpha"
  model = "small"
  [[pool.endpoint]]
  name = "beta"
  model = "small"
  [[pool.endpoint]]
  name = "gamma"
  provider = "anthropic"

[[route]]
name = "all"
pools = ["chat"]
hedge = { after = "1s" }
"#;

fn policy() -> Policy {
    file::read("policy.toml", POLICY).expect("a good policy").0
}

fn outcome(end: End) -> Outcome {
    Outcome {
        arrived: Instant::from_secs(1),
        admitted: Instant::from_secs(1),
        launched: Instant::from_secs(1),
        won: Instant::from_nanos(1_000_200_000),
        first_token: Instant::from_nanos(1_500_000_000),
        finished: Instant::from_secs(3),
        queue_wait: Nanos::from_micros(120),
        usage: Usage { input: 100, output: 31 },
        spent: PicoUsd(0),
        route: Some(RouteId(0)),
        endpoint: Some(EndpointId(1)),
        attempts: 2,
        retries: 1,
        hedges: 0,
        fallbacks: 0,
        stream: true,
        end,
    }
}

fn request() -> Request {
    let mut request = Request {
        estimate: Estimate {
            input: 90,
            output: Some(64),
            more: 0,
        },
        ..Request::default()
    };
    request.class.charges.push(LimitId(0), KeyHash(7));
    request
}

const ENTRY: Entry<'static> = Entry {
    id: "req_1",
    tenant: None,
    operation: None,
    model: "small",
    status: 200,
    lost: &[],
};

fn busy(observer: &Observer) {
    let refusals = [
        Refusal::Limited {
            limit: LimitId(0),
            until: Instant::FAR,
            overflow: true,
        },
        Refusal::TooLarge {
            limit: Some(LimitId(0)),
        },
        Refusal::TooLarge { limit: None },
        Refusal::QueueFull,
        Refusal::NoRoute,
    ];
    let refused = refusals.map(|refusal| End::Refused { refusal });
    let failed = End::Failed {
        refusal: Refusal::OutOfAttempts {
            fault: Fault::Server,
            until: Instant::FAR,
        },
    };
    for end in refused.into_iter().chain([End::Completed, End::Abandoned, failed]) {
        observer.arrived();
        observer.finished(&outcome(end), &request(), &ENTRY);
    }
    for status in [400, 401, 418] {
        observer.arrived();
        observer.turned_away(Instant::EPOCH, Instant::EPOCH, &Entry { status, ..ENTRY });
    }
    observer.arrived();
    for endpoint in [0, 1, 2].map(EndpointId) {
        observer.launched(endpoint);
        observer.connected(endpoint, Nanos::from_micros(70));
        observer.first_token(endpoint, Nanos::from_millis(300));
    }
    observer.ended(EndpointId(0), Ended::Answered);
    observer.ended(EndpointId(1), Ended::Stopped);
    for fault in Fault::ALL {
        observer.ended(EndpointId(2), Ended::Failed(fault));
    }
    observer.ejected(EndpointId(0), Ejection::Tripped, Instant::EPOCH, Instant::FAR);
    observer.restored(EndpointId(0));
    observer.received(10);
    observer.sent(20);
    observer.accepted(0);
    observer.accepted(0);
    observer.disconnected();
    observer.unconnected(Unconnected::Full);
}

/// What is shown of a process that has seen a little of everything.
fn shown() -> String {
    let policy = policy();
    let observer = Observer::new(&policy, &Settings::default());
    busy(&observer);
    let gate: Gate<Shared> = Gate::new(policy.clone());
    observer.metrics(&policy, &gate.snapshot(Instant::EPOCH), Instant::EPOCH, false)
}

/// A sample: its name, its labels as written, and its value.
type Sample = (String, Vec<(String, String)>, f64);

/// Reads the text format of `OpenMetrics`, and is strict about it.
fn read(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    let mut types = BTreeMap::new();
    let mut samples = Vec::new();
    let mut seen = BTreeSet::new();
    let mut family = String::new();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.pop(), Some("# EOF"), "it ends as it should");
    for line in lines {
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').expect("a word and more");
            let (name, value) = rest.split_once(' ').expect("a name and more");
            match what {
                "HELP" => {
                    assert!(value.ends_with('.') && !value.ends_with(".."), "{line}");
                }
                "TYPE" => {
                    assert!(
                        types.insert(name.to_owned(), value.to_owned()).is_none(),
                        "{line}: twice"
                    );
                    name.clone_into(&mut family);
                }
                "UNIT" => assert!(name.ends_with(value), "{line}"),
                other => panic!("{other}: {line}"),
            }
            continue;
        }
        assert!(
            seen.insert(line.rsplit_once(' ').expect("a value").0.to_owned()),
            "{line}: twice"
        );
        let sample = sample(line);
        assert!(sample.0.starts_with(&family), "{line}: out of its family {family}");
        samples.push(sample);
    }
    (types, samples)
}

fn sample(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(name_end);
    assert!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "{line}"
    );
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some((label, after)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().expect("a quote") {
                    (at, '"') => break at,
                    (_, '\\') => value.push(chars.next().expect("what is escaped").1),
                    (_, char) => value.push(char),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("{line}: not closed"));
    }
    let value = rest
        .trim_start()
        .parse()
        .unwrap_or_else(|_| panic!("{line}: no number"));
    (name.to_owned(), labels, value)
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_meant = |found: &[(String, String)]| {
        found.len() == labels.len()
            && labels
                .iter()
                .all(|(label, value)| found.iter().any(|(l, v)| l == label && v == value))
    };
    let found = samples.iter().find(|(n, found, _)| n == name && is_meant(found));
    found.unwrap_or_else(|| panic!("there is no {name} {labels:?}")).2
}

#[test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
fn what_is_shown_can_be_read() {
    let text = shown();
    let (types, samples) = read(&text);
    let v = |name: &str, labels: &[(&str, &str)]| value(&samples, name, labels);
    assert_eq!(
        v("tollgate_requests_total", &[("route", "all"), ("end", "completed")]),
        1.0
    );
    assert_eq!(
        v("tollgate_requests_total", &[("route", "none"), ("end", "refused")]),
        0.0
    );
    assert_eq!(
        v("tollgate_refusals_total", &[("route", "all"), ("cause", "too_large")]),
        2.0
    );
    assert_eq!(v("tollgate_direct_answers_total", &[("status", "other")]), 1.0);
    assert_eq!(v("tollgate_in_flight_requests", &[]), 1.0);
    assert_eq!(v("tollgate_open_connections", &[]), 1.0);
    assert_eq!(v("tollgate_e2e_seconds_count", &[("route", "all")]), 1.0);
    assert_eq!(v("tollgate_e2e_seconds_sum", &[("route", "all")]), 2.0);
    assert_eq!(
        v("tollgate_ttft_seconds_bucket", &[("route", "all"), ("le", "0.25")]),
        0.0
    );
    assert_eq!(
        v("tollgate_ttft_seconds_bucket", &[("route", "all"), ("le", "0.5")]),
        8.0
    );
    assert_eq!(
        v(
            "tollgate_attempts_total",
            &[("endpoint", "gamma"), ("end", "quota-exhausted")]
        ),
        1.0
    );
    let limit = ("limit", "rpm \"quoted\" \\");
    assert_eq!(
        v("tollgate_limiter_decisions_total", &[limit, ("decision", "wait")]),
        1.0
    );
    assert_eq!(
        v("tollgate_limiter_decisions_total", &[limit, ("decision", "never")]),
        1.0
    );
    assert_eq!(
        v("tollgate_limiter_decisions_total", &[limit, ("decision", "allow")]),
        5.0
    );
    assert_eq!(v("tollgate_limit_overflows_total", &[limit]), 1.0);
    assert_eq!(
        v("tollgate_budget_balance", &[("route", "all"), ("budget", "hedges")]),
        0.0
    );
    let of = [
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_provider_name", "openai"),
        ("gen_ai_request_model", "small"),
        ("gen_ai_token_type", "output"),
    ];
    assert_eq!(v("gen_ai_client_token_usage_sum", &of), 31.0);
    let hash = policy().hash.to_string();
    let build = [("version", env!("CARGO_PKG_VERSION")), ("policy", hash.as_str())];
    assert_eq!(v("tollgate_build_info", &build), 1.0);

    // Buckets are cumulative, and end with everything.
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let bucket = format!("{name}_bucket");
        let mut before: (Vec<(String, String)>, f64, f64) = (Vec::new(), 0.0, 0.0);
        for (_, labels, count) in samples.iter().filter(|(n, ..)| *n == bucket) {
            let (le, labels): (Vec<_>, Vec<_>) = labels.iter().cloned().partition(|(label, _)| label == "le");
            let le: f64 = le[0].1.parse().expect("a number or +Inf");
            if labels == before.0 {
                assert!(before.1 < le && before.2 <= *count, "{name} {labels:?} {le}");
            }
            if labels != before.0 {
                assert!(
                    before.0.is_empty() || before.1 == f64::INFINITY,
                    "{name}: no last bucket"
                );
            }
            if le == f64::INFINITY {
                let labels: Vec<_> = labels.iter().map(|(l, v)| (l.as_str(), v.as_str())).collect();
                assert_eq!(v(&format!("{name}_count"), &labels), *count, "{name}");
            }
            before = (labels, le, *count);
        }
    }
}

#[test]
fn what_is_shown_is_in_the_table() {
    let text = shown();
    let (types, samples) = read(&text);
    // | `name` | type | unit | labels | meaning |
    let page = page();
    let starts = ["| `tollgate_", "| `gen_ai_", "| `process_"];
    let is_metric = |line: &&str| starts.iter().any(|start| line.starts_with(start)) && line.split('|').count() == 7;
    let rows = page.lines().filter(is_metric);
    let mut documented = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels: BTreeSet<String> = cells[4].split(',').map(|label| label.trim().replace('`', "")).collect();
        documented.insert(cells[1].replace('`', ""), (cells[2].to_owned(), labels));
    }
    let base = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        let end = ends.iter().find_map(|end| name.strip_suffix(end));
        end.filter(|base| documented.contains_key(*base))
            .unwrap_or(name)
            .to_owned()
    };
    let mut found = BTreeSet::new();
    for (name, labels, _) in &samples {
        let base = base(name);
        let (_, documented) = documented.get(&base).unwrap_or_else(|| panic!("{name} is in no table"));
        let labels: BTreeSet<String> = labels
            .iter()
            .map(|(label, _)| label.clone())
            .filter(|label| label != "le")
            .collect();
        let none = BTreeSet::from(["–".to_owned()]);
        assert_eq!(if labels.is_empty() { &none } else { &labels }, documented, "{name}");
        found.insert(base);
    }
    for (name, (kind, _)) in &documented {
        assert!(
            cfg!(not(target_os = "linux")) || found.contains(name),
            "{name} is in the table and not shown"
        );
        let family = name.trim_end_matches("_total").trim_end_matches("_info");
        assert_eq!(types.get(family), Some(kind), "{name}");
    }
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, page()).expect("it can be written");
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(recorded, page(), "REWRITE=1 records it anew");
}

#[test]
fn counting_takes_no_memory() {
    let policy = policy();
    let observer = Observer::new(&policy, &Settings::default());
    let taken = allocation_counter::measure(|| busy(&observer));
    // The two messages about an endpoint format their fields.
    assert!(taken.count_total <= 4, "{taken:?}");
    let taken = allocation_counter::measure(|| observer.finished(&outcome(End::Completed), &request(), &ENTRY));
    assert_eq!(taken.count_total, 0);
}
