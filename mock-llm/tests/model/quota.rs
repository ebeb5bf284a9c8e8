//! What a provider lets through, and what it says to the rest.

use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::model::{ApiSpec, Count, Job, Kind, QuotaSpec};

use crate::api::plain;
use crate::world::{What, World, alone, job, seconds};

const MINUTE: Nanos = Nanos::from_secs(60);

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
