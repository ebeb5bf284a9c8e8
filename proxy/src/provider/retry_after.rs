//! When an endpoint wants to be asked again, in any of the ways that providers say it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use tollgate_core::time::Nanos;

/// How long to wait, given the present date: the most precise of `retry-after-ms`, `x-ms-retry-after-ms` and
/// `retry-after`, which may be whole seconds, others, or a date. What cannot be read says nothing.
pub(super) fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Nanos> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = |name| text(name).and_then(number).map(|millis| millis / 1e3);
    let plain = || text(RETRY_AFTER.as_str());
    let seconds = millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| plain().and_then(number));
    match seconds {
        Some(seconds) => Some(Nanos::from_secs_f64(seconds)),
        None => plain().and_then(|date| until(date, wall)),
    }
}

/// A length that is not negative, and not without end.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && 0.0 <= number).then_some(number)
}

/// From now to `date`; nothing is left of one that is past.
fn until(date: &str, wall: SystemTime) -> Option<Nanos> {
    let date = httpdate::parse_http_date(date).ok()?;
    let left = date.duration_since(wall).unwrap_or(Duration::ZERO);
    Some(Nanos::from_nanos(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    #[test]
    fn every_form_is_understood() {
        let wall = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let cases: [(Lines, Option<Nanos>); 15] = [
            (&[], None),
            (&[("retry-after", "7")], Some(Nanos::from_secs(7))),
            (&[("retry-after", " 0.25 ")], Some(Nanos::from_millis(250))),
            (&[("retry-after", "0")], Some(Nanos::ZERO)),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
                Some(Nanos::from_secs(30)),
            ),
            (
                &[("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")],
                Some(Nanos::from_secs(30)),
            ),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(Nanos::ZERO)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "NaN")], None),
            (
                &[("retry-after-ms", "1500"), ("retry-after", "9")],
                Some(Nanos::from_millis(1500)),
            ),
            (&[("x-ms-retry-after-ms", "20")], Some(Nanos::from_millis(20))),
            (
                &[("retry-after-ms", "rubbish"), ("retry-after", "2")],
                Some(Nanos::from_secs(2)),
            ),
            (&[("retry-after", "1e300")], Some(Nanos::FOREVER)),
        ];
        for (lines, wait) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.insert(*name, value.parse().expect("a value"));
            }
            assert_eq!(retry_after(&headers, wall), wait, "{lines:?}");
        }
    }
}
