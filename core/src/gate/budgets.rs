//! Retry and hedge budgets of each route, and how long its first tokens take.

use alloc::vec::Vec;

use super::snapshot::BudgetSnapshot;
use crate::hedge::{self, Delay, QuantileState};
use crate::id::RouteId;
use crate::memory::{Guarded, Memory, Packed, Slot};
use crate::policy::{Budget, Policy, Route};
use crate::retry::{Active, Balance, ConcurrencyBudget, RetryBudget};
use crate::time::{Instant, Nanos};

/// What the routes of a policy may spend on further attempts.
pub(crate) struct Budgets<M: Memory> {
    routes: Vec<RouteBudgets<M>>,
}

struct RouteBudgets<M: Memory> {
    retry: Option<Account<M>>,
    /// In the place of an account of retries: what is counted only where a policy wants it.
    concurrency: Option<(ConcurrencyBudget, M::Word<Active>)>,
    hedge: Option<Account<M>>,
    /// Of streamed and of whole answers, apart: a whole answer's first byte is its last.
    delay: Option<(Delay, [M::Block<QuantileState>; 2])>,
}

struct Account<M: Memory> {
    law: RetryBudget,
    balance: M::Block<Balance>,
}

/// A withdrawal that has to be used or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawal {
    /// From the retry budget.
    Retry,
    /// From the hedge budget.
    Hedge,
}

impl<M: Memory> Budgets<M> {
    /// The budgets of `policy`, with nothing deposited.
    #[must_use]
    pub(crate) fn new(policy: &Policy) -> Budgets<M> {
        Budgets {
            routes: policy.routes.iter().map(RouteBudgets::new).collect(),
        }
    }

    /// A request launches its first attempt: it earns its share of a retry and of a hedge.
    pub(crate) fn deposit(&self, route: RouteId, now: Instant) {
        let budgets = &self.routes[route.index()];
        for account in [&budgets.retry, &budgets.hedge].into_iter().flatten() {
            account.balance.with(|balance| account.law.deposit(balance, now));
        }
    }

    /// A request has passed its limits. Whether that is counted, and [`Budgets::end`] is to follow.
    #[inline]
    pub(crate) fn begin(&self, route: RouteId) -> bool {
        let counted = &self.routes[route.index()].concurrency;
        counted.as_ref().is_some_and(|(_, active)| {
            active.update(Active::begin);
            true
        })
    }

    /// A request that was counted is settled.
    pub(crate) fn end(&self, route: RouteId) {
        if let Some((_, active)) = &self.routes[route.index()].concurrency {
            active.update(Active::end);
        }
    }

    /// Pays for one attempt; free where there is no budget.
    pub(crate) fn withdraw(&self, route: RouteId, what: Withdrawal, now: Instant) -> bool {
        if let (Withdrawal::Retry, Some((law, active))) = (what, &self.routes[route.index()].concurrency) {
            return active.update(|active| law.withdraw(active));
        }
        let account = self.account(route, what);
        account.is_none_or(|account| account.balance.with(|balance| account.law.withdraw(balance, now)))
    }

    /// Gives back what was paid for an attempt that was not launched.
    pub(crate) fn refund(&self, route: RouteId, what: Withdrawal, now: Instant) {
        match what {
            Withdrawal::Retry => self.retried(route),
            Withdrawal::Hedge => {}
        }
        if let Some(account) = self.account(route, what) {
            account.balance.with(|balance| account.law.refund(balance, now));
        }
    }

    /// A retry that was launched has ended: it counts no more against what may be out at once.
    pub(crate) fn retried(&self, route: RouteId) {
        if let Some((_, active)) = &self.routes[route.index()].concurrency {
            active.update(Active::give_back);
        }
    }

    /// An attempt's first token took so long.
    pub(crate) fn observe(&self, route: RouteId, stream: bool, latency: Nanos, now: Instant) {
        if let Some((law, states)) = &self.routes[route.index()].delay {
            states[usize::from(stream)].with(|state| law.observe(state, now, latency));
        }
    }

    /// How long an attempt may be silent before it is hedged; none while too little is known.
    pub(crate) fn hedge_delay(&self, route: RouteId, stream: bool, now: Instant) -> Option<Nanos> {
        let (law, states) = self.routes[route.index()].delay.as_ref()?;
        states[usize::from(stream)].with(|state| law.at(state, now))
    }

    /// What `route` may spend.
    pub(super) fn snapshot(&self, route: RouteId, now: Instant) -> BudgetSnapshot {
        let budgets = &self.routes[route.index()];
        BudgetSnapshot {
            retries: match &budgets.concurrency {
                Some((law, active)) => Some(active.read(|active| law.balance(*active))),
                None => budgets.retry.as_ref().map(|account| account.left(now)),
            },
            hedges: budgets.hedge.as_ref().map(|account| account.left(now)),
        }
    }

    fn account(&self, route: RouteId, what: Withdrawal) -> Option<&Account<M>> {
        let budgets = &self.routes[route.index()];
        match what {
            Withdrawal::Retry => budgets.retry.as_ref(),
            Withdrawal::Hedge => budgets.hedge.as_ref(),
        }
    }
}

impl<M: Memory> RouteBudgets<M> {
    fn new(route: &Route) -> RouteBudgets<M> {
        let delay = |law: Delay| {
            let fresh = || M::Block::new(law.fresh());
            (law, [fresh(), fresh()])
        };
        let (retry, concurrency) = match &route.retry.budget {
            Some(Budget::Ratio(budget)) => (Some(Account::new(RetryBudget::new(budget))), None),
            Some(Budget::Concurrency(budget)) => {
                let law = ConcurrencyBudget::new(budget);
                (None, Some((law, M::Word::new(Active::default()))))
            }
            None => (None, None),
        };
        RouteBudgets {
            retry,
            concurrency,
            hedge: route.hedge.as_ref().map(|hedge| Account::new(hedge::budget(hedge))),
            delay: route.hedge.map(|hedge| delay(Delay::new(hedge.after))),
        }
    }
}

impl Packed for Active {
    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.requests) << 32 | u64::from(self.retries)
    }

    #[inline]
    fn unpack(word: u64) -> Active {
        let half = |half: u64| u32::try_from(half).expect("packed from 32 bits");
        Active {
            requests: half(word >> 32),
            retries: half(word & u64::from(u32::MAX)),
        }
    }
}

impl<M: Memory> Account<M> {
    fn new(law: RetryBudget) -> Account<M> {
        Account {
            law,
            balance: M::Block::new(Balance::default()),
        }
    }

    fn left(&self, now: Instant) -> f64 {
        self.balance.with(|balance| self.law.balance(balance, now))
    }
}
