//! Deficit round robin: tenants take turns, and a turn is worth tokens.
//!
//! M. Shreedhar and G. Varghese, *Efficient fair queueing using deficit round robin* (SIGCOMM 1995), with tenants for
//! flows and tokens for bytes. Tenants with somebody waiting stand in a ring. On its turn a tenant's deficit grows by
//! the quantum times its weight; it is served, first come, first served, as long as the head's cost is within the
//! deficit, which shrinks by it; then the turn passes on and the rest is kept. A tenant for whom nobody waits any more
//! leaves the ring and keeps nothing.
//!
//! The cost of a request is its estimate, prompt and answer together: a queue cannot know better. A permit that comes
//! when nobody waits is not a turn.
//!
//! A permit of an endpoint that cannot serve anybody of the tenant whose turn it is goes to the next one in the ring;
//! the turn, and what is left of it, stay where they are.
//!
//! Rounds in which nobody could be served are skipped at once, so that a small quantum costs no time: [`Deficit::next`]
//! looks at every tenant of the ring at most twice.
//!
//! # Where it is wrong
//!
//! Service is equal over rounds, not at every moment: a tenant may be ahead by a quantum and a request. Estimates that
//! are far from the truth are never corrected; a tenant that always names too large a maximum pays for it, one that
//! names none pays the default. [`vtc`](super::vtc_cost) trues up. All who have no entry in the policy are one tenant.

use alloc::collections::{BTreeMap, BTreeSet};
use core::num::NonZeroU32;

use super::Place;
use crate::id::TenantId;
use crate::policy::Weight;
use crate::usage::Cost;

/// The ring of tenants, and who waits for each. It remembers those who wait, and nobody else.
#[derive(Clone, Debug)]
pub(super) struct Deficit {
    quantum: NonZeroU32,
    accounts: BTreeMap<TenantId, Account>,
    /// Whose turn comes when; the first is at its turn, or the next.
    ring: BTreeMap<u64, TenantId>,
    /// The end of the ring.
    next_turn: u64,
    waiting: BTreeSet<(TenantId, Place)>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    weight: Weight,
    /// In thousandths of a token, as weights are.
    deficit: u64,
    turn: u64,
    /// It has had this turn's quantum.
    credited: bool,
    waiting: u32,
}

impl Deficit {
    pub(super) fn new(quantum: NonZeroU32) -> Deficit {
        Deficit {
            quantum,
            accounts: BTreeMap::new(),
            ring: BTreeMap::new(),
            next_turn: 0,
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn join(&mut self, tenant: TenantId, weight: Weight, place: Place) {
        let turn = self.next_turn;
        let account = self.accounts.entry(tenant).or_insert(Account {
            weight,
            deficit: 0,
            turn,
            credited: false,
            waiting: 0,
        });
        if account.waiting == 0 {
            self.next_turn += 1;
            self.ring.insert(turn, tenant);
        }
        account.waiting += 1;
        self.waiting.insert((tenant, place));
    }

    /// One who waits goes, unserved.
    pub(super) fn leave(&mut self, tenant: TenantId, place: Place) {
        self.waiting.remove(&(tenant, place));
        let account = self.accounts.get_mut(&tenant);
        let account = account.expect("a tenant for whom somebody waits has an account");
        account.waiting -= 1;
        if account.waiting == 0 {
            self.ring.remove(&account.turn);
            self.accounts.remove(&tenant);
        }
    }

    /// One who waits is served.
    pub(super) fn take(&mut self, tenant: TenantId, place: Place, cost: Cost) {
        if let Some(account) = self.accounts.get_mut(&tenant) {
            account.deficit = account.deficit.saturating_sub(thousandths(cost));
        }
        self.leave(tenant, place);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.accounts.len()
    }

    /// Who is next, of those to whom `cost` gives one.
    pub(super) fn next(&mut self, mut cost: impl FnMut(Place) -> Option<Cost>) -> Option<Place> {
        loop {
            let end = self.next_turn;
            let (mut from, mut fewest) = (0, None::<u64>);
            while let Some((&turn, &tenant)) = self.ring.range(from..end).next() {
                from = turn + 1;
                let mut line = self.waiting.range((tenant, Place::FIRST)..=(tenant, Place::LAST));
                let Some((place, cost)) = line.find_map(|(_, place)| Some((*place, cost(*place)?))) else {
                    continue;
                };
                let account = self
                    .accounts
                    .get_mut(&tenant)
                    .expect("whoever is in the ring has an account");
                let credit = account.credit(self.quantum);
                if !account.credited {
                    account.credited = true;
                    account.deficit = account.deficit.saturating_add(credit);
                }
                let short = thousandths(cost).saturating_sub(account.deficit);
                if short == 0 {
                    return Some(place);
                }
                account.credited = false;
                account.turn = self.next_turn;
                self.ring.remove(&turn);
                self.ring.insert(self.next_turn, tenant);
                self.next_turn += 1;
                let rounds = short.div_ceil(credit);
                fewest = Some(fewest.map_or(rounds, |fewest| fewest.min(rounds)));
            }
            // All who were looked at stand behind `end` now, and are served in so many rounds at the earliest.
            let idle_rounds = fewest? - 1;
            for tenant in self.ring.range(end..).map(|(_, tenant)| tenant) {
                let account = self
                    .accounts
                    .get_mut(tenant)
                    .expect("whoever is in the ring has an account");
                let credits = account.credit(self.quantum).saturating_mul(idle_rounds);
                account.deficit = account.deficit.saturating_add(credits);
            }
        }
    }
}

impl Account {
    /// What a turn is worth.
    fn credit(&self, quantum: NonZeroU32) -> u64 {
        u64::from(quantum.get()) * u64::from(self.weight.thousandths())
    }
}

/// `cost` in the units of deficits.
fn thousandths(cost: Cost) -> u64 {
    cost.saturating_mul(1_000)
}
