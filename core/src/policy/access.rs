//! Who may ask: from the key that was shown to the tenant it belongs to.
//!
//! | Law | Test |
//! |---|---|
//! | Without listed keys everybody is let in, as nobody in particular. | `without_keys_everybody_is_let_in` |
//! | Each listed key is its tenant's, and no other is let in. | `a_key_is_its_tenants` |

use alloc::vec::Vec;

use super::{Policy, Tenant};
use crate::id::TenantId;
use crate::lifecycle::Refusal;

/// The SHA-256 hash of a key. Keys themselves are never kept.
pub type KeyDigest = [u8; 32];

impl Policy {
    /// The tenant of whoever shows a key with this hash, or nothing.
    ///
    /// A policy that lists no key lets everybody in, as the nameless tenant. One that lists keys lets in nobody else.
    ///
    /// The search takes longer the more of a listed hash is met. That tells an attacker nothing of use: they choose
    /// keys, not hashes, and of a hash no key can be told.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthorized`]: keys are listed, and this is none of them.
    ///
    /// ```
    /// use tollgate_core::policy::Policy;
    ///
    /// let open = Policy::default();
    /// assert!(open.identify(None).is_ok());
    /// ```
    pub fn identify(&self, shown: Option<&KeyDigest>) -> Result<TenantId, Refusal> {
        if self.keys.is_empty() {
            return Ok(TenantId::default());
        }
        let shown = shown.ok_or(Refusal::Unauthorized)?;
        let at = self.keys.binary_search_by(|(digest, _)| digest.cmp(shown));
        let at = at.map_err(|_| Refusal::Unauthorized)?;
        Ok(self.keys[at].1)
    }
}

/// The keys of all tenants, in the order that [`Policy::identify`] searches.
#[must_use]
pub fn keys(tenants: &[Tenant]) -> Vec<(KeyDigest, TenantId)> {
    let of = |(at, tenant): (usize, &Tenant)| {
        let id = TenantId::at(at);
        tenant
            .key_hashes
            .iter()
            .map(move |digest| (*digest, id))
            .collect::<Vec<_>>()
    };
    let mut keys: Vec<_> = tenants.iter().enumerate().flat_map(of).collect();
    keys.sort_unstable();
    keys
}
