//! The algorithm of a `[[limit]]`: its numbers, its unit, and whether it delays.

use alloc::format;
use core::num::{NonZeroU32, NonZeroU64};

use super::adaptive;
use crate::file::kind::{self, LONGEST, Wrong};
use crate::file::{Section, Span, Value};
use crate::limit::{SegmentedWindow, SlidingLog};
use crate::policy::{AdaptiveKind, Algorithm, OnWait, Quota};
use crate::time::Nanos;
use crate::usage::Unit;

/// Which algorithm, before its numbers are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    Gcra,
    TokenBucket,
    LeakyBucket,
    FixedWindow,
    SegmentedWindow,
    SlidingLog,
    SlidingWindow,
    Permits,
    Adaptive(AdaptiveKind),
}

const LAWS: &[(&str, Law)] = &[
    ("gcra", Law::Gcra),
    ("token-bucket", Law::TokenBucket),
    ("leaky-bucket", Law::LeakyBucket),
    ("fixed-window", Law::FixedWindow),
    ("segmented-window", Law::SegmentedWindow),
    ("sliding-log", Law::SlidingLog),
    ("sliding-window", Law::SlidingWindow),
    ("permits", Law::Permits),
    ("aimd", Law::Adaptive(AdaptiveKind::Aimd)),
    ("vegas", Law::Adaptive(AdaptiveKind::Vegas)),
    ("gradient", Law::Adaptive(AdaptiveKind::Gradient)),
    ("envoy-gradient", Law::Adaptive(AdaptiveKind::EnvoyGradient)),
];

impl Law {
    /// What it counts by, if it counts windows: then it has no burst.
    const fn window(self) -> Option<&'static str> {
        match self {
            Law::FixedWindow => Some("a fixed window"),
            Law::SegmentedWindow => Some("a segmented window"),
            Law::SlidingLog => Some("a sliding log"),
            Law::SlidingWindow => Some("a sliding window"),
            Law::Gcra | Law::TokenBucket | Law::LeakyBucket | Law::Permits | Law::Adaptive(_) => None,
        }
    }
}

pub(super) fn which(section: &mut Section<'_>) -> Option<Law> {
    section.variant("algorithm", kind::one_of(LAWS, &[]), Some(Law::Gcra))
}

pub(super) fn unit(section: &Section<'_>, law: Option<Law>) -> Unit {
    let units: &[(&str, Unit)] = &[
        ("requests", Unit::Requests),
        ("tokens", Unit::Tokens),
        ("input-tokens", Unit::InputTokens),
        ("output-tokens", Unit::OutputTokens),
        ("micro-usd", Unit::MicroUsd),
        ("in-flight", Unit::InFlight),
    ];
    let are_permits = law == Some(Law::Permits);
    let adapts = matches!(law, Some(Law::Adaptive(_)));
    let default = if are_permits || adapts {
        Unit::InFlight
    } else {
        Unit::Requests
    };
    section.or(
        "unit",
        |value: &Value<'_>| {
            let unit = kind::one_of(units, &[])(value)?;
            match unit {
                Unit::Requests | Unit::MicroUsd if are_permits => Err(Wrong::said(
                    "permits count what is in flight: requests, or their tokens",
                    "not for permits",
                )
                .help("unit = \"in-flight\", a unit of tokens, or another algorithm")),
                Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::MicroUsd if adapts => {
                    Err(Wrong::said(
                        "an adaptive limit counts requests in flight, and nothing else",
                        "not for an adaptive limit",
                    )
                    .help("unit = \"in-flight\", or another algorithm"))
                }
                Unit::InFlight if law.is_some() && !are_permits && !adapts => Err(Wrong::said(
                    "only permits and adaptive limits count requests in flight",
                    "not for a quota",
                )
                .help("algorithm = \"permits\", or another unit")),
                Unit::Requests
                | Unit::Tokens
                | Unit::InputTokens
                | Unit::OutputTokens
                | Unit::MicroUsd
                | Unit::InFlight => Ok(unit),
            }
        },
        default,
    )
}

/// The algorithm with its numbers, and where its burst stands.
pub(super) fn algorithm(section: &Section<'_>, law: Option<Law>) -> (Algorithm, Span) {
    // After an error, what no further check finds fault with.
    let nothing = Algorithm::Permits(NonZeroU32::MAX);
    let Some(law) = law else {
        return (nothing, section.span());
    };
    let segments = segments(section, law);
    if let Law::Adaptive(kind) = law {
        return (
            Algorithm::Adaptive(kind, adaptive::bounds(section, kind)),
            section.span(),
        );
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
        Law::Gcra | Law::Permits | Law::Adaptive(_) => Algorithm::Gcra(quota),
        Law::TokenBucket => Algorithm::TokenBucket(quota),
        Law::LeakyBucket => Algorithm::LeakyBucket(quota),
        Law::FixedWindow => Algorithm::FixedWindow(quota),
        Law::SegmentedWindow => Algorithm::SegmentedWindow { quota, segments },
        Law::SlidingLog => Algorithm::SlidingLog(quota),
        Law::SlidingWindow => Algorithm::SlidingWindow(quota),
    };
    (algorithm, burst)
}

fn segments(section: &Section<'_>, law: Law) -> NonZeroU32 {
    if law != Law::SegmentedWindow {
        let help = "leave it out, or algorithm = \"segmented-window\"";
        section.forbid(
            "segments",
            "only a segmented window has segments",
            "no meaning here",
            help,
        );
        return NonZeroU32::MIN;
    }
    let segments = section.required("segments", kind::integer(1_u32, SegmentedWindow::MOST));
    let segments = segments.and_then(|segments| NonZeroU32::new(segments.value));
    segments.unwrap_or(NonZeroU32::MIN)
}

fn quota(table: &Section<'_>, law: Law) -> Option<(Quota, Span)> {
    let amount = table.required("amount", kind::integer(1_u64, u64::MAX));
    let period = table.required("period", kind::length);
    let burst = match law.window() {
        Some(window) => {
            let message = format!("{window} has no burst: all of `amount` may come at once");
            let label = format!("not for {window}");
            table.forbid("burst", &message, &label, "leave it out, or use gcra");
            None
        }
        None => table.optional("burst", kind::integer(1_u64, u64::MAX)),
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
    if law == Law::SlidingLog && SlidingLog::MOST < amount.value {
        let message = format!("a log of {} entries is too long to keep for each key", amount.value);
        let help = format!(
            "at most {}, or algorithm = \"gcra\", which holds the same rate in one word",
            SlidingLog::MOST
        );
        table.report().error(amount.span, message, "too large", Some(help));
        return None;
    }
    let quota = Quota {
        amount: NonZeroU64::new(amount.value)?,
        period: period.value,
        burst: NonZeroU64::new(burst)?,
    };
    Some((quota, place))
}

/// Warns of logs and windows that may take more memory than a machine has.
pub(super) fn memory(section: &Section<'_>, algorithm: Algorithm, max_keys: u32, place: Span) {
    const MUCH: u64 = 1 << 30;
    let (what, entries) = match algorithm {
        Algorithm::SlidingLog(quota) => ("logs of", quota.amount.get()),
        Algorithm::SegmentedWindow { segments, .. } => ("windows of", u64::from(segments.get())),
        Algorithm::Gcra(_)
        | Algorithm::TokenBucket(_)
        | Algorithm::LeakyBucket(_)
        | Algorithm::FixedWindow(_)
        | Algorithm::SlidingWindow(_)
        | Algorithm::Permits(_)
        | Algorithm::Adaptive(..)
        | Algorithm::Own(_) => return,
    };
    let bytes = entries * SlidingLog::ENTRY * u64::from(max_keys);
    if MUCH < bytes {
        let message = format!(
            "{max_keys} keys with {what} {entries} entries may take {} GiB",
            bytes / MUCH
        );
        let help = Some("a smaller `max_keys`, or algorithm = \"gcra\"");
        section.report().warn(place, message, "much memory", help);
    }
}

pub(super) fn on_wait(section: &Section<'_>, law: Option<Law>, algorithm: Algorithm) -> OnWait {
    let delays = section.optional("on_wait", kind::one_of(&[("refuse", false), ("delay", true)], &[]));
    let most = section.optional("max_delay", kind::duration);
    let shapes = matches!(law, None | Some(Law::Gcra | Law::TokenBucket | Law::LeakyBucket));
    // A leaky bucket's queue is bounded by what it holds; the others must say.
    let drained = (law == Some(Law::LeakyBucket)).then(|| match algorithm {
        Algorithm::LeakyBucket(quota) => drained(quota),
        Algorithm::Gcra(_)
        | Algorithm::TokenBucket(_)
        | Algorithm::FixedWindow(_)
        | Algorithm::SegmentedWindow { .. }
        | Algorithm::SlidingLog(_)
        | Algorithm::SlidingWindow(_)
        | Algorithm::Permits(_)
        | Algorithm::Adaptive(..)
        | Algorithm::Own(_) => Nanos::FOREVER,
    });
    match (delays, most, drained) {
        (Some(delays), _, _) if delays.value && !shapes => {
            let help = Some("on_wait = \"refuse\", or algorithm = \"gcra\"");
            let message = "only gcra, token-bucket and leaky-bucket can delay";
            section.report().error(delays.span, message, "cannot delay", help);
            OnWait::Refuse
        }
        (Some(delays), None, Some(most)) if delays.value => OnWait::Delay { most },
        (Some(delays), None, None) if delays.value => {
            let help = Some("add max_delay = \"2s\"");
            section
                .report()
                .error(delays.span, "`max_delay` is missing", "delays by at most what?", help);
            OnWait::Refuse
        }
        (Some(delays), Some(most), _) if delays.value => {
            if most.value == Nanos::ZERO {
                let help = Some("a longer one, or on_wait = \"refuse\"");
                let message = "a delay of at most nothing is a refusal";
                section.report().error(most.span, message, "no delay", help);
            }
            OnWait::Delay { most: most.value }
        }
        (_, Some(most), _) if Nanos::ZERO < most.value => {
            let help = Some("add on_wait = \"delay\"");
            let message = "`max_delay` has no meaning where a request is refused";
            section.report().error(most.span, message, "nothing is delayed", help);
            OnWait::Refuse
        }
        (_, _, _) => OnWait::Refuse,
    }
}

/// How long a full bucket takes to leak out.
fn drained(quota: Quota) -> Nanos {
    let parts = u128::from(quota.burst.get()) * u128::from(quota.period.as_nanos());
    let nanos = parts.div_ceil(u128::from(quota.amount.get()));
    u64::try_from(nanos).map_or(Nanos::FOREVER, Nanos::from_nanos)
}
