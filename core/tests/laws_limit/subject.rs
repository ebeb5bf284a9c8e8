//! What the laws are run over: every limiter with its bound, and the cases.

use core::fmt::Debug;
use core::num::{NonZeroU32, NonZeroU64};

use proptest::prelude::*;
use tollgate_core::limit::{Decision, FixedWindow, Gcra, Limiter, Permits, Standing, Taken, TokenBucket};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

/// A limiter, and how much it may let pass.
pub(crate) trait Subject: Limiter<State: PartialEq + Debug> {
    fn of(quota: Quota) -> Self;

    /// Whether `units` may be taken within a window of this length, both ends included.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool;
}

/// A quota and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) quota: Quota,
    pub(crate) start: Instant,
    pub(crate) steps: Vec<Step>,
}

/// One call, `gap` after the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) gap: Nanos,
    pub(crate) cost: Cost,
    /// How late the clock of this call is, where a law is about that.
    pub(crate) late: Nanos,
}

/// A limiter that delays for up to a third of its period rather than refusing.
pub(crate) struct Delayed<L>(L);

pub(crate) fn quota(amount: u64, period: Nanos, burst: u64) -> Quota {
    Quota {
        amount: NonZeroU64::new(amount).expect("not zero"),
        period,
        burst: NonZeroU64::new(burst).expect("not zero"),
    }
}

/// Quotas up to 1e9 a second that recover within a year, anywhere in a hundred years, asked at all scales from a
/// nanosecond to full recovery.
pub(crate) fn case() -> impl Strategy<Value = Case> {
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
        prop::collection::vec(step(quota), 1..40).prop_map(move |steps| Case { quota, start, steps })
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
pub(crate) const YEAR: u64 = 31_557_600 * 1_000_000_000;

/// The bound of a bucket: a full one, and what flows in. A clock tick is a nanosecond's worth or 2^-60 of a burst,
/// whichever is more.
pub(crate) fn bucket_fits(quota: Quota, window: Nanos, units: u128) -> bool {
    let amount = u128::from(quota.amount.get());
    let period = u128::from(quota.period.as_nanos());
    let burst = u128::from(quota.burst.get()) * period;
    let tick = amount + burst / (1 << 60);
    units * period <= burst + amount * u128::from(window.as_nanos()) + tick
}

impl Subject for Gcra {
    fn of(quota: Quota) -> Gcra {
        Gcra::new(quota, Nanos::ZERO)
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

impl Subject for TokenBucket {
    fn of(quota: Quota) -> TokenBucket {
        TokenBucket::new(quota, Nanos::ZERO)
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

impl Subject for FixedWindow {
    /// Its amount is what the cases call burst, so that their costs fit.
    fn of(quota: Quota) -> FixedWindow {
        FixedWindow::new(Quota {
            amount: quota.burst,
            ..quota
        })
    }

    /// A window of one period touches two aligned ones, one of two periods three.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        let windows = window.as_nanos() / quota.period.as_nanos() + 2;
        units <= u128::from(quota.burst.get()) * u128::from(windows)
    }
}

impl Subject for Permits {
    fn of(quota: Quota) -> Permits {
        let limit = u32::try_from(quota.burst.get()).expect("bursts of the cases are small");
        Permits::new(NonZeroU32::new(limit).expect("not zero"))
    }

    fn fits(quota: Quota, _window: Nanos, units: u128) -> bool {
        units <= u128::from(quota.burst.get())
    }
}

impl Subject for Delayed<Gcra> {
    fn of(quota: Quota) -> Delayed<Gcra> {
        Delayed(Gcra::new(quota, third(quota.period)))
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

impl Subject for Delayed<TokenBucket> {
    fn of(quota: Quota) -> Delayed<TokenBucket> {
        Delayed(TokenBucket::new(quota, third(quota.period)))
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

fn third(period: Nanos) -> Nanos {
    Nanos::from_nanos(period.as_nanos() / 3)
}

impl<L: Limiter> Limiter for Delayed<L> {
    type State = L::State;

    fn take(&self, state: &mut Self::State, now: Instant, cost: Cost) -> Decision {
        self.0.take(state, now, cost)
    }

    fn undo(&self, state: &mut Self::State, now: Instant, taken: Taken) {
        self.0.undo(state, now, taken);
    }

    fn settle(&self, state: &mut Self::State, now: Instant, taken: Taken, used: Cost) {
        self.0.settle(state, now, taken, used);
    }

    fn is_idle(&self, state: &Self::State, now: Instant) -> bool {
        self.0.is_idle(state, now)
    }

    fn standing(&self, state: &Self::State, now: Instant) -> Standing {
        self.0.standing(state, now)
    }
}
