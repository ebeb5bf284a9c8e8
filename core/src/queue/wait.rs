//! A bounded queue whose entries can be taken out from the middle in one step.
//!
//! Entries are kept as they came. Orders by arrival need nothing else, and look at the list from its beginning or from
//! its end; the others have an index beside it ([`Line`]).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroU64;

use super::codel::{CoDel, CoDelState, Pass};
use super::controlled_delay::{ControlledDelay, stands};
use super::line::Line;
use super::{Permit, rank_of};
use crate::id::{RequestId, TenantId};
use crate::lifecycle::Verdict;
use crate::policy::{Needs, Order, Priority, QueueShape, Shedding, Weight};
use crate::time::Instant;
use crate::usage::Cost;

/// A request that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Who.
    pub request: RequestId,
    /// What an endpoint must be able to do for it.
    pub needs: Needs,
    /// When it gives up.
    pub expires: Instant,
    /// Whose it is; orders by fairness tell tenants apart by this.
    pub tenant: TenantId,
    /// Its tenant's share.
    pub weight: Weight,
    /// How urgent it is.
    pub priority: Priority,
    /// When it must be answered to be of use.
    pub deadline: Instant,
    /// What it costs its tenant: [`Order::cost`].
    pub cost: Cost,
}

/// Which wait in a queue; no two are ever the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(NonZeroU64);

/// The queue is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What taking a waiter out has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was waiting, and no longer is.
    Removed,
    /// It had been handed this permit, which is now the remover's to use or to pass on.
    AlreadyAdmitted(Permit),
    /// It was told that its wait had ended without one.
    Absent,
}

/// What somebody finds who comes for the permit it was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The permit.
    Permit(Permit),
    /// It still waits: the word was not for this wait.
    Waiting,
    /// Its wait has ended without one.
    Absent,
}

/// Requests waiting for a permit, and those that were handed one but have not taken it up yet.
#[derive(Clone, Debug)]
pub struct WaitQueue {
    /// By place. At most half of many are gone.
    entries: VecDeque<(Place, Entry)>,
    /// The next place.
    next: NonZeroU64,
    waiting: u32,
    /// Entries that nobody stands at any more.
    gone: usize,
    shape: QueueShape,
    /// The latest instant at which it was looked at.
    seen: Instant,
    /// Since when somebody has always been waiting.
    busy_since: Option<Instant>,
    line: Line,
    codel: CoDelState,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Waiting(Standing),
    Granted(Permit),
    Gone,
}

/// What the queue keeps of a waiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    request: RequestId,
    needs: Needs,
    expires: Instant,
    since: Instant,
    /// What its order goes by: its rank, or its cost.
    pub(super) measure: u64,
    pub(super) tenant: TenantId,
    /// It came to a standing queue.
    hurried: bool,
}

/// So many entries may be gone before it is worth looking.
const GONE: usize = 32;

impl Place {
    /// Before or at any.
    pub(super) const FIRST: Place = Place(NonZeroU64::MIN);
    /// After or at any.
    pub(super) const LAST: Place = Place(NonZeroU64::MAX);
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(shape: QueueShape) -> WaitQueue {
        WaitQueue {
            entries: VecDeque::new(),
            next: NonZeroU64::MIN,
            waiting: 0,
            gone: 0,
            line: Line::new(shape.order),
            codel: CoDelState::default(),
            shape,
            seen: Instant::EPOCH,
            busy_since: None,
        }
    }

    /// `now`, or the latest instant that this was called with, if that is later: threads may be late.
    pub fn not_before(&mut self, now: Instant) -> Instant {
        self.seen = self.seen.max(now);
        self.seen
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether another could wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting < self.shape.length
    }

    /// Whether somebody waits whom an endpoint that `can_serve` could serve.
    #[must_use]
    pub fn has_waiter(&self, can_serve: impl Fn(&Needs) -> bool) -> bool {
        let could = |(_, entry): &(_, Entry)| matches!(entry, Entry::Waiting(who) if can_serve(&who.needs));
        0 < self.waiting && self.entries.iter().any(could)
    }

    /// Lets `waiter` wait from `now` on.
    ///
    /// # Errors
    ///
    /// [`Full`] if as many wait as may.
    pub fn push(&mut self, now: Instant, waiter: Waiter) -> Result<Place, Full> {
        if !self.has_room() {
            return Err(Full);
        }
        let place = Place(self.next);
        self.next = self.next.saturating_add(1);
        let who = Standing {
            request: waiter.request,
            needs: waiter.needs,
            expires: waiter.expires,
            since: now,
            measure: match self.shape.order {
                Order::Fifo | Order::Lifo | Order::AdaptiveLifo { .. } => 0,
                Order::Priority => rank_of(waiter.priority),
                Order::Deadline => waiter.deadline.as_nanos(),
                Order::Deficit { .. } | Order::Vtc { .. } => waiter.cost,
            },
            tenant: waiter.tenant,
            hurried: match self.shape.shedding {
                Shedding::Never | Shedding::CoDel { .. } => false,
                Shedding::ControlledDelay { target, interval } => {
                    ControlledDelay { target, interval }.hurries(self.busy_since, now)
                }
            },
        };
        self.line.join(&who, waiter.weight, place);
        self.entries.push_back((place, Entry::Waiting(who)));
        self.waiting += 1;
        if self.busy_since.is_none() {
            self.busy_since = Some(now);
        }
        Ok(place)
    }

    /// Hands `permit` to whoever is next of those that its endpoint can serve.
    ///
    /// Waiters met on the way whose time is over are taken out, and those who are shed too; `told` is told of them.
    pub fn grant(
        &mut self,
        now: Instant,
        permit: Permit,
        can_serve: impl Fn(&Needs) -> bool,
        mut told: impl FnMut(RequestId, Verdict),
    ) -> Option<RequestId> {
        self.shed_oldest(now, &mut told);
        let (mut pass, mut looked_at) = (Pass::default(), 0);
        let granted = loop {
            let Some(at) = self.next(now, &mut looked_at, &can_serve, &mut told) else {
                break None;
            };
            let (place, Entry::Waiting(who)) = self.entries[at] else {
                unreachable!("whoever is next waits");
            };
            if self.sheds(&who, &mut pass, now) {
                self.retire(at);
                told(who.request, Verdict::Shed);
                continue;
            }
            self.line.take(&who, place);
            self.entries[at].1 = Entry::Granted(permit);
            self.waiting -= 1;
            break Some(who.request);
        };
        self.settle_down(pass);
        granted
    }

    /// Takes up what was granted to whoever stands at `place`; someone who still waits goes on waiting.
    pub fn claim(&mut self, place: Place) -> Claim {
        match self.entry(place).map(|at| self.entries[at].1) {
            Some(Entry::Waiting(_)) => Claim::Waiting,
            Some(Entry::Granted(_)) => match self.remove(place) {
                Removal::AlreadyAdmitted(permit) => Claim::Permit(permit),
                Removal::Removed | Removal::Absent => Claim::Absent,
            },
            Some(Entry::Gone) | None => Claim::Absent,
        }
    }

    /// Takes out whoever stands at `place`.
    pub fn remove(&mut self, place: Place) -> Removal {
        let Some(at) = self.entry(place) else {
            return Removal::Absent;
        };
        let removal = match self.entries[at].1 {
            Entry::Waiting(_) => {
                self.retire(at);
                Removal::Removed
            }
            Entry::Granted(permit) => {
                self.entries[at].1 = Entry::Gone;
                self.gone += 1;
                Removal::AlreadyAdmitted(permit)
            }
            Entry::Gone => Removal::Absent,
        };
        self.settle_down(Pass::default());
        removal
    }

    /// Counts an attempt of `tenant` that got its permit without waiting.
    pub fn pass(&mut self, tenant: TenantId, weight: Weight, cost: Cost) {
        self.line.pass(tenant, weight, cost);
    }

    /// Trues up an attempt of `tenant` that was counted as `charged` and has used `used`.
    pub fn settle(&mut self, tenant: TenantId, charged: Cost, used: Cost) {
        self.line.settle(tenant, charged, used);
    }

    /// Where whoever is next stands, of those who can be served. Those on the way whose time is over are taken out.
    fn next(
        &mut self,
        now: Instant,
        looked_at: &mut usize,
        can_serve: &impl Fn(&Needs) -> bool,
        told: &mut impl FnMut(RequestId, Verdict),
    ) -> Option<usize> {
        let is_last_first = match self.shape.order {
            Order::Fifo => false,
            Order::Lifo => true,
            Order::AdaptiveLifo { after } => stands(self.busy_since, now, after),
            Order::Priority | Order::Deadline | Order::Deficit { .. } | Order::Vtc { .. } => {
                return self.next_in_line(now, can_serve, told);
            }
        };
        while *looked_at < self.entries.len() {
            let at = if is_last_first {
                self.entries.len() - 1 - *looked_at
            } else {
                *looked_at
            };
            *looked_at += 1;
            let Entry::Waiting(who) = self.entries[at].1 else {
                continue;
            };
            if who.expires <= now {
                self.retire(at);
                told(who.request, Verdict::Expired);
            } else if can_serve(&who.needs) {
                return Some(at);
            }
        }
        None
    }

    fn next_in_line(
        &mut self,
        now: Instant,
        can_serve: &impl Fn(&Needs) -> bool,
        told: &mut impl FnMut(RequestId, Verdict),
    ) -> Option<usize> {
        let mut expired: Vec<Place> = Vec::new();
        let entries = &self.entries;
        let mut cost = |place: Place| {
            let at = position(entries, place)?;
            let Entry::Waiting(who) = &entries[at].1 else {
                return None;
            };
            if who.expires <= now {
                expired.push(place);
                return None;
            }
            can_serve(&who.needs).then_some(who.measure)
        };
        let next = match &mut self.line {
            Line::ByArrival => None,
            Line::Ranked(ranked) => ranked.next(|place| cost(place).is_some()),
            Line::Deficit(deficit) => deficit.next(cost),
            Line::Vtc(vtc) => vtc.next(|place| cost(place).is_some()),
        };
        for place in expired {
            // Rounds of a deficit queue may meet one twice.
            if let Some(at) = self.entry(place)
                && let Entry::Waiting(who) = self.entries[at].1
            {
                self.retire(at);
                told(who.request, Verdict::Expired);
            }
        }
        self.entry(next?)
    }

    /// Sends those away who came first and have waited for longer than they may.
    fn shed_oldest(&mut self, now: Instant, told: &mut impl FnMut(RequestId, Verdict)) {
        let Shedding::ControlledDelay { .. } = self.shape.shedding else {
            return;
        };
        for at in 0..self.entries.len() {
            let Entry::Waiting(who) = self.entries[at].1 else {
                continue;
            };
            if !self.is_overdue(&who, now) {
                return;
            }
            self.retire(at);
            let verdict = if who.expires <= now {
                Verdict::Expired
            } else {
                Verdict::Shed
            };
            told(who.request, verdict);
        }
    }

    /// Whether `who`, being next, is shed.
    fn sheds(&mut self, who: &Standing, pass: &mut Pass, now: Instant) -> bool {
        match self.shape.shedding {
            Shedding::Never => false,
            Shedding::ControlledDelay { .. } => self.is_overdue(who, now),
            Shedding::CoDel { target, interval } => {
                let others = self.waiting - 1;
                CoDel { target, interval }.sheds(&mut self.codel, pass, now, now.since(who.since), others)
            }
        }
    }

    fn is_overdue(&self, who: &Standing, now: Instant) -> bool {
        match self.shape.shedding {
            Shedding::Never | Shedding::CoDel { .. } => false,
            Shedding::ControlledDelay { target, interval } => {
                let patience = ControlledDelay { target, interval }.patience(who.hurried);
                patience < now.since(who.since)
            }
        }
    }

    /// Whoever waits at `at` goes without a permit.
    fn retire(&mut self, at: usize) {
        if let (place, Entry::Waiting(who)) = self.entries[at] {
            self.line.leave(&who, place);
            self.entries[at].1 = Entry::Gone;
            self.waiting -= 1;
            self.gone += 1;
        }
    }

    fn entry(&self, place: Place) -> Option<usize> {
        position(&self.entries, place)
    }

    /// After a change: whether anybody still waits, and what can be forgotten.
    fn settle_down(&mut self, pass: Pass) {
        if self.waiting == 0 {
            self.busy_since = None;
            if let Shedding::CoDel { target, interval } = self.shape.shedding {
                CoDel { target, interval }.empty(&mut self.codel, pass);
            }
        }
        self.trim();
    }

    /// Forgets entries that nobody stands at: those at the ends at once, others when there are many, so that one who
    /// waits long does not keep the traces of all who came after.
    fn trim(&mut self) {
        while let Some((_, Entry::Gone)) = self.entries.front() {
            self.entries.pop_front();
            self.gone -= 1;
        }
        while let Some((_, Entry::Gone)) = self.entries.back() {
            self.entries.pop_back();
            self.gone -= 1;
        }
        if GONE < self.gone && self.entries.len() < 2 * self.gone {
            self.entries.retain(|(_, entry)| !matches!(entry, Entry::Gone));
            self.gone = 0;
        }
    }
}

fn position(entries: &VecDeque<(Place, Entry)>, place: Place) -> Option<usize> {
    entries.binary_search_by_key(&place, |(place, _)| *place).ok()
}

const _: () = assert!(size_of::<(Place, Entry)>() <= 64);

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU32;

    use crate::time::Nanos;

    const ORDERS: [Order; 7] = [
        Order::Fifo,
        Order::Lifo,
        Order::AdaptiveLifo { after: Nanos::ZERO },
        Order::Priority,
        Order::Deadline,
        Order::Deficit {
            quantum: NonZeroU32::MIN,
            output_default: 0,
        },
        Order::Vtc { output_default: 0 },
    ];

    #[test]
    fn memory_is_bounded() {
        for order in ORDERS {
            let mut queue = WaitQueue::new(QueueShape {
                order,
                length: 3,
                wait: Nanos::FOREVER,
                shedding: Shedding::Never,
            });
            let waiter = |number: u32| Waiter {
                request: RequestId(u64::from(number)),
                needs: Needs::default(),
                expires: Instant::FAR,
                tenant: TenantId(number % 7),
                weight: Weight::ONE,
                priority: Priority::Normal,
                deadline: Instant::FAR,
                cost: 10,
            };
            let now = Instant::EPOCH;
            let first = queue.push(now, waiter(0)).expect("there is room");
            // Whoever goes has one before it who waits, and one behind it.
            let mut last = queue.push(now, waiter(1)).expect("there is room");
            for number in 2..10_000 {
                let place = queue.push(now, waiter(number)).expect("there is room");
                assert_eq!(queue.remove(last), Removal::Removed);
                last = place;
                assert!(queue.entries.len() < 2 * (3 + GONE), "{} entries", queue.entries.len());
            }
            assert_eq!(queue.remove(last), Removal::Removed);
            assert_eq!(queue.remove(first), Removal::Removed);
            assert!(queue.entries.is_empty());
            assert!(queue.line.len() <= 7, "{order:?} remembers {}", queue.line.len());
        }
    }
}
