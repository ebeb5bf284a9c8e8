//! What a decision costs: time on this machine, and memory.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant as Clock;

use tollgate_core::id::KeyHash;
use tollgate_core::limit::Limiter;
use tollgate_core::memory::{Keyed, LocalTable};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};

use super::Options;
use super::contender::{Contender, Visit};

/// What a decision costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Nanoseconds of a decision about one key.
    pub(super) one_key: f64,
    /// The same, of many keys asked in turn at random, with finding the key.
    pub(super) many_keys: f64,
    /// Bytes that a key takes at most: its state, and what the state has beside it.
    pub(super) bytes: u64,
}

/// Decisions a round.
const DECISIONS: u32 = 200_000;
const KEYS: u32 = 10_000;

pub(super) fn of(contender: &Contender, options: &Options) -> Cost {
    let cost = contender.visit(&Measure(options));
    Cost {
        bytes: cost.bytes + contender.beside(),
        ..cost
    }
}

struct Measure<'a>(&'a Options);

impl Visit for Measure<'_> {
    type Found = Cost;

    fn visit<L: Limiter>(&self, limiter: &L) -> Cost {
        measure(limiter, self.0.quota, self.0.rounds)
    }
}

/// So many decisions about one key; how many were allowed.
pub(super) struct Decide {
    pub(super) quota: Quota,
    pub(super) decisions: u32,
}

impl Visit for Decide {
    type Found = u32;

    fn visit<L: Limiter>(&self, limiter: &L) -> u32 {
        decide(limiter, self.quota, self.decisions)
    }
}

/// Asks `limiter` for `decisions` units of one key, half again as fast as the quota, and returns how many were allowed.
fn decide<L: Limiter>(limiter: &L, quota: Quota, decisions: u32) -> u32 {
    let gap = gap(quota);
    let (mut state, mut now, mut allowed) = (L::State::default(), Instant::EPOCH, 0);
    for _ in 0..decisions {
        now += gap;
        allowed += u32::from(limiter.take(black_box(&mut state), now, 1).is_allowed());
    }
    allowed
}

fn measure<L: Limiter>(limiter: &L, quota: Quota, rounds: u32) -> Cost {
    let one_key = least(rounds, || decide(limiter, quota, DECISIONS));
    let table = LocalTable::<L::State>::new(NonZeroU32::new(2 * KEYS).expect("not zero"));
    let mut now = Instant::EPOCH;
    let gap = Nanos::from_nanos((gap(quota).as_nanos() / u64::from(KEYS)).max(1));
    let many_keys = least(rounds, || {
        let mut allowed = 0;
        let mut key = 0_u64;
        for _ in 0..DECISIONS {
            now += gap;
            // A full cycle through the keys in no order (Hull and Dobell 1962).
            key = (key * 8_121 + 2_841) % u64::from(KEYS);
            let decision = table.update(
                KeyHash(key + 1),
                |state| limiter.is_idle(state, now),
                |state| limiter.take(state, now, 1),
            );
            allowed += u32::from(decision.0.is_allowed());
        }
        allowed
    });
    Cost {
        one_key,
        many_keys,
        bytes: size_of::<L::State>() as u64,
    }
}

/// Two thirds of what a unit is worth, so that a third of the decisions are refusals.
fn gap(quota: Quota) -> Nanos {
    Nanos::from_nanos((quota.period.as_nanos() / quota.amount.get() * 2 / 3).max(1))
}

/// Nanoseconds of one decision in the fastest of several rounds: what disturbs a round makes it slower.
fn least(rounds: u32, mut round: impl FnMut() -> u32) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..rounds.max(1) {
        let began = Clock::now();
        black_box(round());
        least = least.min(began.elapsed().as_secs_f64());
    }
    least * 1e9 / f64::from(DECISIONS)
}
