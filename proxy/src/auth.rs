//! Keys: the one that a client shows, and ours, that providers want to see.
//!
//! A key is hashed where it is read, and compared as a hash: what is not kept cannot leak. Ours have to be kept, as
//! [`Secret`]s, which nothing prints. Who is let in is [`Policy::identify`]'s to say.
//!
//! | Law | Test |
//! |---|---|
//! | A key is the same key however it is shown. | `a_key_is_the_same_in_every_header` |
//! | An attempt shows the key of its endpoint that it is told to. | `an_attempt_shows_the_key_it_is_told` |
//! | A secret cannot be printed. | `a_secret_is_not_printed` |

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use tollgate_core::id::{EndpointId, KeyId};
use tollgate_core::policy::{KeyDigest, Policy};

/// The header in which Anthropic's clients show their key.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The hash of the key that a client shows: `Authorization: Bearer KEY`, or `x-api-key: KEY`.
///
/// Nothing if it shows none, or two that differ: then nobody can tell who it is.
#[must_use]
pub fn shown(headers: &HeaderMap) -> Option<KeyDigest> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(bearer);
    let plain = headers.get_all(X_API_KEY).iter().map(|value| Some(value.as_bytes()));
    let mut digests = bearers.chain(plain).map(|key| key.map(digest));
    let first = digests.next()??;
    digests.all(|other| other == Some(first)).then_some(first)
}

/// The hash of `key`, as it stands in a policy.
#[must_use]
pub fn digest(key: &[u8]) -> KeyDigest {
    Sha256::digest(key).into()
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, key) = value.as_bytes().split_at_checked("bearer ".len())?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then_some(key)
}

/// The key of a tenant as a limit counts it: the beginning of its hash.
#[must_use]
pub fn key_name(digest: &KeyDigest) -> String {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

/// A key of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(HeaderValue);

impl Secret {
    /// The key `text`; nothing if it is empty or cannot stand in a header.
    #[must_use]
    pub fn new(text: &str) -> Option<Secret> {
        let text = text.trim();
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        value.set_sensitive(true);
        (!text.is_empty()).then_some(Secret(value))
    }

    /// The value of `Authorization` that shows it; marked as sensitive, so that no header table keeps it.
    #[must_use]
    pub fn bearer(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The keys of every endpoint, read once.
#[derive(Debug)]
pub struct ProviderKeys {
    endpoints: Vec<Vec<Secret>>,
}

/// A variable that should hold a key and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingKey {
    /// The variable.
    pub variable: String,
    /// The endpoint that needs it.
    pub endpoint: String,
    /// Whether it holds something that cannot be a key, or nothing.
    pub is_set: bool,
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MissingKey {
            variable,
            endpoint,
            is_set,
        } = self;
        let state = if *is_set {
            "holds no key: it is empty, or has characters that cannot stand in a header"
        } else {
            "is not set"
        };
        write!(f, "the variable {variable} {state}; endpoint `{endpoint}` needs it")
    }
}

impl std::error::Error for MissingKey {}

impl ProviderKeys {
    /// The keys that `policy` names, from where `look_up` finds variables.
    ///
    /// # Errors
    ///
    /// Every variable that holds none.
    pub fn read(policy: &Policy, look_up: impl Fn(&str) -> Option<String>) -> Result<ProviderKeys, Vec<MissingKey>> {
        let mut missing = Vec::new();
        let mut endpoints = Vec::with_capacity(policy.endpoints.len());
        for endpoint in &policy.endpoints {
            let mut keys = Vec::with_capacity(endpoint.api_key_env.len());
            for variable in &endpoint.api_key_env {
                let text = look_up(variable);
                match text.as_deref().and_then(Secret::new) {
                    Some(key) => keys.push(key),
                    None => missing.push(MissingKey {
                        variable: variable.clone(),
                        endpoint: endpoint.name.clone(),
                        is_set: text.is_some(),
                    }),
                }
            }
            endpoints.push(keys);
        }
        if missing.is_empty() {
            Ok(ProviderKeys { endpoints })
        } else {
            Err(missing)
        }
    }

    /// The `key` of `endpoint`. Nothing if it needs none.
    #[must_use]
    pub fn at(&self, endpoint: EndpointId, key: KeyId) -> Option<&Secret> {
        self.endpoints[endpoint.index()].get(key.index())
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::policy::Endpoint;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_is_the_same_in_every_header() {
        let key = Some(digest(b"sk-1"));
        let shows = [
            &[("authorization", "Bearer sk-1")][..],
            &[("authorization", "bearer  sk-1 ")],
            &[("x-api-key", "sk-1")],
            &[("authorization", "Bearer sk-1"), ("x-api-key", "sk-1")],
        ];
        for lines in shows {
            assert_eq!(shown(&headers(lines)), key, "{lines:?}");
        }
        let unclear = [
            &[][..],
            &[("authorization", "Basic c2stMQ==")],
            &[("authorization", "Bearer ")],
            &[("authorization", "sk-1")],
            &[("authorization", "Bearer sk-1"), ("x-api-key", "sk-2")],
            &[("authorization", "Bearer sk-1"), ("authorization", "Bearer sk-2")],
            &[("x-api-key", "sk-2"), ("x-api-key", "sk-1")],
        ];
        for lines in unclear {
            assert_eq!(shown(&headers(lines)), None, "{lines:?}");
        }
    }

    fn policy(keys: &[&[&str]]) -> Policy {
        let text = r#"
            [[pool]]
            name = "all"
            [[pool.endpoint]]
            name = "alpha"
            [[route]]
            name = "all"
            pools = ["all"]
        "#;
        let (mut policy, _) = tollgate_core::policy::file::read("policy.toml", text).expect("a policy");
        let plain = policy.endpoints[0].clone();
        let of = |(at, keys): (usize, &&[&str])| Endpoint {
            name: format!("endpoint-{at}"),
            api_key_env: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..plain.clone()
        };
        policy.endpoints = keys.iter().enumerate().map(of).collect();
        policy
    }

    #[test]
    fn an_attempt_shows_the_key_it_is_told() {
        let keys = ProviderKeys::read(&policy(&[&[], &["A"], &["A", "B", "C"]]), |name| {
            Some(format!("key-{name}"))
        });
        let keys = keys.expect("every variable is set");
        let shown = |at, key| keys.at(EndpointId::at(at), KeyId(key)).map(Secret::bearer);
        assert_eq!(shown(0, 0), None);
        assert_eq!(shown(1, 0).expect("it has one"), "Bearer key-A");
        for (key, expected) in ["Bearer key-A", "Bearer key-B", "Bearer key-C"].iter().enumerate() {
            let key = u8::try_from(key).expect("a few");
            assert_eq!(shown(2, key).expect("it has three"), expected);
        }
    }

    #[test]
    fn every_missing_key_is_named() {
        let policy = policy(&[&["A", "EMPTY"], &["NONE"]]);
        let keys = ProviderKeys::read(&policy, |name| match name {
            "A" => Some("key".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            _ => None,
        });
        let missing: Vec<String> = keys.expect_err("two").iter().map(MissingKey::to_string).collect();
        assert_eq!(
            missing,
            [
                "the variable EMPTY holds no key: it is empty, or has characters that cannot stand in a header; \
                 endpoint `endpoint-0` needs it",
                "the variable NONE is not set; endpoint `endpoint-1` needs it",
            ]
        );
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("sk-very-secret").expect("a key");
        let keys = ProviderKeys::read(&policy(&[&["A"]]), |_| Some("sk-very-secret".to_owned()));
        for text in [
            format!("{secret:?}"),
            format!("{:?}", secret.bearer()),
            format!("{keys:?}"),
        ] {
            assert!(!text.contains("very"), "{text}");
        }
        assert_eq!(Secret::new("two\nlines"), None);
        assert_eq!(Secret::new(""), None);
    }
}
