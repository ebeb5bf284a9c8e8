//! The certificate that clients are shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::settings::Tls;

/// The certificate that clients are shown; it can be replaced while clients are served.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Tls,
    config: RwLock<Arc<ServerConfig>>,
}

/// A file of no use.
#[derive(Debug)]
pub struct BadCertificate {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub why: String,
}

impl Certificate {
    /// Reads the files that `settings` name.
    pub(super) fn read(files: &Tls) -> Result<Certificate, BadCertificate> {
        Ok(Certificate {
            config: RwLock::new(Arc::new(read(files)?)),
            files: files.clone(),
        })
    }

    /// Reads the files again. If they are of no use, the old certificate stays.
    pub(super) fn renew(&self) -> Result<(), BadCertificate> {
        let config = Arc::new(read(&self.files)?);
        // Only whole values are ever put there.
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Who greets a client.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }
}

fn read(files: &Tls) -> Result<ServerConfig, BadCertificate> {
    let bad = |file: &Path, why: &dyn fmt::Display| BadCertificate {
        file: file.to_owned(),
        why: why.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| bad(&files.cert, &error))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&files.cert, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad(&files.key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is of no use for TLS: {}\n  = help: `tls.cert` names a chain of certificates in PEM, the server's own \
             first, and `tls.key` its private key",
            self.file.display(),
            self.why
        )
    }
}

impl std::error::Error for BadCertificate {}
