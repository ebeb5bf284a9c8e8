//! M/M/8 with a histogram, as a user of nexosim would write it: a source, a station, one message a customer.
//!
//! ```text
//! tollgate-peer-nexosim [customers]   time on the processor a customer, the least of five runs
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSinkReader, Output, SinkState, event_slot};
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp1};
use serde::{Deserialize, Serialize};

const SERVERS: u32 = 8;
/// Mean service in seconds.
const SERVICE: f64 = 0.060;
const UTILIZATION: f64 = 0.8;
const ROUNDS: u32 = 5;

/// Where customers come from.
#[derive(Serialize, Deserialize)]
struct Source {
    customers: Output<()>,
    left: u64,
    #[serde(skip, default = "rng")]
    rng: SmallRng,
}

#[Model]
impl Source {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        self.plan(cx);
    }

    #[nexosim(schedulable)]
    async fn arrive(&mut self, _: (), cx: &Context<Self>) {
        self.customers.send(()).await;
        self.left -= 1;
        if 0 < self.left {
            self.plan(cx);
        }
    }

    fn plan(&mut self, cx: &Context<Self>) {
        let gap = draw(&mut self.rng, SERVICE / (f64::from(SERVERS) * UTILIZATION));
        cx.schedule_event(gap, schedulable!(Self::arrive), ())
            .expect("a gap is not zero");
    }
}

/// Eight servers and a queue.
#[derive(Serialize, Deserialize)]
struct Station {
    /// The mean time in the system, and its 99th percentile, in seconds.
    answers: Output<(f64, f64)>,
    /// When those who wait have come.
    queue: VecDeque<MonotonicTime>,
    busy: u32,
    left: u64,
    #[serde(skip, default = "histogram")]
    stays: Histogram<u64>,
    #[serde(skip, default = "rng")]
    rng: SmallRng,
}

#[Model]
impl Station {
    fn arrive(&mut self, _: (), cx: &Context<Self>) {
        if self.busy < SERVERS {
            self.busy += 1;
            self.serve(cx.time(), cx);
        } else {
            self.queue.push_back(cx.time());
        }
    }

    #[nexosim(schedulable)]
    async fn depart(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        let stay = cx.time().duration_since(arrived);
        self.stays
            .saturating_record(u64::try_from(stay.as_nanos()).expect("less than 584 years"));
        match self.queue.pop_front() {
            Some(next) => self.serve(next, cx),
            None => self.busy -= 1,
        }
        self.left -= 1;
        if self.left == 0 {
            let p99 = Duration::from_nanos(self.stays.value_at_quantile(0.99));
            self.answers.send((self.stays.mean() / 1e9, p99.as_secs_f64())).await;
        }
    }

    fn serve(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        let service = draw(&mut self.rng, SERVICE);
        cx.schedule_event(service, schedulable!(Self::depart), arrived)
            .expect("a service is not zero");
    }
}

fn main() {
    let customers = std::env::args().nth(1);
    let customers = customers.map_or(1_000_000, |number| number.parse().expect("a number of customers"));
    let mut least = f64::INFINITY;
    let mut answers = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let before = on_processor();
        answers = run(customers);
        least = least.min((on_processor() - before) as f64 / customers as f64);
    }
    let (mean, p99) = answers;
    println!(
        "nexosim {least:.1} ns a request, mean {:.2} ms, p99 {:.1} ms",
        1e3 * mean,
        1e3 * p99
    );
}

fn run(customers: u64) -> (f64, f64) {
    let mut source = Source {
        customers: Output::default(),
        left: customers,
        rng: rng(),
    };
    let mut station = Station {
        answers: Output::default(),
        queue: VecDeque::new(),
        busy: 0,
        left: customers,
        stays: histogram(),
        rng: SmallRng::seed_from_u64(8),
    };
    let (source_box, station_box) = (Mailbox::new(), Mailbox::new());
    source.customers.connect(Station::arrive, &station_box);
    let (sink, mut answers) = event_slot(SinkState::Enabled);
    station.answers.connect_sink(sink);
    // One thread: with more it is slower, for there is nothing to do in parallel.
    let mut simulation = SimInit::with_num_threads(1)
        .add_model(source, source_box, "source")
        .add_model(station, station_box, "station")
        .init(MonotonicTime::EPOCH)
        .expect("a bench that is wired");
    simulation.run().expect("it runs to its end");
    answers.try_read().expect("the last customer has left")
}

fn draw(rng: &mut SmallRng, mean: f64) -> Duration {
    let value: f64 = Exp1.sample(rng);
    // The event list takes nothing that is due now.
    Duration::from_secs_f64(value * mean).max(Duration::from_nanos(1))
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 7 * 24 * 3600 * 1_000_000_000, 3).expect("constant bounds that it takes")
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux with scheduler statistics");
    let first = text.split_whitespace().next().expect("three numbers");
    first.parse().expect("a number")
}
