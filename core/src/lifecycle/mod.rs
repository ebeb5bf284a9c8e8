//! The life of one request, from arrival to settlement.
//!
//! A machine without I/O: [`Lifecycle::handle`] takes what happened and says, as [`Effect`]s, what is to be done.
//! The proxy does it with sockets and timers, the simulator with events; neither decides.
//!
//! ```text
//! Start ─► Asking ─► Shaping ─► Queued ─► Racing ─────► Relaying ─► Settled
//!             │         │         │        ▲   │            │          ▲
//!             │         │         │        │   └► BackingOff│          │
//!             │         │         │        └───────┘   │    │          │
//!             └─────────┴─────────┴── refused ─────────┴────┴──────────┤
//!                                     abandoned ─► Draining ───────────┘
//! ```
//!
//! Phases are skipped when there is nothing to wait for: with local limits, a free permit and an endpoint that
//! answers, a request goes from `Start` to `Racing` to `Relaying` to `Settled`.
//!
//! | From | Input | To |
//! |---|---|---|
//! | `Start` | Start | `Asking`, `Shaping`, `Queued`, `Racing`, `Settled` |
//! | `Start` | Abandon | `Settled` |
//! | `Asking` | Rule | `Shaping`, `Queued`, `Racing`, `Settled` |
//! | `Asking` | Wake | `Asking`, `Shaping`, `Queued`, `Racing`, `Settled` |
//! | `Asking` | Abandon | `Settled` |
//! | `Shaping` | Wake | `Shaping`, `Queued`, `Racing`, `Settled` |
//! | `Shaping` | Abandon | `Settled` |
//! | `Queued` | Dequeue | `Queued`, `Racing`, `Settled` |
//! | `Queued` | Wake | `Queued`, `Racing`, `Settled` |
//! | `Queued` | Abandon | `Settled` |
//! | `Racing` | Attempt | `Racing`, `BackingOff`, `Relaying`, `Settled` |
//! | `Racing` | Wake | `Racing`, `BackingOff`, `Settled` |
//! | `Racing` | Abandon | `Draining`, `Settled` |
//! | `BackingOff` | Wake | `BackingOff`, `Racing`, `Settled` |
//! | `BackingOff` | Abandon | `Settled` |
//! | `Relaying` | Attempt | `Relaying`, `Settled` |
//! | `Relaying` | Wake | `Relaying`, `Settled` |
//! | `Relaying` | Abandon | `Draining`, `Settled` |
//! | `Draining` | Attempt | `Draining`, `Settled` |
//! | `Draining` | Wake | `Draining`, `Settled` |
//!
//! Whatever else is delivered changes nothing.
//!
//! | Law | Test |
//! |---|---|
//! | The table above is what happens, and all of it happens. | `transitions_match_the_table` |
//! | Any input in any phase is answered without panic. | `effects_are_total` |
//! | Permits, reservations, probes and withdrawals come back exactly once, on every exit. | `every_hold_released_once` |
//! | After the first token no other attempt is launched. | `committed_never_retries` |
//! | No attempt outlives the total timeout. | `deadline_is_final` |
//! | There are never more attempts than the policy allows. | `attempts_are_bounded` |

mod admit;
mod attempts;
mod effect;
mod input;
mod outcome;
mod race;
mod refusal;
mod relay;
mod retry;
mod route;
mod settle;
mod timers;
mod wait;

pub use effect::{Effect, Effects, Ejection, Ticket, Verdict};
pub use input::{AttemptEvent, ErrorCode, Input, Ruling, Status};
pub use outcome::{End, Outcome};
pub use refusal::{Advice, Refusal};
pub use timers::Timer;

use self::attempts::Attempts;
use self::settle::Holds;
use crate::dice::RequestDice;
use crate::fault::Fault;
use crate::gate::Gate;
use crate::id::{KeyId, RequestId, TenantId};
use crate::memory::Memory;
use crate::policy::{Class, Needs, Priority, Route};
use crate::time::Instant;
use crate::usage::Estimate;

/// What is known of a request when it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Its route and limits; see [`Policy::classify`](crate::policy::Policy::classify).
    pub class: Class,
    /// What it may use: the prompt as estimated, and the most that it may answer.
    pub estimate: Estimate,
    /// What an endpoint must be able to do.
    pub needs: Needs,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How urgent it is.
    pub priority: Priority,
    /// Whose it is: whom fair queues count it for.
    pub tenant: TenantId,
}

/// One request, from arrival to settlement.
///
/// Holds no shared state and needs no lock: a task owns it in the proxy, a slab in the simulator.
#[derive(Debug)]
pub struct Lifecycle {
    id: RequestId,
    dice: RequestDice,
    request: Request,
    phase: Phase,
    /// The pool being tried, counted along the route.
    pool_at: u8,
    /// The client has gone; the endpoint may finish.
    gone: bool,
    last_fault: Option<Fault>,
    /// Why no pool so far has taken it.
    met: Option<Refusal>,
    attempts: Attempts,
    /// The key that each running attempt uses, by where it is tracked.
    keys: [KeyId; Attempts::MOST_LIVE],
    holds: Holds,
    /// When the request has taken too long.
    total_at: Instant,
    /// When the present phase ends by itself; in a race, when the next hedge is due.
    phase_at: Instant,
    /// The wake-up that the driver knows of.
    armed: Instant,
    /// When it began to wait in a queue.
    queued: Instant,
    outcome: Outcome,
}

/// Where a request is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It has not begun.
    Start,
    /// Limits elsewhere have been asked.
    Asking,
    /// A shaping limit delays it.
    Shaping,
    /// It waits for a permit.
    Queued,
    /// Attempts run, and none has sent a token.
    Racing,
    /// It waits to try again.
    BackingOff,
    /// One attempt has won and is streamed to the client.
    Relaying,
    /// The client has gone, and the endpoint is left to finish.
    Draining,
    /// Everything has been given back.
    Settled,
}

/// What every decision is made from: the shared state, the time, and where to put the effects.
pub(super) struct Turn<'a, M: Memory> {
    gate: &'a Gate<M>,
    now: Instant,
    effects: &'a mut Effects,
}

impl Lifecycle {
    /// A request that has not begun. `id` is the driver's name for it, `dice` are its own.
    #[must_use]
    #[inline]
    pub fn new(id: RequestId, request: Request, dice: RequestDice) -> Lifecycle {
        Lifecycle {
            id,
            dice,
            request,
            phase: Phase::Start,
            pool_at: 0,
            gone: false,
            last_fault: None,
            met: None,
            attempts: Attempts::default(),
            keys: [KeyId(0); Attempts::MOST_LIVE],
            holds: Holds::default(),
            total_at: Instant::FAR,
            phase_at: Instant::FAR,
            armed: Instant::FAR,
            queued: Instant::FAR,
            outcome: Outcome::NEW,
        }
    }

    /// Advances the request by one input. Every consequence is in `effects` when this returns.
    ///
    /// What was in `effects` before stays there: drain it first.
    pub fn handle<M: Memory>(&mut self, gate: &Gate<M>, now: Instant, input: Input, effects: &mut Effects) {
        let turn = &mut Turn { gate, now, effects };
        match input {
            Input::Start => self.admit(turn),
            Input::Wake => self.wake(turn),
            Input::Dequeue { verdict } => self.dequeue(turn, verdict),
            Input::Rule { ticket, ruling } => self.rule(turn, ticket, ruling),
            Input::Attempt { id, event } => self.hear(turn, id, event),
            Input::Abandon => self.abandon(turn),
        }
        self.rearm(turn);
    }

    /// Where it is in its life.
    #[must_use]
    #[inline]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The driver's name for it.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// What was known of it when it arrived; after [`Effect::Ask`], what limits elsewhere are to charge.
    #[must_use]
    #[inline]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The dice that travel with it.
    #[must_use]
    #[inline]
    pub fn dice(&self) -> RequestDice {
        self.dice
    }

    /// Its record so far; complete after [`Effect::Finish`].
    #[must_use]
    #[inline]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn route<'a, M: Memory>(&self, turn: &Turn<'a, M>) -> &'a Route {
        let id = self
            .request
            .class
            .route
            .expect("a request without a route is refused at once");
        turn.gate.policy().route(id)
    }
}

const _: () = assert!(size_of::<Lifecycle>() <= 448);
const _: () = assert!(size_of::<Input>() <= 32);
const _: () = assert!(size_of::<Effect>() <= 32);
