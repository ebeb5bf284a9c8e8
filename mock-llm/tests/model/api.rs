//! A service seen from outside: latencies, quotas, cancellation.

use std::num::NonZeroU32;

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::math::{exp, ln};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{
    ApiSpec, Backend, BackendSpec, Count, Job, Kind, OnCancel, Probe, Profile, QueueSpec, QuotaProfile, QuotaSpec,
    Sent, Servers,
};

use crate::world::{Seen, What, World, alone, constant, job, of, seconds};

const MINUTE: Nanos = Nanos::from_secs(60);

/// Half a second to the first token, 100 tokens a second.
fn plain() -> ApiSpec {
    ApiSpec::new(constant(0.5), constant(0.01))
}

fn limited(quota: Vec<QuotaSpec>) -> World {
    alone(Kind::Api(ApiSpec { quota, ..plain() }))
}

fn bucket(count: Count, per_minute: u64, burst: Option<u64>) -> QuotaSpec {
    QuotaSpec::token_bucket(count, per_minute, MINUTE, burst).expect("in range")
}

/// The status that an attempt is answered with at once, and its retry-after.
fn answer(world: &mut World, at: Instant, job: Job) -> (u16, Option<Nanos>) {
    let mut first = None;
    world.submit(at, job, |seen| {
        if let What::Event(AttemptEvent::Open {
            status, retry_after, ..
        }) = seen.what
            && seen.tag == job.tag
        {
            first = Some((status, retry_after));
        }
    });
    first.unwrap_or((200, None))
}

#[test]
fn an_answer_comes_in_two_wakes_or_in_one() {
    let mut world = alone(Kind::Api(plain()));
    let mut seen = Vec::new();
    world.submit(Instant::EPOCH, job(0), |it| seen.push(it));
    world.run_to(seconds(2.0), |it| seen.push(it));
    let usage = Usage {
        input: 600,
        output: 101,
    };
    let open = What::Event(AttemptEvent::Open {
        status: 200,
        code: None,
        retry_after: None,
    });
    let whole = |start: f64, end: f64| {
        vec![
            (start, What::Event(AttemptEvent::Connected)),
            (start, open),
            (start, What::Event(AttemptEvent::FirstToken)),
            (end, What::Event(AttemptEvent::Finish { usage })),
        ]
    };
    assert_eq!(of(0, &seen), whole(0.5, 1.5));
    assert_eq!(world.wakes, 2);

    world.submit(
        seconds(2.0),
        Job {
            stream: false,
            ..job(1)
        },
        |it| seen.push(it),
    );
    world.run_to(seconds(4.0), |it| seen.push(it));
    assert_eq!(of(1, &seen), whole(3.5, 3.5));
    assert_eq!(world.wakes, 3);
}

#[test]
fn wakes_are_few() {
    let mut world = alone(Kind::Api(ApiSpec::profile("gpt-4o-mini").expect("known")));
    let mut finished = 0;
    for number in 0..10_000_u32 {
        world.submit(seconds(0.01 * f64::from(number)), job(u64::from(number)), |seen| {
            finished += u32::from(matches!(seen.what, What::Event(AttemptEvent::Finish { .. })));
        });
    }
    world.run_to(seconds(1e6), |seen| {
        finished += u32::from(matches!(seen.what, What::Event(AttemptEvent::Finish { .. })));
    });
    assert!(9_900 < finished, "{finished}");
    assert!(world.wakes <= 20_000, "{}", world.wakes);
}

#[test]
fn the_declared_maximum_ends_an_answer() {
    let mut world = alone(Kind::Api(plain()));
    let mut seen = Vec::new();
    world.submit(
        Instant::EPOCH,
        Job {
            max_output: Some(51),
            ..job(0)
        },
        |it| seen.push(it),
    );
    world.run_to(seconds(2.0), |it| seen.push(it));
    let usage = Usage { input: 600, output: 51 };
    assert_eq!(
        of(0, &seen).last(),
        Some(&(1.0, What::Event(AttemptEvent::Finish { usage })))
    );
}

#[test]
fn only_uncached_tokens_are_prefilled() {
    let mut world = alone(Kind::Api(ApiSpec {
        prefill: 1e-3,
        ..plain()
    }));
    let mut seen = Vec::new();
    world.submit(Instant::EPOCH, Job { cached: 400, ..job(0) }, |it| seen.push(it));
    world.run_to(seconds(2.0), |it| seen.push(it));
    assert_eq!(of(0, &seen)[0].0, 0.7);
}

/// Medians and 95th percentiles of every profile, within 5 standard errors of a quantile of 40,000 values.
#[test]
fn latencies_are_those_of_the_profile() {
    for profile in Profile::ALL {
        let mut spec = profile.spec();
        // What all attempts have in common, and what few have, is measured elsewhere.
        (spec.load_factor, spec.slow_share, spec.error_share, spec.hang_share) = (None, 0.0, 0.0, 0.0);
        let mut world = alone(Kind::Api(spec));
        let mut first = vec![0.0; 40_000];
        let mut paces = vec![0.0; 40_000];
        let mut see = |seen: Seen| {
            let index = usize::try_from(seen.tag).expect("an index");
            match seen.what {
                What::Event(AttemptEvent::FirstToken) => first[index] = seen.at.as_secs_f64(),
                What::Event(AttemptEvent::Finish { .. }) => {
                    paces[index] = (seen.at.as_secs_f64() - first[index]) / 100.0
                }
                What::Event(_) | What::Sent(_) => {}
            }
        };
        for number in 0..40_000 {
            world.submit(
                Instant::EPOCH,
                Job {
                    input: 0,
                    ..job(number)
                },
                &mut see,
            );
        }
        world.run_to(seconds(1e7), &mut see);
        let check = |values: &mut [f64], median: f64, sigma: f64| {
            values.sort_by(f64::total_cmp);
            // Standard errors of the logarithm of the two quantiles: sigma * sqrt(p (1 - p) / n) / phi(z).
            for (index, z, error) in [(20_000, 0.0, 0.0063), (38_000, 1.644_854, 0.0106)] {
                let off = ln(values[index] / (median * exp(z * sigma))).abs();
                assert!(off < 5.0 * error * sigma + 1e-6, "{}: off by {off}", profile.name);
            }
        };
        check(&mut first, exp(profile.ttft_mu), profile.ttft_sigma);
        check(&mut paces, 1.0 / profile.tokens_per_s, profile.tpot_sigma);
    }
}

#[test]
fn traits_of_a_profile_show() {
    let spec = ApiSpec {
        slow_share: 0.1,
        slow_factor: constant(8.0),
        error_share: 0.05,
        hang_share: 0.02,
        ..plain()
    };
    let mut world = alone(Kind::Api(spec));
    let (mut slow, mut errors, mut answered) = (0_u32, 0_u32, 0_u32);
    let mut see = |seen: Seen| match seen.what {
        What::Event(AttemptEvent::FirstToken) => {
            answered += 1;
            slow += u32::from(seen.at == seconds(4.0));
        }
        What::Event(AttemptEvent::Open { status: 500, .. }) => {
            errors += 1;
            assert!(seconds(0.005) <= seen.at && seen.at <= seconds(0.05));
        }
        What::Event(_) | What::Sent(_) => {}
    };
    for number in 0..100_000 {
        world.submit(Instant::EPOCH, job(number), &mut see);
    }
    world.run_to(seconds(100.0), &mut see);
    // Five standard errors of a share of 100,000.
    let near = |count: u32, expected: f64| (f64::from(count) - expected).abs() < 5.0 * expected.sqrt();
    assert!(near(errors, 5_000.0), "{errors}");
    assert!(near(100_000 - errors - answered, 2_000.0), "{answered}");
    assert!(near(slow, 0.1 * f64::from(answered)), "{slow}");
    assert_eq!(
        world.backend.jobs(),
        usize::try_from(100_000 - errors - answered).expect("a count"),
        "the silent stay"
    );
}

#[test]
fn names_are_listed_and_profiles_hold() {
    for profile in Profile::ALL {
        let kind = Kind::Api(ApiSpec::profile(profile.name).expect("its own name"));
        BackendSpec::new(profile.name, kind).check().expect("in range");
        assert!(!profile.source.is_empty());
    }
    for profile in QuotaProfile::ALL {
        let found = QuotaProfile::named(profile.name).expect("its own name");
        assert!(!found.quota().is_empty() && !profile.source.is_empty());
    }
    assert_eq!(ApiSpec::profile("gpt-5"), None);
}

#[test]
fn impossible_specs_are_named() {
    let error = |spec: ApiSpec| {
        BackendSpec::new("x", Kind::Api(spec))
            .check()
            .expect_err("out of range")
            .to_string()
    };
    assert_eq!(
        error(ApiSpec {
            error_share: 1.5,
            ..plain()
        }),
        "`error_share` must be a share between 0 and 1"
    );
    assert_eq!(
        error(ApiSpec {
            error_share: 0.6,
            hang_share: 0.6,
            ..plain()
        }),
        "`error_share` must be a share between 0 and 1"
    );
    assert_eq!(
        error(ApiSpec {
            prefill: f64::NAN,
            ..plain()
        }),
        "`prefill` must be between 0 and 3600 seconds a token"
    );
    let small = QueueSpec {
        capacity: NonZeroU32::new(2),
        ..QueueSpec::new(Servers::Bounded(NonZeroU32::new(3).expect("some")), constant(1.0))
    };
    let error = BackendSpec::new("x", Kind::Queue(small))
        .check()
        .expect_err("out of range")
        .to_string();
    assert_eq!(error, "`capacity` must be at least the number of servers");
    let slice = QuotaSpec::fixed_window(Count::Requests, 30, MINUTE, Nanos::from_secs(1)).expect_err("too short");
    assert_eq!(slice.to_string(), "`slice` must be long enough for one unit");
}

/// The theory case `dev-quota-0`: 500 requests and 30,000 tokens a minute, 1,200 + 800 reserved, saturating load.
#[test]
fn quota_0() {
    let mut world = limited(vec![
        bucket(Count::Requests, 500, None),
        bucket(Count::InputAndMaxOutput, 30_000, None),
    ]);
    let mut admitted = 0_u32;
    for tick in 0..60 * 60 * 10 {
        let at = Instant::EPOCH + Nanos::from_millis(100 * tick);
        let job = Job {
            input: 1_200,
            max_output: Some(800),
            output: 10,
            ..job(tick)
        };
        // The first minute spends the burst.
        if answer(&mut world, at, job).0 == 200 && 600 <= tick {
            admitted += 1;
        }
    }
    let per_minute = f64::from(admitted) / 59.0;
    assert!((per_minute / 15.0 - 1.0).abs() < 0.02, "{per_minute}");
}

#[test]
fn what_was_reserved_and_not_used_comes_back() {
    let throughput = |count: Count| {
        let mut world = limited(vec![bucket(count, 30_000, None)]);
        let mut admitted = 0_u32;
        for tick in 0..60 * 60 * 10 {
            let at = Instant::EPOCH + Nanos::from_millis(100 * tick);
            let job = Job {
                input: 1_200,
                max_output: Some(800),
                output: 300,
                ..job(tick)
            };
            admitted += u32::from(answer(&mut world, at, job).0 == 200 && 600 <= tick);
        }
        f64::from(admitted) / 59.0
    };
    let kept = throughput(Count::InputAndMaxOutput);
    let refunded = throughput(Count::InputAndOutput);
    assert!((kept / 15.0 - 1.0).abs() < 0.02, "{kept}");
    assert!((refunded / 20.0 - 1.0).abs() < 0.02, "{refunded}");
}

#[test]
fn retry_after_is_exact() {
    let mut world = limited(vec![
        bucket(Count::Requests, 60, Some(1)),
        bucket(Count::Input, 6_000, Some(1_000)),
    ]);
    assert_eq!(answer(&mut world, seconds(10.0), job(0)), (200, None));
    // Requests: a second. Tokens: 600 - 400 left, at 100 a second.
    let (status, retry_after) = answer(&mut world, seconds(10.0), job(1));
    assert_eq!(
        (status, retry_after),
        (429, Some(Nanos::from_secs(2))),
        "the longest of the two"
    );
    let due = seconds(10.0) + Nanos::from_secs(2);
    assert_eq!(
        answer(&mut world, due - Nanos::from_nanos(1), job(2)),
        (429, Some(Nanos::from_nanos(1)))
    );
    assert_eq!(answer(&mut world, due, job(3)), (200, None), "a refusal takes nothing");
    assert_eq!(
        answer(&mut world, due, Job { input: 1_001, ..job(4) }),
        (429, None),
        "more than ever fits"
    );
}

#[test]
fn slices_are_windows_of_their_own() {
    let slices = QuotaSpec::fixed_window(Count::Requests, 600, MINUTE, Nanos::from_secs(1)).expect("in range");
    let mut world = limited(vec![slices]);
    let admitted = |world: &mut World, at: f64| {
        (0..20)
            .filter(|number| answer(world, seconds(at), job(*number)).0 == 200)
            .count()
    };
    assert_eq!(admitted(&mut world, 5.9), 10);
    assert_eq!(
        answer(&mut world, seconds(5.9), job(99)),
        (429, Some(Nanos::from_millis(100)))
    );
    assert_eq!(admitted(&mut world, 6.0), 10);
}

#[test]
fn each_count_counts_what_it_says() {
    // Per minute 1,000 units, all of them at once: how many of these fit?
    let fits = |count: Count| {
        let mut world = limited(vec![bucket(count, 1_000, None)]);
        let job = |number| Job {
            input: 100,
            cached: 75,
            output: 10,
            max_output: Some(150),
            ..job(number)
        };
        (0..2_000)
            .filter(|number| answer(&mut world, Instant::EPOCH, job(*number)).0 == 200)
            .count()
    };
    let counts = [1_000, 4, 4, 10, 40, 6, 6];
    for ((name, count), expected) in Count::NAMES.into_iter().zip(counts) {
        assert_eq!(fits(count), expected, "{name}");
    }
}

#[test]
fn progress_is_even_between_the_first_token_and_the_last() {
    let mut world = alone(Kind::Api(plain()));
    let id = world.submit(seconds(1.0), job(0), |_| {});
    let waiting = Sent {
        connected: true,
        tokens: 0,
        last: seconds(1.0),
    };
    assert_eq!(world.backend.progress(seconds(1.4), id), Some(waiting));
    world.run_to(seconds(1.5), |_| {});
    let at = |secs: f64| {
        world
            .backend
            .progress(seconds(secs), id)
            .map(|sent| (sent.tokens, sent.last))
    };
    assert_eq!(at(1.5), Some((1, seconds(1.5))));
    assert_eq!(at(1.509), Some((1, seconds(1.5))));
    assert_eq!(at(1.51), Some((2, seconds(1.51))));
    assert_eq!(at(2.015), Some((52, seconds(2.01))));
    assert_eq!(at(9.0), Some((101, seconds(2.5))), "no more than all");
    world.run_to(seconds(2.5), |_| {});
    assert_eq!(world.backend.progress(seconds(2.5), id), None);

    let id = world.submit(
        seconds(3.0),
        Job {
            stream: false,
            ..job(1)
        },
        |_| {},
    );
    assert_eq!(
        world.backend.progress(seconds(4.4), id).map(|sent| sent.tokens),
        Some(0),
        "an answer that comes whole"
    );
}

#[test]
fn a_cancelled_job_says_nothing() {
    for on_cancel in [OnCancel::Stop, OnCancel::Finish] {
        let mut world = World::new(&BackendSpec {
            on_cancel,
            ..BackendSpec::new("alone", Kind::Api(plain()))
        });
        let mut seen = Vec::new();
        let id = world.submit(Instant::EPOCH, job(0), |it| seen.push(it));
        world.cancel(seconds(1.0), id, |it| seen.push(it));
        assert_eq!(world.backend.progress(seconds(1.0), id), None);
        assert_eq!(seen.len(), 3, "its beginning");
        world.cancel(seconds(1.1), id, |it| seen.push(it));
        world.run_to(seconds(9.0), |it| seen.push(it));
        assert_eq!(seen.len(), 3);
        assert_eq!(world.backend.jobs(), 0);
        let busy = if on_cancel == OnCancel::Stop {
            1_000_000_000
        } else {
            1_500_000_000
        };
        assert_eq!(world.backend.busy(world.now), busy, "{on_cancel:?}");
    }
}

#[test]
fn a_cancelled_stream_pays_for_what_it_got() {
    // 1,000 output tokens a minute; the stream reserves all of them and gets 51.
    let mut world = limited(vec![bucket(Count::Output, 1_000, None)]);
    let id = world.submit(
        Instant::EPOCH,
        Job {
            max_output: Some(1_000),
            ..job(0)
        },
        |_| {},
    );
    world.cancel(seconds(1.0), id, |_| {});
    let (status, _) = answer(
        &mut world,
        seconds(1.0),
        Job {
            max_output: Some(949),
            ..job(1)
        },
    );
    assert_eq!(status, 200);
    assert_eq!(
        answer(
            &mut world,
            seconds(1.0),
            Job {
                max_output: Some(60),
                ..job(2)
            }
        )
        .0,
        429
    );
}

/// One server, one second of service; the first of three is served, the others wait.
fn three_in_a_queue(on_cancel: OnCancel, drop_expired: bool) -> (World, [tollgate_mock_llm::model::JobId; 3]) {
    let servers = Servers::Bounded(NonZeroU32::new(1).expect("some"));
    let spec = QueueSpec {
        drop_expired,
        ..QueueSpec::new(servers, constant(1.0))
    };
    let mut world = World::new(&BackendSpec {
        on_cancel,
        ..BackendSpec::new("queue", Kind::Queue(spec))
    });
    let ids = [0, 1, 2].map(|number| world.submit(Instant::EPOCH, job(number), |_| {}));
    (world, ids)
}

#[test]
fn what_becomes_of_cancelled_work() {
    let last_finish = |on_cancel: OnCancel, drop_expired: bool, cancelled: usize| {
        let (mut world, ids) = three_in_a_queue(on_cancel, drop_expired);
        let mut end = None;
        world.cancel(seconds(0.5), ids[cancelled], |_| {});
        world.run_to(seconds(9.0), |seen| {
            if matches!(seen.what, What::Event(AttemptEvent::Finish { .. })) && seen.tag == 2 {
                end = Some(seen.at.as_secs_f64());
            }
        });
        assert_eq!(world.backend.jobs(), 0);
        end.expect("the last one finishes")
    };
    // The served one: its server is free at once, or at the end of its work.
    assert_eq!(last_finish(OnCancel::Stop, false, 0), 2.5);
    assert_eq!(last_finish(OnCancel::Finish, false, 0), 3.0);
    // One that waits: it leaves, is skipped when its turn comes, or is served for nobody.
    assert_eq!(last_finish(OnCancel::Stop, false, 1), 2.0);
    assert_eq!(last_finish(OnCancel::Finish, true, 1), 2.0);
    assert_eq!(last_finish(OnCancel::Finish, false, 1), 3.0);
}

#[test]
fn a_calm_backend_answers_health_checks() {
    let world = alone(Kind::Api(plain()));
    assert_eq!(
        world.backend.probe(seconds(1.0)),
        Probe::Answer {
            after: Nanos::from_millis(5),
            status: 200
        }
    );
}

#[test]
fn a_full_queue_answers_503() {
    let servers = Servers::Bounded(NonZeroU32::new(1).expect("some"));
    let mut world = alone(Kind::Queue(QueueSpec {
        capacity: NonZeroU32::new(2),
        ..QueueSpec::new(servers, Distribution::exponential(1.0).expect("in range"))
    }));
    assert_eq!(
        [0, 1, 2].map(|number| answer(&mut world, Instant::EPOCH, job(number)).0),
        [200, 200, 503]
    );
    let mut seen = Vec::new();
    world.run_to(seconds(1e3), |it| seen.push(it));
    assert!(seen.iter().all(|it| !matches!(
        it.what,
        What::Event(AttemptEvent::Fail {
            fault: Fault::Overloaded
        })
    )));
    assert_eq!(world.backend.jobs(), 0);
}
