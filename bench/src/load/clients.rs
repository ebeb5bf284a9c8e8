//! Those who call: arrivals, users who think, SDKs that retry, people who leave.
//!
//! It is the twin of `sim/src/engine/clients.rs`: the same numbers and the same dice, with tasks in place of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::Instant;
use tollgate_mock_llm::clock::Clock as _;
use tollgate_sim::workload::{Answer, Call};

use super::exchange::{Ended, Open};
use super::world::World;

/// Calls that are begun without a look at what else there is to do.
const AT_ONCE: u32 = 32;

/// Lets every call of an open workload begin at its instant.
pub(super) async fn arrive(world: &Arc<World>) {
    let Some(mut arrivals) = world.workload().arrivals(world.dice) else {
        return;
    };
    let mut without_pause = 0;
    while let Some(at) = arrivals.next() {
        if !may_begin(world, at) {
            break;
        }
        if world.clock.now() < at {
            without_pause = 0;
            world.until(at).await;
        } else {
            without_pause += 1;
            if AT_ONCE <= without_pause {
                without_pause = 0;
                tokio::task::yield_now().await;
            }
        }
        let number = world.begun.fetch_add(1, Ordering::Relaxed);
        begin(world, number, at);
    }
    world.is_over.store(true, Ordering::Relaxed);
}

/// Begins an open call, unless too many are open.
fn begin(world: &Arc<World>, number: u64, at: Instant) {
    if world.most_open <= world.live.load(Ordering::Relaxed) {
        world.skipped.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let living = Living::new(world);
    let world = Arc::clone(world);
    drop(tokio::spawn(async move {
        let _living = living;
        Calling::new(&world, number, at).run().await;
    }));
}

/// Lets every user of a closed workload think and ask, one after the other, until nothing may begin any more.
pub(super) fn settle(world: &Arc<World>, users: u32) {
    for user in 0..users {
        let living = Living::new(world);
        let world = Arc::clone(world);
        drop(tokio::spawn(async move {
            let _living = living;
            live(&world, user).await;
        }));
    }
}

async fn live(world: &World, user: u32) {
    let workload = world.workload();
    let mut since = Instant::EPOCH;
    for round in 0.. {
        let number = workload.user_call(user, round);
        let at = since + workload.think(world.dice, number);
        if !may_begin(world, at) {
            return;
        }
        {
            let _thinking = Counted::new(&world.thinking);
            world.until(at).await;
        }
        world.begun.fetch_add(1, Ordering::Relaxed);
        Calling::new(world, number, at).run().await;
        since = world.clock.now();
    }
}

/// Whether another call may begin at `at`.
fn may_begin(world: &World, at: Instant) -> bool {
    let (duration, requests) = world.strategy.plan.bounds();
    let planned = world.begun.load(Ordering::Relaxed) + world.thinking.load(Ordering::Relaxed);
    duration.is_none_or(|duration| at <= Instant::EPOCH + duration)
        && requests.is_none_or(|requests| planned < requests)
}

/// A call: what a person wanted once.
struct Calling<'a> {
    world: &'a World,
    call: Call,
    /// When its first request was to be sent.
    started: Instant,
    /// When the person leaves; far if never.
    leaves: Instant,
    attained: bool,
}

impl<'a> Calling<'a> {
    fn new(world: &'a World, number: u64, at: Instant) -> Calling<'a> {
        let patience = world.workload().patience(world.dice, number);
        world.ledger().call_began(at);
        Calling {
            world,
            call: world.workload().call(world.dice, number),
            started: at,
            leaves: patience.map_or(Instant::FAR, |patience| at + patience),
            attained: false,
        }
    }

    /// Asks until there is an answer, or its client gives up, or the person leaves.
    async fn run(mut self) {
        let mut intended = self.started;
        for retries in 0.. {
            let Some(ended) = self.ask(intended, retries).await else {
                return;
            };
            let answer = match ended {
                Asked::Ended(ended) => {
                    self.attained = self.attains(&ended.outcome);
                    match (ended.outcome.end, ended.answer) {
                        (End::Completed | End::Open | End::Abandoned, _) | (_, None) => return,
                        (End::Failed { .. } | End::Refused { .. }, Some(answer)) => answer,
                    }
                }
                Asked::TimedOut => Answer::default(),
            };
            let number = self.call.number;
            let Some(wait) = self.world.workload().retry(self.world.dice, number, retries, &answer) else {
                return;
            };
            intended = self.world.clock.now() + wait;
            if self.leaves < intended {
                self.world.about(self.leaves).await;
                return;
            }
            self.world.until(intended).await;
        }
    }

    /// One request; nothing if the person has left.
    async fn ask(&self, intended: Instant, retries: u32) -> Option<Asked> {
        let timeout = self.world.workload().client().timeout();
        let gives_up = if timeout.is_forever() {
            Instant::FAR
        } else {
            intended + timeout
        };
        let until = gives_up.min(self.leaves);
        let open = Open::new(self.world, &self.call, intended);
        tokio::select! {
            biased;
            ended = open.ask(retries) => Some(Asked::Ended(ended)),
            () = self.world.about(until) => (gives_up < self.leaves).then_some(Asked::TimedOut),
        }
    }

    fn attains(&self, outcome: &Outcome) -> bool {
        let slo = self.world.strategy.plan.slo(&self.call);
        slo.is_some_and(|slo| outcome.attains_since(self.started.min(outcome.arrived), &slo))
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.world.ledger().call_ended(self.started, self.attained);
    }
}

/// How a request of a call ended.
enum Asked {
    Ended(Ended),
    /// The client waited no longer.
    TimedOut,
}

/// Counts one more for as long as it is there.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU64) -> Counted<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something that a run waits for before it ends.
struct Living(Arc<World>);

impl Living {
    fn new(world: &Arc<World>) -> Living {
        world.live.fetch_add(1, Ordering::Relaxed);
        Living(Arc::clone(world))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.notify_one();
        }
    }
}
