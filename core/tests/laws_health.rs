//! The laws of `tollgate_core::health`.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::health::{
    Admission, Breaker, Circuit, Health, ProbeSlot, ProbeState, Probing, Report, Tally, Transition, Turn,
};
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
        BreakerKind::Off => 0,
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
    fn trips_at_threshold_not_before(percent in 1u32..=100, failures in 1u32..50) {
        let breaker = Breaker::new(&consecutive(failures, 1));
        let mut health = breaker.fresh();
        for n in 1..=failures {
            let trip = breaker.record(&mut health, Instant::EPOCH, Report::Failure, None);
            prop_assert_eq!(trip.is_some(), n == failures);
        }

        // A hundred attempts, of which the last decides.
        let share = u16::try_from(percent).expect("small");
        for window in [Window::Count(nonzero(100)), Window::Time(OPEN)] {
            for n_failures in [percent - 1, percent] {
                let breaker = Breaker::new(&error_rate(share, window, 100, 1));
                let mut health = breaker.fresh();
                let trips = (0..100)
                    .filter(|n| breaker.record(&mut health, Instant::EPOCH, report(*n < n_failures), None).is_some())
                    .count();
                prop_assert_eq!(trips, usize::from(n_failures == percent));
            }
        }
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
    fn min_requests_is_respected(window in windows(), min in 1u32..300) {
        let enough = match window {
            Window::Count(size) => min.min(size.get()),
            Window::Time(_) => min,
        };
        let breaker = Breaker::new(&error_rate(1, window, min, 1));
        let mut health = breaker.fresh();
        for n in 1..=enough {
            let trip = breaker.record(&mut health, Instant::EPOCH, Report::Failure, None);
            prop_assert_eq!(trip.is_some(), n == enough);
        }
    }

    /// Against an oracle that keeps the instant of every attempt; then the same attempts in one burst.
    #[test]
    fn a_burst_and_a_spread_reach_the_same_verdict(
        length in 1u64..60_000_000_000,
        attempts in prop::collection::vec((0u64..1300, any::<bool>()), 1..300),
        percent in 1u16..=100,
        min in 1u32..20,
    ) {
        let width = length.div_ceil(10);
        let breaker = Breaker::new(&error_rate(percent, Window::Time(Nanos::from_nanos(length)), min, 1));
        let (mut spread, mut burst) = (breaker.fresh(), breaker.fresh());
        let mut kept: Vec<(u64, bool)> = Vec::new();
        let (mut now, mut has_expired) = (0, false);
        for (gap, is_failure) in attempts {
            // Mostly short gaps: the verdict is compared while all fit the window.
            now += gap.saturating_sub(900) * width / 100;
            let n_kept = kept.len();
            kept.retain(|(bucket, _)| now / width < bucket + 10);
            has_expired |= kept.len() < n_kept;
            kept.push((now / width, is_failure));
            let failures = kept.iter().filter(|(_, is_failure)| *is_failure).count();
            let oracle = Tally {
                attempts: u32::try_from(kept.len()).expect("few"),
                failures: u32::try_from(failures).expect("few"),
            };
            let trips = min <= oracle.attempts && oracle.attempts * u32::from(percent) <= oracle.failures * 100;

            let verdict = breaker.record(&mut spread, Instant::from_nanos(now), report(is_failure), None);
            prop_assert_eq!(verdict.is_some(), trips);
            if !has_expired {
                let verdict = breaker.record(&mut burst, Instant::EPOCH, report(is_failure), None);
                prop_assert_eq!(verdict.is_some(), trips);
            }
            if trips {
                break;
            }
            prop_assert_eq!(breaker.tally(&spread, Instant::from_nanos(now)), oracle);
        }
    }

    #[test]
    fn the_last_attempts_decide(size in 1u32..150, results in prop::collection::vec(any::<bool>(), 0..500)) {
        let breaker = Breaker::new(&error_rate(100, Window::Count(nonzero(size)), 1000, 1));
        let mut health = breaker.fresh();
        let size = usize::try_from(size).expect("small");
        for n in 0..results.len() {
            let last = &results[(n + 1).saturating_sub(size)..=n];
            let failures = last.iter().filter(|is_failure| **is_failure).count();
            let is_full_of_failures = failures == size;
            let trip = breaker.record(&mut health, Instant::EPOCH, report(results[n]), None);
            prop_assert_eq!(trip.is_some(), is_full_of_failures);
            if is_full_of_failures {
                break;
            }
            let tally = breaker.tally(&health, Instant::EPOCH);
            prop_assert_eq!(usize::try_from(tally.attempts).expect("small"), last.len());
            prop_assert_eq!(usize::try_from(tally.failures).expect("small"), failures);
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
            for run in [&mut run, &mut clamped] {
                run.step(now, Step::Admit);
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

    /// Against the definition: the standing turns when the last so many checks all contradict it.
    #[test]
    fn rise_and_fall_are_exact(rise in 1u32..5, fall in 1u32..5, checks in prop::collection::vec(any::<bool>(), 0..200)) {
        let probing = Probing::new(nonzero(rise), nonzero(fall));
        let mut state = ProbeState::default();
        let (mut is_up, mut since) = (true, 0);
        for n in 0..checks.len() {
            let needed = usize::try_from(if is_up { fall } else { rise }).expect("small");
            let turns = needed <= n + 1 - since && checks[n + 1 - needed..=n].iter().all(|is_good| *is_good != is_up);
            let expected = turns.then_some(if is_up { Turn::Down } else { Turn::Up });
            prop_assert_eq!(probing.judge(&mut state, checks[n]), expected);
            if turns {
                (is_up, since) = (!is_up, n + 1);
            }
            prop_assert_eq!(state.is_up(), is_up);
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
