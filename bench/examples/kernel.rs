//! The rich kernel by hand and through the whole lifecycle, side by side.
//!
//! ```text
//! kernel                        every figure below
//! kernel time [requests]        time on the processor a request, the least of seven rounds in turn
//! kernel threads [requests]     the same with two replications on two threads
//! kernel memory                 peak memory of 1e5 and of 1e7 requests, each in a process of its own
//! kernel queue [requests]       M/M/8 through the same lifecycle, the least of five rounds: for bench/peers/engines.sh
//! kernel floor|keyed|engine|mm8 N   one run of N requests: for callgrind and perf
//! ```

#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

use std::num::NonZeroU32;
use std::process::Command;
use std::time::Instant;

use tollgate_bench::draws::{Keyed, Sequential};
use tollgate_bench::{floor, model};
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::record::{Quiet, Record};

const ROUNDS: u32 = 7;
const SEED: u64 = 7;
const SERVERS: NonZeroU32 = NonZeroU32::new(8).expect("not zero");

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let requests = args.next().map(|n| n.parse().expect("a number of requests"));
    match what.as_str() {
        "time" => time(requests.unwrap_or(500_000)),
        "threads" => threads(requests.unwrap_or(1_000_000)),
        "memory" => memory(),
        "queue" => queue(requests.unwrap_or(1_000_000)),
        "" => {
            time(500_000);
            threads(1_000_000);
            memory();
        }
        kind => {
            run(kind, requests.unwrap_or(1_000_000));
            println!("peak_kib {}", peak_kib());
        }
    }
}

/// One run; the share refused and the mean latency in seconds.
fn run(kind: &str, requests: u64) -> (f64, f64) {
    let by_hand = |answers: floor::Answers| (answers.refused_share(), answers.mean());
    match kind {
        "floor" => by_hand(floor::run::<Sequential>(SEED, requests)),
        "keyed" => by_hand(floor::run::<Keyed>(SEED, requests)),
        "engine" => summary(&simulate(&model::plan(SEED, requests), 0)),
        "mm8" => summary(&simulate(&model::station(SEED, SERVERS, requests), 0)),
        kind => panic!("there is no `{kind}`: floor, keyed, engine or mm8"),
    }
}

/// The only place that runs an engine: code that is there twice is not inlined as it is for a user.
fn simulate(plan: &Plan, replication: u64) -> Record<Quiet> {
    let engine = Engine::new(plan, replication, Quiet);
    engine.run(|_| true).expect("nobody stops it")
}

fn summary(record: &Record<Quiet>) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a share, read to four digits")]
    let refused = record.counts.refused[0] as f64 / record.counts.offered as f64;
    (refused, record.latencies.e2e.mean().expect("some are answered"))
}

/// In turn, so that whatever else the machine does meets all of them.
fn time(requests: u64) {
    let kinds = ["floor", "keyed", "engine"];
    let mut least = [f64::INFINITY; 3];
    let mut answers = [(0.0, 0.0); 3];
    for _ in 0..ROUNDS {
        for (at, kind) in kinds.iter().enumerate() {
            let before = on_processor();
            answers[at] = run(kind, requests);
            #[expect(clippy::cast_precision_loss, reason = "nanoseconds, read to three digits")]
            let spent = (on_processor() - before) as f64 / requests as f64;
            least[at] = least[at].min(spent);
        }
    }
    for (at, kind) in kinds.iter().enumerate() {
        let (refused, mean) = answers[at];
        println!(
            "{kind:7} {:6.1} ns a request, {:4.2} x floor, {:5.2} million a second and core; refused {:.2} %, mean {:.2} ms",
            least[at],
            least[at] / least[0],
            1e3 / least[at],
            100.0 * refused,
            1e3 * mean,
        );
    }
}

/// Eight servers and one queue.
fn queue(requests: u64) {
    let plan = model::station(SEED, SERVERS, requests);
    let mut least = f64::INFINITY;
    let mut stays = (0.0, 0.0);
    for _ in 0..5 {
        let before = on_processor();
        let record = simulate(&plan, 0);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds, read to three digits")]
        let spent = (on_processor() - before) as f64 / requests as f64;
        least = least.min(spent);
        let e2e = &record.latencies.e2e;
        stays = e2e.mean().zip(e2e.quantile(0.99)).expect("some are answered");
    }
    let (mean, p99) = stays;
    println!(
        "tollgate {least:.1} ns a request, mean {:.2} ms, p99 {:.1} ms",
        1e3 * mean,
        1e3 * p99
    );
}

/// Two replications one after the other, and side by side: on the wall, and by time on the processor, which tells what
/// they take from each other even where others keep the processors busy.
fn threads(requests: u64) {
    let plan = model::plan(SEED, requests);
    let timed = |replication| {
        let before = on_processor();
        simulate(&plan, replication);
        on_processor() - before
    };
    let start = Instant::now();
    let alone = timed(0) + timed(1);
    let one = start.elapsed();
    let start = Instant::now();
    let together: u64 = std::thread::scope(|scope| {
        let threads = [0, 1].map(|replication| scope.spawn(move || timed(replication)));
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .sum()
    });
    let two = start.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds, read to three digits")]
    let undisturbed = 2.0 * alone as f64 / together as f64;
    println!(
        "two threads: {:.2} x by the clock, {undisturbed:.2} x by time on the processor",
        one.as_secs_f64() / two.as_secs_f64()
    );
}

fn memory() {
    let peak = |requests: u64| {
        let program = std::env::current_exe().expect("a running program has a path");
        let output = Command::new(program)
            .args(["engine", &requests.to_string()])
            .output()
            .expect("a program can run itself");
        let text = String::from_utf8(output.stdout).expect("it prints text");
        let number = text.trim().strip_prefix("peak_kib ").expect("it prints its peak");
        number.parse::<f64>().expect("it prints a number")
    };
    let (few, many) = (peak(100_000), peak(10_000_000));
    println!(
        "peak memory: {:.1} MiB at 1e5 requests, {:.1} MiB at 1e7, {:.2} x",
        few / 1024.0,
        many / 1024.0,
        many / few
    );
}

/// Nanoseconds that this thread has been on a processor: unlike time on the wall, not what others take.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux with scheduler statistics");
    let first = text.split_whitespace().next().expect("three numbers");
    first.parse().expect("a number")
}

/// Peak resident memory of this process.
fn peak_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("a Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .expect("it names the peak");
    number.parse().expect("a number")
}
