//! The reader of TOML files, apart from what the files are about.

#![cfg(feature = "file")]

use proptest::prelude::*;
use tollgate_core::file::{self, Problems, Section, Severity, kind};
use tollgate_core::policy;
use tollgate_core::time::Nanos;

const REFERENCE: &str = include_str!("policies/reference.toml");

fn rendered(problems: &Problems) {
    assert!(!problems.render(false).is_empty() && !problems.render(true).is_empty());
    for problem in problems.list() {
        let (line, column) = problems.line_and_column(problem.span);
        assert!(1 <= line && 1 <= column);
    }
}

fn judged(text: &str) {
    match policy::file::read("any.toml", text) {
        Ok((policy, warnings)) => {
            assert!(!policy.routes.is_empty() && warnings.errors() == 0);
        }
        Err(problems) => {
            assert!(0 < problems.errors());
            rendered(&problems);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        judged(&text);
    }

    /// Text that is nearly right goes deeper than noise does.
    #[test]
    fn any_mutation_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[-a-z0-9\"'=\\[\\]{}.,_\n\u{e9}\u{1f980}\r\t]{0,4}"), 1..6)
    ) {
        let mut text: Vec<char> = REFERENCE.chars().collect();
        for (at, length, with) in cuts {
            let start = at.index(text.len());
            let end = (start + length.index(8)).min(text.len());
            text.splice(start..end, with.chars());
        }
        judged(&text.into_iter().collect::<String>());
    }

    /// A value of one key put in the place of another: right in form, wrong in place.
    #[test]
    fn any_exchange_is_read_or_refused(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut lines: Vec<&str> = REFERENCE.lines().collect();
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        lines.swap(from, to);
        judged(&lines.join("\n"));
    }

    #[test]
    fn durations_are_read_as_they_are_written(nanos in 0_u64..3_000_000_000_000_000_000) {
        let length = Nanos::from_nanos(nanos);
        let text = format!("wait = \"{length}\"");
        let (read, _) = file::read("f", &text, |root| root.required("wait", kind::duration)).expect("a duration");
        prop_assert_eq!(read.map(|at| at.value), Some(length));
    }

    #[test]
    fn every_key_is_known_or_reported(asked in prop::collection::btree_set("[a-h]", 0..6), there in prop::collection::btree_set("[a-h]", 0..6)) {
        const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let text: String = there.iter().flat_map(|key| [key.as_str(), " = 1\n"]).collect();
        let read = file::read("f", &text, |root| {
            for key in KEYS.iter().filter(|key| asked.contains(**key)) {
                root.optional(key, kind::integer(0_u8, 9));
            }
        });
        let unknown = read.err().map_or(0, |problems| problems.errors());
        prop_assert_eq!(unknown, there.difference(&asked).count());
    }
}

fn one<T>(text: &str, read: impl Fn(&mut Section<'_>) -> Option<file::At<T>>) -> Option<T> {
    let (value, _) = file::read("f", text, |root| read(root)).ok()?;
    value.map(|at| at.value)
}

#[test]
fn durations_have_exact_units() {
    let read = |text: &str| one(&format!("x = \"{text}\""), |root| root.required("x", kind::duration));
    assert_eq!(read("9.5ms"), Some(Nanos::from_micros(9_500)));
    assert_eq!(read("2us"), Some(Nanos::from_micros(2)));
    assert_eq!(read("0s"), Some(Nanos::ZERO));
    assert_eq!(read("1.5h"), Some(Nanos::from_secs(5_400)));
    assert_eq!(read("36500d"), Some(kind::LONGEST));
    for wrong in [
        "", "s", "10", "10 s", "-1s", "1e3s", "1..5s", ".5s", "5.s", "10S", "1h30m", "36501d", "\u{663}s",
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn shares_rates_and_sizes() {
    let share = |text: &str| one(&format!("x = {text}"), |root| root.required("x", kind::share));
    assert_eq!(share("\"10%\""), Some(0.1));
    assert_eq!(share("1"), Some(1.0));
    assert_eq!(
        (share("nan"), share("1.1"), share("\"-1%\""), share("\"inf%\"")),
        (None, None, None, None)
    );
    let rate = |text: &str| one(&format!("x = \"{text}\""), |root| root.required("x", kind::rate));
    assert_eq!((rate("10/s"), rate("120/m")), (Some(10.0), Some(2.0)));
    assert_eq!(
        (rate("10"), rate("/s"), rate("inf/s"), rate("1/w")),
        (None, None, None, None)
    );
    let bytes = |text: &str| one(&format!("x = {text}"), |root| root.required("x", kind::bytes));
    assert_eq!((bytes("\"2MiB\""), bytes("512")), (Some(2 << 20), Some(512)));
    assert_eq!(
        (bytes("\"2 parsecs\""), bytes("\"99999999999GiB\""), bytes("-1")),
        (None, None, None)
    );
    let integer = |text: &str| {
        one(&format!("x = {text}"), |root| {
            root.required("x", kind::integer(1_u64, u64::MAX))
        })
    };
    assert_eq!(
        (integer("1_000"), integer("0x10"), integer("18446744073709551615")),
        (Some(1000), Some(16), Some(u64::MAX))
    );
}

#[test]
fn secrets_are_not_printed() {
    for secret in [
        "sk-abcdefghijklmnopqrstuvwxyz",
        "Bearer sk-abcdefghijklmnopqrstuv",
        "http://me:hunter2@host/",
    ] {
        let text = format!("name = [{{ deep = \"{secret}\" }}]\n");
        let problems = file::read("f", &text, |root| root.required("name", kind::name)).expect_err("a secret");
        assert!(
            !problems.to_string().contains(secret) && problems.to_string().contains("a secret"),
            "{problems}"
        );
    }
    let problems = file::read("f", "api_key = \"hunter2\"\n", |_| ()).expect_err("a secret");
    assert!(!problems.to_string().contains("hunter2"));
    assert_eq!(problems.errors(), 1, "said once");
}

#[test]
fn a_large_file_is_refused_unread() {
    let text = "#".repeat(file::MOST_BYTES + 1);
    let problems = file::read("f", &text, |_| ()).expect_err("too large");
    assert!(problems.to_string().contains("at most 4194304"), "{problems}");
}

#[test]
fn what_is_shown_is_bounded() {
    let text: String = (0..500).fold(String::new(), |text, at| text + &format!("k{at} = 1\n"));
    let problems = file::read("f", &text, |_| ()).expect_err("unknown keys");
    assert_eq!(problems.errors(), 500);
    assert!(problems.to_string().ends_with("… and 400 more\n"));
}

#[test]
fn places_are_lines_and_columns() {
    let text = "a = 1\r\n\u{e9}t\u{e9} = 1\n\"\u{e9}\" = 2\n";
    let problems = file::read("f", "a = 1\n\"\u{e9}\" = 1\nb = { x = 2 }\n", |root| {
        root.optional("a", kind::integer(0, 1_u8));
        root.table("b").map(|table| table.name().to_owned())
    })
    .expect_err("unknown keys");
    let places: Vec<_> = problems
        .list()
        .iter()
        .map(|problem| problems.line_and_column(problem.span))
        .collect();
    assert_eq!(places, [(2, 1), (3, 7)]);
    assert!(
        problems
            .list()
            .iter()
            .all(|problem| problem.severity == Severity::Error)
    );
    assert!(file::read("f", text, |_| ()).is_err());
}

/// Files as large as they may be, each of many small wrongs: none of them takes long.
#[test]
#[expect(
    clippy::disallowed_types,
    reason = "the test measures how long reading takes; nothing is decided by it"
)]
fn the_worst_files_are_told_quickly() {
    let unknown = (0..300_000).fold(String::new(), |text, at| text + &format!("k{at} = 1\n"));
    let nested = "[[route]]\npools = [\"x\"]\n".repeat(1_000);
    let tenants = (0..50_000).fold(String::new(), |text, at| {
        text + &format!("[[tenant]]\nname = \"tenant-{at}\"\n")
    });
    let named = "[[route]]\nname = \"r\"\nmatch = { tenant = \"tenant-x\" }\npools = []\n".repeat(1_000);
    let limits = (0..256).fold(String::new(), |text, at| {
        let when = format!(
            "path = \"*{at}*\", model = \"*{at}*\", role = \"r{}\", region = \"e{}\"",
            at % 16,
            at % 17
        );
        text + &format!("[[limit]]\nname = \"l{at}\"\nwhen = {{ {when} }}\nquota = {{ amount = 1, period = \"1s\" }}\n")
    });
    let line = format!("k = [{}]\n", "\"x\", ".repeat(500_000));
    let inline = (0..200_000).fold(String::from("pool = [{ "), |text, at| text + &format!("k{at} = 1, ")) + "}]\n";
    let keys = (0..100_000).fold(String::new(), |text, at| {
        text + &format!("[k{at}]\napi_key = \"secret\"\n")
    });
    for text in [
        inline,
        keys,
        unknown,
        nested,
        tenants + &named,
        limits,
        line,
        "[".repeat(1 << 20),
        "a.".repeat(1 << 20),
    ] {
        let begun = std::time::Instant::now();
        judged(&text);
        let took = begun.elapsed();
        assert!(took.as_secs() < 60, "{took:?} for {}…", &text[..20]);
    }
}
