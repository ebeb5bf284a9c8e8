//! A bounded first-in-first-out queue whose entries can be taken out from the middle in one step.

use alloc::collections::VecDeque;
use core::num::NonZeroU64;

use super::Permit;
use crate::id::RequestId;
use crate::policy::{Needs, QueueShape};
use crate::time::Instant;

/// A request that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Who.
    pub request: RequestId,
    /// What an endpoint must be able to do for it.
    pub needs: Needs,
    /// When it gives up.
    pub expires: Instant,
}

/// Which wait in a queue; no two are ever the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(NonZeroU64);

/// The queue is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What taking a waiter out has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was waiting, and no longer is.
    Removed,
    /// It had been handed this permit, which is now the remover's to use or to pass on.
    AlreadyAdmitted(Permit),
    /// It was told that its wait had ended without one.
    Absent,
}

/// What somebody finds who comes for the permit it was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The permit.
    Permit(Permit),
    /// It still waits: the word was not for this wait.
    Waiting,
    /// Its wait has ended without one.
    Absent,
}

/// Requests waiting for a permit, and those that were handed one but have not taken it up yet.
#[derive(Clone, Debug)]
pub struct WaitQueue {
    /// By place. At most half of many are gone.
    entries: VecDeque<(Place, Entry)>,
    /// The next place.
    next: NonZeroU64,
    waiting: u32,
    /// Entries that nobody stands at any more.
    gone: usize,
    length: u32,
    /// The latest instant at which it was looked at.
    seen: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Waiting(Waiter),
    Granted(Permit),
    Gone,
}

/// So many entries may be gone before it is worth looking.
const GONE: usize = 32;

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(shape: QueueShape) -> WaitQueue {
        WaitQueue {
            entries: VecDeque::new(),
            next: NonZeroU64::MIN,
            waiting: 0,
            gone: 0,
            length: shape.length,
            seen: Instant::EPOCH,
        }
    }

    /// `now`, or the latest instant that this was called with, if that is later: threads may be late.
    pub fn not_before(&mut self, now: Instant) -> Instant {
        self.seen = self.seen.max(now);
        self.seen
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether another could wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting < self.length
    }

    /// Whether somebody waits whom an endpoint that `can_serve` could serve.
    #[must_use]
    pub fn has_waiter(&self, can_serve: impl Fn(&Needs) -> bool) -> bool {
        let could = |(_, entry): &(_, Entry)| matches!(entry, Entry::Waiting(waiter) if can_serve(&waiter.needs));
        0 < self.waiting && self.entries.iter().any(could)
    }

    /// Puts `waiter` at the end.
    ///
    /// # Errors
    ///
    /// [`Full`] if as many wait as may.
    pub fn push(&mut self, waiter: Waiter) -> Result<Place, Full> {
        if !self.has_room() {
            return Err(Full);
        }
        let place = Place(self.next);
        self.next = self.next.saturating_add(1);
        self.entries.push_back((place, Entry::Waiting(waiter)));
        self.waiting += 1;
        Ok(place)
    }

    /// Hands `permit` to the first waiter that its endpoint can serve.
    ///
    /// Waiters met on the way whose time is over are taken out and named to `expired`.
    pub fn grant(
        &mut self,
        now: Instant,
        permit: Permit,
        can_serve: impl Fn(&Needs) -> bool,
        mut expired: impl FnMut(RequestId),
    ) -> Option<RequestId> {
        let mut granted = None;
        for (_, entry) in &mut self.entries {
            let Entry::Waiting(waiter) = *entry else {
                continue;
            };
            if waiter.expires <= now {
                *entry = Entry::Gone;
                self.waiting -= 1;
                self.gone += 1;
                expired(waiter.request);
            } else if can_serve(&waiter.needs) {
                *entry = Entry::Granted(permit);
                self.waiting -= 1;
                granted = Some(waiter.request);
                break;
            }
        }
        self.trim();
        granted
    }

    /// Takes up what was granted to whoever stands at `place`; someone who still waits goes on waiting.
    pub fn claim(&mut self, place: Place) -> Claim {
        match self.entry(place) {
            Some(Entry::Waiting(_)) => Claim::Waiting,
            Some(Entry::Granted(_)) => match self.remove(place) {
                Removal::AlreadyAdmitted(permit) => Claim::Permit(permit),
                Removal::Removed | Removal::Absent => Claim::Absent,
            },
            Some(Entry::Gone) | None => Claim::Absent,
        }
    }

    /// Takes out whoever stands at `place`.
    pub fn remove(&mut self, place: Place) -> Removal {
        let Some(entry) = self.entry(place) else {
            return Removal::Absent;
        };
        let removal = match core::mem::replace(entry, Entry::Gone) {
            Entry::Waiting(_) => Removal::Removed,
            Entry::Granted(permit) => Removal::AlreadyAdmitted(permit),
            Entry::Gone => Removal::Absent,
        };
        match removal {
            Removal::Removed => {
                self.waiting -= 1;
                self.gone += 1;
            }
            Removal::AlreadyAdmitted(_) => self.gone += 1,
            Removal::Absent => {}
        }
        self.trim();
        removal
    }

    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        Some(&mut self.entries[at].1)
    }

    /// Forgets entries that nobody stands at: those in front at once, others when there are many, so that one who
    /// waits long does not keep the traces of all who came after.
    fn trim(&mut self) {
        while let Some((_, Entry::Gone)) = self.entries.front() {
            self.entries.pop_front();
            self.gone -= 1;
        }
        if GONE < self.gone && self.entries.len() < 2 * self.gone {
            self.entries.retain(|(_, entry)| !matches!(entry, Entry::Gone));
            self.gone = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Nanos;

    #[test]
    fn memory_is_bounded() {
        let (length, wait) = (3, Nanos::FOREVER);
        let mut queue = WaitQueue::new(QueueShape { length, wait });
        let waiter = |number| Waiter {
            request: RequestId(number),
            needs: Needs::default(),
            expires: Instant::FAR,
        };
        let first = queue.push(waiter(0)).expect("there is room");
        for number in 1..10_000 {
            let place = queue.push(waiter(number)).expect("there is room");
            assert_eq!(queue.remove(place), Removal::Removed);
            assert!(queue.entries.len() < 2 * (3 + GONE), "{} entries", queue.entries.len());
        }
        assert_eq!(queue.remove(first), Removal::Removed);
        assert!(queue.entries.is_empty());
    }
}
