//! What a reader must know beside the numbers: where the load was not what it was meant to be.

use std::sync::atomic::Ordering;

use tollgate_core::time::Instant;

use super::ledger::Ledger;
use super::world::World;

/// How late requests may be sent, in seconds of the machine, before a reader is told.
const LATE: f64 = 0.010;
/// Most kinds of failures that are told.
const MOST_TOLD: usize = 5;

pub(super) fn of(world: &World, ledger: &Ledger, stopped: Option<Instant>, end: Instant) -> Vec<String> {
    let mut notes = Vec::new();
    let (duration, requests) = world.strategy.plan.bounds();
    if let Some(stopped) = stopped {
        let of = match (duration, requests) {
            (Some(duration), _) => format!(" of {duration}"),
            (None, Some(requests)) => format!(
                ", with {} of {requests} calls begun",
                world.begun.load(Ordering::Relaxed)
            ),
            (None, None) => String::new(),
        };
        notes.push(format!(
            "stopped after {:.1} s{of}; what was open then counts as abandoned",
            stopped.as_secs_f64()
        ));
    }
    notes.extend(late(world, ledger, stopped, end));
    let skipped = world.skipped.load(Ordering::Relaxed);
    if 0 < skipped {
        notes.push(format!(
            "{skipped} of {} intended calls were not made, because {} were open: --in-flight allows more",
            world.begun.load(Ordering::Relaxed),
            world.most_open
        ));
    }
    let waited = world.pool.waited.load(Ordering::Relaxed);
    if 0 < waited {
        notes.push(format!(
            "{waited} requests waited for a connection, which is part of their latencies: --connections allows more"
        ));
    }
    for (failure, count) in ledger.failures().into_iter().take(MOST_TOLD) {
        notes.push(format!("{count} requests failed: {failure}; {}", failure.way_out()));
    }
    if 0 < ledger.unsaid {
        notes.push(format!(
            "{} answers did not say what they used: their tokens are the pieces that came",
            ledger.unsaid
        ));
    }
    notes
}

/// Says how late requests were sent, if that is worth a word.
#[expect(clippy::cast_precision_loss, reason = "a number of requests")]
fn late(world: &World, ledger: &Ledger, stopped: Option<Instant>, end: Instant) -> Option<String> {
    let p99 = ledger.lag_p99()?;
    if p99 / world.scale < LATE {
        return None;
    }
    let (duration, _) = world.strategy.plan.bounds();
    let until = stopped.or(duration.map(|duration| Instant::EPOCH + duration));
    let meant = until.unwrap_or(end).as_secs_f64();
    let took = ledger.last_sent.as_secs_f64().max(meant);
    let sent = ledger.begun() as f64;
    let intended = sent + world.skipped.load(Ordering::Relaxed) as f64;
    Some(format!(
        "requests were sent late, the slowest in a hundred by {p99:.3} s, which is part of every latency: {:.1}/s were \
         offered of {:.1}/s intended",
        sent / took,
        intended / meant
    ))
}
