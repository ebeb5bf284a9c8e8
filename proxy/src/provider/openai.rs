//! The dialect of `OpenAI`, and of all who took it over.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};

use tollgate_core::policy::Operation;

use super::{AnswerReader, Asked, Call, Dialect, Target, apply, passed_on};
use crate::request::REQUEST_ID;

/// The dialect of `OpenAI`: a bearer's key, JSON, and events that carry data alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn request(&self, target: &Target, call: Call<'_>) -> Request<Bytes> {
        let path = match call.operation {
            Operation::Chat => "/chat/completions",
            Operation::Completions => "/completions",
            Operation::Embeddings => "/embeddings",
        };
        let mut request = Request::new(call.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.at(path);
        let mut headers = passed_on(call.headers, is_ours, MOST_ADDED);
        apply(call.stage, &mut headers);
        headers.insert(HOST, target.host().clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What is compressed cannot be read on its way.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(REQUEST_ID, call.request_id.clone());
        if let Some(key) = call.key {
            headers.insert(AUTHORIZATION, key.bearer().clone());
        }
        *request.headers_mut() = headers;
        request
    }

    fn reader(&self, asked: Asked) -> AnswerReader {
        AnswerReader::new(asked)
    }
}

/// Whether a header is between the client and us: who asks, from where, for whose account, and how the body is framed.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "api-key"
            | "authorization"
            | "content-encoding"
            | "content-length"
            | "cookie"
            | "expect"
            | "forwarded"
            | "openai-organization"
            | "openai-project"
            | "via"
            | "x-api-key"
            | "x-client-ip"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "x-tollgate-attempt"
            | "x-tollgate-dice"
            | "x-tollgate-source"
            | "host"
            | "accept-encoding"
    )
}

/// Headers that an endpoint is told by us.
const MOST_ADDED: usize = 6;

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use tollgate_core::policy::HeaderStage;

    use super::*;
    use crate::auth::Secret;

    #[test]
    fn a_request_has_our_key_and_nobody_elses() {
        let target = Target::new("https://api.example.com/v1").expect("a URL");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer the-clients"),
            ("x-api-key", "the-clients"),
            ("api-key", "the-clients"),
            ("cookie", "the-clients"),
            ("openai-organization", "the-clients"),
            ("x-forwarded-for", "192.0.2.1"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("content-length", "7"),
            ("content-encoding", "gzip"),
            ("accept-encoding", "gzip"),
            ("host", "gateway.example.com"),
            ("x-mock-output-tokens", "12"),
            ("x-debug", "1"),
            ("user-agent", "OpenAI/Python"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let stage = HeaderStage {
            set: vec![("x-team".into(), "search".into())],
            remove: vec!["x-debug".into()],
        };
        let key = Secret::new("ours").expect("a key");
        let request_id = HeaderValue::from_static("id");
        let request = OpenAi.request(
            &target,
            Call {
                operation: Operation::Chat,
                headers: &headers,
                stage: &stage,
                body: Bytes::from_static(b"{}"),
                key: Some(&key),
                request_id: &request_id,
            },
        );
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://api.example.com/v1/chat/completions");
        let mut sent: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
            .collect();
        sent.sort();
        assert_eq!(
            sent,
            [
                "accept-encoding: identity",
                "accept: application/json, text/event-stream",
                "authorization: Bearer ours",
                "content-type: application/json",
                "host: api.example.com",
                "user-agent: OpenAI/Python",
                "x-mock-output-tokens: 12",
                "x-request-id: id",
                "x-team: search",
            ]
        );
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
    }
}
