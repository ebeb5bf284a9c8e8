//! What happened in the last `N` slots of time.
//!
//! Slots are anchored at the epoch and turned by whole widths, so nothing drifts: the remainder of a slot is
//! never lost. The newest slot is the one that `now` falls in, hence the wheel looks back between `N - 1` and
//! `N` widths.

use crate::time::{Instant, Nanos};

/// A ring of `N` slots, the newest of which is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wheel<T, const N: usize> {
    /// When the newest slot began: a whole number of widths after the epoch.
    start: Instant,
    newest: usize,
    slots: [T; N],
}

impl<T, const N: usize> Wheel<T, N> {
    /// A wheel of empty slots.
    pub(crate) const fn new(slots: [T; N]) -> Wheel<T, N> {
        Wheel {
            start: Instant::EPOCH,
            newest: 0,
            slots,
        }
    }

    /// Turns until the newest slot holds `now`, clearing each slot that is used again.
    ///
    /// A `now` before the newest slot turns nothing.
    #[inline]
    pub(crate) fn turn(&mut self, width: Nanos, now: Instant, mut clear: impl FnMut(&mut T)) {
        let steps = self.steps(width, now);
        if steps == 0 {
            return;
        }
        for _ in 0..expired::<N>(steps) {
            self.newest = (self.newest + 1) % N;
            clear(&mut self.slots[self.newest]);
        }
        self.start += width * steps;
    }

    /// The slot that is being written.
    #[inline]
    pub(crate) fn newest(&mut self) -> &mut T {
        &mut self.slots[self.newest]
    }

    /// Every slot, in no order; those of a wheel that was just turned are all alive.
    #[inline]
    pub(crate) fn slots(&self) -> &[T; N] {
        &self.slots
    }

    /// The slots that turning to `now` would leave, newest first.
    #[inline]
    pub(crate) fn alive(&self, width: Nanos, now: Instant) -> impl Iterator<Item = &T> {
        let kept = N - expired::<N>(self.steps(width, now));
        (0..kept).map(|age| &self.slots[(self.newest + N - age) % N])
    }

    /// How many whole widths `now` is past the newest slot.
    #[inline]
    fn steps(&self, width: Nanos, now: Instant) -> u64 {
        if now < self.start + width {
            return 0;
        }
        now.since(self.start).as_nanos() / width.as_nanos().max(1)
    }
}

/// How many of `N` slots `steps` turns empty.
#[inline]
fn expired<const N: usize>(steps: u64) -> usize {
    usize::try_from(steps).map_or(N, |steps| steps.min(N))
}
