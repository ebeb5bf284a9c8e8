//! The access log: what is written, what is dropped, where it goes, and that it is a trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use serde_json::Value;
use tollgate_core::fault::Fault;
use tollgate_core::gate::Gate;
use tollgate_core::id::{EndpointId, RouteId, TenantId};
use tollgate_core::lifecycle::{End, Outcome, Refusal, Request};
use tollgate_core::memory::Shared;
use tollgate_core::policy::{Operation, Policy, file};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, PicoUsd, Usage};
use tollgate_proxy::clock::{Clock, SystemClock};
use tollgate_proxy::observe::{Entry, Observer};
use tollgate_proxy::settings::{AccessLog, Settings};
use tollgate_sim::trace::{Format, ReadOptions, Trace};

const POLICY: &str = r#"
[[tenant]]
name = "acme"
[[pool]]
name = "chat"
[[pool.endpoint]]
name = "alpha"
[[route]]
name = "all"
pools = ["chat"]
"#;

struct Process {
    folder: tempfile::TempDir,
    policy: Policy,
    observer: Observer,
}

impl Process {
    fn new() -> Process {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = file::read("policy.toml", POLICY).expect("a good policy").0;
        let mut settings = Settings::default();
        settings.log.access = AccessLog::File(folder.path().join("access.jsonl"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let observer = Observer::with_logs(&policy, &settings, &clock).expect("the log can be opened");
        Process {
            folder,
            policy,
            observer,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("access.jsonl")
    }

    /// A request that took `secs` and arrived at second `at`.
    fn request(&self, number: u64, at: u64, secs: u64, end: End) {
        self.observer.arrived();
        let outcome = Outcome {
            arrived: Instant::from_secs(at),
            finished: Instant::from_secs(at + secs),
            end,
            ..OUTCOME
        };
        let request = Request {
            estimate: Estimate {
                input: 90,
                output: Some(64),
                more: 0,
            },
            ..Request::default()
        };
        let id = format!("req_{number}");
        self.observer.finished(&outcome, &request, &Entry { id: &id, ..ENTRY });
    }

    fn figure(&self, name: &str) -> u64 {
        let gate: Gate<Shared> = Gate::new(self.policy.clone());
        let text = self
            .observer
            .metrics(&self.policy, &gate.snapshot(Instant::EPOCH), Instant::EPOCH, false);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.expect("the metric is there").parse().expect("a count")
    }
}

const OUTCOME: Outcome = Outcome {
    arrived: Instant::EPOCH,
    admitted: Instant::EPOCH,
    launched: Instant::EPOCH,
    won: Instant::FAR,
    first_token: Instant::FAR,
    finished: Instant::FAR,
    queue_wait: Nanos::from_micros(1_500),
    usage: Usage { input: 100, output: 31 },
    spent: PicoUsd(0),
    route: Some(RouteId(0)),
    endpoint: Some(EndpointId(0)),
    attempts: 2,
    retries: 1,
    hedges: 0,
    fallbacks: 0,
    stream: true,
    end: End::Open,
};

const ENTRY: Entry<'static> = Entry {
    id: "req_1",
    tenant: Some(TenantId(1)),
    operation: Some(Operation::Chat),
    model: "small",
    status: 200,
    lost: &[],
};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the log is there");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    lines.collect()
}

/// Waits until something holds that another thread brings about.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    const LONGEST: Duration = Duration::from_secs(30);
    let began = Moment::now();
    while !holds() {
        assert!(began.elapsed() < LONGEST, "{what}: not within {LONGEST:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_line_says_what_is_known() {
    let process = Process::new();
    let refusal = Refusal::OutOfAttempts {
        fault: Fault::Server,
        until: Instant::FAR,
    };
    process.request(1, 5, 2, End::Failed { refusal });
    process.observer.arrived();
    let long = "x".repeat(10_000);
    let entry = Entry {
        status: 401,
        tenant: None,
        model: &long,
        ..ENTRY
    };
    process
        .observer
        .turned_away(Instant::EPOCH, Instant::from_nanos(250_400), &entry);
    process.observer.close();

    let lines = lines(&process.path());
    assert_eq!(lines.len(), 2);
    let mut first = lines[0].clone();
    let time = first["time"].take();
    assert_eq!(time.as_str().map(str::len), Some("2026-01-02T03:04:05.678Z".len()));
    let expected = serde_json::json!({
        "time": null, "id": "req_1", "tenant": "acme", "route": "all", "operation": "chat", "model": "small",
        "endpoint": "alpha", "status": 200, "end": "failed", "cause": "out_of_attempts", "fault": "server",
        "stream": true, "prompt": 100, "prompt_estimate": 90, "output": 31, "max_tokens": 64,
        "attempts": 2, "retries": 1, "hedges": 0, "fallbacks": 0,
        "queue_wait_ms": 1.5, "ttft_ms": null, "e2e_ms": 2000.0, "overhead_ms": null,
        "policy": process.policy.hash.to_string(),
    });
    assert_eq!(first, expected);
    assert_eq!(lines[1]["end"], "direct");
    assert_eq!(lines[1]["e2e_ms"], 0.25);
    assert_eq!(lines[1]["tenant"], Value::Null);
    assert_eq!(lines[1]["model"].as_str().map(str::len), Some(128));
    assert_eq!(process.figure("tollgate_access_log_lines_total"), 2);
}

/// Lines stand in the order in which requests ended; the trace has them in the order in which they arrived.
#[test]
fn a_log_is_a_trace() {
    let process = Process::new();
    process.request(1, 11, 1, End::Completed);
    process.request(2, 12, 2, End::Abandoned);
    process.request(3, 10, 9, End::Completed);
    process.request(
        4,
        20,
        0,
        End::Refused {
            refusal: Refusal::QueueFull,
        },
    );
    process.observer.close();
    let trace = Trace::load(&process.path(), &ReadOptions::default()).expect("it is a trace");
    let close = |time: Nanos, secs: f64| (time.as_secs_f64() - secs).abs() < 0.5;
    let rows: Vec<_> = trace.rows().collect();
    let times = rows.iter().map(|row| row.time);
    assert!(
        times.zip([0.0, 1.0, 2.0, 10.0]).all(|(time, secs)| close(time, secs)),
        "{rows:?}"
    );
    let outputs: Vec<_> = rows.iter().map(|row| row.output.map(u32::from)).collect();
    assert_eq!(outputs, [Some(31), Some(31), None, None]);
    assert!(
        rows.iter()
            .all(|row| row.max_tokens.map(u32::from) == Some(64) && row.stream == Some(true))
    );
    assert_eq!(
        (trace.tenants(), trace.models()),
        (&["acme".to_owned()][..], &["small".to_owned()][..])
    );
    assert!(trace.notes().is_empty());

    let to = process.folder.path().join("trace.csv");
    let imported = tollgate_sim::trace::import(&process.path(), &ReadOptions::default(), &to, &mut |_| ());
    let imported = imported.expect("it can be converted");
    assert_eq!((imported.format, imported.rows), (Format::AccessLog, 4));
    let again = Trace::load(&to, &ReadOptions::default()).expect("it is a trace");
    assert!(again.rows().eq(trace.rows()));
}

/// A pipe that nobody reads stands in for a disk that hangs.
#[test]
#[cfg(target_os = "linux")]
fn dropped_lines_are_said() {
    use std::io::Read as _;
    use std::process::Command;

    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    // Opened for both, so that opening it waits for nobody.
    let mut reader = fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("the pipe is there");
    let mut settings = Settings::default();
    settings.log.access = AccessLog::File(pipe);
    let policy = file::read("policy.toml", POLICY).expect("a good policy").0;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let observer = Observer::with_logs(&policy, &settings, &clock).expect("the log can be opened");
    let process = Process {
        folder,
        policy,
        observer,
    };
    let mut sent = 0;
    while process.figure("tollgate_access_log_dropped_total") == 0 {
        for _ in 0..1_000 {
            process.request(sent, 1, 1, End::Completed);
            sent += 1;
        }
    }
    let dropped = process.figure("tollgate_access_log_dropped_total");
    let (sender, receiver) = std::sync::mpsc::channel();
    // Reads until the log has said of all of them that they are missing.
    let _reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let len = reader.read(&mut buffer).expect("the pipe can be read");
            text.extend_from_slice(&buffer[..len]);
            let whole = text.split_inclusive(|byte| *byte == b'\n');
            let lines: Vec<Value> = whole.filter_map(|line| serde_json::from_slice(line).ok()).collect();
            let said: u64 = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum();
            if dropped <= said {
                sender.send((lines, said)).expect("the test waits");
                return;
            }
        }
    });
    let (lines, said) = receiver.recv_timeout(Duration::from_secs(60)).expect("it is said");
    assert_eq!(said, dropped);
    // What is neither written nor dropped is on its way.
    let written = lines.iter().filter(|line| line["dropped"].is_null()).count() as u64;
    assert!(0 < written && written + said <= sent, "{written} {said} {sent}");
}

#[test]
#[cfg(unix)]
fn a_file_that_was_moved_is_opened_anew() {
    let process = Process::new();
    process.request(1, 1, 1, End::Completed);
    eventually("the first line", || !lines(&process.path()).is_empty());
    let moved = process.folder.path().join("access.jsonl.1");
    fs::rename(process.path(), &moved).expect("it can be moved");
    assert!(process.observer.reopen());
    eventually("a new file", || process.path().exists());
    process.request(2, 1, 1, End::Completed);
    process.observer.close();
    assert_eq!(lines(&moved).len(), 1);
    assert_eq!(lines(&process.path())[0]["id"], "req_2");
}

/// Nobody has to ask: whoever moves logs may not know how.
#[test]
#[cfg(unix)]
fn a_file_that_is_gone_is_noticed() {
    let process = Process::new();
    fs::remove_file(process.path()).expect("it is there");
    eventually("a new file", || {
        process.request(1, 1, 1, End::Completed);
        process.path().exists()
    });
}
