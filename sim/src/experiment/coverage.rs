//! Which routes, limits and keys of a policy the requests of a trace reach: what is never reached was perhaps meant
//! otherwise.

use std::collections::BTreeSet;
use std::fmt;

use tollgate_core::id::RouteId;
use tollgate_core::policy::{Facts, Policy};

use crate::trace::Trace;

/// What a trace reaches of a policy.
#[derive(Debug)]
pub struct Coverage<'a> {
    policy: &'a Policy,
    routes: BTreeSet<usize>,
    limits: BTreeSet<usize>,
    tenants: BTreeSet<usize>,
}

/// Something that no request of a trace matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// `route`, `limit` or `tenant`.
    pub what: &'static str,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unmatched { what, name } = self;
        match *what {
            "tenant" => write!(
                f,
                "no request of the trace comes from tenant `{name}`, so its keys are not tried"
            ),
            _ => write!(f, "no request of the trace matches {what} `{name}`"),
        }
    }
}

impl<'a> Coverage<'a> {
    /// What `trace` reaches of `policy`: each combination of tenant and model that occurs is classified once.
    #[must_use]
    pub fn of(policy: &'a Policy, trace: &Trace) -> Coverage<'a> {
        let mut coverage = Coverage {
            policy,
            routes: BTreeSet::new(),
            limits: BTreeSet::new(),
            tenants: BTreeSet::new(),
        };
        let combinations: BTreeSet<_> = trace.rows().map(|row| (row.tenant, row.model)).collect();
        for (tenant, model) in combinations {
            let tenant = tenant.and_then(|at| trace.tenants().get(at as usize));
            let model = model.and_then(|at| trace.models().get(usize::from(at)));
            coverage.add(tenant.map_or("", String::as_str), model.map_or("", String::as_str));
        }
        coverage
    }

    /// Everything that was not reached, in the policy's order.
    #[must_use]
    pub fn unmatched(&self) -> Vec<Unmatched> {
        let missing = |what, reached: &BTreeSet<usize>, names: Vec<&String>| {
            let list = names
                .into_iter()
                .enumerate()
                .filter(|(at, name)| !reached.contains(at) && !name.is_empty());
            list.map(|(_, name)| Unmatched {
                what,
                name: name.clone(),
            })
            .collect::<Vec<_>>()
        };
        let routes = self.policy.routes.iter().map(|route| &route.name).collect();
        let limits = self.policy.limits.iter().map(|limit| &limit.name).collect();
        let tenants = self.policy.tenants.iter().map(|tenant| &tenant.name).collect();
        [
            missing("route", &self.routes, routes),
            missing("limit", &self.limits, limits),
            missing("tenant", &self.tenants, tenants),
        ]
        .concat()
    }

    fn add(&mut self, tenant: &str, model: &str) {
        let known = self.policy.tenant_named(tenant).index();
        let entry = &self.policy.tenants[known];
        let facts = Facts {
            path: "/v1/chat/completions",
            model,
            tenant,
            role: &entry.role,
            region: &entry.region,
            key: tenant,
            client_ip: tenant,
            headers: &[],
        };
        let class = self.policy.classify(0, &facts);
        self.tenants.insert(known);
        self.routes.extend(class.route.map(RouteId::index));
        self.limits
            .extend((0..class.charges.len()).map(|at| class.charges.at(at).0.index()));
    }
}
