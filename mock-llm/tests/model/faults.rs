//! Each fault, on attempts that arrive in it and on those that run as it begins and ends.

use std::num::NonZeroU32;

use tollgate_core::dice::Dice;
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{AttemptEvent, ErrorCode};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{
    ApiSpec, Backend, BackendSpec, Discipline, FaultKind, FaultSpec, Job, Kind, Probe, QueueSpec, Sent, Servers,
};

use crate::world::{Seen, What, World, constant, job, of, seconds};

/// Half a second to the first token, 100 tokens a second.
fn api() -> Kind {
    Kind::Api(ApiSpec::new(constant(0.5), constant(0.01)))
}

/// One server, one second of service.
fn queue(discipline: Discipline) -> Kind {
    let servers = Servers::Bounded(NonZeroU32::new(1).expect("some"));
    Kind::Queue(QueueSpec {
        discipline,
        ..QueueSpec::new(servers, constant(1.0))
    })
}

/// A backend with faults of these kinds from 10 s to 20 s.
fn struck(kind: Kind, faults: &[FaultKind]) -> World {
    let window = |kind: &FaultKind| FaultSpec::new(*kind, seconds(10.0), Nanos::from_secs(10)).expect("in range");
    let mut spec = BackendSpec::new("struck", kind);
    spec.faults = faults.iter().map(window).collect();
    World::new(&spec)
}

/// What happens to attempts that arrive at these instants, seen until 1,000 s.
fn story(world: &mut World, arrivals: &[f64]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (at, number) in arrivals.iter().zip(0..) {
        world.submit(seconds(*at), job(number), |it| seen.push(it));
    }
    world.run_to(seconds(1_000.0), |it| seen.push(it));
    seen
}

/// The last event of an attempt.
fn end(seen: &[Seen], tag: u64) -> (f64, What) {
    *of(tag, seen).last().expect("something happened to it")
}

const FINISH: What = What::Event(AttemptEvent::Finish {
    usage: Usage {
        input: 600,
        output: 101,
    },
});

fn status(status: u16) -> What {
    What::Event(AttemptEvent::Open {
        status,
        code: None,
        retry_after: None,
    })
}

fn fail(fault: Fault) -> What {
    What::Event(AttemptEvent::Fail { fault })
}

#[test]
fn an_outage_answers_errors_and_breaks_streams() {
    let mut world = struck(api(), &[FaultKind::Outage { status: 502 }]);
    // Streaming as it begins; waiting for its first token; in it; after it.
    let seen = story(&mut world, &[9.0, 9.8, 12.0, 20.0]);
    let sent = Sent {
        connected: true,
        tokens: 51,
        last: seconds(10.0),
    };
    assert_eq!(
        of(0, &seen)[3..],
        [(10.0, What::Sent(sent)), (10.0, fail(Fault::Stream))]
    );
    assert_eq!(
        of(1, &seen),
        [(10.0, What::Event(AttemptEvent::Connected)), (10.0, status(502))]
    );
    let (at, what) = end(&seen, 2);
    assert!(what == status(502) && (12.005..=12.05).contains(&at), "{at}");
    assert_eq!(end(&seen, 3), (21.5, FINISH));
    assert_eq!(world.backend.jobs(), 0);
}

#[test]
fn a_black_hole_is_silent_for_ever() {
    let mut world = struck(api(), &[FaultKind::BlackHole]);
    let streaming = world.submit(seconds(9.0), job(0), |_| {});
    let waiting = world.submit(seconds(9.8), job(1), |_| {});
    let inside = world.submit(seconds(12.0), job(2), |_| {});
    let mut seen = Vec::new();
    world.run_to(seconds(1_000.0), |it| seen.push(it));
    assert_eq!(seen, []);
    let sent = |id| {
        world
            .backend
            .progress(seconds(500.0), id)
            .map(|sent| (sent.connected, sent.tokens, sent.last))
    };
    assert_eq!(sent(streaming), Some((true, 51, seconds(10.0))), "and no token more");
    assert_eq!(sent(waiting), Some((true, 0, seconds(9.8))));
    assert_eq!(sent(inside), Some((true, 0, seconds(12.0))));
    for id in [streaming, waiting, inside] {
        world.cancel(seconds(1_000.0), id, |it| seen.push(it));
    }
    assert_eq!((seen.len(), world.backend.jobs()), (0, 0));
    assert_eq!(
        world.backend.busy(seconds(1_000.0)),
        1_200_000_000,
        "nobody works in a hole"
    );
}

#[test]
fn a_refused_connection_fails_at_once() {
    let mut world = struck(api(), &[FaultKind::ConnectionRefused]);
    let seen = story(&mut world, &[9.0, 9.8, 12.0, 20.0]);
    assert_eq!(end(&seen, 0), (10.0, fail(Fault::Stream)));
    assert_eq!(of(1, &seen), [(10.0, fail(Fault::Connect))]);
    assert_eq!(of(2, &seen), [(12.0, fail(Fault::Connect))]);
    assert_eq!(end(&seen, 3), (21.5, FINISH));
}

#[test]
fn an_exhausted_quota_says_so() {
    let mut world = struck(api(), &[FaultKind::QuotaExhausted]);
    let seen = story(&mut world, &[9.8, 12.0]);
    assert_eq!(end(&seen, 0), (11.3, FINISH), "running answers go on");
    let code = Some(ErrorCode::InsufficientQuota);
    let open = What::Event(AttemptEvent::Open {
        status: 429,
        code,
        retry_after: None,
    });
    assert_eq!(
        of(1, &seen),
        [(12.0, What::Event(AttemptEvent::Connected)), (12.0, open)]
    );
}

#[test]
fn shares_are_shares() {
    let burst = FaultKind::ErrorBurst {
        share: 0.3,
        status: 529,
    };
    let fast = FaultKind::FailFast {
        latency: Nanos::from_millis(1),
        share: 0.2,
    };
    let mut world = struck(api(), &[burst, fast]);
    let (mut bursts, mut fasts) = (0_u32, 0_u32);
    let mut see = |seen: Seen| {
        bursts += u32::from(seen.what == status(529));
        if seen.what == status(500) {
            fasts += 1;
            assert_eq!(seen.at, seconds(12.001));
        }
    };
    for number in 0..50_000 {
        world.submit(seconds(12.0), job(number), &mut see);
    }
    world.run_to(seconds(30.0), &mut see);
    let near = |count: u32, expected: f64| (f64::from(count) - expected).abs() < 5.0 * expected.sqrt();
    assert!(near(fasts, 10_000.0), "{fasts}");
    assert!(near(bursts, 0.8 * 15_000.0), "independent of the first: {bursts}");
}

#[test]
fn a_brownout_slows_what_is_left() {
    let mut world = struck(api(), &[FaultKind::Brownout { factor: 4.0 }]);
    // Half of the stream is left at 10 s, and takes twice as long; of the second's 0.5 s, 0.2 have passed.
    let seen = story(&mut world, &[9.0, 9.8, 12.0, 19.0, 20.0]);
    let starts = |tag| of(tag, &seen)[0].0;
    assert_eq!(end(&seen, 0), (11.0, FINISH));
    assert_eq!((starts(1), end(&seen, 1).0), (11.2, 13.2));
    assert_eq!((starts(2), end(&seen, 2).0), (14.0, 16.0));
    // Half of its wait is over when the brownout is: a quarter of a second is left, and a second of tokens.
    assert_eq!((starts(3), end(&seen, 3).0), (20.25, 21.25));
    assert_eq!((starts(4), end(&seen, 4).0), (20.5, 21.5));
}

#[test]
fn a_brownout_slows_whole_answers_alike() {
    let mut world = struck(api(), &[FaultKind::Brownout { factor: 4.0 }]);
    let mut seen = Vec::new();
    for (at, number) in [9.0, 9.8, 12.0, 19.0, 20.0].iter().zip(0..) {
        world.submit(
            seconds(*at),
            Job {
                stream: false,
                ..job(number)
            },
            |it| seen.push(it),
        );
    }
    world.run_to(seconds(1_000.0), |it| seen.push(it));
    assert_eq!(
        [0, 1, 2, 3, 4].map(|tag| end(&seen, tag).0),
        [11.0, 13.2, 16.0, 21.25, 21.5]
    );
}

#[test]
fn progress_does_not_jump_with_the_pace() {
    let mut world = struck(api(), &[FaultKind::Brownout { factor: 4.0 }]);
    let id = world.submit(seconds(9.0), job(0), |_| {});
    world.run_to(seconds(10.3), |_| {});
    let at = |secs: f64| {
        world
            .backend
            .progress(seconds(secs), id)
            .map(|sent| (sent.tokens, sent.last))
    };
    assert_eq!(at(10.3), Some((66, seconds(10.3))), "51 tokens, then one every 20 ms");
    assert_eq!(at(10.319), Some((66, seconds(10.3))));
}

#[test]
fn a_slow_start_gets_faster() {
    let ramp = FaultKind::SlowStart {
        ramp: Nanos::from_secs(100),
    };
    let mut world = struck(queue(Discipline::Fifo), &[ramp]);
    let seen = story(&mut world, &[10.0, 25.0, 101.0, 111.0]);
    // 10 % of the speed for 10 s; 20 % until 30 s; 100 % from 100 s on.
    assert_eq!([0, 1, 2, 3].map(|tag| end(&seen, tag).0), [20.0, 30.0, 102.0, 112.0]);
}

#[test]
fn overlapping_slowdowns_multiply_and_the_worse_answers() {
    let slow = FaultKind::Brownout { factor: 4.0 };
    let mut world = struck(api(), &[slow, slow]);
    let seen = story(&mut world, &[11.0]);
    // 16 times 0.5 s; then a quarter of the tokens in the last second of it, and the others at their own pace.
    assert_eq!((of(0, &seen)[0].0, end(&seen, 0).0), (19.0, 20.75));

    let mut world = struck(
        api(),
        &[FaultKind::Outage { status: 503 }, FaultKind::ConnectionRefused],
    );
    assert_eq!(end(&story(&mut world, &[12.0]), 0), (12.0, fail(Fault::Connect)));
}

#[test]
fn a_stalled_stream_goes_on_after_its_pause() {
    let mut world = struck(
        api(),
        &[FaultKind::Stall {
            share: 1.0,
            pause: Nanos::from_secs(5),
        }],
    );
    let id = world.submit(seconds(12.0), job(0), |_| {});
    let mut seen = Vec::new();
    world.run_to(seconds(15.0), |it| seen.push(it));
    let stalled = world.backend.progress(seconds(15.0), id).expect("it runs");
    assert!((1..=100).contains(&stalled.tokens));
    assert_eq!(
        stalled.last,
        seconds(12.5) + Nanos::from_millis(10) * u64::from(stalled.tokens - 1)
    );
    assert_eq!(world.backend.progress(seconds(17.0), id), Some(stalled));
    world.run_to(seconds(30.0), |it| seen.push(it));
    assert_eq!(end(&seen, 0), (18.5, FINISH));

    let seen = story(
        &mut struck(
            api(),
            &[FaultKind::Stall {
                share: 1.0,
                pause: Nanos::FOREVER,
            }],
        ),
        &[12.0],
    );
    assert_eq!(
        end(&seen, 0),
        (12.5, What::Event(AttemptEvent::FirstToken)),
        "and nothing else"
    );
}

#[test]
fn a_truncated_stream_breaks_off() {
    let mut world = struck(api(), &[FaultKind::Truncate { share: 1.0 }]);
    let arrivals: Vec<f64> = (0..1_000).map(|number| 11.0 + f64::from(number) / 1e3).collect();
    let seen = story(&mut world, &arrivals);
    let mut tokens = Vec::new();
    for tag in 0..1_000 {
        let events = of(tag, &seen);
        let [.., (_, What::Sent(sent)), (at, what)] = events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((what, seconds(at)), (fail(Fault::Stream), sent.last));
        tokens.push(sent.tokens);
    }
    assert_eq!(
        (tokens.iter().min(), tokens.iter().max()),
        (Some(&1), Some(&100)),
        "evenly, but for the last"
    );
    assert_eq!(world.backend.jobs(), 0);
}

#[test]
fn a_queue_empties_in_an_outage() {
    for discipline in [Discipline::Fifo, Discipline::Lifo, Discipline::Ps, Discipline::Priority] {
        let mut world = struck(queue(discipline), &[FaultKind::Outage { status: 503 }]);
        let seen = story(&mut world, &[9.5, 9.6, 9.7, 20.0]);
        for tag in 0..3 {
            assert_eq!(end(&seen, tag), (10.0, status(503)), "{discipline:?}");
        }
        assert_eq!(end(&seen, 3), (21.0, FINISH), "{discipline:?}");
        assert_eq!(world.backend.busy(world.now), 1_500_000_000, "{discipline:?}");

        let mut world = struck(queue(discipline), &[FaultKind::BlackHole]);
        let seen = story(&mut world, &[9.5, 9.6, 9.7, 20.0]);
        assert_eq!((seen.len(), world.backend.jobs()), (4, 3), "{discipline:?}");
        assert_eq!(end(&seen, 3), (21.0, FINISH), "{discipline:?}");
    }
}

#[test]
fn a_brownout_slows_service() {
    for discipline in [Discipline::Fifo, Discipline::Ps] {
        let mut world = struck(queue(discipline), &[FaultKind::Brownout { factor: 4.0 }]);
        let seen = story(&mut world, &[9.5, 15.0, 19.0]);
        assert_eq!(
            [0, 1, 2].map(|tag| end(&seen, tag).0),
            [12.0, 19.0, 20.75],
            "{discipline:?}"
        );
    }
}

#[test]
fn a_queue_holds_stalled_answers_and_breaks_truncated_ones() {
    let mut world = struck(
        queue(Discipline::Fifo),
        &[FaultKind::Stall {
            share: 1.0,
            pause: Nanos::from_secs(5),
        }],
    );
    let seen = story(&mut world, &[12.0, 12.1]);
    assert_eq!(
        [0, 1].map(|tag| end(&seen, tag)),
        [(18.0, FINISH), (19.0, FINISH)],
        "the server is free meanwhile"
    );
    let mut world = struck(queue(Discipline::Fifo), &[FaultKind::Truncate { share: 1.0 }]);
    assert_eq!(end(&story(&mut world, &[12.0]), 0), (13.0, fail(Fault::Stream)));
}

#[test]
fn health_checks_see_faults() {
    let probe = |kind: FaultKind| struck(api(), &[kind]).backend.probe(seconds(12.0));
    assert_eq!(probe(FaultKind::ConnectionRefused), Probe::Refused);
    assert_eq!(probe(FaultKind::BlackHole), Probe::Silence);
    assert!(matches!(
        probe(FaultKind::Outage { status: 502 }),
        Probe::Answer { status: 502, .. }
    ));
    let slow = Probe::Answer {
        after: Nanos::from_millis(20),
        status: 200,
    };
    assert_eq!(probe(FaultKind::Brownout { factor: 4.0 }), slow);
    let world = struck(api(), &[FaultKind::BlackHole]);
    assert!(
        matches!(world.backend.probe(seconds(9.9)), Probe::Answer { status: 200, .. }),
        "before"
    );
    assert!(
        matches!(world.backend.probe(seconds(20.0)), Probe::Answer { status: 200, .. }),
        "after"
    );
}

#[test]
fn a_calm_end_leaves_no_wakes() {
    let mut world = struck(api(), &[FaultKind::Brownout { factor: 2.0 }]);
    story(&mut world, &[1.0]);
    // Its first token and its end, and the first boundary: with nobody there, the second is not asked for.
    assert_eq!(world.wakes, 3);
}

#[test]
fn drawn_faults_take_their_share_of_time() {
    let hours = |mean: f64| Distribution::exponential(mean * 3600.0).expect("in range");
    let year = Instant::from_secs(20_000 * 100 * 3600);
    let drawn = FaultSpec::drawn(
        FaultKind::BlackHole,
        &hours(96.24),
        &hours(3.64),
        Instant::EPOCH,
        year,
        Dice::new(3),
    )
    .expect("in range");
    let down: u64 = drawn.iter().map(|fault| fault.lasts.as_nanos() / 1_000_000_000).sum();
    #[expect(clippy::cast_precision_loss, reason = "read to three percent")]
    let share = down as f64 / year.as_secs_f64();
    assert!((share / (3.64 / 99.88) - 1.0).abs() < 0.05, "{share}");
    assert!(
        drawn.windows(2).all(|pair| pair[0].at + pair[0].lasts <= pair[1].at),
        "one after the other"
    );
    let shorter = Instant::from_secs(1_000_000_000);
    let again = FaultSpec::drawn(
        FaultKind::BlackHole,
        &hours(96.24),
        &hours(3.64),
        Instant::EPOCH,
        shorter,
        Dice::new(3),
    );
    assert_eq!(
        again.expect("in range")[..],
        drawn[..drawn.partition_point(|fault| fault.at < shorter)],
        "a horizon only cuts"
    );
}

#[test]
fn impossible_faults_are_named() {
    let error = |kind, lasts| {
        FaultSpec::new(kind, Instant::EPOCH, lasts)
            .expect_err("out of range")
            .to_string()
    };
    let second = Nanos::from_secs(1);
    assert_eq!(error(FaultKind::BlackHole, Nanos::ZERO), "`for` must be longer than 0");
    assert_eq!(
        error(FaultKind::Outage { status: 200 }, second),
        "`status` must be an error status, 400 to 599"
    );
    assert_eq!(
        error(FaultKind::Truncate { share: -0.1 }, second),
        "`share` must be a share between 0 and 1"
    );
    assert_eq!(
        error(FaultKind::Brownout { factor: 0.5 }, second),
        "`factor` must be between 1 and 1,000,000"
    );
    assert_eq!(
        error(FaultKind::SlowStart { ramp: Nanos::ZERO }, second),
        "`ramp` must be between 1us and 30 years"
    );
}
