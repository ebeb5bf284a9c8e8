//! Waiting for an endpoint permit in the queue of a pool.

use super::route::Kind;
use super::{Lifecycle, Phase, Refusal, Turn, Verdict};
use crate::gate::Entry;
use crate::id::PoolId;
use crate::memory::Memory;
use crate::queue::{Claim, Removal, Waiter};
use crate::time::Instant;

impl Lifecycle {
    /// All permits of `pool` are out: wait for one, if the queue has room. False if it has not.
    pub(super) fn queue<M: Memory>(&mut self, turn: &mut Turn<'_, M>, pool: PoolId) -> bool {
        let policy = turn.gate.policy();
        let shape = &policy.pool(pool).queue;
        let expires = (turn.now + shape.wait).min(self.total_at);
        let request = &self.request;
        let waiter = Waiter {
            request: self.id,
            needs: request.needs,
            expires,
            tenant: request.tenant,
            weight: policy.weight(request.tenant),
            priority: request.priority,
            deadline: self.total_at.min(self.outcome.arrived + self.route(turn).slo.e2e),
            cost: shape.order.cost(request.estimate),
        };
        match turn.gate.fleet.enqueue(policy, pool, waiter, turn.now, turn.effects) {
            Entry::Full => return false,
            Entry::Admitted(permit) => {
                self.count(turn, permit);
                self.launch(turn, permit, Kind::First);
            }
            Entry::Waits(place) => {
                self.phase = Phase::Queued;
                self.phase_at = expires;
                self.queued = turn.now;
                self.holds.place = Some(place);
            }
        }
        true
    }

    /// Somebody says that the wait is over; the queue knows whether it is.
    pub(super) fn dequeue<M: Memory>(&mut self, turn: &mut Turn<'_, M>, verdict: Verdict) {
        let (Phase::Queued, Some(place)) = (self.phase, self.holds.place) else {
            return;
        };
        if self.total_at <= turn.now {
            return self.run_out(turn);
        }
        let pool = self.pool(turn);
        match turn.gate.fleet.claim(pool, place) {
            // Word that was meant for an earlier wait.
            Claim::Waiting => {}
            Claim::Permit(permit) => {
                self.stop_waiting(turn.now);
                self.launch(turn, permit, Kind::First);
            }
            Claim::Absent => {
                self.stop_waiting(turn.now);
                self.note(match verdict {
                    Verdict::Shed => Refusal::Shed,
                    Verdict::Admitted | Verdict::Expired => Refusal::QueueTimeout,
                });
                self.enter(turn, self.pool_at + 1);
            }
        }
    }

    /// It has waited long enough.
    pub(super) fn tire<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        let pool = self.pool(turn);
        let place = self.holds.place.expect("whoever waits has a place");
        let removal = turn.gate.fleet.leave(turn.gate.policy(), pool, place);
        self.stop_waiting(turn.now);
        match removal {
            // Handed over in the same instant: better used than passed on.
            Removal::AlreadyAdmitted(permit) => self.launch(turn, permit, Kind::First),
            Removal::Removed | Removal::Absent => {
                self.note(Refusal::QueueTimeout);
                self.enter(turn, self.pool_at + 1);
            }
        }
    }

    /// Its place in the queue is no longer its own.
    pub(super) fn stop_waiting(&mut self, now: Instant) {
        self.holds.place = None;
        self.outcome.queue_wait += now.since(self.queued);
    }
}
