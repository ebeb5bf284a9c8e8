//! The laws, as functions that say what is wrong with one case.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::{Case, Step, Subject};
use crate::laws::{Verdict, demand};
use crate::limit::{Decision, Standing, Taken};
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

const NANO: Nanos = Nanos::from_nanos(1);

/// Calls `look` before every step with the state as it is, then takes the step.
fn walk<L: Subject>(case: &Case, mut look: impl FnMut(&L, &L::State, Instant, Step) -> Verdict) -> Verdict {
    let limiter = L::of(case.quota);
    let mut state = L::State::default();
    let mut now = case.start;
    for step in &case.steps {
        now += step.gap;
        look(&limiter, &state, now, *step)?;
        let _ = limiter.take(&mut state, now, step.cost);
    }
    Ok(())
}

/// The state after `cost` units were taken, and what gives them back; none if they are not to be had.
fn taken<L: Subject>(limiter: &L, before: &L::State, now: Instant, cost: Cost) -> Option<(L::State, Taken)> {
    let mut state = before.clone();
    let is_allowed = limiter.take(&mut state, now, cost).is_allowed();
    is_allowed.then_some((state, Taken { cost, at: now }))
}

/// Whether two states cannot be told apart from `now` on: not by looking, nor by taking what the case takes.
fn same<L: Subject>(limiter: &L, a: &L::State, b: &L::State, now: Instant, case: &Case) -> Verdict {
    let (mut a, mut b, mut now) = (a.clone(), b.clone(), now);
    for step in &case.steps {
        let standings = (limiter.standing(&a, now), limiter.standing(&b, now));
        demand!(standings.0 == standings.1, "told apart at {now:?}: {standings:?}");
        let idle = (limiter.is_idle(&a, now), limiter.is_idle(&b, now));
        demand!(idle.0 == idle.1, "one is idle at {now:?}: {idle:?}");
        let decisions = (
            limiter.take(&mut a, now, step.cost),
            limiter.take(&mut b, now, step.cost),
        );
        demand!(
            decisions.0 == decisions.1,
            "told apart at {now:?} by {}: {decisions:?}",
            step.cost
        );
        now += step.gap;
    }
    Ok(())
}

/// Every run of `taken`, whose entries are in the order of their calls, fits in the time from the earliest instant in
/// it to the latest until its end.
fn every_run_fits<L: Subject>(case: &Case, taken: &[(Instant, Cost)]) -> Verdict {
    for first in 0..taken.len() {
        let mut units = 0;
        let mut earliest = Instant::FAR;
        let mut latest = taken[..first].iter().map(|(at, _)| *at).max().unwrap_or(Instant::EPOCH);
        for (at, cost) in &taken[first..] {
            units += u128::from(*cost);
            earliest = earliest.min(*at);
            latest = latest.max(*at);
            let window = latest.since(earliest);
            demand!(
                L::fits(case.quota, window, units),
                "{units} units in {window}, from {earliest:?}"
            );
        }
    }
    Ok(())
}

/// Units taken in any window stay within what [`Subject::fits`] says.
///
/// # Errors
///
/// How it is broken.
pub fn never_exceeds_quota<L: Subject>(case: &Case) -> Verdict {
    let mut taken = Vec::new();
    walk::<L>(case, |limiter, state, now, step| {
        let mut state = state.clone();
        if let Decision::Allow { at } = limiter.take(&mut state, now, step.cost) {
            taken.push((at, step.cost));
        }
        Ok(())
    })?;
    every_run_fits::<L>(case, &taken)
}

/// Refused until the last nanosecond before `until`, allowed at `until`; and a refusal changes nothing.
///
/// # Errors
///
/// How it is broken.
pub fn wait_is_tight<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, state, now, step| {
        let mut tried = state.clone();
        let Decision::Wait { until } = limiter.take(&mut tried, now, step.cost) else {
            return Ok(());
        };
        demand!(tried == *state, "a refusal changed {state:?} to {tried:?}");
        demand!(now < until, "at {now:?} told to wait until {until:?}");
        let middle = now + Nanos::from_nanos(until.since(now).as_nanos() / 2);
        for early in [now, middle, until - NANO] {
            let again = limiter.take(&mut tried, early, step.cost);
            demand!(
                again == Decision::Wait { until },
                "until {until:?}, but at {early:?} {again:?}"
            );
        }
        let allowed = limiter.take(&mut tried, until, step.cost).is_allowed();
        demand!(allowed || until.is_far(), "refused at {until:?}, as promised");
        Ok(())
    })
}

/// An idle key cannot be told from a new one, and is idle from its reset on, not before.
///
/// # Errors
///
/// How it is broken.
pub fn idle_equals_fresh<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, state, now, _| {
        if limiter.is_idle(state, now) {
            same(limiter, state, &L::State::default(), now, case)?;
        }
        let Standing { reset, .. } = limiter.standing(state, now);
        if reset.is_far() {
            return Ok(());
        }
        demand!(limiter.is_idle(state, reset), "not idle at its reset, {reset:?}");
        demand!(
            reset == now || !limiter.is_idle(state, reset - NANO),
            "idle before its reset, {reset:?}"
        );
        same(limiter, state, &L::State::default(), reset, case)
    })
}

/// What was not used comes back at once, and never makes more than a full burst.
///
/// # Errors
///
/// How it is broken.
pub fn refund_restores<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, before, now, step| {
        let Some((mut state, taken)) = taken(limiter, before, now, step.cost) else {
            return Ok(());
        };
        let used = step.cost / 3;

        let mut all = state.clone();
        limiter.settle(&mut all, now, taken, 0);
        same(limiter, &all, before, now, case)?;

        let mut some = state.clone();
        limiter.settle(&mut some, now, taken, used);
        let mut directly = before.clone();
        demand!(
            limiter.take(&mut directly, now, used).is_allowed(),
            "a third of it is refused"
        );
        same(limiter, &some, &directly, now, case)?;

        // However late it comes, a refund fills a key and no more.
        let later = now + step.late;
        limiter.settle(&mut state, later, taken, 0);
        let Standing { limit, remaining, .. } = limiter.standing(&state, later);
        demand!(remaining <= limit, "{remaining} of {limit} remain");
        demand!(
            !limiter.take(&mut state, later, limit + 1).is_allowed(),
            "more than {limit} at once"
        );
        Ok(())
    })
}

/// What was used in excess is missing at once, and is paid by waiting.
///
/// # Errors
///
/// How it is broken.
pub fn debt_is_repaid<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, before, now, step| {
        let Some((mut state, taken)) = taken(limiter, before, now, step.cost) else {
            return Ok(());
        };
        // It ends later, having used up to three bursts more.
        let now = now + step.late;
        let excess = step.late.as_nanos() % (3 * case.quota.burst.get()) + 1;
        let had = limiter.standing(&state, now).remaining;
        limiter.settle(&mut state, now, taken, step.cost + excess);
        let left = limiter.standing(&state, now).remaining;
        let owes = had.saturating_sub(excess);
        let is_owed = if L::SMOOTHS { left <= owes } else { left == owes };
        demand!(is_owed, "{left} left of {had} after {excess} in excess");

        // What was used in excess and the next unit fit the quota together.
        let paid = match limiter.take(&mut state, now, 1) {
            Decision::Allow { at } => at,
            Decision::Wait { until } if until.is_far() => return Ok(()),
            Decision::Wait { until } => match limiter.take(&mut state, until, 1) {
                Decision::Allow { at } => at,
                refused @ (Decision::Wait { .. } | Decision::Never) => {
                    return Err(format!("{refused:?} at {until:?}, when the debt is paid"));
                }
            },
            Decision::Never => return Err("one unit can never be taken".to_owned()),
        };
        let units = u128::from(excess) + 1;
        demand!(
            L::fits(case.quota, paid.since(now), units),
            "{units} units within {}",
            paid.since(now)
        );
        Ok(())
    })
}

/// A take that was undone was never there, and another at the same instant is not touched.
///
/// # Errors
///
/// How it is broken.
pub fn undo_is_exact_inverse<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, before, now, step| {
        let Some((once, taken)) = taken(limiter, before, now, step.cost) else {
            return Ok(());
        };
        let later = now + step.late;
        let mut undone = once.clone();
        limiter.undo(&mut undone, later, taken);
        same(limiter, &undone, before, later, case)?;

        // Another take at the same instant is not touched, whichever of the two is undone.
        let mut twice = once.clone();
        if !limiter.take(&mut twice, now, 1).is_allowed() {
            return Ok(());
        }
        let mut first_undone = twice.clone();
        limiter.undo(&mut first_undone, now, taken);
        let mut only_second = before.clone();
        demand!(
            limiter.take(&mut only_second, now, 1).is_allowed(),
            "refused before the first take"
        );
        same(limiter, &first_undone, &only_second, now, case)?;

        limiter.undo(&mut twice, now, Taken { cost: 1, at: now });
        same(limiter, &twice, &once, now, case)
    })
}

/// Looking changes nothing, and what is shown to remain can be taken now, and not one unit more.
///
/// # Errors
///
/// How it is broken.
pub fn standing_never_mutates<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, state, now, _| {
        let looked = state.clone();
        let Standing {
            limit,
            remaining,
            reset,
        } = limiter.standing(&looked, now);
        demand!(looked == *state, "looking changed {state:?} to {looked:?}");
        demand!(limit == case.quota.burst.get(), "the limit is {limit}");
        demand!(remaining <= limit, "{remaining} of {limit} remain");
        demand!(now <= reset, "reset at {reset:?}, before {now:?}");

        let now_at = Decision::Allow { at: now };
        let all = limiter.take(&mut looked.clone(), now, remaining);
        demand!(all == now_at, "{remaining} remain, yet {all:?}");
        let more = limiter.take(&mut looked.clone(), now, remaining + 1);
        demand!(more != now_at, "{remaining} remain, yet one more is allowed");
        let is_idle = limiter.is_idle(state, now);
        demand!(
            is_idle == (remaining == limit),
            "{remaining} of {limit} remain, idle: {is_idle}"
        );
        Ok(())
    })
}

/// Asking what a take would say is told what it says, and changes nothing.
///
/// # Errors
///
/// How it is broken.
pub fn peek_is_what_take_says<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, state, now, step| {
        for at in [now, now - step.late, now + step.late] {
            let peeked = limiter.peek(state, at, step.cost);
            let taken = limiter.take(&mut state.clone(), at, step.cost);
            demand!(peeked == taken, "at {at:?} peeked {peeked:?}, took {taken:?}");
        }
        Ok(())
    })
}

/// A clock that is late refuses no less, for one call and for a whole run of them.
///
/// # Errors
///
/// How it is broken.
pub fn late_now_never_admits_more<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, state, now, step| {
        let late = now - step.late;
        let remaining = (
            limiter.standing(state, late).remaining,
            limiter.standing(state, now).remaining,
        );
        demand!(remaining.0 <= remaining.1, "{} late: {remaining:?} remain", step.late);
        let at_late = limiter.take(&mut state.clone(), late, step.cost).is_allowed();
        let at_now = limiter.take(&mut state.clone(), now, step.cost).is_allowed();
        demand!(at_now || !at_late, "allowed {} late, refused in time", step.late);
        demand!(
            !limiter.is_idle(state, late) || limiter.is_idle(state, now),
            "idle only when late"
        );
        Ok(())
    })?;

    // A whole run of calls some of which are late.
    let limiter = L::of(case.quota);
    let mut state = L::State::default();
    let mut now = case.start;
    let mut taken = Vec::new();
    for step in &case.steps {
        now += step.gap;
        if let Decision::Allow { at } = limiter.take(&mut state, now - step.late, step.cost) {
            taken.push((at, step.cost));
        }
    }
    every_run_fits::<L>(case, &taken)
}

/// What a key can never hold is never taken, a full burst can be, and nothing is always allowed.
///
/// # Errors
///
/// How it is broken.
pub fn never_is_never<L: Subject>(case: &Case) -> Verdict {
    walk::<L>(case, |limiter, before, now, step| {
        let limit = limiter.standing(before, now).limit;
        let mut state = before.clone();
        for cost in [limit + 1, limit.saturating_mul(2), Cost::MAX] {
            let decision = limiter.take(&mut state, now, cost);
            demand!(decision == Decision::Never, "{cost} of {limit}: {decision:?}");
        }
        demand!(state == *before, "a refusal changed {before:?} to {state:?}");

        let most = limiter.take(&mut state, now, limit);
        demand!(most != Decision::Never, "{limit} of {limit} never");

        // Nothing is allowed even in debt, and is nothing.
        let taken = Taken { cost: 0, at: now };
        limiter.settle(&mut state, now, taken, step.cost + limit * 2);
        let in_debt = state.clone();
        let nothing = limiter.take(&mut state, now, 0);
        demand!(nothing == Decision::Allow { at: now }, "nothing: {nothing:?}");
        demand!(state == in_debt, "nothing changed {in_debt:?} to {state:?}");
        Ok(())
    })
}

/// Whatever way a request ends, a key that is not used any more is idle as soon as its quota has paid for what was
/// used; and if nothing was, it is as if nothing had been.
///
/// # Errors
///
/// How it is broken.
pub fn conserved_on_every_exit<L: Subject>(case: &Case) -> Verdict {
    for keeps in [false, true] {
        let limiter = L::of(case.quota);
        let mut state = L::State::default();
        let mut now = case.start;
        let mut used = 0_u128;
        let mut open = Vec::new();
        for (index, step) in case.steps.iter().enumerate() {
            now += step.gap;
            if limiter.take(&mut state, now, step.cost).is_allowed() {
                open.push(Taken {
                    cost: step.cost,
                    at: now,
                });
            }
            // The oldest ends on every second step.
            if index % 2 == 0 || open.is_empty() {
                continue;
            }
            let taken = open.remove(0);
            match index % 3 {
                0 => limiter.undo(&mut state, now, taken),
                _ if keeps => {
                    let kept = taken.cost / 2;
                    used += u128::from(kept);
                    limiter.settle(&mut state, now, taken, kept);
                }
                _ => limiter.settle(&mut state, now, taken, 0),
            }
        }
        for taken in open.iter().rev() {
            limiter.settle(&mut state, now, *taken, 0);
        }

        let reset = limiter.standing(&state, now).reset;
        if reset.is_far() {
            demand!(0 < used, "nothing is in use, yet it is busy for ever");
            continue;
        }
        let paid = L::pays(case.quota, used);
        let wait = u128::from(reset.since(now).as_nanos());
        demand!(wait <= paid, "{used} units used, yet busy for {wait} ns");
    }
    Ok(())
}

/// Two limiters decide alike; if not, then because they disagree on when by no more than a tick of the clock, which is
/// below a nanosecond or 2^-60 of what a burst is worth.
///
/// # Errors
///
/// How it is broken.
pub fn equal_within_a_tick<A: Subject, B: Subject>(case: &Case) -> Verdict {
    let (one, other) = (A::of(case.quota), B::of(case.quota));
    let (mut a, mut b) = (A::State::default(), B::State::default());
    let worth = u128::from(case.quota.burst.get()) * u128::from(case.quota.period.as_nanos())
        / u128::from(case.quota.amount.get());
    let slack = Nanos::from_nanos(2) + Nanos::from_nanos(u64::try_from(worth >> 59).unwrap_or(u64::MAX));
    let mut now = case.start;
    for step in &case.steps {
        now += step.gap;
        let (before_a, before_b) = (a.clone(), b.clone());
        let decisions = (one.take(&mut a, now, step.cost), other.take(&mut b, now, step.cost));
        let apart = match decisions {
            (Decision::Never, Decision::Never) => Nanos::ZERO,
            (Decision::Allow { at: x }, Decision::Allow { at: y })
            | (Decision::Wait { until: x }, Decision::Wait { until: y }) => x.max(y).since(x.min(y)),
            // What the one allows, perhaps with a delay, the other allows a tick later.
            (Decision::Wait { until }, Decision::Allow { .. }) | (Decision::Allow { .. }, Decision::Wait { until }) => {
                until.since(now)
            }
            (Decision::Never, Decision::Allow { .. } | Decision::Wait { .. })
            | (Decision::Allow { .. } | Decision::Wait { .. }, Decision::Never) => Nanos::FOREVER,
        };
        demand!(apart <= slack, "at {now:?}, {} units: {decisions:?}", step.cost);
        if decisions.0.is_allowed() != decisions.1.is_allowed() {
            // At the very boundary: neither counts.
            (a, b) = (before_a, before_b);
        }
        if step.late < step.gap {
            let taken = Taken { cost: 1, at: now };
            one.settle(&mut a, now, taken, step.cost);
            other.settle(&mut b, now, taken, step.cost);
        }
        let resets = (one.standing(&a, now).reset, other.standing(&b, now).reset);
        let apart = resets.0.max(resets.1).since(resets.0.min(resets.1));
        demand!(apart <= slack, "at {now:?} they reset at {resets:?}");
    }
    Ok(())
}
