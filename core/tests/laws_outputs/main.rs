//! Learned outputs: their laws, over the estimator that is shipped and over ones with a flaw each; and what the gate
//! makes of them.

mod gate;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use tollgate_core::dice::{Dice, Purpose, Rng};
use tollgate_core::limit::Outputs;
use tollgate_core::math;

/// What the laws are about.
trait Learns: Default {
    fn observe(&mut self, output: u32);
    fn assumed(&self) -> Option<u32>;
}

impl Learns for Outputs {
    fn observe(&mut self, output: u32) {
        Outputs::observe(self, output);
    }

    fn assumed(&self) -> Option<u32> {
        Outputs::assumed(*self)
    }
}

/// RFC 6298 in floating point, capped by the longest answer, with the flaw of that number.
#[derive(Default)]
struct Rfc<const FLAW: u8> {
    mean: f64,
    deviation: f64,
    longest: u32,
}

const SOUND: u8 = 0;
const ASSUMES_BEFORE: u8 = 1;
const NEVER_UNLEARNS: u8 = 2;
const FORGETS_DEVIATIONS: u8 = 3;
const TRIPLES_THE_FIRST: u8 = 4;
const SWAPS_GAINS: u8 = 5;

impl<const FLAW: u8> Learns for Rfc<FLAW> {
    fn observe(&mut self, output: u32) {
        let output = output.clamp(1, Outputs::MOST);
        let exact = f64::from(output);
        if self.longest == 0 {
            (self.mean, self.deviation) = (exact, exact / 2.0);
        } else {
            let (of_mean, of_deviation) = if FLAW == SWAPS_GAINS { (4.0, 8.0) } else { (8.0, 4.0) };
            let error = exact - self.mean;
            self.deviation += (error.abs() - self.deviation) / of_deviation;
            self.mean += error / of_mean;
        }
        self.longest = self.longest.max(output);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most the longest, rounded up"
    )]
    fn assumed(&self) -> Option<u32> {
        let sum = match FLAW {
            NEVER_UNLEARNS => f64::from(self.longest),
            FORGETS_DEVIATIONS => self.mean,
            _ => self.mean + 4.0 * self.deviation,
        };
        let most = if FLAW == TRIPLES_THE_FIRST {
            u32::MAX
        } else {
            self.longest
        };
        (self.longest != 0 || FLAW == ASSUMES_BEFORE).then(|| (sum.ceil() as u32).min(most))
    }
}

fn after<L: Learns>(outputs: &[u32]) -> L {
    let mut learned = L::default();
    for output in outputs {
        learned.observe(*output);
    }
    learned
}

fn nothing_before<L: Learns>() -> TestCaseResult {
    prop_assert_eq!(L::default().assumed(), None);
    Ok(())
}

fn one_length<L: Learns>(before: &[u32], length: u32) -> TestCaseResult {
    // The gain is 1/8: what was half a million is less than an eighth of a token after 120 answers.
    let mut learned: L = after(before);
    for _ in 0..150 {
        learned.observe(length);
    }
    for _ in 0..50 {
        learned.observe(length);
        let assumed = learned.assumed();
        let is_it = assumed.is_some_and(|assumed| length <= assumed && assumed <= length + 3);
        prop_assert!(is_it, "{assumed:?} of {length}");
    }
    Ok(())
}

fn covers<L: Learns>(sigma: f64, seed: u64) -> TestCaseResult {
    const ANSWERS: u32 = 100_000;
    let mut rng = Dice::new(seed).request(0).roll(Purpose::Limit, 0);
    let mut learned: L = L::default();
    let mut covered = 0;
    for _ in 0..ANSWERS {
        let output = lognormal(&mut rng, sigma);
        covered += u32::from(learned.assumed().is_some_and(|assumed| output <= assumed));
        learned.observe(output);
    }
    let share = f64::from(covered) / f64::from(ANSWERS);
    prop_assert!(0.95 <= share, "{share} of the answers at sigma {sigma}");
    Ok(())
}

fn within_the_longest<L: Learns>(outputs: &[u32]) -> TestCaseResult {
    let mut learned = L::default();
    let mut longest = 1;
    for output in outputs {
        learned.observe(*output);
        longest = longest.max(*output);
        let assumed = learned.assumed().unwrap_or(0);
        prop_assert!(1 <= assumed && assumed <= longest, "{assumed} of at most {longest}");
    }
    Ok(())
}

/// Floors of the mean add less than one token to it, and so to each error; those and the floors of the deviation change
/// four deviations by less than four tokens down and eight up.
fn is_published<L: Learns>(outputs: &[u32]) -> TestCaseResult {
    let (mut learned, mut exact) = (L::default(), Rfc::<SOUND>::default());
    for output in outputs {
        learned.observe(*output);
        exact.observe(*output);
        let (is, should) = (learned.assumed().unwrap_or(0), exact.assumed().unwrap_or(0));
        prop_assert!(should <= is + 6 && is <= should + 9, "{is} for {should}");
    }
    Ok(())
}

/// A length with the median 400.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and cut where it is too long"
)]
fn lognormal(rng: &mut Rng, sigma: f64) -> u32 {
    let mut uniform = || 2.0 * rng.uniform() - 1.0;
    // Marsaglia's polar method.
    loop {
        let (x, y) = (uniform(), uniform());
        let square = x * x + y * y;
        if 0.0 < square && square < 1.0 {
            let normal = x * (-2.0 * math::ln(square) / square).sqrt();
            return (400.0 * math::exp(sigma * normal)).ceil() as u32;
        }
    }
}

fn lengths() -> impl Strategy<Value = Vec<u32>> {
    let length = prop_oneof![
        4 => 0..3_000_u32,
        1 => 0..4_u32,
        1 => Just(0),
        1 => Just(Outputs::MOST),
        1 => any::<u32>(),
    ];
    prop::collection::vec(length, 0..80)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn one_length_is_learned(before in lengths(), length in 1..=Outputs::MOST) {
        one_length::<Outputs>(&before, length)?;
    }

    #[test]
    fn never_beyond_the_longest_answer(outputs in lengths()) {
        within_the_longest::<Outputs>(&outputs)?;
    }

    #[test]
    fn it_is_the_published_estimator(outputs in lengths()) {
        is_published::<Outputs>(&outputs)?;
    }
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn most_answers_are_covered(sigma in 0.1..0.9_f64, seed in any::<u64>()) {
        covers::<Outputs>(sigma, seed)?;
    }
}

#[test]
fn nothing_is_assumed_before_an_answer() {
    nothing_before::<Outputs>().expect("the law holds");
}

/// A law that finds nothing in any of them proves nothing.
#[test]
fn each_law_finds_its_flaw() {
    let lengths = lengths();
    let is_found = |law: fn(&[u32]) -> TestCaseResult| {
        let mut runner = TestRunner::new_with_rng(config(512), TestRunner::deterministic().new_rng());
        runner.run(&lengths, |outputs| law(&outputs)).is_err()
    };
    assert!(nothing_before::<Rfc<SOUND>>().is_ok() && nothing_before::<Rfc<ASSUMES_BEFORE>>().is_err());
    assert!(!is_found(|before| one_length::<Rfc<SOUND>>(before, 700)));
    assert!(is_found(|before| one_length::<Rfc<NEVER_UNLEARNS>>(before, 700)));
    assert!(!is_found(within_the_longest::<Rfc<SOUND>>));
    assert!(is_found(within_the_longest::<Rfc<TRIPLES_THE_FIRST>>));
    assert!(!is_found(is_published::<Rfc<SOUND>>));
    assert!(is_found(is_published::<Rfc<SWAPS_GAINS>>));
    assert!(is_found(is_published::<Rfc<TRIPLES_THE_FIRST>>));
    assert!(covers::<Rfc<SOUND>>(0.9, 1).is_ok() && covers::<Rfc<FORGETS_DEVIATIONS>>(0.9, 1).is_err());
}
