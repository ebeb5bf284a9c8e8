//! The laws of limiters: written once in `tollgate_core::laws`, run over every limiter, and shown to fail for broken ones.

mod broken;
mod golden;
mod years;

use proptest::prelude::*;
use tollgate_core::laws::limit::{self as laws, Case, Delayed, Segmented, Shaper, Step, quota};
use tollgate_core::limit::{FixedWindow, Gcra, LeakyBucket, Permits, SlidingLog, SlidingWindow, TokenBucket};
use tollgate_core::time::{Instant, Nanos};

macro_rules! obey {
    ($($subject:ident: $limiter:ty { $($law:ident)* })*) => {
        $(mod $subject {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

                $(#[test]
                fn $law(case in laws::case()) {
                    laws::$law::<$limiter>(&case).map_err(TestCaseError::fail)?;
                })*
            }
        })*
    };
}

macro_rules! obey_all {
    ($($subject:ident: $limiter:ty)*) => {
        obey! {
            $($subject: $limiter {
                never_exceeds_quota
                wait_is_tight
                idle_equals_fresh
                refund_restores
                debt_is_repaid
                undo_is_exact_inverse
                standing_never_mutates
                peek_is_what_take_says
                late_now_never_admits_more
                never_is_never
                conserved_on_every_exit
            })*
        }
    };
}

obey_all! {
    gcra: Gcra
    gcra_delayed: Delayed<Gcra>
    token_bucket: TokenBucket
    token_bucket_delayed: Delayed<TokenBucket>
    fixed_window: FixedWindow
    segmented_window_of_one: Segmented<1>
    segmented_window_of_three: Segmented<3>
    segmented_window_of_sixty: Segmented<60>
    sliding_log: SlidingLog
    sliding_window: SlidingWindow
    leaky_bucket_as_meter: LeakyBucket
    leaky_bucket_as_shaper: Shaper
    permits: Permits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bucket_equals_gcra(case in laws::case()) {
        laws::equal_within_a_tick::<TokenBucket, Gcra>(&case).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn delayed_bucket_equals_delayed_gcra(case in laws::case()) {
        laws::equal_within_a_tick::<Delayed<TokenBucket>, Delayed<Gcra>>(&case).map_err(TestCaseError::fail)?;
    }

    /// Of one segment, it is the fixed window.
    #[test]
    fn one_segment_is_a_fixed_window(case in laws::case()) {
        laws::equal_within_a_tick::<Segmented<1>, FixedWindow>(&case).map_err(TestCaseError::fail)?;
    }

    /// Finely cut, it is the log.
    #[test]
    fn fine_segments_are_a_log(case in laws::case()) {
        if u32::try_from(case.quota.period.as_nanos()).is_ok() {
            laws::equal_within_a_tick::<Segmented<{ u32::MAX }>, SlidingLog>(&case).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn meter_is_gcra(case in laws::case()) {
        laws::equal_within_a_tick::<LeakyBucket, Gcra>(&case).map_err(TestCaseError::fail)?;
    }
}

/// What is due a third of a nanosecond before the longest delay ends is delayed by one of the two, and refused for a
/// nanosecond by the other: the clock of one has ticks, the other's counts whole nanoseconds.
#[test]
fn a_tick_decides_whether_to_delay() {
    let step = |gap, cost| Step {
        gap: Nanos::from_nanos(gap),
        cost,
        late: Nanos::ZERO,
    };
    let case = Case {
        quota: quota(6, Nanos::from_nanos(75_457), 10),
        start: Instant::EPOCH,
        steps: vec![step(4_916, 1), step(0, 1), step(0, 10)],
    };
    assert_eq!(
        laws::equal_within_a_tick::<Delayed<TokenBucket>, Delayed<Gcra>>(&case),
        Ok(())
    );
}
