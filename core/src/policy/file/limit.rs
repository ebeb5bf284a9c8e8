//! `[[limit]]`

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::num::{NonZeroU32, NonZeroU64};

use super::tenant::{later, named};
use super::{adaptive, matching, raw};
use crate::file::kind::{self, LONGEST, Wrong};
use crate::file::{Section, Span, Value, nearest};
use crate::policy::{Algorithm, Bounds, Limit, OnOutage, OnWait, Partition, Quota, Refund, Store};
use crate::time::Nanos;
use crate::usage::Unit;

pub(super) fn read(section: &mut Section<'_>) -> raw::Limit {
    let name = named(section);
    let law = section.variant("algorithm", kind::one_of(LAWS, LATER_LAWS), Some(Law::Gcra));
    let (when, tenants) = matching::read(section, "when");
    let per = section.list("per", super::WORDS, partition);
    let per = per.map(|per| per.into_iter().map(|at| at.value).collect());
    let unit = unit(section, law);
    let (algorithm, burst) = algorithm(section, law);
    let checked = Limit {
        name: name.value,
        algorithm,
        unit,
        per: per.unwrap_or_else(|| vec![Partition::Tenant]),
        when,
        on_wait: on_wait(section, law),
        refund: section.or("refund", kind::one_of(REFUNDS, &[]), Refund::Full),
        max_keys: NonZeroU32::new(section.or("max_keys", kind::integer(1_u32, MOST_KEYS), 100_000))
            .unwrap_or(NonZeroU32::MIN),
        store: store(&mut section.table_or_empty("store"), law),
        output_default: output_default(section, unit),
    };
    raw::Limit {
        checked,
        name: name.span,
        burst,
        tenants,
    }
}

/// Which algorithm, before its numbers are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Law {
    Gcra,
    TokenBucket,
    FixedWindow,
    Permits,
    Aimd,
    Vegas,
    Gradient,
    EnvoyGradient,
}

const LAWS: &[(&str, Law)] = &[
    ("gcra", Law::Gcra),
    ("token-bucket", Law::TokenBucket),
    ("fixed-window", Law::FixedWindow),
    ("permits", Law::Permits),
    ("aimd", Law::Aimd),
    ("vegas", Law::Vegas),
    ("gradient", Law::Gradient),
    ("envoy-gradient", Law::EnvoyGradient),
];

const LATER_LAWS: &[&str] = &["segmented-window", "sliding-log", "sliding-window", "leaky-bucket"];

/// Most keys with a state of their own that a limit may have.
const MOST_KEYS: u32 = 1 << 26;

const REFUNDS: &[(&str, Refund)] = &[("full", Refund::Full), ("none", Refund::None)];

fn unit(section: &Section<'_>, law: Option<Law>) -> Unit {
    let units: &[(&str, Unit)] = &[
        ("requests", Unit::Requests),
        ("tokens", Unit::Tokens),
        ("input-tokens", Unit::InputTokens),
        ("output-tokens", Unit::OutputTokens),
        ("in-flight", Unit::InFlight),
    ];
    let default = match law {
        Some(Law::Permits | Law::Aimd | Law::Vegas | Law::Gradient | Law::EnvoyGradient) => Unit::InFlight,
        Some(Law::Gcra | Law::TokenBucket | Law::FixedWindow) | None => Unit::Requests,
    };
    section.or(
        "unit",
        |value: &Value<'_>| {
            let unit = kind::one_of(units, &["micro-usd"])(value)?;
            match (law, unit == Unit::InFlight) {
                (Some(Law::Permits), false) => Err(Wrong::said(
                    "permits count requests in flight, and nothing else",
                    "not for permits",
                )
                .help("unit = \"in-flight\", or another algorithm")),
                (Some(Law::Aimd | Law::Vegas | Law::Gradient | Law::EnvoyGradient), false) => Err(Wrong::said(
                    "an adaptive limit counts requests in flight, and nothing else",
                    "not for an adaptive limit",
                )
                .help("unit = \"in-flight\", or another algorithm")),
                (Some(Law::Gcra | Law::TokenBucket | Law::FixedWindow), true) => Err(Wrong::said(
                    "only permits and adaptive limits count requests in flight",
                    "not for a quota",
                )
                .help("algorithm = \"permits\", or another unit")),
                (Some(_) | None, _) => Ok(unit),
            }
        },
        default,
    )
}

/// The algorithm with its numbers, and where its burst stands.
fn algorithm(section: &Section<'_>, law: Option<Law>) -> (Algorithm, Span) {
    section.not_built_yet("segments");
    let nothing = Algorithm::Permits(NonZeroU32::MIN);
    let Some(law) = law else {
        return (nothing, section.span());
    };
    let adaptive = match law {
        Law::Aimd => Some(Algorithm::Aimd(adaptive::bounds(section, Bounds::AIMD))),
        Law::Vegas => Some(Algorithm::Vegas(adaptive::bounds(section, Bounds::VEGAS))),
        Law::Gradient => Some(Algorithm::Gradient(adaptive::bounds(section, Bounds::GRADIENT))),
        Law::EnvoyGradient => Some(Algorithm::EnvoyGradient(adaptive::bounds(
            section,
            Bounds::ENVOY_GRADIENT,
        ))),
        Law::Gcra | Law::TokenBucket | Law::FixedWindow | Law::Permits => None,
    };
    if let Some(algorithm) = adaptive {
        return (algorithm, section.span());
    }
    let help = "leave it out, or algorithm = \"gradient\"";
    section.forbid("bounds", "only adaptive limits have bounds", "does not move", help);
    if law == Law::Permits {
        let help = "say how many with `max_in_flight`";
        section.forbid(
            "quota",
            "permits have no quota: they come back",
            "not for permits",
            help,
        );
        let most = section.required("max_in_flight", kind::integer(1_u32, u32::MAX));
        let most = most.and_then(|most| NonZeroU32::new(most.value));
        return (most.map_or(nothing, Algorithm::Permits), section.span());
    }
    let Some(table) = section.table("quota") else {
        if !section.has("quota") {
            section.missing("quota");
        }
        return (nothing, section.span());
    };
    let Some((quota, burst)) = quota(&table, law) else {
        return (nothing, table.span());
    };
    let algorithm = match law {
        Law::TokenBucket => Algorithm::TokenBucket(quota),
        Law::FixedWindow => Algorithm::FixedWindow(quota),
        Law::Gcra | Law::Permits | Law::Aimd | Law::Vegas | Law::Gradient | Law::EnvoyGradient => {
            Algorithm::Gcra(quota)
        }
    };
    (algorithm, burst)
}

fn quota(table: &Section<'_>, law: Law) -> Option<(Quota, Span)> {
    let amount = table.required("amount", kind::integer(1_u64, u64::MAX));
    let period = table.required("period", kind::length);
    let burst = if law == Law::FixedWindow {
        let message = "a fixed window has no burst: all of `amount` may come at once";
        table.forbid("burst", message, "not for a fixed window", "leave it out, or use gcra");
        None
    } else {
        table.optional("burst", kind::integer(1_u64, u64::MAX))
    };
    let (amount, period) = (amount?, period?);
    let place = burst.as_ref().map_or(amount.span, |burst| burst.span);
    let burst = burst.map_or(amount.value, |burst| burst.value);
    if period.value.as_nanos() < amount.value {
        let message = format!("{} in {} is more than 1e9 a second", amount.value, period.value);
        let help = Some("no limit is as good as this one");
        table.report().error(amount.span, message, "too fast to count", help);
        return None;
    }
    let refill = u128::from(burst) * u128::from(period.value.as_nanos()) / u128::from(amount.value);
    if u128::from(LONGEST.as_nanos()) < refill {
        let message = format!("a burst of {burst} takes more than 100 years to come back");
        let help = format!("at {} in {}, a smaller burst", amount.value, period.value);
        table.report().error(place, message, "too large", Some(help));
        return None;
    }
    let quota = Quota {
        amount: NonZeroU64::new(amount.value)?,
        period: period.value,
        burst: NonZeroU64::new(burst)?,
    };
    Some((quota, place))
}

fn on_wait(section: &Section<'_>, law: Option<Law>) -> OnWait {
    let delays = section.optional("on_wait", kind::one_of(&[("refuse", false), ("delay", true)], &[]));
    let most = section.optional("max_delay", kind::duration);
    let shapes = matches!(law, None | Some(Law::Gcra | Law::TokenBucket));
    match (delays, most) {
        (Some(delays), _) if delays.value && !shapes => {
            let help = Some("on_wait = \"refuse\", or algorithm = \"gcra\"");
            let message = "only gcra and token-bucket can delay";
            section.report().error(delays.span, message, "cannot delay", help);
            OnWait::Refuse
        }
        (Some(delays), None) if delays.value => {
            let help = Some("add max_delay = \"2s\"");
            section
                .report()
                .error(delays.span, "`max_delay` is missing", "delays by at most what?", help);
            OnWait::Refuse
        }
        (Some(delays), Some(most)) if delays.value => {
            if most.value == Nanos::ZERO {
                let help = Some("a longer one, or on_wait = \"refuse\"");
                let message = "a delay of at most nothing is a refusal";
                section.report().error(most.span, message, "no delay", help);
            }
            OnWait::Delay { most: most.value }
        }
        (_, Some(most)) if Nanos::ZERO < most.value => {
            let help = Some("add on_wait = \"delay\"");
            let message = "`max_delay` has no meaning where a request is refused";
            section.report().error(most.span, message, "nothing is delayed", help);
            OnWait::Refuse
        }
        (_, _) => OnWait::Refuse,
    }
}

fn store(table: &mut Section<'_>, law: Option<Law>) -> Store {
    let is_redis = table.variant(
        "kind",
        kind::one_of(&[("local", false), ("redis", true)], &[]),
        Some(false),
    );
    table.not_built_yet("lease");
    if is_redis != Some(true) {
        return Store::Local;
    }
    if matches!(
        law,
        Some(Law::Permits | Law::Aimd | Law::Vegas | Law::Gradient | Law::EnvoyGradient)
    ) {
        let message = "permits in Redis are not built yet";
        table.report().error(
            table.span(),
            message,
            "not built yet",
            Some("store = { kind = \"local\" }"),
        );
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

fn output_default(section: &Section<'_>, unit: Unit) -> u32 {
    const DEFAULT: u32 = 512;
    if !matches!(unit, Unit::Tokens | Unit::OutputTokens) {
        let message = "nothing is estimated for this unit";
        let help = "leave it out, or count \"tokens\" or \"output-tokens\"";
        section.forbid("estimate", message, "no meaning here", help);
        return DEFAULT;
    }
    let table = section.table_or_empty("estimate");
    table.optional("learn", |value: &Value<'_>| {
        if kind::boolean(value)? {
            return Err(later("learning the estimate", "learn = false, or leave it out"));
        }
        Ok(())
    });
    table.or("output_default", kind::integer(1_u32, 1 << 24), DEFAULT)
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
