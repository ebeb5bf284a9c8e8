//! The live state of one endpoint: permits, load, health.

use crate::health::{Admission, Breaker, Circuit, Health, ProbeState, Suspect};
use crate::id::{PoolId, ScopeId};
use crate::load::{Estimate, Running};
use crate::memory::{Guarded, Memory, Packed, Slot};
use crate::policy::{Endpoint, LoadKind, Pool};
use crate::time::Instant;

/// The live state of one endpoint.
pub(super) struct EndpointState<M: Memory> {
    /// Its pool, and whom it shares an account with: as in the policy, and nearer.
    pub(super) pool: PoolId,
    pub(super) scope: ScopeId,
    /// Attempts in flight, and whether somebody waits for them to end.
    pub(super) permits: M::Word<Permits>,
    /// Most attempts in flight.
    pub(super) most: u32,
    /// Until when it is ejected for failing: the epoch if it is healthy, in the past if it may be probed,
    /// [`WATCHED`] if it is healthy and `vitals` want to be asked before every launch.
    ///
    /// A copy of what `vitals` say, so that picking a healthy endpoint takes no lock.
    pub(super) ejected_until: M::Word<Instant>,
    /// Its weight, in whole units.
    pub(super) weight: u32,
    /// Whether what runs there is added up.
    pub(super) adds_up: bool,
    /// How long its first tokens take.
    pub(super) estimate: M::Block<Estimate>,
    /// What runs there, if that is added up.
    pub(super) running: M::Block<Running>,
    /// Breaker and active probes.
    pub(super) vitals: M::Block<Vitals>,
    /// When it last came back, after an ejection for failing; the epoch if it has never been out.
    pub(super) restored_at: M::Word<Instant>,
    /// When the next active probe is due.
    pub(super) probe_due: M::Word<Instant>,
}

/// In the place of an end of ejection: not ejected, but not above suspicion either.
pub(super) const WATCHED: Instant = Instant::from_nanos(1);

/// Whether an endpoint that is [`ejected_until`](EndpointState::ejected_until) then is out of its pool.
#[inline]
pub(super) fn is_out(until: Instant) -> bool {
    WATCHED < until
}

/// The permit word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Permits {
    /// Permits that are out.
    pub(super) in_flight: u32,
    /// A request waits in the pool's queue: a permit that comes back must go through it.
    pub(super) waiting: bool,
}

/// What is known of an endpoint's health.
pub(super) struct Vitals {
    pub(super) health: Health,
    pub(super) probing: ProbeState,
    pub(super) suspect: Suspect,
}

impl Packed for Permits {
    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.in_flight) << 1 | u64::from(self.waiting)
    }

    #[inline]
    fn unpack(word: u64) -> Permits {
        Permits {
            in_flight: u32::try_from(word >> 1).expect("packed from 32 bits"),
            waiting: word & 1 == 1,
        }
    }
}

impl Packed for Instant {
    #[inline]
    fn pack(self) -> u64 {
        self.as_nanos()
    }

    #[inline]
    fn unpack(word: u64) -> Instant {
        Instant::from_nanos(word)
    }
}

impl Vitals {
    /// Until when the endpoint is ejected; see [`EndpointState::ejected_until`].
    pub(super) fn ejected_until(&self, breaker: &Breaker) -> Instant {
        /// In the past of every decision but the very first: it may be probed now.
        const NOW: Instant = Instant::from_nanos(2);
        if !self.probing.is_up() {
            return Instant::FAR;
        }
        match self.circuit(breaker) {
            Circuit::Closed if breaker.is_watchful(&self.health) => WATCHED,
            Circuit::Closed => Instant::EPOCH,
            Circuit::Open { until, .. } => until.max(NOW),
            Circuit::HalfOpen { .. } => NOW,
        }
    }

    /// How often the breaker has tripped since it was last closed.
    pub(super) fn trips(&self, breaker: &Breaker) -> u32 {
        match self.circuit(breaker) {
            Circuit::Closed => 0,
            Circuit::Open { trips, .. } | Circuit::HalfOpen { trips, .. } => trips,
        }
    }

    /// The state of the breaker; of an outlier, that of one that is open as long as its ejection.
    pub(super) fn circuit(&self, breaker: &Breaker) -> Circuit {
        match self.suspect.ejected_until() {
            Instant::EPOCH => breaker.circuit(&self.health),
            until => Circuit::Open {
                until,
                trips: self.suspect.multiplier(),
            },
        }
    }
}

impl<M: Memory> EndpointState<M> {
    pub(super) fn new(endpoint: &Endpoint, breaker: &Breaker, pool: &Pool) -> EndpointState<M> {
        debug_assert!(!pool.is_empty());
        EndpointState {
            pool: endpoint.pool,
            scope: endpoint.scope,
            permits: M::Word::new(Permits::default()),
            most: endpoint.max_in_flight.map_or(u32::MAX, core::num::NonZeroU32::get),
            ejected_until: M::Word::new(Instant::EPOCH),
            weight: endpoint.weight.get(),
            adds_up: adds_up(pool.balance.load),
            estimate: M::Block::new(Estimate::default()),
            running: M::Block::new(Running::default()),
            vitals: M::Block::new(Vitals {
                health: breaker.fresh(),
                probing: ProbeState::default(),
                suspect: Suspect::default(),
            }),
            restored_at: M::Word::new(Instant::EPOCH),
            probe_due: M::Word::new(Instant::FAR),
        }
    }

    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.permits.read(|permits| permits.in_flight)
    }

    /// Whether a permit is free that nobody else waits for.
    #[inline]
    pub(super) fn has_permit(&self) -> bool {
        self.permits
            .read(|permits| permits.in_flight < self.most && !permits.waiting)
    }

    /// Takes a permit if one is free that nobody else waits for.
    #[inline]
    pub(super) fn take_permit(&self) -> bool {
        self.permits.update(|permits| {
            let free = permits.in_flight < self.most && !permits.waiting;
            permits.in_flight += u32::from(free);
            free
        })
    }

    /// Takes a permit for somebody who waits.
    pub(super) fn take_for_waiter(&self) -> bool {
        self.permits.update(|permits| {
            let free = permits.in_flight < self.most;
            permits.in_flight += u32::from(free);
            free
        })
    }

    /// Leaves word that somebody waits; whether anybody had before.
    pub(super) fn mark_waiting(&self) -> bool {
        self.permits
            .update(|permits| core::mem::replace(&mut permits.waiting, true))
    }

    /// Gives a permit back, unless somebody waits for it: then it stays out, to be handed over.
    #[inline]
    pub(super) fn give_back(&self) -> bool {
        self.permits.update(|permits| {
            permits.in_flight -= u32::from(!permits.waiting);
            !permits.waiting
        })
    }

    /// Gives a permit back although somebody may wait for it: nobody who does can use it now.
    pub(super) fn put_back(&self) {
        self.permits.update(|permits| permits.in_flight -= 1);
    }

    /// Whether its health lets an attempt through; the breaker is its pool's, and is seldom asked for.
    #[inline]
    pub(super) fn is_healthy<'a>(&self, breaker: impl FnOnce() -> &'a Breaker, now: Instant) -> bool {
        let until = self.ejected_until.read(|until| *until);
        !is_out(until) || until <= now && self.may_probe(breaker(), now)
    }

    #[cold]
    fn may_probe(&self, breaker: &Breaker, now: Instant) -> bool {
        self.vitals.with(|vitals| may_probe(breaker, vitals, now))
    }
}

/// Whether what runs at an endpoint is added up for this load.
fn adds_up(load: LoadKind) -> bool {
    match load {
        LoadKind::TokenBacklog => true,
        LoadKind::Time { in_flight, .. } => in_flight,
        LoadKind::InFlight
        | LoadKind::InFlightPerWeight
        | LoadKind::ExpectedDelay
        | LoadKind::PeakEwma { .. }
        | LoadKind::Latency
        | LoadKind::Score { .. } => false,
    }
}

fn may_probe(breaker: &Breaker, vitals: &Vitals, now: Instant) -> bool {
    match breaker.peek(&vitals.health, now) {
        Admission::Yes | Admission::Probe(_) => vitals.probing.is_up(),
        Admission::No { .. } => false,
    }
}
