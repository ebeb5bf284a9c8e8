//! Before a server with so many places: the limit goes to where it is busy and its queue is short.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tollgate_core::dice::Rng;
use tollgate_core::limit::{
    Adaptive, Aimd, ConcurrencyLaw, EnvoyGradient, Flight, Gradient2, Limiter, Sample, Taken, Vegas, Windowed,
};
use tollgate_core::policy::Bounds;
use tollgate_core::time::{Instant, Nanos};

use crate::laws::bounds;

/// How it went over the last half of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// The mean limit.
    limit: f64,
    /// Answers a second, over what the server can do.
    share: f64,
}

/// So many places, 100 ms each, a queue without end or (with `sheds`) none; more is asked for than it can do.
pub(crate) fn settled<L: ConcurrencyLaw>(law: L, places: u32, seconds: u64, sheds: bool) -> Settled {
    let capacity = f64::from(places) * 10.0;
    // Whoever sheds is asked for ten times what it can do, so that no place is free for long.
    let load = if sheds { 10 } else { 2 };
    let gap = Nanos::from_nanos(Nanos::from_millis(100).as_nanos() / (u64::from(places) * load));
    let service = Nanos::from_millis(100);
    let limiter = Adaptive::new(law);
    let mut flight = Flight::default();
    let mut rng = Rng::new(7);
    let mut places: BinaryHeap<Reverse<Instant>> = (0..places).map(|_| Reverse(Instant::EPOCH)).collect();
    let mut ends: BinaryHeap<Reverse<(Instant, Instant)>> = BinaryHeap::new();
    let (mut now, end) = (Instant::from_secs(1), Instant::from_secs(1 + seconds));
    let half = Instant::from_secs(1 + seconds / 2);
    let (mut sum, mut n_looks, mut answers) = (0.0, 0.0, 0.0);
    while now < end {
        while let Some(Reverse((at, started))) = ends.peek().copied() {
            if now < at {
                break;
            }
            ends.pop();
            let sample = Sample {
                now: at,
                started,
                in_flight: 0,
                latency: Some(at.since(started)),
                dropped: false,
            };
            limiter.observe(&mut flight, sample, 100, &mut rng);
            limiter.settle(&mut flight, at, Taken { cost: 1, at: started }, 0);
            answers += if at < half { 0.0 } else { 1.0 };
        }
        if limiter.take(&mut flight, now, 1).is_allowed() {
            let Reverse(free) = *places.peek().expect("there are places");
            if sheds && now < free {
                let sample = Sample {
                    now,
                    started: now,
                    in_flight: 0,
                    latency: None,
                    dropped: true,
                };
                limiter.observe(&mut flight, sample, 100, &mut rng);
                limiter.settle(&mut flight, now, Taken { cost: 1, at: now }, 0);
            } else {
                places.pop();
                // Requests that begin in step end in step, and AIMD would see nothing but lulls and bursts.
                let spread = if sheds {
                    rng.below(service.as_nanos())
                } else {
                    service.as_nanos() / 2
                };
                let done = free.max(now) + Nanos::from_nanos(service.as_nanos() / 2 + spread);
                places.push(Reverse(done));
                ends.push(Reverse((done, now)));
            }
        }
        if half <= now {
            sum += f64::from(limiter.limit(&flight, now));
            n_looks += 1.0;
        }
        now += gap;
    }
    let all = f64::from(u32::try_from(seconds - seconds / 2).expect("a few")) * capacity;
    Settled {
        limit: sum / n_looks,
        share: answers / all,
    }
}

/// Published bounds, but for a minimum that leaves room to be wrong.
#[test]
fn settles_near_the_knee() {
    let vegas = settled(Windowed::new(Vegas::new(Bounds::VEGAS)), 32, 40, false);
    assert!(0.99 < vegas.share && (35.0..=38.0).contains(&vegas.limit), "{vegas:?}");
    let gradient = settled(Windowed::new(Gradient2::new(bounds(20, 1, 200))), 32, 120, false);
    assert!(
        0.99 < gradient.share && (32.0..=64.0).contains(&gradient.limit),
        "{gradient:?}"
    );
    let envoy = settled(EnvoyGradient::new(Bounds::ENVOY_GRADIENT), 32, 50, false);
    // Its windows are as long as an answer takes, so it swings a little.
    assert!(0.9 < envoy.share && (32.0..=64.0).contains(&envoy.limit), "{envoy:?}");
    let aimd = settled(Aimd::new(bounds(20, 1, 200)), 32, 60, true);
    assert!(0.9 < aimd.share && (27.0..=34.0).contains(&aimd.limit), "{aimd:?}");
}

/// Why a policy feeds Vegas with windows: told of each answer, it moves long before it sees what it has done.
#[test]
fn vegas_swings_without_windows() {
    let vegas = settled(Vegas::new(Bounds::VEGAS), 32, 40, false);
    assert!(vegas.share < 0.9, "{vegas:?}");
}

/// `dev-aimd-avg-0`: a backend that sheds above a hundred; the limit swings between nine tenths of it and all of it.
#[test]
fn aimd_is_on_average_95_of_100() {
    let aimd = settled(Aimd::new(bounds(20, 1, 1000)), 100, 60, true);
    assert!((aimd.limit / 95.0 - 1.0).abs() < 0.03, "{aimd:?}");
}

/// So many requests at once, one such batch after the other, 100 ms each: where the limit is after a minute.
fn after_a_minute<L: ConcurrencyLaw>(law: L, at_once: u32) -> u32 {
    let limiter = Adaptive::new(law);
    let mut flight = Flight::default();
    let mut rng = Rng::new(7);
    let mut now = Instant::from_secs(1);
    for _ in 0..600 {
        let started = now;
        let n_in = (0..at_once).filter(|_| limiter.take(&mut flight, started, 1).is_allowed());
        let n_in = n_in.count();
        now += Nanos::from_millis(100);
        for _ in 0..n_in {
            let sample = Sample {
                now,
                started,
                in_flight: 0,
                latency: Some(now.since(started)),
                dropped: false,
            };
            limiter.observe(&mut flight, sample, 100, &mut rng);
            limiter.settle(&mut flight, now, Taken { cost: 1, at: started }, 0);
        }
    }
    limiter.limit(&flight, now)
}

/// Of a window the most that was in flight counts: less than half of a limit says nothing about it, and all of it does.
#[test]
fn only_busy_windows_raise() {
    let vegas = || Windowed::new(Vegas::new(bounds(20, 1, 200)));
    let gradient = || Windowed::new(Gradient2::new(bounds(20, 1, 200)));
    for idle in [1, 9] {
        assert_eq!(
            [after_a_minute(vegas(), idle), after_a_minute(gradient(), idle)],
            [20, 20]
        );
    }
    assert!(20 < after_a_minute(vegas(), 20) && 20 < after_a_minute(gradient(), 20));
}
