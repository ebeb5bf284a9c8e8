//! Random worlds: many requests, one gate, a virtual clock, and everything that can go wrong.
//!
//! A world draws a policy, then performs the effects of its requests as a driver would, feeds them what endpoints,
//! stores and clients might do, right or wrong, and after every step holds what it sees against the laws
//! ([`laws`], [`ledger`]). It keeps its own books and asks the gate only for its snapshot.

mod drive;
pub(crate) mod entropy;
mod keys;
mod laws;
mod ledger;
pub(crate) mod plan;
mod strays;

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tollgate_core::dice::{Dice, Rng};
use tollgate_core::gate::{Gate, GateInput, Snapshot};
use tollgate_core::id::{
    AttemptId, EndpointId, KeyHash, KeyId, Lane, LimitId, OutputKey, PoolId, RequestId, RouteId, TenantId,
};
use tollgate_core::lifecycle::{
    AttemptEvent, Effect, Effects, ErrorCode, Input, Lifecycle, Phase, Request, Ruling, Verdict,
};
use tollgate_core::memory::Memory;
use tollgate_core::policy::{Charges, Class, Endpoint, Needs, Policy, Priority};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Usage};

use self::entropy::Entropy;
use self::ledger::{Ledger, Whose};
use self::plan::{MILLI, SECOND};

/// What kind of worlds to draw; shares are in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tilt {
    /// Endpoints with a bound on what is in flight.
    pub(crate) scarce: u64,
    /// Pools with a breaker.
    pub(crate) breakers: u64,
    /// Attempts that fail.
    pub(crate) faults: u64,
    /// Steps that deliver something that makes no sense.
    pub(crate) strays: u64,
    /// Total timeouts.
    pub(crate) totals: &'static [Nanos],
}

impl Default for Tilt {
    fn default() -> Tilt {
        Tilt {
            scarce: 60,
            breakers: 60,
            faults: 40,
            strays: 8,
            totals: TOTALS,
        }
    }
}

const TOTALS: &[Nanos] = &[
    Nanos::from_millis(300),
    Nanos::from_secs(5),
    Nanos::from_secs(5),
    Nanos::FOREVER,
];

/// Who looks on.
pub(crate) trait Watch {
    /// A request was given `input`, went from phase `from` to `to`, and asked for `effects`.
    fn step(&mut self, from: Phase, input: Input, to: Phase, effects: &[Effect]) {
        let _ = (from, input, to, effects);
    }

    /// The gate asked for `effects`.
    fn gate(&mut self, effects: &[Effect]) {
        let _ = effects;
    }
}

impl Watch for () {}

/// Steps of one world.
pub(crate) const STEPS: u64 = 500;

/// Runs worlds of `tilt` until `steps` steps are done, each from a seed of its own.
pub(crate) fn run<M: Memory>(first_seed: u64, steps: u64, tilt: &Tilt, watch: &mut impl Watch) {
    for nth in 0..steps.div_ceil(STEPS) {
        run_seed::<M>(first_seed + nth, tilt, watch);
    }
}

/// Runs one world. Should it break a law, the message tells the seed and what came last.
pub(crate) fn run_seed<M: Memory>(seed: u64, tilt: &Tilt, watch: &mut impl Watch) {
    let mut past = VecDeque::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        World::<M, _, _>::new(Rng::new(seed), *tilt, watch, &mut past).run();
    }));
    if let Err(cause) = result {
        let words = cause.downcast_ref::<String>().cloned();
        let words = words.or_else(|| cause.downcast_ref::<&str>().map(|text| String::from(*text)));
        let Some(words) = words else { resume_unwind(cause) };
        let past: Vec<String> = past.into();
        panic!("seed {seed:#x}, {tilt:?}: {words}\n{}", past.join("\n"));
    }
}

/// A gate and its requests.
pub(crate) struct World<'w, M: Memory, E: Entropy, W: Watch> {
    dice: E,
    tilt: Tilt,
    watch: &'w mut W,
    /// What came last, for people.
    past: &'w mut VecDeque<String>,
    gate: Gate<M>,
    now: Instant,
    /// Wake-ups come when they are due and word between requests at once; else some time after.
    prompt: bool,
    lives: Vec<Life>,
    /// Requests that are not over, by position.
    open: Vec<usize>,
    effects: Effects,
    gate_wakes: Vec<Instant>,
    notices: VecDeque<(usize, Verdict)>,
    answers: Vec<(Instant, usize, Ruling)>,
    probes: Vec<(Instant, EndpointId, bool)>,
    shown: Snapshot,
    ledger: Ledger,
    books: Vec<Books>,
    /// Until when each key of each endpoint cools.
    keys: Vec<Vec<Instant>>,
    halves: Vec<Half>,
}

/// A request, and what its driver knows of it.
struct Life {
    lifecycle: Lifecycle,
    route: Option<RouteId>,
    needs: Needs,
    open: Vec<(AttemptId, EndpointId)>,
    /// Which key each of its attempts uses.
    used: Vec<KeyId>,
    /// Where it has been.
    tried: Vec<EndpointId>,
    /// Which of its attempts are retries.
    retries: Vec<AttemptId>,
    launched: u8,
    wake_at: Instant,
    deadline: Instant,
    /// Where it waits, and what it was told.
    waits: Option<PoolId>,
    /// Where it was before this step.
    was: Phase,
    told: Option<Verdict>,
    asked: bool,
    ruled: Option<Ruling>,
    settled: u32,
    /// What it holds of the limits that the ledger follows.
    charged: Vec<Whose>,
    relayed: Option<AttemptId>,
    refused: bool,
    gone: bool,
}

/// What a route's requests have launched.
#[derive(Clone, Copy, Debug, Default)]
struct Books {
    firsts: u32,
    retries: u32,
    hedges: u32,
}

/// A half-open period of an endpoint, as seen from outside.
#[derive(Clone, Debug, Default)]
struct Half {
    /// Attempts launched in it that are still open.
    out: Vec<(usize, AttemptId)>,
    /// How often the breaker had tripped before it.
    trips: u32,
    /// Health was ignored meanwhile.
    panicked: bool,
}

impl<'w, M: Memory, E: Entropy, W: Watch> World<'w, M, E, W> {
    pub(crate) fn new(mut dice: E, tilt: Tilt, watch: &'w mut W, past: &'w mut VecDeque<String>) -> Self {
        let policy = plan::policy(&mut dice, &tilt);
        let prompt = dice.chance(70);
        past.push_back(format!("{policy:#?}"));
        let ledger = Ledger::new(&policy);
        let books = vec![Books::default(); policy.routes.len()];
        let halves = vec![Half::default(); policy.endpoints.len()];
        let n_keys = |endpoint: &Endpoint| endpoint.api_key_env.len().max(1);
        let keys = policy
            .endpoints
            .iter()
            .map(|at| vec![Instant::EPOCH; n_keys(at)])
            .collect();
        let gate = Gate::with_lanes(policy, NonZeroU16::new(3).expect("not zero"));
        let now = Instant::from_nanos(dice.below(2) * 1_000_000_007);
        let mut world = World {
            shown: gate.snapshot(now),
            dice,
            tilt,
            watch,
            past,
            gate,
            now,
            prompt,
            lives: Vec::new(),
            open: Vec::new(),
            effects: Effects::new(),
            gate_wakes: Vec::new(),
            notices: VecDeque::new(),
            answers: Vec::new(),
            probes: Vec::new(),
            ledger,
            books,
            keys,
            halves,
        };
        world.tell_gate(GateInput::Start);
        world
    }

    /// Steps, then the end: nothing may be left.
    pub(crate) fn run(mut self) {
        for _ in 0..STEPS {
            if self.dice.is_spent() {
                break;
            }
            self.step();
        }
        self.end();
    }

    fn policy(&self) -> &Policy {
        self.gate.policy()
    }

    fn step(&mut self) {
        let roll = self.dice.below(100);
        if roll < self.tilt.strays {
            return self.stray();
        }
        match self.dice.below(100) {
            0..20 if self.open.len() < 14 => self.arrive(),
            0..55 => self.progress(),
            55..78 => self.pass(),
            78..82 => {
                if let Some(id) = self.anyone() {
                    self.tell(id, Input::Abandon);
                }
            }
            82..88 => self.hear_notice(),
            _ => self.late(),
        }
        if self.prompt {
            while !self.notices.is_empty() {
                self.hear_notice();
            }
        }
    }

    fn anyone(&mut self) -> Option<usize> {
        if self.open.is_empty() {
            return None;
        }
        let at = self.dice.index(self.open.len());
        Some(self.open[at])
    }

    /// A request arrives.
    fn arrive(&mut self) {
        let id = self.lives.len();
        let dice = &mut self.dice;
        let routes = self.gate.policy().routes.len();
        let route = dice.chance(97).then(|| RouteId::at(dice.index(routes)));
        let mut charges = Charges::default();
        for limit in 0..self.gate.policy().limits.len() {
            if dice.chance(70) {
                charges.push(LimitId::at(limit), KeyHash(dice.below(3)));
            }
        }
        charges.lane = Lane(u16::try_from(dice.small(4)).expect("a few"));
        let limits = &self.gate.policy().limits;
        let learns = (0..charges.len()).any(|at| limits[charges.at(at).0.index()].learns());
        let who = NonZeroU32::new(1 + dice.small(3)).map(OutputKey);
        let outputs = who.filter(|_| learns);
        let estimate = Estimate {
            input: dice.small(100),
            output: dice.chance(60).then(|| dice.small(100)),
            more: 0,
        };
        let needs = Needs {
            input: estimate.input,
            output: estimate.output.unwrap_or(0),
            tools: dice.chance(20),
            vision: dice.chance(20),
            ..Needs::default()
        };
        let request = Request {
            class: Class {
                route,
                charges,
                outputs,
            },
            estimate,
            needs,
            stream: dice.chance(50),
            priority: dice.pick(&[Priority::Low, Priority::Normal, Priority::High]),
            tenant: TenantId(dice.small(3)),
        };
        let number = RequestId(u64::try_from(id).expect("a few"));
        let region = route.and_then(|route| self.gate.policy().route(route).require_region);
        self.lives.push(Life {
            lifecycle: Lifecycle::new(number, request, Dice::new(7).request(number.0)),
            route,
            needs: Needs { region, ..needs },
            open: Vec::new(),
            used: Vec::new(),
            tried: Vec::new(),
            retries: Vec::new(),
            launched: 0,
            wake_at: Instant::FAR,
            deadline: Instant::FAR,
            waits: None,
            was: Phase::Start,
            told: None,
            asked: false,
            ruled: None,
            settled: 0,
            charged: Vec::new(),
            relayed: None,
            refused: false,
            gone: false,
        });
        self.open.push(id);
        if let Some(route) = route {
            self.lives[id].deadline = self.now + self.policy().route(route).timeouts.total;
        }
        if self.dice.chance(2) {
            return self.tell(id, Input::Abandon);
        }
        self.tell(id, Input::Start);
    }

    /// Something happens to an attempt.
    fn progress(&mut self) {
        let Some(id) = self.anyone() else { return };
        let open = &self.lives[id].open;
        if open.is_empty() {
            return;
        }
        let at = self.dice.index(open.len());
        let attempt = self.lives[id].open[at].0;
        let event = if self.dice.chance(self.tilt.faults) {
            self.misfortune()
        } else {
            match self.dice.below(8) {
                0 => AttemptEvent::Connected,
                6 => AttemptEvent::Waiting,
                7 => AttemptEvent::Connecting,
                1 => AttemptEvent::Open {
                    status: 200,
                    code: None,
                    retry_after: None,
                },
                2 => AttemptEvent::FirstToken,
                3 => AttemptEvent::Tokens {
                    count: self.dice.small(50),
                },
                _ => AttemptEvent::Finish {
                    usage: Usage {
                        input: self.dice.small(150),
                        output: self.dice.small(150),
                    },
                },
            }
        };
        self.tell(id, Input::Attempt { id: attempt, event });
    }

    fn misfortune(&mut self) -> AttemptEvent {
        if self.dice.chance(40) {
            return AttemptEvent::Fail {
                fault: self.dice.pick(&tollgate_core::fault::Fault::ALL),
            };
        }
        AttemptEvent::Open {
            status: self.dice.pick(&[400, 401, 402, 408, 429, 429, 429, 500, 502, 503, 529]),
            code: self
                .dice
                .pick(&[None, None, None, None, Some(ErrorCode::InsufficientQuota)]),
            retry_after: self
                .dice
                .pick(&[None, None, Some(Nanos::ZERO), Some(MILLI * 100), Some(SECOND * 2)]),
        }
    }

    /// Time passes; in a prompt world whatever falls due on the way happens on the way.
    fn pass(&mut self) {
        let step = self
            .dice
            .pick(&[1, 1_000, 1_000_000, 1_000_000, 20_000_000, 300_000_000]);
        let mut until = self.now + Nanos::from_nanos(1 + self.dice.below(step));
        if self.dice.chance(40)
            && let Some(due) = self.next_due()
        {
            until = due.max(self.now);
        }
        if self.prompt {
            while let Some(due) = self.next_due().filter(|due| *due <= until) {
                self.now = due.max(self.now);
                self.let_due();
            }
        }
        self.now = until;
        if self.prompt {
            self.check();
        }
    }

    /// Ends everything, and looks at what is left.
    fn end(&mut self) {
        let leave = self.dice.chance(30);
        if !leave {
            // Nothing comes from anywhere any more: timeouts end whatever has one.
            for _ in 0..2_000 {
                while !self.notices.is_empty() {
                    self.hear_notice();
                }
                let is_timed = |id: &usize| !self.lives[*id].deadline.is_far();
                if !self.open.iter().any(is_timed) {
                    break;
                }
                let due = self.next_due().expect("a request with a deadline asks to be woken");
                self.now = due.max(self.now);
                self.let_due();
            }
            let late = |id: &&usize| !self.lives[**id].deadline.is_far();
            assert_eq!(
                self.open.iter().find(late),
                None,
                "this one is not over by its deadline"
            );
        }
        while let Some(id) = self.anyone() {
            self.tell(id, Input::Abandon);
            while !self.notices.is_empty() {
                self.hear_notice();
            }
            // A client that has gone may leave an attempt behind that is to finish.
            if let Some((attempt, _)) = self.lives[id].open.first().copied() {
                let event = AttemptEvent::Finish {
                    usage: Usage::default(),
                };
                self.tell(id, Input::Attempt { id: attempt, event });
            }
        }
        self.check();
        self.check_nothing_left();
    }
}

/// The stores that a request's limits have elsewhere.
fn strict(policy: &Policy, charges: &Charges) -> Vec<LimitId> {
    let limits = (0..charges.len()).map(|at| charges.at(at).0);
    limits
        .filter(|limit| !policy.limits[limit.index()].store.is_local())
        .collect()
}
