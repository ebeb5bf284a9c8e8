//! Which headers go through, in either direction.
//!
//! | Law | Test |
//! |---|---|
//! | What concerns one connection stays on it, also what `Connection` names. | `hops_are_stripped` |

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue};

use tollgate_core::policy::HeaderStage;

/// Headers that concern one connection.
const HOPS: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Removes what concerns one connection only, as RFC 9110 says in section 7.6.1.
pub fn strip_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    for name in HOPS {
        headers.remove(name);
    }
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
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hops(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-kept"]);
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
