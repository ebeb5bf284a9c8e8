//! Core's own limiters as subjects of the laws: how each is made of a quota, and how much it may let pass.

use core::num::NonZeroU32;

use super::{Subject, bucket_fits};
use crate::limit::{
    Decision, FixedWindow, Gcra, LeakyBucket, Limiter, Permits, SegmentedWindow, SlidingLog, SlidingWindow, Standing,
    Taken, TokenBucket,
};
use crate::policy::Quota;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// A limiter that delays for up to a third of its period rather than refusing.
#[derive(Clone, Copy, Debug)]
pub struct Delayed<L>(L);

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

/// A window's quota: its amount is what the cases call burst, so that their costs fit.
fn windowed(quota: Quota) -> Quota {
    Quota {
        amount: quota.burst,
        ..quota
    }
}

/// A window in so many segments.
#[derive(Clone, Copy, Debug)]
pub struct Segmented<const N: u32>(SegmentedWindow);

impl<const N: u32> Limiter for Segmented<N> {
    type State = <SegmentedWindow as Limiter>::State;

    fn take(&self, state: &mut Self::State, now: Instant, cost: Cost) -> Decision {
        self.0.take(state, now, cost)
    }

    fn peek(&self, state: &Self::State, now: Instant, cost: Cost) -> Decision {
        self.0.peek(state, now, cost)
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

impl<const N: u32> Subject for Segmented<N> {
    fn of(quota: Quota) -> Segmented<N> {
        let segments = NonZeroU32::new(N).expect("a window has segments");
        Segmented(SegmentedWindow::new(windowed(quota), segments))
    }

    /// A window of one period touches a segment more than it has, and the amount passes in every run of as many.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        let segments = u128::from(N).min(u128::from(quota.period.as_nanos()));
        let touched = u128::from(window.as_nanos()) * segments / u128::from(quota.period.as_nanos()) + 2;
        units <= u128::from(quota.burst.get()) * touched.div_ceil(segments)
    }
}

impl Subject for SlidingLog {
    fn of(quota: Quota) -> SlidingLog {
        SlidingLog::new(windowed(quota))
    }

    /// The amount in a period, whose end does not count any more.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        let periods = window.as_nanos() / quota.period.as_nanos() + 1;
        units <= u128::from(quota.burst.get()) * u128::from(periods)
    }
}

impl Subject for SlidingWindow {
    fn of(quota: Quota) -> SlidingWindow {
        SlidingWindow::new(windowed(quota))
    }

    /// As a fixed window: nearly two amounts in a period are its worst.
    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        FixedWindow::fits(quota, window, units)
    }

    /// The former window counts for a period more.
    fn pays(quota: Quota, used: u128) -> u128 {
        FixedWindow::pays(quota, used) + u128::from(quota.period.as_nanos())
    }
}

impl Subject for LeakyBucket {
    fn of(quota: Quota) -> LeakyBucket {
        LeakyBucket::meter(quota)
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

/// A leaky bucket as a queue, whose waits are bounded by a third of the period.
pub type Shaper = Delayed<LeakyBucket>;

impl Subject for Shaper {
    const SMOOTHS: bool = true;

    fn of(quota: Quota) -> Shaper {
        Delayed(LeakyBucket::shaper(quota, third(quota.period)))
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

impl Subject for FixedWindow {
    fn of(quota: Quota) -> FixedWindow {
        FixedWindow::new(windowed(quota))
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
