//! Attempts that run, and none has sent a token: who wins, who fails, who takes too long.

use super::attempts::Stage;
use super::{AttemptEvent, Effect, ErrorCode, Lifecycle, Phase, Status, Turn};
use crate::fault::Fault;
use crate::gate::AttemptVerdict;
use crate::id::AttemptId;
use crate::memory::Memory;
use crate::time::Nanos;
use crate::usage::Usage;

impl Lifecycle {
    /// Something happened to an attempt. Attempts that were stopped are not heard any more.
    pub(super) fn hear<M: Memory>(&mut self, turn: &mut Turn<'_, M>, id: AttemptId, event: AttemptEvent) {
        let timeouts = match self.request.class.route {
            Some(_) => self.route(turn).timeouts,
            None => return,
        };
        let stream = self.request.stream;
        let Some(attempt) = self.attempts.find(id) else {
            return;
        };
        match event {
            AttemptEvent::Waiting => attempt.connects(Stage::Blocked),
            AttemptEvent::Connecting => attempt.connects(Stage::Connecting),
            AttemptEvent::Connected => attempt.connected(stream, &timeouts),
            AttemptEvent::Open { status, .. } if status < 400 => attempt.accepted(stream, &timeouts),
            AttemptEvent::Open {
                status,
                code,
                retry_after,
            } => self.fail(turn, id, Fault::of(status, code), Some(status), retry_after),
            AttemptEvent::Fail { fault } => self.fail(turn, id, fault, None, None),
            AttemptEvent::FirstToken => {
                attempt.heard(turn.now, &timeouts);
                self.win(turn, id);
            }
            AttemptEvent::Tokens { count } => {
                attempt.heard(turn.now, &timeouts);
                self.win(turn, id);
                self.outcome.usage.output = self.outcome.usage.output.saturating_add(count);
            }
            AttemptEvent::Finish { usage } => {
                self.win(turn, id);
                self.complete(turn, id, usage);
            }
        }
    }

    /// An attempt has lasted too long in its present stage.
    pub(super) fn time_out<M: Memory>(&mut self, turn: &mut Turn<'_, M>, id: AttemptId) {
        let Some(attempt) = self.attempts.find(id) else {
            return;
        };
        let fault = match attempt.stage {
            Stage::Blocked => Fault::NoConnection,
            Stage::Connecting => Fault::Connect,
            Stage::Waiting | Stage::Accepted | Stage::Streaming => Fault::Timeout,
        };
        let cancel = Effect::Cancel {
            attempt: id,
            fault: Some(fault),
        };
        turn.effects.push(cancel);
        self.fail(turn, id, fault, None, None);
    }

    /// An attempt has failed: its endpoint is told, and unless others still run something else is tried.
    fn fail<M: Memory>(
        &mut self,
        turn: &mut Turn<'_, M>,
        id: AttemptId,
        fault: Fault,
        status: Option<Status>,
        retry_after: Option<Nanos>,
    ) {
        let Some(attempt) = self.attempts.remove(id) else {
            return;
        };
        self.pay_unfinished(turn, &attempt);
        let verdict = AttemptVerdict::Fault {
            fault,
            status,
            retry_after,
        };
        let used = if attempt.stage == Stage::Streaming {
            self.outcome.usage
        } else {
            Usage::default()
        };
        if attempt.stage != Stage::Streaming {
            turn.gate.fleet.unanswered(attempt.endpoint, fault, status, turn.now);
        }
        self.ended(turn, &attempt, false);
        self.release(turn, attempt.permit(), verdict, used);
        self.last_fault = Some(fault);
        if !self.attempts.is_idle() {
            return;
        }
        match self.phase {
            Phase::Relaying => self.break_off(turn, fault),
            Phase::Draining => self.drained(turn),
            Phase::Racing if self.total_at <= turn.now => self.run_out(turn),
            Phase::Racing => self.try_again(turn, fault),
            Phase::Start | Phase::Asking | Phase::Shaping | Phase::Queued | Phase::BackingOff | Phase::Settled => {}
        }
    }
}

impl Fault {
    /// The fault that an answer with this error `status` stands for.
    #[must_use]
    pub fn of(status: Status, code: Option<ErrorCode>) -> Fault {
        match (status, code) {
            (_, Some(ErrorCode::InsufficientQuota)) | (402, None) => Fault::QuotaExhausted,
            (429, None) => Fault::RateLimited,
            (401 | 403, None) => Fault::Credential,
            (408, None) => Fault::Timeout,
            (409 | 425 | 503 | 529, None) => Fault::Overloaded,
            (500.., None) => Fault::Server,
            (_, None) => Fault::Client,
        }
    }
}
