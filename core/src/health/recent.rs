//! The recent attempts, counted.

use alloc::vec::Vec;

use super::max_fails::Fails;
use crate::policy::Window;
use crate::time::{Instant, Nanos};
use crate::wheel::Wheel;

/// Attempts, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub attempts: u32,
    /// Those that failed.
    pub failures: u32,
}

impl Tally {
    fn count(&mut self, is_failure: bool) {
        self.attempts = self.attempts.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(is_failure));
    }

    fn and(self, other: Tally) -> Tally {
        Tally {
            attempts: self.attempts.saturating_add(other.attempts),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}

/// What a breaker remembers of the attempts made while it was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recent {
    /// Nothing.
    Nothing,
    /// How many failed since the last success.
    Streak(u32),
    /// The last so many.
    Count(Ring),
    /// Those of a length of time, in ten buckets.
    Time { width: Nanos, buckets: Wheel<Tally, 10> },
    /// Those that nginx would.
    Fails(Fails),
}

impl Recent {
    /// Nothing remembered yet, in the shape that `window` asks for.
    pub(super) fn in_window(window: Window) -> Recent {
        match window {
            Window::Count(size) => Recent::Count(Ring::new(size.get())),
            Window::Time(length) => Recent::Time {
                width: Nanos::from_nanos(length.as_nanos().div_ceil(10).max(1)),
                buckets: Wheel::new([Tally::default(); 10]),
            },
        }
    }

    /// Whether both remember the same kind and amount of attempts.
    pub(super) fn has_shape_of(&self, other: &Recent) -> bool {
        match (self, other) {
            (Recent::Nothing, Recent::Nothing)
            | (Recent::Streak(_), Recent::Streak(_))
            | (Recent::Fails(_), Recent::Fails(_)) => true,
            (Recent::Count(ring), Recent::Count(other)) => ring.size == other.size,
            (Recent::Time { width, .. }, Recent::Time { width: other, .. }) => width == other,
            (Recent::Nothing | Recent::Streak(_) | Recent::Count(_) | Recent::Time { .. } | Recent::Fails(_), _) => {
                false
            }
        }
    }

    /// Remembers an attempt. `now` must not run backwards.
    pub(super) fn record(&mut self, now: Instant, is_failure: bool) {
        match self {
            // Of these the law keeps the books itself.
            Recent::Nothing | Recent::Fails(_) => {}
            Recent::Streak(failures) => *failures = if is_failure { failures.saturating_add(1) } else { 0 },
            Recent::Count(ring) => ring.record(is_failure),
            Recent::Time { width, buckets } => {
                buckets.turn(*width, now, |bucket| *bucket = Tally::default());
                buckets.newest().count(is_failure);
            }
        }
    }

    /// What counts as of `now`.
    pub(super) fn tally(&self, now: Instant) -> Tally {
        match self {
            Recent::Nothing => Tally::default(),
            Recent::Streak(failures) => Tally {
                attempts: *failures,
                failures: *failures,
            },
            Recent::Count(ring) => ring.tally,
            Recent::Fails(fails) => Tally {
                attempts: fails.count(),
                failures: fails.count(),
            },
            Recent::Time { width, buckets } => buckets
                .alive(*width, now)
                .fold(Tally::default(), |sum, bucket| sum.and(*bucket)),
        }
    }

    /// What nginx would remember; nothing, if something else is remembered.
    pub(super) fn fails(&self) -> Fails {
        match self {
            Recent::Fails(fails) => *fails,
            Recent::Nothing | Recent::Streak(_) | Recent::Count(_) | Recent::Time { .. } => Fails::default(),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        match self {
            Recent::Nothing => {}
            Recent::Streak(failures) => *failures = 0,
            Recent::Count(ring) => ring.clear(),
            Recent::Time { buckets, .. } => *buckets = Wheel::new([Tally::default(); 10]),
            Recent::Fails(fails) => *fails = Fails::default(),
        }
    }
}

/// The last `size` results, a bit each. Memory grows with what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    size: u32,
    /// Where the next result goes.
    next: u32,
    tally: Tally,
    /// Bit `i % 64` of word `i / 64` is set if result `i` is a failure.
    words: Vec<u64>,
}

impl Ring {
    fn new(size: u32) -> Ring {
        Ring {
            size,
            next: 0,
            tally: Tally::default(),
            words: Vec::new(),
        }
    }

    fn record(&mut self, is_failure: bool) {
        let (word, bit) = ((self.next / 64) as usize, 1u64 << (self.next % 64));
        if self.words.len() <= word {
            self.words.push(0);
        }
        let word = &mut self.words[word];
        if self.tally.attempts == self.size {
            self.tally.attempts -= 1;
            self.tally.failures -= u32::from(*word & bit != 0);
        }
        *word = if is_failure { *word | bit } else { *word & !bit };
        self.tally.count(is_failure);
        self.next = (self.next + 1) % self.size;
    }

    fn clear(&mut self) {
        self.next = 0;
        self.tally = Tally::default();
        self.words.clear();
    }
}
