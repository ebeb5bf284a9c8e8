//! Which headers go through, in either direction.
//!
//! | Law | Test |
//! |---|---|
//! | What concerns one connection stays on it, also what `Connection` names. | `hops_are_stripped` |

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue};

use tollgate_core::policy::HeaderStage;

/// Whether a header concerns one connection, as RFC 9110 says in section 7.6.1.
fn is_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "trailers"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What `Connection` names beside itself.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// Removes what concerns one connection only, and what `is_ours`.
pub fn strip(headers: &mut HeaderMap, is_ours: impl Fn(&str) -> bool) {
    let named = named(headers);
    let goes = |name: &HeaderName| is_hop(name.as_str()) || is_ours(name.as_str()) || named.contains(name);
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// A copy of `headers` without what concerns one connection only, and what `is_ours`; there is room for some `more`.
#[must_use]
pub fn passed_on(headers: &HeaderMap, is_ours: impl Fn(&str) -> bool, more: usize) -> HeaderMap {
    let named = named(headers);
    let mut copy = HeaderMap::with_capacity(headers.len() + more);
    for (name, value) in headers {
        if !is_hop(name.as_str()) && !is_ours(name.as_str()) && !named.contains(name) {
            copy.append(name.clone(), value.clone());
        }
    }
    copy
}

/// Does what a route says: removes, then sets.
pub fn apply(stage: &HeaderStage, headers: &mut HeaderMap) {
    for name in &stage.remove {
        headers.remove(name.as_str());
    }
    for (name, value) in &stage.set {
        // A checked policy has names and values that can stand in a header.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_stripped() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-ours", "1"),
            ("x-kept", "1"),
            ("x-kept", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let copy = passed_on(&headers, |name| name == "x-ours", 0);
        strip(&mut headers, |name| name == "x-ours");
        for left in [&headers, &copy] {
            assert_eq!(left.keys().collect::<Vec<_>>(), ["x-kept"]);
            assert_eq!(left.get_all("x-kept").iter().count(), 2);
        }
    }

    #[test]
    fn a_route_removes_and_sets() {
        let mut headers = HeaderMap::new();
        headers.insert("x-debug", HeaderValue::from_static("1"));
        headers.insert("x-team", HeaderValue::from_static("other"));
        let stage = HeaderStage {
            set: vec![("x-team".into(), "search".into())],
            remove: vec!["x-debug".into()],
        };
        apply(&stage, &mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["x-team"], "search");
    }
}
