//! Several threads of requests over one gate: permits, queue and breaker probes under contention.
//!
//! With threads of the operating system here, and under a hundred thousand random schedules with
//! `RUSTFLAGS="--cfg shuttle" cargo test -p tollgate-core --test contention --release`.
#![cfg(not(loom))]

use std::num::NonZeroU32;

use tollgate_core::dice::{Dice, Rng};
use tollgate_core::fault::{Fault, FaultSet};
use tollgate_core::gate::{Gate, GateInput};
use tollgate_core::id::{AttemptId, EndpointId, KeyHash, LimitId, PoolId, RequestId, RouteId, ScopeId, TenantId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Effects, Input, Lifecycle, Phase, Request, Verdict};
use tollgate_core::memory::Shared;
use tollgate_core::policy::{
    Adjustment, Algorithm, Backoff, Balance, BalanceKind, BreakerKind, Capability, Charges, Class, Endpoint,
    HeaderStages, Jitter, Limit, LoadKind, Match, Needs, OnWait, Order, Policy, Pool, Priority, QueueShape, Refund,
    Retry, Route, Shedding, Slo, Store, Ties, Timeouts,
};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Unit, Usage};

use self::threads::{Arc, AtomicU64, Receiver, Sender, channel, explore, spawn, wait};

const THREADS: usize = 3;
const REQUESTS: u64 = 4;
const KEY: KeyHash = KeyHash(1);
/// How long a breaker stays open, and a scope cools: a few steps of a thread.
const AWHILE: Nanos = Nanos::from_nanos(7);

/// Whoever waits is admitted, however threads interleave; nothing stays in flight, charged or waited for.
#[test]
fn no_wakeup_lost() {
    explore(|seed| run(seed, policy(seed, 2, BreakerKind::Off)));
}

/// The same with breakers that trip at the first failure, and endpoints that cool down: a half-open one admits no
/// more probes than it may, and whoever waits for one that is away is admitted when it is back.
#[test]
fn probes_are_bounded() {
    let probes = NonZeroU32::MIN;
    let breaker = BreakerKind::Consecutive {
        failures: NonZeroU32::MIN,
        open: AWHILE,
        probes,
    };
    explore(move |seed| run(seed, policy(seed, 2, breaker)));
}

/// What the threads of one run share.
struct World {
    gate: Gate<Shared>,
    /// In nanoseconds; read by some threads later than by others.
    clock: std::sync::atomic::AtomicU64,
    in_flight: Vec<AtomicU64>,
    word: Vec<Sender<(RequestId, Verdict)>>,
}

fn run(seed: u64, policy: Policy) {
    let in_flight = policy.endpoints.iter().map(|_| AtomicU64::new(0)).collect();
    let (senders, boxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let world = Arc::new(World {
        gate: Gate::new(policy),
        clock: std::sync::atomic::AtomicU64::new(1_000),
        in_flight,
        word: senders,
    });
    let (wake, wakes) = channel();
    let mut threads = Vec::new();
    for (nth, inbox) in boxes.into_iter().enumerate() {
        let (world, wake) = (world.clone(), wake.clone());
        let dice = Rng::new(seed ^ (nth as u64) << 32);
        threads.push(spawn(move || serve(&world, nth, dice, &inbox, &wake)));
    }
    drop(wake);
    let timer = {
        let world = world.clone();
        spawn(move || wake_gate(&world, &wakes))
    };
    for thread in threads {
        thread.join().expect("a thread of requests");
    }
    timer.join().expect("the thread of the gate");

    let now = Instant::FAR;
    let shown = world.gate.snapshot(now);
    for state in &shown.endpoints {
        assert_eq!((state.in_flight, state.awaited), (0, false), "{shown:?}");
    }
    assert!(shown.waiting.iter().all(|waiting| *waiting == 0), "{shown:?}");
    let standing = world.gate.standing(LimitId(0), KEY, now);
    assert_eq!(standing.remaining, standing.limit, "permits of the limit");
}

/// One thread: requests, one after the other.
fn serve(world: &World, nth: usize, mut dice: Rng, inbox: &Receiver<(RequestId, Verdict)>, wake: &Sender<Instant>) {
    let mut effects = Effects::new();
    for number in 0..REQUESTS {
        let id = RequestId(nth as u64 + number * THREADS as u64);
        let mut charges = Charges::default();
        charges.push(LimitId(0), KEY);
        let request = Request {
            class: Class {
                route: Some(RouteId(0)),
                charges,
                ..Class::default()
            },
            estimate: Estimate::default(),
            needs: Needs {
                tools: dice.below(3) == 0,
                ..Needs::default()
            },
            priority: if dice.below(2) == 0 {
                Priority::High
            } else {
                Priority::Low
            },
            tenant: TenantId(u32::try_from(dice.below(3)).expect("small")),
            ..Request::default()
        };
        let mut life = Lifecycle::new(id, request, Dice::new(dice.next_u64()).request(id.0));
        let mut open: Option<(AttemptId, EndpointId)> = None;
        let mut input = Input::Start;
        loop {
            life.handle(&world.gate, world.now(), input, &mut effects);
            for effect in effects.drain() {
                perform(world, effect, &mut open, wake);
            }
            input = match life.phase() {
                Phase::Settled => break,
                Phase::Queued => {
                    let (request, verdict) = wait(inbox);
                    if request != id || dice.below(8) == 0 {
                        // Word for an earlier request of this thread; or the client goes at this very moment.
                        if request == id {
                            Input::Abandon
                        } else {
                            Input::Dequeue { verdict }
                        }
                    } else {
                        Input::Dequeue { verdict }
                    }
                }
                Phase::BackingOff => {
                    world
                        .clock
                        .fetch_add(AWHILE.as_nanos(), std::sync::atomic::Ordering::SeqCst);
                    Input::Wake
                }
                Phase::Racing => happen(world, &mut dice, open.take().expect("an attempt runs")),
                Phase::Start | Phase::Asking | Phase::Shaping | Phase::Relaying | Phase::Draining => {
                    unreachable!("nothing here leads there")
                }
            };
        }
        assert_eq!(open, None, "an attempt outlives its request");
    }
}

/// What becomes of an attempt.
fn happen(world: &World, dice: &mut Rng, (id, endpoint): (AttemptId, EndpointId)) -> Input {
    // It is over, and its permit still out: from here on the gate may hand it to another.
    world.in_flight[endpoint.index()].fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    let event = match dice.below(8) {
        0 => return Input::Abandon,
        1 | 2 => AttemptEvent::Fail { fault: Fault::Server },
        3 => AttemptEvent::Open {
            status: 429,
            code: None,
            retry_after: Some(AWHILE),
        },
        _ => AttemptEvent::Finish {
            usage: Usage::default(),
        },
    };
    Input::Attempt { id, event }
}

fn perform(world: &World, effect: Effect, open: &mut Option<(AttemptId, EndpointId)>, wake: &Sender<Instant>) {
    match effect {
        Effect::Launch { attempt, endpoint } => {
            let before = world.in_flight[endpoint.index()].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let most = world.gate.policy().endpoint(endpoint).max_in_flight;
            let most = most.map_or(u64::MAX, |most| u64::from(most.get()));
            assert!(before < most, "more in flight at {endpoint:?} than may be");
            *open = Some((attempt, endpoint));
        }
        Effect::Notify { request, verdict } => {
            let thread = usize::try_from(request.0).expect("small") % THREADS;
            // A thread that has gone home has no request left to be told.
            let _ = world.word[thread].send((request, verdict));
        }
        Effect::WakeGateAt { at } => wake.send(at).expect("the gate's thread is there"),
        Effect::Cancel { .. }
        | Effect::WakeAt { .. }
        | Effect::Relay { .. }
        | Effect::Refuse { .. }
        | Effect::Finish
        | Effect::Eject { .. }
        | Effect::Restore { .. } => {}
        Effect::Ask { .. } | Effect::Settle { .. } | Effect::Probe { .. } => unreachable!("nothing here asks for it"),
    }
}

/// The thread of the gate: it lets time pass to each instant that was asked for.
fn wake_gate(world: &World, wakes: &Receiver<Instant>) {
    let mut effects = Effects::new();
    while let Ok(at) = wakes.recv() {
        world
            .clock
            .fetch_max(at.as_nanos(), std::sync::atomic::Ordering::SeqCst);
        world.gate.handle(world.now(), GateInput::Wake, &mut effects);
        for effect in effects.drain() {
            if let Effect::Notify { request, verdict } = effect {
                let thread = usize::try_from(request.0).expect("small") % THREADS;
                let _ = world.word[thread].send((request, verdict));
            }
        }
        assert!(effects.as_slice().is_empty());
    }
}

impl World {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    }
}

/// Two endpoints with one permit each, of which one cannot call tools; nobody gives up. The order of the queue, and
/// whether it sheds, are the seed's.
fn policy(seed: u64, n_endpoints: u16, breaker: BreakerKind) -> Policy {
    let endpoint = |at: u16| Endpoint {
        name: String::from("endpoint"),
        pool: PoolId(0),
        url: None,
        provider: String::from("openai"),
        model: None,
        api_key_env: Vec::new(),
        region: None,
        weight: NonZeroU32::MIN,
        tier: 0,
        max_in_flight: Some(NonZeroU32::MIN),
        price: None,
        can: Capability {
            tools: at == 0,
            ..Capability::default()
        },
        scope: ScopeId(at),
    };
    let pool = Pool {
        name: String::from("pool"),
        endpoints: 0..n_endpoints,
        balance: Balance {
            kind: BalanceKind::Random,
            load: LoadKind::InFlight,
            ties: Ties::Random,
            staleness: Nanos::ZERO,
        },
        slow_start: None,
        breaker,
        panic_below: 0.0,
        probe: None,
        throttle: None,
        queue: queue(seed),
    };
    let limit = Limit {
        name: String::from("in-flight"),
        algorithm: Algorithm::Permits(NonZeroU32::new(100).expect("not zero")),
        unit: Unit::InFlight,
        per: Vec::new(),
        when: Match::default(),
        on_wait: OnWait::Refuse,
        refund: Refund::Full,
        max_keys: NonZeroU32::MIN,
        store: Store::Local,
        output_default: 0,
        learn: false,
    };
    let route = Route {
        name: String::from("route"),
        matches: Match::default(),
        pools: vec![PoolId(0)],
        split: None,
        require_region: None,
        request: Adjustment::default(),
        headers: HeaderStages::default(),
        timeouts: Timeouts {
            connect: Nanos::FOREVER,
            ttft: Nanos::FOREVER,
            idle: Nanos::FOREVER,
            total: Nanos::FOREVER,
        },
        retry: Retry {
            max_attempts: 3,
            on: FaultSet::RETRIABLE,
            budget: None,
            backoff: Backoff {
                base: Nanos::ZERO,
                max: AWHILE,
                jitter: Jitter::None,
            },
        },
        hedge: None,
        cancel_on_abandon: true,
        slo: Slo::default(),
    };
    Policy {
        limits: vec![limit],
        pools: vec![pool],
        endpoints: (0..n_endpoints).map(endpoint).collect(),
        scopes: vec![String::from("account"); usize::from(n_endpoints)],
        routes: vec![route],
        ..Policy::default()
    }
}

fn queue(seed: u64) -> QueueShape {
    let output_default = 5;
    let orders = [
        Order::Fifo,
        Order::Lifo,
        Order::AdaptiveLifo { after: AWHILE },
        Order::Priority,
        Order::Deadline,
        Order::Deficit {
            quantum: NonZeroU32::MIN,
            output_default,
        },
        Order::Vtc { output_default },
    ];
    let (target, interval) = (AWHILE, AWHILE * 3);
    let sheddings = [
        Shedding::Never,
        Shedding::CoDel { target, interval },
        Shedding::ControlledDelay { target, interval },
    ];
    // Half of the time the first of each, and else all combinations.
    let seed = if seed.is_multiple_of(2) { 0 } else { seed / 2 };
    let nth = |seed: u64, n: usize| usize::try_from(seed % n as u64).expect("an index");
    QueueShape {
        order: orders[nth(seed, orders.len())],
        length: 10,
        wait: Nanos::FOREVER,
        shedding: sheddings[nth(seed / orders.len() as u64, sheddings.len())],
    }
}

/// Threads of the operating system.
#[cfg(not(shuttle))]
mod threads {
    pub(crate) use std::sync::Arc;
    pub(crate) use std::sync::atomic::AtomicU64;
    pub(crate) use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{Builder, JoinHandle};
    use std::time::Duration;

    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Builder::new().spawn(f).expect("a thread")
    }

    /// Runs `f` some thousand times; the operating system chooses the schedules.
    pub(crate) fn explore(f: impl Fn(u64)) {
        for seed in 0..3_000 {
            f(seed);
        }
    }

    /// The next word; that none comes is what must not happen.
    pub(crate) fn wait<T>(inbox: &Receiver<T>) -> T {
        let word = inbox.recv_timeout(Duration::from_secs(20));
        word.expect("no_wakeup_lost: whoever waits is told")
    }
}

/// Threads whose schedule is drawn; a deadlock, which a lost wake-up is, ends the run.
#[cfg(shuttle)]
mod threads {
    use shuttle::rand::RngCore;
    pub(crate) use shuttle::sync::Arc;
    pub(crate) use shuttle::sync::atomic::AtomicU64;
    pub(crate) use shuttle::sync::mpsc::{Receiver, Sender, channel};
    pub(crate) use shuttle::thread::spawn;

    /// Runs `f` under as many random schedules as `TOLLGATE_SCHEDULES` says; a failure prints its schedule.
    pub(crate) fn explore(f: impl Fn(u64) + Send + Sync + 'static) {
        let schedules = std::env::var("TOLLGATE_SCHEDULES");
        let schedules = schedules.map_or(50_000, |schedules| schedules.parse().expect("a number of schedules"));
        // Drawn from the schedule, so that a failing one can be run again.
        let f = std::sync::Arc::new(move || f(shuttle::rand::thread_rng().next_u64()));
        let again = f.clone();
        shuttle::check_random(move || f(), schedules);
        shuttle::check_pct(move || again(), schedules, 3);
    }

    pub(crate) fn wait<T>(inbox: &Receiver<T>) -> T {
        inbox.recv().expect("the world is there")
    }
}
