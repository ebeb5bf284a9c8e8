//! What runs at an endpoint: its tokens, and how long it has run.

use crate::time::{Instant, Nanos};

/// The attempts that run at an endpoint, added up.
///
/// ```
/// use tollgate_core::load::Running;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let mut running = Running::default();
/// running.begin(Instant::from_secs(1), 500);
/// running.begin(Instant::from_secs(4), 20);
/// assert_eq!((running.tokens(), running.age(Instant::from_secs(5))), (520, Nanos::from_secs(5)));
/// running.complete(Instant::from_secs(1));
/// assert_eq!((running.tokens(), running.age(Instant::from_secs(5))), (520, Nanos::from_secs(1)));
/// running.end(500);
/// assert_eq!(running.tokens(), 20);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Estimated tokens of all that run.
    tokens: u64,
    /// How many are not complete.
    incomplete: u32,
    /// The sum of the instants at which these were launched, in nanoseconds. It wraps; differences of it do not.
    launched: u64,
}

impl Running {
    /// An attempt of `tokens` is launched.
    pub fn begin(&mut self, now: Instant, tokens: u64) {
        self.tokens += tokens;
        self.incomplete += 1;
        self.launched = self.launched.wrapping_add(now.as_nanos());
    }

    /// An attempt that was launched at `launched` does not count among the incomplete any more.
    pub fn complete(&mut self, launched: Instant) {
        debug_assert!(0 < self.incomplete, "what completes was begun");
        self.incomplete -= 1;
        self.launched = self.launched.wrapping_sub(launched.as_nanos());
    }

    /// An attempt of `tokens` is over.
    pub fn end(&mut self, tokens: u64) {
        debug_assert!(tokens <= self.tokens, "what ends was begun");
        self.tokens -= tokens;
    }

    /// Estimated tokens of what runs.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The ages of all that are incomplete, added up.
    #[must_use]
    pub fn age(&self, now: Instant) -> Nanos {
        let all = now.as_nanos().wrapping_mul(u64::from(self.incomplete));
        let age = all.wrapping_sub(self.launched);
        // A thread that is late may see attempts that were launched after its now.
        Nanos::from_nanos(if age < 1 << 63 { age } else { 0 })
    }
}
