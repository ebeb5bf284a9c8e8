//! How numbers are written: nothing that is not finite reaches a file.

use std::collections::BTreeMap;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

use super::Cause;

/// Below this a float holds every whole number exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number that must be defined.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn finite<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        to.serialize_f64(*value)
    } else {
        Err(S::Error::custom(format!("a number that must be defined is {value}")))
    }
}

/// A count: `24000` when whole, `24000.5` when it is a mean that is not.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn count<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    match whole(*value) {
        Some(n) => to.serialize_u64(n),
        None => finite(value, to),
    }
}

/// A number that may be undefined.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn maybe<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) if value.is_finite() => to.serialize_f64(*value),
        Some(_) | None => to.serialize_none(),
    }
}

/// A count that may be undefined.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn whole_maybe<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) if value.is_finite() => count(value, to),
        Some(_) | None => to.serialize_none(),
    }
}

/// Counts by cause, without those that never happened.
pub(super) fn counts<S: Serializer>(counts: &BTreeMap<Cause, f64>, to: S) -> Result<S::Ok, S::Error> {
    counts_by(counts, to)
}

/// Counts by name, without those that never happened.
pub(super) fn named_counts<S: Serializer>(counts: &BTreeMap<String, f64>, to: S) -> Result<S::Ok, S::Error> {
    counts_by(counts, to)
}

fn counts_by<K: Serialize, S: Serializer>(counts: &BTreeMap<K, f64>, to: S) -> Result<S::Ok, S::Error> {
    struct Count(f64);
    impl Serialize for Count {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            count(&self.0, to)
        }
    }

    let mut map = to.serialize_map(None)?;
    for (cause, n) in counts.iter().filter(|(_, n)| **n != 0.0) {
        map.serialize_entry(cause, &Count(*n))?;
    }
    map.end()
}

/// Intervals by name, without those that are undefined.
pub(super) fn intervals<S: Serializer>(intervals: &BTreeMap<String, [f64; 2]>, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    for (name, ends) in intervals {
        if ends.iter().all(|end| end.is_finite()) {
            map.serialize_entry(name, ends)?;
        }
    }
    map.end()
}

/// A count as CSV text, by the same rules as in JSON; `None` if it is not finite.
pub(super) fn count_text(value: f64) -> Option<String> {
    match whole(value) {
        Some(n) => Some(n.to_string()),
        None => value.is_finite().then(|| value.to_string()),
    }
}

/// A number that may be undefined as CSV text: empty if it is.
pub(super) fn maybe_text(value: Option<f64>) -> String {
    value.and_then(count_text).unwrap_or_default()
}

fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: not negative, whole, and below 2^53"
    )]
    (value.fract() == 0.0 && (0.0..EXACT).contains(&value)).then_some(value as u64)
}
