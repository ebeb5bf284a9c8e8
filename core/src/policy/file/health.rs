//! `health` and `probe` of a pool

use alloc::string::String;
use core::num::NonZeroU32;

use super::outlier;
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value};
use crate::policy::{BreakerKind, Probe, Window};
use crate::time::Nanos;

#[derive(Clone, Copy)]
enum Health {
    Off,
    Consecutive,
    ErrorRate,
    MaxFails,
    Outlier,
}

pub(super) fn read(table: &mut Section<'_>) -> BreakerKind {
    let words = &[
        ("off", Health::Off),
        ("consecutive", Health::Consecutive),
        ("error-rate", Health::ErrorRate),
        ("max-fails", Health::MaxFails),
        ("outlier", Health::Outlier),
    ];
    let kind = kind::one_of(words, &[]);
    match table.variant("kind", kind, Some(Health::ErrorRate)) {
        None | Some(Health::Off) => BreakerKind::Off,
        Some(Health::Consecutive) => BreakerKind::Consecutive {
            failures: count(table, "failures", 5),
            open: table.or("open", kind::length, Nanos::from_secs(30)),
            probes: count(table, "probes", 1),
        },
        Some(Health::ErrorRate) => error_rate(table),
        Some(Health::Outlier) => BreakerKind::Outlier(outlier::read(table)),
        Some(Health::MaxFails) => BreakerKind::MaxFails {
            max_fails: count(table, "max_fails", 1),
            fail_timeout: table.or("fail_timeout", kind::length, Nanos::from_secs(10)),
        },
    }
}

fn error_rate(table: &Section<'_>) -> BreakerKind {
    let window = table.optional("window", window);
    let min_requests = count(table, "min_requests", 20);
    if let Some(window) = &window
        && let Window::Count(most) = window.value
        && most < min_requests
    {
        let message =
            alloc::format!("a window of {most} attempts never holds `min_requests`, which are {min_requests}");
        let help = Some("a larger window, or fewer requests");
        table.report().error(window.span, message, "never trips", help);
    }
    BreakerKind::ErrorRate {
        share: single(table.or("share", kind::share_above_0, 0.5)),
        window: window.map_or(Window::Time(Nanos::from_secs(30)), |window| window.value),
        min_requests,
        open: table.or("open", kind::length, Nanos::from_secs(30)),
        probes: count(table, "probes", 1),
    }
}

fn window(value: &Value<'_>) -> Result<Window, Wrong> {
    if value.toml().is_integer() {
        let count = kind::integer(1_u32, 65_536)(value)?;
        return Ok(Window::Count(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)));
    }
    let wrong = || Wrong::expected("a duration such as \"30s\", or a number of attempts such as 100");
    kind::length(value).map(Window::Time).map_err(|_| wrong())
}

pub(super) fn probe(table: &Section<'_>) -> Probe {
    let every = table.optional("every", period);
    let timeout = table.optional("timeout", kind::length);
    let probe = Probe {
        path: table.or("path", path, String::from("/health")),
        every: every.map_or(Nanos::from_secs(10), |at| at.value),
        timeout: timeout.as_ref().map_or(Nanos::from_secs(2), |at| at.value),
        rise: count(table, "rise", 2),
        fall: count(table, "fall", 3),
    };
    if let Some(timeout) = timeout
        && probe.every < timeout.value
    {
        let message = alloc::format!("a check may take longer than the {} to the next", probe.every);
        table
            .report()
            .warn(timeout.span, message, "longer than `every`", None::<&str>);
    }
    probe
}

/// How often something may be done of its own accord: a typing error must not become a million checks a second.
pub(super) fn period(value: &Value<'_>) -> Result<Nanos, Wrong> {
    const LEAST: Nanos = Nanos::from_millis(1);
    match kind::length(value)? {
        length if length < LEAST => Err(Wrong::expected("a duration of at least 1ms")),
        length => Ok(length),
    }
}

fn path(value: &Value<'_>) -> Result<String, Wrong> {
    let text = kind::name(value)?;
    let is_path = text.starts_with('/') && !text.contains(char::is_whitespace);
    if is_path {
        Ok(text)
    } else {
        Err(Wrong::expected("a path that begins with `/`"))
    }
}

pub(super) fn count(table: &Section<'_>, key: &'static str, default: u32) -> NonZeroU32 {
    let count = table.or(key, kind::integer(1_u32, 1_000_000), default);
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share, read by people, to seven digits"
)]
pub(super) fn single(share: f64) -> f32 {
    // A share above 0 must not become 0.
    (share as f32).max(if 0.0 < share { f32::MIN_POSITIVE } else { 0.0 })
}
