//! Laws with one flaw each, and what finds it: a law that finds nothing in any of them proves nothing.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tollgate_core::dice::Rng;
use tollgate_core::limit::{Aimd, AimdState, ConcurrencyLaw, Sample};
use tollgate_core::policy::Bounds;
use tollgate_core::time::{Instant, Nanos};

use crate::Verdict;
use crate::laws::{self, Case};

/// AIMD with the flaw of that number.
#[derive(Clone, Copy)]
struct Broken<const FLAW: u8>(Aimd);

const SOUND: u8 = 0;
const LEAVES_BOUNDS: u8 = 1;
const GROWS_BY_ITSELF: u8 = 2;
const REWARDS_DROPS: u8 = 3;
const SAYS_OTHER: u8 = 4;
const RAISES_WHEN_IDLE: u8 = 5;

#[derive(Clone, Copy, Default, PartialEq)]
struct State {
    learned: AimdState,
    more: u32,
}

impl<const FLAW: u8> ConcurrencyLaw for Broken<FLAW> {
    type State = State;

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    fn limit(&self, state: &State, now: Instant) -> u32 {
        let limit = self.0.limit(&state.learned, now) + state.more;
        match FLAW {
            GROWS_BY_ITSELF => {
                let seconds = u32::try_from(now.as_nanos() / 1_000_000_000).expect("a few years");
                (limit + seconds % 7).min(self.bounds().max.get())
            }
            _ => limit,
        }
    }

    fn sample(&self, state: &mut State, sample: &Sample, rng: &mut Rng) -> u32 {
        let before = self.0.limit(&state.learned, sample.now);
        let in_flight = match FLAW {
            RAISES_WHEN_IDLE => u32::MAX,
            _ => sample.in_flight,
        };
        let sample = &Sample { in_flight, ..*sample };
        let after = self.0.sample(&mut state.learned, sample, rng);
        match FLAW {
            LEAVES_BOUNDS => state.more = u32::from(after == self.bounds().max.get()),
            REWARDS_DROPS if sample.dropped && after < before => {
                let answer = Sample {
                    dropped: false,
                    latency: Some(Nanos::ZERO),
                    in_flight: u32::MAX,
                    ..*sample
                };
                for _ in after..=before {
                    self.0.sample(&mut state.learned, &answer, rng);
                }
            }
            SAYS_OTHER => return after + 1,
            _ => {}
        }
        self.limit(state, sample.now)
    }
}

/// Whether any of many cases breaks the law.
fn is_found<const FLAW: u8>(law: impl Fn(&Broken<FLAW>, &Case) -> Verdict) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..400).any(|_| {
        let tree = laws::case().new_tree(&mut runner).expect("cases are never refused");
        let case = tree.current();
        law(&Broken(Aimd::new(case.bounds)), &case).is_err()
    })
}

#[test]
fn every_flaw_is_found() {
    assert!(is_found::<LEAVES_BOUNDS>(laws::limit_is_within_bounds));
    assert!(is_found::<GROWS_BY_ITSELF>(laws::idle_traffic_never_raises));
    assert!(is_found::<REWARDS_DROPS>(laws::drops_never_raise));
    assert!(is_found::<SAYS_OTHER>(laws::any_sample_is_harmless));
    assert!(is_found::<RAISES_WHEN_IDLE>(laws::only_what_is_near_it_raises));
}

#[test]
fn no_flaw_is_found_where_there_is_none() {
    assert!(!is_found::<SOUND>(laws::limit_is_within_bounds));
    assert!(!is_found::<SOUND>(laws::idle_traffic_never_raises));
    assert!(!is_found::<SOUND>(laws::drops_never_raise));
    assert!(!is_found::<SOUND>(laws::in_flight_never_above_limit_at_admission));
    assert!(!is_found::<SOUND>(laws::permits_are_conserved));
    assert!(!is_found::<SOUND>(laws::forgets_after_an_hour));
    assert!(!is_found::<SOUND>(laws::any_sample_is_harmless));
    assert!(!is_found::<SOUND>(laws::only_what_is_near_it_raises));
}
