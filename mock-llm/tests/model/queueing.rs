//! Queues against queueing theory. Names, parameters, sample sizes and tolerances are those of the theory cases.

use std::num::NonZeroU32;

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{Backend, Discipline, Job, Kind, QueueSpec, Servers};

use crate::world::{Seen, What, World, alone, constant, job, seconds};

/// What one run of Poisson arrivals measured.
#[derive(Default)]
struct Measured {
    /// Seconds from arrival to completion, and to the beginning of service, of the served.
    responses: Vec<f64>,
    waits: Vec<f64>,
    urgent: Vec<bool>,
    offered: u32,
    refused: u32,
    /// Busy server-nanoseconds, nominal work, elapsed time.
    busy: u128,
    work: u128,
    elapsed: f64,
}

struct Case {
    rate: f64,
    requests: u32,
    /// Share of urgent arrivals.
    urgent: f64,
}

const fn poisson(rate: f64, requests: u32) -> Case {
    Case {
        rate,
        requests,
        urgent: 0.0,
    }
}

impl Case {
    fn run(&self, spec: QueueSpec) -> Measured {
        let service = spec.service.clone();
        let mut world = alone(Kind::Queue(spec));
        let gaps = Distribution::exponential(1.0 / self.rate).expect("a rate above 0");
        let dice = Dice::new(5);
        let mut measured = Measured {
            offered: self.requests,
            ..Measured::default()
        };
        let mut arrivals = vec![Instant::EPOCH; self.requests as usize];
        let mut now = Instant::EPOCH;
        let served_in = |number: u64| service.sample_secs(&mut job(number).dice.roll(Purpose::Service, 0));
        let is_urgent = |number: u64| dice.request(number).roll(Purpose::Tenant, 0).uniform() < self.urgent;

        let mut see = |arrivals: &[Instant], seen: Seen| match seen.what {
            What::Event(AttemptEvent::Finish { .. }) => {
                let arrived = arrivals[usize::try_from(seen.tag).expect("an index")];
                let response = seen.at.since(arrived);
                let service = served_in(seen.tag);
                measured.responses.push(response.as_secs_f64());
                measured.waits.push((response - service).as_secs_f64());
                measured.urgent.push(is_urgent(seen.tag));
                measured.work += u128::from(service.as_nanos());
            }
            What::Event(AttemptEvent::Open { status: 503, .. }) => measured.refused += 1,
            What::Event(_) | What::Sent(_) => {}
        };
        for number in 0..self.requests {
            let tag = u64::from(number);
            now += gaps.sample_secs(&mut dice.request(tag).roll(Purpose::Arrival, 0));
            arrivals[number as usize] = now;
            let priority = if is_urgent(tag) { Priority::High } else { Priority::Low };
            world.submit(now, Job { priority, ..job(tag) }, |seen| see(&arrivals, seen));
        }
        drain(&mut world, |seen| see(&arrivals, seen));
        assert_eq!(world.backend.jobs(), 0);
        measured.busy = world.backend.busy(world.now);
        measured.elapsed = world.now.as_secs_f64();
        measured
    }
}

/// Long enough for everything to end.
fn drain(world: &mut World, see: impl FnMut(Seen)) {
    let end = world.now + Nanos::from_secs(1_000_000);
    world.run_to(end, see);
}

fn queue(servers: u32, service: Distribution) -> QueueSpec {
    QueueSpec::new(Servers::Bounded(NonZeroU32::new(servers).expect("some")), service)
}

fn exponential(mean: f64) -> Distribution {
    Distribution::exponential(mean).expect("in range")
}

fn lognormal(mean: f64, cv: f64) -> Distribution {
    Distribution::lognormal_mean_cv(mean, cv).expect("in range")
}

fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    let n = values.len() as f64;
    values.iter().sum::<f64>() / n
}

fn quantile(values: &mut [f64], per_mille: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * per_mille / 1000]
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found / expected - 1.0).abs() < tolerance,
        "found {found}, expected {expected} within {tolerance}"
    );
}

#[test]
fn mm1() {
    let mut measured = poisson(0.8, 2_195_555).run(queue(1, exponential(1.0)));
    close(mean(&measured.waits), 4.0, 0.031);
    close(mean(&measured.responses), 5.0, 0.031);
    close(quantile(&mut measured.responses, 500), 3.465_735_9, 0.027);
    close(quantile(&mut measured.responses, 950), 14.978_661, 0.036);
    close(quantile(&mut measured.responses, 990), 23.025_851, 0.059);
}

#[test]
fn mmc() {
    let mut measured = poisson(3.5, 4_000_000).run(queue(5, exponential(1.0)));
    let waited = measured.waits.iter().filter(|wait| 1e-9 < **wait).count();
    close(
        f64::from(u32::try_from(waited).expect("counts")) / 4e6,
        0.377_838_23,
        0.011,
    );
    close(mean(&measured.waits), 0.251_892_15, 0.028);
    close(quantile(&mut measured.waits, 990), 2.421_254, 0.035);
    close(quantile(&mut measured.responses, 990), 5.134_432_3, 0.006);
}

#[test]
fn mmck() {
    let bounded = QueueSpec {
        capacity: NonZeroU32::new(20),
        ..queue(8, exponential(1.0))
    };
    let measured = poisson(9.0, 4_000_000).run(bounded);
    close(
        f64::from(measured.refused) / f64::from(measured.offered),
        0.130_691_24,
        0.016,
    );
    close(mean(&measured.waits), 0.893_995_99, 0.006);
}

#[test]
fn a_bound_without_a_queue_is_erlang_b_whatever_the_service() {
    let bounded = QueueSpec {
        capacity: NonZeroU32::new(10),
        ..queue(10, lognormal(1.0, 2.0))
    };
    let measured = poisson(8.0, 4_000_000).run(bounded);
    close(
        f64::from(measured.refused) / f64::from(measured.offered),
        0.121_661_06,
        0.009,
    );
}

#[test]
fn md1_and_mg1() {
    let md1 = poisson(0.6, 2_000_000).run(queue(1, constant(1.0)));
    // A third of the requests of the case: its tolerance, widened by the root of three.
    close(mean(&md1.waits), 0.75, 0.014);
    let mg1 = poisson(0.7, 4_000_000).run(queue(1, lognormal(1.0, 1.5)));
    close(mean(&mg1.waits), 3.791_666_7, 0.022);
}

#[test]
fn ps_is_insensitive() {
    for (rate, cv, expected, tolerance) in [(0.6, 2.0, 2.5, 0.031), (0.85, 1.0, 6.666_666_7, 0.05)] {
        let shared = QueueSpec {
            discipline: Discipline::Ps,
            ..queue(1, lognormal(1.0, cv))
        };
        let measured = poisson(rate, 1_000_000).run(shared);
        close(mean(&measured.responses), expected, tolerance);
    }
}

/// Shared servers of which nobody gets more than one: with exponential service, M/M/c.
#[test]
fn ps_over_several_servers() {
    let shared = QueueSpec {
        discipline: Discipline::Ps,
        ..queue(5, exponential(1.0))
    };
    let measured = poisson(3.5, 2_000_000).run(shared);
    close(mean(&measured.responses), 1.251_892_15, 0.02);
}

#[test]
fn lifo() {
    let spec = QueueSpec {
        discipline: Discipline::Lifo,
        ..queue(1, exponential(1.0))
    };
    let measured = poisson(0.7, 4_000_000).run(spec);
    close(mean(&measured.waits), 2.333_333_3, 0.012);
    let squares: Vec<f64> = measured.waits.iter().map(|wait| wait * wait).collect();
    close(mean(&squares), 51.851_852, 0.04);
}

#[test]
fn priority() {
    let spec = QueueSpec {
        discipline: Discipline::Priority,
        ..queue(1, exponential(1.0))
    };
    let measured = Case {
        rate: 0.8,
        requests: 4_000_000,
        urgent: 0.3,
    }
    .run(spec);
    let of = |urgent: bool| -> Vec<f64> {
        measured
            .waits
            .iter()
            .zip(&measured.urgent)
            .filter(|(_, is)| **is == urgent)
            .map(|(wait, _)| *wait)
            .collect()
    };
    close(mean(&of(true)), 1.052_631_6, 0.01);
    close(mean(&of(false)), 5.263_157_9, 0.02);
}

#[test]
fn mginf() {
    let spec = QueueSpec::new(Servers::Unbounded, lognormal(4.0, 1.5));
    let measured = poisson(50.0, 1_000_000).run(spec);
    assert!(measured.waits.iter().all(|wait| *wait == 0.0), "nobody waits");
    let arriving = f64::from(measured.offered) / 50.0;
    #[expect(clippy::cast_precision_loss, reason = "read to one percent")]
    let concurrency = measured.busy as f64 / 1e9 / arriving;
    close(concurrency, 200.0, 0.01);
}

#[test]
fn busy_is_the_work_done() {
    for discipline in [Discipline::Fifo, Discipline::Lifo, Discipline::Priority] {
        let spec = QueueSpec {
            discipline,
            ..queue(3, exponential(1.0))
        };
        let measured = Case {
            rate: 2.5,
            requests: 100_000,
            urgent: 0.5,
        }
        .run(spec);
        assert_eq!(measured.busy, measured.work, "{discipline:?}");
        assert!(100_000.0 / 2.6 < measured.elapsed, "{}", measured.elapsed);
    }
    // Shared service ends on whole nanoseconds: each completion may be up to one late.
    let spec = QueueSpec {
        discipline: Discipline::Ps,
        ..queue(1, exponential(1.0))
    };
    let measured = poisson(0.8, 100_000).run(spec);
    assert!(measured.work <= measured.busy && measured.busy <= measured.work + 100_000);
}

/// Three seconds of service each, shared; the ends are computed by hand.
#[test]
fn shared_service_is_exact() {
    let finishes = |servers: u32, arrivals: &[f64]| -> Vec<f64> {
        let spec = QueueSpec {
            discipline: Discipline::Ps,
            ..queue(servers, constant(3.0))
        };
        let mut world = alone(Kind::Queue(spec));
        let mut ends = Vec::new();
        let mut see = |seen: Seen| {
            if matches!(seen.what, What::Event(AttemptEvent::Finish { .. })) {
                ends.push(seen.at.as_secs_f64());
            }
        };
        for (arrival, number) in arrivals.iter().zip(0..) {
            world.submit(seconds(*arrival), job(number), &mut see);
        }
        drain(&mut world, &mut see);
        ends
    };
    // Alone for 1 s, then halves: the first has 2 left and takes 4 more; the second has 1 left then.
    assert_eq!(finishes(1, &[0.0, 1.0]), [5.0, 6.0]);
    // Three on two servers: two thirds each.
    assert_eq!(finishes(2, &[0.0, 0.0, 0.0]), [4.5, 4.5, 4.5]);
    // As many servers as jobs: nobody is slowed down.
    assert_eq!(finishes(3, &[0.0, 1.0, 2.0]), [3.0, 4.0, 5.0]);
}

#[test]
fn lifo_takes_the_latest_and_fifo_the_first() {
    let order = |discipline: Discipline| -> Vec<u64> {
        let spec = QueueSpec {
            discipline,
            ..queue(1, constant(1.0))
        };
        let mut world = alone(Kind::Queue(spec));
        let mut ends = Vec::new();
        let mut see = |seen: Seen| {
            if matches!(seen.what, What::Event(AttemptEvent::Finish { .. })) {
                ends.push(seen.tag);
            }
        };
        for (number, priority) in [
            (0, Priority::Low),
            (1, Priority::Low),
            (2, Priority::High),
            (3, Priority::Normal),
        ] {
            world.submit(
                Instant::EPOCH,
                Job {
                    priority,
                    ..job(number)
                },
                &mut see,
            );
        }
        drain(&mut world, &mut see);
        ends
    };
    assert_eq!(order(Discipline::Fifo), [0, 1, 2, 3]);
    assert_eq!(order(Discipline::Lifo), [0, 3, 2, 1]);
    assert_eq!(order(Discipline::Priority), [0, 2, 3, 1]);
}

#[test]
fn a_full_queue_answers_503() {
    let mut world = alone(Kind::Queue(QueueSpec {
        capacity: NonZeroU32::new(2),
        ..queue(1, exponential(1.0))
    }));
    let mut opened = Vec::new();
    let mut see = |seen: Seen| {
        if let What::Event(AttemptEvent::Open { status, .. }) = seen.what {
            opened.push((seen.tag, status));
        }
    };
    for number in 0..3 {
        world.submit(Instant::EPOCH, job(number), &mut see);
    }
    drain(&mut world, &mut see);
    assert_eq!(opened, [(2, 503), (0, 200), (1, 200)]);
}
