//! A cap on retries in flight, as a share of active requests.

use crate::policy;

/// Caps retries in flight to a share of the active requests, with a floor for quiet times.
///
/// At most `max(floor, ratio · active)` retries are out at once, rounded down. A retry is out from the moment that it is
/// decided, through its backoff, until its attempt has ended. (Envoy's `retry_budget` with `budget_percent` and
/// `min_retry_concurrency`; failsafe-go's `retrybudget` keeps the same two numbers.)
///
/// Nothing is saved up and nothing is forgotten by the clock: whoever asks is told by what is active now. The ratio is
/// kept in thousand-millionths, so that a fifth of five is one.
///
/// ```
/// use tollgate_core::policy;
/// use tollgate_core::retry::{Active, ConcurrencyBudget};
///
/// let budget = ConcurrencyBudget::new(&policy::RetryConcurrency { ratio: 0.2, floor: 3 });
/// let mut active = Active::default();
/// for _ in 0..20 {
///     active.begin();
/// }
/// assert_eq!((0..20).filter(|_| budget.withdraw(&mut active)).count(), 4);
/// active.give_back();
/// assert!(budget.withdraw(&mut active));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyBudget {
    /// Retries per active request, in thousand-millionths.
    ratio: u64,
    floor: u32,
}

/// What is active on a route; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// Requests that passed their limits and are not settled, those that wait for a permit among them.
    pub requests: u32,
    /// Retries that are out.
    pub retries: u32,
}

/// One, in the unit of a ratio.
const ONE: u64 = 1_000_000_000;

impl ConcurrencyBudget {
    /// The budget that a policy describes.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a checked ratio is above 0 and at most 1; beyond that float casts saturate"
    )]
    pub fn new(budget: &policy::RetryConcurrency) -> ConcurrencyBudget {
        const UNITS: f64 = 1e9;
        ConcurrencyBudget {
            ratio: ((budget.ratio * UNITS + 0.5) as u64).min(ONE),
            floor: budget.floor,
        }
    }

    /// How many retries may be out at once while so much is `active`.
    #[must_use]
    pub fn allowed(&self, active: Active) -> u32 {
        let share = u64::from(active.requests) * self.ratio / ONE;
        // A ratio is at most one: the share is no more than what is active.
        u32::try_from(share).unwrap_or(u32::MAX).max(self.floor)
    }

    /// Takes one retry out, if one more may be; check and withdrawal are one step.
    #[must_use]
    pub fn withdraw(&self, active: &mut Active) -> bool {
        let is_allowed = active.retries < self.allowed(*active);
        active.retries += u32::from(is_allowed);
        is_allowed
    }

    /// How many retries more may be out. Below zero while retries outlive the requests that allowed them.
    #[must_use]
    pub fn balance(&self, active: Active) -> f64 {
        f64::from(self.allowed(active)) - f64::from(active.retries)
    }
}

impl Active {
    /// A request has passed its limits.
    pub fn begin(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// A request that had [begun](Active::begin) is settled.
    pub fn end(&mut self) {
        debug_assert!(0 < self.requests, "what ends has begun");
        self.requests = self.requests.saturating_sub(1);
    }

    /// A retry that was withdrawn has ended, or was not made.
    pub fn give_back(&mut self) {
        debug_assert!(0 < self.retries, "what is given back was withdrawn");
        self.retries = self.retries.saturating_sub(1);
    }
}
