//! Effects become I/O; each has one line here and one in the simulator.

use tollgate_core::lifecycle::Effect;
use tollgate_core::time::Instant;

use crate::exchange::Exchange;
use crate::gateway::Gateway;

impl Exchange {
    /// Performs what the lifecycle asked for.
    pub(crate) fn perform(&mut self, gateway: &Gateway, now: Instant) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.as_slice() {
            gateway.perform(Some(self), now, *effect);
        }
        effects.clear();
        self.effects = effects;
    }
}

impl Gateway {
    /// Performs one effect: of a request, or of the gate.
    pub(crate) fn perform(&self, of: Option<&mut Exchange>, now: Instant, effect: Effect) {
        match (effect, of) {
            (Effect::WakeAt { at, .. }, Some(exchange)) => exchange.wake_at(at),
            (Effect::Launch { attempt, endpoint, key }, Some(exchange)) => exchange.launch(attempt, endpoint, key, now),
            (Effect::Cancel { attempt, fault }, Some(exchange)) => exchange.cancel(attempt, fault),
            (Effect::Ask { ticket }, Some(exchange)) => exchange.ask(ticket),
            // There is no store that could have charged anything.
            (Effect::Settle { .. }, _) => {}
            (Effect::Finish, Some(exchange)) => exchange.finish(),
            (Effect::Relay { attempt }, Some(exchange)) => exchange.relay(attempt),
            (Effect::Refuse { refusal }, Some(exchange)) => exchange.refuse(refusal),
            (Effect::Notify { request, verdict }, _) => self.mailboxes.post(request, verdict),
            (Effect::WakeGateAt { at }, _) => self.keeper.wake_at(at),
            (Effect::Probe { endpoint }, _) => self.keeper.probe(endpoint),
            (
                Effect::Eject {
                    endpoint,
                    ejection,
                    until,
                },
                _,
            ) => self.observer.ejected(endpoint, ejection, now, until),
            (Effect::Restore { endpoint }, _) => self.observer.restored(endpoint),
            (
                Effect::WakeAt { .. }
                | Effect::Launch { .. }
                | Effect::Cancel { .. }
                | Effect::Ask { .. }
                | Effect::Relay { .. }
                | Effect::Refuse { .. }
                | Effect::Finish,
                None,
            ) => unreachable!("the gate asks for nothing on behalf of a request"),
        }
    }
}
