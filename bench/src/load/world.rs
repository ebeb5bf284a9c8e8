//! What all requests of a run share.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant as Moment;
use tollgate_core::dice::Dice;
use tollgate_core::time::Instant;
use tollgate_mock_llm::clock::{Clock as _, SystemClock};
use tollgate_sim::experiment::Strategy;
use tollgate_sim::workload::Workload;

use super::body::Writer;
use super::ledger::Ledger;
use super::pace::Pacer;
use super::pool::Pool;

/// What all requests of a run share.
pub(super) struct World {
    pub(super) strategy: Strategy,
    pub(super) dice: Dice,
    pub(super) clock: SystemClock,
    /// When the clock began, as the machine tells the time.
    pub(super) began: Moment,
    pub(super) scale: f64,
    pub(super) pacer: Pacer,
    pub(super) pool: Pool,
    pub(super) writer: Writer,
    pub(super) most_open: u64,
    pub(super) ledger: Mutex<Ledger>,
    /// Requests that are open.
    pub(super) in_flight: AtomicU64,
    pub(super) most_in_flight: AtomicU64,
    /// Calls that are open, and users who are at it.
    pub(super) live: AtomicU64,
    /// The last of them is gone.
    pub(super) idle: Notify,
    /// Calls that have begun.
    pub(super) begun: AtomicU64,
    /// Users who think.
    pub(super) thinking: AtomicU64,
    /// Calls that were not made, because too many were open.
    pub(super) skipped: AtomicU64,
    /// No further call of an open workload begins.
    pub(super) is_over: AtomicBool,
    /// What is dropped now was waited for long enough.
    pub(super) is_cut: AtomicBool,
}

impl World {
    pub(super) fn workload(&self) -> &Workload {
        self.strategy.plan.workload()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Whoever panics while it is held has said so; what was counted is still there.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it is `at`, as the machine tells the time.
    pub(super) fn moment(&self, at: Instant) -> Moment {
        let wait = Duration::try_from_secs_f64(at.as_secs_f64() / self.scale).unwrap_or(FAR);
        self.began.checked_add(wait.min(FAR)).unwrap_or(self.began + FAR)
    }

    /// Waits until `at`, to some ten microseconds.
    pub(super) async fn until(&self, at: Instant) {
        while self.clock.now() < at {
            self.pacer.until(self.moment(at) + GRAIN).await;
        }
    }

    /// Waits until `at`, to a millisecond; for ever if that is far.
    pub(super) async fn about(&self, at: Instant) {
        if at.is_far() {
            return std::future::pending().await;
        }
        while self.clock.now() < at {
            tokio::time::sleep_until(self.moment(at)).await;
        }
    }
}

/// As good as never.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// What rounding may be wrong by.
const GRAIN: Duration = Duration::from_nanos(1);

/// Raises how many files this process may open as far as it may itself, as a gateway does.
#[cfg(unix)]
pub(super) fn raise_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as its twin")]
pub(super) fn raise_files() -> io::Result<()> {
    Ok(())
}
