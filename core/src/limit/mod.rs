//! Limiters: how much of something a key may take, and when.
//!
//! A limiter is its numbers; what a key has taken is a [`Limiter::State`] kept elsewhere (see [`crate::memory`]).
//! Time is an argument, so a limiter decides the same in a simulation and in production.
//!
//! | Law | Test |
//! |---|---|
//! | Units taken in any window stay within the quota. | `never_exceeds_quota` |
//! | Refused just before `until`, allowed at `until`. | `wait_is_tight` |
//! | An idle key equals a new one, so it may be forgotten. | `idle_equals_fresh` |
//! | What was not used comes back, and never more than a full burst. | `refund_restores` |
//! | What was used in excess is owed, and paid by waiting. | `debt_is_repaid` |
//! | A take that was undone was never there. | `undo_is_exact_inverse` |
//! | Looking changes nothing, and shows what can be taken now. | `standing_never_mutates` |
//! | What a take would say can be asked without taking. | `peek_is_what_take_says` |
//! | A clock that is late refuses no less. | `late_now_never_admits_more` |
//! | What can never be taken is never taken, and nothing is always allowed. | `never_is_never` |
//! | The rate is the quota's, to 1e-5, from one an hour to 1e9 a second. | `rate_is_held` |
//! | A hundred years change nothing. | `no_overflow_in_100_years` |
//! | However requests end, nothing stays taken that was not used. | `conserved_on_every_exit` |
//!
//! All are in `tests/laws_limit/`, written once, run over every limiter, and shown to fail for broken ones.
//!
//! ```
//! use core::num::NonZeroU64;
//! use tollgate_core::limit::{Decision, Gcra, Limiter};
//! use tollgate_core::policy::Quota;
//! use tollgate_core::time::{Instant, Nanos};
//!
//! let ten_a_second = Quota {
//!     amount: NonZeroU64::new(10).expect("not zero"),
//!     period: Nanos::from_secs(1),
//!     burst: NonZeroU64::new(3).expect("not zero"),
//! };
//! let limiter = Gcra::new(ten_a_second, Nanos::ZERO);
//! let mut tenant = Default::default();
//!
//! let now = Instant::EPOCH;
//! assert_eq!(limiter.take(&mut tenant, now, 3), Decision::Allow { at: now });
//! let until = now + Nanos::from_millis(100);
//! assert_eq!(limiter.take(&mut tenant, now, 1), Decision::Wait { until });
//! assert_eq!(limiter.take(&mut tenant, now, 4), Decision::Never);
//! ```

mod adaptive;
mod fixed_window;
mod gcra;
mod leaky_bucket;
mod lease;
mod log;
mod outputs;
mod own;
mod permits;
mod segmented_window;
mod sliding_log;
mod sliding_window;
mod ticks;
mod token_bucket;

pub use adaptive::{
    Adaptive, Aimd, AimdState, ConcurrencyLaw, EnvoyGradient, EnvoyGradientState, Flight, Gradient2, Gradient2State,
    Prompts, Sample, Vegas, VegasState, Windowed, WindowedState,
};
pub use fixed_window::{FixedWindow, Window};
pub use gcra::{Gcra, Tat};
pub use leaky_bucket::LeakyBucket;
pub use lease::Lease;
pub use log::Log;
pub use outputs::Outputs;
pub use own::{Own, Slate};
pub use permits::{InFlight, Permits};
pub use segmented_window::SegmentedWindow;
pub use sliding_log::SlidingLog;
pub use sliding_window::{SlidingWindow, TwoWindows};
pub use token_bucket::{Bucket, TokenBucket};

use crate::time::Instant;
use crate::usage::Cost;

/// An algorithm that limits.
pub trait Limiter {
    /// What one key has taken. `default()` is a key that was never seen.
    type State: Clone + Default;

    /// Takes `cost` units, or says when they could be taken. A refusal changes nothing.
    ///
    /// A cost of zero is always allowed. `now` may be earlier than that of a former call: threads may be late.
    fn take(&self, state: &mut Self::State, now: Instant, cost: Cost) -> Decision;

    /// What [`Limiter::take`] would say, without taking.
    fn peek(&self, state: &Self::State, now: Instant, cost: Cost) -> Decision {
        self.take(&mut state.clone(), now, cost)
    }

    /// Takes back a `take` that was allowed, as if it had not been.
    ///
    /// Exact if nothing else was taken at a later instant in between. Not a way to correct an estimate: that is
    /// [`Limiter::settle`].
    fn undo(&self, state: &mut Self::State, now: Instant, taken: Taken);

    /// Trues up an earlier take, once it is known that it `used` more or fewer units than were taken.
    ///
    /// What was used in excess is charged from `now` without asking, so the key may be in debt, which it pays by
    /// waiting. What was not used comes back, though never above a full burst.
    fn settle(&self, state: &mut Self::State, now: Instant, taken: Taken, used: Cost);

    /// Whether this key equals one that was never seen, now and at any later instant.
    fn is_idle(&self, state: &Self::State, now: Instant) -> bool;

    /// Where a key stands.
    fn standing(&self, state: &Self::State, now: Instant) -> Standing;
}

/// An allowed [`Limiter::take`], as needed to give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The units that were taken.
    pub cost: Cost,
    /// The `now` at which they were.
    pub at: Instant,
}

/// What a limiter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "units that were taken must be settled"]
pub enum Decision {
    /// The units are taken.
    Allow {
        /// When to go ahead: now, or at most the limiter's longest delay later.
        at: Instant,
    },
    /// Not enough units are there.
    Wait {
        /// The first nanosecond at which they could be taken, if nobody else takes any; [`Instant::FAR`] if unknown.
        until: Instant,
    },
    /// More units than can ever be there.
    Never,
}

impl Decision {
    /// Whether the units were taken.
    #[must_use]
    #[inline]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Decision::Allow { .. })
    }
}

/// Where a key stands with a limit: what rate-limit headers tell the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Most units at once.
    pub limit: Cost,
    /// Units that can be taken now, without delay.
    pub remaining: Cost,
    /// When `remaining` is `limit` again if nothing more is taken; [`Instant::FAR`] if unknown.
    pub reset: Instant,
}
