//! `[[pool]]`

use alloc::string::String;
use core::num::NonZeroU32;

use super::tenant::{later, named};
use super::{endpoint, raw};
use crate::file::kind::{self, Wrong};
use crate::file::{At, Section, Value};
use crate::policy::{Balance, BalanceKind, BreakerKind, LoadKind, Pool, Probe, QueueShape, Ties, Window};
use crate::time::Nanos;

pub(super) fn read(section: &Section<'_>) -> raw::Pool {
    let name = named(section);
    let (balance, choices) = balance(&mut section.table_or_empty("balance"));
    section.optional("slow_start", |value: &Value<'_>| match kind::duration(value)? {
        Nanos::ZERO => Ok(()),
        _ => Err(later("slow start", "slow_start = \"0s\", or leave it out")),
    });
    section.not_built_yet("codel");
    let endpoints = section.tables("endpoint", super::ENDPOINTS);
    if endpoints.is_empty() {
        let help = Some("add [[pool.endpoint]] below it");
        section
            .report()
            .error(name.span, "this pool has no endpoint", "empty", help);
    }
    raw::Pool {
        checked: Pool {
            name: name.value,
            endpoints: 0..0,
            balance,
            breaker: breaker(&mut section.table_or_empty("health")),
            panic_below: single(section.or("panic_below", kind::share, 0.5)),
            probe: section.table("probe").as_ref().map(probe),
            queue: queue(&section.table_or_empty("queue")),
        },
        name: name.span,
        choices,
        endpoints: endpoints.iter().map(endpoint::read).collect(),
    }
}

fn balance(table: &mut Section<'_>) -> (Balance, Option<At<u32>>) {
    let kind = table.variant("kind", kind::one_of(BALANCERS, LATER_BALANCERS), Some(P2C));
    let mut balance = Balance {
        kind: kind.unwrap_or(P2C),
        load: LoadKind::InFlight,
        ties: Ties::Random,
    };
    let mut choices = None;
    match balance.kind {
        BalanceKind::RoundRobin | BalanceKind::Random => {}
        BalanceKind::LeastInFlight => {
            let loads = kind::one_of(&[("in-flight", ())], &["token-backlog"]);
            table.optional("load", loads);
            balance.ties = ties(table);
        }
        BalanceKind::P2c { .. } => {
            choices = table.optional("choices", kind::integer(2_u32, 64));
            if let Some(n) = choices.as_ref().and_then(|choices| NonZeroU32::new(choices.value)) {
                balance.kind = BalanceKind::P2c { choices: n };
            }
            balance.load = load(table);
            balance.ties = ties(table);
        }
    }
    (balance, choices)
}

const P2C: BalanceKind = BalanceKind::P2c {
    choices: NonZeroU32::MIN.saturating_add(1),
};

const BALANCERS: &[(&str, BalanceKind)] = &[
    ("round-robin", BalanceKind::RoundRobin),
    ("random", BalanceKind::Random),
    ("least-in-flight", BalanceKind::LeastInFlight),
    ("p2c", P2C),
];

const LATER_BALANCERS: &[&str] = &[
    "weighted-round-robin",
    "weighted-random",
    "least-latency",
    "weighted-p2c",
    "least-time",
    "score",
    "shortest-expected-delay",
    "ring-hash",
    "rendezvous",
    "prequal",
    "c3",
    "cost",
];

fn load(table: &Section<'_>) -> LoadKind {
    let loads = kind::one_of(&[("in-flight", false), ("peak-ewma", true)], &["token-backlog"]);
    if !table.or("load", loads, true) {
        return LoadKind::InFlight;
    }
    LoadKind::PeakEwma {
        decay: table.or("decay", kind::length, Nanos::from_secs(10)),
    }
}

fn ties(table: &Section<'_>) -> Ties {
    let words = &[("random", Ties::Random), ("first", Ties::First)];
    table.or("ties", kind::one_of(words, &[]), Ties::Random)
}

#[derive(Clone, Copy)]
enum Health {
    Off,
    Consecutive,
    ErrorRate,
}

fn breaker(table: &mut Section<'_>) -> BreakerKind {
    let words = &[
        ("off", Health::Off),
        ("consecutive", Health::Consecutive),
        ("error-rate", Health::ErrorRate),
    ];
    let kind = kind::one_of(words, &["max-fails", "outlier"]);
    match table.variant("kind", kind, Some(Health::ErrorRate)) {
        None | Some(Health::Off) => BreakerKind::Off,
        Some(Health::Consecutive) => BreakerKind::Consecutive {
            failures: count(table, "failures", 5),
            open: table.or("open", kind::length, Nanos::from_secs(30)),
            probes: count(table, "probes", 1),
        },
        Some(Health::ErrorRate) => error_rate(table),
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

fn probe(table: &Section<'_>) -> Probe {
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
fn period(value: &Value<'_>) -> Result<Nanos, Wrong> {
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

fn queue(table: &Section<'_>) -> QueueShape {
    let later = &["lifo", "adaptive-lifo", "priority", "deadline", "deficit", "vtc"];
    table.optional("order", kind::one_of(&[("fifo", ())], later));
    QueueShape {
        length: table.or("length", kind::integer(0_u32, 1_000_000), 100),
        wait: table.or("wait", kind::length, Nanos::from_secs(10)),
    }
}

fn count(table: &Section<'_>, key: &'static str, default: u32) -> NonZeroU32 {
    let count = table.or(key, kind::integer(1_u32, 1_000_000), default);
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share, read by people, to seven digits"
)]
fn single(share: f64) -> f32 {
    // A share above 0 must not become 0.
    (share as f32).max(if 0.0 < share { f32::MIN_POSITIVE } else { 0.0 })
}
