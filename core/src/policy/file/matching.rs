//! `match` of a route, `when` of a limit.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{At, Section, kind, nearest};
use crate::policy::{Match, Pattern, Word};

/// The words of the table `key`, none if it is not there, and the tenants that it names outright.
pub(super) fn read(section: &Section<'_>, key: &'static str) -> (Match, Vec<At<String>>) {
    let mut matches = Match::default();
    let mut tenants = Vec::new();
    let Some(table) = section.table(key) else {
        return (matches, tenants);
    };
    let entries = table.entries();
    if super::WORDS < entries.len() {
        let message = format!(
            "`{key}` has {} words; at most {} are allowed",
            entries.len(),
            super::WORDS
        );
        table.report().error(table.span(), message, "too many", None::<&str>);
        return (matches, tenants);
    }
    for (name, value) in entries {
        let Some(word) = word(name.value) else {
            let help = nearest(name.value, WORDS.iter().copied()).help("word");
            let message = format!("unknown word `{}` in `{key}`", name.value);
            table.report().error(name.span, message, "unknown word", help);
            continue;
        };
        if let Some(text) = value.read(kind::text) {
            let pattern = Pattern::new(&text.value);
            if word == Word::Tenant && pattern.is_literal() {
                tenants.push(text);
            }
            matches.words.push((word, pattern));
        }
    }
    (matches, tenants)
}

const WORDS: &[&str] = &["path", "model", "tenant", "role", "region", "header:NAME"];

fn word(text: &str) -> Option<Word> {
    Some(match text {
        "path" => Word::Path,
        "model" => Word::Model,
        "tenant" => Word::Tenant,
        "role" => Word::Role,
        "region" => Word::Region,
        _ => Word::Header(after("header:", text)?),
    })
}

/// What follows `prefix` in `text`, in lower case, if it can be the name of a header.
pub(super) fn after(prefix: &str, text: &str) -> Option<String> {
    let name = text.strip_prefix(prefix)?;
    is_header_name(name).then(|| name.to_ascii_lowercase())
}

/// Whether `name` is a token of RFC 9110.
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(is_token)
}
