//! A breaker by max-fails: open, and tried by one attempt at a time.

use super::{Admission, Circuit, Health, MaxFails, ProbeSlot, Recent, Transition};

impl Health {
    /// By max-fails: an attempt is launched, as `admission` says.
    pub(super) fn launch(&mut self, law: MaxFails, admission: Admission) {
        let Recent::Fails(fails) = &mut self.recent else {
            return;
        };
        match admission {
            Admission::No { .. } => return,
            Admission::Yes => {}
            Admission::Probe(ProbeSlot(period)) => self.period = period,
        }
        law.launch(fails, self.seen);
        self.follow(law, false);
    }

    /// By max-fails: an attempt has ended.
    pub(super) fn learn(&mut self, law: MaxFails, is_failure: bool) -> Option<Transition> {
        let Recent::Fails(fails) = &mut self.recent else {
            return None;
        };
        let was_out = self.circuit != Circuit::Closed;
        // An attempt from before that fails only now prolongs the trip; one that tried, or could have been, is news.
        let is_news = !was_out || fails.is_tried();
        if is_failure {
            law.fail(fails, self.seen);
        } else {
            law.pass(fails);
        }
        self.follow(law, is_failure && is_news);
        match self.circuit {
            Circuit::Open { until, .. } if is_failure && is_news => Some(Transition::Trip { until }),
            Circuit::Closed if was_out => Some(Transition::Reset),
            Circuit::Closed | Circuit::Open { .. } | Circuit::HalfOpen { .. } => None,
        }
    }

    /// By max-fails: the attempt that tried was called off.
    pub(super) fn call_off(&mut self, law: MaxFails) {
        if let Recent::Fails(fails) = &mut self.recent {
            law.call_off(fails, self.seen);
            self.follow(law, false);
        }
    }

    /// By max-fails: the circuit is what has failed.
    fn follow(&mut self, law: MaxFails, trips_again: bool) {
        let trips = match self.circuit {
            Circuit::Open { trips, .. } => trips,
            Circuit::Closed | Circuit::HalfOpen { .. } => 0,
        };
        self.circuit = match law.out_until(&self.recent.fails()) {
            None => Circuit::Closed,
            Some(until) => Circuit::Open {
                until,
                trips: trips.saturating_add(u32::from(trips_again)),
            },
        };
    }
}
