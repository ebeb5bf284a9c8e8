//! `[[limit]]`

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::num::NonZeroU32;

use super::law::{self, Law};
use super::tenant::{later, named};
use super::{matching, raw};
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value, nearest};
use crate::policy::{Algorithm, Limit, OnOutage, OnWait, Partition, Refund, Store};
use crate::time::Nanos;
use crate::usage::Unit;

pub(super) fn read(section: &mut Section<'_>) -> raw::Limit {
    let name = named(section);
    let law = law::which(section);
    let (when, tenants) = matching::read(section, "when");
    let per = section.list("per", super::WORDS, partition);
    let per = per.map(|per| per.into_iter().map(|at| at.value).collect());
    let unit = law::unit(section, law);
    let (algorithm, burst) = law::algorithm(section, law);
    let max_keys = section.or("max_keys", kind::integer(1_u32, MOST_KEYS), 100_000);
    law::memory(section, algorithm, max_keys, burst);
    let on_wait = law::on_wait(section, law, algorithm);
    let store = store(&mut section.table_or_empty("store"), law, unit, (algorithm, on_wait));
    let (output_default, learn) = estimate(section, unit, store);
    let checked = Limit {
        name: name.value,
        algorithm,
        unit,
        per: per.unwrap_or_else(|| vec![Partition::Tenant]),
        when,
        on_wait,
        refund: section.or("refund", kind::one_of(REFUNDS, &[]), Refund::Full),
        max_keys: NonZeroU32::new(max_keys).unwrap_or(NonZeroU32::MIN),
        store,
        output_default,
        learn,
    };
    raw::Limit {
        checked,
        name: name.span,
        burst,
        tenants,
    }
}

/// Most keys with a state of their own that a limit may have.
const MOST_KEYS: u32 = 1 << 26;

const REFUNDS: &[(&str, Refund)] = &[("full", Refund::Full), ("none", Refund::None)];

fn store(table: &mut Section<'_>, law: Option<Law>, unit: Unit, leased: (Algorithm, OnWait)) -> Store {
    let is_redis = table.variant(
        "kind",
        kind::one_of(&[("local", false), ("redis", true)], &[]),
        Some(false),
    );
    if is_redis != Some(true) {
        let most = table.optional("lease", |value| {
            let most = kind::integer(1_u32, u32::MAX)(value)?;
            unleasable(most, law, leased).map_or(Ok(most), Err)
        });
        let most = most.and_then(|most| NonZeroU32::new(most.value));
        return most.map_or(Store::Local, |most| Store::Leased { most });
    }
    table.not_built_yet("lease");
    if matches!(law, Some(Law::Permits | Law::Adaptive(_))) {
        let message = "permits in Redis are not built yet";
        table.report().error(
            table.span(),
            message,
            "not built yet",
            Some("store = { kind = \"local\" }"),
        );
    }
    if unit == Unit::MicroUsd {
        let message = "costs in Redis are not built yet";
        let help = Some("store = { kind = \"local\" }");
        table.report().error(table.span(), message, "not built yet", help);
    }
    table.required("mode", kind::one_of(&[("strict", ())], &["lease"]));
    Store::Strict {
        deadline: table.or("deadline", kind::length, Nanos::from_millis(10)),
        on_outage: table.or(
            "on_outage",
            kind::one_of(
                &[
                    ("local-share", OnOutage::LocalShare),
                    ("allow", OnOutage::Allow),
                    ("refuse", OnOutage::Refuse),
                ],
                &[],
            ),
            OnOutage::LocalShare,
        ),
    }
}

/// Why no lease of `most` units can be taken of such a limit. Its units are spent later than they were taken: windows
/// that end would have them in the next, and permits are not spent at all.
fn unleasable(most: u32, law: Option<Law>, (algorithm, on_wait): (Algorithm, OnWait)) -> Option<Wrong> {
    const LEAVE: &str = "leave it out, or algorithm = \"gcra\"";
    match algorithm {
        Algorithm::Gcra(quota) | Algorithm::TokenBucket(quota) | Algorithm::LeakyBucket(quota) => {
            if on_wait != OnWait::Refuse {
                let wrong = Wrong::said("a limit that delays has no leases", "not with a delay");
                return Some(wrong.help("leave it out, or on_wait = \"refuse\""));
            }
            let is_whole = u64::from(most) <= quota.burst.get();
            let wrong = || {
                Wrong::said(
                    "a lease is taken at once, so a burst must hold it",
                    "larger than the burst",
                )
            };
            let help = format!("at most {}, better a small part of it", quota.burst);
            (!is_whole).then(|| wrong().help(help))
        }
        Algorithm::FixedWindow(_)
        | Algorithm::SegmentedWindow { .. }
        | Algorithm::SlidingLog(_)
        | Algorithm::SlidingWindow(_)
        | Algorithm::Own(_) => {
            let message = "a lease would carry units from one window into the next";
            Some(Wrong::said(message, "not for windows").help(LEAVE))
        }
        // After an error the algorithm is not what the file says.
        Algorithm::Permits(_) if law != Some(Law::Permits) => None,
        Algorithm::Permits(_) | Algorithm::Adaptive(..) => {
            let message = "permits come back: there is nothing to lease";
            Some(Wrong::said(message, "not for permits").help(LEAVE))
        }
    }
}

/// Output tokens assumed of a request that names no maximum, and whether more is learned.
fn estimate(section: &Section<'_>, unit: Unit, store: Store) -> (u32, bool) {
    const DEFAULT: u32 = 512;
    if !matches!(unit, Unit::Tokens | Unit::OutputTokens | Unit::MicroUsd) {
        let message = "nothing is estimated for this unit";
        let help = "leave it out, or count \"tokens\", \"output-tokens\" or \"micro-usd\"";
        section.forbid("estimate", message, "no meaning here", help);
        return (DEFAULT, false);
    }
    let table = section.table_or_empty("estimate");
    let learn = table.or(
        "learn",
        |value: &Value<'_>| {
            let learn = kind::boolean(value)?;
            if learn && !store.is_local() {
                let help = "learn = false, or store = { kind = \"local\" }";
                return Err(later("learning the estimate of a limit in Redis", help));
            }
            Ok(learn)
        },
        false,
    );
    (
        table.or("output_default", kind::integer(1_u32, 1 << 24), DEFAULT),
        learn,
    )
}

fn partition(value: &Value<'_>) -> Result<Partition, Wrong> {
    const WORDS: &[&str] = &[
        "tenant",
        "model",
        "key",
        "role",
        "region",
        "route",
        "path",
        "client-ip",
        "header:NAME",
        "claim:NAME",
    ];
    let text = kind::text(value)?;
    Ok(match text.as_str() {
        "tenant" => Partition::Tenant,
        "model" => Partition::Model,
        "key" => Partition::Key,
        "role" => Partition::Role,
        "region" => Partition::Region,
        "route" => Partition::Route,
        "path" => Partition::Path,
        "client-ip" => Partition::ClientIp,
        _ => {
            let header = matching::after("header:", &text).map(Partition::Header);
            let claim = || text.strip_prefix("claim:").filter(|name| !name.is_empty());
            let claim = || claim().map(|name| Partition::Claim(String::from(name)));
            return header.or_else(claim).ok_or_else(|| {
                let wrong = Wrong::expected("what the limit is counted per");
                match nearest(&text, WORDS.iter().copied()).help("word") {
                    Some(help) => wrong.help(help),
                    None => wrong,
                }
            });
        }
    })
}
