//! Virtual token counter: whoever has been served least is next.
//!
//! Y. Sheng and others, *Fairness in serving large language models* (OSDI 2024), algorithm 2, for a gateway, which has
//! no say in how an endpoint forms its batches. Every tenant has a counter of the service it was given, a token of a
//! prompt counting 1 and a token of an answer 2, divided by the tenant's weight; the queue serves the tenant with the
//! smallest, first come, first served within it. A tenant that comes to a queue where it was not is lifted: to the
//! smallest counter of those who wait, or, if nobody does, to the counter of whoever left last. So nobody saves up
//! service by staying away, and nobody who was away is punished for it.
//!
//! What differs from the paper is when service is counted. There, every decoded token is counted as it is made. Here,
//! the whole estimate is charged when an attempt gets its permit, and trued up when the attempt ends: this is the
//! paper's own variant with predicted lengths (section 4.4). Attempts that get a permit without waiting are counted
//! too: in the paper's words they pass through the queue at once.
//!
//! | An attempt that | is counted with |
//! |---|---|
//! | has a permit | its estimate |
//! | is complete | what it used |
//! | broke off, or was left, after its first token | its prompt, and the tokens until then |
//! | was stopped before its first token | its prompt |
//! | failed before its first token, or was never launched | nothing |
//!
//! The paper's bound: of two tenants for both of whom somebody always waits, neither is ever served more than 2U
//! beyond the other, with U the most that can be counted for one tenant and not be over: here, the largest estimate
//! times the permits of the pool. Where estimates are too small, what they miss comes on top until it is trued up.
//!
//! # Where it is wrong
//!
//! It compares tokens, whatever they cost where they are served. All who have no entry in the policy are one tenant.
//! A request that is served late is not helped by fairness: combine it with shedding.
//!
//! ```
//! use tollgate_core::queue::vtc_cost;
//! use tollgate_core::usage::Usage;
//!
//! assert_eq!(vtc_cost(Usage { input: 100, output: 30 }), 160);
//! ```

use alloc::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::id::TenantId;
use crate::policy::Weight;
use crate::usage::{Cost, Usage};

/// What `usage` counts: 1 a token of the prompt, 2 a token of the answer.
#[must_use]
pub const fn vtc_cost(usage: Usage) -> Cost {
    usage.input as u64 + 2 * usage.output as u64
}

/// The counters, and who waits for each tenant.
///
/// A counter is kept as long as the gate: there are no more than the policy has tenants.
#[derive(Clone, Debug, Default)]
pub(super) struct Vtc {
    accounts: BTreeMap<TenantId, Account>,
    /// Tenants for whom somebody waits, by counter.
    queued: BTreeSet<(Counter, TenantId)>,
    waiting: BTreeSet<(TenantId, Place)>,
    /// Who left last.
    last: Option<TenantId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    weight: Weight,
    counter: Counter,
    waiting: u32,
}

/// Service over weight, in parts of a token so small that no weight rounds it away.
type Counter = u128;

/// Parts of a token of weight 1.
const PARTS: u128 = 1_000_000_000;

impl Vtc {
    pub(super) fn join(&mut self, tenant: TenantId, weight: Weight, place: Place) {
        self.lift(tenant, weight);
        self.change(tenant, |account| account.waiting += 1);
        self.waiting.insert((tenant, place));
    }

    /// One who waits goes, unserved.
    pub(super) fn leave(&mut self, tenant: TenantId, place: Place) {
        self.waiting.remove(&(tenant, place));
        self.change(tenant, |account| account.waiting -= 1);
        self.last = Some(tenant);
    }

    /// One who waits is served.
    pub(super) fn take(&mut self, tenant: TenantId, place: Place, cost: Cost) {
        self.leave(tenant, place);
        self.change(tenant, |account| account.counter += counted(cost, account.weight));
    }

    /// Somebody is served without waiting.
    pub(super) fn pass(&mut self, tenant: TenantId, weight: Weight, cost: Cost) {
        self.lift(tenant, weight);
        self.last = Some(tenant);
        self.change(tenant, |account| account.counter += counted(cost, weight));
    }

    /// What was counted as `charged` has turned out to be `used`.
    pub(super) fn settle(&mut self, tenant: TenantId, charged: Cost, used: Cost) {
        self.change(tenant, |account| {
            let (charged, used) = (counted(charged, account.weight), counted(used, account.weight));
            account.counter = (account.counter + used).saturating_sub(charged);
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.accounts.len()
    }

    /// Who is next, of those who are `wanted`.
    pub(super) fn next(&self, mut wanted: impl FnMut(Place) -> bool) -> Option<Place> {
        let line = |tenant| self.waiting.range((tenant, Place::FIRST)..=(tenant, Place::LAST));
        let mut places = self.queued.iter().flat_map(|(_, tenant)| line(*tenant));
        places.find(|(_, place)| wanted(*place)).map(|(_, place)| *place)
    }

    /// Before somebody of `tenant` comes: those who were away have saved up nothing.
    fn lift(&mut self, tenant: TenantId, weight: Weight) {
        let counter = |tenant: TenantId| self.accounts.get(&tenant).map_or(0, |account| account.counter);
        let least = match self.queued.first() {
            Some((least, _)) => *least,
            None => self.last.map_or(0, counter),
        };
        self.change(tenant, |account| {
            account.weight = weight;
            if account.waiting == 0 {
                account.counter = account.counter.max(least);
            }
        });
    }

    /// Changes an account, and where it stands among those who wait.
    fn change(&mut self, tenant: TenantId, change: impl FnOnce(&mut Account)) {
        let account = self.accounts.entry(tenant).or_default();
        let before = *account;
        change(account);
        let after = *account;
        if 0 < before.waiting {
            self.queued.remove(&(before.counter, tenant));
        }
        if 0 < after.waiting {
            self.queued.insert((after.counter, tenant));
        }
    }
}

fn counted(cost: Cost, weight: Weight) -> Counter {
    Counter::from(cost) * PARTS * 1_000 / Counter::from(weight.thousandths())
}
