//! Where an endpoint is: its URL, taken apart once.

use std::fmt;

use http::Uri;
use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Before the operation, without a slash at its end.
    base: String,
    /// After it, with its question mark; else empty.
    query: String,
}

/// A URL that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadUrl;

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the URL needs http:// or https://, a host, a port of at most 65535 if it has one, and only characters that \
             may stand in a URL",
        )
    }
}

impl std::error::Error for BadUrl {}

impl Target {
    /// The endpoint at `url`, such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    ///
    /// It is no URL that can be asked.
    pub fn new(url: &str) -> Result<Target, BadUrl> {
        let (url, _) = url.split_once('#').unwrap_or((url, ""));
        let parts = url.parse::<Uri>().map_err(|_| BadUrl)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(BadUrl);
        };
        let is_known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        // A port that is none would be taken for the scheme's own, and a key sent to whoever listens there.
        let has_port = authority.host().len() < authority.as_str().len();
        let is_reached = !has_port || authority.port_u16().is_some();
        if !is_known || !is_reached || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(BadUrl);
        }
        let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
        Ok(Target {
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| BadUrl)?,
            base: path.path().trim_end_matches('/').to_owned(),
            query: path.query().map_or(String::new(), |query| format!("?{query}")),
            scheme,
            authority,
        })
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port, as they were written.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What the `Host` header says.
    #[must_use]
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The port, the scheme's own if none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        let own = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(own)
    }

    /// The path `path` beside the operations: it takes the place of a last `/v1`. The root, if it cannot stand in a URL.
    #[must_use]
    pub fn beside(&self, path: &str) -> Uri {
        let base = self.base.strip_suffix("/v1").unwrap_or(&self.base);
        format!("{base}{path}").parse().unwrap_or_default()
    }

    /// The address of `path` at this endpoint, which begins with a slash.
    ///
    /// # Panics
    ///
    /// If `path` cannot stand in a URL.
    #[must_use]
    pub fn at(&self, path: &str) -> Uri {
        let Target { base, query, .. } = self;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{base}{path}{query}"))
            .build()
            .expect("parts of a URL and a path make a URL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_before_the_query() {
        let cases = [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/embeddings"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/embeddings"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/embeddings"),
            ("http://[::1]:8000/", "http://[::1]:8000/embeddings"),
            (
                "https://x.azure.com/openai/deployments/d?api-version=2024-10-21",
                "https://x.azure.com/openai/deployments/d/embeddings?api-version=2024-10-21",
            ),
            ("https://host/v1#part", "https://host/v1/embeddings"),
        ];
        for (url, joined) in cases {
            let target = Target::new(url).expect(url);
            assert_eq!(target.at("/embeddings").to_string(), joined);
        }
        assert_eq!(Target::new("https://host/v1").expect("a URL").port(), 443);
        assert_eq!(Target::new("http://host:8080/v1").expect("a URL").port(), 8080);
    }

    #[test]
    fn health_is_asked_beside_the_operations() {
        for (url, asked) in [
            ("https://api.example.com/v1", "/health"),
            ("http://127.0.0.1:8000", "/health"),
            ("http://127.0.0.1:8000/alpha/v1/", "/alpha/health"),
            ("http://127.0.0.1:8000/alpha", "/alpha/health"),
        ] {
            assert_eq!(Target::new(url).expect(url).beside("/health"), asked);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for url in [
            "",
            "host/v1",
            "/v1",
            "ftp://host/v1",
            "https://",
            "https://user:pass@host/",
            "https://ho st/",
            "http://127.0.0.1:99999/v1",
            "http://[::1]:65536",
            "http://host:/v1",
        ] {
            assert_eq!(Target::new(url), Err(BadUrl), "{url}");
        }
    }
}
