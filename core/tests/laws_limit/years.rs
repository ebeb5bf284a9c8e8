//! Rates over a long time, and what a hundred years do.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::laws::Verdict;
use tollgate_core::laws::limit::{Segmented, Subject, YEAR, quota};
use tollgate_core::limit::{
    Bucket, Decision, FixedWindow, Gcra, LeakyBucket, Limiter, SegmentedWindow, SlidingLog, SlidingWindow, Standing,
    Taken, Tat, TokenBucket,
};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

/// How a client takes as much as it can.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// It waits as long as it is told.
    Greedy,
    /// It asks at fixed intervals, which need not suit the quota.
    Polled(Nanos),
}

/// In the long run, what is taken is what the quota brings, to 1e-5: not less, and not more.
pub(crate) fn rate_is_held<L: Subject>(quota: Quota, cost: Cost, manner: Manner) -> Verdict {
    let limiter = L::of(quota);
    let mut state = L::State::default();
    let mut now = Instant::EPOCH;
    let mut taken = 0_u64;
    for _ in 0..DECISIONS {
        match manner {
            Manner::Greedy => match limiter.take(&mut state, now, cost) {
                Decision::Allow { .. } => taken += cost,
                Decision::Wait { until } => now = until,
                Decision::Never => return Err(format!("never {cost}")),
            },
            Manner::Polled(interval) => {
                while limiter.take(&mut state, now, cost).is_allowed() {
                    taken += cost;
                }
                now += interval;
            }
        }
    }

    let amount = u128::from(quota.amount.get());
    let brought = amount * u128::from(now.as_nanos()) / u128::from(quota.period.as_nanos());
    let apart = u128::from(taken).abs_diff(brought);
    let slack = brought / 100_000 + u128::from(quota.burst.get() + cost);
    if slack < apart {
        let share = u128::from(taken) * 10_000 / brought;
        return Err(format!(
            "{taken} taken, {share} in 10000 of the {brought} that {quota:?} brings in {now:?}"
        ));
    }
    Ok(())
}

const DECISIONS: u32 = 700_000;
const HOUR: Nanos = Nanos::from_secs(3600);
const SECOND: Nanos = Nanos::from_secs(1);

/// From one an hour, for eighty years at one decision an hour, to 1e9 a second.
const RATES: [(u64, Nanos); 14] = [
    (1, HOUR),
    (7, HOUR),
    (1, Nanos::from_secs(60)),
    (3, SECOND),
    (10, SECOND),
    (1000, Nanos::from_secs(7)),
    (999_983, SECOND),
    (1_000_000, Nanos::from_secs(60)),
    (3_000_000, SECOND),
    (30_000_000, SECOND),
    (300_000_000, SECOND),
    (700_000_001, SECOND),
    (999_999_937, SECOND),
    (1_000_000_000, SECOND),
];

fn rate_is_held_everywhere<L: Subject>() {
    for (amount, period) in RATES {
        let quota = quota(amount, period, 3);
        let odd = Nanos::from_nanos((period.as_nanos() * 3 / (amount * 2)).max(1));
        for (cost, manner) in [(1, Manner::Greedy), (2, Manner::Greedy), (1, Manner::Polled(odd))] {
            assert_eq!(rate_is_held::<L>(quota, cost, manner), Ok(()), "{manner:?}");
        }
    }
}

mod gcra {
    #[test]
    fn rate_is_held() {
        super::rate_is_held_everywhere::<super::Gcra>();
    }
}

mod token_bucket {
    #[test]
    fn rate_is_held() {
        super::rate_is_held_everywhere::<super::TokenBucket>();
    }
}

mod leaky_bucket {
    #[test]
    fn rate_is_held() {
        super::rate_is_held_everywhere::<super::LeakyBucket>();
    }
}

/// A window's amount is its burst; all of it is taken at once.
fn rate_of_windows_is_held<L: Subject>() {
    for (amount, period) in RATES {
        let quota = quota(amount, period, amount);
        assert_eq!(rate_is_held::<L>(quota, amount, Manner::Greedy), Ok(()));
    }
}

mod fixed_window {
    #[test]
    fn rate_is_held() {
        super::rate_of_windows_is_held::<super::FixedWindow>();
    }
}

mod segmented_window {
    #[test]
    fn rate_is_held() {
        super::rate_of_windows_is_held::<super::Segmented<1>>();
        super::rate_of_windows_is_held::<super::Segmented<7>>();
    }
}

mod sliding_log {
    #[test]
    fn rate_is_held() {
        super::rate_of_windows_is_held::<super::SlidingLog>();
    }
}

/// Unit by unit, at the earliest: the estimate allows the amount in each window. Where a nanosecond brings a whole unit
/// the last of them comes too late for its window.
mod sliding_window {
    use super::*;

    #[test]
    fn rate_is_held() {
        for (amount, period) in RATES {
            let amount_of_100 = amount.min(100);
            let period = Nanos::from_nanos(period.as_nanos() / (amount / amount_of_100));
            if amount_of_100 < period.as_nanos() {
                let quota = quota(amount_of_100, period, amount_of_100);
                let verdict = super::rate_is_held::<SlidingWindow>(quota, 1, Manner::Greedy);
                assert_eq!(verdict, Ok(()), "{quota:?}");
            }
        }
    }
}

/// A hundred years on, the first unit after a burst comes when it would have at the beginning.
fn as_on_the_first_day<L: Limiter>(limiter: &L, amount: u64, period: Nanos, burst: u64) {
    let at = Instant::from_nanos(100 * YEAR - 1);
    let mut state = L::State::default();
    // Long ago it was emptied, and since then it has recovered.
    assert!(limiter.take(&mut state, Instant::EPOCH, burst).is_allowed());
    assert!(limiter.is_idle(&state, at));
    assert_eq!(limiter.take(&mut state, at, burst), Decision::Allow { at });

    let Decision::Wait { until } = limiter.take(&mut state, at, 1) else {
        panic!("more than a burst");
    };
    let exactly = period.as_nanos().div_ceil(amount);
    assert!(
        until.since(at).as_nanos().abs_diff(exactly) <= 1,
        "{amount} per {period}: {until:?}"
    );
    assert!(limiter.take(&mut state, until, 1).is_allowed());
}

/// A hundred years on, a window holds its amount, and lets go of it within two periods.
fn windows_as_on_the_first_day<L: Limiter>(limiter: &L, quota: Quota) {
    let (amount, at) = (quota.amount.get(), Instant::from_nanos(100 * YEAR - 1));
    let mut state = L::State::default();
    assert!(limiter.take(&mut state, Instant::EPOCH, amount).is_allowed());
    assert!(limiter.is_idle(&state, at));
    assert_eq!(limiter.take(&mut state, at, amount), Decision::Allow { at });
    let Decision::Wait { until } = limiter.take(&mut state, at, 1) else {
        panic!("more than the amount");
    };
    assert!(until.since(at) <= quota.period + quota.period, "{quota:?}: {until:?}");
    assert!(limiter.take(&mut state, until, 1).is_allowed());
}

#[test]
fn no_overflow_in_100_years() {
    for (amount, period) in RATES {
        for burst in [1, 3, 8000] {
            let quota = quota(amount, period, burst);
            as_on_the_first_day(&Gcra::new(quota, Nanos::ZERO), amount, period, burst);
            as_on_the_first_day(&TokenBucket::new(quota, Nanos::ZERO), amount, period, burst);
            as_on_the_first_day(&LeakyBucket::meter(quota), amount, period, burst);
        }
    }
    for (amount, period) in RATES {
        let quota = quota(amount, period, amount);
        windows_as_on_the_first_day(&FixedWindow::new(quota), quota);
        windows_as_on_the_first_day(&SegmentedWindow::new(quota, NonZeroU32::MIN), quota);
        windows_as_on_the_first_day(
            &SegmentedWindow::new(quota, NonZeroU32::new(7).expect("not zero")),
            quota,
        );
        windows_as_on_the_first_day(&SlidingLog::new(quota), quota);
        windows_as_on_the_first_day(&SlidingWindow::new(quota), quota);
    }
    // A nanosecond's worth is never lost, however far on: one unit each, for a while.
    let limiter = Gcra::new(quota(1_000_000_000, SECOND, 1), Nanos::ZERO);
    let mut state = Tat::default();
    for nanos in 100 * YEAR - 10_000..100 * YEAR {
        let at = Instant::from_nanos(nanos);
        assert_eq!(limiter.take(&mut state, at, 1), Decision::Allow { at });
    }
}

/// Whatever the numbers: no panic, no more than a burst at one instant, and no more than one when time stands still.
fn survives<L: Limiter>(limiter: &L, now: Instant, excess: Cost) {
    let mut state = L::State::default();
    let Standing { limit, remaining, .. } = limiter.standing(&state, now);
    assert_eq!(remaining, limit);
    for at in [now, Instant::FAR] {
        let mut left = limiter.standing(&state, at).remaining;
        assert!(left <= limit);
        for cost in [limit / 2, limit - limit / 2, 1, limit] {
            match limiter.take(&mut state, at, cost) {
                Decision::Allow { .. } => left = left.checked_sub(cost).expect("no more than remained"),
                Decision::Wait { until } => assert!(at < until || until.is_far()),
                Decision::Never => assert!(limit < cost),
            }
        }
        assert_eq!(limiter.standing(&state, at).remaining, left);
    }
    let taken = Taken { cost: limit, at: now };
    limiter.settle(&mut state, now, taken, excess);
    limiter.undo(&mut state, now, taken);
    let _ = limiter.is_idle(&state, now);
    let _ = limiter.standing(&state, Instant::FAR);
}

/// Numbers of all magnitudes, the greatest included.
fn magnitude() -> impl Strategy<Value = u64> {
    prop_oneof![
        (any::<u64>(), 0..64_u32).prop_map(|(bits, shift)| (bits >> shift).max(1)),
        Just(1),
        Just(u64::MAX)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_numbers_panic(
        (amount, period, burst) in (magnitude(), magnitude(), magnitude()),
        (now, excess, delay) in (magnitude(), magnitude(), magnitude()),
    ) {
        let now = Instant::from_nanos(now);
        let quota = quota(amount, Nanos::from_nanos(period), burst);
        for delay in [Nanos::ZERO, Nanos::from_nanos(delay)] {
            let gcra = Gcra::new(quota, delay);
            let bucket = TokenBucket::new(quota, delay);
            if delay == Nanos::ZERO {
                survives(&gcra, now, excess);
                survives(&bucket, now, excess);
            } else {
                let _ = gcra.take(&mut Tat::default(), now, burst);
                let _ = bucket.take(&mut Bucket::default(), now, burst);
            }
        }
        survives(&FixedWindow::new(quota), now, excess);
        for segments in [1, 2, 256, u32::MAX] {
            let segments = NonZeroU32::new(segments).expect("not zero");
            survives(&SegmentedWindow::new(quota, segments), now, excess);
        }
        survives(&SlidingLog::new(quota), now, excess);
        survives(&SlidingWindow::new(quota), now, excess);
        survives(&LeakyBucket::meter(quota), now, excess);
        let shaper = LeakyBucket::shaper(quota, Nanos::from_nanos(delay));
        let _ = shaper.take(&mut Tat::default(), now, burst);
    }
}
