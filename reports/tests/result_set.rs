//! A result set on disk: what is written is read back, in form, all of it or none.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hdrhistogram::Histogram;
use tollgate_reports::result::{
    Cause, EndpointSeriesRow, EndpointSummary, FaultWindow, File, Keep, Latency, Metric, NamedHistogram,
    PercentileTable, ReadError, RequestCounts, RequestRow, ResultSet, SeriesRow, StrategySummary, Summary, TenantRow,
    WriteError, merge, store,
};

/// A directory of its own for one test, empty at the beginning.
fn fresh(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    dir
}

fn strategy(name: &str) -> StrategySummary {
    StrategySummary {
        name: name.into(),
        policy_hash: "5f1d".into(),
        calls: 23_600.0,
        requests: RequestCounts {
            offered: 24_000.0,
            admitted: Some(23_950.25),
            completed: 23_900.0,
            failed: 30.0,
            abandoned: 20.0,
            refused: BTreeMap::from([(Cause::Limited, 49.75)]),
        },
        attempts: Some(24_800.0),
        amplification: Some(0.1 + 0.2),
        e2e: Latency {
            mean: Some(1.9),
            p99: Some(6.0),
            ..Latency::default()
        },
        attainment: Some(0.973),
        ci95: BTreeMap::from([("e2e.p99".into(), [5.7, 6.3])]),
        endpoints: vec![EndpointSummary {
            name: "alpha, east".into(),
            attempts: 12_000.0,
            ..Default::default()
        }],
        faults: vec![FaultWindow {
            backend: "alpha".into(),
            kind: "outage".into(),
            end: 90.0,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn sample() -> ResultSet {
    let mut recorded = Histogram::<u64>::new(3).expect("three digits are supported");
    for ns in [900_000, 1_500_123, 2_000_000, 73_456_789] {
        recorded.record(ns).expect("it grows as needed");
    }
    let a = "peak EWMA, \"with\" breaker";
    ResultSet {
        summary: Summary {
            tollgate: "0.1.0".into(),
            scenario: "outage".into(),
            scenario_hash: "ab12".into(),
            seed: u64::MAX,
            replications: 5,
            simulated_seconds: 600.0,
            wall_seconds: Some(0.41),
            requests_per_wall_second: Some(4_100_000.0),
            notes: vec!["stopped after 3 of 5 replications".into()],
            strategies: vec![strategy(a), strategy("naïve"), strategy("負荷分散")],
            ..Default::default()
        },
        bin_seconds: 2.0,
        series: vec![SeriesRow {
            strategy: a.into(),
            second: 2.0,
            offered: 80.0,
            refused: BTreeMap::from([(Cause::Shed, 1.5)]),
            e2e_p99: Some(1.0 / 3.0),
            ..Default::default()
        }],
        endpoint_series: vec![EndpointSeriesRow {
            strategy: a.into(),
            endpoint: "alpha".into(),
            available: 0.25,
            ..Default::default()
        }],
        tenants: vec![TenantRow {
            strategy: a.into(),
            tenant: "acme".into(),
            cost_usd: Some(1.25),
            ..Default::default()
        }],
        histograms: vec![
            NamedHistogram::new(a, Metric::E2e, &recorded),
            NamedHistogram::new("負荷分散", Metric::QueueWait, &recorded),
        ],
        requests: Vec::new(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let dir = fresh("round-trip");
    let set = sample();

    let paths = set.write(&dir).expect("the directory is ours");
    assert!(paths.iter().all(|path| path.is_file()), "{paths:?}");
    assert_eq!(ResultSet::read(&dir).expect("it was just written"), set);
}

#[test]
fn equal_sets_give_equal_bytes() {
    assert_eq!(
        sample().data_files().expect("all is finite"),
        sample().data_files().expect("all is finite")
    );
}

#[test]
fn summary_json_keeps_its_form() {
    let mut summary = sample().summary;
    summary.strategies.truncate(1);
    insta::assert_snapshot!(summary.to_json().expect("all is finite"));
}

#[test]
fn csv_files_keep_their_columns() {
    let files = sample().data_files().expect("all is finite");
    let headers: Vec<String> = files
        .iter()
        .filter(|file| file.name.contains(".csv"))
        .map(|file| {
            let text = String::from_utf8_lossy(&file.bytes);
            format!("{}: {}", file.name, text.lines().next().unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(headers.join("\n"));
}

#[test]
fn what_is_undefined_is_null_and_never_nan() {
    let mut set = sample();
    set.summary.strategies[0].attainment = Some(f64::NAN);
    set.summary.strategies[0].e2e.p999 = Some(f64::INFINITY);
    set.summary.strategies[0]
        .ci95
        .insert("attainment".into(), [f64::NAN, 1.0]);
    set.series[0].e2e_p99 = Some(f64::NAN);

    for file in set.data_files().expect("what may be undefined may be anything") {
        let text = String::from_utf8(file.bytes).expect("text");
        assert!(
            !text.contains("NaN") && !text.to_lowercase().contains(",inf"),
            "{}",
            file.name
        );
    }
    assert!(
        set.summary
            .to_json()
            .expect("as above")
            .contains("\"attainment\": null")
    );
}

#[test]
fn a_count_that_is_not_finite_is_an_error_that_names_its_place() {
    let mut set = sample();
    set.series[0].in_flight = f64::NAN;
    let error = set.data_files().expect_err("a count must be defined").to_string();
    assert!(
        error.contains("series.csv") && error.contains("column in_flight"),
        "{error}"
    );

    let mut set = sample();
    set.summary.strategies[0].calls = f64::INFINITY;
    assert!(matches!(set.data_files(), Err(WriteError::Undefined { .. })));
}

#[test]
fn files_of_others_stay_and_ours_are_replaced() {
    let dir = fresh("replace");
    let mut set = sample();
    set.requests = vec![RequestRow {
        outcome: "completed".into(),
        ..Default::default()
    }];
    set.write(&dir).expect("new directory");
    fs::write(dir.join("notes.md"), "mine").expect("the directory is ours");
    assert!(dir.join("requests.csv").exists());

    set.requests.clear();
    set.summary.seed = 8;
    set.write(&dir).expect("an earlier result set");

    assert_eq!(fs::read_to_string(dir.join("notes.md")).expect("kept"), "mine");
    assert!(!dir.join("requests.csv").exists(), "a stale file of ours goes");
    assert_eq!(ResultSet::read(&dir).expect("just written").summary.seed, 8);
    let hidden = fs::read_dir(&dir).expect("readable").filter_map(Result::ok);
    assert!(
        hidden
            .into_iter()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
    );
}

#[test]
fn a_file_of_somebody_else_under_our_name_is_not_clobbered() {
    let dir = fresh("foreign");
    fs::create_dir_all(&dir).expect("temporary");
    for name in ["summary.json", "report.html"] {
        fs::write(dir.join(name), "{\"theirs\": true}").expect("temporary");
        let error = sample().write(&dir).expect_err("not ours to replace").to_string();
        assert!(error.contains(name) && error.contains("is in the way"), "{error}");
        assert_eq!(fs::read_dir(&dir).expect("readable").count(), 1, "nothing was added");
        fs::remove_file(dir.join(name)).expect("temporary");
    }
}

#[test]
fn a_directory_under_our_name_stops_everything_before_anything_changed() {
    let dir = fresh("directory");
    sample().write(&dir).expect("new directory");
    let before = fs::read(dir.join("summary.json")).expect("just written");
    fs::remove_file(dir.join("timeline.svg")).expect("ours");
    fs::create_dir(dir.join("timeline.svg")).expect("temporary");
    fs::write(dir.join("timeline.svg/treasure"), "theirs").expect("temporary");

    let mut set = sample();
    set.summary.seed = 99;
    let error = set.write(&dir).expect_err("not ours to replace").to_string();
    assert!(error.contains("timeline.svg is in the way"), "{error}");
    assert_eq!(fs::read(dir.join("summary.json")).expect("kept"), before);
    assert!(dir.join("timeline.svg/treasure").exists());
}

#[test]
fn a_replacement_that_fails_halfway_is_undone() {
    for keep in [Keep::Foreign, Keep::All] {
        let dir = fresh("undone");
        let written = sample().write(&dir).expect("new directory");
        let content = || {
            written
                .iter()
                .map(|path| fs::read(path).expect("still there"))
                .collect::<Vec<_>>()
        };
        let before = content();

        // A file cannot take the place of a directory that is not empty: the last rename fails.
        fs::create_dir_all(dir.join("zz/full")).expect("temporary");
        let files = ["summary.json", "series.csv", "zz"].map(|name| File::new(name, "new"));
        let error = store(&dir, &files, keep)
            .expect_err("a directory stands there")
            .to_string();
        assert!(error.contains("cannot replace") && error.contains("zz"), "{error}");
        assert_eq!(content(), before, "{keep:?}");
        assert_eq!(
            fs::read_dir(&dir).expect("readable").count(),
            written.len() + 1,
            "nothing is left over"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_with_a_remedy() {
    let dir = fresh("blocked");
    fs::create_dir_all(&dir).expect("temporary");
    let file = dir.join("file");
    fs::write(&file, "").expect("temporary");

    for target in [file.clone(), file.join("below")] {
        let error = sample().write(&target).expect_err("a file stands there").to_string();
        assert!(error.contains("file") && error.contains("--out"), "{error}");
    }
    assert_eq!(
        fs::read_dir(&dir).expect("readable").count(),
        1,
        "nothing is left half-written"
    );
}

#[test]
fn reading_what_is_no_result_set_says_so() {
    let dir = fresh("nothing");
    assert!(matches!(ResultSet::read(&dir), Err(ReadError::NotAResultSet { .. })));

    sample().write(&dir).expect("new directory");
    let path = dir.join("series.csv");
    let text = fs::read_to_string(&path)
        .expect("just written")
        .replace(",80,", ",eighty,");
    fs::write(&path, text).expect("ours");
    let error = ResultSet::read(&dir).expect_err("a word is no number").to_string();
    assert!(
        error.contains("series.csv:2: `offered` is not a number: `eighty`"),
        "{error}"
    );
}

/// A summary that lacks a key was not written by us as it stands: what it lacks would read as nothing or zero.
#[test]
fn every_key_of_a_summary_is_needed() {
    /// Each key with its path, once for all elements of a list.
    fn keys(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    found.push(format!("{path}/{key}"));
                    keys(value, &format!("{path}/{key}"), found);
                }
            }
            serde_json::Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    keys(value, &format!("{path}/{at}"), found);
                }
            }
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let dir = fresh("lacking");
    sample().write(&dir).expect("new directory");
    let path = dir.join("summary.json");
    let text = fs::read_to_string(&path).expect("just written");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut all = Vec::new();
    keys(&whole, "", &mut all);
    let is_free = |path: &str| path.contains("/ci95/") || path.contains("/refused/");
    for pointer in all.iter().filter(|path| !is_free(path)) {
        let mut lacking = whole.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a path");
        let parent = lacking.pointer_mut(parent).and_then(serde_json::Value::as_object_mut);
        parent.expect("it has keys").remove(key).expect("it is there");
        fs::write(&path, lacking.to_string()).expect("ours");
        let error = ResultSet::read(&dir).expect_err(pointer).to_string();
        let said = error.contains("summary.json: `") && error.contains(&format!("{key}` is missing; run `tollgate"));
        assert!(said, "{pointer}: {error}");
    }
    let lacking = text.replace("\"ejected_seconds\"", "\"ejected\"");
    fs::write(&path, lacking).expect("ours");
    let error = ResultSet::read(&dir).expect_err("a key is missing").to_string();
    assert!(
        error.contains("`strategies[0].endpoints[0].ejected_seconds` is missing"),
        "{error}"
    );
}

#[test]
fn percentile_tables_are_in_hdrhistogram_s_form() {
    let mut recorded = Histogram::<u64>::new(3).expect("three digits are supported");
    for ms in 1..=8_u64 {
        recorded.record(ms * 1_000_000).expect("it grows as needed");
    }
    let text = PercentileTable::from(&recorded).to_string();
    insta::assert_snapshot!(text);
}

#[test]
fn an_empty_distribution_is_an_empty_table() {
    let table = PercentileTable::from(&Histogram::<u64>::new(3).expect("three digits are supported"));
    assert!(table.rows.is_empty());
    assert_eq!(table.to_string().parse(), Ok(table));
}

#[test]
fn file_names_are_safe_and_unique() {
    let names = ["Peak EWMA + breaker!", "peak ewma / breaker", "負荷", "../../etc", ""];
    let summary = Summary {
        strategies: names.map(strategy).to_vec(),
        ..Default::default()
    };
    let expected = [
        "peak-ewma-breaker",
        "peak-ewma-breaker-2",
        "strategy-3",
        "etc",
        "strategy-5",
    ];
    assert_eq!(summary.slugs(), expected);
}

#[test]
fn drawing_again_keeps_the_data() {
    let dir = fresh("redraw");
    let mut set = sample();
    set.requests = vec![RequestRow::default()];
    set.write(&dir).expect("new directory");
    let before = fs::read(dir.join("report.html")).expect("written");
    fs::write(dir.join("timeline.svg"), "old").expect("ours");

    let again = ResultSet::read(&dir).expect("just written");
    again.write_report(&dir).expect("an earlier result set");

    assert!(dir.join("requests.csv").exists() && dir.join("series.csv").exists());
    assert_ne!(fs::read_to_string(dir.join("timeline.svg")).expect("drawn"), "old");
    assert_eq!(
        fs::read(dir.join("report.html")).expect("drawn"),
        before,
        "the same set, the same page"
    );
}

#[test]
fn every_file_of_a_set_is_known_as_ours() {
    for file in sample().files().expect("all is finite") {
        assert!(tollgate_reports::result::is_ours(&file.name), "{}", file.name);
    }
}

#[test]
fn only_the_wall_clock_differs_between_runs_of_one_seed() {
    let set = sample();
    let mut later = set.clone();
    later.summary.wall_seconds = Some(99.0);
    later.summary.requests_per_wall_second = Some(1.0);

    let (a, b) = (
        set.files().expect("all is finite"),
        later.files().expect("all is finite"),
    );
    let differing: Vec<&str> = a
        .iter()
        .zip(&b)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.name.as_str())
        .collect();
    assert_eq!(differing, ["summary.json"]);
}

#[test]
fn sets_laid_side_by_side_keep_apart() {
    let monday = sample();
    let mut tuesday = sample();
    tuesday.summary.seed = 8;
    tuesday.bin_seconds = 1.0;
    tuesday.series = [4.0, 5.0]
        .map(|second| SeriesRow {
            second,
            offered: 10.0,
            queued: Some(second),
            ..monday.series[0].clone()
        })
        .into();
    let one = merge(vec![("mon".into(), monday.clone())]);
    assert_eq!(one, monday, "one set is itself");

    let both = merge(vec![("mon".into(), monday), ("tue".into(), tuesday)]);
    let names: Vec<&str> = both
        .summary
        .strategies
        .iter()
        .map(|strategy| strategy.name.as_str())
        .collect();
    assert_eq!(names[0], "peak EWMA, \"with\" breaker (mon)");
    assert_eq!(names[3], "peak EWMA, \"with\" breaker (tue)");
    assert!(
        both.summary.notes.iter().any(|note| note.contains("differ in seed")),
        "{:?}",
        both.summary.notes
    );
    let wide: Vec<&SeriesRow> = both.series_of(names[3]).collect();
    assert_eq!(
        (wide.len(), wide[0].offered, wide[0].queued, wide[0].second),
        (1, 20.0, Some(4.5), 4.0)
    );
    assert!(both.histogram(names[3], Metric::E2e).is_some());
    both.files().expect("it writes and draws like any set");
}
