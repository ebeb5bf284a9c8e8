//! The laws of limiters: written once in `laws`, run over every limiter, and shown to fail for broken ones.

mod broken;
mod golden;
mod laws;
mod subject;
mod years;

use proptest::prelude::*;
use subject::Delayed;
use tollgate_core::limit::{FixedWindow, Gcra, Permits, TokenBucket};

macro_rules! obey {
    ($($subject:ident: $limiter:ty { $($law:ident)* })*) => {
        $(mod $subject {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

                $(#[test]
                fn $law(case in subject::case()) {
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
    permits: Permits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bucket_equals_gcra(case in subject::case()) {
        laws::equal_within_a_tick::<TokenBucket, Gcra>(&case).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn delayed_bucket_equals_delayed_gcra(case in subject::case()) {
        laws::equal_within_a_tick::<Delayed<TokenBucket>, Delayed<Gcra>>(&case).map_err(TestCaseError::fail)?;
    }
}
