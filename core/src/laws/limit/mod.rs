//! The laws of limiters, over random quotas and calls.
//!
//! Say for your limiter how it is made of a quota and how much it may let pass, which is [`Subject`]; then [`hold`] it
//! to all of them.
//!
//! ```
//! use tollgate_core::laws::limit::{Subject, bucket_fits, hold};
//! use tollgate_core::limit::Gcra;
//! use tollgate_core::policy::Quota;
//! use tollgate_core::time::Nanos;
//!
//! // `Gcra` is a subject already; one's own limiter needs these two functions.
//! let within = <Gcra as Subject>::fits;
//! let _: fn(Quota, Nanos, u128) -> bool = within;
//! assert_eq!(hold::<Gcra>(64), Ok(()));
//! # let _ = bucket_fits;
//! ```

mod laws;
mod subjects;

use alloc::format;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::num::NonZeroU64;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

pub use laws::{
    conserved_on_every_exit, debt_is_repaid, equal_within_a_tick, idle_equals_fresh, late_now_never_admits_more,
    never_exceeds_quota, never_is_never, peek_is_what_take_says, refund_restores, standing_never_mutates,
    undo_is_exact_inverse, wait_is_tight,
};
pub use subjects::{Delayed, Segmented, Shaper};

use super::Verdict;
use crate::limit::Limiter;
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A limiter, how it is made, and how much it may let pass.
pub trait Subject: Limiter<State: PartialEq + Debug> {
    /// Whether it gives units out one after the other rather than a burst at once: then nothing remains while anything
    /// is in it, and what is owed cannot be read from what remains.
    const SMOOTHS: bool = false;

    /// The limiter of `quota`, which never lets more than `quota.burst` pass at once.
    fn of(quota: Quota) -> Self;

    /// Whether `units` may be taken within a window of this length, both ends included.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool;

    /// In how many nanoseconds `used` units that were taken are paid, at the latest, if no more are: by default in what
    /// the quota needs to bring them, and a period more.
    #[must_use]
    fn pays(quota: Quota, used: u128) -> u128 {
        let period = u128::from(quota.period.as_nanos());
        (used * period).div_ceil(u128::from(quota.amount.get())) + period + 2
    }
}

/// A quota and what is asked of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The quota.
    pub quota: Quota,
    /// When it begins.
    pub start: Instant,
    /// What is asked, in order.
    pub steps: Vec<Step>,
}

/// One call, `gap` after the one before.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How long after the one before.
    pub gap: Nanos,
    /// Units asked for.
    pub cost: Cost,
    /// How late the clock of this call is, where a law is about that.
    pub late: Nanos,
}

/// One law of limiters.
pub type Law = fn(&Case) -> Verdict;

/// Every law that any limiter obeys, with its name.
#[must_use]
pub fn all<L: Subject>() -> [(&'static str, Law); 11] {
    [
        ("never_exceeds_quota", never_exceeds_quota::<L>),
        ("wait_is_tight", wait_is_tight::<L>),
        ("idle_equals_fresh", idle_equals_fresh::<L>),
        ("refund_restores", refund_restores::<L>),
        ("debt_is_repaid", debt_is_repaid::<L>),
        ("undo_is_exact_inverse", undo_is_exact_inverse::<L>),
        ("standing_never_mutates", standing_never_mutates::<L>),
        ("peek_is_what_take_says", peek_is_what_take_says::<L>),
        ("late_now_never_admits_more", late_now_never_admits_more::<L>),
        ("never_is_never", never_is_never::<L>),
        ("conserved_on_every_exit", conserved_on_every_exit::<L>),
    ]
}

/// Runs every law over so many random cases, always the same ones.
///
/// # Errors
///
/// The first law that is broken, how, and the smallest case found that breaks it.
pub fn hold<L: Subject>(cases: u32) -> Verdict {
    for (name, law) in all::<L>() {
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let verdict = runner.run(&case(), |case| law(&case).map_err(TestCaseError::fail));
        verdict.map_err(|broken| format!("{name}: {broken}"))?;
    }
    Ok(())
}

/// A quota of `amount` in `period`, `burst` of it at once.
///
/// # Panics
///
/// If `amount` or `burst` is zero.
#[must_use]
pub fn quota(amount: u64, period: Nanos, burst: u64) -> Quota {
    Quota {
        amount: NonZeroU64::new(amount).expect("not zero"),
        period,
        burst: NonZeroU64::new(burst).expect("not zero"),
    }
}

/// Quotas up to 1e9 a second that recover within a year, anywhere in a hundred years, asked at all scales from a
/// nanosecond to full recovery.
pub fn case() -> impl Strategy<Value = Case> {
    let period = prop_oneof![
        1..1_000_000_u64,
        Just(1_000_000_000),
        Just(60_000_000_000),
        1..90_000_000_000_000_u64
    ];
    let quota = (
        period,
        prop_oneof![1..100_u64, 1..1_000_000_000_u64],
        prop_oneof![1..50_u64, 1..1_000_000_u64],
    )
        .prop_map(|(period, amount, burst)| {
            let amount = amount.min(period);
            let most = YEAR.saturating_mul(amount) / period;
            quota(amount, Nanos::from_nanos(period), burst.min(most))
        });
    let start = prop_oneof![Just(0), 0..10_u64, 0..50 * YEAR];
    (quota, start).prop_flat_map(|(quota, start)| {
        let start = Instant::from_nanos(start);
        proptest::collection::vec(step(quota), 1..40).prop_map(move |steps| Case { quota, start, steps })
    })
}

fn step(quota: Quota) -> impl Strategy<Value = Step> {
    let burst = quota.burst.get();
    let unit = (quota.period.as_nanos() / quota.amount).max(1);
    let full = unit.saturating_mul(burst);
    let gap = prop_oneof![
        3 => Just(0),
        1 => 0..5_u64,
        3 => 0..unit.saturating_mul(3),
        1 => 0..full,
        1 => 0..full.saturating_mul(2),
        1 => 0..quota.period.as_nanos(),
    ];
    let cost = prop_oneof![4 => 1..=burst, 4 => 1..=burst.min(3), 1 => Just(burst), 1 => Just(burst + 1), 1 => Just(0)];
    let late = prop_oneof![Just(0), 0..unit.saturating_mul(2), 0..full];
    (gap, cost, late).prop_map(|(gap, cost, late)| Step {
        gap: Nanos::from_nanos(gap.min(YEAR)),
        cost,
        late: Nanos::from_nanos(late),
    })
}

/// A year of 365.25 days.
pub const YEAR: u64 = 31_557_600 * 1_000_000_000;

/// The bound of a bucket: a full one, and what flows in. A clock tick is a nanosecond's worth or 2^-60 of a burst,
/// whichever is more.
#[must_use]
pub fn bucket_fits(quota: Quota, window: Nanos, units: u128) -> bool {
    let amount = u128::from(quota.amount.get());
    let period = u128::from(quota.period.as_nanos());
    let burst = u128::from(quota.burst.get()) * period;
    let tick = amount + burst / (1 << 60);
    units * period <= burst + amount * u128::from(window.as_nanos()) + tick
}
