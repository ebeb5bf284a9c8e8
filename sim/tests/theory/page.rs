//! `docs/validation.md`: what was measured of every case, or why it was not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::case::{Case, Measured};

/// Cases that are not measured, by the beginning of their name, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("dev-decode-", "backends that batch are not built"),
    ("dev-ring-", "hash rings are not built"),
    ("dev-boundedload-", "hash rings are not built"),
    ("dev-golden-c3", "C3 is not built"),
    ("dev-golden-hcl", "Prequal is not built"),
];

const BEGIN: &str = "\
# What is simulated, against theory

Every case of the table of reference values that tollgate is held to: closed forms of queueing theory, golden vectors of published
algorithms, and simulations of high precision made by others.
This page is written by the test that measures them (`REWRITE=1 cargo test -p tollgate-sim --test theory`), and compared
with what it measures every time it runs: the same seed gives the same numbers.

*Way* says what was measured: `gateway` and `backend` are whole simulations, from a policy and a scenario as a user would write
them, through the life of every request, with the queue of the gateway or of the backend; a limiter's name is the limiter before
it; `shadow` is a breaker that watches and decides nothing; `law` is the algorithm by itself.
*Error* is relative, unless the tolerance is marked `abs`; of a list it is the largest. A *bound* is met from below.
The tolerances are those of the table: about four standard deviations of one run of so many requests, or zero.

";

/// Why `case` is not measured, if it is not.
pub(crate) fn left_out(case: &Case) -> Option<&'static str> {
    let found = LEFT_OUT.iter().find(|(prefix, _)| case.id.starts_with(prefix));
    found.map(|(_, why)| *why)
}

/// Compares the page with what was measured, or writes it if REWRITE is set and everything was measured.
pub(crate) fn check(cases: &[Case], table: &[Measured], is_whole: bool) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/validation.md");
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("REWRITE").is_some() && is_whole {
        std::fs::write(&path, page(cases, table)).expect("the page can be written");
        return;
    }
    for row in table {
        let line = line(row);
        assert!(
            there.lines().any(|known| known == line),
            "docs/validation.md does not say what was measured; REWRITE=1 writes it anew:\n{line}"
        );
    }
}

fn page(cases: &[Case], table: &[Measured]) -> String {
    let mut text = BEGIN.to_owned();
    let _ = writeln!(
        text,
        "{} cases, {} of them measured in {} ways; {} are left out, with the reason in the last table.\n",
        cases.len(),
        cases.iter().filter(|case| left_out(case).is_none()).count(),
        table.len(),
        cases.iter().filter(|case| left_out(case).is_some()).count()
    );
    let mut models: Vec<&str> = Vec::new();
    for case in cases.iter().filter(|case| left_out(case).is_none()) {
        if !models.contains(&case.model.as_str()) {
            models.push(&case.model);
        }
    }
    let rows: BTreeMap<&str, Vec<&Measured>> = table.iter().fold(BTreeMap::new(), |mut rows, row| {
        rows.entry(row.id.as_str()).or_insert_with(Vec::new).push(row);
        rows
    });
    for model in models {
        let _ = writeln!(
            text,
            "## {model}\n\n| case | way | metric | expected | measured | error | tolerance |\n|---|---|---|---|---|---|---|"
        );
        for case in cases.iter().filter(|case| case.model == model) {
            for row in rows.get(case.id.as_str()).into_iter().flatten() {
                let _ = writeln!(text, "{}", line(row));
            }
        }
        text.push('\n');
    }
    text.push_str("## Left out\n\n| case | why |\n|---|---|\n");
    for case in cases {
        if let Some(why) = left_out(case) {
            let _ = writeln!(text, "| {} | {why} |", case.id);
        }
    }
    text
}

fn line(row: &Measured) -> String {
    let [expected, found] = [&row.expected, &row.found].map(|text| short(text));
    let tolerance = if row.is_absolute {
        format!("{} abs", row.tolerance)
    } else if row.tolerance == 0.0 {
        "0".to_owned()
    } else {
        format!("{} %", rounded(row.tolerance * 100.0))
    };
    let error = match row.error {
        0.0 => "0".to_owned(),
        error if row.is_absolute => format!("{error:+.5}"),
        error => format!("{:+.3} %", error * 100.0),
    };
    let metric = row.metric.replace('|', "\\|");
    format!(
        "| {} | {} | {metric} | {expected} | {found} | {error} | {tolerance} |",
        row.id, row.way
    )
}

/// A list by its length, a number to seven digits.
fn short(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) => rounded(number),
        Err(_) if text.starts_with('[') => {
            let items = text.trim_matches(['[', ']']).split(',').count();
            format!("{items} values")
        }
        Err(_) => text.replace('|', "\\|"),
    }
}

fn rounded(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" && number != 0.0 {
        format!("{number:.3e}")
    } else {
        text.to_owned()
    }
}
