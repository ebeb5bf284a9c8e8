//! Streams of bytes to endpoints: TCP and TLS, and in tests whatever the test puts in their place.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use http::uri::Scheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use crate::provider::Target;
use crate::settings::Upstream;

/// A stream of bytes in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire for T {}

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Address {
    /// Where `target` listens.
    #[must_use]
    pub fn of(target: &Target) -> Address {
        let host = target.authority().host();
        Address {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: target.port(),
            tls: *target.scheme() == Scheme::HTTPS,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What is spoken on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many requests at once.
    Http2,
}

/// A stream that stands.
pub struct Connected {
    /// The stream.
    pub wire: Box<dyn Wire>,
    /// What is spoken on it.
    pub protocol: Protocol,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// A stream on its way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Connected>> + Send>>;

/// Who makes streams of bytes.
///
/// Nothing here knows a timeout: a stream that takes too long to stand is dropped by whoever asked for it.
pub trait Connect: Send + Sync + 'static {
    /// A new stream to `address`.
    fn connect(&self, address: &Address) -> Connecting;
}

/// Streams over TCP, with TLS where the address says so.
///
/// Names are resolved anew for every connection. Where a name has addresses of both families both are tried at once,
/// those of one family one after the other.
pub struct Tcp {
    tls: TlsConnector,
    /// Addresses, as `host:port`, that speak HTTP/2 without TLS.
    prior_knowledge: Vec<String>,
}

impl Tcp {
    /// Streams as `settings` say.
    ///
    /// # Errors
    ///
    /// If the file of certificates cannot be read, or holds none.
    pub fn new(settings: &Upstream) -> io::Result<Tcp> {
        let mut roots = RootCertStore::empty();
        match &settings.ca_file {
            Some(path) => add_roots(&mut roots, path)?,
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if settings.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Tcp {
            tls: TlsConnector::from(Arc::new(config)),
            prior_knowledge: settings.http2_prior_knowledge.clone(),
        })
    }
}

impl Connect for Tcp {
    fn connect(&self, address: &Address) -> Connecting {
        let address = address.clone();
        if address.tls {
            let tls = self.tls.clone();
            return Box::pin(secure(tls, address));
        }
        let protocol = if self.prior_knowledge.contains(&address.to_string()) {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        Box::pin(async move {
            let wire = Box::new(dial(&address).await?);
            Ok(Connected { wire, protocol })
        })
    }
}

async fn secure(tls: TlsConnector, address: Address) -> io::Result<Connected> {
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let stream = tls.connect(name, dial(&address).await?).await?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    };
    Ok(Connected {
        wire: Box::new(stream),
        protocol,
    })
}

async fn dial(address: &Address) -> io::Result<TcpStream> {
    let all = lookup_host((address.host.as_str(), address.port)).await?;
    let (six, four): (Vec<_>, Vec<_>) = all.partition(SocketAddr::is_ipv6);
    let stream = match (six.is_empty(), four.is_empty()) {
        (_, true) => dial_each(&six).await?,
        (true, false) => dial_each(&four).await?,
        (false, false) => {
            let (mut six, mut four) = (Box::pin(dial_each(&six)), Box::pin(dial_each(&four)));
            tokio::select! {
                first = &mut six => match first {
                    Ok(stream) => stream,
                    Err(_) => four.await?,
                },
                first = &mut four => match first {
                    Ok(stream) => stream,
                    Err(_) => six.await?,
                },
            }
        }
    };
    // A request is written at once, and its answer waited for.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The first of `addresses` that can be reached.
async fn dial_each(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> io::Result<()> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(io::Error::other)?;
    let mut found = false;
    for certificate in certificates {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        let message = format!("{} holds no certificate in PEM", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::of(&Target::new(url).expect("a URL"))
    }

    #[test]
    fn urls_name_addresses() {
        let host = |host: &str, port, tls| Address {
            host: host.to_owned(),
            port,
            tls,
        };
        assert_eq!(
            address("https://api.example.com/v1"),
            host("api.example.com", 443, true)
        );
        assert_eq!(address("http://127.0.0.1:8080/a/v1"), host("127.0.0.1", 8080, false));
        assert_eq!(address("http://[::1]:9/v1"), host("::1", 9, false));
        let six = address("http://[::1]:9/v1");
        assert_eq!(six.to_string(), "[::1]:9");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let with = |path: &Path| {
            let settings = Upstream {
                ca_file: Some(path.to_owned()),
                ..Upstream::default()
            };
            Tcp::new(&settings)
        };
        let error = with(file.path()).err().expect("refused");
        assert!(error.to_string().contains("no certificate"), "{error}");
        assert!(with(Path::new("no/such/file.pem")).is_err());
        assert!(Tcp::new(&Upstream::default()).is_ok());
    }
}
