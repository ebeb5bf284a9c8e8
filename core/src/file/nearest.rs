//! The word that was probably meant.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What to say to someone who wrote a word that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// This one was probably meant.
    Word(String),
    /// None is close; these exist.
    Words(Vec<String>),
    /// There are none.
    Nothing,
}

impl Nearest {
    /// As a `help:` line; `what` names one such thing, such as `key`.
    #[must_use]
    pub fn help(&self, what: &str) -> Option<String> {
        self.help_of(what, &format!("{what}s"))
    }

    /// As [`Nearest::help`], where more than one such thing is called `many`.
    #[must_use]
    pub fn help_of(&self, one: &str, many: &str) -> Option<String> {
        match self {
            Nearest::Word(word) => Some(format!("did you mean `{word}`?")),
            Nearest::Words(words) => {
                let shown: Vec<_> = words.iter().take(MOST_SHOWN).map(|word| format!("`{word}`")).collect();
                let more = words.len() - shown.len();
                let tail = if more == 0 {
                    String::new()
                } else {
                    format!(" and {more} more")
                };
                let what = if words.len() == 1 { one } else { many };
                Some(format!("known {what}: {}{tail}", shown.join(", ")))
            }
            Nearest::Nothing => None,
        }
    }
}

/// How many words a `help:` line lists.
const MOST_SHOWN: usize = 24;

/// Which of `words` was probably meant by `word`: the one with the fewest edits, if they are no more than a third of it.
///
/// ```
/// use tollgate_core::file::{Nearest, nearest};
///
/// let meant = nearest("perido", ["amount", "period", "burst"]);
/// assert_eq!(meant, Nearest::Word("period".into()));
/// ```
#[must_use]
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Nearest {
    let typed: Vec<char> = word.chars().take(MOST_CHARS).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let close = words
        .iter()
        .take(MOST_WORDS)
        .map(|known| {
            (
                edits(&typed, &known.chars().take(MOST_CHARS).collect::<Vec<_>>()),
                *known,
            )
        })
        .min();
    match close {
        Some((edits, known)) if edits <= typed.len().max(3) / 3 => Nearest::Word(known.into()),
        Some(_) => Nearest::Words(words.into_iter().map(String::from).collect()),
        None => Nearest::Nothing,
    }
}

/// Further words are not compared, so that a long list cannot make a short answer slow.
const MOST_WORDS: usize = 4_096;

/// Longer words are compared by their beginnings.
const MOST_CHARS: usize = 64;

/// The restricted Damerau-Levenshtein distance: characters inserted, deleted, replaced, or swapped with a neighbor.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = Vec::with_capacity(to.len() + 1);
        row.push(i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if 0 < i && 0 < j && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(from: &str, to: &str) -> usize {
        edits(&from.chars().collect::<Vec<_>>(), &to.chars().collect::<Vec<_>>())
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("perido", "period"), 1);
        assert_eq!(distance("ab", "ba"), 1);
    }

    #[test]
    fn a_far_word_lists_what_exists() {
        let found = nearest("zebra", ["amount", "period"]);
        assert_eq!(found.help("key").as_deref(), Some("known keys: `amount`, `period`"));
        assert_eq!(nearest("x", []), Nearest::Nothing);
    }
}
