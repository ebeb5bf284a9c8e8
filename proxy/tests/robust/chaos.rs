//! Endpoints that are killed, hang and are reset under load; clients that go in the middle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant as Moment;

use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::server::WireKind;

use crate::client::{Client, body, code, post};
use crate::mock::Mock;
use crate::world::{SOON, World, policy};

/// How requests have ended, as their clients saw it.
#[derive(Debug, Default)]
struct Seen {
    /// All that there was to be.
    whole: AtomicUsize,
    /// Refused in form.
    refused: AtomicUsize,
    /// A stream whose last event is an error in form.
    told: AtomicUsize,
    /// An answer that should come whole and is shorter than it says.
    cut: AtomicUsize,
    /// Left by their clients.
    left: AtomicUsize,
}

impl Seen {
    fn all(&self) -> usize {
        let counts = [&self.whole, &self.refused, &self.told, &self.cut, &self.left];
        counts.iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }
}

const CLIENTS: usize = 120;
/// Requests that end between one mischief and the next.
const BETWEEN: usize = 250;

fn chat(stream: bool, tokens: u32) -> Vec<u8> {
    post(&body(stream), &format!("x-mock-output-tokens: {tokens}\r\n"))
}

/// One request; how it ended is asserted to be one of the ways in which requests may end.
fn ask(world: &World, number: usize, seen: &Seen) {
    let stream = !number.is_multiple_of(3);
    let mut client = world.connect();
    client.send(&chat(stream, 20));
    if number % 10 == 1 {
        // It leaves after whatever comes first.
        client.more();
        drop(client);
        seen.left.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let answer = client.answer().expect("every request is answered");
    let ended = if answer.status != 200 {
        assert!([429, 502, 503, 504].contains(&answer.status), "{answer:?}");
        answer.code();
        &seen.refused
    } else if !stream {
        if answer.is_whole { &seen.whole } else { &seen.cut }
    } else {
        assert!(answer.is_whole, "{answer:?}");
        let text = answer.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        match last.strip_prefix("data: ") {
            Some("[DONE]") => &seen.whole,
            Some(error) => {
                code(&serde_json::from_str(error).unwrap_or_else(|_| panic!("{error}")));
                &seen.told
            }
            None => panic!("{text}"),
        }
    };
    ended.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn endpoints_that_fail_under_load_leave_nothing_behind() {
    let mocks = [Mock::new("alpha", 0.01, 0.001), Mock::new("beta", 0.01, 0.001)];
    let addresses: Vec<_> = mocks.iter().map(|mock| mock.address).collect();
    let text = policy(&addresses, "queue = { order = \"fifo\", length = 100, wait = \"1s\" }")
        .replace("\"10s\"", "\"500ms\"")
        .replace("floor = \"1000/s\"", "floor = \"10/s\"")
        .replace("max_attempts = 2", "max_attempts = 3")
        .replace(
            "health = { kind = \"off\" }",
            "health = { kind = \"consecutive\", failures = 5, open = \"200ms\", probes = 1 }",
        )
        .replace("provider = \"openai\"", "provider = \"openai\"\nmax_in_flight = 100");
    let world = World::with(&text, "");
    let seen = Seen::default();
    let is_over = AtomicBool::new(false);
    let began = Moment::now();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (world, seen, is_over) = (&world, &seen, &is_over);
            scope.spawn(move || {
                let mut number = client;
                while !is_over.load(Ordering::SeqCst) {
                    ask(world, number, seen);
                    number += CLIENTS + 1;
                }
            });
        }
        // However the mischief ends, so do the clients.
        let _ender = Ender(&is_over);
        let go_on = || {
            let until = seen.all() + BETWEEN;
            let began = Moment::now();
            while seen.all() < until {
                assert!(began.elapsed() < SOON * 2, "requests do not end any more: {seen:?}");
                std::thread::yield_now();
            }
        };
        go_on();
        for mock in &mocks {
            mock.kill();
            go_on();
            mock.revive();
            for kind in [
                WireKind::Hang { after: 0 },
                WireKind::Hang { after: 700 },
                WireKind::Reset { after: None },
                WireKind::Reset { after: Some(700) },
                WireKind::Truncate { after: 700 },
                WireKind::Garbage,
            ] {
                mock.spoil(kind);
                go_on();
                mock.server.clear();
            }
            go_on();
        }
    });
    world.settle();
    let seconds = began.elapsed().as_secs_f64();
    let all = seen.all();
    assert!(
        all / 2 < seen.whole.load(Ordering::SeqCst),
        "one endpoint was always well: {seen:?}"
    );
    for mock in &mocks {
        let stats = mock.server.stats();
        assert!(
            stats.attempts.keys().all(|attempt| *attempt < 3),
            "{:?}",
            stats.attempts
        );
        assert_eq!(
            (stats.jobs, stats.open_streams),
            (0, 0),
            "{} works for nobody",
            stats.backend
        );
    }
    let log = world.access_log(all);
    assert_eq!(log.len(), all, "a line for each request");
    let of = |name: &'static str| log.iter().map(move |line| line[name].as_u64().expect("a count"));
    assert!(of("attempts").all(|attempts| attempts <= 3));
    let (launched, retries) = (
        of("attempts").filter(|attempts| 0 < *attempts).count(),
        of("retries").sum::<u64>(),
    );
    // The law of the budget: a fifth of a retry for each request that launched, ten a second, and what is saved up.
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let budget = 0.2 * launched as f64 + 10.0 * (seconds + 11.0);
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let spent = retries as f64;
    say(&format!(
        "{all} requests in {seconds:.1} s: {seen:?}, {retries} retries of at most {budget:.0}"
    ));
    assert!(spent <= budget, "{retries} retries of {budget}");
    assert!(0 < retries);
    world.end();
}

/// Says that it is over when it is dropped.
struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How long backends went on for clients that had gone, at the worst, while others stream.
///
/// A busy machine adds its own delays: clients that hang up on the backend itself show them.
#[test]
fn attempts_end_with_their_clients() {
    /// How long an attempt may outlive its client.
    const MOST: Nanos = Nanos::from_millis(10);
    const AT_ONCE: usize = 20;
    const BATCHES: usize = 15;
    let mock = Mock::new("alpha", 0.01, 0.005);
    let world = World::new(&[mock.address], "");
    let is_over = AtomicBool::new(false);
    let mut lasted = [Vec::new(), Vec::new()];
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let (world, is_over) = (&world, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let mut client = world.connect();
                    client.send(&chat(true, 50));
                    assert!(client.answer().is_some_and(|answer| answer.is_whole));
                }
            });
        }
        let _ender = Ender(&is_over);
        for _ in 0..BATCHES {
            lasted[0].push(leave(&mock, world.address, AT_ONCE));
            lasted[1].push(leave(&mock, mock.address, AT_ONCE));
        }
    });
    for lasted in &mut lasted {
        lasted.sort_unstable();
    }
    let [through, direct] = &lasted;
    let millis = |length: Nanos| length.as_secs_f64() * 1e3;
    let shown = |lasted: &[Nanos]| (millis(lasted[BATCHES / 2]), millis(lasted[BATCHES - 1]));
    let ((usual, worst), (usual_direct, worst_direct)) = (shown(through), shown(direct));
    say(&format!(
        "{AT_ONCE} attempts outlived their clients by {usual:.1} ms, {worst:.1} ms at the worst; \
         by {usual_direct:.1} ms and {worst_direct:.1} ms without a gateway"
    ));
    assert!(
        through[BATCHES / 2] <= MOST + direct[BATCHES / 2],
        "{through:?}, {direct:?} without a gateway"
    );
    world.end();
}

/// Hangs up on so many streams at once; how long after the first of them the last attempt was cancelled.
fn leave(mock: &Mock, address: std::net::SocketAddr, streams: usize) -> Nanos {
    let before = mock.server.stats().cancelled;
    let mut clients: Vec<Client> = (0..streams).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(&chat(true, 100_000));
    }
    for client in &mut clients {
        assert!(client.more(), "it streams");
    }
    let left: Instant = mock.clock.now();
    drop(clients);
    let began = Moment::now();
    loop {
        let stats = mock.server.stats();
        if before + streams as u64 <= stats.cancelled {
            let last = stats.cancellations.iter().map(|cancelled| cancelled.at).max();
            return last.map_or(Nanos::ZERO, |last| last.since(left));
        }
        assert!(began.elapsed() < SOON, "attempts go on for clients that have gone");
        std::thread::yield_now();
    }
}

/// Past the capture of the harness: figures are part of what these tests are for.
pub(crate) fn say(figures: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr().lock(), "{figures}").expect("standard error is open");
}
