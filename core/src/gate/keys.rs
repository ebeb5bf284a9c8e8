//! Which key of an endpoint an attempt uses, and what cools when the provider refuses it.

use alloc::vec::Vec;

use super::fleet::Fleet;
use crate::fault::Fault;
use crate::health::Keys;
use crate::id::{EndpointId, KeyId};
use crate::memory::{Guarded, Memory};
use crate::policy::{Endpoint, Policy};
use crate::time::{Instant, Nanos};

/// How a provider refused an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) fault: Fault,
    /// The key that the attempt used.
    pub(super) key: KeyId,
    /// When the provider wants to be asked again.
    pub(super) retry_after: Option<Nanos>,
}

/// How long something is left alone after a fault that does not say how long.
const COOL_RATE_LIMITED: Nanos = Nanos::from_secs(1);
/// The same after a fault that time alone does not mend.
const COOL_EXHAUSTED: Nanos = Nanos::from_secs(60);
/// The longest Retry-After that is believed.
const COOL_MOST: Nanos = Nanos::from_secs(3600);

impl Refused {
    /// Until when whoever was refused is to be left alone, if at all.
    pub(super) fn cools_until(&self, now: Instant) -> Option<Instant> {
        let length = match self.fault {
            Fault::RateLimited => self.retry_after.unwrap_or(COOL_RATE_LIMITED),
            Fault::QuotaExhausted | Fault::Credential => self.retry_after.unwrap_or(COOL_EXHAUSTED).max(COOL_EXHAUSTED),
            Fault::Overloaded => self.retry_after?,
            Fault::Connect | Fault::NoConnection | Fault::Timeout | Fault::Server | Fault::Client | Fault::Stream => {
                return None;
            }
        };
        Some(now + length.min(COOL_MOST))
    }

    /// Whether it concerns the key alone. A quota does, unless the policy says that keys share it; overload never does.
    fn is_of_key(&self, endpoint: &Endpoint) -> bool {
        match self.fault {
            Fault::Credential => true,
            Fault::RateLimited | Fault::QuotaExhausted => !endpoint.shares_quota,
            Fault::Connect
            | Fault::NoConnection
            | Fault::Timeout
            | Fault::Overloaded
            | Fault::Server
            | Fault::Client
            | Fault::Stream => false,
        }
    }
}

/// The keys of every endpoint that has several; nothing at all if none has.
pub(super) fn keys<M: Memory>(policy: &Policy) -> Vec<Option<M::Block<Keys>>> {
    let has_several = |endpoint: &Endpoint| 1 < endpoint.api_key_env.len();
    if !policy.endpoints.iter().any(has_several) {
        return Vec::new();
    }
    let keys = |endpoint: &Endpoint| {
        let n_keys = endpoint.api_key_env.len();
        has_several(endpoint).then(|| M::Block::new(Keys::new(n_keys)))
    };
    policy.endpoints.iter().map(keys).collect()
}

impl<M: Memory> Fleet<M> {
    /// The key for an attempt at `endpoint`; the first where there is one, or none.
    #[inline]
    pub(crate) fn key(&self, endpoint: EndpointId, now: Instant) -> KeyId {
        match self.keys.get(endpoint.index()) {
            Some(Some(keys)) => keys.with(|keys| keys.pick(now)),
            Some(None) | None => KeyId(0),
        }
    }

    /// Until when the whole scope of `endpoint` is to be left alone, after a refusal that cools until `until`: not at all
    /// while the endpoint has another key that is free.
    pub(super) fn scope_cools(
        &self,
        endpoint: &Endpoint,
        id: EndpointId,
        refused: Refused,
        until: Instant,
        now: Instant,
    ) -> Option<Instant> {
        match self.keys.get(id.index()) {
            Some(Some(keys)) if refused.is_of_key(endpoint) => {
                let back = keys.with(|keys| keys.cool(refused.key, until));
                (now < back).then_some(back)
            }
            Some(Some(_) | None) | None => Some(until),
        }
    }
}
