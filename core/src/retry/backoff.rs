//! The delay before a retry.

use crate::dice::Rng;
use crate::policy::{self, Jitter};
use crate::time::Nanos;

/// Exponential backoff: `base`, doubled before each further retry, at most `max`, of which full jitter takes a uniform
/// share.
///
/// Full jitter spreads a burst that failed together best and costs the endpoint the fewest attempts (Brooker,
/// *Exponential Backoff And Jitter*, AWS 2015). Decorrelated jitter, of the same author, does not double: a delay is uniform
/// from `base` to three times the delay before it, the first of which counts as `base`. What an endpoint asked for in
/// between does not count as a delay.
///
/// ```
/// use tollgate_core::dice::Rng;
/// use tollgate_core::policy::{self, Jitter};
/// use tollgate_core::retry::Backoff;
/// use tollgate_core::time::Nanos;
///
/// let backoff = Backoff::new(&policy::Backoff {
///     base: Nanos::from_millis(100),
///     max: Nanos::from_secs(10),
///     jitter: Jitter::None,
/// });
/// let mut rng = Rng::new(7);
/// assert_eq!(backoff.delay(0, None, &mut rng), Nanos::from_millis(100));
/// assert_eq!(backoff.delay(3, None, &mut rng), Nanos::from_millis(800));
/// assert_eq!(backoff.delay(0, Some(Nanos::from_secs(20)), &mut rng), Nanos::from_secs(20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff(policy::Backoff);

impl Backoff {
    /// The backoff that a policy describes.
    #[must_use]
    pub const fn new(backoff: &policy::Backoff) -> Backoff {
        Backoff(*backoff)
    }

    /// The delay before retry `retry`, of which 0 is the first; at least `retry_after`.
    pub fn delay(&self, retry: u32, retry_after: Option<Nanos>, rng: &mut Rng) -> Nanos {
        let factor = 1u64.checked_shl(retry).unwrap_or(u64::MAX);
        let longest = (self.0.base * factor).min(self.0.max);
        let delay = match self.0.jitter {
            Jitter::Full => Nanos::from_nanos(rng.below(longest.as_nanos().saturating_add(1))),
            Jitter::Decorrelated => self.decorrelated(retry, rng),
            Jitter::None => longest,
        };
        delay.max(retry_after.unwrap_or(Nanos::ZERO))
    }

    /// Which of a request's draws retry `retry` is to be given: its own; or with decorrelated jitter always the first,
    /// for each delay follows from those before it, and nobody keeps them.
    #[must_use]
    pub const fn draw(&self, retry: u32) -> u32 {
        match self.0.jitter {
            Jitter::Full | Jitter::None => retry,
            Jitter::Decorrelated => 0,
        }
    }

    /// The last of a chain of delays, each uniform from `base` to three times the one before, at most `max`.
    fn decorrelated(&self, retry: u32, rng: &mut Rng) -> Nanos {
        let base = self.0.base.as_nanos();
        let mut delay = self.0.base;
        for _ in 0..=retry.min(LONGEST_CHAIN) {
            let spread = (delay * 3).as_nanos().saturating_sub(base);
            let drawn = base.saturating_add(rng.below(spread.saturating_add(1)));
            delay = Nanos::from_nanos(drawn).min(self.0.max);
        }
        delay
    }
}

/// A request has no more attempts than this; later retries would be as the last.
const LONGEST_CHAIN: u32 = 16;
