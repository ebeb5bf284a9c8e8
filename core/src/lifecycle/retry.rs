//! Trying again: retries with backoff and budget, fallbacks to the next pool, hedges beside a slow attempt.
//!
//! After a failure the order is: an endpoint of the same pool that has not been tried, else the next pool of the
//! route, else an endpoint that has been tried. A retry is paid from the retry budget; a fallback is not, for
//! it goes elsewhere. One budget of attempts (`max_attempts`) bounds all of them together. Every attempt asks the throttle
//! of its pool, as the first one does; a hedge or a retry that is turned away is not launched, nor paid for.

use super::route::Kind;
use super::{Lifecycle, Phase, Refusal, Turn};
use crate::dice::Purpose;
use crate::fault::Fault;
use crate::gate::{Acquired, Outlook, Withdrawal};
use crate::memory::Memory;
use crate::retry;
use crate::time::{Instant, Nanos};

impl Lifecycle {
    /// No attempt runs any more, the last one failed with `fault`: what now?
    pub(super) fn try_again<M: Memory>(&mut self, turn: &mut Turn<'_, M>, fault: Fault) {
        let retry = &self.route(turn).retry;
        if fault == Fault::Client || retry.max_attempts <= self.outcome.attempts {
            return self.give_up(turn, fault);
        }
        let may_retry = retry.on.has(fault);
        if may_retry && self.outlook(turn, true) == Outlook::Ready && self.back_off(turn, Nanos::ZERO) {
            return;
        }
        if self.fall_back(turn) {
            return;
        }
        if may_retry {
            let wait = match self.outlook(turn, false) {
                Outlook::Ready => Some(Nanos::ZERO),
                Outlook::Until(until) => Some(until.since(turn.now)).filter(|wait| *wait <= retry.backoff.max),
                Outlook::Full | Outlook::Never => None,
            };
            if wait.is_some_and(|wait| self.back_off(turn, wait)) {
                return;
            }
        }
        self.give_up(turn, fault);
    }

    /// The delay before a retry is over.
    pub(super) fn resume<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        let pool = self.pool(turn);
        if !self.is_turned_away(turn, pool, self.pool_at) {
            let picked = match self.acquire(turn, pool, true) {
                Acquired::Yes(permit) => Acquired::Yes(permit),
                Acquired::Full | Acquired::None { .. } => self.acquire(turn, pool, false),
            };
            if let Acquired::Yes(permit) = picked {
                self.holds.withdrawal = None;
                return self.launch(turn, permit, Kind::Retry);
            }
        }
        self.return_withdrawal(turn);
        if !self.fall_back(turn) {
            let fault = self.last_fault.expect("something failed before a retry");
            self.give_up(turn, fault);
        }
    }

    /// Plans the next hedge from now on, if there may be one.
    pub(super) fn plan_hedge<M: Memory>(&mut self, turn: &Turn<'_, M>) {
        let route = self.route(turn);
        self.phase_at = Instant::FAR;
        let (Some(hedge), Some(id)) = (&route.hedge, self.request.class.route) else {
            return;
        };
        if self.outcome.hedges < hedge.max
            && self.outcome.attempts < route.retry.max_attempts
            && let Some(delay) = turn.gate.budgets.hedge_delay(id, self.request.stream, turn.now)
        {
            self.phase_at = turn.now + delay;
        }
    }

    /// The running attempt has been silent for long: launch another beside it, elsewhere, if the budget allows.
    pub(super) fn hedge<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.phase_at = Instant::FAR;
        let Some(id) = self.request.class.route else {
            return;
        };
        if !self.attempts.has_room() {
            return;
        }
        if !turn.gate.budgets.withdraw(id, Withdrawal::Hedge, turn.now) {
            return;
        }
        let pool = self.pool(turn);
        let may_try = !self.is_turned_away(turn, pool, self.pool_at);
        match may_try.then(|| self.acquire(turn, pool, true)) {
            Some(Acquired::Yes(permit)) => self.launch(turn, permit, Kind::Hedge),
            Some(Acquired::Full | Acquired::None { .. }) | None => {
                turn.gate.budgets.refund(id, Withdrawal::Hedge, turn.now);
            }
        }
    }

    /// Waits for the backoff, or at least `wait`, and then tries the pool again. False if that is not to be.
    fn back_off<M: Memory>(&mut self, turn: &mut Turn<'_, M>, wait: Nanos) -> bool {
        let Some(id) = self.request.class.route else {
            return false;
        };
        let law = retry::Backoff::new(&self.route(turn).retry.backoff);
        let retry = u32::from(self.outcome.retries);
        let mut rng = self.dice.roll(Purpose::Jitter, law.draw(retry));
        let minimum = (wait != Nanos::ZERO).then_some(wait);
        let at = turn.now + law.delay(retry, minimum, &mut rng);
        if self.total_at <= at || !turn.gate.budgets.withdraw(id, Withdrawal::Retry, turn.now) {
            return false;
        }
        self.holds.withdrawal = Some(Withdrawal::Retry);
        if at == turn.now {
            self.resume(turn);
        } else {
            self.phase = Phase::BackingOff;
            self.phase_at = at;
        }
        true
    }

    /// Launches an attempt in the first further pool that has an endpoint. False if none has.
    fn fall_back<M: Memory>(&mut self, turn: &mut Turn<'_, M>) -> bool {
        let route = self.route(turn);
        for at in usize::from(self.pool_at) + 1..route.pools.len() {
            let pool = route.nth_pool(at, self.dice);
            let at = u8::try_from(at).expect("a checked policy bounds the pools of a route");
            if self.is_turned_away(turn, pool, at) {
                continue;
            }
            if let Acquired::Yes(permit) = self.acquire(turn, pool, false) {
                self.pool_at = at;
                self.launch(turn, permit, Kind::Fallback);
                return true;
            }
        }
        false
    }

    fn outlook<M: Memory>(&self, turn: &Turn<'_, M>, elsewhere: bool) -> Outlook {
        let gate = turn.gate;
        let wish = self.wish(self.pool(turn), elsewhere);
        gate.fleet.outlook(gate.policy(), wish, turn.now)
    }

    fn give_up<M: Memory>(&mut self, turn: &mut Turn<'_, M>, fault: Fault) {
        let until = self.comeback(turn);
        self.refuse(turn, Refusal::OutOfAttempts { fault, until });
    }

    /// When the first pool of the route can be tried again; nothing to wait for if one could be tried now.
    fn comeback<M: Memory>(&self, turn: &Turn<'_, M>) -> Instant {
        let gate = turn.gate;
        let mut earliest = Instant::FAR;
        for pool in &self.route(turn).pools {
            match gate.fleet.outlook(gate.policy(), self.wish(*pool, false), turn.now) {
                Outlook::Ready | Outlook::Full => return Instant::FAR,
                Outlook::Until(until) => earliest = earliest.min(until),
                Outlook::Never => {}
            }
        }
        earliest
    }
}
