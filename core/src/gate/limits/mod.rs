//! Every limit and its keyed states; several are charged at once, all of them or none.
//!
//! | Law | Test |
//! |---|---|
//! | A request is charged to all of its limits or to none, and a refusal changes nothing. | `five_levels_are_all_or_none` |
//! | A refusal names the limit that binds: it refuses, and none for longer. | `the_binding_level_is_named` |
//! | What was charged is reserved, was used, or was given back, on every exit. | `reserved_used_and_refunded_are_what_was_charged` |
//! | Money is reserved as what the dearest endpoint would ask for it, rounded up. | `money_is_reserved_at_the_dearest` |
//! | Either memory decides alike. | `levels_are_decided_alike_by_either_memory` |
//! | Only whole answers to requests that name no maximum teach what to assume. | `aborted_answers_teach_nothing` |
//! | Whatever was learned, what is certain is charged, and a guess is no reason to refuse for ever. | `what_is_certain_is_charged` |
//! | What was learned stays; keys beyond the bound learn together. | `forgetting_forgets_nothing_that_was_learned`, `keys_beyond_the_bound_learn_together` |

mod adaptive;
mod entry;
mod lanes;
mod outputs;

use alloc::vec::Vec;
use core::num::{NonZeroU16, NonZeroU32};

use entry::Entry;
use outputs::Learned;

use crate::dice::Rng;
use crate::id::{KeyHash, LimitId, RouteId};
use crate::limit::{Decision, Sample, Standing, Taken};
use crate::memory::{Memory, Place};
use crate::policy::{Charges, Class, Limit, OnOutage, Policy, Store};
use crate::time::{Instant, Nanos};
use crate::usage::{Cost, Estimate, PicoUsd, Rates, Usage};

/// Every limit of a policy, with its states.
pub struct Limits<M: Memory> {
    entries: Vec<Entry<M>>,
    /// What a request may cost at most, by route.
    rates: Vec<Vec<Rates>>,
    /// What answers were like, if a limit learns from them.
    learned: Option<Learned<M>>,
}

/// What a request has used, once it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Of the attempt that answered.
    pub usage: Usage,
    /// What all attempts cost together, as far as is known.
    pub spent: PicoUsd,
    /// Whether the client has the whole answer: only then its length teaches anything.
    pub complete: bool,
}

/// Which of a request's limits are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those whose state is in the process.
    Local,
    /// Those whose state is elsewhere.
    Remote,
    /// Those elsewhere that fall back to a state in the process when it does not answer.
    Fallback,
}

/// What was charged, to be settled once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// When the request may go on; after now if a limit shapes.
    pub at: Instant,
    /// When it was charged.
    taken: Instant,
    /// When limits elsewhere were charged here, because their store did not answer.
    fallen: Instant,
    /// Which of the charges were taken, a bit each.
    charged: u8,
    /// Which of them from the shared overflow key.
    overflow: u8,
    /// Which of them adapt, and do not know yet how the request fares.
    unsampled: u8,
    /// Output tokens that were assumed of an answer where limits learn.
    assumed: Option<NonZeroU32>,
}

/// How a request fared, for the limits that adapt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fared {
    /// Tokens of its prompt.
    pub prompt: u32,
    /// Whether its latency tells of a queue.
    pub timed: bool,
    /// Whether it was dropped, because of too much load.
    pub dropped: bool,
}

impl Granted {
    /// Whether there is anything to settle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.charged == 0
    }

    /// Whether a limit waits to hear how the request fares.
    #[must_use]
    #[inline]
    pub fn is_unsampled(&self) -> bool {
        self.unsampled != 0
    }

    fn place(&self, index: usize) -> Place {
        if self.overflow & 1 << index == 0 {
            Place::Own
        } else {
            Place::Overflow
        }
    }

    /// These charges, of [`Reach::Local`], and those that the same request fell back to.
    #[must_use]
    pub fn and(self, fallback: Granted) -> Granted {
        Granted {
            at: self.at.max(fallback.at),
            taken: self.taken,
            fallen: fallback.fallen,
            charged: self.charged | fallback.charged,
            overflow: self.overflow | fallback.overflow,
            unsampled: self.unsampled | fallback.unsampled,
            assumed: self.assumed,
        }
    }
}

/// Why a request was not let through; nothing is charged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRefusal {
    /// The limit that binds: the one with the longest wait.
    pub limit: LimitId,
    /// When the request could be let through; [`Instant::FAR`] if nobody can tell.
    pub until: Instant,
    /// It asks for more than the limit can ever hold.
    pub never: bool,
    /// The key shared its state with others, because there were too many keys.
    pub overflow: bool,
}

impl<M: Memory> Limits<M> {
    /// The limits of `policy`, never used, for one lane.
    #[must_use]
    pub fn new(policy: &Policy) -> Limits<M> {
        Limits::with_lanes(policy, NonZeroU16::MIN)
    }

    /// The same for so many lanes.
    #[must_use]
    pub fn with_lanes(policy: &Policy, lanes: NonZeroU16) -> Limits<M> {
        let entry = |limit: &Limit| Entry::new(limit, lanes);
        Limits {
            entries: policy.limits.iter().map(entry).collect(),
            rates: (0..policy.routes.len())
                .map(|at| policy.rates(RouteId::at(at)))
                .collect(),
            learned: Learned::new(policy),
        }
    }

    /// Charges all limits in `reach` with what the request is estimated at, or none.
    ///
    /// Taken one after the other in the policy's order; when one refuses, those before it are undone, newest first,
    /// and those after it are only looked at, so that the refusal names the longest wait. Under a race the
    /// undone units are missing to others for a moment: this can only admit less.
    ///
    /// # Errors
    ///
    /// [`LimitRefusal`] if any of them refuses.
    pub fn take_all(
        &self,
        class: &Class,
        reach: Reach,
        estimate: Estimate,
        now: Instant,
    ) -> Result<Granted, LimitRefusal> {
        let mut granted = Granted {
            at: now,
            taken: now,
            fallen: now,
            assumed: self.assumed(class, estimate),
            ..Granted::default()
        };
        for index in 0..class.charges.len() {
            let (limit, key) = class.charges.at(index);
            let entry = &self.entries[limit.index()];
            if !entry.is_in(reach) {
                continue;
            }
            let (decision, place) = entry.take(
                class.charges.lane,
                key,
                now,
                self.cost(entry, class, estimate, &granted),
            );
            match decision {
                Decision::Allow { at } => {
                    granted.at = granted.at.max(at);
                    granted.charged |= 1 << index;
                    granted.overflow |= u8::from(place == Place::Overflow) << index;
                    granted.unsampled |= u8::from(entry.adapts()) << index;
                }
                Decision::Wait { until } => {
                    let refusal = LimitRefusal {
                        limit,
                        until,
                        never: false,
                        overflow: place == Place::Overflow,
                    };
                    self.undo_all(class, granted, estimate, now);
                    return Err(self.binding(class, reach, index + 1, estimate, &granted, refusal));
                }
                Decision::Never => {
                    self.undo_all(class, granted, estimate, now);
                    return Err(LimitRefusal::never(limit));
                }
            }
        }
        Ok(granted)
    }

    /// Takes back what was granted, newest first, as if it had not been.
    pub fn undo_all(&self, class: &Class, granted: Granted, estimate: Estimate, now: Instant) {
        for index in (0..class.charges.len()).rev() {
            if let Some((entry, key, place, taken)) = self.hold(class, granted, index, estimate) {
                entry.undo(class.charges.lane, key, place, now, taken);
            }
        }
    }

    /// Tells the limits that adapt how the request fares: once, and before it is settled.
    pub fn sample_all(&self, charges: &Charges, granted: &mut Granted, fared: Fared, now: Instant, rng: &Rng) {
        let unsampled = core::mem::take(&mut granted.unsampled);
        for index in 0..charges.len() {
            if unsampled & 1 << index == 0 {
                continue;
            }
            let (limit, key) = charges.at(index);
            let started = granted.at;
            let sample = Sample {
                now,
                started,
                in_flight: 0,
                latency: fared.timed.then(|| now.since(started)),
                dropped: fared.dropped,
            };
            let entry = &self.entries[limit.index()];
            entry.sample(key, granted.place(index), sample, fared.prompt, *rng);
        }
    }

    /// Trues up what was granted on an estimate, now that the truth is known, and learns from it.
    pub fn settle_all(&self, class: &Class, granted: Granted, estimate: Estimate, used: Used, now: Instant) {
        for index in 0..class.charges.len() {
            if let Some((entry, key, place, taken)) = self.hold(class, granted, index, estimate) {
                entry.settle(class.charges.lane, key, place, now, taken, used);
            }
        }
        if let Some(key) = class.outputs
            && used.complete
            && estimate.output.is_none()
            && let Some(learned) = &self.learned
        {
            learned.observe(key, estimate, used.usage);
        }
    }

    /// Whether any of these limits has its state elsewhere, and if so how long to wait for an answer.
    #[must_use]
    pub fn remote_deadline(&self, charges: &Charges) -> Option<Nanos> {
        let stores = (0..charges.len()).map(|index| self.entries[charges.at(index).0.index()].store);
        let deadlines = stores.filter_map(|store| match store {
            Store::Strict { deadline, .. } => Some(deadline),
            Store::Local | Store::Leased { .. } => None,
        });
        deadlines.min()
    }

    /// The first of these limits that refuses when its store does not answer.
    #[must_use]
    pub fn refuses_on_outage(&self, charges: &Charges) -> Option<LimitId> {
        let limits = (0..charges.len()).map(|index| charges.at(index).0);
        limits.into_iter().find(|limit| {
            let store = self.entries[limit.index()].store;
            matches!(
                store,
                Store::Strict {
                    on_outage: OnOutage::Refuse,
                    ..
                }
            )
        })
    }

    /// Where `key` stands with `limit`; a key without a state of its own as if it were new. What lies in leases is taken.
    #[must_use]
    pub fn standing(&self, limit: LimitId, key: KeyHash, now: Instant) -> Standing {
        self.entries[limit.index()].standing(key, now)
    }

    /// Gives back what is left of leases that have ended, and forgets the keys whose states equal those of new ones.
    pub fn forget(&self, now: Instant) {
        for entry in &self.entries {
            entry.forget(now);
        }
    }

    /// How many keys are remembered, per limit.
    #[must_use]
    pub fn keys(&self) -> Vec<usize> {
        self.entries.iter().map(Entry::keys).collect()
    }

    /// Units charged on an estimate and not settled yet, per limit: permits that are out, of a limit of permits.
    #[must_use]
    pub fn reserved(&self) -> Vec<Cost> {
        self.entries.iter().map(Entry::reserved).collect()
    }

    /// The limit that moves, per limit, of the key that was sampled last; none where it does not move.
    #[must_use]
    pub fn latest(&self) -> Vec<Option<u32>> {
        self.entries.iter().map(Entry::latest).collect()
    }

    /// Of `refusal` and the refusals of the limits from `from` on, the one with the longest wait.
    fn binding(
        &self,
        class: &Class,
        reach: Reach,
        from: usize,
        estimate: Estimate,
        granted: &Granted,
        mut refusal: LimitRefusal,
    ) -> LimitRefusal {
        for index in from..class.charges.len() {
            let (limit, key) = class.charges.at(index);
            let entry = &self.entries[limit.index()];
            if !entry.is_in(reach) {
                continue;
            }
            match entry.peek(
                class.charges.lane,
                key,
                granted.taken,
                self.cost(entry, class, estimate, granted),
            ) {
                Decision::Allow { .. } => {}
                Decision::Wait { until } => {
                    if refusal.until < until {
                        refusal = LimitRefusal {
                            limit,
                            until,
                            ..refusal
                        };
                    }
                }
                Decision::Never => return LimitRefusal::never(limit),
            }
        }
        refusal
    }

    /// Output tokens to assume of each answer; nothing if the request says, or no limit of it learns.
    #[inline]
    fn assumed(&self, class: &Class, estimate: Estimate) -> Option<NonZeroU32> {
        let key = class.outputs?;
        let learned = self.learned.as_ref().filter(|_| estimate.output.is_none())?;
        learned.assumed(key).and_then(NonZeroU32::new)
    }

    /// What the request costs one of its limits.
    #[inline]
    fn cost(&self, entry: &Entry<M>, class: &Class, estimate: Estimate, granted: &Granted) -> Cost {
        entry.cost(estimate, granted.assumed, || self.rates_of(class))
    }

    /// What a request of `class` may cost.
    #[inline]
    fn rates_of(&self, class: &Class) -> &[Rates] {
        class.route.map_or(&[], |route| &self.rates[route.index()])
    }

    #[inline]
    fn hold(
        &self,
        class: &Class,
        granted: Granted,
        index: usize,
        estimate: Estimate,
    ) -> Option<(&Entry<M>, KeyHash, Place, Taken)> {
        if granted.charged & 1 << index == 0 {
            return None;
        }
        let (limit, key) = class.charges.at(index);
        let entry = &self.entries[limit.index()];
        let place = granted.place(index);
        let taken = Taken {
            cost: self.cost(entry, class, estimate, &granted),
            at: if entry.store.is_local() {
                granted.taken
            } else {
                granted.fallen
            },
        };
        Some((entry, key, place, taken))
    }
}

impl LimitRefusal {
    fn never(limit: LimitId) -> LimitRefusal {
        LimitRefusal {
            limit,
            until: Instant::FAR,
            never: true,
            overflow: false,
        }
    }
}
