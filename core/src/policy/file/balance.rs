//! `balance` of a pool

use core::num::NonZeroU32;

use crate::file::kind;
use crate::file::{At, Section};
use crate::policy::{Balance, BalanceKind, LoadKind, Ties};
use crate::time::Nanos;

pub(super) fn read(table: &mut Section<'_>) -> (Balance, Option<At<u32>>) {
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
