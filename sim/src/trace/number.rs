//! Numbers and times in text, exactly.

use std::num::NonZeroU32;

use super::TraceCause;
use crate::workload::MAX_TOKENS;

/// `text` times ten to the power of `digits`, cut to a whole number: decimal arithmetic, so `0.1` is exact.
///
/// Exponents are read as floating point.
pub(crate) fn decimal(text: &[u8], digits: u32) -> Result<i64, TraceCause> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(TraceCause::Missing);
    }
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let mut value: i64 = 0;
    let mut fraction: Option<u32> = None;
    let mut any = false;
    for byte in unsigned {
        match byte {
            b'0'..=b'9' => {
                any = true;
                match &mut fraction {
                    Some(seen) if digits <= *seen => continue,
                    Some(seen) => *seen += 1,
                    None => {}
                }
                let digit = i64::from(byte - b'0');
                value = value
                    .checked_mul(10)
                    .and_then(|value| value.checked_add(digit))
                    .ok_or(too_large(digits))?;
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return floating(text, digits),
        }
    }
    if !any {
        return Err(TraceCause::NotANumber);
    }
    let missing = digits - fraction.unwrap_or(0);
    let value = 10_i64
        .checked_pow(missing)
        .and_then(|power| value.checked_mul(power))
        .ok_or(too_large(digits))?;
    Ok(if negative { -value } else { value })
}

/// The way round for `1.5e3`; refuses NaN and infinity.
fn floating(text: &[u8], digits: u32) -> Result<i64, TraceCause> {
    let value = float(text)? * f64::from(10_u32.pow(digits));
    if 9.2e18 <= value.abs() {
        return Err(too_large(digits));
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 2^63")]
    Ok(value as i64)
}

fn too_large(digits: u32) -> TraceCause {
    TraceCause::TooLarge {
        most: i64::MAX.unsigned_abs() / 10_u64.pow(digits),
    }
}

/// A finite number.
pub(crate) fn float(text: &[u8]) -> Result<f64, TraceCause> {
    let text = std::str::from_utf8(text.trim_ascii()).map_err(|_| TraceCause::NotANumber)?;
    if text.is_empty() {
        return Err(TraceCause::Missing);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) | Err(_) => Err(TraceCause::NotANumber),
    }
}

/// A number of tokens; 0, which failed requests have, is read as 1.
pub(crate) fn tokens(text: &[u8]) -> Result<NonZeroU32, TraceCause> {
    if text.is_empty() || 8 < text.len() || !text.iter().all(u8::is_ascii_digit) {
        return tokens_of(float(text)?);
    }
    let value = text.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    bounded(value)
}

/// The nearest whole number of tokens.
pub(crate) fn tokens_of(value: f64) -> Result<NonZeroU32, TraceCause> {
    if value < 0.0 {
        return Err(TraceCause::Negative);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is bounded below"
    )]
    bounded((value + 0.5) as u32)
}

fn bounded(value: u32) -> Result<NonZeroU32, TraceCause> {
    if MAX_TOKENS < value {
        return Err(TraceCause::TooLarge {
            most: u64::from(MAX_TOKENS),
        });
    }
    Ok(NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN))
}

/// True or false.
pub(crate) fn boolean(text: &[u8]) -> Result<bool, TraceCause> {
    let is = |word: &str| text.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
    if is("true") || is("1") {
        Ok(true)
    } else if is("false") || is("0") {
        Ok(false)
    } else {
        Err(TraceCause::NotABool)
    }
}

/// Nanoseconds from 1970 to `2023-11-16 18:15:46.6805900`, with `T` or a space, and with `Z` or `+01:00` or nothing.
pub(crate) fn date(text: &[u8]) -> Result<i64, TraceCause> {
    parse_date(text.trim_ascii()).ok_or(TraceCause::NotATime)
}

fn parse_date(text: &[u8]) -> Option<i64> {
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = text.get(from..from + len)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(digits.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0')))
    };
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if separators
        .iter()
        .any(|(at, expected)| text.get(*at) != expected.first())
    {
        return None;
    }
    if !matches!(text.get(10), Some(b' ' | b'T' | b't')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || 23 < hour || 59 < minute || 60 < second {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction_len = match rest {
        [b'.', digits @ ..] => 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let (fraction, zone) = rest.split_at(fraction_len);
    let nanos = if 1 < fraction_len {
        decimal(fraction, 9).ok()?
    } else {
        0
    };
    let east = match zone {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
            let minutes = (digit(h1)? * 10 + digit(h2)?) * 60 + digit(m1)? * 10 + digit(m2)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - east;
    (minutes * 60 + second).checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days from the first of January 1970 in the Gregorian calendar, counting years from March so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("0.1", 100_000_000),
            ("12", 12_000_000_000),
            ("-0.000000001", -1),
            ("1.9999999999", 1_999_999_999),
            (" 7. ", 7_000_000_000),
            ("1.5e3", 1_500_000_000_000),
        ] {
            assert_eq!(decimal(text.as_bytes(), 9).expect(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "nan",
            "inf",
            "1e400",
            "12a",
            "1.2.3",
            "99999999999999999999",
            "\u{663}",
        ] {
            assert!(decimal(text.as_bytes(), 9).is_err(), "{text}");
        }
    }

    #[test]
    fn token_counts_are_bounded() {
        assert_eq!(tokens(b"374").expect("a count").get(), 374);
        assert_eq!(tokens(b"374.0").expect("a count").get(), 374);
        assert_eq!(tokens(b"0").expect("a failed request").get(), 1);
        assert!(matches!(tokens(b"-3"), Err(TraceCause::Negative)));
        assert!(matches!(tokens(b"NaN"), Err(TraceCause::NotANumber)));
        assert!(matches!(tokens(b"4294967297"), Err(TraceCause::TooLarge { .. })));
        assert!(matches!(tokens(b"99999999"), Err(TraceCause::TooLarge { .. })));
        assert!(matches!(tokens(b""), Err(TraceCause::Missing)));
    }

    #[test]
    fn dates_are_read_with_and_without_a_zone() {
        for (text, expected) in [
            ("1970-01-01 00:00:00", 0),
            ("1970-01-02T00:00:00.5Z", 86_400_500_000_000),
            ("2000-03-01 00:00:00", 951_868_800_000_000_000),
            ("2023-11-16 18:15:46.6805900", 1_700_158_546_680_590_000),
            ("2024-05-10 02:00:00.009930+02:00", 1_715_299_200_009_930_000),
            ("2024-02-29 23:59:59", 1_709_251_199_000_000_000),
        ] {
            assert_eq!(date(text.as_bytes()).expect(text), expected, "{text}");
        }
        for text in [
            "",
            "2023-13-01 00:00:00",
            "2023-11-16",
            "2023/11/16 18:15:46",
            "2023-11-16 18:15:46 CET",
        ] {
            assert!(date(text.as_bytes()).is_err(), "{text}");
        }
    }
}
