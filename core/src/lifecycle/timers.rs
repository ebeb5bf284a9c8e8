//! Everything a request waits for time to bring, as one wake-up.

use super::{Effect, Lifecycle, Phase, Turn};
use crate::id::AttemptId;
use crate::memory::Memory;
use crate::time::Instant;

/// Why a request wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// It may not take longer, whatever was tried.
    Total,
    /// Remote limits have not answered.
    Ask,
    /// A shaping limit lets it go on.
    Shape,
    /// It has waited long enough for a permit.
    Queue,
    /// The delay before a retry is over.
    Backoff,
    /// The running attempt has been silent for long.
    Hedge,
    /// An attempt is not connected.
    Connect(AttemptId),
    /// An attempt has not sent its first token.
    FirstToken(AttemptId),
    /// An attempt has stopped sending.
    Idle(AttemptId),
}

impl Timer {
    /// How many kinds there are.
    pub const KINDS: usize = 9;

    /// A small number for its kind: wake-ups of one kind mostly have one length.
    #[must_use]
    pub const fn kind(self) -> usize {
        match self {
            Timer::Total => 0,
            Timer::Ask => 1,
            Timer::Shape => 2,
            Timer::Queue => 3,
            Timer::Backoff => 4,
            Timer::Hedge => 5,
            Timer::Connect(_) => 6,
            Timer::FirstToken(_) => 7,
            Timer::Idle(_) => 8,
        }
    }
}

impl Lifecycle {
    /// The next instant at which time alone changes something, and why.
    fn earliest(&self) -> (Instant, Timer) {
        let mut next = (self.total_at, Timer::Total);
        let mut consider = |at: Instant, timer: Timer| {
            if at < next.0 {
                next = (at, timer);
            }
        };
        match self.phase {
            Phase::Asking => consider(self.phase_at, Timer::Ask),
            Phase::Shaping => consider(self.phase_at, Timer::Shape),
            Phase::Queued => consider(self.phase_at, Timer::Queue),
            Phase::BackingOff => consider(self.phase_at, Timer::Backoff),
            Phase::Racing => consider(self.phase_at, Timer::Hedge),
            Phase::Start | Phase::Relaying | Phase::Draining | Phase::Settled => {}
        }
        for attempt in self.attempts.live() {
            consider(attempt.deadline, attempt.timer());
        }
        next
    }

    /// Asks to be woken for the earliest timer, if that is news.
    #[inline]
    pub(super) fn rearm<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        if self.phase == Phase::Settled {
            return;
        }
        let (at, reason) = self.earliest();
        if at != self.armed {
            self.armed = at;
            turn.effects.push(Effect::WakeAt { at, reason });
        }
    }

    /// Lets every timer that is due take effect, the earliest first.
    pub(super) fn wake<M: Memory>(&mut self, turn: &mut Turn<'_, M>) {
        while self.phase != Phase::Settled {
            let (at, timer) = self.earliest();
            if turn.now < at || at.is_far() {
                // The wake-up has been used up, and a driver keeps no other.
                self.armed = Instant::FAR;
                return;
            }
            let is_late = self.total_at <= turn.now;
            match timer {
                Timer::Total => self.run_out(turn),
                // Woken late: what these would launch would have to stop at once.
                Timer::Shape | Timer::Queue | Timer::Backoff | Timer::Hedge if is_late => self.run_out(turn),
                Timer::Ask => self.unavailable(turn),
                Timer::Shape => self.proceed(turn),
                Timer::Queue => self.tire(turn),
                Timer::Backoff => self.resume(turn),
                Timer::Hedge => self.hedge(turn),
                Timer::Connect(id) | Timer::FirstToken(id) | Timer::Idle(id) => self.time_out(turn, id),
            }
        }
    }
}
