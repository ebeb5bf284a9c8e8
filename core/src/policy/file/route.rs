//! `[[route]]`

use alloc::string::String;
use alloc::vec::Vec;

use super::tenant::named;
use super::{adjust, matching, raw};
use crate::fault::{Fault, FaultSet};
use crate::file::kind::{self, Wrong};
use crate::file::{At, Section, Value};
use crate::policy::{
    Backoff, Budget, Hedge, HedgeAfter, Jitter, Retry, RetryBudget, RetryConcurrency, Route, Slo, Timeouts,
};
use crate::time::Nanos;

pub(super) fn read(section: &Section<'_>) -> raw::Route {
    let name = named(section);
    let (matches, tenants) = matching::read(section, "match");
    section.not_built_yet("degrade");
    let pools = section.list("pools", super::POOLS, kind::name);
    match &pools {
        Some(pools) if pools.is_empty() => {
            section.report().error(
                name.span,
                "this route has no pool",
                "goes nowhere",
                Some("pools = [\"NAME\"]"),
            );
        }
        None if !section.has("pools") => section.missing("pools"),
        Some(_) | None => {}
    }
    let retry = retry(&section.table_or_empty("retry"));
    let hedge = section.table("hedge").map(|table| hedge(&table, &retry));
    let checked = Route {
        name: name.value,
        matches,
        pools: Vec::new(),
        split: None,
        require_region: None,
        request: adjust::adjustment(section),
        headers: adjust::stages(section),
        timeouts: timeouts(&section.table_or_empty("timeouts")),
        retry,
        hedge,
        cancel_on_abandon: section.or("cancel_on_abandon", kind::boolean, true),
        slo: slo(&section.table_or_empty("slo")),
    };
    raw::Route {
        checked,
        name: name.span,
        pools: pools.unwrap_or_default(),
        split: section.table("split").as_ref().map(split),
        require_region: section.optional("require_region", kind::name),
        tenants,
    }
}

/// A weight per pool. A pool that is only a fallback is left out, so a weight of nothing is a mistake.
fn split(table: &Section<'_>) -> raw::Split {
    const MOST: u32 = 1_000_000;
    let entries = table.entries();
    if entries.is_empty() {
        let help = Some("split = { NAME = 9, OTHER = 1 }");
        table
            .report()
            .error(table.span(), "this split has no pool", "splits nothing", help);
    }
    let weight = |(pool, value): &(At<&str>, Value<'_>)| {
        let pool = At {
            value: String::from(pool.value),
            span: pool.span,
        };
        let weight = value.read(|value| {
            kind::integer(1_u32, MOST)(value).map_err(|wrong| match value.toml().as_integer() {
                Some(number) if number.as_str() == "0" => wrong.help("a pool that is only a fallback is left out"),
                Some(_) | None => wrong,
            })
        });
        weight.map(|weight| (pool, weight.value))
    };
    entries.iter().filter_map(weight).collect()
}

fn timeouts(table: &Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let total = table.or("total", kind::length_or_none, default.total);
    let part = |key, default| {
        let at = table.optional(key, kind::length_or_none);
        if let Some(at) = &at
            && total < at.value
            && !at.value.is_forever()
        {
            let message = alloc::format!("`{key}` never comes: the request ends after {total}");
            table
                .report()
                .warn(at.span, message, "longer than `total`", None::<&str>);
        }
        at.map_or(default, |at| at.value)
    };
    Timeouts {
        connect: part("connect", default.connect),
        ttft: part("ttft", default.ttft),
        idle: part("idle", default.idle),
        total,
    }
}

fn slo(table: &Section<'_>) -> Slo {
    let target = |key| table.or(key, kind::length_or_none, Nanos::FOREVER);
    Slo {
        ttft: target("ttft"),
        tpot: target("tpot"),
        e2e: target("e2e"),
    }
}

fn retry(table: &Section<'_>) -> Retry {
    let on = table.list("on", super::WORDS, fault);
    let on = on.map(|faults| faults.iter().fold(FaultSet::NONE, |set, fault| set.with(fault.value)));
    Retry {
        max_attempts: table.or("max_attempts", kind::integer(1_u8, 16), 3),
        on: on.unwrap_or(DEFAULT_ON),
        budget: budget(table),
        backoff: backoff(&table.table_or_empty("backoff")),
    }
}

/// A broken stream is not among them: it can only be retried before its first token.
const DEFAULT_ON: FaultSet = FaultSet::NONE
    .with(Fault::Connect)
    .with(Fault::NoConnection)
    .with(Fault::Timeout)
    .with(Fault::RateLimited)
    .with(Fault::Overloaded)
    .with(Fault::Server);

fn fault(value: &Value<'_>) -> Result<Fault, Wrong> {
    const WORDS: &[(&str, Fault)] = &[
        ("connect", Fault::Connect),
        ("no-connection", Fault::NoConnection),
        ("timeout", Fault::Timeout),
        ("rate-limited", Fault::RateLimited),
        ("overloaded", Fault::Overloaded),
        ("server", Fault::Server),
        ("stream", Fault::Stream),
    ];
    let text = value.toml().as_str();
    let never = [Fault::Client, Fault::QuotaExhausted, Fault::Credential];
    if let Some(fault) = never.iter().find(|fault| text == Some(fault.name())) {
        let message = alloc::format!("\"{}\" is never retried: it would fail again", fault.name());
        return Err(Wrong::said(message, "never retried").help("leave it out"));
    }
    kind::one_of(WORDS, &[])(value)
}

#[derive(Clone, Copy)]
enum Form {
    Ratio,
    Concurrency,
}

fn budget(retry: &Section<'_>) -> Option<Budget> {
    const FORMS: &[(&str, Form)] = &[("ratio", Form::Ratio), ("concurrency", Form::Concurrency)];
    let is_off = |value: Value<'_>| value.toml().as_str() == Some("none");
    if retry.value("budget").is_some_and(is_off) {
        return None;
    }
    let mut table = retry.table_or_empty("budget");
    let form = table.variant("kind", kind::one_of(FORMS, &[]), Some(Form::Ratio));
    Some(match form? {
        Form::Ratio => Budget::Ratio(RetryBudget {
            ratio: table.or("ratio", kind::positive(100.0), 0.2),
            floor_per_sec: table.or("floor", rate, 10.0),
            ttl: Nanos::from_secs(10),
        }),
        Form::Concurrency => Budget::Concurrency(RetryConcurrency {
            ratio: table.or("ratio", kind::share_above_0, 0.2),
            floor: table.or("floor", retries, 3),
        }),
    })
}

/// The floor of a ratio; that of a concurrency is a number.
fn rate(value: &Value<'_>) -> Result<f64, Wrong> {
    kind::rate(value).map_err(|wrong| match value.toml().as_integer() {
        Some(_) => wrong.help("a floor of retries in flight belongs to `kind = \"concurrency\"`"),
        None => wrong,
    })
}

/// The floor of a concurrency; that of a ratio is a rate.
fn retries(value: &Value<'_>) -> Result<u32, Wrong> {
    const MOST: u32 = 1_000_000;
    kind::integer(0_u32, MOST)(value).map_err(|wrong| match kind::rate(value) {
        Ok(_) => wrong.help("so many retries in flight, not a second: a rate belongs to `kind = \"ratio\"`"),
        Err(_) => wrong,
    })
}

fn backoff(table: &Section<'_>) -> Backoff {
    let words = &[
        ("full", Jitter::Full),
        ("decorrelated", Jitter::Decorrelated),
        ("none", Jitter::None),
    ];
    let base = table.optional("base", kind::duration);
    let max = table.optional("max", kind::duration);
    let backoff = Backoff {
        base: base.as_ref().map_or(Nanos::from_millis(200), |at| at.value),
        max: max.as_ref().map_or(Nanos::from_secs(5), |at| at.value),
        jitter: table.or("jitter", kind::one_of(words, &[]), Jitter::Full),
    };
    if let Some(at) = base.or(max)
        && backoff.max < backoff.base
    {
        let message = alloc::format!(
            "the first delay, {}, is above the longest, {}",
            backoff.base,
            backoff.max
        );
        table.report().error(
            at.span,
            message,
            "`base` is above `max`",
            Some("a smaller `base` or a larger `max`"),
        );
    }
    backoff
}

fn hedge(table: &Section<'_>, retry: &Retry) -> Hedge {
    if retry.max_attempts == 1 {
        let message = "no hedge is ever launched: `retry.max_attempts` is 1, and counts hedges too";
        table
            .report()
            .warn(table.span(), message, "never launched", Some("max_attempts = 2"));
    }
    Hedge {
        after: table.or("after", hedge_after, HedgeAfter::Quantile(0.95)),
        max: table.or("max", kind::integer(1_u8, 15), 1),
        budget: table.or("budget", kind::share_above_0, 0.05),
    }
}

fn hedge_after(value: &Value<'_>) -> Result<HedgeAfter, Wrong> {
    let text = value.toml().as_str();
    if let Some(digits) = text.and_then(|text| text.strip_prefix('p')) {
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = digits.parse::<f64>().ok().filter(|_| is_plain);
        let quantile = percent.map(|percent| percent / 100.0);
        let quantile = quantile.filter(|quantile| 0.0 < *quantile && *quantile < 1.0);
        let wrong = || Wrong::expected("a quantile above p0 and below p100, such as \"p95\"");
        return quantile.map(HedgeAfter::Quantile).ok_or_else(wrong);
    }
    let wrong = || Wrong::expected("a duration such as \"800ms\", or a quantile such as \"p95\"");
    kind::length(value).map(HedgeAfter::Delay).map_err(|_| wrong())
}
