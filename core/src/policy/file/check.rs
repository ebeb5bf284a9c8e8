//! Connects what the file names, and finds what cannot be meant.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{balance, charges, raw};
use crate::file::{At, Report, Span, nearest};
use crate::id::{PoolId, ScopeId};
use crate::policy::{Charges, Match, Policy, RegionId, Split, Tenant, keys};
use crate::usage::Unit;

/// The policy that `raw` says. What cannot be connected is left out, after an error.
pub(super) fn policy(raw: raw::Policy, report: &Report) -> Policy {
    names(&raw, report);
    tenants(&raw, report);
    applicable(&raw.limits, report);
    shadowed(&raw.routes, report);
    bursts(&raw, report);
    prices(&raw, report);

    let places: Vec<Span> = raw.pools.iter().map(|pool| pool.name).collect();
    let mut policy = Policy::default();
    policy.tenants.push(Tenant::default());
    policy.tenants.extend(raw.tenants.into_iter().map(|raw| raw.checked));
    policy.keys = keys(&policy.tenants);
    policy.limits = raw.limits.into_iter().map(|raw| raw.checked).collect();
    pools(&mut policy, raw.pools, report);
    for raw in raw.routes {
        route(&mut policy, raw, report);
    }
    if !report.has_errors() {
        unused(&policy, &places, report);
    }
    policy
}

/// Every name is the name of one thing of its kind.
fn names(raw: &raw::Policy, report: &Report) {
    let endpoints = || raw.pools.iter().flat_map(|pool| &pool.endpoints);
    unique(
        "tenant",
        raw.tenants.iter().map(|raw| (&raw.checked.name, raw.name)),
        report,
    );
    unique(
        "limit",
        raw.limits.iter().map(|raw| (&raw.checked.name, raw.name)),
        report,
    );
    unique(
        "pool",
        raw.pools.iter().map(|raw| (&raw.checked.name, raw.name)),
        report,
    );
    unique("endpoint", endpoints().map(|raw| (&raw.checked.name, raw.name)), report);
    unique(
        "route",
        raw.routes.iter().map(|raw| (&raw.checked.name, raw.name)),
        report,
    );
    if super::ENDPOINTS < endpoints().count() {
        let message = format!(
            "{} endpoints; at most {} are allowed",
            endpoints().count(),
            super::ENDPOINTS
        );
        report.error(Span::default(), message, "too many endpoints", None::<&str>);
    }
}

fn unique<'n>(what: &str, names: impl Iterator<Item = (&'n String, Span)>, report: &Report) {
    let mut seen = BTreeMap::new();
    for (name, span) in names.filter(|(name, _)| !name.is_empty()) {
        if seen.insert(name, span).is_some() {
            let message = format!("two {what}s are called `{name}`");
            report.error(span, message, "used before", Some("names must differ"));
        }
    }
}

/// Keys belong to one tenant; words that name tenants name known ones, if any is known.
fn tenants(raw: &raw::Policy, report: &Report) {
    let mut seen = BTreeMap::new();
    for raw in &raw.tenants {
        for (hash, span) in raw.checked.key_hashes.iter().zip(&raw.key_hashes) {
            if let Some(other) = seen.insert(hash, &raw.checked.name) {
                let message = format!("this key hash is listed before, for tenant `{other}`");
                report.error(*span, message, "listed twice", Some("a key belongs to one tenant"));
            }
        }
    }
    let names: BTreeSet<&str> = raw.tenants.iter().map(|raw| raw.checked.name.as_str()).collect();
    let known = || raw.tenants.iter().map(|raw| raw.checked.name.as_str());
    let named = raw.limits.iter().flat_map(|raw| &raw.tenants);
    let named = named.chain(raw.routes.iter().flat_map(|raw| &raw.tenants));
    for at in named.filter(|_| !raw.tenants.is_empty()) {
        if !names.contains(at.value.as_str()) {
            let message = format!("no tenant of this file is called `{}`", at.value);
            let help = nearest(&at.value, known()).help("tenant");
            report.warn(at.span, message, "matches only what a claim or a scenario names", help);
        }
    }
}

/// No request meets more limits than it can carry.
fn applicable(limits: &[raw::Limit], report: &Report) {
    let checked: Vec<_> = limits.iter().map(|raw| &raw.checked).collect();
    let (place, message) = match charges::beyond(&checked, Charges::MOST) {
        Ok(None) => return,
        Ok(Some(found)) => {
            let names: Vec<_> = found
                .iter()
                .take(12)
                .map(|at| format!("`{}`", limits[*at].checked.name))
                .collect();
            let message = format!("{} limits can apply to one request: {}", found.len(), names.join(", "));
            (limits[found[Charges::MOST]].name, message)
        }
        Err(charges::TooMany) => (
            Span::default(),
            String::from("too many limits on too many words to be checked"),
        ),
    };
    let help = format!("at most {} may; tell them apart with `when`", Charges::MOST);
    report.error(place, message, "one too many", Some(help));
}

/// Every route can be reached.
fn shadowed(routes: &[raw::Route], report: &Report) {
    for (at, later) in routes.iter().enumerate() {
        let by = routes[..at]
            .iter()
            .find(|earlier| covers(&earlier.checked.matches, &later.checked.matches));
        if let Some(by) = by {
            let message = format!(
                "route `{}` decides nothing: `{}` matches first",
                later.checked.name, by.checked.name
            );
            let help = format!(
                "put it before `{}`, or give that one a narrower `match`",
                by.checked.name
            );
            report.warn(later.name, message, "never reached", Some(help));
        }
    }
}

/// Whether `earlier` surely holds where `later` does.
fn covers(earlier: &Match, later: &Match) -> bool {
    earlier.words.iter().all(|(word, pattern)| {
        // A `*` of the later pattern is matched by one of the earlier, so whatever it stands for is too.
        let mut same = later.words.iter().filter(|(of, _)| of == word);
        pattern.matches("") && pattern.as_str().chars().all(|char| char == '*') && !pattern.as_str().is_empty()
            || same.any(|(_, narrower)| pattern.matches(narrower.as_str()))
    })
}

/// Every pool is somebody's. Not asked of a file with errors: the pool may be meant by a name that was misspelled.
fn unused(policy: &Policy, places: &[Span], report: &Report) {
    for (at, (pool, place)) in policy.pools.iter().zip(places).enumerate() {
        let mut named = policy.routes.iter().flat_map(|route| &route.pools);
        if !named.any(|named| *named == PoolId::at(at)) {
            let message = format!("no route goes to pool `{}`", pool.name);
            report.warn(*place, message, "unused", Some("name it in the `pools` of a route"));
        }
    }
}

/// What a request may need fits in what a limit can hold.
fn bursts(raw: &raw::Policy, report: &Report) {
    let endpoints = raw.pools.iter().flat_map(|pool| &pool.endpoints);
    let cans = || endpoints.clone().map(|raw| &raw.checked.can);
    let context = cans()
        .map(|can| can.context)
        .filter(|context| *context < u32::MAX)
        .max();
    let output = cans()
        .map(|can| can.max_output)
        .filter(|output| *output < u32::MAX)
        .max();
    for raw in &raw.limits {
        let burst = raw.checked.algorithm.most();
        let default = u64::from(raw.checked.output_default);
        let needed = match raw.checked.unit {
            Unit::Requests | Unit::MicroUsd | Unit::InFlight => continue,
            Unit::Tokens | Unit::InputTokens => context,
            Unit::OutputTokens => output,
        };
        let needed = needed.map_or(0, u64::from);
        if raw.checked.unit != Unit::InputTokens && burst < default {
            let message = format!("the limit holds {burst} tokens, fewer than the {default} assumed of an answer");
            let help = Some("a larger burst, or a smaller `estimate.output_default`");
            report.warn(raw.burst, message, "answers are cut to this", help);
        } else if burst < needed {
            let message = format!("the limit holds {burst} tokens; an endpoint takes requests of up to {needed}");
            let help = Some(format!(
                "requests above {burst} are refused for good; a burst of {needed} admits them"
            ));
            report.warn(raw.burst, message, "holds fewer than a request may need", help);
        }
    }
}

/// Every endpoint that a limit in money may meet has a price.
fn prices(raw: &raw::Policy, report: &Report) {
    let counts_money = |raw: &&raw::Limit| raw.checked.unit == Unit::MicroUsd;
    let mut missing = BTreeMap::new();
    for limit in raw.limits.iter().filter(counts_money) {
        let met = raw
            .routes
            .iter()
            .filter(|route| may_meet(&limit.checked.when, &route.checked.matches));
        for named in met.flat_map(|route| &route.pools) {
            let pools = raw.pools.iter().filter(|pool| pool.checked.name == named.value);
            for endpoint in pools
                .flat_map(|pool| &pool.endpoints)
                .filter(|raw| raw.checked.price.is_none())
            {
                missing
                    .entry(&endpoint.checked.name)
                    .or_insert((endpoint.name, &limit.checked.name));
            }
        }
    }
    for (name, (place, limit)) in missing {
        let message = format!("endpoint `{name}` has no price, and limit `{limit}` counts what its requests cost");
        let help = Some("price = { input = 0.15, output = 0.60 }, in dollars per million tokens");
        report.error(place, message, "costs what?", help);
    }
}

/// Whether one request may hold both; no only where a word says so.
fn may_meet(one: &Match, other: &Match) -> bool {
    one.words.iter().all(|(word, pattern)| {
        let mut same = other
            .words
            .iter()
            .filter(|(of, _)| of == word)
            .map(|(_, pattern)| pattern);
        same.all(|other| match (pattern.is_literal(), other.is_literal()) {
            (true, _) => other.matches(pattern.as_str()),
            (false, true) => pattern.matches(other.as_str()),
            (false, false) => true,
        })
    })
}

fn pools(policy: &mut Policy, pools: Vec<raw::Pool>, report: &Report) {
    for (at, raw) in pools.into_iter().enumerate() {
        balance::check(&raw, report);
        let first = policy.endpoints.len();
        for raw in raw.endpoints.into_iter().take(super::ENDPOINTS.saturating_sub(first)) {
            let mut endpoint = raw.checked;
            endpoint.pool = PoolId::at(at);
            endpoint.region = raw.region.map(|name| RegionId(position(&mut policy.regions, name)));
            endpoint.scope = ScopeId(match raw.scope {
                Some(name) => position(&mut policy.scopes, name),
                None => pushed(&mut policy.scopes, format!("endpoint {}", endpoint.name)),
            });
            policy.endpoints.push(endpoint);
        }
        let mut pool = raw.checked;
        pool.endpoints = small(first)..small(policy.endpoints.len());
        policy.pools.push(pool);
    }
}

fn route(policy: &mut Policy, raw: raw::Route, report: &Report) {
    let mut route = raw.checked;
    for at in &raw.pools {
        match policy.pools.iter().position(|pool| pool.name == at.value) {
            None => {
                let help = nearest(&at.value, policy.pools.iter().map(|pool| pool.name.as_str())).help("pool");
                report.error(
                    at.span,
                    format!("no pool is called `{}`", at.value),
                    "unknown pool",
                    help,
                );
            }
            Some(pool) if route.pools.contains(&PoolId::at(pool)) => {
                let message = format!("pool `{}` is named twice", at.value);
                report.error(at.span, message, "named before", Some("a pool is tried once"));
            }
            Some(pool) => route.pools.push(PoolId::at(pool)),
        }
    }
    route.split = raw
        .split
        .and_then(|weights| split(policy, &route.pools, &weights, report));
    if let Some(region) = &raw.require_region {
        route.require_region = required_region(policy, &route.pools, region, report);
    }
    policy.routes.push(route);
}

/// The weights of `pools`, in their order.
fn split(policy: &Policy, pools: &[PoolId], weights: &[(At<String>, u32)], report: &Report) -> Option<Split> {
    let mut split = alloc::vec![0; pools.len()];
    let names = || pools.iter().map(|pool| policy.pool(*pool).name.as_str());
    for (at, weight) in weights {
        let Some(position) = names().position(|name| name == at.value) else {
            let message = format!("`{}` is not among the `pools` of this route", at.value);
            let help = nearest(&at.value, names()).help("pool");
            report.error(at.span, message, "not a pool of this route", help);
            continue;
        };
        split[position] = *weight;
    }
    Split::new(split)
}

fn required_region(policy: &Policy, pools: &[PoolId], region: &At<String>, report: &Report) -> Option<RegionId> {
    let found = policy.regions.iter().position(|name| *name == region.value);
    let found = found.map(|at| RegionId(small(at)));
    let mut endpoints = policy
        .endpoints
        .iter()
        .filter(|endpoint| pools.contains(&endpoint.pool));
    let is_served = found.is_some() && endpoints.any(|endpoint| endpoint.region == found);
    if !is_served {
        let message = format!("no endpoint of this route's pools is in region `{}`", region.value);
        let help = match found {
            Some(_) => Some("name a pool that has one".to_string()),
            None => nearest(&region.value, policy.regions.iter().map(String::as_str)).help("region"),
        };
        report.error(region.span, message, "every request would be refused", help);
    }
    found
}

fn position(names: &mut Vec<String>, name: String) -> u16 {
    match names.iter().position(|known| *known == name) {
        Some(at) => small(at),
        None => pushed(names, name),
    }
}

fn pushed(names: &mut Vec<String>, name: String) -> u16 {
    names.push(name);
    small(names.len() - 1)
}

fn small(at: usize) -> u16 {
    u16::try_from(at).expect("ENDPOINTS bounds every list")
}
