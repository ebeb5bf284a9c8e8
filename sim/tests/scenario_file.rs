//! Scenario files: what is read, what is refused, and in which words.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_core::dice::Dice;
use tollgate_core::policy;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::{FaultKind, Kind, Servers};
use tollgate_sim::scenario::{self, Folder, Scenario, Warmup, When};
use tollgate_sim::trace::Format;
use tollgate_sim::workload::{ArrivalSpec, ClientKind, MaxTokens, Noise, Patience, TenantsSpec};

const REFERENCE: &str = include_str!("scenarios/reference.toml");
const POLICY: &str = include_str!("scenarios/policies/only-alpha.toml");

fn shipped(name: &str) -> Option<&'static str> {
    (name == "policies/shipped.toml").then_some(POLICY)
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn good(text: &str) -> Scenario {
    let folder = tests().join("scenarios");
    let read = scenario::read("scenario.toml", text, &Folder::new(&folder, &shipped));
    let (scenario, warnings) = read.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");
    scenario
}

const BACKEND: &str = "[[backend]]\nname = \"alpha\"\nkind = \"queue\"\nservers = 1\nservice = \"1s\"\n";

fn with_arrivals(arrivals: &str) -> Scenario {
    good(&format!("name = \"s\"\n[workload]\narrivals = {arrivals}\n{BACKEND}"))
}

#[test]
fn the_reference_reads_as_it_says() {
    let scenario = good(REFERENCE);
    assert_eq!((scenario.name.as_str(), scenario.seed), ("two-providers-one-outage", 7));
    assert_eq!(scenario.run.duration, Some(Nanos::from_secs(600)));
    assert_eq!(scenario.run.warmup, Warmup::Length(Nanos::from_secs(60)));
    assert!(
        (scenario.workload.output_tokens.mean() - 20.0).abs() < 1e-9,
        "the mean of the file"
    );

    let Kind::Api(alpha) = &scenario.backends[0].kind else {
        panic!()
    };
    assert_eq!(alpha.quota.len(), 2);
    assert!((alpha.prefill - 8e-5).abs() < 1e-12 && (alpha.slow_share - 0.01).abs() < 1e-12);
    let Kind::Queue(beta) = &scenario.backends[1].kind else {
        panic!()
    };
    assert!((beta.service.mean() - 0.1).abs() < 1e-9);
    let Kind::Api(gamma) = &scenario.backends[2].kind else {
        panic!()
    };
    assert!(gamma.load_factor.is_none() && !gamma.quota.is_empty());
    let Kind::Queue(delta) = &scenario.backends[3].kind else {
        panic!()
    };
    assert!(delta.servers == Servers::Unbounded && delta.capacity.is_none());

    let outage = &scenario.faults[0];
    let window = When::Once {
        at: Instant::from_secs(180),
        lasts: Nanos::from_secs(90),
    };
    assert_eq!(
        (&outage.kind, &outage.when),
        (&FaultKind::Outage { status: 503 }, &window)
    );
    assert_eq!(scenario.faults[1].backends, [0, 1], "every backend of the region");

    assert_eq!(scenario.strategies.len(), 2);
    assert_eq!(scenario.strategies[1].text, POLICY, "from what is shipped");
}

#[test]
fn what_is_left_out_has_a_default() {
    let scenario = with_arrivals("{ process = \"poisson\", rate = 2.0 }");
    assert_eq!((scenario.seed, scenario.run.replications.get()), (7, 5));
    assert_eq!(scenario.run.duration, Some(Nanos::from_secs(600)));
    assert_eq!((scenario.run.requests, scenario.run.warmup), (None, Warmup::Share(0.1)));
    assert!((scenario.network.gateway_to_backend.mean() - 0.001).abs() < 1e-12);
    assert_eq!(scenario.workload.max_tokens, MaxTokens::Output);
    assert_eq!(scenario.workload.client.kind, ClientKind::OpenaiPython);
    assert_eq!(scenario.workload.client.patience, Patience::None);
    assert!(scenario.strategies.is_empty());
    let counted = good(&format!(
        "name = \"s\"\n[run]\nrequests = 10\n[workload]\narrivals = {{ process = \"poisson\", rate = 2.0 }}\n{BACKEND}"
    ));
    assert_eq!((counted.run.duration, counted.run.requests), (None, Some(10)));
}

#[test]
fn every_process_is_read() {
    let arrivals = |text| with_arrivals(text).workload.arrivals;
    assert_eq!(
        arrivals("{ process = \"deterministic\", rate = 1 }"),
        ArrivalSpec::Deterministic { rate: 1.0 }
    );
    assert_eq!(
        arrivals("{ process = \"gamma\", rate = 1.0, cv = 2 }"),
        ArrivalSpec::Gamma { rate: 1.0, cv: 2.0 }
    );
    assert_eq!(
        arrivals("{ process = \"weibull\", rate = 1.0, cv = 2 }"),
        ArrivalSpec::Weibull { rate: 1.0, cv: 2.0 }
    );
    let mmpp = arrivals("{ process = \"mmpp\", rates = [1, 9], holds = [\"1s\", \"2s\"] }");
    let holds = vec![Nanos::from_secs(1), Nanos::from_secs(2)];
    assert_eq!(
        mmpp,
        ArrivalSpec::Mmpp {
            rates: vec![1.0, 9.0],
            holds
        }
    );
    let hawkes = ArrivalSpec::Hawkes {
        rate: 1.0,
        branching: 0.5,
        decay: 2.0,
    };
    assert_eq!(
        arrivals("{ process = \"hawkes\", rate = 1, branching = 0.5, decay = 2 }"),
        hawkes
    );
    let steps = vec![(Nanos::ZERO, 40.0), (Nanos::from_secs(120), 400.0)];
    assert_eq!(
        arrivals("{ process = \"schedule\", steps = [[\"0s\", 40.0], [\"2m\", 400]], ramp = true, noise = \"none\" }"),
        ArrivalSpec::Schedule {
            steps,
            ramp: true,
            noise: Noise::None
        }
    );
    assert!(matches!(
        arrivals("{ process = \"diurnal\", mean = 2, peak_over_mean = 1.5, period = \"24h\" }"),
        ArrivalSpec::Diurnal { .. }
    ));
    let ArrivalSpec::Closed(closed) = arrivals("{ process = \"closed\", users = 3, think = \"2s\" }") else {
        panic!()
    };
    assert_eq!((closed.users, closed.think.mean().to_bits()), (3, 2.0_f64.to_bits()));
    let trace = arrivals("{ process = \"trace\", file = \"calls.csv\", format = \"tollgate\", speedup = 2 }");
    let ArrivalSpec::Trace(trace) = trace else { panic!() };
    assert!(trace.format == Format::Tollgate && trace.file.ends_with("scenarios/calls.csv"));
}

#[test]
fn clients_and_tenants_are_read() {
    let text = format!(
        "name = \"s\"\n[workload]\narrivals = {{ process = \"poisson\", rate = 2.0 }}\nmax_tokens = 99\n\
         tenants = [{{ name = \"a\", share = 3, role = \"vip\", priority = \"high\" }}, {{ name = \"b\" }}]\n\
         client = {{ kind = \"custom\", max_retries = 4, backoff = {{ base = \"1s\", jitter = 1 }}, patience = \"20s\" }}\n{BACKEND}"
    );
    let workload = good(&text).workload;
    let TenantsSpec::List(tenants) = workload.tenants else {
        panic!()
    };
    assert_eq!((tenants.len(), tenants[0].role.as_str()), (2, "vip"));
    assert_eq!(
        (workload.max_tokens, workload.client.max_retries),
        (MaxTokens::Number(99), Some(4))
    );
    let ClientKind::Custom {
        backoff,
        honours_retry_after,
    } = workload.client.kind
    else {
        panic!()
    };
    assert_eq!(
        (backoff.base, backoff.max, honours_retry_after),
        (Nanos::from_secs(1), Nanos::from_secs(8), true)
    );
    assert!(matches!(workload.client.patience, Patience::Within(_)));
}

#[test]
fn incidents_are_drawn_once_a_replication_and_shared_by_a_region() {
    let scenario = good(REFERENCE);
    let drawn = scenario.incidents(Dice::new(1));
    assert_eq!(drawn, scenario.incidents(Dice::new(1)));
    assert_ne!(drawn, scenario.incidents(Dice::new(2)));
    let slow = |at: usize| -> Vec<_> {
        let slow = drawn[at]
            .iter()
            .filter(|fault| matches!(fault.kind, FaultKind::Brownout { .. }));
        slow.map(|fault| (fault.at, fault.lasts)).collect()
    };
    assert!(!slow(0).is_empty() && slow(0) == slow(1));
    assert!(slow(2).is_empty());
    assert_eq!(drawn[0].len(), slow(0).len() + 1, "and the outage");
}

#[test]
fn endpoints_are_bound_to_backends_by_name() {
    let scenario = good(REFERENCE);
    let (known, _) = policy::file::read("p", POLICY).expect("a policy");
    assert_eq!(
        scenario.bind(&[("a", &known), ("b", &known)]),
        Ok(vec![vec![0], vec![0]])
    );
    let (unknown, _) = policy::file::read("p", &POLICY.replace("alpha", "alhpa")).expect("a policy");
    let unbound = scenario
        .bind(&[("a", &known), ("b", &unknown)])
        .expect_err("no such backend");
    let told: Vec<String> = unbound.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["strategy `b`: no backend is called `alhpa`\n  = help: did you mean `alpha`?"]
    );
}

/// The hash names result sets: it must not move when the reader does.
#[test]
fn hash_is_pinned_and_ignores_layout() {
    assert_eq!(good(REFERENCE).hash.to_string(), "34a05ba3ec560518");
    let spaced = REFERENCE
        .replace('\n', "\n# Again.\n")
        .replace("seed = 7", "seed = 0x7");
    assert_eq!(good(REFERENCE).hash, good(&spaced).hash);
    let other = REFERENCE.replace("seed = 7", "seed = 8");
    assert_ne!(good(REFERENCE).hash, good(&other).hash);
}

/// Every file of `scenario_errors` is refused, or warned of, in the words of the `.txt` beside it. With `REWRITE=1`
/// the words are written instead.
#[test]
fn problems_are_told_as_recorded() {
    let (errors, scenarios) = (tests().join("scenario_errors"), tests().join("scenarios"));
    let entries = fs::read_dir(&errors)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|of| of == "toml"))
        .collect();
    files.sort();
    assert!(25 <= files.len(), "the bad files are gone");
    let mut differing = Vec::new();
    for path in &files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let text = fs::read_to_string(path).expect("a file");
        let problems = match scenario::read(name, &text, &Folder::new(&scenarios, &shipped)) {
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

mod any_text {
    use proptest::prelude::*;
    use tollgate_sim::scenario::{self, Folder};

    use super::REFERENCE;

    fn judged(text: &str) {
        if let Err(problems) = scenario::read("any.toml", text, &Folder::nowhere()) {
            assert!(0 < problems.errors() && !problems.to_string().is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_mutation_is_read_or_refused(
            cuts in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[-a-z0-9\"'=\\[\\]{}.,_\n\u{e9}]{0,4}"),
                1..6,
            )
        ) {
            let mut text: Vec<char> = REFERENCE.chars().collect();
            for (at, length, with) in cuts {
                let start = at.index(text.len());
                let end = (start + length.index(8)).min(text.len());
                text.splice(start..end, with.chars());
            }
            judged(&text.into_iter().collect::<String>());
        }

        /// Numbers of every size where numbers stand.
        #[test]
        fn any_number_is_read_or_refused(at in any::<prop::sample::Index>(), number in any::<f64>(), whole in any::<bool>()) {
            let places: Vec<usize> = REFERENCE
                .match_indices(|char: char| char.is_ascii_digit())
                .map(|(at, _)| at)
                .collect();
            let at = places[at.index(places.len())];
            let number = if whole { format!("{:.0}", number.clamp(-1e18, 1e18)) } else { format!("{number:?}") };
            judged(&format!("{}{number}{}", &REFERENCE[..at], &REFERENCE[at + 1..]));
        }
    }
}
