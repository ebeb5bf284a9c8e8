//! What a policy says once it has been checked: no strings on the hot path, no impossible numbers.
//!
//! A policy is behavior: pools of endpoints, limits, routes. It has no live state (that is the gate's) and no
//! `serde` (that is the file's). Everything refers by index: a [`Route`] to [`PoolId`]s, a [`Pool`] to a range of
//! endpoints, an [`Endpoint`] to its [`ScopeId`](crate::id::ScopeId).

mod access;
mod adjust;
mod balance;
mod capability;
mod classify;
#[cfg(feature = "file")]
pub mod file;
mod health;
mod matching;
mod outlier;
mod pool;
mod queue;
mod quota;
mod route;
mod split;
mod throttle;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use access::{KeyDigest, keys};
pub use adjust::{Adjustment, HeaderStage, HeaderStages, Parameters};
pub use balance::{Balance, BalanceKind, LoadKind, SlowStart, Ties, Until};
pub use capability::{Capability, Needs, Operation, Operations};
pub use classify::{Charges, Class, Facts, Header};
pub use health::{BreakerKind, Probe, Window};
pub use matching::{Match, Pattern, Word};
pub use outlier::{FailurePercentage, Outlier, Percent, Row, SuccessRate, Volume};
pub use pool::{Endpoint, Pool, Price, RegionId};
pub use queue::{Order, QueueShape, Shedding, Weight};
pub use quota::{AdaptiveKind, Algorithm, Bounds, Limit, OnOutage, OnWait, Partition, Quota, Refund, Store};
pub use route::{
    Backoff, Budget, Hedge, HedgeAfter, Jitter, Retry, RetryBudget, RetryConcurrency, Route, Slo, Timeouts,
};
pub use split::Split;
pub use throttle::{EnvoyAdmission, Throttle};

use crate::id::{EndpointId, PoolId, RouteId, TenantId};
use crate::usage::Rates;

/// A checked policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Who is accounted for; index 0 is whoever has no entry of their own.
    pub tenants: Vec<Tenant>,
    /// Every key's hash and whose it is, as [`keys`] sorts them.
    pub keys: Vec<(KeyDigest, TenantId)>,
    /// Every limit, in file order.
    pub limits: Vec<Limit>,
    /// Every pool, in file order.
    pub pools: Vec<Pool>,
    /// Every endpoint, pool by pool.
    pub endpoints: Vec<Endpoint>,
    /// Names of the quota scopes; endpoints without one have a scope of their own.
    pub scopes: Vec<String>,
    /// Names of the regions.
    pub regions: Vec<String>,
    /// Every route, in file order; the first that matches decides.
    pub routes: Vec<Route>,
    /// Identifies the content of the file it came from.
    pub hash: PolicyHash,
}

impl Policy {
    /// The pool of `id`.
    #[must_use]
    #[inline]
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[id.index()]
    }

    /// The endpoint of `id`.
    #[must_use]
    #[inline]
    pub fn endpoint(&self, id: EndpointId) -> &Endpoint {
        &self.endpoints[id.index()]
    }

    /// The route of `id`.
    #[must_use]
    #[inline]
    pub fn route(&self, id: RouteId) -> &Route {
        &self.routes[id.index()]
    }
}

/// Who is accounted for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// Its name; empty for whoever has no entry.
    pub name: String,
    /// SHA-256 hashes of its keys.
    pub key_hashes: Vec<[u8; 32]>,
    /// A free word that routes and limits match.
    pub role: String,
    /// Where its requests come from, a free word too.
    pub region: String,
    /// How urgent its requests are.
    pub priority: Priority,
    /// Its share in fair queues.
    pub weight: Weight,
}

impl Policy {
    /// What the endpoints that `route` may use charge, without those that another outbids for every usage.
    #[must_use]
    pub fn rates(&self, route: RouteId) -> Vec<Rates> {
        let mut dearest: Vec<Rates> = Vec::new();
        for pool in &self.route(route).pools {
            let endpoints = self
                .pool(*pool)
                .endpoints
                .clone()
                .map(|at| &self.endpoints[usize::from(at)]);
            for rates in endpoints
                .filter_map(|endpoint| endpoint.price)
                .map(|price| price.rates())
            {
                let outbids = |one: &Rates, other: &Rates| other.input <= one.input && other.output <= one.output;
                if !dearest.iter().any(|one| outbids(one, &rates)) {
                    dearest.retain(|one| !outbids(&rates, one));
                    dearest.push(rates);
                }
            }
        }
        dearest
    }

    /// The tenant named `name`, or the nameless one.
    #[must_use]
    pub fn tenant_named(&self, name: &str) -> TenantId {
        let found = self.tenants.iter().position(|tenant| tenant.name == name);
        TenantId::at(found.unwrap_or(0))
    }

    /// The share of `tenant` in fair queues. All who have no entry are one tenant, with the weight 1.
    #[must_use]
    pub fn weight(&self, tenant: TenantId) -> Weight {
        self.tenants
            .get(tenant.index())
            .map_or(Weight::ONE, |tenant| tenant.weight)
    }
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// First to wait.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Last to wait.
    High,
}

impl Priority {
    /// Every priority and its word in files.
    pub const NAMES: [(&'static str, Priority); 3] = [
        ("low", Priority::Low),
        ("normal", Priority::Normal),
        ("high", Priority::High),
    ];
}

/// A short stable name for the content of a policy file; equal for files that differ only in comments and layout.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PolicyHash(pub [u8; 8]);

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
