//! The keys of one endpoint: whose turn it is, and which are left alone.

use alloc::vec::Vec;

use crate::id::KeyId;
use crate::time::Instant;

/// The keys of one endpoint, each in turn; those that cool are passed over.
///
/// A provider counts by account, and an endpoint with several keys has several: what one of them may not do now, the
/// next one may. The endpoint is out of reach only while all of them cool.
///
/// Where it is wrong: two keys of one account, as Azure gives out, share one quota. Then the other key is refused as
/// well, and only a refusal later does the endpoint cool; a `quota_scope` in the policy says that they are one.
///
/// State is an instant a key. Whoever picks moves the turn behind the key that was picked, so that keys which cool leave
/// no gap and give nobody a double share.
///
/// ```
/// use tollgate_core::health::Keys;
/// use tollgate_core::id::KeyId;
/// use tollgate_core::time::Instant;
///
/// let mut keys = Keys::new(3);
/// let now = Instant::from_secs(10);
/// assert_eq!([keys.pick(now), keys.pick(now)], [KeyId(0), KeyId(1)]);
/// keys.cool(KeyId(2), Instant::from_secs(30));
/// assert_eq!([keys.pick(now), keys.pick(now), keys.pick(now)], [KeyId(0), KeyId(1), KeyId(0)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Until when each is left alone.
    cooling: Vec<Instant>,
    /// Whose turn it is, if it does not cool.
    next: usize,
}

impl Keys {
    /// So many keys, none of which cools; at least one.
    #[must_use]
    pub fn new(n_keys: usize) -> Keys {
        Keys {
            cooling: alloc::vec![Instant::EPOCH; n_keys.max(1)],
            next: 0,
        }
    }

    /// The key for the next attempt: the first in turn that does not cool; if all do, the first that is back.
    pub fn pick(&mut self, now: Instant) -> KeyId {
        let n_keys = self.cooling.len();
        let in_turn = (self.next..n_keys).chain(0..self.next);
        let first = in_turn.min_by_key(|key| self.cooling[*key].max(now));
        let picked = first.unwrap_or(self.next);
        self.next = (picked + 1) % n_keys;
        KeyId::at(picked)
    }

    /// Leaves `key` alone until `until`, or until later if it was told so before. Returns when the first of all keys is
    /// back, which may be in the past.
    pub fn cool(&mut self, key: KeyId, until: Instant) -> Instant {
        if let Some(cooling) = self.cooling.get_mut(key.index()) {
            *cooling = until.max(*cooling);
        }
        self.back_at()
    }

    /// When the first of all keys is back, or was.
    #[must_use]
    pub fn back_at(&self) -> Instant {
        self.cooling.iter().copied().min().unwrap_or(Instant::EPOCH)
    }
}
