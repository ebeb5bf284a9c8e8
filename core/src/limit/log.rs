//! What was taken and when, of a window that slides over ordinals: the state of limiters that remember each take.
//!
//! An ordinal is a place in time: a nanosecond to the sliding log, a segment to the segmented window. What was taken
//! at an ordinal counts until a window's span of ordinals later. Units that are owed beyond what the window holds wait
//! outside of it, and move in, at the latest ordinal there is, as soon as room appears: so debt is paid like any other
//! use, and the window itself never holds more than its limit.

use alloc::collections::VecDeque;

use crate::usage::Cost;

/// What one key has taken, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    entries: VecDeque<Entry>,
    /// Of all entries.
    held: Cost,
    /// Units used in excess that found no room yet.
    owed: Cost,
}

/// Units that were taken at one ordinal; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: u64,
    cost: Cost,
}

/// How long a window is, in ordinals, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// What was taken at an ordinal leaves so many later; not zero.
    pub(super) span: u64,
    /// Most units in the window; not zero.
    pub(super) limit: Cost,
}

impl Frame {
    /// The earliest ordinal, `at` or later, at which `cost` more units fit; nothing if there is no such ordinal.
    ///
    /// `cost` is at most the limit.
    pub(super) fn fits_from(self, log: &Log, at: u64, cost: Cost) -> Option<u64> {
        let at = log.latest(at);
        let room = self.limit - cost;
        if log.owed != 0 {
            return self.fits_after_debt(log, at, room);
        }
        // Whatever is there fits: nothing need leave.
        let mut held = log.held;
        if held <= room {
            return Some(at);
        }
        for entry in &log.entries {
            held -= entry.cost;
            if held <= room {
                return Some(entry.at.checked_add(self.span)?.max(at));
            }
        }
        Some(at)
    }

    /// As [`Frame::fits_from`], of a key in debt: followed until the window has room again.
    fn fits_after_debt(self, log: &Log, at: u64, room: Cost) -> Option<u64> {
        let mut log = log.clone();
        let mut at = at;
        self.roll(&mut log, at);
        loop {
            if log.used() <= room {
                return Some(at);
            }
            // While units are owed the window is full, and the same again a span later, less what it holds.
            let rounds = (log.owed.max(1) - 1) / self.limit;
            at = log.entries.front()?.at.checked_add(self.span)?;
            at = at.checked_add(rounds.checked_mul(self.span)?)?;
            self.roll(&mut log, at);
        }
    }

    /// Units that count at `at`, whether in the window or owed.
    pub(super) fn used(self, log: &Log, at: u64) -> Cost {
        let at = log.latest(at);
        if log.owed != 0 {
            let mut log = log.clone();
            self.roll(&mut log, at);
            return log.used();
        }
        let gone = log.entries.iter().take_while(|entry| self.is_gone(entry.at, at));
        log.held - gone.map(|entry| entry.cost).sum::<Cost>()
    }

    /// Whether nothing counts at `at`.
    pub(super) fn is_clear(self, log: &Log, at: u64) -> bool {
        match log.entries.back() {
            None => true,
            Some(last) => self.is_gone(last.at, at) && self.used(log, at) == 0,
        }
    }

    /// Takes `cost` units at `at`, of which there must be so many.
    pub(super) fn push(self, log: &mut Log, at: u64, cost: Cost) {
        let at = log.latest(at);
        self.roll(log, at);
        debug_assert!(cost <= self.limit - log.held, "asked before whether there is room");
        log.push(at, cost);
    }

    /// Charges `cost` units at `at` without asking.
    pub(super) fn charge(self, log: &mut Log, at: u64, cost: Cost) {
        let at = log.latest(at);
        self.roll(log, at);
        log.owed = log.owed.saturating_add(cost);
        self.pull(log, at);
    }

    /// Gives back up to `cost` units that were taken at `taken`, if they still count at `at`.
    ///
    /// What a late clock took stands at a later ordinal than `taken`; so what is not found there is looked for on.
    pub(super) fn pop(self, log: &mut Log, at: u64, taken: u64, cost: Cost) {
        let at = log.latest(at);
        self.roll(log, at);
        if self.is_gone(taken, at) {
            return;
        }
        let index = log.entries.partition_point(|entry| entry.at < taken);
        let mut cost = cost;
        while cost != 0 && index < log.entries.len() {
            let entry = &mut log.entries[index];
            let back = cost.min(entry.cost);
            entry.cost -= back;
            log.held -= back;
            cost -= back;
            if entry.cost == 0 {
                log.entries.remove(index);
            } else {
                break;
            }
        }
        self.pull(log, at);
    }

    /// Lets go of what has left the window by `at`, and lets in what is owed, each at the ordinal at which it does.
    fn roll(self, log: &mut Log, at: u64) {
        self.skip(log, at);
        while let Some(first) = log.entries.front().copied().filter(|first| self.is_gone(first.at, at)) {
            log.entries.pop_front();
            log.held -= first.cost;
            self.pull(log, first.at.saturating_add(self.span));
        }
    }

    /// Whole spans of a debt at once: each pays what the window holds, and leaves it as it was, a span later.
    fn skip(self, log: &mut Log, at: u64) {
        let Some(last) = log.entries.back() else {
            return;
        };
        let spans = (at.saturating_sub(last.at) / self.span).min(log.owed / self.limit);
        if spans == 0 {
            return;
        }
        log.owed -= spans * self.limit;
        for entry in &mut log.entries {
            entry.at = entry.at.saturating_add(spans * self.span);
        }
    }

    fn pull(self, log: &mut Log, at: u64) {
        let moved = log.owed.min(self.limit - log.held);
        if moved != 0 {
            log.owed -= moved;
            log.push(at, moved);
        }
    }

    /// Whether what was taken at `taken` has left the window by `at`.
    fn is_gone(self, taken: u64, at: u64) -> bool {
        taken.checked_add(self.span).is_some_and(|end| end <= at)
    }
}

impl Log {
    fn used(&self) -> Cost {
        self.held.saturating_add(self.owed)
    }

    /// `at`, or the latest ordinal there is, should a clock be late.
    pub(super) fn latest(&self, at: u64) -> u64 {
        self.entries.back().map_or(at, |last| last.at.max(at))
    }

    fn push(&mut self, at: u64, cost: Cost) {
        self.held += cost;
        match self.entries.back_mut() {
            Some(last) if last.at == at => last.cost += cost,
            Some(_) | None => self.entries.push_back(Entry { at, cost }),
        }
    }
}
