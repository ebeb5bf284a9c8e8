//! Admission: every limit at once, all or nothing, here and elsewhere.

use super::settle::Remote;
use super::{Effect, Lifecycle, Phase, Refusal, Ruling, Ticket, Turn};
use crate::gate::{LimitRefusal, Reach};
use crate::id::LimitId;
use crate::memory::Memory;
use crate::time::Instant;

impl Lifecycle {
    /// The request arrived: charge the limits of this process, then ask those elsewhere.
    pub(super) fn admit<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        if self.phase != Phase::Start {
            return;
        }
        self.outcome.arrived = turn.now;
        self.outcome.stream = self.request.stream;
        self.outcome.route = self.request.class.route;
        if self.request.class.route.is_none() {
            return self.refuse(turn, Refusal::NoRoute);
        }
        let route = self.route(turn);
        self.request.needs.region = route.require_region;
        self.total_at = turn.now + route.timeouts.total;

        let request = &self.request;
        let limits = &turn.gate.limits;
        match limits.take_all(&request.class, Reach::Local, request.estimate, turn.now) {
            Ok(granted) => self.holds.limits = granted,
            Err(refusal) => return self.refuse(turn, refusal.into()),
        }
        match limits.remote_deadline(&request.class.charges) {
            None => self.pass(turn),
            Some(deadline) => {
                self.holds.remote = Remote::Asked;
                self.phase = Phase::Asking;
                self.phase_at = turn.now + deadline;
                turn.effects.push(Effect::Ask { ticket: self.ticket() });
            }
        }
    }

    /// Limits elsewhere have answered. An answer that comes after we stopped waiting has been given back already.
    pub(super) fn rule<M: Memory>(&mut self, turn: &mut Turn<'_, M>, ticket: Ticket, ruling: Ruling) {
        if self.phase != Phase::Asking || ticket != self.ticket() {
            return;
        }
        match ruling {
            Ruling::Unavailable => self.unavailable(turn),
            Ruling::Allow { at } => {
                self.holds.remote = Remote::Charged;
                self.holds.limits.at = self.holds.limits.at.max(at);
                self.pass(turn);
            }
            Ruling::Wait { limit, until } => {
                self.holds.remote = Remote::Nothing;
                self.refuse(turn, limited(limit, until));
            }
            Ruling::Never { limit } => {
                self.holds.remote = Remote::Nothing;
                self.refuse(turn, Refusal::TooLarge { limit: Some(limit) });
            }
        }
    }

    /// Limits elsewhere do not answer: what then is the policy's to say.
    pub(super) fn unavailable<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.forget_remote(turn);
        let charges = &self.request.class.charges;
        let limits = &turn.gate.limits;
        if let Some(limit) = limits.refuses_on_outage(charges) {
            return self.refuse(turn, limited(limit, Instant::FAR));
        }
        match limits.take_all(&self.request.class, Reach::Fallback, self.request.estimate, turn.now) {
            Ok(granted) => {
                self.holds.limits = self.holds.limits.and(granted);
                self.pass(turn);
            }
            Err(refusal) => self.refuse(turn, refusal.into()),
        }
    }

    /// Every limit has let it through.
    fn pass<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        if turn.now < self.holds.limits.at {
            self.phase = Phase::Shaping;
            self.phase_at = self.holds.limits.at;
        } else {
            self.proceed(turn);
        }
    }

    /// It may look for an endpoint, and is active from now on.
    pub(super) fn proceed<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        self.begin(turn);
        self.enter(turn, 0);
    }

    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.id)
    }
}

/// Refused by a limit that lives elsewhere.
fn limited(limit: LimitId, until: Instant) -> Refusal {
    Refusal::Limited {
        limit,
        until,
        overflow: false,
    }
}

impl From<LimitRefusal> for Refusal {
    fn from(refusal: LimitRefusal) -> Refusal {
        if refusal.never {
            Refusal::TooLarge {
                limit: Some(refusal.limit),
            }
        } else {
            Refusal::Limited {
                limit: refusal.limit,
                until: refusal.until,
                overflow: refusal.overflow,
            }
        }
    }
}
