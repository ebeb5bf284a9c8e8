//! The reader and the description against published traces.
//!
//! The traces are other people's and are not in the repository. `TOLLGATE_TRACES` names the folder that has them;
//! without it these tests say that they were skipped.

#[path = "../../tests/skip/mod.rs"]
mod skip;

use std::path::{Path, PathBuf};

use tollgate_core::time::Nanos;
use tollgate_sim::trace::{Columns, Description, Format, ReadOptions, Trace};

use self::skip::skip;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_TRACES").map(PathBuf::from);
    if folder.is_none() {
        skip("TOLLGATE_TRACES does not name a folder of traces");
    }
    folder
}

fn described(folder: &Path, name: &str, options: &ReadOptions) -> Description {
    let trace = Trace::load(&folder.join(name), options).unwrap_or_else(|error| panic!("{error}"));
    trace.describe()
}

fn close(what: &str, value: Option<f64>, expected: f64, tolerance: f64) {
    let value = value.unwrap_or_else(|| panic!("{what} is not defined"));
    assert!(
        (value - expected).abs() <= tolerance,
        "{what}: {value} is not {expected} within {tolerance}"
    );
}

#[test]
fn azure_conversation_is_as_published() {
    let Some(folder) = folder() else { return };
    let found = described(&folder, "azure2023_conv_min00-35.csv", &ReadOptions::default());
    assert_eq!(found.calls, 12_337);
    close("rate", found.rate, 5.875, 0.001);
    let (prompt, output) = (found.prompt.expect("told"), found.output.expect("told"));
    assert_eq!((prompt.p50, prompt.p99), (1024, 4123));
    assert_eq!((output.p50, output.p99), (115, 602));
    // The full hour has 1.09, .87, .92 and 1.4 / 3.9 / 16; the first 35 minutes must be near.
    close("cv", found.gap_cv, 1.09, 0.05);
    close("gamma shape", found.gap_shapes.gamma, 0.87, 0.05);
    close("Weibull shape", found.gap_shapes.weibull, 0.92, 0.05);
    close("dispersion 1 s", found.windows[0].dispersion, 1.4, 0.2);
    close("dispersion 10 s", found.windows[1].dispersion, 3.9, 1.5);
    close("rank correlation", found.prompt_output_spearman, 0.07, 0.1);
}

#[test]
fn azure_code_is_far_from_poisson() {
    let Some(folder) = folder() else { return };
    let found = described(&folder, "azure2023_code_min00-35.csv", &ReadOptions::default());
    assert_eq!(found.calls, 6621);
    close("rate", found.rate, 3.182, 0.001);
    assert!(found.gap_cv.is_some_and(|cv| 5.0 < cv), "{found:?}");
    assert!(found.gap_shapes.gamma.is_some_and(|shape| shape < 0.5), "{found:?}");
    close(
        "prompt p50",
        found.prompt.map(|lengths| f64::from(lengths.p50)),
        1469.0,
        150.0,
    );
    close(
        "output p50",
        found.output.map(|lengths| f64::from(lengths.p50)),
        13.0,
        2.0,
    );
}

#[test]
fn mooncake_is_smoothed_within_its_clock() {
    let Some(folder) = folder() else { return };
    let found = described(&folder, "mooncake_conversation_min00-30.csv", &ReadOptions::default());
    assert_eq!(found.calls, 5719);
    close("rate", found.rate, 3.2, 0.1);
    close("cv", found.gap_cv, 1.0, 0.15);
    // On its grid 2.1 in 10 s, because some windows hold four points of it and some three; without it near Poisson.
    close("dispersion 10 s", found.windows[1].dispersion, 1.3, 0.2);
    close("dispersion 60 s", found.windows[2].dispersion, 2.6, 0.6);
    let (prompt, output) = (found.prompt.expect("told"), found.output.expect("told"));
    assert_eq!((prompt.p50, prompt.p99), (7640, 91_305));
    assert_eq!((output.p50, output.p99), (356, 1105));
}

#[test]
fn any_csv_by_its_columns() {
    let Some(folder) = folder() else { return };
    let named = |name: &str| Some(name.to_owned());
    let columns = Columns {
        time: "req_time_s".to_owned(),
        prompt: named("prompt_len"),
        output: named("output_len"),
        tenant: named("client_id"),
        ..Columns::default()
    };
    let options = ReadOptions {
        format: Format::Csv(columns),
        ..ReadOptions::default()
    };
    let found = described(&folder, "lmsys_arena_27clients_s000-300.csv", &options);
    assert_eq!(found.calls, 713);
    assert!((20..=27).contains(&found.tenants), "{}", found.tenants);
    close("rate", found.rate, 2.5, 0.3);
}

#[test]
fn servegen_keeps_the_rates_of_its_table() {
    let Some(folder) = folder() else { return };
    let options = ReadOptions {
        until: Some(Nanos::from_secs(12 * 3600)),
        ..ReadOptions::default()
    };
    let name = "servegen_deepseek-r1_h00-12_600s.csv";
    let found = described(&folder, name, &options);
    let table = std::fs::read_to_string(folder.join(name)).expect("readable");
    let rates = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2)?.parse::<f64>().ok());
    let expected = rates.sum::<f64>() * 600.0;
    // Bursty clients: three percent is about four standard deviations of the sum.
    let calls = found.rate.map(|rate| rate * found.duration_seconds);
    close("calls", calls, expected, 0.03 * expected);
}
