//! `balance` of a pool

use alloc::format;
use core::num::NonZeroU32;

use super::raw;
use crate::balance::WeightedP2c;
use crate::file::kind;
use crate::file::{At, Report, Section, Span};
use crate::policy::{Balance, BalanceKind, LoadKind, Ties, Until};
use crate::time::Nanos;

/// What a table says, and the places that something may have to be said about.
pub(super) struct Read {
    pub(super) checked: Balance,
    pub(super) choices: Option<At<u32>>,
    /// The table, if it is a score.
    pub(super) score: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    RoundRobin,
    WeightedRoundRobin,
    Random,
    WeightedRandom,
    LeastInFlight,
    P2c,
    WeightedP2c,
    LeastTime,
    LeastLatency,
    Score,
    ShortestExpectedDelay,
}

const BALANCERS: &[(&str, Word)] = &[
    ("round-robin", Word::RoundRobin),
    ("weighted-round-robin", Word::WeightedRoundRobin),
    ("random", Word::Random),
    ("weighted-random", Word::WeightedRandom),
    ("least-in-flight", Word::LeastInFlight),
    ("p2c", Word::P2c),
    ("weighted-p2c", Word::WeightedP2c),
    ("least-time", Word::LeastTime),
    ("least-latency", Word::LeastLatency),
    ("score", Word::Score),
    ("shortest-expected-delay", Word::ShortestExpectedDelay),
];

const LATER_BALANCERS: &[&str] = &["ring-hash", "rendezvous", "prequal", "c3", "cost"];

pub(super) fn read(table: &mut Section<'_>) -> Read {
    let word = table.variant("kind", kind::one_of(BALANCERS, LATER_BALANCERS), Some(Word::P2c));
    let word = word.unwrap_or(Word::P2c);
    let choices = match word {
        Word::P2c => table.optional("choices", kind::integer(2_u32, 64)),
        Word::WeightedP2c => table.optional("choices", kind::integer(2_u32, WeightedP2c::MOST_CHOICES)),
        Word::RoundRobin
        | Word::WeightedRoundRobin
        | Word::Random
        | Word::WeightedRandom
        | Word::LeastInFlight
        | Word::LeastTime
        | Word::LeastLatency
        | Word::Score
        | Word::ShortestExpectedDelay => None,
    };
    let two = NonZeroU32::MIN.saturating_add(1);
    let n_choices = choices.as_ref().and_then(|at| NonZeroU32::new(at.value)).unwrap_or(two);
    let kind = match word {
        Word::RoundRobin => BalanceKind::RoundRobin,
        Word::WeightedRoundRobin => BalanceKind::WeightedRoundRobin {
            max_fails: table.or("max_fails", kind::integer(0_u32, 1_000_000), 1),
        },
        Word::Random => BalanceKind::Random,
        Word::WeightedRandom => BalanceKind::WeightedRandom,
        Word::P2c => BalanceKind::P2c { choices: n_choices },
        Word::WeightedP2c => BalanceKind::WeightedP2c { choices: n_choices },
        Word::LeastInFlight | Word::LeastTime | Word::LeastLatency | Word::Score | Word::ShortestExpectedDelay => {
            BalanceKind::Least
        }
    };
    let load = load(table, word);
    let (ties, staleness) = if kind.compares() {
        (ties(table), table.or("staleness", kind::duration, Nanos::ZERO))
    } else {
        (Ties::Random, Nanos::ZERO)
    };
    Read {
        checked: Balance {
            kind,
            load,
            ties,
            staleness,
        },
        choices,
        score: (word == Word::Score).then(|| table.span()),
    }
}

/// What a balancer of this `word` compares.
fn load(table: &Section<'_>, word: Word) -> LoadKind {
    match word {
        Word::RoundRobin | Word::WeightedRoundRobin | Word::Random | Word::WeightedRandom => LoadKind::InFlight,
        Word::LeastInFlight => {
            let loads = &[
                ("in-flight", LoadKind::InFlightPerWeight),
                ("token-backlog", LoadKind::TokenBacklog),
            ];
            table.or("load", kind::one_of(loads, &[]), LoadKind::InFlightPerWeight)
        }
        Word::P2c | Word::WeightedP2c => {
            const PEAK: LoadKind = LoadKind::PeakEwma { decay: Nanos::ZERO };
            let loads = &[
                ("in-flight", LoadKind::InFlight),
                ("peak-ewma", PEAK),
                ("token-backlog", LoadKind::TokenBacklog),
                ("expected-delay", LoadKind::ExpectedDelay),
            ];
            match table.or("load", kind::one_of(loads, &[]), PEAK) {
                LoadKind::PeakEwma { .. } => LoadKind::PeakEwma {
                    decay: table.or("decay", kind::length, Nanos::from_secs(10)),
                },
                load @ (LoadKind::InFlight
                | LoadKind::InFlightPerWeight
                | LoadKind::ExpectedDelay
                | LoadKind::TokenBacklog
                | LoadKind::Latency
                | LoadKind::Time { .. }
                | LoadKind::Score { .. }) => load,
            }
        }
        Word::LeastTime => {
            let times = &[("first-token", Until::FirstToken), ("last-token", Until::LastToken)];
            LoadKind::Time {
                until: table.or("until", kind::one_of(times, &[]), Until::FirstToken),
                in_flight: table.or("in_flight", kind::boolean, false),
            }
        }
        Word::LeastLatency => LoadKind::Latency,
        Word::Score => LoadKind::Score {
            rtt: table.or("rtt", kind::not_negative(1e6), 0.6),
            load: table.or("load", kind::not_negative(1e6), 0.4),
        },
        Word::ShortestExpectedDelay => LoadKind::ExpectedDelay,
    }
}

fn ties(table: &Section<'_>) -> Ties {
    let words = &[("random", Ties::Random), ("first", Ties::First)];
    table.or("ties", kind::one_of(words, &[]), Ties::Random)
}

/// What can be said of a pool's balance only beside its endpoints.
pub(super) fn check(pool: &raw::Pool, report: &Report) {
    choices(pool, report);
    weights(pool, report);
    score(pool, report);
}

fn choices(pool: &raw::Pool, report: &Report) {
    let n_endpoints = pool.endpoints.len();
    let Some(choices) = &pool.choices else {
        return;
    };
    if n_endpoints < usize::try_from(choices.value).unwrap_or(usize::MAX) {
        let message = format!(
            "{} choices among {n_endpoints} endpoints are all of them",
            choices.value
        );
        let help = Some("kind = \"least-in-flight\" says the same");
        report.warn(choices.span, message, "more than there are", help);
    }
}

/// Weights that nobody looks at.
fn weights(pool: &raw::Pool, report: &Report) {
    if pool.checked.balance.has_weights() {
        return;
    }
    let first = pool.endpoints.first().map(|endpoint| endpoint.checked.weight);
    let differs = pool.endpoints.iter().find(|raw| Some(raw.checked.weight) != first);
    let span = differs.and_then(|raw| raw.weight.or(pool.endpoints[0].weight));
    if let Some(span) = span {
        let message = format!("the balancer of pool `{}` does not look at weights", pool.checked.name);
        let help = Some(
            "\"weighted-round-robin\", \"weighted-random\", \"weighted-p2c\", \"least-in-flight\", \"least-time\" and \"shortest-expected-delay\" do",
        );
        report.warn(span, message, "makes no difference", help);
    }
}

/// A score whose terms do not weigh what they seem to.
fn score(pool: &raw::Pool, report: &Report) {
    /// A first token of a language model, soon, in milliseconds.
    const SOON: f64 = 100.0;
    /// A difference in load that is hardly one.
    const HARDLY: f64 = 0.05;
    let (Some(span), LoadKind::Score { rtt, load }) = (pool.score, pool.checked.balance.load) else {
        return;
    };
    let left = rtt / (SOON + 1.0);
    if left < load * HARDLY {
        let message =
            format!("a first token after 100 ms leaves {left:.4} of the {rtt} that latency may add to a score");
        let help = Some("\"least-in-flight\" does the same for less; \"least-time\" goes by latency");
        report.warn(span, message, "at such latencies load alone decides", help);
    }
    let unbounded = pool.endpoints.iter().find(|raw| raw.checked.max_in_flight.is_none());
    if let Some(endpoint) = unbounded {
        let message = format!(
            "a score counts endpoint `{}`, which has no `max_in_flight`, as empty",
            endpoint.checked.name
        );
        report.warn(
            endpoint.name,
            message,
            "its load is always 0",
            Some("give it a `max_in_flight`"),
        );
    }
}
