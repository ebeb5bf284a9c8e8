//! The head of a provider's answer, as the client gets it.

use http::Version;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::response::Parts;

use tollgate_core::gate::Gate;
use tollgate_core::memory::Memory;
use tollgate_core::policy::HeaderStage;
use tollgate_core::time::Instant;

use super::{About, SOURCE, Source, limits};
use crate::provider::{apply, strip};
use crate::request::REQUEST_ID;

/// Makes `head` of a provider's answer the head of ours, the same for streams and whole answers: what concerns the
/// provider's connection, quota and names goes, our limits and names come, and the route has the last word.
pub fn relay<M: Memory>(gate: &Gate<M>, now: Instant, stage: &HeaderStage, about: &About<'_>, head: &mut Parts) {
    // Its version frames the provider's body, not ours; its reason is the provider's own words.
    head.version = Version::default();
    head.extensions.clear();
    let headers = &mut head.headers;
    strip(headers, is_theirs);
    let is_stream = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        // Something may be taken out of it, and nobody in between may wait for more of it.
        headers.remove(CONTENT_LENGTH);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    limits::put(headers, gate, about.charges, now);
    headers.insert(REQUEST_ID, about.request_id.clone());
    headers.insert(SOURCE, HeaderValue::from_static(Source::Provider.name()));
    apply(stage, headers);
}

/// Tells nginx not to gather a stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a header is between the provider and us: its quota is not the client's, and neither are its cookies.
fn is_theirs(name: &str) -> bool {
    const FAMILIES: [&str; 3] = ["x-ratelimit-", "x-tollgate-", "anthropic-ratelimit-"];
    matches!(
        name,
        "alt-svc"
            | "nel"
            | "ratelimit"
            | "ratelimit-policy"
            | "report-to"
            | "retry-after"
            | "retry-after-ms"
            | "set-cookie"
            | "strict-transport-security"
            | "x-ms-retry-after-ms"
            | "x-should-retry"
    ) || FAMILIES.iter().any(|family| name.starts_with(family))
}
