//! Where a request stands with its limits, in headers: `OpenAI`'s, and those of the IETF's draft.
//!
//! Computed from the states of the limits that the request was charged to, never a constant. Of the limits that count
//! requests, and of those that count tokens, the one with the least share left speaks in `OpenAI`'s headers; the
//! draft's name every one.

use std::fmt::Write as _;

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use tollgate_core::gate::Gate;
use tollgate_core::id::{KeyHash, LimitId};
use tollgate_core::memory::Memory;
use tollgate_core::policy::{Algorithm, Charges, Limit};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Unit;

use super::go;

/// Where one limit stands.
struct Stand<'a> {
    limit: &'a Limit,
    most: u64,
    left: u64,
    /// Until all of it is there again, if anybody can tell.
    reset: Option<Nanos>,
}

/// Puts into `headers` where a request with these `charges` stands.
pub(super) fn put<M: Memory>(headers: &mut HeaderMap, gate: &Gate<M>, charges: &Charges, now: Instant) {
    let stands: Vec<Stand<'_>> = (0..charges.len())
        .filter_map(|index| stand(gate, charges.at(index), now))
        .collect();
    headers.reserve(MOST_HEADERS);
    let requests = |unit| unit == Unit::Requests;
    let tokens = |unit| matches!(unit, Unit::Tokens | Unit::InputTokens | Unit::OutputTokens);
    put_binding(headers, &REQUESTS, scarcest(&stands, requests));
    put_binding(headers, &TOKENS, scarcest(&stands, tokens));
    put_draft(headers, &stands);
}

/// Headers that are put at most, and the two by which a request is known: the map grows once.
const MOST_HEADERS: usize = 10;

/// A limit whose state is elsewhere cannot be looked at from here.
fn stand<M: Memory>(gate: &Gate<M>, (id, key): (LimitId, KeyHash), now: Instant) -> Option<Stand<'_>> {
    let limit = &gate.policy().limits[id.index()];
    if !limit.store.is_local() {
        return None;
    }
    let standing = gate.standing(id, key, now);
    Some(Stand {
        limit,
        most: standing.limit,
        left: standing.remaining,
        reset: (!standing.reset.is_far()).then(|| standing.reset.since(now)),
    })
}

/// Of the limits that count such units, the one with the least share left; the first of equals.
fn scarcest<'s, 'a>(stands: &'s [Stand<'a>], counts: impl Fn(Unit) -> bool) -> Option<&'s Stand<'a>> {
    let counting = stands.iter().filter(|stand| counts(stand.limit.unit));
    counting.min_by(|one, other| {
        let one_share = u128::from(one.left) * u128::from(other.most);
        let other_share = u128::from(other.left) * u128::from(one.most);
        one_share.cmp(&other_share)
    })
}

/// `x-ratelimit-{limit,remaining,reset}-` of one unit.
type Names = [HeaderName; 3];

const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

fn put_binding(headers: &mut HeaderMap, [limit, remaining, reset]: &Names, stand: Option<&Stand<'_>>) {
    let Some(stand) = stand else {
        return;
    };
    headers.insert(limit.clone(), HeaderValue::from(stand.most));
    headers.insert(remaining.clone(), HeaderValue::from(stand.left));
    if let Some(length) = stand.reset {
        let length = HeaderValue::try_from(go::duration(length)).expect("digits and letters");
        headers.insert(reset.clone(), length);
    }
}

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers, one item a limit.
fn put_draft(headers: &mut HeaderMap, stands: &[Stand<'_>]) {
    if stands.is_empty() {
        return;
    }
    let names: usize = stands.iter().map(|stand| stand.limit.name.len()).sum();
    let room = names + stands.len() * ITEM_BYTES;
    let (mut policy, mut state) = (BytesMut::with_capacity(room), BytesMut::with_capacity(room));
    for (index, stand) in stands.iter().enumerate() {
        for text in [&mut policy, &mut state] {
            if index != 0 {
                text.extend_from_slice(b", ");
            }
            quote(text, &stand.limit.name);
        }
        parameter(&mut policy, b";q=", stand.most);
        if stand.limit.unit == Unit::InFlight {
            policy.extend_from_slice(b";qu=\"concurrent-requests\"");
        }
        if let Some(window) = window(stand.limit.algorithm) {
            parameter(&mut policy, b";w=", seconds(window));
        }
        parameter(&mut state, b";r=", stand.left);
        if let Some(reset) = stand.reset {
            parameter(&mut state, b";t=", seconds(reset));
        }
    }
    for (name, text) in [(RATELIMIT_POLICY, policy), (RATELIMIT, state)] {
        let value = HeaderValue::from_maybe_shared(text.freeze());
        headers.insert(name, value.expect("names are quoted, numbers are digits"));
    }
}

/// Most bytes of an item beside its name; longer ones take a little longer.
const ITEM_BYTES: usize = 64;

/// Appends `value` under a name.
fn parameter(text: &mut BytesMut, name: &[u8], value: u64) {
    text.extend_from_slice(name);
    text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The length in which a limit grants what it holds.
fn window(algorithm: Algorithm) -> Option<Nanos> {
    match algorithm {
        Algorithm::FixedWindow(quota)
        | Algorithm::SegmentedWindow { quota, .. }
        | Algorithm::SlidingLog(quota)
        | Algorithm::SlidingWindow(quota) => Some(quota.period),
        Algorithm::Gcra(quota) | Algorithm::TokenBucket(quota) | Algorithm::LeakyBucket(quota) => {
            let nanos = u128::from(quota.period.as_nanos()) * u128::from(quota.burst.get());
            let nanos = nanos.div_ceil(u128::from(quota.amount.get()));
            Some(Nanos::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
        }
        Algorithm::Permits(_) | Algorithm::Adaptive(..) | Algorithm::Own(_) => None,
    }
}

/// Whole seconds, rounded up.
fn seconds(length: Nanos) -> u64 {
    length.as_nanos().div_ceil(1_000_000_000)
}

/// Appends a string of RFC 8941. It has no letters beyond ASCII: they are written as in a URL.
fn quote(text: &mut BytesMut, name: &str) {
    text.extend_from_slice(b"\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => text.extend_from_slice(&[byte]),
            _ => write!(text, "%{byte:02X}").expect("a buffer takes everything"),
        }
    }
    text.extend_from_slice(b"\"");
}
