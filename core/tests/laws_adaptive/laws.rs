//! Each law as a function of any concurrency law and any case.

use std::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::dice::Rng;
use tollgate_core::limit::{Adaptive, ConcurrencyLaw, Decision, Flight, Limiter, Sample, Taken};
use tollgate_core::policy::Bounds;
use tollgate_core::time::{Instant, Nanos};

use crate::Verdict;

/// Bounds, and what happens under them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) bounds: Bounds,
    pub(crate) steps: Vec<Step>,
}

/// What happens, `gap` after the step before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    gap: Nanos,
    act: Act,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// A request comes.
    Take,
    /// The oldest one is sampled, and ends.
    End { latency: Option<Nanos>, dropped: bool },
    /// The oldest one was never launched.
    Undo,
}

pub(crate) fn bounds(initial: u32, min: u32, max: u32) -> Bounds {
    let whole = |limit| NonZeroU32::new(limit).expect("not zero");
    Bounds {
        initial: whole(initial),
        min: whole(min),
        max: whole(max),
    }
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    // Often so near to each other that a limit runs into them.
    let room = prop_oneof![Just(0), 0..4_u32, 0..100_u32];
    let bounds =
        (1..30_u32, 0..30_u32, room).prop_map(|(min, initial, max)| bounds(min + initial, min, min + initial + max));
    let latency = prop_oneof![
        8 => (90_000_000..110_000_000_u64).prop_map(Some),
        4 => (1_000_000..20_000_000_000_u64).prop_map(Some),
        1 => Just(Some(0)),
        1 => Just(Some(u64::MAX)),
        2 => Just(None),
    ];
    let end = (latency, prop::bool::weighted(0.2)).prop_map(|(latency, dropped)| Act::End {
        latency: latency.map(Nanos::from_nanos),
        dropped,
    });
    let act = prop_oneof![6 => Just(Act::Take), 5 => end, 1 => Just(Act::Undo)];
    let gap = prop_oneof![20 => 0..20_000_000_u64, 1 => 0..90_000_000_000_u64];
    let step = (gap, act).prop_map(|(gap, act)| Step {
        gap: Nanos::from_nanos(gap),
        act,
    });
    (bounds, prop::collection::vec(step, 1..600)).prop_map(|(bounds, steps)| Case { bounds, steps })
}

/// What is seen of a step: the limit before it and after it, and what was in flight after it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    step: Step,
    admitted: bool,
    sampled: bool,
    /// In flight when it was sampled, before it ended.
    busy: u32,
    before: u32,
    after: u32,
}

/// Runs a case to its end, and then ends what is left.
fn run<L: ConcurrencyLaw + Clone>(law: &L, case: &Case, mut look: impl FnMut(Seen) -> Verdict) -> Verdict {
    let limiter = Adaptive::new(law.clone());
    let mut flight = Flight::default();
    let mut open: std::collections::VecDeque<Instant> = std::collections::VecDeque::new();
    let mut rng = Rng::new(7);
    let mut now = Instant::from_secs(1);
    for step in &case.steps {
        now += step.gap;
        let before = limiter.limit(&flight, now);
        let mut seen = Seen {
            step: *step,
            admitted: false,
            sampled: false,
            busy: limiter.in_flight(&flight),
            before,
            after: before,
        };
        match step.act {
            Act::Take => {
                let decision = limiter.take(&mut flight, now, 1);
                if decision.is_allowed() {
                    seen.admitted = true;
                    open.push_back(now);
                } else if decision != (Decision::Wait { until: Instant::FAR }) {
                    return Err(format!("{decision:?} of one"));
                }
            }
            Act::End { latency, dropped } => {
                if let Some(started) = open.pop_front() {
                    let sample = Sample {
                        now,
                        started,
                        in_flight: 0,
                        latency,
                        dropped,
                    };
                    seen.sampled = true;
                    limiter.observe(&mut flight, sample, 100, &mut rng);
                    limiter.settle(&mut flight, now, Taken { cost: 1, at: started }, 0);
                }
            }
            Act::Undo => {
                if let Some(started) = open.pop_back() {
                    limiter.undo(&mut flight, now, Taken { cost: 1, at: started });
                }
            }
        }
        seen.after = limiter.limit(&flight, now);
        look(seen)?;
        let n_open = u32::try_from(open.len()).expect("a few");
        if limiter.in_flight(&flight) != n_open {
            return Err(format!("{n_open} are open, {} are counted", limiter.in_flight(&flight)));
        }
    }
    for started in open {
        limiter.settle(&mut flight, now, Taken { cost: 1, at: started }, 0);
    }
    let left = limiter.in_flight(&flight);
    if left != 0 {
        return Err(format!("{left} stay out"));
    }
    Ok(())
}

fn holds(law: bool, found: String) -> Verdict {
    if law { Ok(()) } else { Err(found) }
}

pub(crate) fn limit_is_within_bounds<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    let within = case.bounds.min.get()..=case.bounds.max.get();
    run(law, case, |seen| {
        let found = format!("{} is not within {within:?}", seen.after);
        holds(within.contains(&seen.after), found)
    })
}

/// Envoy's controller follows the clock too: between samples its limit may fall to the minimum, and never rises. An hour
/// later a limit begins anew.
pub(crate) fn idle_traffic_never_raises<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    let mut last: Option<Seen> = None;
    run(law, case, |seen| {
        let moved_by_time = last.is_some_and(|last| last.after < seen.before);
        let moved_by_a_take = !seen.sampled && seen.before < seen.after;
        last = Some(seen);
        let found = format!("raised without a sample: {seen:?}");
        holds(!moved_by_time && !moved_by_a_take, found)
    })
}

/// Told of a request beside which hardly anything ran, a law learns nothing that would raise its limit.
pub(crate) fn only_what_is_near_it_raises<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    run(law, case, |seen| {
        let is_idle = seen.busy.saturating_mul(2) < seen.before;
        let found = format!("raised by less than half of it: {seen:?}");
        holds(!(is_idle && seen.sampled && seen.before < seen.after), found)
    })
}

pub(crate) fn drops_never_raise<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    run(law, case, |seen| match seen.step.act {
        Act::End { dropped: true, .. } if seen.before < seen.after => Err(format!("a drop raised it: {seen:?}")),
        Act::End { .. } | Act::Take | Act::Undo => Ok(()),
    })
}

pub(crate) fn in_flight_never_above_limit_at_admission<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    run(law, case, |seen| {
        let is_free = seen.busy < seen.before;
        match seen.step.act {
            Act::Take if is_free != seen.admitted => Err(format!("{seen:?}")),
            Act::Take | Act::End { .. } | Act::Undo => Ok(()),
        }
    })
}

pub(crate) fn permits_are_conserved<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    run(law, case, |_| Ok(()))
}

/// Whatever was learned, an hour later it is gone, and nobody can tell whether the state was kept.
pub(crate) fn forgets_after_an_hour<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    let limiter = Adaptive::new(law.clone());
    let mut rng = Rng::new(7);
    let mut now = Instant::from_secs(1);
    let (mut flight, fresh) = (Flight::default(), Flight::default());
    for step in &case.steps {
        now += step.gap;
        if limiter.take(&mut flight, now, 1).is_allowed() {
            let (latency, dropped) = match step.act {
                Act::End { latency, dropped } => (latency, dropped),
                Act::Take | Act::Undo => (Some(Nanos::from_millis(100)), false),
            };
            let sample = Sample {
                now,
                started: now,
                in_flight: 0,
                latency,
                dropped,
            };
            limiter.observe(&mut flight, sample, 100, &mut rng);
            limiter.settle(&mut flight, now, Taken { cost: 1, at: now }, 0);
        }
    }
    let soon = now + (Adaptive::<L>::FORGETS - Nanos::from_nanos(1));
    let later = now + Adaptive::<L>::FORGETS;
    if limiter.is_idle(&flight, soon) && limiter.limit(&flight, soon) != limiter.limit(&fresh, soon) {
        return Err(format!("idle, and not as new: {}", limiter.limit(&flight, soon)));
    }
    if !limiter.is_idle(&flight, later) {
        return Err(String::from("an hour later it is still kept"));
    }
    if limiter.standing(&flight, later) != limiter.standing(&fresh, later) {
        return Err(String::from("an hour later it stands elsewhere than a new one"));
    }
    let mut copy = fresh;
    let same = limiter.take(&mut flight, later, 1) == limiter.take(&mut copy, later, 1);
    holds(same && flight == copy, String::from("an hour later it is not as new"))
}

/// Straight into the law: any in-flight count, any instants.
pub(crate) fn any_sample_is_harmless<L: ConcurrencyLaw + Clone>(law: &L, case: &Case) -> Verdict {
    let mut state = L::State::default();
    let mut rng = Rng::new(7);
    let mut now = Instant::EPOCH;
    for (nth, step) in case.steps.iter().enumerate() {
        now += step.gap;
        let (latency, dropped) = match step.act {
            Act::End { latency, dropped } => (latency, dropped),
            Act::Take => (Some(step.gap), false),
            Act::Undo => (None, false),
        };
        let in_flight = [0, 1, 20, u32::MAX][nth % 4];
        let started = [now, Instant::EPOCH, Instant::FAR][nth % 3];
        let sample = Sample {
            now,
            started,
            in_flight,
            latency,
            dropped,
        };
        let said = law.sample(&mut state, &sample, &mut rng);
        if said != law.limit(&state, now) {
            return Err(format!("says {said} and means {}", law.limit(&state, now)));
        }
    }
    Ok(())
}
