//! Commit and after: one attempt has won, and is streamed to the client.

use super::attempts::{Attempt, Stage};
use super::{Effect, End, Lifecycle, Phase, Refusal, Turn};
use crate::fault::Fault;
use crate::gate::AttemptVerdict;
use crate::id::{AttemptId, EndpointId};
use crate::memory::Memory;
use crate::time::Instant;
use crate::usage::Usage;

impl Lifecycle {
    /// An attempt has sent its first token. From here on no other may answer.
    pub(super) fn win<M: Memory>(&mut self, turn: &mut Turn<'_, M>, id: AttemptId) {
        let Some(attempt) = self.attempts.find(id).copied() else {
            return;
        };
        if !self.outcome.first_token.is_far() {
            return;
        }
        let latency = turn.now.since(attempt.launched);
        self.outcome.first_token = turn.now;
        self.outcome.won = attempt.launched;
        self.outcome.endpoint = Some(attempt.endpoint);
        self.outcome.usage = Usage {
            input: self.request.estimate.input,
            output: 1,
        };
        let gate = turn.gate;
        gate.fleet
            .answered(gate.policy(), attempt.endpoint, attempt.launched, turn.now);
        if let Some(route) = self.request.class.route {
            gate.budgets.observe(route, self.request.stream, latency, turn.now);
        }
        if self.holds.limits.is_unsampled() {
            self.sample(turn, self.request.stream, false);
        }
        self.stop_attempts(turn, Some(id));
        if self.phase == Phase::Racing {
            self.phase = Phase::Relaying;
            turn.effects.push(Effect::Relay { attempt: id });
        }
    }

    /// The answer is complete.
    pub(super) fn complete<M: Memory>(&mut self, turn: &mut Turn<'_, M>, id: AttemptId, usage: Usage) {
        let Some(attempt) = self.attempts.remove(id) else {
            return;
        };
        self.outcome.usage = usage;
        self.pay(turn, attempt.endpoint, usage);
        let latency = self.outcome.first_token.since(attempt.launched);
        self.ended(turn, &attempt, true);
        self.release(turn, attempt.permit(), AttemptVerdict::Success { latency }, usage);
        if self.gone {
            self.drained(turn);
        } else {
            self.finish(turn, End::Completed);
        }
    }

    /// The answer broke off after its first token: nothing else can be tried.
    pub(super) fn break_off<M: Memory>(&mut self, turn: &mut Turn<'_, M>, fault: Fault) {
        let until = Instant::FAR;
        self.refuse(turn, Refusal::OutOfAttempts { fault, until });
    }

    /// Adds what an attempt cost that is over without a complete answer: what it had sent, or its prompt if it was
    /// accepted.
    pub(super) fn pay_unfinished<M: Memory>(&mut self, turn: &Turn<'_, M>, attempt: &Attempt) {
        match attempt.stage {
            Stage::Blocked | Stage::Connecting | Stage::Waiting => {}
            Stage::Accepted => {
                let input = self.request.estimate.input;
                self.pay(turn, attempt.endpoint, Usage { input, output: 0 });
            }
            Stage::Streaming => self.pay(turn, attempt.endpoint, self.outcome.usage),
        }
    }

    fn pay<M: Memory>(&mut self, turn: &Turn<'_, M>, endpoint: EndpointId, usage: Usage) {
        if let Some(price) = turn.gate.policy().endpoint(endpoint).price {
            self.outcome.spent = self.outcome.spent.and(price.rates().cost(usage));
        }
    }

    /// Stops every running attempt but `kept`.
    #[inline]
    pub(super) fn stop_attempts<M: Memory>(&mut self, turn: &mut Turn<'_, M>, kept: Option<AttemptId>) {
        if self.attempts.runs_but(kept) {
            self.stop_running(turn, kept);
        }
    }

    #[inline(never)]
    fn stop_running<M: Memory>(&mut self, turn: &mut Turn<'_, M>, kept: Option<AttemptId>) {
        while let Some(attempt) = self.attempts.pop_but(kept) {
            turn.effects.push(Effect::Cancel {
                attempt: attempt.id,
                fault: None,
            });
            self.pay_unfinished(turn, &attempt);
            let used = if attempt.stage == Stage::Streaming {
                self.outcome.usage
            } else {
                // Nobody knows how far the endpoint came; its prompt it had.
                Usage {
                    input: self.request.estimate.input,
                    output: 0,
                }
            };
            self.ended(turn, &attempt, false);
            self.release(turn, attempt.permit(), AttemptVerdict::Ignore, used);
        }
    }
}
