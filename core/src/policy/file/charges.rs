//! How many limits can apply to one request.
//!
//! A request has one value for every word. So the most limits that it can meet are found by trying, word after word,
//! every value that some limit asks for by name, and none of them. Limits that use `*` are kept wherever a value
//! might match them: the answer is an upper bound, and exact where all patterns are literals.

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
