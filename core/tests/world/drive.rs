//! The driver of a random world: it delivers inputs and performs effects, and decides nothing.

use tollgate_core::gate::GateInput;
use tollgate_core::id::{AttemptId, EndpointId, KeyId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Input, Phase, Ruling, Ticket, Verdict};
use tollgate_core::memory::Memory;
use tollgate_core::time::{Instant, Nanos};

use super::entropy::Entropy;
use super::{MILLI, Watch, World, strict};

/// Lines that are kept for people.
const REMEMBERED: usize = 60;

impl<M: Memory, E: Entropy, W: Watch> World<'_, M, E, W> {
    /// Delivers `input` to a request, performs what it asks for, and looks at the laws.
    pub(super) fn tell(&mut self, id: usize, input: Input) {
        let before = self.lives[id].lifecycle.phase();
        let was = self.lives[id].lifecycle.outcome().to_owned();
        if self.is_over(id) {
            let effects = self.take_note(id, input);
            assert!(effects.is_empty(), "effects after the end");
            return;
        }
        if let Input::Attempt { id: attempt, event } = input {
            let ends = match event {
                AttemptEvent::Finish { .. } | AttemptEvent::Fail { .. } => true,
                AttemptEvent::Open { status, .. } => 400 <= status,
                AttemptEvent::Waiting
                | AttemptEvent::Connecting
                | AttemptEvent::Connected
                | AttemptEvent::FirstToken
                | AttemptEvent::Tokens { .. } => false,
            };
            if ends {
                let open = self.lives[id].open.iter().find(|(other, _)| *other == attempt).copied();
                if let Some((_, endpoint)) = open {
                    self.cool_key(endpoint, self.lives[id].used[usize::from(attempt.0)], event);
                }
                self.close(id, attempt);
            }
        }
        if input == Input::Abandon {
            self.lives[id].gone = true;
        }
        if input == Input::Wake {
            self.lives[id].wake_at = Instant::FAR;
        }
        if let Input::Rule { ticket, ruling } = input
            && before == Phase::Asking
            && ticket == Ticket(self.lives[id].lifecycle.id())
        {
            self.lives[id].ruled = Some(ruling);
        }
        self.lives[id].was = before;
        let effects = self.take_note(id, input);
        let after = self.lives[id].lifecycle.phase();
        self.follow(id, before, input, after, &effects);
        for effect in &effects {
            self.perform(Some(id), *effect);
        }
        self.keep_books(id, &was);
        self.check_step(id, before, &effects);
        self.check();
    }

    pub(super) fn tell_gate(&mut self, input: GateInput) {
        self.gate.handle(self.now, input, &mut self.effects);
        let effects: Vec<Effect> = self.effects.drain().collect();
        self.note(format!("{:?} gate {input:?} -> {effects:?}", self.now));
        self.watch.gate(&effects);
        for effect in effects {
            self.perform(None, effect);
        }
        self.check();
    }

    /// The request handles `input`; its effects, noted.
    fn take_note(&mut self, id: usize, input: Input) -> Vec<Effect> {
        let life = &mut self.lives[id];
        let before = life.lifecycle.phase();
        life.lifecycle.handle(&self.gate, self.now, input, &mut self.effects);
        let after = life.lifecycle.phase();
        let effects: Vec<Effect> = self.effects.drain().collect();
        self.watch.step(before, input, after, &effects);
        self.note(format!(
            "{:?} {id} {before:?} {input:?} -> {after:?} {effects:?}",
            self.now
        ));
        effects
    }

    fn note(&mut self, line: String) {
        if REMEMBERED < self.past.len() {
            self.past.remove(1);
        }
        self.past.push_back(line);
    }

    fn perform(&mut self, id: Option<usize>, effect: Effect) {
        match (effect, id) {
            (Effect::WakeAt { at, .. }, Some(id)) => self.lives[id].wake_at = at,
            (Effect::Ask { ticket }, Some(id)) => self.ask(id, ticket),
            (Effect::Settle { ticket, used }, Some(id)) => {
                let life = &mut self.lives[id];
                assert_eq!(ticket.0, life.lifecycle.id(), "a ticket of another request");
                assert!(life.asked, "settled what was never asked");
                assert!(used.is_none() || 0 < life.launched, "used without an attempt");
                life.settled += 1;
            }
            (Effect::Launch { attempt, endpoint, key }, Some(id)) => self.launch(id, attempt, endpoint, key),
            (Effect::Cancel { attempt, .. }, Some(id)) => {
                assert!(self.close(id, attempt), "stopped what does not run");
            }
            (Effect::Relay { attempt }, Some(id)) => {
                let life = &mut self.lives[id];
                assert_eq!(life.relayed, None, "relayed twice");
                assert!(!life.gone && !life.refused, "relayed to nobody");
                life.relayed = Some(attempt);
            }
            (Effect::Refuse { .. }, Some(id)) => {
                let life = &mut self.lives[id];
                assert!(!life.refused && !life.gone, "refused twice, or nobody");
                life.refused = true;
            }
            (Effect::Finish, Some(id)) => self.finish(id),
            (Effect::Notify { request, verdict }, _) => {
                let other = usize::try_from(request.0).expect("a few");
                assert_ne!(Some(other), id, "word to oneself");
                let life = &mut self.lives[other];
                assert_eq!(life.lifecycle.phase(), Phase::Queued, "word to one who does not wait");
                assert_eq!(life.told, None, "told twice");
                life.told = Some(verdict);
                self.notices.push_back((other, verdict));
            }
            (Effect::WakeGateAt { at }, _) => {
                self.gate_wakes.push(at);
                let same = self.gate_wakes.iter().filter(|other| **other == at).count();
                assert!(same < 50, "wishes_do_not_pile_up: {same} at {at:?}");
            }
            (Effect::Probe { endpoint }, _) => {
                let after = Nanos::from_nanos(self.dice.below(50_000_000));
                let ok = self.dice.chance(60);
                self.probes.push((self.now + after, endpoint, ok));
            }
            (Effect::Eject { until, .. }, _) => assert!(self.now <= until, "ejected until before now"),
            (Effect::Restore { .. }, _) => {}
            (
                Effect::WakeAt { .. }
                | Effect::Ask { .. }
                | Effect::Settle { .. }
                | Effect::Launch { .. }
                | Effect::Cancel { .. }
                | Effect::Relay { .. }
                | Effect::Refuse { .. }
                | Effect::Finish,
                None,
            ) => panic!("the gate asks for nothing on behalf of a request"),
        }
    }

    fn ask(&mut self, id: usize, ticket: Ticket) {
        let charges = self.lives[id].lifecycle.request().class.charges;
        let strict = strict(self.policy(), &charges);
        assert!(
            !strict.is_empty() && !self.lives[id].asked,
            "asked for nothing, or twice"
        );
        assert_eq!(ticket.0, self.lives[id].lifecycle.id(), "a ticket of another request");
        self.lives[id].asked = true;
        let limit = self.dice.pick(&strict);
        let due = self.now + Nanos::from_nanos(self.dice.below(60_000_000));
        let later = self.now + MILLI * 100;
        let allow = Ruling::Allow { at: self.now };
        let ruling = self.dice.pick(&[
            Some(allow),
            Some(allow),
            Some(Ruling::Allow { at: later }),
            Some(Ruling::Wait { limit, until: later }),
            Some(Ruling::Never { limit }),
            Some(Ruling::Unavailable),
            None,
        ]);
        if let Some(ruling) = ruling {
            self.answers.push((due, id, ruling));
        }
    }

    fn launch(&mut self, id: usize, attempt: AttemptId, endpoint: EndpointId, key: KeyId) {
        self.check_launch(id, attempt, endpoint);
        self.check_key(endpoint, key);
        let life = &mut self.lives[id];
        life.open.push((attempt, endpoint));
        life.tried.push(endpoint);
        life.used.push(key);
        life.launched += 1;
        self.halves[endpoint.index()].out.push((id, attempt));
    }

    /// An attempt runs no more. False if it did not run.
    fn close(&mut self, id: usize, attempt: AttemptId) -> bool {
        let open = &mut self.lives[id].open;
        let Some(at) = open.iter().position(|(other, _)| *other == attempt) else {
            return false;
        };
        let (_, endpoint) = open.remove(at);
        self.halves[endpoint.index()].out.retain(|out| *out != (id, attempt));
        true
    }

    fn finish(&mut self, id: usize) {
        assert!(!self.is_over(id), "finished twice");
        self.lives[id].wake_at = Instant::FAR;
        self.open.retain(|open| *open != id);
    }

    pub(super) fn hear_notice(&mut self) {
        if let Some((id, verdict)) = self.notices.pop_front() {
            self.tell(id, Input::Dequeue { verdict });
        }
    }

    /// The first instant at which something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let wakes = self.open.iter().map(|id| self.lives[*id].wake_at);
        let gate = self.gate_wakes.iter().copied();
        let answers = self.answers.iter().map(|(at, ..)| *at);
        let probes = self.probes.iter().map(|(at, ..)| *at);
        let due = wakes.chain(gate).chain(answers).chain(probes).min()?;
        (!due.is_far()).then_some(due)
    }

    /// Lets everything happen that is due: the gate first, then word from elsewhere, then wake-ups.
    pub(super) fn let_due(&mut self) {
        let now = self.now;
        if let Some(at) = self.gate_wakes.iter().position(|at| *at <= now) {
            self.gate_wakes.swap_remove(at);
            self.tell_gate(GateInput::Wake);
        } else if let Some(at) = self.probes.iter().position(|(at, ..)| *at <= now) {
            let (_, endpoint, ok) = self.probes.swap_remove(at);
            self.tell_gate(GateInput::Probe { endpoint, ok });
        } else if let Some(at) = self.answers.iter().position(|(at, ..)| *at <= now) {
            let (_, id, ruling) = self.answers.swap_remove(at);
            let ticket = Ticket(self.lives[id].lifecycle.id());
            self.tell(id, Input::Rule { ticket, ruling });
        } else if let Some(at) = self.open.iter().position(|id| self.lives[*id].wake_at <= now) {
            self.tell(self.open[at], Input::Wake);
        }
        while self.prompt && !self.notices.is_empty() {
            self.hear_notice();
        }
    }

    /// Something due may happen, or not yet.
    pub(super) fn late(&mut self) {
        if self.next_due().is_some_and(|due| due <= self.now) {
            self.let_due();
        }
    }

    pub(super) fn is_over(&self, id: usize) -> bool {
        !self.open.contains(&id)
    }

    /// Whether the queue has said that a permit waits for this request.
    pub(super) fn is_granted(&self, id: usize) -> bool {
        self.lives[id].told == Some(Verdict::Admitted)
    }
}
