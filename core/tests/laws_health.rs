//! The laws of `tollgate_core::health` that are about states: who is admitted, and when.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::health::{Admission, Breaker, Circuit, Health, ProbeSlot, Report, Transition};
use tollgate_core::policy::{BreakerKind, Window};
use tollgate_core::time::{Instant, Nanos};

const OPEN: Nanos = Nanos::from_secs(10);
const GOOD: Report = Report::Success { latency: Nanos::ZERO };

fn nonzero(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn consecutive(failures: u32, probes: u32) -> BreakerKind {
    BreakerKind::Consecutive {
        failures: nonzero(failures),
        open: OPEN,
        probes: nonzero(probes),
    }
}

fn error_rate(percent: u16, window: Window, min_requests: u32, probes: u32) -> BreakerKind {
    BreakerKind::ErrorRate {
        share: f32::from(percent) / 100.0,
        window,
        min_requests: nonzero(min_requests),
        open: OPEN,
        probes: nonzero(probes),
    }
}

fn max_fails(most: u32) -> BreakerKind {
    BreakerKind::MaxFails {
        max_fails: nonzero(most),
        fail_timeout: OPEN,
    }
}

fn report(is_failure: bool) -> Report {
    if is_failure { Report::Failure } else { GOOD }
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1u32..200).prop_map(|size| Window::Count(nonzero(size))),
        (1u64..60_000_000_000).prop_map(|length| Window::Time(Nanos::from_nanos(length))),
    ]
}

fn kinds() -> impl Strategy<Value = BreakerKind> {
    prop_oneof![
        Just(BreakerKind::Off),
        (1u32..5, 1u32..5).prop_map(|(failures, probes)| consecutive(failures, probes)),
        (1u16..=100, windows(), 1u32..10, 1u32..5)
            .prop_map(|(percent, window, min, probes)| error_rate(percent, window, min, probes)),
        (1u32..5).prop_map(max_fails),
    ]
}

/// Trips a breaker at `now` by failing until it does.
fn trip(breaker: &Breaker, health: &mut Health, now: Instant) {
    for _ in 0..1000 {
        if breaker.record(health, now, Report::Failure, None).is_some() {
            return;
        }
    }
    panic!("a thousand failures do not trip {breaker:?}");
}

fn slot(admission: Admission) -> ProbeSlot {
    match admission {
        Admission::Probe(slot) => slot,
        Admission::Yes | Admission::No { .. } => panic!("{admission:?} is no probe"),
    }
}

/// What may happen to a breaker and the attempts it admitted; numbers choose among those that are out.
#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Record(usize, Report),
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<(Nanos, Step)>> {
    let gap = prop_oneof![10 => 0u64..100_000_000, 1 => 0u64..25_000_000_000];
    let step = prop_oneof![
        4 => Just(Step::Admit),
        2 => any::<usize>().prop_map(|n| Step::Record(n, Report::Failure)),
        2 => any::<usize>().prop_map(|n| Step::Record(n, GOOD)),
        1 => any::<usize>().prop_map(|n| Step::Record(n, Report::Ignore)),
        1 => any::<usize>().prop_map(Step::Release),
    ];
    prop::collection::vec((gap.prop_map(Nanos::from_nanos), step), 0..400)
}

/// A breaker, its state, and the attempts that are out.
struct Run {
    breaker: Breaker,
    health: Health,
    out: Vec<Option<ProbeSlot>>,
}

impl Run {
    fn new(kind: &BreakerKind) -> Run {
        let breaker = Breaker::new(kind);
        Run {
            health: breaker.fresh(),
            breaker,
            out: Vec::new(),
        }
    }

    fn step(&mut self, now: Instant, step: Step) -> (Option<Admission>, Option<Transition>) {
        let n_out = self.out.len().max(1);
        match step {
            Step::Admit => {
                let admission = self.breaker.admit(&mut self.health, now);
                match admission {
                    Admission::Yes => self.out.push(None),
                    Admission::Probe(slot) => self.out.push(Some(slot)),
                    Admission::No { .. } => {}
                }
                (Some(admission), None)
            }
            Step::Record(n, report) if !self.out.is_empty() => {
                let slot = self.out.swap_remove(n % n_out);
                (None, self.breaker.record(&mut self.health, now, report, slot))
            }
            Step::Release(n) if !self.out.is_empty() => {
                let slot = self.out.swap_remove(n % n_out);
                self.breaker.release(&mut self.health, slot);
                (None, None)
            }
            Step::Record(..) | Step::Release(_) => (None, None),
        }
    }

    fn circuit(&self) -> Circuit {
        self.breaker.circuit(&self.health)
    }
}

fn probes_of(kind: &BreakerKind) -> u32 {
    match kind {
        BreakerKind::Off | BreakerKind::Outlier(_) => 0,
        BreakerKind::MaxFails { .. } => 1,
        BreakerKind::Consecutive { probes, .. } | BreakerKind::ErrorRate { probes, .. } => probes.get(),
    }
}

proptest! {
    /// Counted from outside: in one half-open period, slots given less slots given back without a verdict.
    #[test]
    fn probes_are_bounded(kind in kinds(), steps in steps()) {
        let mut run = Run::new(&kind);
        let mut now = Instant::EPOCH;
        let mut period = None;
        let mut taken = 0u32;
        for (gap, step) in steps {
            now += gap;
            let out_before = run.out.clone();
            let was_half_open = matches!(run.circuit(), Circuit::HalfOpen { .. });
            let (admission, _) = run.step(now, step);
            if let Some(Admission::Probe(slot)) = admission {
                if !was_half_open || period != Some(slot) {
                    prop_assert!(!was_half_open, "a period begins only when one has ended");
                    (period, taken) = (Some(slot), 0);
                }
                taken += 1;
            }
            let count = |out: &[Option<ProbeSlot>]| out.iter().filter(|slot| period.is_some() && **slot == period).count();
            let came_back = count(&out_before) > count(&run.out);
            if came_back && was_half_open && matches!(step, Step::Release(_) | Step::Record(_, Report::Ignore)) {
                taken -= 1;
            }
            if matches!(run.circuit(), Circuit::HalfOpen { .. }) {
                prop_assert!(taken <= probes_of(&kind), "{taken} probes");
            }
        }
    }

    #[test]
    fn open_is_respected(kind in kinds(), at in 0u64..100_000_000_000, early in 1u64..=10_000_000_000) {
        prop_assume!(kind != BreakerKind::Off);
        let breaker = Breaker::new(&kind);
        let mut health = breaker.fresh();
        let until = Instant::from_nanos(at) + OPEN;
        trip(&breaker, &mut health, Instant::from_nanos(at));
        prop_assert_eq!(breaker.circuit(&health), Circuit::Open { until, trips: 1 });
        let before = until - Nanos::from_nanos(early);
        prop_assert_eq!(breaker.admit(&mut health, before), Admission::No { until });
        prop_assert_eq!(breaker.circuit(&health), Circuit::Open { until, trips: 1 });
        let _ = slot(breaker.admit(&mut health, until));
    }

    #[test]
    fn a_success_ends_a_streak(failures in 2u32..10, rounds in 1u32..10) {
        let breaker = Breaker::new(&consecutive(failures, 1));
        let mut health = breaker.fresh();
        for _ in 0..rounds {
            for _ in 1..failures {
                prop_assert_eq!(breaker.record(&mut health, Instant::EPOCH, Report::Failure, None), None);
            }
            prop_assert_eq!(breaker.record(&mut health, Instant::EPOCH, Report::Ignore, None), None);
            prop_assert_eq!(breaker.record(&mut health, Instant::EPOCH, GOOD, None), None);
        }
    }

    #[test]
    fn every_probe_comes_back(kind in kinds(), steps in steps()) {
        let mut run = Run::new(&kind);
        let mut now = Instant::EPOCH;
        for (gap, step) in steps {
            now += gap;
            run.step(now, step);
            // Half-open with no probe out: there must be a slot.
            if let (Circuit::HalfOpen { admitted, succeeded, failed, .. }, Admission::Probe(_)) =
                (run.circuit(), run.breaker.peek(&run.health, now))
            {
                prop_assert!(succeeded + failed <= admitted);
            } else if matches!(run.circuit(), Circuit::HalfOpen { .. }) {
                prop_assert!(run.out.iter().any(Option::is_some), "stuck");
            }
        }
        while !run.out.is_empty() {
            run.step(now, Step::Release(0));
        }
        // Good probes bring it back, however it stands.
        for _ in 0..=probes_of(&kind) {
            now += OPEN;
            let (admission, _) = run.step(now, Step::Admit);
            prop_assert!(!matches!(admission, Some(Admission::No { .. })), "stuck at {:?}", run.circuit());
            run.step(now, Step::Record(0, GOOD));
        }
    }

    #[test]
    fn only_its_own_probes_decide(probes in 1u32..5, n_old in 1usize..20, old in any::<bool>()) {
        for kind in [consecutive(2, probes), error_rate(50, Window::Count(nonzero(4)), 4, probes)] {
            let breaker = Breaker::new(&kind);
            let mut health = breaker.fresh();
            trip(&breaker, &mut health, Instant::EPOCH);
            let mut now = Instant::EPOCH + OPEN;
            let first = slot(breaker.admit(&mut health, now));
            let mut decided = breaker.record(&mut health, now, Report::Failure, Some(first));
            for _ in 1..probes {
                if decided.is_none() {
                    let next = slot(breaker.admit(&mut health, now));
                    decided = breaker.record(&mut health, now, Report::Failure, Some(next));
                }
            }
            let until = now + OPEN;
            prop_assert_eq!(decided, Some(Transition::Trip { until }));

            // Open again: nothing counts. Half-open again: neither what was launched before nor an earlier probe.
            now += OPEN;
            for is_half_open in [false, true] {
                let own = is_half_open.then(|| slot(breaker.admit(&mut health, now)));
                let before = breaker.circuit(&health);
                for late in [None, Some(first)] {
                    for _ in 0..n_old {
                        prop_assert_eq!(breaker.record(&mut health, now, report(old), late), None);
                        breaker.release(&mut health, late);
                    }
                }
                prop_assert_eq!(breaker.circuit(&health), before);
                prop_assert_ne!(own, Some(first));
            }
        }
    }

    #[test]
    fn probes_decide(percent in 1u16..=100, results in prop::collection::vec(any::<bool>(), 1..6)) {
        let probes = u32::try_from(results.len()).expect("few");
        let by_share = error_rate(percent, Window::Count(nonzero(4)), 4, probes);
        for kind in [consecutive(2, probes), by_share] {
            let breaker = Breaker::new(&kind);
            let mut health = breaker.fresh();
            trip(&breaker, &mut health, Instant::EPOCH);
            let now = Instant::EPOCH + OPEN;
            let slots: Vec<ProbeSlot> = results.iter().map(|_| slot(breaker.admit(&mut health, now))).collect();
            let mut failures = 0;
            for ((slot, is_failure), judged) in slots.into_iter().zip(&results).zip(1u32..) {
                failures += u32::from(*is_failure);
                let all = judged == probes;
                let reopens = if kind == by_share {
                    all && u32::from(percent) * judged <= failures * 100
                } else {
                    failures == 1 && *is_failure
                };
                let decided = breaker.record(&mut health, now, report(*is_failure), Some(slot));
                let is_over = kind != by_share && 0 < failures && !reopens;
                let expected = if reopens {
                    Some(Transition::Trip { until: now + OPEN })
                } else {
                    (all && !is_over).then_some(Transition::Reset)
                };
                prop_assert_eq!(decided, expected);
            }
        }
    }

    #[test]
    fn peek_is_admit(kind in kinds(), steps in steps()) {
        let mut run = Run::new(&kind);
        let mut now = Instant::EPOCH;
        for (gap, step) in steps {
            now += gap;
            let peeked = run.breaker.peek(&run.health, now);
            if let (Some(admission), _) = run.step(now, step) {
                prop_assert_eq!(peeked, admission);
            }
        }
    }

    #[test]
    fn late_now_is_clamped(kind in kinds(), steps in steps(), late in 0u64..20_000_000_000) {
        let (mut run, mut clamped) = (Run::new(&kind), Run::new(&kind));
        let mut now = Instant::EPOCH;
        for (n, (gap, step)) in steps.into_iter().enumerate() {
            now += gap;
            // Both have seen `now`; then one is called late.
            for run in [&mut run, &mut clamped] {
                run.breaker.record(&mut run.health, now, Report::Ignore, None);
            }
            let seen = if n % 2 == 0 { now } else { now - Nanos::from_nanos(late) };
            prop_assert_eq!(run.breaker.peek(&run.health, seen), clamped.breaker.peek(&clamped.health, now));
            prop_assert_eq!(run.step(seen, step), clamped.step(now, step));
            prop_assert_eq!(&run.health, &clamped.health);
        }
    }

    #[test]
    fn a_new_policy_is_never_stuck(old in kinds(), new in kinds(), steps in steps()) {
        let mut run = Run::new(&old);
        let mut now = Instant::EPOCH;
        for (gap, step) in steps {
            now += gap;
            run.step(now, step);
        }
        let before = run.circuit();
        let breaker = Breaker::new(&new);
        prop_assert_eq!(&Breaker::new(&old).carry(&Breaker::new(&old).fresh()), &Breaker::new(&old).fresh());
        run.health = breaker.carry(&run.health);
        run.breaker = breaker;
        if new == BreakerKind::Off {
            prop_assert_eq!(run.circuit(), Circuit::Closed);
        } else if !matches!(before, Circuit::HalfOpen { .. }) {
            prop_assert_eq!(run.circuit(), before);
        }
        // The attempts of the old policy end under the new one.
        while !run.out.is_empty() {
            run.step(now, Step::Record(0, Report::Ignore));
        }
        for _ in 0..=probes_of(&new) {
            now += OPEN;
            let (admission, _) = run.step(now, Step::Admit);
            prop_assert!(!matches!(admission, Some(Admission::No { .. })), "stuck at {:?}", run.circuit());
            run.step(now, Step::Record(0, GOOD));
        }
    }

}

/// `dev-golden-cb` of the reference values: ten calls, at least five, 50 %, ten seconds open, three probes. One call
/// a second; `R` is a call that was not admitted.
#[test]
fn golden_circuit_breaker() {
    let breaker = Breaker::new(&error_rate(50, Window::Count(nonzero(10)), 5, 3));
    let mut health = breaker.fresh();
    let is_good = "1100100111111111100111".chars().map(|digit| digit == '1');
    let states: String = (0u64..)
        .zip(is_good)
        .map(|(second, is_good)| {
            let now = Instant::from_secs(second);
            let slot = match breaker.admit(&mut health, now) {
                Admission::Yes => None,
                Admission::Probe(slot) => Some(slot),
                Admission::No { .. } => return 'R',
            };
            breaker.record(&mut health, now, report(!is_good), slot);
            match breaker.circuit(&health) {
                Circuit::Closed => 'C',
                Circuit::Open { .. } => 'O',
                Circuit::HalfOpen { .. } => 'H',
            }
        })
        .collect();
    assert_eq!(states, "CCCCCORRRRRRRRRHHCCCCC");
}

#[test]
fn trips_are_counted_until_reset() {
    let breaker = Breaker::new(&consecutive(1, 1));
    let mut health = breaker.fresh();
    let mut now = Instant::EPOCH;
    trip(&breaker, &mut health, now);
    for trips in 2..5 {
        now += OPEN;
        let probe = slot(breaker.admit(&mut health, now));
        breaker.record(&mut health, now, Report::Failure, Some(probe));
        let until = now + OPEN;
        assert_eq!(breaker.circuit(&health), Circuit::Open { until, trips });
    }
    now += OPEN;
    let probe = slot(breaker.admit(&mut health, now));
    assert_eq!(
        breaker.record(&mut health, now, GOOD, Some(probe)),
        Some(Transition::Reset)
    );
    trip(&breaker, &mut health, now);
    assert_eq!(
        breaker.circuit(&health),
        Circuit::Open {
            until: now + OPEN,
            trips: 1
        }
    );
}
