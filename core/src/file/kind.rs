//! The kinds of values that files have: what they look like, and what they mean.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeFloat, DeInteger, DeValue};

use super::{Value, nearest};
use crate::time::Nanos;

/// Why a value is not of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    message: Option<String>,
    label: String,
    help: Option<String>,
}

impl Wrong {
    /// Something else was expected, such as `a duration`.
    #[must_use]
    pub fn expected(what: impl Into<String>) -> Wrong {
        Wrong {
            message: None,
            label: format!("expected {}", what.into()),
            help: None,
        }
    }

    /// Something that takes words of its own to say.
    #[must_use]
    pub fn said(message: impl Into<String>, label: impl Into<String>) -> Wrong {
        Wrong {
            message: Some(message.into()),
            label: label.into(),
            help: None,
        }
    }

    /// With a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Wrong {
        self.help = Some(help.into());
        self
    }

    pub(super) fn about(self, key: &str, value: &Value<'_>) -> (String, String, Option<String>) {
        let composed = || format!("`{key}`: {}, found {}", self.label, value.described());
        (self.message.clone().unwrap_or_else(composed), self.label, self.help)
    }
}

/// Any string.
///
/// # Errors
///
/// Another kind of value.
pub fn text(value: &Value<'_>) -> Result<String, Wrong> {
    let text = value.toml().as_str();
    text.map(ToString::to_string).ok_or_else(|| Wrong::expected("a string"))
}

/// A string of 1 to 128 characters that can stand in a header, a metric and a line of text.
///
/// # Errors
///
/// An empty or long string, or one with control characters or white space at its ends.
pub fn name(value: &Value<'_>) -> Result<String, Wrong> {
    let text = text(value)?;
    let wrong = |what: &str| Err(Wrong::expected(format!("a name {what}")));
    if text.is_empty() {
        wrong("that is not empty")
    } else if 128 < text.chars().count() {
        wrong("that has at most 128 characters")
    } else if text.chars().any(char::is_control) || text.trim() != text {
        wrong("that has no control characters and no white space at its ends")
    } else {
        Ok(text)
    }
}

/// `true` or `false`.
///
/// # Errors
///
/// Another kind of value.
pub fn boolean(value: &Value<'_>) -> Result<bool, Wrong> {
    let value = value.toml().as_bool();
    value.ok_or_else(|| Wrong::expected("`true` or `false`"))
}

/// An integer from `least` to `most`.
pub fn integer<T>(least: T, most: T) -> impl Fn(&Value<'_>) -> Result<T, Wrong>
where
    T: Copy + Into<u64> + TryFrom<u64>,
{
    move |value| {
        let (least, most) = (least.into(), most.into());
        let number = whole(value.toml()).filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            let is_beyond = beyond(value.toml(), most);
            Wrong::expected(if least == most {
                format!("the integer {least}")
            } else if most < u64::from(u32::MAX) {
                format!("an integer from {least} to {most}")
            } else if is_beyond {
                format!("an integer of at most {most}")
            } else {
                format!("an integer of at least {least}")
            })
        })
    }
}

/// A finite number, whole or not.
///
/// # Errors
///
/// Another kind of value, an infinity, NaN.
pub fn number(value: &Value<'_>) -> Result<f64, Wrong> {
    let value = value.toml();
    let whole = value
        .as_integer()
        .filter(|number| number.radix() == 10)
        .map(DeInteger::as_str);
    let text = whole.or_else(|| value.as_float().map(DeFloat::as_str));
    let number = text.and_then(|text| text.parse().ok());
    let number = number.filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| Wrong::expected("a finite number"))
}

/// A number above 0 and at most `most`.
pub fn positive(most: f64) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let number = number(value).ok().filter(|number| 0.0 < *number && *number <= most);
        number.ok_or_else(|| Wrong::expected(format!("a number above 0 and at most {most}")))
    }
}

/// A number of at least 0 and at most `most`.
pub fn not_negative(most: f64) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let number = number(value).ok().filter(|number| 0.0 <= *number && *number <= most);
        number.ok_or_else(|| Wrong::expected(format!("a number from 0 to {most}")))
    }
}

/// A share from 0 to 1, or a percentage such as `"10%"`.
///
/// # Errors
///
/// Another kind of value, a share outside.
pub fn share(value: &Value<'_>) -> Result<f64, Wrong> {
    let share = match value.toml().as_str() {
        Some(text) => percentage(text),
        None => number(value).ok(),
    };
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| Wrong::expected("a share from 0 to 1, or a percentage such as \"10%\""))
}

/// A share above 0 and at most 1, or such a percentage.
///
/// # Errors
///
/// Another kind of value, a share outside.
pub fn share_above_0(value: &Value<'_>) -> Result<f64, Wrong> {
    let share = share(value).ok().filter(|share| 0.0 < *share);
    share.ok_or_else(|| Wrong::expected("a share above 0 and at most 1, or a percentage such as \"10%\""))
}

/// A length of time such as `"250ms"`, from nothing to a hundred years.
///
/// # Errors
///
/// Another kind of value, no unit, an unknown unit, a length beyond.
pub fn duration(value: &Value<'_>) -> Result<Nanos, Wrong> {
    match value.toml().as_str().and_then(parse_duration) {
        Some(length) if LONGEST < length => Err(Wrong::expected("a duration of at most 100 years")),
        Some(length) => Ok(length),
        None => Err(Wrong::expected("a duration").help("write it with its unit: \"250ms\", \"30s\", \"1m\", \"1h\"")),
    }
}

/// A length of time above nothing.
///
/// # Errors
///
/// As [`duration`], and no time at all.
pub fn length(value: &Value<'_>) -> Result<Nanos, Wrong> {
    match duration(value)? {
        Nanos::ZERO => Err(Wrong::expected("a duration above zero")),
        length => Ok(length),
    }
}

/// A length of time above nothing, or `"none"`: forever.
///
/// # Errors
///
/// As [`length`].
pub fn length_or_none(value: &Value<'_>) -> Result<Nanos, Wrong> {
    if value.toml().as_str() == Some("none") {
        return Ok(Nanos::FOREVER);
    }
    length(value).map_err(|wrong| match wrong.help {
        Some(_) => wrong,
        None => wrong.help("\"none\" switches it off"),
    })
}

/// A rate per second, such as `"10/s"` or `"100/m"`.
///
/// # Errors
///
/// Another kind of value, an unknown unit, a rate that is negative or above 10⁹ a second.
pub fn rate(value: &Value<'_>) -> Result<f64, Wrong> {
    let rate = value
        .toml()
        .as_str()
        .and_then(parse_rate)
        .filter(|rate| (0.0..=1e9).contains(rate));
    rate.ok_or_else(|| Wrong::expected("a rate such as \"10/s\" or \"100/m\", at most 1e9 a second"))
}

/// A number of bytes: an integer, or a size such as `"2MiB"` or `"500kB"`.
///
/// # Errors
///
/// Another kind of value, an unknown unit.
pub fn bytes(value: &Value<'_>) -> Result<u64, Wrong> {
    let bytes = match value.toml().as_str() {
        Some(text) => parse_bytes(text),
        None => whole(value.toml()),
    };
    bytes.ok_or_else(|| Wrong::expected("a size such as \"2MiB\" or \"500kB\""))
}

/// One of `words`; those of `later` exist but are not built yet.
pub fn one_of<T: Clone>(
    words: &'static [(&'static str, T)],
    later: &'static [&'static str],
) -> impl Fn(&Value<'_>) -> Result<T, Wrong> {
    move |value| {
        let known = || words.iter().map(|(word, _)| *word);
        let quoted = || known().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let listed = || {
            if words.len() == 1 {
                quoted()
            } else {
                format!("one of {}", quoted())
            }
        };
        let Some(text) = value.toml().as_str() else {
            return Err(Wrong::expected(listed()));
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(meaning.clone());
        }
        if later.contains(&text) {
            let wrong = Wrong::said(format!("\"{text}\" is not built yet"), "not built yet");
            return Err(wrong.help(format!("built: {}", quoted())));
        }
        let wrong = Wrong::expected(listed());
        Err(match nearest(text, known().chain(later.iter().copied())) {
            super::Nearest::Word(word) => wrong.help(format!("did you mean \"{word}\"?")),
            super::Nearest::Words(_) | super::Nearest::Nothing => wrong,
        })
    }
}

/// The longest length that a file may say.
pub const LONGEST: Nanos = Nanos::from_secs(100 * 365 * 24 * 3600);

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Whether `value` is an integer above `most`.
fn beyond(value: &DeValue<'_>, most: u64) -> bool {
    let Some(number) = value.as_integer() else {
        return false;
    };
    let is_within = u64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|number| number <= most);
    !is_within && !number.as_str().starts_with('-')
}

/// `"99.9%"` as 0.999.
fn percentage(text: &str) -> Option<f64> {
    let number = decimal(text.strip_suffix('%')?)?;
    Some(number / 100.0)
}

/// The length that `text` says, exact to the nanosecond.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Nanos> {
    let unit_at = text.find(|char: char| !char.is_ascii_digit() && char != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let nanos: u128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || 12 < fraction.len() || fraction.contains('.') {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole: u64 = whole.parse().ok()?;
    let fraction: u128 = fraction.parse().ok()?;
    let total = u128::from(whole) * nanos + fraction * nanos / scale;
    Some(u64::try_from(total).map_or(Nanos::FOREVER, Nanos::from_nanos))
}

fn parse_rate(text: &str) -> Option<f64> {
    let (amount, unit) = text.split_once('/')?;
    let secs = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(decimal(amount)? / secs)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let unit_at = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.trim_start() {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A plain decimal without sign, exponent or words.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
}
