//! What happens while no request runs: the gate's wake-ups, health checks, connections that nobody uses.
//!
//! One task for a gateway. Requests, on whatever thread, leave their wishes here: [`Effect::WakeGateAt`] and
//! [`Effect::Probe`]. The simulator has the gate's events in its list instead.
//!
//! | Law | Test |
//! |---|---|
//! | The gate is woken at each instant that was wished for, and not before. | `each_wish_comes_in_its_time` |
//! | Wishes take up a bounded number of places, and none is lost. | `wishes_are_bounded` |
//!
//! [`Effect::WakeGateAt`]: tollgate_core::lifecycle::Effect::WakeGateAt
//! [`Effect::Probe`]: tollgate_core::lifecycle::Effect::Probe

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use tollgate_core::gate::GateInput;
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::Effects;
use tollgate_core::time::{Instant, Nanos};

use crate::clock::{Clock, Timer};
use crate::gateway::Gateway;
use crate::upstream::Check;

/// Where requests leave what they ask of the gate.
#[derive(Debug)]
pub(crate) struct Keeper {
    clock: Arc<dyn Clock>,
    wishes: Mutex<Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    /// When the gate wants to be woken. Each wish has a timer, set as it was made: among wishes of one instant, those of
    /// requests included, the first that was made comes first, as in the simulator's list.
    wakes: BTreeMap<Instant, Box<dyn Timer>>,
    /// Whose health is to be checked.
    probes: Vec<EndpointId>,
    /// Nobody needs the gate any more.
    ended: bool,
    waker: Option<Waker>,
}

impl Keeper {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Keeper {
        Keeper {
            clock: Arc::clone(clock),
            wishes: Mutex::new(Wishes::default()),
        }
    }

    /// Wakes the gate at `at`, beside any earlier wish.
    pub(crate) fn wake_at(&self, at: Instant) {
        self.tell(|wishes| {
            // Beyond the bound a wake-up may come a little later, never earlier.
            let crowded = MOST_WISHES <= wishes.wakes.len();
            let at = if crowded { round_up(at) } else { at };
            wishes.wakes.entry(at).or_insert_with(|| {
                let mut timer = self.clock.timer();
                timer.set(at);
                timer
            });
        });
    }

    /// Checks the health of `endpoint`.
    pub(crate) fn probe(&self, endpoint: EndpointId) {
        self.tell(|wishes| wishes.probes.push(endpoint));
    }

    /// The gateway is no more.
    pub(crate) fn end(&self) {
        self.tell(|wishes| wishes.ended = true);
    }

    fn tell(&self, wish: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.lock();
        wish(&mut wishes);
        let waker = wishes.waker.take();
        drop(wishes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        // No call leaves it half changed.
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    /// Ready when the first wish has come; one wake-up does for all that have come by `now`.
    fn poll(&mut self, cx: &mut Context<'_>, clock: &dyn Clock) -> Poll<()> {
        let Some(mut first) = self.wakes.first_entry() else {
            return Poll::Pending;
        };
        ready!(first.get_mut().poll(cx));
        let now = clock.now();
        self.wakes = self.wakes.split_off(&(now + Nanos::from_nanos(1)));
        Poll::Ready(())
    }
}

/// The task.
pub(crate) struct Keeping {
    keeper: Arc<Keeper>,
    gateway: Weak<Gateway>,
    clock: Arc<dyn Clock>,
    /// Rings when connections, and keys of limits, are looked through next.
    sweep: Box<dyn Timer>,
    checks: Vec<Check>,
    effects: Effects,
}

/// What is due.
enum Due {
    /// To be delivered to the gate.
    Input(GateInput),
    /// Idle connections are to be closed, and idle keys forgotten.
    Sweep,
    /// Nothing will be any more.
    End,
}

impl Keeping {
    pub(crate) fn new(gateway: &Arc<Gateway>) -> Keeping {
        let mut sweep = gateway.clock.timer();
        sweep.set(gateway.clock.now() + gateway.settings.upstream.idle);
        Keeping {
            keeper: Arc::clone(&gateway.keeper),
            gateway: Arc::downgrade(gateway),
            clock: Arc::clone(&gateway.clock),
            sweep,
            checks: Vec::new(),
            effects: Effects::new(),
        }
    }

    /// Delivers to the gate what is due, until the gateway is no more.
    pub(crate) async fn keep(mut self) {
        loop {
            let due = std::future::poll_fn(|cx| self.next(cx)).await;
            let Some(gateway) = self.gateway.upgrade() else {
                return;
            };
            match due {
                Due::Input(input) => gateway.advance(self.clock.now(), input, &mut self.effects),
                Due::Sweep => {
                    let now = self.clock.now();
                    gateway.upstreams.sweep(now);
                    gateway.gate.forget(now);
                    self.sweep.set(now + gateway.settings.upstream.idle);
                }
                Due::End => return,
            }
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        self.begin_checks();
        for at in 0..self.checks.len() {
            if let Poll::Ready(ok) = self.checks[at].poll(cx) {
                let endpoint = self.checks.swap_remove(at).endpoint();
                return Poll::Ready(Due::Input(GateInput::Probe { endpoint, ok }));
            }
        }
        let mut wishes = self.keeper.lock();
        if wishes.ended {
            return Poll::Ready(Due::End);
        }
        // Whatever comes from here on wakes this task.
        wishes.waker = Some(cx.waker().clone());
        if wishes.poll(cx, &*self.clock).is_ready() {
            return Poll::Ready(Due::Input(GateInput::Wake));
        }
        drop(wishes);
        self.sweep.poll(cx).map(|()| Due::Sweep)
    }

    /// Begins the health checks that were asked for.
    fn begin_checks(&mut self) {
        let asked = std::mem::take(&mut self.keeper.lock().probes);
        if asked.is_empty() {
            return;
        }
        if let Some(gateway) = self.gateway.upgrade() {
            let now = self.clock.now();
            self.checks
                .extend(asked.into_iter().filter_map(|endpoint| gateway.check(endpoint, now)));
        }
    }
}

/// The next whole second.
fn round_up(at: Instant) -> Instant {
    const SECOND: u64 = 1_000_000_000;
    Instant::from_nanos(at.as_nanos().div_ceil(SECOND).saturating_mul(SECOND))
}

/// Wishes that are kept apart; further ones are rounded up to whole seconds, of which there are few: no ejection is
/// longer than an hour.
const MOST_WISHES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn each_wish_comes_in_its_time() {
        let clock = ManualClock::new();
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let keeper = Keeper::new(&time);
        for nanos in [30, 10, 20, 10] {
            keeper.wake_at(at(nanos));
        }
        let mut rang = Vec::new();
        let cx = &mut Context::from_waker(Waker::noop());
        while !keeper.lock().wakes.is_empty() {
            let is_due = keeper.lock().poll(cx, &clock).is_ready();
            if is_due {
                rang.push(clock.now());
            } else {
                assert!(clock.advance(), "a wish is left");
            }
        }
        assert_eq!(rang, [at(10), at(20), at(30)]);
    }

    #[test]
    fn wishes_are_bounded() {
        let time: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let keeper = Keeper::new(&time);
        let hour = 3_600_000_000_000_u64;
        for number in 0..100_000 {
            keeper.wake_at(at(number * (hour / 100_000)));
        }
        let wishes = keeper.lock();
        assert!(wishes.wakes.len() <= MOST_WISHES + 3600);
        let last = at(99_999 * (hour / 100_000));
        let latest = wishes.wakes.last_key_value().map(|(at, _)| *at);
        assert!(latest.is_some_and(|latest| last <= latest), "the last is not lost");
    }
}
