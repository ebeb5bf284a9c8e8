//! A name for the content of a file.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

/// The first eight bytes of SHA-256 over the content of a file: its keys sorted, its strings unescaped, its numbers in
/// one form (`1_000`, `1e3` and `0x3e8` are one number). Comments, layout and the order of keys do not change it; a
/// default that is written out does, and so do lists in another order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 8]);

impl ContentHash {
    pub(super) fn of(table: &DeTable<'_>) -> ContentHash {
        let mut bytes = Vec::new();
        put_table(&mut bytes, table);
        let digest = Sha256::digest(&bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        ContentHash(first)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn put_table(bytes: &mut Vec<u8>, table: &DeTable<'_>) {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.get_ref(), value.get_ref()))
        .collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    put(bytes, b'{', entries.len());
    for (key, value) in entries {
        put_text(bytes, b'k', key);
        put_value(bytes, value);
    }
}

fn put_value(bytes: &mut Vec<u8>, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => put_text(bytes, b's', text),
        DeValue::Boolean(value) => put(bytes, b'b', usize::from(*value)),
        DeValue::Datetime(value) => put_text(bytes, b'd', &alloc::format!("{value}")),
        DeValue::Integer(value) => match i128::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => put_text(bytes, b'n', &alloc::format!("{number}")),
            Err(_) => put_text(bytes, b'n', value.as_str()),
        },
        // `Display` writes the shortest digits that give the same float, and whole ones without a point.
        DeValue::Float(value) => match value.as_str().parse::<f64>() {
            Ok(number) => put_text(bytes, b'n', &alloc::format!("{}", number + 0.0)),
            Err(_) => put_text(bytes, b'n', value.as_str()),
        },
        DeValue::Array(values) => {
            put(bytes, b'[', values.len());
            values.iter().for_each(|value| put_value(bytes, value.get_ref()));
        }
        DeValue::Table(table) => put_table(bytes, table),
    }
}

fn put_text(bytes: &mut Vec<u8>, tag: u8, text: &str) {
    put(bytes, tag, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn put(bytes: &mut Vec<u8>, tag: u8, len: usize) {
    bytes.push(tag);
    bytes.extend_from_slice(&u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes());
}
