//! Effects become events; each has one line here and one in the proxy.

use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{Effect, Input};
use tollgate_mock_llm::model::{Backend, Probe};

use super::{Engine, Event, Key};
use crate::record::Observer;

impl<O: Observer> Engine<'_, O> {
    /// Performs what was asked for: by request `key`, or by the gate.
    #[inline]
    pub(super) fn perform(&mut self, key: Option<Key>) {
        if !self.effects.as_slice().is_empty() {
            self.perform_all(key);
        }
    }

    fn perform_all(&mut self, key: Option<Key>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.as_slice() {
            match (*effect, key) {
                (Effect::WakeAt { at, reason }, Some(key)) => self.wake_at(key, at, reason),
                // A backend knows one quota, whichever key asks.
                (
                    Effect::Launch {
                        attempt,
                        endpoint,
                        key: _,
                    },
                    Some(key),
                ) => self.launch(key, attempt, endpoint),
                (Effect::Cancel { attempt, fault }, Some(key)) => self.cancel(key, attempt, fault),
                (Effect::Ask { ticket }, Some(key)) => self.ask(key, ticket),
                (Effect::Settle { ticket, used }, _) => self.settle(ticket, used),
                (Effect::Finish, Some(key)) => self.finish(key),
                (Effect::Relay { .. }, Some(key)) => self.relay(key),
                // The refusal itself: nobody reads it here, its consequences are in the outcome.
                (Effect::Refuse { .. }, _) => {}
                (Effect::Notify { request, verdict }, _) => {
                    self.inbox
                        .push_back((Key::unpack(request.0), Input::Dequeue { verdict }));
                }
                (Effect::WakeGateAt { at }, _) => self.events.push(at, Event::WakeGate),
                (Effect::Probe { endpoint }, _) => self.probe(endpoint),
                (
                    Effect::Eject {
                        endpoint,
                        ejection,
                        until,
                    },
                    _,
                ) => {
                    self.recorder
                        .ejected(&self.plan.policy, endpoint, ejection, self.now, until);
                }
                (Effect::Restore { endpoint }, _) => self.recorder.restored(endpoint, self.now),
                (
                    Effect::WakeAt { .. }
                    | Effect::Launch { .. }
                    | Effect::Cancel { .. }
                    | Effect::Ask { .. }
                    | Effect::Relay { .. }
                    | Effect::Finish,
                    None,
                ) => unreachable!("the gate asks for nothing on behalf of a request"),
            }
        }
        effects.clear();
        self.effects = effects;
    }

    fn wake_at(&mut self, key: Key, at: tollgate_core::time::Instant, reason: tollgate_core::lifecycle::Timer) {
        let Some(life) = self.lives.find(key) else {
            return;
        };
        life.wanted = at;
        life.reason = reason;
        if at < life.scheduled {
            life.scheduled = at;
            self.events.push_lane(reason.kind(), at, Event::Wake { life: key });
        }
    }

    /// An attempt has won: its tokens are on their way to the client.
    fn relay(&mut self, key: Key) {
        if let Some(life) = self.lives.find(key) {
            self.recorder.first_token(self.now, life.lifecycle.outcome());
        }
    }

    /// An active health check, judged by what the backend would answer.
    fn probe(&mut self, endpoint: EndpointId) {
        let pool = self.plan.policy.pool(self.plan.policy.endpoint(endpoint).pool);
        let Some(check) = &pool.probe else {
            return;
        };
        let backend = &self.backends[usize::from(self.plan.backend_of[endpoint.index()])];
        let hop = self
            .plan
            .network
            .gateway_to_backend
            .draw(self.dice.request(u64::MAX), 0)
            * 2;
        let (after, ok) = match backend.probe(self.now) {
            Probe::Answer { after, status } if after + hop <= check.timeout => (after + hop, status < 400),
            Probe::Answer { .. } | Probe::Silence => (check.timeout, false),
            Probe::Refused => (hop, false),
        };
        self.events.push(self.now + after, Event::Probe { endpoint, ok });
    }
}
