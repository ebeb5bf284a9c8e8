//! Leases: units of a key that one lane takes at once, and spends without asking again.
//!
//! A key that everybody asks about is one word that every thread wants to write, and the word travels between them. With
//! a lease a thread takes some units of it at once, and the word stays where it is until they are spent.
//!
//! What it costs is exactness: units that lie in a lease have been taken already and may be spent later. So within any
//! window at most as many more than the limiter allows may be spent as lay in leases when it began: one lease for each
//! lane. And whoever is refused may be refused although other lanes hold units of the key, until those go back.
//!
//! | Law | Test |
//! |---|---|
//! | A lane never holds more than a lease of a key. | `a_lane_holds_no_more_than_a_lease` |
//! | In any window no more is spent than the quota allows and one lease for each lane. | `never_exceeds_quota_and_leases` |
//! | What is spent is never more than what was taken, and what was not spent goes back. | `leases_lose_nothing` |
//! | After its life a lease is worth nothing to its lane, and everything to the key. | `leases_end` |
//! | A lane that spends alone is refused only when its lease and the key are. | `one_lane_is_refused_by_the_key_only` |
//! | On many threads, no more is spent than there is, and all of it goes back. | `leases_spend_a_burst_and_no_more` (loom) |

use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// What a lane holds of a key. `default()` holds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    units: Cost,
    /// When what is left goes back.
    until: Instant,
}

impl Lease {
    /// How long a lease may be spent from.
    pub const LIFE: Nanos = Nanos::from_secs(1);

    /// Whether nothing is left of it, so that it may be forgotten.
    #[must_use]
    #[inline]
    pub fn is_spent(&self) -> bool {
        self.units == 0
    }

    /// Units that may be spent at `now`.
    #[must_use]
    #[inline]
    pub fn units(&self, now: Instant) -> Cost {
        if now < self.until { self.units } else { 0 }
    }

    /// Spends `cost` units, if there are so many.
    #[inline]
    pub fn spend(&mut self, now: Instant, cost: Cost) -> bool {
        let is_held = cost <= self.units(now);
        if is_held {
            self.units -= cost;
        }
        is_held
    }

    /// Holds `units` from `now` on, and nothing else.
    pub fn renew(&mut self, now: Instant, units: Cost) {
        self.units = units;
        self.until = now + Lease::LIFE;
    }

    /// Takes back `cost` units that were spent, if it can still be spent from and holds no more than `most` then.
    pub fn put(&mut self, now: Instant, cost: Cost, most: Cost) -> bool {
        let held = self.units(now);
        let is_kept = held != 0 && cost <= most.saturating_sub(held);
        if is_kept {
            self.units += cost;
        }
        is_kept
    }

    /// What is left of a lease that has ended, which goes back; nothing of one that has not.
    pub fn end(&mut self, now: Instant) -> Cost {
        if now < self.until {
            return 0;
        }
        core::mem::take(&mut self.units)
    }
}
