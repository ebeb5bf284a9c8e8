//! Secrets that stand where they must not.

use alloc::vec::Vec;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Span;

/// The values under `table` that are secrets by their key or by their look.
pub(super) fn find(table: &DeTable<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    in_table(table, &mut spans);
    spans
}

fn in_table(table: &DeTable<'_>, spans: &mut Vec<Span>) {
    for (key, value) in table {
        if is_secret_key(key.get_ref()) && value.get_ref().is_str() {
            spans.push(value.span().into());
        } else {
            in_value(value, spans);
        }
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, spans: &mut Vec<Span>) {
    match value.get_ref() {
        DeValue::String(text) if is_secret(text) => spans.push(value.span().into()),
        DeValue::Array(values) => values.iter().for_each(|value| in_value(value, spans)),
        DeValue::Table(table) => in_table(table, spans),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn is_secret_key(key: &str) -> bool {
    let words = [
        "api_key",
        "api-key",
        "apikey",
        "secret",
        "password",
        "authorization",
        "admin_token",
    ];
    words.iter().any(|word| key.eq_ignore_ascii_case(word))
}

/// Whether `text` begins as keys of providers do and goes on as long as they do, or is a URL with a password.
fn is_secret(text: &str) -> bool {
    let key = text.strip_prefix("Bearer ").unwrap_or(text);
    let tail = ["sk-", "sk_", "gsk_", "xai-", "AIza"]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix));
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    tail.is_some_and(|tail| 16 <= tail.len() && tail.bytes().all(is_word)) || has_password(text)
}

fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}
