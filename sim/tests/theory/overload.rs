//! An overload and what comes after: one server of 1,000 a second is offered 1,500 a second for 10 s, then 700.
//!
//! Nobody slows down and nobody gives up. What a queue does with that depends on whom it sheds.

use tollgate_core::lifecycle::{End, Outcome};

use crate::setup::{Gateway, Setup, UNBOUNDED, World, as_f64, exponential, queues};

/// What became of the requests, by when they arrived: seconds and outcomes.
struct Seen(Vec<(f64, Outcome)>);

impl Seen {
    fn run(order: &'static str, shedding: &'static str) -> Seen {
        let gateway = Gateway {
            in_flight: Some(1),
            order,
            queue: 1_000_000,
            shedding,
            ..Gateway::default()
        };
        let arrivals = "{ process = \"schedule\", steps = [[\"0s\", 1500.0], [\"10s\", 700.0]] }";
        let world = World::new(arrivals, queues(1, UNBOUNDED, &exponential(0.001), ""));
        let mut setup = Setup::new(&world, gateway.text(), 1_000.0, 1_000_000);
        (setup.duration, setup.warmup, setup.watch.each) = (Some(40.0), 0.0, true);
        let run = setup.run(1);
        let each = run.record.observer.each.expect("each request is remembered");
        Seen(
            each.into_iter()
                .map(|(_, outcome)| (outcome.arrived.as_secs_f64(), outcome))
                .collect(),
        )
    }

    /// The waits of those who arrived from `from` to `until` and were served, in seconds, the least first.
    fn waits(&self, from: f64, until: f64) -> Vec<f64> {
        let is_one = |(at, outcome): &&(f64, Outcome)| from <= *at && *at < until && outcome.end == End::Completed;
        let wait = |(_, outcome): &(f64, Outcome)| outcome.queue_wait.as_secs_f64();
        let mut waits: Vec<f64> = self.0.iter().filter(is_one).map(wait).collect();
        waits.sort_by(f64::total_cmp);
        waits
    }

    fn most(&self, from: f64, until: f64) -> f64 {
        *self.waits(from, until).last().expect("somebody was served")
    }

    fn p99(&self, from: f64, until: f64) -> f64 {
        let waits = self.waits(from, until);
        waits[waits.len() * 99 / 100]
    }

    /// Served a second, of those who arrived in the overload.
    fn throughput(&self) -> f64 {
        as_f64(self.waits(0.0, 10.0).len() as u64) / 10.0
    }
}

const CODEL: &str = "codel = { target = \"5ms\", interval = \"100ms\" }";
const CONTROLLED: &str = "controlled_delay = { target = \"5ms\", interval = \"100ms\" }";

#[test]
#[expect(clippy::print_stdout, reason = "the figures are read with --nocapture")]
fn overload_and_after() {
    let plain = Seen::run("fifo", "");
    let codel = Seen::run("fifo", CODEL);
    let controlled = Seen::run("fifo", CONTROLLED);
    let turned = Seen::run("lifo", CONTROLLED);
    for (name, seen) in [
        ("plain", &plain),
        ("codel", &codel),
        ("controlled", &controlled),
        ("with lifo", &turned),
    ] {
        println!(
            "{name:<12} most {:.3} s, p99 {:.3} s, {:.0} a second; after 6 s {:.4} s, after 10 s {:.4} s",
            seen.most(0.0, 40.0),
            seen.p99(0.0, 10.0),
            seen.throughput(),
            seen.most(16.0, 17.0),
            seen.most(19.0, 20.0),
        );
    }
    // Nobody is shed: waits grow by a half for each second, and shrink by 0.3 for each after.
    assert!((4.0..5.6).contains(&plain.most(0.0, 40.0)));
    assert!(1.7 < plain.most(19.0, 20.0));
    // The square root is too slow for those who do not slow down, and the queue is gone a few seconds later.
    assert!((1.3..2.1).contains(&codel.most(0.0, 40.0)));
    assert!(codel.p99(16.0, 40.0) < 0.02);
    // Waits stay short from the beginning, and the server has hardly a moment without work.
    for seen in [&controlled, &turned] {
        assert!(seen.p99(0.0, 10.0) < 0.11);
        assert!((960.0..1_040.0).contains(&seen.throughput()));
    }
    // Under 0.7, what is left is the order's own: 99 of 100 wait for less than ln(0.7 / 0.01) / 300 s, last come for more.
    assert!(controlled.p99(16.0, 40.0) < 0.02);
    assert!(turned.p99(16.0, 40.0) < 0.1);
}
