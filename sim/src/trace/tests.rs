//! Laws of reading.

#![expect(clippy::cast_precision_loss, reason = "statistics of small counts")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tollgate_core::time::Nanos;

use super::packed::MAX_TENANTS;
use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tollgate-trace-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a temporary file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn load(file: &Path) -> Result<Trace, TraceError> {
    Trace::load(file, &ReadOptions::default())
}

fn times(trace: &Trace) -> Vec<u64> {
    trace.rows().map(|row| row.time.as_nanos()).collect()
}

fn lengths(trace: &Trace) -> Vec<(u32, u32)> {
    trace
        .rows()
        .map(|row| (row.prompt.expect("told").get(), row.output.expect("told").get()))
        .collect()
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn azure_traces_of_both_years_are_recognized() {
    let folder = Folder::new("azure");
    let of_2023 = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
        2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n";
    let of_2024 = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
        2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:00.017335+00:00,2399,6\n";
    let trace = load(&folder.file("2023.csv", of_2023)).expect("a trace");
    assert_eq!(times(&trace), [0, 4_314_579_000]);
    assert_eq!(lengths(&trace), [(374, 44), (396, 109)]);
    assert_eq!(
        times(&load(&folder.file("2024.csv", of_2024)).expect("a trace")),
        [0, 7_405_000]
    );
}

#[test]
fn mooncake_is_read_as_json_and_as_csv() {
    let folder = Folder::new("mooncake");
    let json = "{\"timestamp\": 0, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}\n\
        {\"timestamp\": 1234, \"input_length\": 6472, \"output_length\": 26, \"hash_ids\": []}\n";
    let csv = "timestamp,input_length,output_length,hash_ids\n0,6955,52,46 47\n1234,6472,26,\n";
    for (name, text) in [("m.jsonl", json), ("m.csv", csv)] {
        let trace = load(&folder.file(name, text)).expect("a trace");
        assert_eq!(times(&trace), [0, 1_234_000_000], "{name}");
        assert_eq!(lengths(&trace), [(6955, 52), (6472, 26)], "{name}");
    }
}

#[test]
fn a_coarse_clock_gets_the_same_jitter_every_time_and_stays_sorted() {
    let folder = Folder::new("grid");
    let mut text = "timestamp,input_length,output_length\n".to_owned();
    for row in 0..3000 {
        writeln!(text, "{},{},7", row / 10 * 3000 - i32::from(row % 20 == 10), row + 1).expect("a string");
    }
    let file = folder.file("grid.csv", text);
    let trace = load(&file).expect("a trace");
    assert!(times(&trace).is_sorted());
    assert_eq!(load(&file).expect("a trace"), trace);
    for row in trace.rows() {
        let number = u64::from(row.prompt.expect("told").get()) - 1;
        let jitter = row.time.as_nanos() - number / 10 * 3 * SECOND;
        assert!(jitter < 3 * SECOND);
    }
    let offsets = trace
        .rows()
        .map(|row| (row.time.as_nanos() % (3 * SECOND)) as f64 / 1e9);
    let mean = offsets.sum::<f64>() / 3000.0;
    // Four standard errors of the mean of 3,000 uniform draws from 0 to 3.
    assert!((mean - 1.5).abs() < 4.0 * (0.75_f64 / 3000.0).sqrt(), "{mean}");
    let sorting = ReadOptions {
        sort: true,
        ..ReadOptions::default()
    };
    assert_eq!(Trace::load(&file, &sorting).expect("a trace"), trace);
}

#[test]
fn burstgpt_has_models_and_failures_of_no_tokens() {
    let folder = Folder::new("burstgpt");
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n";
    let trace = load(&folder.file("b.csv", text)).expect("a trace");
    assert_eq!(times(&trace), [5 * SECOND, 45 * SECOND]);
    assert_eq!(lengths(&trace), [(472, 18), (1087, 1)]);
    assert_eq!(trace.models(), ["ChatGPT", "GPT-4"]);
    assert_eq!(trace.row(1).expect("a row").model, Some(1));
}

#[test]
fn servegen_rates_become_calls_of_that_rate_and_burstiness() {
    let folder = Folder::new("servegen");
    let mut text = "client,timestamp,rate,cv,pattern,shape,scale\n".to_owned();
    for window in 0..200 {
        writeln!(
            text,
            "a,{0},2.0,3.0,Gamma,0.1111,4.5\nb,{0},1.0,2.0,Weibull,0.5427,0.575",
            window * 600
        )
        .expect("a string");
    }
    let trace = load(&folder.file("s.csv", text)).expect("a trace");
    assert_eq!(trace.tenants(), ["a", "b"]);
    assert!(times(&trace).is_sorted());
    for (tenant, rate, cv) in [(0, 2.0, 3.0), (1, 1.0, 2.0)] {
        let own: Vec<f64> = trace
            .rows()
            .filter(|row| row.tenant == Some(tenant))
            .map(|row| row.time.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = own.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
        // The number of calls has a standard deviation of cv times the root of their number.
        let calls = rate * 120_000.0;
        assert!(
            (own.len() as f64 - calls).abs() < 4.0 * cv * calls.sqrt(),
            "{} of {calls}",
            own.len()
        );
        assert!(
            (variance.sqrt() / mean / cv - 1.0).abs() < 0.04,
            "cv {}",
            variance.sqrt() / mean
        );
    }
    let row = trace.row(0).expect("a row");
    assert_eq!((row.prompt, row.output), (None, None));
}

#[test]
fn servegen_rates_hold_in_a_single_window_and_across_many() {
    // Shapes of cv 6 and 3, thirty calls a window: a fresh start at each window would add half of cv^2 - 1 calls to it.
    let folder = Folder::new("windows");
    let header = "client,timestamp,rate,cv,pattern,shape,scale\n";
    for (name, clients, windows, pattern, cv) in [
        ("across", 1, 5000, "Gamma,0.02778", 6.0),
        ("single", 5000, 1, "Gamma,0.1111", 3.0),
        ("weibull", 5000, 1, "Weibull,0.4205", 3.0),
    ] {
        let mut text = header.to_owned();
        for client in 0..clients {
            for window in 0..windows {
                writeln!(text, "{client},{},0.05,{cv},{pattern},1", window * 600).expect("a string");
            }
        }
        let trace = load(&folder.file(name, text)).expect("a trace");
        // Four standard deviations of the number of calls.
        let calls = 150_000.0_f64;
        let found = trace.len() as f64;
        assert!(
            (found - calls).abs() < 4.0 * cv * calls.sqrt(),
            "{name}: {found} of {calls}"
        );
    }
}

#[test]
fn any_csv_is_read_by_the_names_of_its_columns() {
    let folder = Folder::new("any");
    let text = "req_time_s,client_id,prompt_len,output_len\n1700000000.5,13,13,199\n1700000001.25,2,36,137\n";
    let columns = Columns {
        time: "req_time_s".to_owned(),
        prompt: Some("prompt_len".to_owned()),
        output: Some("output_len".to_owned()),
        tenant: Some("client_id".to_owned()),
        ..Columns::default()
    };
    let options = ReadOptions {
        format: Format::Csv(columns),
        ..ReadOptions::default()
    };
    let trace = Trace::load(&folder.file("any.csv", text), &options).expect("a trace");
    assert_eq!(times(&trace), [0, 750_000_000]);
    assert_eq!(trace.tenants(), ["13", "2"]);
}

#[test]
fn what_is_imported_is_what_was_read() {
    let folder = Folder::new("import");
    let text = "time,prompt,output,tenant,model,max_tokens,stream\n\
        0.000000001,10,20,acme,gpt,,true\n1.5,11,,\"a, b\",,64,false\n3,12,22,,gpt,,\n";
    let file = folder.file("in.csv", text);
    let to = folder.0.join("out.csv");
    let imported = import(&file, &ReadOptions::default(), &to, &mut |_| ()).expect("imported");
    assert_eq!(
        (imported.rows, imported.format, imported.tenants),
        (3, Format::Tollgate, 3)
    );
    assert_eq!(load(&to).expect("a trace"), load(&file).expect("a trace"));
    assert_eq!(load(&to).expect("a trace").tenants(), ["acme", "a, b", "anonymous"]);
    assert_eq!(
        fs::read_dir(&folder.0).expect("a folder").count(),
        2,
        "no part is left behind"
    );
}

#[test]
fn an_import_that_fails_leaves_the_target_alone() {
    let folder = Folder::new("atomic");
    let file = folder.file("in.csv", "time,prompt,output\n1,10,20\n2,x,20\n");
    let to = folder.file("out.csv", "precious");
    import(&file, &ReadOptions::default(), &to, &mut |_| ()).expect_err("x is no number");
    assert_eq!(fs::read(&to).expect("still there"), b"precious");
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 2);
}

#[test]
fn rows_are_sorted_or_refused() {
    let folder = Folder::new("sorted");
    let file = folder.file("in.csv", "time,prompt,output\n5,1,1\n7,2,1\n3,3,1\n7,4,1\n");
    let error = load(&file).expect_err("out of order").to_string();
    assert!(
        error.contains("in.csv:4: out of order: 4 s earlier than the row in line 3"),
        "{error}"
    );
    assert!(error.contains("--sort"), "{error}");
    let sorting = ReadOptions {
        sort: true,
        ..ReadOptions::default()
    };
    let trace = Trace::load(&file, &sorting).expect("a trace");
    assert_eq!(lengths(&trace), [(3, 1), (1, 1), (2, 1), (4, 1)]);
    let to = folder.0.join("out.csv");
    import(&file, &sorting, &to, &mut |_| ()).expect("imported");
    assert_eq!(load(&to).expect("now in order"), trace);
}

#[test]
fn reading_stops_where_it_is_told_to() {
    let folder = Folder::new("until");
    let file = folder.file("in.csv", "time,prompt,output\n1,1,1\n2,2,1\n3,not read,1\n");
    let options = ReadOptions {
        until: Some(Nanos::from_secs(2)),
        ..ReadOptions::default()
    };
    assert_eq!(Trace::load(&file, &options).expect("one row").len(), 1);
}

#[test]
fn bad_lines_are_named() {
    let folder = Folder::new("bad");
    let ours = "time,prompt,output\n1,10,20\n";
    for (content, expected) in [
        (String::new(), "the file is empty"),
        ("time,prompt,output\n".to_owned(), "no call in it"),
        (
            format!("{ours}2,10"),
            "bad.csv:3: 2 fields where the header has 3\n  = help: if this is the last line, the file was cut off",
        ),
        (
            format!("{ours}2,10,20,30\n"),
            "4 fields where the header has 3\n  = help: quote fields",
        ),
        (
            format!("{ours}2,ten,20\n"),
            "bad.csv:3: column `prompt`: \"ten\": not a number",
        ),
        (format!("{ours}2,NaN,20\n"), "column `prompt`: \"NaN\": not a number"),
        (format!("{ours}2,10,-20\n"), "column `output`: \"-20\": below zero"),
        (
            format!("{ours}2,10,99999999999\n"),
            "column `output`: \"99999999999\": more than 10000000",
        ),
        (format!("{ours}-2,10,20\n"), "out of order"),
        ("time,prompt,output\n-2,10,20\n".to_owned(), "below zero"),
        (
            format!("{ours},10,20\n"),
            "column `time`: \"\": nothing where a value must be",
        ),
        (format!("{ours}1e300,10,20\n"), "column `time`: \"1e300\": more than"),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n16.11.2023,1,1\n".to_owned(),
            "neither seconds nor a date",
        ),
        ("time,promt,output\n1,2,3\n".to_owned(), "tollgate: lacks prompt"),
        (
            "{\"timestamp\": 1, \"input_length\": 3}\n".to_owned(),
            "missing field `output_length`",
        ),
        (
            "client,timestamp,rate,cv,pattern,shape,scale\n1,0,2,1,Pareto,1,1\n".to_owned(),
            "not a known pattern",
        ),
        (
            "client,timestamp,rate,cv,pattern,shape,scale\n1,0,2,1,Gamma,0,1\n".to_owned(),
            "not between 0.001 and 100000",
        ),
    ] {
        let error = load(&folder.file("bad.csv", &content)).expect_err(&content).to_string();
        assert!(error.contains(expected), "{content:?} gave {error}");
    }
    let error = load(&folder.file("bad.csv", b"time,prompt,output,tenant\n1,2,3,\xff\xfe\n")).expect_err("not text");
    assert!(
        matches!(error.cause(), TraceCause::NotUtf8) && error.line() == Some(2),
        "{error}"
    );
    let error = load(&folder.0).expect_err("a folder");
    assert!(matches!(error.cause(), TraceCause::Directory), "{error}");
    let error = load(&folder.0.join("absent.csv")).expect_err("absent");
    assert!(matches!(error.cause(), TraceCause::Io(_)), "{error}");
}

#[test]
fn a_missing_column_names_the_nearest() {
    let folder = Folder::new("nearest");
    let file = folder.file("in.csv", "timestmp,tokens_in\n1,2\n");
    let columns = Columns {
        time: "timestamp".to_owned(),
        ..Columns::default()
    };
    let options = ReadOptions {
        format: Format::Csv(columns),
        ..ReadOptions::default()
    };
    let error = Trace::load(&file, &options).expect_err("misspelt").to_string();
    assert!(
        error.contains("no column \"timestamp\"\n  = help: did you mean \"timestmp\"?"),
        "{error}"
    );
}

#[test]
fn progress_is_told_and_room_is_made() {
    let folder = Folder::new("progress");
    let mut text = "time,prompt,output\n".to_owned();
    for row in 0..140_000 {
        writeln!(text, "{row},{},7", row % 900 + 1).expect("a string");
    }
    let of = text.len() as u64;
    let mut told = Vec::new();
    let file = folder.file("long.csv", text);
    let trace = Trace::load_with(&file, &ReadOptions::default(), &mut |now| told.push(now)).expect("a trace");
    assert_eq!(trace.len(), 140_000);
    assert_eq!(told.iter().map(|now| now.rows).collect::<Vec<_>>(), [65_536, 131_072]);
    assert!(
        told[0].bytes < told[1].bytes && told[1].bytes <= of && told[1].of == of,
        "{told:?}"
    );
}

fn any_row() -> impl Strategy<Value = TraceRow> {
    let length = || prop::option::of(any::<std::num::NonZeroU32>());
    let tenant = prop::option::of(0..u32::try_from(MAX_TENANTS).expect("22 bits"));
    let names = (tenant, prop::option::of(0..255_u8), any::<Option<bool>>());
    (any::<u64>(), length(), length(), length(), names).prop_map(
        |(nanos, prompt, output, max_tokens, (tenant, model, stream))| TraceRow {
            time: Nanos::from_nanos(nanos),
            prompt,
            output,
            max_tokens,
            tenant,
            model,
            stream,
        },
    )
}

proptest! {
    #[test]
    fn packing_loses_nothing(row in any_row()) {
        let mut trace = Trace::with_capacity(1);
        trace.push(&row);
        prop_assert_eq!(trace.row(0), Some(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(
        which in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..8),
        sort in any::<bool>(),
    ) {
        let samples = [
            "time,prompt,output,tenant,model,max_tokens,stream\n0,10,20,a,m,5,true\n1.25,11,21,b,m,,\n2e0,3,4,,,,0\n",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.99+01:00,1,2\n",
            "{\"timestamp\": 0, \"input_length\": 6955, \"output_length\": 52}\n{\"timestamp\": 3000, \"input_length\": 1, \"output_length\": 1}\n",
            "client,timestamp,rate,cv,pattern,shape,scale\n1,0,0.105,0.925,Gamma,1.168,8.056\n5,600,0.155,1.08,Weibull,0.86,7.4\n",
            "Timestamp,Model,Request tokens,Response tokens\n5,ChatGPT,472,18\n45,\"GPT,4\",1087,0\n",
        ];
        let mut bytes = samples[which].as_bytes().to_vec();
        for (index, byte, how) in changes {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        let folder = Folder::new("fuzz");
        let file = folder.file("fuzz.csv", &bytes);
        let options = ReadOptions { sort, until: Some(Nanos::from_secs(100_000)), ..ReadOptions::default() };
        match Trace::load(&file, &options) {
            Ok(trace) => {
                prop_assert!(times(&trace).is_sorted());
                prop_assert!(!trace.describe().to_string().is_empty());
            }
            Err(error) => prop_assert!(error.to_string().contains("help: ")),
        }
    }
}
