//! Real time as the model's time.
//!
//! The model, the gate and every lifecycle are told the time. Whoever tells it in production has a [`Clock`], and one for
//! all of them: then a second of the mock is a second of the proxy, whatever the scale. Tests have a clock that moves
//! only when nothing else can happen, so that every instant is exact and a run takes no time.
//!
//! | Law | Test |
//! |---|---|
//! | A timer never rings before its instant. | `manual_timers_ring_in_order`, `system_timers_are_never_early` |
//! | Timers of a [`ManualClock`] ring in order of time, and among equals in the order in which they were set. | `manual_timers_ring_in_order` |
//! | Setting a timer replaces the wish before it. | `setting_again_replaces`, `system_timers_can_be_set_again` |
//! | A timer that has rung stays so until it is set anew. | `what_has_rung_has_rung` |
//! | The timers of a precise clock ring within a fraction of a millisecond. | `precise_timers_are_close` |
//! | Clocks that begin at one date agree. | `clocks_that_begin_together_agree` |
//! | A timer that is dropped does not move the time. | `dropped_timers_are_forgotten` |

mod fine;
mod manual;
mod system;

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tollgate_core::time::Instant;

pub use manual::ManualClock;
pub use system::SystemClock;

/// Who tells the time, and rings when it has come. Shared as `Arc<dyn Clock>`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time since this clock began.
    fn now(&self) -> Instant;

    /// A timer that is not set: it never rings.
    fn timer(&self) -> Box<dyn Timer>;

    /// What a clock on the wall shows now, for logs and for dates in headers. No decision may depend on it.
    fn wall(&self) -> SystemTime;

    /// The date at which this clock began, or will begin.
    fn began(&self) -> SystemTime {
        let now = Duration::from_nanos(self.now().as_nanos());
        self.wall().checked_sub(now).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// One wish to be woken, which the next one replaces.
pub trait Timer: fmt::Debug + Send {
    /// Asks to be woken at `at`; [`Instant::FAR`] is never. Takes effect when it is polled next.
    fn set(&mut self, at: Instant);

    /// Ready once the timer has rung, which is never before its instant, and from then on until it is set anew.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Waits until `at`.
pub async fn sleep_until(clock: &dyn Clock, at: Instant) {
    let mut timer = clock.timer();
    timer.set(at);
    poll_fn(|cx| timer.poll(cx)).await;
}
