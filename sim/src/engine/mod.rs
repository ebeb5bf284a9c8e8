//! The driver of virtual time: one replication of one strategy.
//!
//! It performs what the lifecycle asks for by putting events into a list, and delivers what comes out of it.
//! It is the twin of the proxy's driver and decides nothing.

mod clients;
mod perform;
mod plan;
mod queue;
mod slab;
mod store;
mod wire;

use tollgate_core::dice::Dice;
use tollgate_core::gate::{Gate, GateInput};
use tollgate_core::id::{AttemptId, EndpointId};
use tollgate_core::lifecycle::{Effects, Input, Lifecycle, Timer};
use tollgate_core::memory::Local;
use tollgate_core::time::Instant;
use tollgate_mock_llm::model::{AnyBackend, JobId, Output, WakeKey};

pub use plan::{Delay, Network, Plan, PlanError};
pub use queue::Events;

use self::clients::CallState;
use self::slab::{Key, Slab};
use self::store::Store;
use self::wire::Parcel;
use crate::record::{Observer, Record, Recorder, Slots};
use crate::workload::{Arrivals, Call};

/// One replication of one strategy, in the middle of its run.
pub struct Engine<'a, O: Observer> {
    plan: &'a Plan,
    gate: Gate<Local>,
    dice: Dice,
    now: Instant,
    events: Events<Event>,
    lives: Slab<Life>,
    calls: Slab<CallState>,
    parcels: Slab<Parcel>,
    backends: Vec<AnyBackend>,
    store: Store,
    arrivals: Option<Arrivals>,
    /// Calls that have begun.
    begun: u64,
    effects: Effects,
    outputs: Vec<Output>,
    inbox: Inbox,
    recorder: Recorder<O>,
}

/// What happens at an instant.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The next call of the arrival process comes.
    Arrive,
    /// A user of a closed workload has thought enough.
    Think { user: u32 },
    /// A request of this call reaches the gateway.
    Begin { call: Key },
    /// A request wants to be woken.
    Wake { life: Key },
    /// A backend wants to be called.
    Backend { backend: u16, key: WakeKey },
    /// Something arrives that was under way.
    Parcel { parcel: Key },
    /// The gate wants to be woken.
    WakeGate,
    /// An active health check is over.
    Probe { endpoint: EndpointId, ok: bool },
    /// The client's own timeout for a request.
    TimeOut { life: Key },
    /// The person behind a call has no more patience.
    Leave { call: Key },
}

/// Lanes of the event list: one a kind of wake-up, and these.
const LANE_ARRIVE: usize = Timer::KINDS;
const LANE_TIME_OUT: usize = Timer::KINDS + 1;
const LANE_OUT: usize = Timer::KINDS + 2;
const LANE_BACK: usize = Timer::KINDS + 3;
const LANES: usize = Timer::KINDS + 4;

/// Inputs that are to be delivered at the present instant, in order.
#[derive(Debug, Default)]
struct Inbox {
    list: Vec<(Key, Input)>,
    /// How many have been taken out.
    read: usize,
}

impl Inbox {
    #[inline]
    fn push_back(&mut self, input: (Key, Input)) {
        self.list.push(input);
    }

    #[inline]
    fn pop_front(&mut self) -> Option<(Key, Input)> {
        let next = self.list.get(self.read).copied();
        if next.is_some() {
            self.read += 1;
        } else {
            self.list.clear();
            self.read = 0;
        }
        next
    }
}

/// A request and what its driver has to remember.
struct Life {
    lifecycle: Lifecycle,
    /// What is asked for, and by which call.
    asked: Call,
    call: Key,
    /// When it wants to be woken.
    wanted: Instant,
    reason: Timer,
    /// The earliest wake-up in the event list.
    scheduled: Instant,
    jobs: [Option<JobRef>; 3],
}

/// An attempt at a backend.
#[derive(Clone, Copy, Debug)]
struct JobRef {
    attempt: AttemptId,
    endpoint: EndpointId,
    /// None while it is under way.
    job: Option<JobId>,
    connected: bool,
    /// Tokens that have been delivered.
    seen: u32,
}

/// How often a run looks up from its work: for progress, and to see whether it is to stop.
const BREATH: u64 = 1 << 12;

impl<'a, O: Observer> Engine<'a, O> {
    /// Replication `number` of `plan`, at its beginning.
    #[must_use]
    pub fn new(plan: &'a Plan, number: u64, observer: O) -> Engine<'a, O> {
        let dice = Dice::new(plan.seed).branch(number);
        Engine {
            gate: Gate::new(plan.policy.clone()),
            dice,
            now: Instant::EPOCH,
            events: Events::new(LANES),
            lives: Slab::new(),
            calls: Slab::new(),
            parcels: Slab::new(),
            backends: plan.build_backends(dice),
            store: Store::new(&plan.policy, dice),
            arrivals: plan.workload.arrivals(dice),
            begun: 0,
            effects: Effects::new(),
            outputs: Vec::new(),
            inbox: Inbox::default(),
            recorder: Recorder::new(plan, observer),
            plan,
        }
    }

    /// Runs to the end: until everything that arrived has been answered.
    ///
    /// `breathe` is called now and then with the number of requests begun; if it answers false the run stops, and
    /// there is no record.
    pub fn run(mut self, mut breathe: impl FnMut(u64) -> bool) -> Option<Record<O>> {
        self.gate.handle(self.now, GateInput::Start, &mut self.effects);
        self.perform(None);
        self.schedule_first();
        let mut popped = 0_u64;
        while self.is_busy() {
            let Some((now, event)) = self.events.pop() else {
                self.abandon_rest();
                break;
            };
            self.now = now;
            self.resolve(event);
            while let Some((life, input)) = self.inbox.pop_front() {
                self.deliver(life, input);
            }
            popped += 1;
            if popped.is_multiple_of(BREATH) {
                self.sweep();
                if !breathe(self.recorder.begun()) {
                    self.abandon_rest();
                    return None;
                }
            }
        }
        breathe(self.recorder.begun());
        let end = self.now;
        let busy: Vec<_> = self.backends.iter().map(|backend| wire::load(backend, end)).collect();
        let slots = Slots {
            requests: self.lives.slots(),
            calls: self.calls.slots(),
            parcels: self.parcels.slots(),
            events: self.events.slots(),
        };
        Some(self.recorder.finish(self.plan, end, &busy, slots))
    }

    /// Whether anything is still to come that a client waits for.
    fn is_busy(&self) -> bool {
        self.arrivals.is_some() || 0 < self.calls.len() || 0 < self.lives.len() || 0 < self.thinking()
    }

    fn resolve(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Think { user } => self.ask_again(user),
            Event::Begin { call } => self.reach(call),
            Event::Wake { life } => self.wake(life),
            Event::Backend { backend, key } => self.wake_backend(backend, key),
            Event::Parcel { parcel } => self.unpack(parcel),
            Event::WakeGate => self.advance_gate(GateInput::Wake),
            Event::Probe { endpoint, ok } => self.advance_gate(GateInput::Probe { endpoint, ok }),
            Event::TimeOut { life } => self.time_out(life),
            Event::Leave { call } => self.leave(call),
        }
    }

    /// Delivers one input to a request and performs what it asks for.
    fn deliver(&mut self, key: Key, input: Input) {
        let Some(life) = self.lives.find(key) else {
            return;
        };
        life.lifecycle.handle(&self.gate, self.now, input, &mut self.effects);
        self.perform(Some(key));
    }

    fn advance_gate(&mut self, input: GateInput) {
        self.gate.handle(self.now, input, &mut self.effects);
        self.perform(None);
    }

    /// A wake-up has come: of use only if the request still wants one.
    fn wake(&mut self, key: Key) {
        let now = self.now;
        let Some(life) = self.lives.find(key) else {
            return;
        };
        if life.scheduled <= now {
            life.scheduled = Instant::FAR;
        }
        if now < life.wanted {
            if life.wanted < life.scheduled {
                life.scheduled = life.wanted;
                self.events
                    .push_lane(life.reason.kind(), life.wanted, Event::Wake { life: key });
            }
            return;
        }
        life.wanted = Instant::FAR;
        self.deliver_progress(key);
        self.deliver(key, Input::Wake);
    }

    /// Forgets timers of requests that are no more, so that memory follows what is in flight.
    fn sweep(&mut self) {
        let live = self.lives.len();
        let lives = &self.lives;
        for lane in (0..Timer::KINDS).chain([LANE_TIME_OUT]) {
            if 2 * live + 1024 < self.events.lane_len(lane) {
                let is_stale = |event: &Event| matches!(event, Event::Wake { life } | Event::TimeOut { life } if !lives.has(*life));
                self.events.retain_lane(lane, |event| !is_stale(event));
            }
        }
    }

    /// Nothing will ever happen again to the requests that are left: their clients go.
    fn abandon_rest(&mut self) {
        for key in self.lives.keys() {
            self.deliver(key, Input::Abandon);
            while let Some((life, input)) = self.inbox.pop_front() {
                self.deliver(life, input);
            }
        }
    }
}
