//! `[[limit]]`

use alloc::string::String;
use alloc::vec;
use core::num::NonZeroU32;

use super::law::{self, Law};
use super::tenant::{later, named};
use super::{matching, raw};
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value, nearest};
use crate::policy::{Limit, OnOutage, Partition, Refund, Store};
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
    let store = store(&mut section.table_or_empty("store"), law, unit);
    let (output_default, learn) = estimate(section, unit, store);
    let checked = Limit {
        name: name.value,
        algorithm,
        unit,
        per: per.unwrap_or_else(|| vec![Partition::Tenant]),
        when,
        on_wait: law::on_wait(section, law, algorithm),
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

fn store(table: &mut Section<'_>, law: Option<Law>, unit: Unit) -> Store {
    let is_redis = table.variant(
        "kind",
        kind::one_of(&[("local", false), ("redis", true)], &[]),
        Some(false),
    );
    table.not_built_yet("lease");
    if is_redis != Some(true) {
        return Store::Local;
    }
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
            if learn && store != Store::Local {
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
