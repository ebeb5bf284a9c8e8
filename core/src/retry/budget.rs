//! A cap on retries, as a share of requests.

use crate::policy;
use crate::time::{Instant, Nanos};
use crate::wheel::Wheel;

/// Caps retries to a share of requests, with a floor for quiet times.
///
/// Every request deposits `ratio` of a retry, every retry withdraws one. Both are forgotten after the `ttl`, so that
/// a quiet hour does not save up for a storm. On top of it there is a reserve of `floor · ttl` retries. (Finagle's
/// `RetryBudget`; tower and linkerd keep the same books.)
///
/// The books are in thousand-millionths of a retry: ten deposits at 30 % are three retries. Time is in ten slots of a
/// tenth of the `ttl`, turned by whole slots.
///
/// ```
/// use tollgate_core::policy;
/// use tollgate_core::retry::{Balance, RetryBudget};
/// use tollgate_core::time::{Instant, Nanos};
///
/// let budget = RetryBudget::new(&policy::RetryBudget {
///     ratio: 0.5,
///     floor_per_sec: 0.0,
///     ttl: Nanos::from_secs(10),
/// });
/// let mut balance = Balance::default();
/// let now = Instant::from_secs(1);
///
/// budget.deposit(&mut balance, now);
/// assert!(!budget.withdraw(&mut balance, now));
/// budget.deposit(&mut balance, now);
/// assert!(budget.withdraw(&mut balance, now));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// What a request is worth.
    deposit: i64,
    /// What there is without any request.
    reserve: i64,
    /// A tenth of the ttl.
    width: Nanos,
}

/// What was deposited and withdrawn lately; by default nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Deposits less withdrawals, slot by slot.
    slots: Wheel<i64, 10>,
}

impl Default for Balance {
    fn default() -> Balance {
        Balance {
            slots: Wheel::new([0; 10]),
        }
    }
}

/// One retry, in the unit of the books.
const RETRY: i64 = 1_000_000_000;

impl RetryBudget {
    /// The budget that a policy describes.
    #[must_use]
    pub fn new(budget: &policy::RetryBudget) -> RetryBudget {
        RetryBudget {
            deposit: in_units(budget.ratio),
            reserve: in_units(budget.floor_per_sec * budget.ttl.as_secs_f64()),
            width: Nanos::from_nanos(budget.ttl.as_nanos().div_ceil(10).max(1)),
        }
    }

    /// A request has come: its first attempt, not a retry.
    #[inline]
    pub fn deposit(&self, balance: &mut Balance, now: Instant) {
        self.add(balance, now, self.deposit);
    }

    /// Takes one retry out, if there is one; check and withdrawal are one step.
    #[must_use]
    pub fn withdraw(&self, balance: &mut Balance, now: Instant) -> bool {
        self.turn(balance, now);
        let sum = balance
            .slots
            .slots()
            .iter()
            .copied()
            .fold(self.reserve, i64::saturating_add);
        if sum < RETRY {
            return false;
        }
        let slot = balance.slots.newest();
        *slot = slot.saturating_sub(RETRY);
        true
    }

    /// Puts back a retry that was withdrawn and then not made.
    pub fn refund(&self, balance: &mut Balance, now: Instant) {
        self.add(balance, now, RETRY);
    }

    /// How many retries there are, as of `now`. Below zero while withdrawals outlive the deposits they came from.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "read by people and plots")]
    pub fn balance(&self, balance: &Balance, now: Instant) -> f64 {
        let sum = balance
            .slots
            .alive(self.width, now)
            .copied()
            .fold(self.reserve, i64::saturating_add);
        sum as f64 / RETRY as f64
    }

    fn add(&self, balance: &mut Balance, now: Instant, units: i64) {
        self.turn(balance, now);
        let slot = balance.slots.newest();
        *slot = slot.saturating_add(units);
    }

    #[inline]
    fn turn(&self, balance: &mut Balance, now: Instant) {
        balance.slots.turn(self.width, now, |slot| *slot = 0);
    }
}

/// The nearest whole number of units to so many retries; float casts saturate.
#[expect(
    clippy::cast_possible_truncation,
    reason = "float casts saturate, as all amounts here do"
)]
fn in_units(retries: f64) -> i64 {
    const UNITS: f64 = 1e9;
    (retries * UNITS + 0.5) as i64
}
