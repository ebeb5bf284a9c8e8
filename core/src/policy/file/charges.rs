//! How many limits can apply to one request.
//!
//! A request has one value for every word. So the most limits that it can meet are found by trying, word after word,
//! every value that some limit asks for by name, and none of them. Limits that use `*` are kept wherever a value
//! might match them: the answer is an upper bound, and exact where all patterns are literals.
//!
//! | Law | Test |
//! |---|---|
//! | No request meets more limits than a policy that passed says. | `no_request_meets_more` |
//! | With literals alone, what is found can be met. | `what_is_found_can_be_met` |

use alloc::vec::Vec;

use crate::policy::{Limit, Match, Pattern, Word};

/// Some limits, more than `most` of them, that may apply to one request; or nothing, if there can be no such request.
///
/// `Err` if that would take too long to find out, which needs hundreds of limits on many words.
pub(super) fn beyond(limits: &[&Limit], most: usize) -> Result<Option<Vec<usize>>, TooMany> {
    let mut words: Vec<&Word> = limits
        .iter()
        .flat_map(|limit| &limit.when.words)
        .map(|(word, _)| word)
        .collect();
    words.sort();
    words.dedup();
    let whens: Vec<&Match> = limits.iter().map(|limit| &limit.when).collect();
    let mut search = Search { whens, most, steps: 0 };
    search.among((0..limits.len()).collect(), &words)
}

/// The search was given up.
#[derive(Debug)]
pub(super) struct TooMany;

struct Search<'a> {
    whens: Vec<&'a Match>,
    most: usize,
    steps: usize,
}

impl<'a> Search<'a> {
    const MOST_STEPS: usize = 100_000;

    fn among(&mut self, left: Vec<usize>, words: &[&'a Word]) -> Result<Option<Vec<usize>>, TooMany> {
        if left.len() <= self.most {
            return Ok(None);
        }
        let Some((word, rest)) = words.split_first() else {
            return Ok(Some(left));
        };
        self.steps += 1;
        if Search::MOST_STEPS < self.steps {
            return Err(TooMany);
        }
        let mut values: Vec<Option<&str>> = alloc::vec![None];
        for at in &left {
            values.extend(
                self.patterns(*at, word)
                    .filter(|pattern| pattern.is_literal())
                    .map(|p| Some(p.as_str())),
            );
        }
        values.sort_unstable();
        values.dedup();
        for value in values {
            let may_hold = |at: &usize| {
                self.patterns(*at, word).all(|pattern| match value {
                    Some(value) => pattern.matches(value),
                    None => !pattern.is_literal(),
                })
            };
            let held = left.iter().copied().filter(may_hold).collect();
            if let Some(found) = self.among(held, rest)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn patterns(&self, at: usize, word: &Word) -> impl Iterator<Item = &'a Pattern> {
        let words = self.whens[at].words.iter();
        words.filter(move |(of, _)| of == word).map(|(_, pattern)| pattern)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Algorithm, Facts, OnWait, Refund, Store};
    use crate::usage::Unit;

    fn limit(words: &[(u8, &str)]) -> Limit {
        let word = |of| if of == 0 { Word::Role } else { Word::Model };
        let words = words.iter().map(|(of, text)| (word(*of), Pattern::new(text)));
        Limit {
            name: String::new(),
            algorithm: Algorithm::Permits(NonZeroU32::MIN),
            unit: Unit::InFlight,
            per: Vec::new(),
            when: Match { words: words.collect() },
            on_wait: OnWait::Refuse,
            refund: Refund::Full,
            max_keys: NonZeroU32::MIN,
            store: Store::Local,
            output_default: 1,
            learn: false,
        }
    }

    /// The most limits that any request with short words meets.
    fn met(limits: &[Limit]) -> usize {
        let texts = ["", "a", "b", "ab", "ba", "c"];
        let pairs = texts
            .iter()
            .flat_map(|role| texts.iter().map(move |model| (*role, *model)));
        let counts = pairs.map(|(role, model)| {
            let facts = Facts {
                model,
                role,
                ..Facts::default()
            };
            limits.iter().filter(|limit| limit.when.holds(&facts)).count()
        });
        counts.max().unwrap_or(0)
    }

    fn found(limits: &[Limit], most: usize) -> Option<usize> {
        let limits: Vec<&Limit> = limits.iter().collect();
        let found = beyond(&limits, most).expect("few limits on few words");
        found.map(|found| found.len())
    }

    fn limits(patterns: &'static [&'static str]) -> impl Strategy<Value = Vec<Limit>> {
        let words = prop::collection::btree_map(0..2_u8, prop::sample::select(patterns), 0..3);
        let limit = words.prop_map(|words| limit(&words.into_iter().collect::<Vec<_>>()));
        prop::collection::vec(limit, 0..10)
    }

    proptest! {
        #[test]
        fn no_request_meets_more(limits in limits(&["a", "b", "ab", "a*", "*b", "*", ""]), most in 0..5_usize) {
            if found(&limits, most).is_none() {
                prop_assert!(met(&limits) <= most);
            }
        }

        #[test]
        fn what_is_found_can_be_met(limits in limits(&["a", "b", "ab"]), most in 0..5_usize) {
            prop_assert_eq!(found(&limits, most).is_some(), most < met(&limits));
        }
    }

    #[test]
    fn many_limits_on_one_word_are_told_apart() {
        let names: Vec<String> = (0..256).map(|at| alloc::format!("r{at}")).collect();
        let limits: Vec<Limit> = names.iter().map(|name| limit(&[(0, name)])).collect();
        assert_eq!(found(&limits, 1), None);
    }
}
