//! Which requests a route or a limit is about.

use alloc::string::String;
use alloc::vec::Vec;

use super::Facts;

/// Words that must all match; no words match everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The words, each once.
    pub words: Vec<(Word, Pattern)>,
}

impl Match {
    /// Whether `facts` have every word.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.words.iter().all(|(word, pattern)| pattern.matches(word.of(facts)))
    }
}

/// What a pattern is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// The path.
    Path,
    /// The model that was asked for.
    Model,
    /// The tenant's name.
    Tenant,
    /// The tenant's role.
    Role,
    /// The tenant's region.
    Region,
    /// A header, by its name in lower case.
    Header(String),
}

impl Word {
    /// What `facts` say; absent words are empty.
    #[must_use]
    pub fn of<'a>(&self, facts: &Facts<'a>) -> &'a str {
        match self {
            Word::Path => facts.path,
            Word::Model => facts.model,
            Word::Tenant => facts.tenant,
            Word::Role => facts.role,
            Word::Region => facts.region,
            Word::Header(name) => facts.header(name),
        }
    }
}

/// A literal in which `*` stands for any number of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern that `text` writes.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        Pattern(text.into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for one text only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether it stands for `text`. Linear in both, whatever the pattern: it goes back to the last `*` only.
    ///
    /// ```
    /// use tollgate_core::policy::Pattern;
    ///
    /// assert!(Pattern::new("gpt-*").matches("gpt-4o"));
    /// assert!(Pattern::new("*-mini*").matches("gpt-4o-mini"));
    /// assert!(!Pattern::new("gpt").matches("gpt-4o"));
    /// ```
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some(found) = rest.find(part) else {
                return false;
            };
            rest = &rest[found + part.len()..];
        }
        rest.ends_with(last)
    }
}
