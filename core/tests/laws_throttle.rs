//! The laws of `tollgate_core::throttle`, against an oracle that keeps every answer, and against flawed copies of it.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tollgate_core::dice::Rng;
use tollgate_core::math;
use tollgate_core::policy::{self, EnvoyAdmission};
use tollgate_core::throttle::{History, Throttle};
use tollgate_core::time::{Instant, Nanos};

/// A tenth of every window here.
const TENTH: Nanos = Nanos::from_secs(1);
const WINDOW: Nanos = Nanos::from_secs(10);

/// Whatever turns requests away.
trait Rule {
    fn chance(&self, now: Instant) -> f64;
    fn turns_away(&mut self, now: Instant, rng: &mut Rng) -> bool;
    fn record(&mut self, now: Instant, accepted: bool);
}

/// The law itself.
struct Ours {
    law: Throttle,
    history: History,
}

impl Ours {
    fn new(numbers: &policy::Throttle) -> Ours {
        Ours {
            law: Throttle::new(numbers),
            history: History::default(),
        }
    }
}

impl Rule for Ours {
    fn chance(&self, now: Instant) -> f64 {
        self.law.chance(&self.history, now)
    }

    fn turns_away(&mut self, now: Instant, rng: &mut Rng) -> bool {
        self.law.turns_away(&mut self.history, now, rng)
    }

    fn record(&mut self, now: Instant, accepted: bool) {
        self.law.record(&mut self.history, now, accepted);
    }
}

/// Keeps every answer with its slot, and computes as it is published, in floating point.
struct Oracle {
    numbers: policy::Throttle,
    flaw: Option<Flaw>,
    answers: Vec<(u64, bool)>,
    /// The slot of the latest answer.
    newest: u64,
}

/// What an oracle may do wrong; each is found by a law.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// An accept is worth half of what it should be.
    HalvesAccepts,
    /// Divides by the requests, and not by one more.
    DividesByRequests,
    /// Counts those turned away where they do not count, and not where they do.
    SwapsWhoCounts,
    /// Looks back for half the window.
    ForgetsEarly,
    NeverForgets,
    /// The chance may be anything.
    IgnoresHighest,
    /// Turns away in quiet times.
    IgnoresFewest,
    /// Goes back with a late `now`.
    GoesBack,
}

impl Oracle {
    fn new(numbers: &policy::Throttle, flaw: Option<Flaw>) -> Oracle {
        Oracle {
            numbers: *numbers,
            flaw,
            answers: Vec::new(),
            newest: 0,
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Rule for Oracle {
    fn chance(&self, now: Instant) -> f64 {
        let slot = now.as_nanos() / TENTH.as_nanos();
        let newest = if self.has(Flaw::GoesBack) {
            slot
        } else {
            slot.max(self.newest)
        };
        let kept = match self.flaw {
            Some(Flaw::ForgetsEarly) => 5,
            Some(Flaw::NeverForgets) => u64::MAX,
            Some(_) | None => 10,
        };
        let counted = |answer: &&(u64, bool)| answer.0 <= newest && newest - answer.0 < kept;
        let answers: Vec<&(u64, bool)> = self.answers.iter().filter(counted).collect();
        let (requests, accepts) = (count(answers.len()), count(answers.iter().filter(|it| it.1).count()));
        let accepts = if self.has(Flaw::HalvesAccepts) {
            accepts / 2.0
        } else {
            accepts
        };
        let excess = match self.numbers {
            policy::Throttle::Sre { k_thousandths, .. } => requests - f64::from(k_thousandths.get()) / 1e3 * accepts,
            policy::Throttle::EnvoyAdmission(numbers) => {
                requests - accepts / (f64::from(numbers.success_rate_millionths.get()) / 1e6)
            }
        };
        // Nothing between: the numbers have at most six digits, and there are a few hundred answers.
        if excess < 1e-7 {
            return 0.0;
        }
        let more = if self.has(Flaw::DividesByRequests) { 0.0 } else { 1.0 };
        let share = excess / (requests + more);
        match self.numbers {
            policy::Throttle::Sre { .. } => share,
            policy::Throttle::EnvoyAdmission(numbers) => {
                let is_quiet = requests / WINDOW.as_secs_f64() < f64::from(numbers.rps_threshold);
                if is_quiet && !self.has(Flaw::IgnoresFewest) {
                    return 0.0;
                }
                let chance = math::pow(share, 1.0 / numbers.aggression);
                if self.has(Flaw::IgnoresHighest) {
                    chance
                } else {
                    chance.min(numbers.max)
                }
            }
        }
    }

    fn turns_away(&mut self, now: Instant, rng: &mut Rng) -> bool {
        let chance = self.chance(now);
        let is_turned_away = 0.0 < chance && rng.uniform() < chance;
        let counts = is_sre(&self.numbers) != self.has(Flaw::SwapsWhoCounts);
        if is_turned_away && counts {
            self.record(now, false);
        }
        is_turned_away
    }

    fn record(&mut self, now: Instant, accepted: bool) {
        let slot = now.as_nanos() / TENTH.as_nanos();
        self.newest = self.newest.max(slot);
        let slot = if self.has(Flaw::GoesBack) { slot } else { self.newest };
        self.answers.push((slot, accepted));
    }
}

fn is_sre(numbers: &policy::Throttle) -> bool {
    match numbers {
        policy::Throttle::Sre { .. } => true,
        policy::Throttle::EnvoyAdmission(_) => false,
    }
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("a few"))
}

/// What happens: how long after the answer before, and whether it was one that accepted.
#[derive(Clone, Debug)]
struct Script {
    numbers: policy::Throttle,
    answers: Vec<(Nanos, bool)>,
    seed: u64,
    /// Requests of a tenth of the window, and how many of them are accepted at most.
    offered: u32,
    capacity: u32,
}

fn scripts() -> impl Strategy<Value = Script> {
    let gap = prop_oneof![
        6 => Just(0),
        6 => 0u64..500_000_000,
        1 => 500_000_000u64..25_000_000_000,
    ];
    let answer = move |share: f64| (gap.clone(), prop::bool::weighted(share));
    let answers = prop_oneof![Just(0.1), Just(0.5), Just(0.9)]
        .prop_flat_map(move |share| prop::collection::vec(answer(share), 0..200));
    let answers = answers.prop_map(|all| {
        let with_length = |(nanos, accepted)| (Nanos::from_nanos(nanos), accepted);
        all.into_iter().map(with_length).collect()
    });
    (numbers(), answers, any::<u64>(), 1u32..60, 0u32..40).prop_map(|(numbers, answers, seed, offered, capacity)| {
        Script {
            numbers,
            answers,
            seed,
            offered,
            capacity,
        }
    })
}

fn numbers() -> impl Strategy<Value = policy::Throttle> {
    let sre = prop_oneof![Just(1_000), Just(1_100), Just(2_000), 1_000u32..5_000].prop_map(|k| policy::Throttle::Sre {
        k_thousandths: k.try_into().expect("not zero"),
        window: WINDOW,
    });
    let rate = prop_oneof![Just(950_000), Just(1_000_000), 1u32..1_000_000];
    let aggression = prop_oneof![Just(1.0), 1.0f64..4.0];
    let max = prop_oneof![Just(0.8), 0.0f64..1.0];
    let envoy = (rate, aggression, max, prop_oneof![Just(0u32), 1u32..20]);
    let envoy = envoy.prop_map(|(rate, aggression, max, rps_threshold)| {
        policy::Throttle::EnvoyAdmission(EnvoyAdmission {
            success_rate_millionths: rate.try_into().expect("not zero"),
            aggression,
            max,
            rps_threshold,
            window: WINDOW,
        })
    });
    prop_oneof![sre, envoy]
}

type Verdict = Result<(), String>;

fn holds(condition: bool, what: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(what()) }
}

const BEGIN: Instant = Instant::from_secs(1_000);

/// Whether `accepts` of `requests` are enough, in whole numbers.
fn is_enough(numbers: &policy::Throttle, requests: u64, accepts: u64) -> bool {
    match numbers {
        policy::Throttle::Sre { k_thousandths, .. } => requests * 1_000 <= accepts * u64::from(k_thousandths.get()),
        policy::Throttle::EnvoyAdmission(numbers) => {
            requests * u64::from(numbers.success_rate_millionths.get()) <= accepts * 1_000_000
        }
    }
}

fn enough(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let mut rng = Rng::new(script.seed);
    let (mut requests, mut accepts) = (0, 0);
    // All in one slot, so that nothing is forgotten.
    for (_, accepted) in &script.answers {
        rule.record(BEGIN, *accepted);
        requests += 1;
        accepts += u64::from(*accepted);
        if is_enough(&script.numbers, requests, accepts) {
            let is_turned_away = rule.turns_away(BEGIN, &mut rng);
            holds(!is_turned_away && rule.chance(BEGIN) == 0.0, || {
                format!("turned away with {accepts} of {requests}")
            })?;
        }
    }
    Ok(())
}

fn published(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let mut oracle = Oracle::new(&script.numbers, None);
    let (mut one, mut other) = (Rng::new(script.seed), Rng::new(script.seed));
    let mut now = BEGIN;
    for (gap, accepted) in &script.answers {
        now += *gap;
        let (expected, chance) = (oracle.chance(now), rule.chance(now));
        holds((expected - chance).abs() <= 1e-9, || {
            format!("{chance} and not {expected}")
        })?;
        let away = oracle.turns_away(now, &mut one);
        holds(away == rule.turns_away(now, &mut other), || {
            format!("turned away: {away}")
        })?;
        if !away {
            oracle.record(now, *accepted);
            rule.record(now, *accepted);
        }
    }
    Ok(())
}

fn highest(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let highest = match script.numbers {
        policy::Throttle::Sre { .. } => 1.0,
        policy::Throttle::EnvoyAdmission(numbers) => numbers.max,
    };
    for (_, accepted) in &script.answers {
        rule.record(BEGIN, *accepted);
        let chance = rule.chance(BEGIN);
        holds((0.0..=highest).contains(&chance), || {
            format!("{chance} above {highest}")
        })?;
    }
    Ok(())
}

fn quiet(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let policy::Throttle::EnvoyAdmission(numbers) = script.numbers else {
        return Ok(());
    };
    for nth in 1..u64::from(numbers.rps_threshold) * 10 {
        rule.record(BEGIN, false);
        let chance = rule.chance(BEGIN);
        holds(chance == 0.0, || format!("{chance} after {nth} requests"))?;
    }
    Ok(())
}

fn forgotten(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let mut now = BEGIN + Nanos::from_nanos(script.seed % TENTH.as_nanos());
    for _ in 0..=script.offered {
        rule.record(now, false);
    }
    let before = rule.chance(now);
    now += TENTH * 9;
    let later = rule.chance(now);
    holds(before.to_bits() == later.to_bits(), || {
        format!("{later} and not {before} after nine tenths")
    })?;
    now += TENTH;
    let after = rule.chance(now);
    holds(after == 0.0, || format!("{after} after the whole window"))
}

fn late(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let mut clamped = Ours::new(&script.numbers);
    let mut latest = BEGIN;
    for (nth, (gap, accepted)) in script.answers.iter().enumerate() {
        // The first is in time, and every third after it is late.
        let is_late = nth % 3 == 2;
        if !is_late {
            latest += *gap;
        }
        clamped.record(latest, *accepted);
        rule.record(if is_late { latest - TENTH * 4 } else { latest }, *accepted);
        let (expected, chance) = (clamped.chance(latest), rule.chance(latest - TENTH * 2));
        holds((expected - chance).abs() <= 1e-9, || {
            format!("{chance} and not {expected}")
        })?;
    }
    Ok(())
}

fn counted(script: &Script, rule: &mut dyn Rule) -> Verdict {
    let mut rng = Rng::new(script.seed);
    for _ in 0..=script.offered {
        rule.record(BEGIN, false);
    }
    for _ in 0..script.capacity {
        let before = rule.chance(BEGIN);
        let is_turned_away = rule.turns_away(BEGIN, &mut rng);
        let rises = before < rule.chance(BEGIN);
        holds(rises == (is_turned_away && is_sre(&script.numbers)), || {
            format!("turned away: {is_turned_away}, and the chance rises: {rises}")
        })?;
    }
    Ok(())
}

/// A backend that accepts so many a slot, and is offered what the rule lets through.
fn long_run(script: &Script, rule: &mut dyn Rule) -> Verdict {
    const SLOTS: u64 = 400;
    const SETTLED: u64 = 100;
    let policy::Throttle::Sre { k_thousandths, .. } = script.numbers else {
        return Ok(());
    };
    let mut rng = Rng::new(script.seed);
    let (mut sent, mut accepted) = (0_u32, 0_u32);
    for slot in 0..SLOTS {
        let now = BEGIN + TENTH * slot;
        let mut left = script.capacity;
        for _ in 0..script.offered {
            if rule.turns_away(now, &mut rng) {
                continue;
            }
            let has_room = 0 < left;
            left -= u32::from(has_room);
            rule.record(now, has_room);
            sent += u32::from(SETTLED <= slot);
            // What was sent first follows from what was accepted a window before.
            accepted += u32::from(has_room && SETTLED - 10 <= slot);
        }
    }
    let allowed = f64::from(k_thousandths.get()) / 1e3 * f64::from(accepted);
    // Where nothing is accepted one of a window's requests is sent, besides a fifth of one in a slot that has just begun.
    let besides = count(usize::try_from(SLOTS - SETTLED).expect("a few")) / 9.0;
    // Five standard deviations of as many decisions.
    let bound = allowed + besides + 5.0 * (allowed + besides).sqrt();
    holds(f64::from(sent) <= bound, || format!("sent {sent}, more than {bound}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_turned_away_while_enough_is_accepted(script in scripts()) {
        enough(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_chance_is_as_published(script in scripts()) {
        published(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_chance_is_never_above_the_highest(script in scripts()) {
        highest(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn quiet_times_are_let_through(script in scripts()) {
        quiet(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_window_is_forgotten(script in scripts()) {
        forgotten(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn late_now_is_clamped(script in scripts()) {
        late(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn those_turned_away_count_by_the_book(script in scripts()) {
        counted(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn what_is_sent_follows_what_is_accepted(script in scripts()) {
        long_run(&script, &mut Ours::new(&script.numbers)).map_err(TestCaseError::fail)?;
    }
}

/// `dev-sre-throttle-0`: 400 of 1000 accepted.
#[test]
fn golden_throttle() {
    let mut throttle = Ours::new(&policy::Throttle::SRE);
    for nth in 0..1_000 {
        throttle.record(BEGIN, nth < 400);
    }
    assert!((throttle.chance(BEGIN) - 200.0 / 1001.0).abs() < 1e-12);
}

/// The throttle with one flaw: the law that is for it finds each.
#[test]
fn the_laws_find_flaws() {
    type Law = fn(&Script, &mut dyn Rule) -> Verdict;
    let flaws: [(Flaw, &[Law]); 8] = [
        (Flaw::HalvesAccepts, &[enough, published]),
        (Flaw::DividesByRequests, &[published]),
        (Flaw::SwapsWhoCounts, &[published, counted, long_run]),
        (Flaw::ForgetsEarly, &[published, forgotten]),
        (Flaw::NeverForgets, &[published, forgotten]),
        (Flaw::IgnoresHighest, &[published, highest]),
        (Flaw::IgnoresFewest, &[published, quiet]),
        (Flaw::GoesBack, &[late]),
    ];
    let mut runner = TestRunner::deterministic();
    let scripts: Vec<Script> = (0..200)
        .map(|_| scripts().new_tree(&mut runner).expect("a script").current())
        .collect();
    for (flaw, laws) in flaws {
        for (nth, law) in laws.iter().enumerate() {
            let is_found = |script: &Script| law(script, &mut Oracle::new(&script.numbers, Some(flaw))).is_err();
            assert!(scripts.iter().any(is_found), "{flaw:?} is not found by its law {nth}");
        }
    }
    let all: [Law; 8] = [enough, published, highest, quiet, forgotten, late, counted, long_run];
    for script in &scripts {
        for law in all {
            law(script, &mut Oracle::new(&script.numbers, None)).expect("without a flaw every law holds");
        }
    }
}
