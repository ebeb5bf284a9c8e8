//! From what a request says to the route and the limits that decide it: once per request, before anything else.

use super::{Limit, Partition, Policy};
use crate::id::{KeyHash, Lane, LimitId, OutputKey, RouteId};

/// What is known of a request before it is admitted. Absent words are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The path, such as `/v1/chat/completions`.
    pub path: &'a str,
    /// The model that was asked for.
    pub model: &'a str,
    /// The tenant's name.
    pub tenant: &'a str,
    /// The tenant's role.
    pub role: &'a str,
    /// The tenant's region.
    pub region: &'a str,
    /// A hash of the key that was shown.
    pub key: &'a str,
    /// The client's address as a limit counts it.
    pub client_ip: &'a str,
    /// Headers and claims that the policy names.
    pub headers: &'a [Header<'a>],
}

/// A header or claim: its name in lower case, and its value.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The name.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
}

impl<'a> Facts<'a> {
    /// The value of header `name`, empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &'a str {
        let found = self.headers.iter().find(|header| header.name == name);
        found.map_or("", |header| header.value)
    }

    fn part(&self, partition: &Partition, route: &'a str) -> &'a str {
        match partition {
            Partition::Tenant => self.tenant,
            Partition::Model => self.model,
            Partition::Key => self.key,
            Partition::Role => self.role,
            Partition::Region => self.region,
            Partition::Route => route,
            Partition::Path => self.path,
            Partition::Header(name) | Partition::Claim(name) => self.header(name),
            Partition::ClientIp => self.client_ip,
        }
    }
}

/// What decides a request: its route and the limits it is charged to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// The first route that matches.
    pub route: Option<RouteId>,
    /// The limits that apply, and under which keys.
    pub charges: Charges,
    /// Whose answers it learns from and teaches, if one of these limits learns.
    pub outputs: Option<OutputKey>,
}

/// The limits that apply to a request, at most [`Charges::MOST`], in file order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    keys: [KeyHash; Charges::MOST],
    limits: [LimitId; Charges::MOST],
    len: u8,
    /// The lane that the request is driven in, and charged in; a driver of several threads sets it.
    pub lane: Lane,
}

impl Charges {
    /// Most limits that may apply to one request; the policy file is refused beyond.
    pub const MOST: usize = 8;

    /// Adds a limit.
    ///
    /// # Panics
    ///
    /// Beyond [`Charges::MOST`], which a checked policy rules out.
    pub fn push(&mut self, limit: LimitId, key: KeyHash) {
        let at = usize::from(self.len);
        assert!(at < Charges::MOST, "a checked policy bounds the limits of a request");
        self.keys[at] = key;
        self.limits[at] = limit;
        self.len += 1;
    }

    /// How many limits apply.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether none applies.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The limit and key at `index`.
    #[must_use]
    #[inline]
    pub const fn at(&self, index: usize) -> (LimitId, KeyHash) {
        (self.limits[index], self.keys[index])
    }
}

impl Policy {
    /// The route and the limits of a request with these `facts`. `seed` keeps keys from being guessed.
    #[must_use]
    pub fn classify(&self, seed: u64, facts: &Facts<'_>) -> Class {
        let route = self.routes.iter().position(|route| route.matches.holds(facts));
        let route_name = route.map_or("", |at| self.routes[at].name.as_str());
        let mut charges = Charges::default();
        let mut learns = false;
        for (at, limit) in self.limits.iter().enumerate() {
            if limit.when.holds(facts) {
                charges.push(LimitId::at(at), key(seed, limit, facts, route_name));
                learns |= limit.learns();
            }
        }
        Class {
            route: route.map(RouteId::at),
            charges,
            outputs: learns.then(|| OutputKey::of(seed, facts.tenant, facts.model)),
        }
    }
}

fn key(seed: u64, limit: &Limit, facts: &Facts<'_>, route: &str) -> KeyHash {
    let parts = limit
        .per
        .iter()
        .map(|partition| facts.part(partition, route).as_bytes());
    KeyHash::of(seed, parts)
}
