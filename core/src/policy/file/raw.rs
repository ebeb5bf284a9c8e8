//! What the file says, decoded but not yet connected: names are still names, and know where they stand.

use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{At, Span};
use crate::policy;

/// A policy file.
pub(super) struct Policy {
    pub(super) tenants: Vec<Tenant>,
    pub(super) limits: Vec<Limit>,
    pub(super) pools: Vec<Pool>,
    pub(super) routes: Vec<Route>,
}

/// A tenant and the places of its name and key hashes.
pub(super) struct Tenant {
    pub(super) checked: policy::Tenant,
    pub(super) name: Span,
    pub(super) key_hashes: Vec<Span>,
}

/// A limit, the places of its name and burst, and the tenants it names.
pub(super) struct Limit {
    pub(super) checked: policy::Limit,
    pub(super) name: Span,
    pub(super) burst: Span,
    pub(super) tenants: Vec<At<String>>,
}

/// A pool without its endpoints' positions, and where `choices` stands if it does, and a score.
pub(super) struct Pool {
    pub(super) checked: policy::Pool,
    pub(super) name: Span,
    pub(super) choices: Option<At<u32>>,
    pub(super) score: Option<Span>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// An endpoint without its pool, region and scope, the names of these, and where its weight stands if it does.
pub(super) struct Endpoint {
    pub(super) checked: policy::Endpoint,
    pub(super) name: Span,
    pub(super) weight: Option<Span>,
    pub(super) region: Option<String>,
    pub(super) scope: Option<String>,
}

/// A route without its pools and region, and the names of these.
pub(super) struct Route {
    pub(super) checked: policy::Route,
    pub(super) name: Span,
    pub(super) pools: Vec<At<String>>,
    pub(super) split: Option<Split>,
    pub(super) require_region: Option<At<String>>,
    pub(super) tenants: Vec<At<String>>,
}

/// Pools by name, and their weights.
pub(super) type Split = Vec<(At<String>, u32)>;
