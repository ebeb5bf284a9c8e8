//! What requests share: limits, the fleet of endpoints, budgets and wait queues.
//!
//! The gate is a machine of its own: a breaker that is due for a probe, an endpoint whose Retry-After has passed
//! and an active health check free capacity while no request runs. Whoever drives requests therefore also drives
//! the gate: it delivers [`GateInput`] and performs the effects, with one timer for the gate beside the one of
//! each request.
//!
//! | Law | Test |
//! |---|---|
//! | Attempts in flight on an endpoint are the open attempts on it, after every step. | `every_hold_released_once` |
//! | Whoever waits is admitted once a permit that it can use is free. | `no_wakeup_lost` |
//! | Half-open, an endpoint has no more probes out or judged than the policy says, and each comes back. | `probes_are_bounded` |
//! | Below the panic threshold health is ignored; a Retry-After is not. | `panic_ignores_health` |
//! | A backup is never used while an endpoint of a lower tier is available, and at once when none is. | `a_backup_waits_for_its_turn` |
//! | An endpoint is out of reach only when all of its keys cool, or the quota that they share. | `all_keys_cool_before_the_endpoint_does`, `keys_of_one_quota_cool_together` |
//! | Balancers see loads as of the last multiple of the staleness. | `old_loads_are_as_of_the_last_period` |
//! | An endpoint that comes back is given its share again over the window. | `who_comes_back_starts_slowly` |
//! | However often the gate is woken, wishes to be woken do not multiply. | `wishes_do_not_pile_up` |
//! | A gate for one thread and one for many decide alike. | `local_equals_shared` |

mod budgets;
mod endpoint;
mod fleet;
mod health;
mod keys;
mod limits;
mod loads;
mod outlier;
mod snapshot;
mod throttles;
mod tiers;
mod view;
mod waiting;

pub use crate::health::Circuit;
pub use limits::{Fared, Granted, LimitRefusal, Limits, Reach, Used};
pub use snapshot::{BudgetSnapshot, EndpointSnapshot, Snapshot};

pub(crate) use budgets::{Budgets, Withdrawal};
pub(crate) use fleet::{Acquired, AttemptVerdict, Fleet, Outlook, Wish};
pub(crate) use loads::Ended;
pub(crate) use waiting::Entry;

use core::num::NonZeroU16;

use crate::id::{EndpointId, KeyHash, LimitId, PoolId, RouteId};
use crate::lifecycle::{Effect, Effects};
use crate::limit::Standing;
use crate::memory::Memory;
use crate::policy::Policy;
use crate::time::Instant;

/// What requests share.
pub struct Gate<M: Memory> {
    policy: Policy,
    pub(crate) limits: Limits<M>,
    pub(crate) fleet: Fleet<M>,
    pub(crate) budgets: Budgets<M>,
}

/// What the world tells the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateInput {
    /// The gate begins: once, before any request.
    Start,
    /// The instant asked for by [`Effect::WakeGateAt`] has come.
    Wake,
    /// An active health check has been answered, or was not answered in time.
    Probe {
        /// Of which endpoint.
        endpoint: EndpointId,
        /// Whether the answer was good.
        ok: bool,
    },
}

impl<M: Memory> Gate<M> {
    /// A gate that has seen nothing yet, for one thread.
    #[must_use]
    pub fn new(policy: Policy) -> Gate<M> {
        Gate::with_lanes(policy, NonZeroU16::MIN)
    }

    /// The same for so many threads. Which of them drives a request stands in its class; it matters to leases only.
    #[must_use]
    pub fn with_lanes(policy: Policy, lanes: NonZeroU16) -> Gate<M> {
        Gate {
            limits: Limits::with_lanes(&policy, lanes),
            fleet: Fleet::new(&policy),
            budgets: Budgets::new(&policy),
            policy,
        }
    }

    /// The policy that it decides by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Advances the gate by one input. Every consequence is in `effects` when this returns.
    ///
    /// Late and repeated wake-ups are harmless.
    pub fn handle(&self, now: Instant, input: GateInput, effects: &mut Effects) {
        match input {
            GateInput::Start => self.start(now, effects),
            GateInput::Wake => self.wake(now, effects),
            GateInput::Probe { endpoint, ok } => self.fleet.judge(&self.policy, endpoint, ok, now, effects),
        }
    }

    /// The state of everything that is shared, for people, plots and laws.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let endpoints = (0..self.policy.endpoints.len()).map(EndpointId::at);
        let routes = (0..self.policy.routes.len()).map(RouteId::at);
        Snapshot {
            endpoints: endpoints.map(|id| self.fleet.snapshot(&self.policy, id)).collect(),
            waiting: self.pools().map(|pool| self.fleet.waiting(pool)).collect(),
            keys: self.limits.keys(),
            reserved: self.limits.reserved(),
            adaptive: self.limits.latest(),
            budgets: routes.map(|route| self.budgets.snapshot(route, now)).collect(),
        }
    }

    /// Where `key` stands with a limit whose state is in this process; for headers.
    #[must_use]
    pub fn standing(&self, limit: LimitId, key: KeyHash, now: Instant) -> Standing {
        self.limits.standing(limit, key, now)
    }

    /// Gives back the memory of keys that owe nothing and are owed nothing, and what is left of leases that have ended. But
    /// for those no decision changes by it, and none needs it: for drivers that live long, now and then.
    pub fn forget(&self, now: Instant) {
        self.limits.forget(now);
    }

    fn start(&self, now: Instant, effects: &mut Effects) {
        for (at, endpoint) in self.policy.endpoints.iter().enumerate() {
            if let Some(probe) = &self.policy.pool(endpoint.pool).probe {
                // Spread over the period: endpoints of one pool are not all asked at once.
                let pool = self.policy.pool(endpoint.pool);
                let nth = at - usize::from(pool.endpoints.start);
                let share = probe.every.as_nanos() / pool.len() as u64 * nth as u64;
                self.fleet
                    .schedule_probe(EndpointId::at(at), now + crate::time::Nanos::from_nanos(share));
            }
        }
        self.wake(now, effects);
    }

    fn wake(&self, now: Instant, effects: &mut Effects) {
        for pool in self.pools() {
            self.fleet.drain(&self.policy, pool, now, effects);
        }
        if let Some(at) = self.fleet.rounds(&self.policy, now, effects) {
            effects.push(Effect::WakeGateAt { at });
        }
    }

    fn pools(&self) -> impl Iterator<Item = PoolId> {
        (0..self.policy.pools.len()).map(PoolId::at)
    }
}
