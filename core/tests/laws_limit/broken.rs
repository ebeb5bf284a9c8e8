//! Limiters with one flaw each, and the law that finds it: a law that finds nothing in any of them proves nothing.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tollgate_core::laws::Verdict;
use tollgate_core::laws::limit::{self as laws, Case, Subject, bucket_fits, quota};
use tollgate_core::limit::{Decision, Gcra, Limiter, Standing, Taken};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

use crate::years::{self, Manner};

/// A token bucket written plainly, with the flaw of that number.
struct Broken<const FLAW: u8>(Quota);

const SOUND: u8 = 0;
const DROPS_REMAINDER: u8 = 1;
const HOARDS: u8 = 2;
const ROUNDS_COST: u8 = 3;
const PROMISES_LATE: u8 = 4;
const PROMISES_EARLY: u8 = 5;
const IDLE_TOO_SOON: u8 = 6;
const OVERFILLS: u8 = 7;
const FORGIVES: u8 = 8;
const CHARGES_THE_PAST: u8 = 9;
const UNDOES_NOTHING: u8 = 10;
const TRUSTS_LATE_CLOCKS: u8 = 11;
const SHOWS_STALE: u8 = 12;
const NEVER_SAYS_NEVER: u8 = 13;
const LEAKS: u8 = 14;
const PEEKS_PAST_REFUSALS: u8 = 15;

/// A unit is `period` parts; a negative `spent` is more than a full bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct State {
    spent: i128,
    at: u64,
}

impl<const FLAW: u8> Broken<FLAW> {
    fn unit(&self) -> i128 {
        i128::from(self.0.period.as_nanos())
    }

    fn gain(&self) -> i128 {
        i128::from(self.0.amount.get())
    }

    fn capacity(&self) -> i128 {
        self.unit() * i128::from(self.0.burst.get())
    }

    fn worth(&self, cost: Cost) -> i128 {
        if FLAW == ROUNDS_COST {
            return i128::from(cost) * (self.unit() / self.gain()) * self.gain();
        }
        i128::from(cost) * self.unit()
    }

    fn refilled(&self, state: State, now: Instant) -> State {
        let now = now.as_nanos();
        let mut gained = i128::from(now.saturating_sub(state.at)) * self.gain();
        if FLAW == DROPS_REMAINDER {
            gained -= gained % self.unit();
        }
        let spent = state.spent - gained;
        State {
            spent: if FLAW == HOARDS {
                spent
            } else {
                spent.max(state.spent.min(0))
            },
            at: if FLAW == TRUSTS_LATE_CLOCKS {
                now
            } else {
                state.at.max(now)
            },
        }
    }

    fn due(&self, state: State, most: i128) -> Instant {
        let nanos = (state.spent - most).max(0);
        let nanos = (nanos + self.gain() - 1) / self.gain();
        Instant::from_nanos(state.at.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl<const FLAW: u8> Limiter for Broken<FLAW> {
    type State = State;

    fn take(&self, state: &mut State, now: Instant, cost: Cost) -> Decision {
        if self.0.burst.get() < cost && FLAW != NEVER_SAYS_NEVER {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }
        let mut next = self.refilled(*state, now);
        next.spent += self.worth(cost);
        if next.spent <= self.capacity() {
            *state = next;
            return Decision::Allow { at: now };
        }
        let nano = Nanos::from_nanos(1);
        let until = match FLAW {
            PROMISES_LATE => self.due(next, self.capacity()) + nano,
            PROMISES_EARLY => self.due(next, self.capacity()) - nano,
            _ => self.due(next, self.capacity()),
        };
        Decision::Wait { until }
    }

    fn peek(&self, state: &State, now: Instant, cost: Cost) -> Decision {
        match FLAW {
            PEEKS_PAST_REFUSALS => Decision::Allow { at: now },
            _ => self.take(&mut { *state }, now, cost),
        }
    }

    fn undo(&self, state: &mut State, _now: Instant, taken: Taken) {
        if FLAW != UNDOES_NOTHING {
            state.spent = (state.spent - self.worth(taken.cost)).max(0);
        }
    }

    fn settle(&self, state: &mut State, now: Instant, taken: Taken, used: Cost) {
        if FLAW != CHARGES_THE_PAST {
            *state = self.refilled(*state, now);
        }
        let used = if FLAW == LEAKS && used == 0 { 1 } else { used };
        state.spent += self.worth(used) - self.worth(taken.cost);
        if FLAW == FORGIVES {
            state.spent = state.spent.min(self.capacity());
        }
        if FLAW != OVERFILLS {
            state.spent = state.spent.max(0);
        }
    }

    fn is_idle(&self, state: &State, now: Instant) -> bool {
        let spared = if FLAW == IDLE_TOO_SOON { self.unit() } else { 0 };
        self.refilled(*state, now).spent <= spared
    }

    fn standing(&self, state: &State, now: Instant) -> Standing {
        let state = if FLAW == SHOWS_STALE {
            *state
        } else {
            self.refilled(*state, now)
        };
        let units = (self.capacity() - state.spent).max(0) / self.unit();
        Standing {
            limit: self.0.burst.get(),
            remaining: u64::try_from(units).expect("small bursts"),
            reset: self.due(state, 0).max(now),
        }
    }
}

impl<const FLAW: u8> Subject for Broken<FLAW> {
    fn of(quota: Quota) -> Broken<FLAW> {
        Broken(quota)
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

/// The first thing that `law` has to say about the same few thousand cases.
fn found(law: fn(&Case) -> Verdict) -> Option<String> {
    let mut runner = TestRunner::deterministic();
    let cases = laws::case();
    (0..3000).find_map(|_| {
        let case = cases.new_tree(&mut runner).expect("cases are never rejected").current();
        law(&case).err()
    })
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident breaks $law:ident)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(found(laws::$law::<Broken<SOUND>>), None, "without the flaw");
            assert!(found(laws::$law::<Broken<$flaw>>).is_some(), "the flaw was not found");
        })*
    };
}

flaws! {
    a_hoard_is_found: HOARDS breaks never_exceeds_quota
    a_rounded_cost_is_found: ROUNDS_COST breaks never_exceeds_quota
    a_late_promise_is_found: PROMISES_LATE breaks wait_is_tight
    an_early_promise_is_found: PROMISES_EARLY breaks wait_is_tight
    a_key_forgotten_too_soon_is_found: IDLE_TOO_SOON breaks idle_equals_fresh
    an_overfull_bucket_is_found: OVERFILLS breaks refund_restores
    a_forgiven_debt_is_found: FORGIVES breaks debt_is_repaid
    a_debt_paid_with_the_past_is_found: CHARGES_THE_PAST breaks debt_is_repaid
    an_undo_without_effect_is_found: UNDOES_NOTHING breaks undo_is_exact_inverse
    a_late_clock_that_is_trusted_is_found: TRUSTS_LATE_CLOCKS breaks late_now_never_admits_more
    a_stale_standing_is_found: SHOWS_STALE breaks standing_never_mutates
    a_hopeless_wait_is_found: NEVER_SAYS_NEVER breaks never_is_never
    a_peek_that_is_wrong_is_found: PEEKS_PAST_REFUSALS breaks peek_is_what_take_says
    a_leak_is_found: LEAKS breaks conserved_on_every_exit
}

#[test]
fn a_difference_from_gcra_is_found() {
    assert_eq!(
        found(laws::equal_within_a_tick::<Broken<SOUND>, Gcra>),
        None,
        "without the flaw"
    );
    assert!(found(laws::equal_within_a_tick::<Broken<DROPS_REMAINDER>, Gcra>).is_some());
}

/// Ten a second, asked for every 150 ms, are 6.67 a second to a bucket that drops what a refill brings beyond whole
/// units.
#[test]
fn a_dropped_remainder_is_found() {
    let ten = quota(10, Nanos::from_secs(1), 3);
    let polled = Manner::Polled(Nanos::from_millis(150));
    assert_eq!(years::rate_is_held::<Broken<SOUND>>(ten, 1, polled), Ok(()));
    let said = years::rate_is_held::<Broken<DROPS_REMAINDER>>(ten, 1, polled).expect_err("it is found");
    assert!(said.contains("6666 in 10000"), "{said}");
}

/// Whole nanoseconds a unit, rounded down: 11 % too much at 3e8 a second.
#[test]
fn a_rounded_rate_is_found() {
    let fast = quota(300_000_000, Nanos::from_secs(1), 3);
    assert_eq!(years::rate_is_held::<Broken<SOUND>>(fast, 1, Manner::Greedy), Ok(()));
    let said = years::rate_is_held::<Broken<ROUNDS_COST>>(fast, 1, Manner::Greedy).expect_err("it is found");
    assert!(said.contains("11111 in 10000"), "{said}");
}
