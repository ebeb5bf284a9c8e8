//! Outlier detection of a pool: how many are out, and the sweeps, which the gate makes of its own accord.

use alloc::vec::Vec;

use super::endpoint::Vitals;
use super::fleet::Fleet;
use crate::dice::{Dice, Purpose};
use crate::health::{Answer, Cause, Outlier};
use crate::id::{EndpointId, PoolId};
use crate::lifecycle::Effects;
use crate::memory::{Memory, Slot};
use crate::policy::{self, Policy, Pool};
use crate::time::Instant;

/// What the endpoints of a pool share that watches for outliers.
pub(super) struct Watch<M: Memory> {
    law: Outlier,
    /// How many endpoints it watches.
    endpoints: usize,
    /// How many of them are ejected as outliers.
    ejected: M::Word<u64>,
    /// When the next sweep is due.
    due: M::Word<Instant>,
    /// What decides whether a suspect is ejected indeed, and how often it was asked.
    dice: Dice,
    rolls: M::Word<u64>,
}

impl<M: Memory> Watch<M> {
    pub(super) fn new(policy: &Policy, pool: &Pool, numbers: &policy::Outlier) -> Watch<M> {
        let law = Outlier::new(numbers);
        Watch {
            endpoints: pool.len(),
            ejected: M::Word::new(0),
            due: M::Word::new(law.sweep_after(Instant::EPOCH)),
            dice: Dice::new(u64::from_be_bytes(policy.hash.0)).branch(u64::from(pool.endpoints.start)),
            rolls: M::Word::new(0),
            law,
        }
    }

    /// An attempt at `endpoint` has ended.
    pub(super) fn learn(&self, vitals: &mut Vitals, endpoint: EndpointId, answer: Answer, now: Instant) {
        for cause in self.law.record(&mut vitals.suspect, answer).into_iter().flatten() {
            self.judge(vitals, endpoint, cause, now);
        }
    }

    /// `endpoint` is suspected: ejects it, if it is in its pool, there is room, and the dice agree.
    fn judge(&self, vitals: &mut Vitals, endpoint: EndpointId, cause: Cause, now: Instant) {
        if vitals.suspect.ejected_until() != Instant::EPOCH {
            return;
        }
        // Asked and taken in one step: two at once must not both be the last that fits.
        let has_room = self.ejected.update(|ejected| {
            let has_room = self.law.has_room(*ejected, self.endpoints);
            *ejected += u64::from(has_room);
            has_room
        });
        if !has_room {
            return;
        }
        let nth = self.rolls.update(|rolls| {
            *rolls = rolls.wrapping_add(1);
            *rolls
        });
        let dice = self.dice.request(nth);
        if self
            .law
            .enforces(cause, &mut dice.roll(Purpose::Enforcement, u32::from(endpoint.0)))
        {
            self.law.eject(&mut vitals.suspect, now);
        } else {
            self.release();
        }
    }

    fn release(&self) {
        self.ejected.update(|ejected| *ejected = ejected.saturating_sub(1));
    }

    /// The sweep that is due, if one is, and when the next will be. Of several that were missed, the last.
    fn take_due(&self, now: Instant) -> (Option<Instant>, Instant) {
        self.due.update(|due| {
            let next = self.law.sweep_after(now);
            let is_due = *due <= now;
            if is_due {
                *due = next;
            }
            (is_due.then(|| self.law.sweep_before(next)), *due)
        })
    }
}

impl<M: Memory> Fleet<M> {
    /// Sweeps every pool that is due; returns when the next is.
    pub(super) fn sweep_due(&self, policy: &Policy, now: Instant, effects: &mut Effects) -> Instant {
        let mut next = Instant::FAR;
        for (at, pool) in self.pools.iter().enumerate() {
            let Some(watch) = &pool.watch else {
                continue;
            };
            let (sweep, due) = watch.take_due(now);
            if let Some(sweep) = sweep {
                self.sweep(policy, PoolId::at(at), watch, sweep, now, effects);
            }
            next = next.min(due);
        }
        next
    }

    /// Ends the ejections that are over, and compares those that are not ejected.
    fn sweep(&self, policy: &Policy, pool: PoolId, watch: &Watch<M>, at: Instant, now: Instant, effects: &mut Effects) {
        let pool = policy.pool(pool);
        let mut peers = Vec::with_capacity(pool.len());
        for index in 0..pool.len() {
            self.update_vitals(policy, pool.endpoint(index), now, effects, |_, vitals| {
                let swept = watch.law.sweep(&mut vitals.suspect, at);
                if swept.restored {
                    watch.release();
                }
                peers.extend(swept.peer.map(|peer| (index, peer)));
            });
        }
        for (index, cause) in watch.law.suspects(&peers) {
            let endpoint = pool.endpoint(index);
            self.update_vitals(policy, endpoint, now, effects, |_, vitals| {
                watch.judge(vitals, endpoint, cause, at);
            });
        }
    }
}
