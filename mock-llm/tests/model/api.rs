//! A service seen from outside: latencies, quotas, cancellation.

use std::num::NonZeroU32;

use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::math::{exp, ln};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;
use tollgate_mock_llm::model::{
    ApiSpec, Backend, BackendSpec, Count, Job, Kind, Probe, Profile, QueueSpec, QuotaProfile, QuotaSpec, Sent, Servers,
};

use crate::world::{Seen, What, alone, constant, job, of, seconds};

/// Half a second to the first token, 100 tokens a second.
pub(crate) fn plain() -> ApiSpec {
    ApiSpec::new(constant(0.5), constant(0.01))
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
                    paces[index] = (seen.at.as_secs_f64() - first[index]) / 100.0;
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
    let slice =
        QuotaSpec::fixed_window(Count::Requests, 30, Nanos::from_secs(60), Nanos::from_secs(1)).expect_err("too short");
    assert_eq!(slice.to_string(), "`slice` must be long enough for one unit");
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
