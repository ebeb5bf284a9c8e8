//! The kinds of values that only settings have.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};

use tollgate_core::file::Value;
use tollgate_core::file::kind::{self, Wrong};

use super::{Cidr, Estimator, Format, Level};

/// An address and a port.
pub(super) fn address(value: &Value<'_>) -> Result<SocketAddr, Wrong> {
    let wrong =
        || Wrong::expected("an address and a port").help("as in \"127.0.0.1:8080\", \"0.0.0.0:8080\", \"[::]:8080\"");
    let text = kind::text(value).map_err(|_| wrong())?;
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    local.as_ref().unwrap_or(&text).parse().map_err(|_| wrong())
}

/// An address, or a prefix such as `10.0.0.0/8`.
pub(super) fn cidr(value: &Value<'_>) -> Result<Cidr, Wrong> {
    let wrong =
        || Wrong::expected("an address or a prefix").help("as in \"10.0.0.0/8\", \"192.168.1.7\", \"fd00::/8\"");
    let text = kind::text(value).map_err(|_| wrong())?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.as_str(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(wrong)?,
        None => most,
    };
    Ok(Cidr { address, prefix })
}

/// A host and a port, as an endpoint's URL has them.
pub(super) fn authority(value: &Value<'_>) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a host and a port").help("as in \"127.0.0.1:8000\", \"vllm.internal:8000\"");
    let text = kind::text(value).map_err(|_| wrong())?;
    let parsed: http::uri::Authority = text.parse().map_err(|_| wrong())?;
    if parsed.port_u16().is_some() && !text.contains('@') {
        Ok(text)
    } else {
        Err(wrong())
    }
}

/// A path or a word: any string but an empty one.
pub(super) fn path(value: &Value<'_>) -> Result<String, Wrong> {
    let text = kind::text(value)?;
    if text.is_empty() || text.contains('\0') {
        Err(Wrong::expected("a path"))
    } else {
        Ok(text)
    }
}

/// The words for how much is told.
pub(super) const LEVELS: [(&str, Level); 4] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

/// The words for how it is told.
pub(super) const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

/// The words for how tokens are estimated.
pub(super) const ESTIMATORS: [(&str, Estimator); 2] =
    [("bytes", Estimator::Bytes), ("tokenizer", Estimator::Tokenizer)];

/// The largest body that can be asked for.
pub(super) const MOST_BODY: u64 = 1 << 30;

pub(super) fn scale(value: &Value<'_>) -> Result<f64, Wrong> {
    let scale = kind::number(value).ok().filter(|scale| (1e-3..=1e6).contains(scale));
    scale.ok_or_else(|| Wrong::expected("a number from 0.001 to 1000000"))
}

pub(super) fn size(least: u64, most: u64) -> impl Fn(&Value<'_>) -> Result<u64, Wrong> {
    move |value| match kind::bytes(value)? {
        bytes if bytes < least => Err(Wrong::expected(format!("a size of at least {least} bytes"))),
        bytes if most < bytes => Err(Wrong::expected(format!("a size of at most {most} bytes"))),
        bytes => Ok(bytes),
    }
}

pub(super) fn count(value: &Value<'_>) -> Result<NonZeroU32, Wrong> {
    let count = kind::integer(1_u32, 1_000_000)(value)?;
    Ok(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
}

pub(super) fn headers(value: &Value<'_>) -> Result<NonZeroU16, Wrong> {
    let count = kind::integer(1_u16, 1_000)(value)?;
    Ok(NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN))
}

pub(super) fn header_bytes(value: &Value<'_>) -> Result<NonZeroU32, Wrong> {
    let bytes = size(8 << 10, 1 << 20)(value)?;
    let bytes = u32::try_from(bytes).ok().and_then(NonZeroU32::new);
    Ok(bytes.expect("a mebibyte fits"))
}
