//! What a request is called, by whoever asks about it later.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// The header that carries it, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name that the client gave its request, or else `made`: 128 bits that nobody else has.
///
/// A name is kept if it can stand in a log line as it is: 1 to 128 visible characters of ASCII, and only one.
///
/// # Panics
///
/// Never: digits can stand in a header.
#[must_use]
pub fn request_id(headers: &HeaderMap, made: u128) -> HeaderValue {
    const MOST: usize = 128;
    let mut given = headers.get_all(REQUEST_ID).iter();
    let is_sane = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=MOST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    if let (Some(value), None) = (given.next().filter(is_sane), given.next()) {
        return value.clone();
    }
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(made.to_be_bytes()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    HeaderValue::from_bytes(&digits).expect("hexadecimal digits can stand in a header")
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    fn id(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("no control characters");
            headers.append(REQUEST_ID, value);
        }
        let id = request_id(&headers, 0xab);
        id.to_str().expect("visible characters").to_owned()
    }

    #[test]
    fn a_sane_name_is_kept_and_any_other_replaced() {
        let made = format!("{:032x}", 0xab);
        assert_eq!(id(&["req-17"]), "req-17");
        for others in [&[][..], &[""], &["with space"], &["a", "b"], &["\u{e9}"]] {
            assert_eq!(id(others), made, "{others:?}");
        }
        let long = "x".repeat(129);
        assert_eq!(id(&[&long]), made);
        assert_eq!(id(&[&long[1..]]), &long[1..]);
    }
}
