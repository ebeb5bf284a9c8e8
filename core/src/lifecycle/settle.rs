//! The end, whichever it is: everything that was taken is given back or trued up, once.

use super::attempts::Attempt;
use super::{Effect, End, Lifecycle, Phase, Refusal, Turn};
use crate::dice::Purpose;
use crate::fault::Fault;
use crate::gate::{AttemptVerdict, Fared, Granted, Used, Withdrawal};
use crate::id::AttemptId;
use crate::memory::Memory;
use crate::queue::{Permit, Place, Removal};
use crate::usage::Usage;

/// Everything that was taken and not yet given back; permits are with the attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holds {
    /// Charges of limits in this process.
    pub(super) limits: Granted,
    /// Charges of limits elsewhere.
    pub(super) remote: Remote,
    /// A place in the queue of the pool being tried.
    pub(super) place: Option<Place>,
    /// The price of a retry that has not been launched.
    pub(super) withdrawal: Option<Withdrawal>,
    /// The retry that runs: there is one at most, for it begins when nothing else runs.
    pub(super) retry: Option<AttemptId>,
    /// Whether it is counted as active, for a budget that goes by that.
    pub(super) is_counted: bool,
}

/// What is charged elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Remote {
    /// Nothing.
    #[default]
    Nothing,
    /// Perhaps something: no answer yet.
    Asked,
    /// The estimate.
    Charged,
}

impl Lifecycle {
    /// Answers the client ourselves, and ends.
    pub(super) fn refuse<M: Memory>(&mut self, turn: &mut Turn<'_, M>, refusal: Refusal) {
        let end = if self.gone {
            End::Abandoned
        } else if self.outcome.attempts == 0 {
            End::Refused { refusal }
        } else {
            End::Failed { refusal }
        };
        self.stop_attempts(turn, None);
        if !self.gone {
            turn.effects.push(Effect::Refuse { refusal });
        }
        self.finish(turn, end);
    }

    /// The total timeout has passed.
    pub(super) fn run_out<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.refuse(turn, Refusal::Deadline);
    }

    /// The client went away: what runs for it is stopped, or left to finish if the policy says so.
    pub(super) fn abandon<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        match self.phase {
            Phase::Settled | Phase::Draining => {}
            Phase::Start => {
                self.outcome.arrived = turn.now;
                self.finish(turn, End::Abandoned);
            }
            Phase::Racing | Phase::Relaying if !self.route(turn).cancel_on_abandon => {
                self.gone = true;
                self.phase = Phase::Draining;
            }
            Phase::Asking | Phase::Shaping | Phase::Queued | Phase::Racing | Phase::BackingOff | Phase::Relaying => {
                self.stop_attempts(turn, None);
                self.finish(turn, End::Abandoned);
            }
        }
    }

    /// The last attempt of a client that has gone is over.
    pub(super) fn drained<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.finish(turn, End::Abandoned);
    }

    /// Gives everything back and ends. No attempt runs any more.
    pub(super) fn finish<M: Memory>(&mut self, turn: &mut Turn<'_, M>, end: End) {
        debug_assert!(self.attempts.is_idle(), "attempts are stopped before the end");
        debug_assert_eq!(self.holds.retry, None, "a retry ends with its attempt");
        self.leave_queue(turn);
        self.return_withdrawal(turn);
        self.uncount(turn);
        self.sample_end(turn, end);
        self.settle_limits(turn, end);
        self.outcome.end = end;
        self.outcome.finished = turn.now;
        self.phase = Phase::Settled;
        turn.effects.push(Effect::Finish);
    }

    /// Tells the limits that adapt how the request fares.
    pub(super) fn sample<M: Memory>(&mut self, turn: &mut Turn<'_, M>, timed: bool, dropped: bool) {
        let fared = Fared {
            prompt: self.request.estimate.input,
            timed,
            dropped,
        };
        let charges = &self.request.class.charges;
        let rng = self.dice.roll(Purpose::Limit, 0);
        let limits = &turn.gate.limits;
        limits.sample_all(charges, &mut self.holds.limits, fared, turn.now, &rng);
    }

    /// The same at the `end` of a request that has had no token: only what overload has ended tells anything, and of that
    /// only what was waited for has a latency.
    fn sample_end<M: Memory>(&mut self, turn: &mut Turn<'_, M>, end: End) {
        if !self.holds.limits.is_unsampled() {
            return;
        }
        let (End::Failed { refusal } | End::Refused { refusal }) = end else {
            return;
        };
        match refusal {
            Refusal::QueueTimeout
            | Refusal::Deadline
            | Refusal::OutOfAttempts {
                fault: Fault::Timeout, ..
            } => self.sample(turn, true, true),
            Refusal::QueueFull
            | Refusal::Shed
            | Refusal::OutOfAttempts {
                fault: Fault::RateLimited | Fault::Overloaded,
                ..
            } => self.sample(turn, false, true),
            Refusal::OutOfAttempts {
                fault:
                    Fault::Connect
                    | Fault::NoConnection
                    | Fault::Server
                    | Fault::Client
                    | Fault::Stream
                    | Fault::QuotaExhausted
                    | Fault::Credential,
                ..
            }
            | Refusal::Limited { .. }
            | Refusal::NoEndpoint { .. }
            | Refusal::NoRoute
            | Refusal::TooLarge { .. }
            | Refusal::Unauthorized => {}
        }
    }

    /// Gives up on limits elsewhere: whatever they charge, now or later, they are to give back.
    pub(super) fn forget_remote<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.holds.remote = Remote::Nothing;
        turn.effects.push(Effect::Settle {
            ticket: self.ticket(),
            used: None,
        });
    }

    /// Gives back the price of a retry that was not launched.
    pub(super) fn return_withdrawal<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        if let (Some(what), Some(route)) = (self.holds.withdrawal.take(), self.request.class.route) {
            turn.gate.budgets.refund(route, what, turn.now);
        }
    }

    /// Counts it as active, if a budget goes by that.
    #[inline]
    pub(super) fn begin<M: Memory>(&mut self, turn: &Turn<'_, M>) {
        if let Some(route) = self.request.class.route {
            self.holds.is_counted = turn.gate.budgets.begin(route);
        }
    }

    fn uncount<M: Memory>(&mut self, turn: &Turn<'_, M>) {
        if let (true, Some(route)) = (core::mem::take(&mut self.holds.is_counted), self.request.class.route) {
            turn.gate.budgets.end(route);
        }
    }

    /// An attempt runs no more, and has answered `complete`ly or has not: whoever adds up what runs is told.
    #[inline]
    pub(super) fn ended<M: Memory>(&mut self, turn: &Turn<'_, M>, attempt: &Attempt, complete: bool) {
        let gate = turn.gate;
        let ended = attempt.ended(self.request.estimate, complete);
        gate.fleet.ended(gate.policy(), attempt.endpoint, ended, turn.now);
        let retry = self.holds.retry.take_if(|retry| *retry == attempt.id);
        if let (Some(_), Some(route)) = (retry, self.request.class.route) {
            gate.budgets.retried(route);
        }
    }

    fn leave_queue<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        let Some(place) = self.holds.place else {
            return;
        };
        let pool = self.pool(turn);
        let gate = turn.gate;
        let removal = gate.fleet.leave(gate.policy(), pool, place);
        self.stop_waiting(turn.now);
        if let Removal::AlreadyAdmitted(permit) = removal {
            // Handed over just now: it goes on to the next in the queue.
            self.release(turn, permit, AttemptVerdict::Ignore, Usage::default());
        }
    }

    /// A permit comes back. Fair queues hear first of what was used with it: it goes to whoever is next then.
    pub(super) fn release<M: Memory>(
        &self,
        turn: &mut Turn<'_, M>,
        permit: Permit,
        verdict: AttemptVerdict,
        used: Usage,
    ) {
        let (gate, policy) = (turn.gate, turn.gate.policy());
        let (tenant, estimate) = (self.request.tenant, self.request.estimate);
        gate.fleet.true_up(policy, permit.endpoint, tenant, estimate, used);
        gate.fleet.release(policy, permit, verdict, turn.now, turn.effects);
    }

    /// Charges what was used. Where nothing was launched, nothing was used, and nothing was ever charged.
    fn settle_limits<M: Memory>(&mut self, turn: &mut Turn<'_, M>, end: End) {
        let launched = 0 < self.outcome.attempts;
        let used = self.outcome.usage;
        let granted = core::mem::take(&mut self.holds.limits);
        if !granted.is_empty() {
            let limits = &turn.gate.limits;
            let (class, estimate) = (&self.request.class, self.request.estimate);
            if launched {
                let spent = self.outcome.spent;
                let complete = end == End::Completed;
                let used = Used {
                    usage: used,
                    spent,
                    complete,
                };
                limits.settle_all(class, granted, estimate, used, turn.now);
            } else {
                limits.undo_all(class, granted, estimate, turn.now);
            }
        }
        if core::mem::take(&mut self.holds.remote) != Remote::Nothing {
            turn.effects.push(Effect::Settle {
                ticket: self.ticket(),
                used: launched.then_some(used),
            });
        }
    }
}

impl Drop for Lifecycle {
    /// Settling needs a clock, so it cannot happen here: a driver that drops a request in the middle of its life
    /// delivers [`Input::Abandon`](super::Input::Abandon) first.
    fn drop(&mut self) {
        debug_assert!(
            self.phase == Phase::Start || self.phase == Phase::Settled || is_panicking(),
            "a request is settled before it is dropped"
        );
    }
}

/// Whether a test is failing already.
fn is_panicking() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    false
}
