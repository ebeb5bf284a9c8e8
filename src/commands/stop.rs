//! Ctrl-C and SIGTERM: the first stops a run and keeps what is complete, the second ends the process.

use std::process;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_sim::experiment::Progress;

use super::out::Claim;
use crate::error::Failure;

/// The claim of a run, which whoever ends the process takes away first.
///
/// It is locked while the result set is written, so that nobody ends the process in the middle of that.
pub(crate) type Held = Arc<Mutex<Option<Claim>>>;

/// Watches for signals from now on, beside whatever else is done.
pub(crate) fn watch(progress: Arc<Progress>, held: Held) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("signals cannot be watched for: {error}"));
    let runtime = Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        (interrupt, signal(SignalKind::terminate()).map_err(failed)?)
    };
    std::thread::spawn(move || {
        loop {
            let status = runtime.block_on(next(&mut interrupt, &mut terminate));
            if progress.stop.swap(true, Ordering::Relaxed) {
                drop(lock(&held).take());
                process::exit(status);
            }
        }
    });
    Ok(())
}

/// Holds a claim until it is dropped.
pub(crate) struct Holding<'a>(&'a Held);

impl<'a> Holding<'a> {
    /// Puts `claim` where whoever ends the process finds it.
    pub(crate) fn new(held: &'a Held, claim: Claim) -> Holding<'a> {
        *lock(held) = Some(claim);
        Holding(held)
    }

    /// Keeps the process from being ended while the guard lives.
    pub(crate) fn writing(&self) -> MutexGuard<'a, Option<Claim>> {
        lock(self.0)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        drop(lock(self.0).take());
    }
}

fn lock(held: &Held) -> MutexGuard<'_, Option<Claim>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next signal, as a shell reports the status of a process that it has ended.
async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    const INTERRUPTED: i32 = 128 + 2;
    const TERMINATED: i32 = 128 + 15;

    tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    }
}
