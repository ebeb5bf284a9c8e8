//! The loads of endpoints: what they are now, what they were when the pool's board was last written, what attempts add to
//! them.
//!
//! With a `staleness`, balancers do not see loads but a board on which they are written once a period: loads are as of the
//! last multiple of it (Mitzenmacher, *How Useful Is Old Information?*, 2000). Nobody is woken to write it. Whoever is about
//! to change a load writes the board first if it is due, so that what it says is what was true at the turn of the period.

use alloc::vec::Vec;

use super::fleet::Fleet;
use crate::id::{EndpointId, PoolId};
use crate::load::{self, Ewma, LeastTime, PeakEwma, Ramp, Score};
use crate::memory::{Guarded, Memory, Slot};
use crate::policy::{LoadKind, Policy, Pool, Until};
use crate::time::{Instant, Nanos};
use crate::usage::Estimate;

/// What balancers of a pool may see, where they do not see the truth.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// In which period it was written.
    nth: u64,
    /// Each endpoint's load then; empty if it was never written.
    loads: Vec<f64>,
}

impl Board {
    pub(super) fn load(&self, index: usize) -> f64 {
        self.loads[index]
    }
}

/// How balancers of a pool see loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The load is what is in flight now, and nothing else.
    Plain,
    /// As they are now.
    Live,
    /// As the board says.
    Board,
}

impl Sight {
    pub(super) fn of(pool: &Pool) -> Sight {
        if pool.balance.kind.compares() && pool.balance.staleness != Nanos::ZERO {
            Sight::Board
        } else if pool.balance.load == LoadKind::InFlight && pool.slow_start.is_none() {
            Sight::Plain
        } else {
            Sight::Live
        }
    }
}

/// An attempt that runs no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// When it was launched.
    pub(crate) launched: Instant,
    /// What was assumed of its request.
    pub(crate) estimate: Estimate,
    /// Whether its first token had come.
    pub(crate) answered: bool,
    /// Whether it has answered completely.
    pub(crate) complete: bool,
}

impl<M: Memory> Fleet<M> {
    /// An attempt is launched at `endpoint`.
    #[inline]
    pub(crate) fn launched(&self, policy: &Policy, endpoint: EndpointId, estimate: Estimate, now: Instant) {
        let state = &self.endpoints[endpoint.index()];
        if state.adds_up {
            self.publish(policy, state.pool, now);
            let tokens = tokens(estimate);
            state.running.with(|running| running.begin(now, tokens));
        }
    }

    /// The first token came of an attempt that was launched at `launched`.
    pub(crate) fn answered(&self, policy: &Policy, endpoint: EndpointId, launched: Instant, now: Instant) {
        let state = &self.endpoints[endpoint.index()];
        let latency = now.since(launched);
        if let Some(throttle) = &self.pools[state.pool.index()].throttle {
            throttle.record(now, true);
        }
        self.publish(policy, state.pool, now);
        match policy.pool(state.pool).balance.load {
            LoadKind::PeakEwma { decay } => {
                let law = PeakEwma::new(decay);
                state.estimate.with(|estimate| law.observe(estimate, now, latency));
            }
            LoadKind::Latency | LoadKind::Score { .. } => {
                state.estimate.with(|estimate| Ewma.observe(estimate, now, latency));
            }
            LoadKind::Time {
                until: Until::FirstToken,
                in_flight,
            } => {
                state.estimate.with(|estimate| Ewma.observe(estimate, now, latency));
                if in_flight {
                    state.running.with(|running| running.complete(launched));
                }
            }
            LoadKind::Time {
                until: Until::LastToken,
                ..
            }
            | LoadKind::InFlight
            | LoadKind::InFlightPerWeight
            | LoadKind::ExpectedDelay
            | LoadKind::TokenBacklog => {}
        }
    }

    /// An attempt at `endpoint` runs no more; its permit is still out.
    #[inline]
    pub(crate) fn ended(&self, policy: &Policy, endpoint: EndpointId, ended: Ended, now: Instant) {
        let state = &self.endpoints[endpoint.index()];
        let pool = policy.pool(state.pool);
        let LoadKind::Time { until, .. } = pool.balance.load else {
            if state.adds_up {
                self.publish(policy, state.pool, now);
                let tokens = tokens(ended.estimate);
                state.running.with(|running| {
                    running.complete(ended.launched);
                    running.end(tokens);
                });
            }
            return;
        };
        self.publish(policy, state.pool, now);
        if until == Until::LastToken && ended.complete {
            let stay = now.since(ended.launched);
            state.estimate.with(|estimate| Ewma.observe(estimate, now, stay));
        }
        if state.adds_up {
            let is_incomplete = until == Until::LastToken || !ended.answered;
            let tokens = tokens(ended.estimate);
            state.running.with(|running| {
                if is_incomplete {
                    running.complete(ended.launched);
                }
                running.end(tokens);
            });
        }
    }

    /// A failure counts as a long latency, however fast it came.
    pub(super) fn penalize(&self, policy: &Policy, endpoint: EndpointId, retry_after: Option<Nanos>, now: Instant) {
        let state = &self.endpoints[endpoint.index()];
        match policy.pool(state.pool).balance.load {
            LoadKind::PeakEwma { decay } => {
                let law = PeakEwma::new(decay);
                state.estimate.with(|estimate| law.fail(estimate, now, retry_after));
            }
            LoadKind::Latency | LoadKind::Score { .. } | LoadKind::Time { .. } => {
                state.estimate.with(|estimate| Ewma.fail(estimate, now, retry_after));
            }
            LoadKind::InFlight | LoadKind::InFlightPerWeight | LoadKind::ExpectedDelay | LoadKind::TokenBacklog => {}
        }
    }

    /// Writes the board of `pool` if a period has begun since it was last written.
    #[inline]
    pub(super) fn publish(&self, policy: &Policy, pool: PoolId, now: Instant) {
        if self.pools[pool.index()].sight == Sight::Board {
            self.write_board(policy, pool, now);
        }
    }

    #[cold]
    fn write_board(&self, policy: &Policy, pool: PoolId, now: Instant) {
        let shape = policy.pool(pool);
        let period = shape.balance.staleness.as_nanos().max(1);
        let nth = now.as_nanos() / period;
        self.pools[pool.index()].board.with(|board| {
            if nth <= board.nth && !board.loads.is_empty() {
                return;
            }
            let turn = Instant::from_nanos(nth * period);
            board.nth = nth;
            board.loads.clear();
            board.loads.extend(
                shape
                    .endpoints
                    .clone()
                    .map(|at| self.load(policy, EndpointId(at), turn)),
            );
        });
    }

    /// The load of `endpoint` as of `now`.
    pub(super) fn load(&self, policy: &Policy, endpoint: EndpointId, now: Instant) -> f64 {
        let state = &self.endpoints[endpoint.index()];
        let pool = policy.pool(state.pool);
        let share = self.share(policy, endpoint, now);
        let weight = f64::from(state.weight);
        let in_flight = state.in_flight();
        let counted = || Ramp::count(f64::from(in_flight), share);
        let average = || state.estimate.with(|estimate| Ewma.at(estimate));
        match pool.balance.load {
            LoadKind::InFlight => counted(),
            LoadKind::InFlightPerWeight => load::per_weight(counted(), weight),
            LoadKind::ExpectedDelay => load::expected_delay(counted(), weight),
            LoadKind::TokenBacklog => {
                let tokens = state.running.with(|running| running.tokens());
                #[expect(clippy::cast_precision_loss, reason = "tokens in flight are far below 2^53")]
                let tokens = tokens as f64;
                load::per_weight(Ramp::count(tokens, share), weight)
            }
            LoadKind::PeakEwma { decay } => {
                let law = PeakEwma::new(decay);
                Ramp::stretch(
                    state.estimate.with(|estimate| law.load(estimate, in_flight, now)),
                    share,
                )
            }
            LoadKind::Latency => Ramp::stretch(average(), share),
            LoadKind::Time { in_flight: ages, .. } => {
                let ages = if ages {
                    state.running.with(|running| running.age(now)).as_secs_f64()
                } else {
                    0.0
                };
                Ramp::stretch(LeastTime::load(average(), in_flight, ages, weight), share)
            }
            LoadKind::Score { rtt, load } => {
                let taken = f64::from(in_flight) / f64::from(state.most);
                Ramp::stretch(Score { rtt, load }.load(average() * 1e3, taken), share)
            }
        }
    }

    /// The share of its weight that `endpoint` has: less than all for a while after it came back.
    #[inline]
    pub(super) fn share(&self, policy: &Policy, endpoint: EndpointId, now: Instant) -> f64 {
        let state = &self.endpoints[endpoint.index()];
        let Some(shape) = policy.pool(state.pool).slow_start else {
            return 1.0;
        };
        let restored_at = state.restored_at.read(|at| *at);
        if restored_at == Instant::EPOCH {
            return 1.0;
        }
        Ramp::new(shape).share(now.since(restored_at))
    }
}

/// What an attempt adds to the backlog of its endpoint: an answer of unknown length counts as nothing beyond its prompt.
fn tokens(estimate: Estimate) -> u64 {
    estimate.or(0).total()
}
