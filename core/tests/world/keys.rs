//! What is known from outside of the keys of endpoints: which cool, and which are used.

use tollgate_core::fault::Fault;
use tollgate_core::id::{EndpointId, KeyId};
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::memory::Memory;
use tollgate_core::time::Nanos;

use super::entropy::Entropy;
use super::{SECOND, Watch, World};

impl<M: Memory, E: Entropy, W: Watch> World<'_, M, E, W> {
    /// A cooling key is never used while another is free; where there is one, or none, it is the first.
    pub(super) fn check_key(&self, endpoint: EndpointId, key: KeyId) {
        let keys = &self.keys[endpoint.index()];
        let used = keys[key.index()];
        let free = keys.iter().position(|until| *until <= self.now);
        assert!(
            used <= self.now || free.is_none(),
            "{key:?} of {endpoint:?} cools until {used:?}, and {free:?} is free"
        );
    }

    /// An attempt that used `key` ends so.
    pub(super) fn cool_key(&mut self, endpoint: EndpointId, key: KeyId, event: AttemptEvent) {
        let (fault, after) = match event {
            AttemptEvent::Open {
                status,
                code,
                retry_after,
            } => (Fault::of(status, code), retry_after),
            AttemptEvent::Fail { fault } => (fault, None),
            AttemptEvent::Waiting
            | AttemptEvent::Connecting
            | AttemptEvent::Connected
            | AttemptEvent::FirstToken
            | AttemptEvent::Tokens { .. }
            | AttemptEvent::Finish { .. } => return,
        };
        let shares_quota = self.policy().endpoint(endpoint).shares_quota;
        let long = after.unwrap_or(Nanos::ZERO).max(SECOND * 60);
        let length = match fault {
            Fault::Credential => long,
            Fault::QuotaExhausted if !shares_quota => long,
            Fault::RateLimited if !shares_quota => after.unwrap_or(SECOND),
            Fault::QuotaExhausted
            | Fault::RateLimited
            | Fault::Connect
            | Fault::NoConnection
            | Fault::Timeout
            | Fault::Overloaded
            | Fault::Server
            | Fault::Client
            | Fault::Stream => return,
        };
        let cools = &mut self.keys[endpoint.index()][key.index()];
        *cools = (*cools).max(self.now + length);
    }
}
