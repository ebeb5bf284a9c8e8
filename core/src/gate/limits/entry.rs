//! One limit: its algorithm, the states of its keys, and what a request costs it.

use alloc::boxed::Box;
use core::num::{NonZeroU16, NonZeroU32};

use super::adaptive::{AdaptiveLaw, AdaptiveLimit, with_adaptive_law};
use super::lanes::Lanes;
use super::{Reach, Used};
use crate::dice::Rng;
use crate::id::{KeyHash, Lane};
use crate::limit::{
    Decision, FixedWindow, Gcra, LeakyBucket, Lease, Limiter, Own, Permits, Sample, SegmentedWindow, SlidingLog,
    SlidingWindow, Standing, Taken, TokenBucket,
};
use crate::memory::{Keyed, Memory, Place};
use crate::policy::{Algorithm, Limit, OnOutage, OnWait, Refund, Store};
use crate::time::{Instant, Nanos};
use crate::usage::{Cost, Estimate, Rates, Unit};

pub(super) struct Entry<M: Memory> {
    law: Law<M>,
    unit: Unit,
    refund: Refund,
    pub(super) store: Store,
    /// Output tokens assumed of a request that names no maximum.
    output_default: u32,
    /// Whether what was learned is assumed instead.
    learns: bool,
    /// The most that the limit can ever hold.
    most: Cost,
    /// What each lane has to itself.
    lanes: Lanes<M>,
    /// Most units of a lease, if lanes take any.
    lease: Option<Cost>,
}

/// A limiter and the table of its states: a closed set, so that a decision is a jump.
enum Law<M: Memory> {
    Gcra(Gcra, M::Table<<Gcra as Limiter>::State>),
    TokenBucket(TokenBucket, M::Table<<TokenBucket as Limiter>::State>),
    LeakyBucket(LeakyBucket, M::Table<<LeakyBucket as Limiter>::State>),
    FixedWindow(FixedWindow, M::Table<<FixedWindow as Limiter>::State>),
    SegmentedWindow(SegmentedWindow, M::Table<<SegmentedWindow as Limiter>::State>),
    SlidingLog(SlidingLog, M::Table<<SlidingLog as Limiter>::State>),
    SlidingWindow(SlidingWindow, M::Table<<SlidingWindow as Limiter>::State>),
    Permits(Permits, M::Table<<Permits as Limiter>::State>),
    Own(Own, M::Table<<Own as Limiter>::State>),
    Adaptive(Box<AdaptiveLimit<M>>),
}

/// Runs `$body` with the limiter and table of whichever law it is.
macro_rules! with_law {
    ($law:expr, $limiter:ident, $table:ident => $body:expr) => {
        match $law {
            Law::Gcra($limiter, $table) => $body,
            Law::TokenBucket($limiter, $table) => $body,
            Law::LeakyBucket($limiter, $table) => $body,
            Law::FixedWindow($limiter, $table) => $body,
            Law::SegmentedWindow($limiter, $table) => $body,
            Law::SlidingLog($limiter, $table) => $body,
            Law::SlidingWindow($limiter, $table) => $body,
            Law::Permits($limiter, $table) => $body,
            Law::Own($limiter, $table) => $body,
            Law::Adaptive(adaptive) => with_adaptive_law!(&adaptive.law, $limiter, $table => $body),
        }
    };
}

impl<M: Memory> Entry<M> {
    pub(super) fn new(limit: &Limit, lanes: NonZeroU16) -> Entry<M> {
        let most = match limit.on_wait {
            OnWait::Refuse => Nanos::ZERO,
            OnWait::Delay { most } => most,
        };
        let table = limit.max_keys;
        let law = match limit.algorithm {
            Algorithm::Gcra(quota) => Law::Gcra(Gcra::new(quota, most), M::Table::new(table)),
            Algorithm::TokenBucket(quota) => Law::TokenBucket(TokenBucket::new(quota, most), M::Table::new(table)),
            Algorithm::LeakyBucket(quota) => {
                let bucket = match limit.on_wait {
                    OnWait::Refuse => LeakyBucket::meter(quota),
                    OnWait::Delay { most } => LeakyBucket::shaper(quota, most),
                };
                Law::LeakyBucket(bucket, M::Table::new(table))
            }
            Algorithm::FixedWindow(quota) => Law::FixedWindow(FixedWindow::new(quota), M::Table::new(table)),
            Algorithm::SegmentedWindow { quota, segments } => {
                Law::SegmentedWindow(SegmentedWindow::new(quota, segments), M::Table::new(table))
            }
            Algorithm::SlidingLog(quota) => Law::SlidingLog(SlidingLog::new(quota), M::Table::new(table)),
            Algorithm::SlidingWindow(quota) => Law::SlidingWindow(SlidingWindow::new(quota), M::Table::new(table)),
            Algorithm::Permits(most) => Law::Permits(Permits::new(most), M::Table::new(table)),
            Algorithm::Own(own) => Law::Own(own, M::Table::new(table)),
            Algorithm::Adaptive(kind, bounds) => Law::Adaptive(Box::new(AdaptiveLimit::new(kind, bounds, table))),
        };
        Entry {
            law,
            unit: limit.unit,
            refund: limit.refund,
            store: limit.store,
            output_default: limit.output_default,
            learns: limit.learns(),
            most: limit.algorithm.most(),
            lanes: Lanes::new(lanes, limit.max_keys),
            lease: match limit.store {
                Store::Leased { most } => Some(Cost::from(most.get())),
                Store::Local | Store::Strict { .. } => None,
            },
        }
    }

    #[inline]
    pub(super) fn is_in(&self, reach: Reach) -> bool {
        match reach {
            Reach::Local => self.store.is_local(),
            Reach::Remote => !self.store.is_local(),
            Reach::Fallback => matches!(
                self.store,
                Store::Strict {
                    on_outage: OnOutage::LocalShare,
                    ..
                }
            ),
        }
    }

    /// What the request is charged. What it does not say is assumed, but never more than the limit can hold: a
    /// request is not refused for ever on a guess.
    #[inline]
    pub(super) fn cost<'a>(
        &self,
        estimate: Estimate,
        assumed: Option<NonZeroU32>,
        rates: impl FnOnce() -> &'a [Rates],
    ) -> Cost {
        match self.unit {
            Unit::Requests | Unit::InFlight => 1,
            Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => self.estimated(estimate, assumed, &[]),
            Unit::MicroUsd => self.estimated(estimate, assumed, rates()),
        }
    }

    /// What is charged where it depends on tokens. `assumed` is what was learned of an answer.
    #[inline(never)]
    fn estimated(&self, estimate: Estimate, assumed: Option<NonZeroU32>, rates: &[Rates]) -> Cost {
        let output = match assumed {
            Some(assumed) if self.learns => assumed.get(),
            Some(_) | None => self.output_default,
        };
        let cost = self.unit.cost(estimate.or(output), rates);
        if estimate.output.is_some() {
            return cost;
        }
        let certain = self.unit.cost(estimate.or(0), rates);
        cost.min(self.most).max(certain)
    }

    #[inline]
    pub(super) fn take(&self, lane: Lane, key: KeyHash, now: Instant, cost: Cost) -> (Decision, Place) {
        let (decision, place) = match self.lease {
            Some(most) => self.take_leased(lane, most, key, now, cost),
            None => self.take_exact(key, now, cost),
        };
        if decision.is_allowed() {
            self.lanes.reserve(lane, cost);
        }
        (decision, place)
    }

    #[inline]
    fn take_exact(&self, key: KeyHash, now: Instant, cost: Cost) -> (Decision, Place) {
        with_law!(&self.law, limiter, table => table.update(
            key,
            |state| limiter.is_idle(state, now),
            |state| limiter.take(state, now, cost),
        ))
    }

    /// From the lane's lease; exactly if there is no room for one.
    #[inline]
    fn take_leased(&self, lane: Lane, most: Cost, key: KeyHash, now: Instant, cost: Cost) -> (Decision, Place) {
        let taken = self.lanes.with(lane, key, |lease| {
            if lease.spend(now, cost) {
                return (Decision::Allow { at: now }, Place::Own);
            }
            self.renew(lease, most, key, now, cost)
        });
        taken.unwrap_or_else(|_| self.take_exact(key, now, cost))
    }

    /// Takes what makes the lease one of `most` units again and spends `cost` of them; or, of a cost that is no part of a
    /// lease, all of it from the key. If the key has not as many, what is missing to `cost` beside what is held.
    #[inline(never)]
    fn renew(&self, lease: &mut Lease, most: Cost, key: KeyHash, now: Instant, cost: Cost) -> (Decision, Place) {
        if self.most < cost {
            return (Decision::Never, Place::Own);
        }
        let ended = lease.end(now);
        if ended != 0 {
            self.give_back(key, now, ended);
        }
        let held = lease.units(now);
        let whole = if cost <= most { most - held } else { cost };
        let (decision, taken, place) = self.take_up_to(key, now, cost - held, whole);
        if !decision.is_allowed() {
            return (decision, place);
        }
        match place {
            // The lease has nothing to do with it.
            Place::Own if most < cost && taken == cost => {}
            Place::Own => lease.renew(now, held + taken - cost),
            // The state that keys share is no key's to lease from.
            Place::Overflow => {
                self.undo_exact(key, place, now, Taken { cost: taken, at: now });
                return self.take_exact(key, now, cost);
            }
        }
        (decision, place)
    }

    /// Takes `most` units if they are there at once, and else `least`; says how many it took.
    fn take_up_to(&self, key: KeyHash, now: Instant, least: Cost, most: Cost) -> (Decision, Cost, Place) {
        let ((decision, taken), place) = with_law!(&self.law, limiter, table => table.update(
            key,
            |state| limiter.is_idle(state, now),
            |state| {
                let cost = match limiter.peek(state, now, most) {
                    Decision::Allow { at } if at <= now => most,
                    Decision::Allow { .. } | Decision::Wait { .. } | Decision::Never => least,
                };
                (limiter.take(state, now, cost), cost)
            },
        ));
        (decision, taken, place)
    }

    pub(super) fn peek(&self, lane: Lane, key: KeyHash, now: Instant, cost: Cost) -> Decision {
        let held = match self.lease {
            Some(_) if cost <= self.most => self.lanes.units(lane, key, now),
            Some(_) | None => 0,
        };
        if held != 0 && cost <= held {
            return Decision::Allow { at: now };
        }
        let cost = cost - held;
        with_law!(&self.law, limiter, table => table.read(key, |state| limiter.peek(state, now, cost)))
    }

    pub(super) fn undo(&self, lane: Lane, key: KeyHash, place: Place, now: Instant, taken: Taken) {
        self.lanes.release(lane, taken.cost);
        if !self.put(lane, key, place, now, taken.cost) {
            self.undo_exact(key, place, now, taken);
        }
    }

    fn undo_exact(&self, key: KeyHash, place: Place, now: Instant, taken: Taken) {
        with_law!(&self.law, limiter, table => table.amend(
            key,
            place,
            |state| limiter.is_idle(state, now),
            |state| limiter.undo(state, now, taken),
        ));
    }

    pub(super) fn settle(&self, lane: Lane, key: KeyHash, place: Place, now: Instant, taken: Taken, used: Used) {
        self.lanes.release(lane, taken.cost);
        let used = match self.law {
            // Nothing is in flight any more, whatever was used.
            Law::Permits(..) | Law::Adaptive(_) => 0,
            Law::Gcra(..)
            | Law::TokenBucket(..)
            | Law::LeakyBucket(..)
            | Law::FixedWindow(..)
            | Law::SegmentedWindow(..)
            | Law::SlidingLog(..)
            | Law::SlidingWindow(..)
            | Law::Own(..) => self.used(taken, used),
        };
        if used == taken.cost || used < taken.cost && self.put(lane, key, place, now, taken.cost - used) {
            return;
        }
        self.settle_exact(key, place, now, taken, used);
    }

    fn settle_exact(&self, key: KeyHash, place: Place, now: Instant, taken: Taken, used: Cost) {
        with_law!(&self.law, limiter, table => table.amend(
            key,
            place,
            |state| limiter.is_idle(state, now),
            |state| limiter.settle(state, now, taken, used),
        ));
    }

    /// Puts units that were not used into the lane's lease, if there is one that has room for them.
    fn put(&self, lane: Lane, key: KeyHash, place: Place, now: Instant, cost: Cost) -> bool {
        let Some(most) = self.lease.filter(|_| place == Place::Own) else {
            return false;
        };
        let put = self.lanes.with(lane, key, |lease| lease.put(now, cost, most));
        put.unwrap_or(false)
    }

    /// What is left of a lease goes back to the key.
    fn give_back(&self, key: KeyHash, now: Instant, units: Cost) {
        self.settle_exact(key, Place::Own, now, Taken { cost: units, at: now }, 0);
    }

    /// Units charged on an estimate and not settled yet, of all keys.
    pub(super) fn reserved(&self) -> Cost {
        self.lanes.reserved()
    }

    /// What a quota is charged in the end.
    #[inline]
    fn used(&self, taken: Taken, used: Used) -> Cost {
        let truth = match self.unit {
            // One was taken, and one it was.
            Unit::Requests | Unit::InFlight => return taken.cost,
            Unit::MicroUsd => used.spent.micro_usd(),
            Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => self.unit.cost(used.usage, &[]),
        };
        match self.refund {
            Refund::Full => truth,
            Refund::None => truth.max(taken.cost),
        }
    }

    /// Whether its limit follows how requests fare.
    #[inline]
    pub(super) fn adapts(&self) -> bool {
        matches!(self.law, Law::Adaptive(_))
    }

    /// A request of `key` has fared so.
    pub(super) fn sample(&self, key: KeyHash, place: Place, sample: Sample, prompt: u32, rng: Rng) {
        if let Law::Adaptive(adaptive) = &self.law {
            adaptive.sample(key, place, sample, prompt, rng);
        }
    }

    /// The limit that the key sampled last has now; none of a limit that does not move.
    pub(super) fn latest(&self) -> Option<u32> {
        match &self.law {
            Law::Adaptive(adaptive) => Some(adaptive.latest()),
            Law::Gcra(..)
            | Law::TokenBucket(..)
            | Law::LeakyBucket(..)
            | Law::FixedWindow(..)
            | Law::SegmentedWindow(..)
            | Law::SlidingLog(..)
            | Law::SlidingWindow(..)
            | Law::Permits(..)
            | Law::Own(..) => None,
        }
    }

    pub(super) fn standing(&self, key: KeyHash, now: Instant) -> Standing {
        with_law!(&self.law, limiter, table => table.read(key, |state| limiter.standing(state, now)))
    }

    pub(super) fn forget(&self, now: Instant) {
        self.lanes.end(now, |key, units| self.give_back(key, now, units));
        with_law!(&self.law, limiter, table => table.forget(|state| limiter.is_idle(state, now)));
    }

    pub(super) fn keys(&self) -> usize {
        with_law!(&self.law, _limiter, table => table.len())
    }
}
