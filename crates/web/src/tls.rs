//! TLS with a certificate from files, which are read again when they change: it is renewed by others.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bwdc_core::error::{Error, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

use crate::CertificateFiles;

/// Certificate and key as they are now.
pub(crate) struct Certificate {
    files: CertificateFiles,
    current: Mutex<(Stamp, TlsAcceptor)>,
}

type Stamp = [Option<SystemTime>; 2];

impl Certificate {
    pub(crate) fn load(files: CertificateFiles) -> Result<Self> {
        let current = Mutex::new((stamp(&files), acceptor(&files)?));
        Ok(Self { files, current })
    }

    /// For the next connection. A new certificate that cannot be used changes nothing.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.files);
        if now != current.0 {
            current.0 = now;
            match acceptor(&self.files) {
                Ok(renewed) => current.1 = renewed,
                Err(error) => tracing::error!(
                    "The new certificate of the page is not used, and the old one stays: {error}"
                ),
            }
        }
        current.1.clone()
    }
}

fn stamp(CertificateFiles { chain, key }: &CertificateFiles) -> Stamp {
    [chain, key].map(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn acceptor(CertificateFiles { chain, key }: &CertificateFiles) -> Result<TlsAcceptor> {
    let attempted = |path: &Path, error: &dyn std::fmt::Display| {
        Error::new(format!("Reading {} for the page: {error}", path.display()))
            .hint("web.certificate is the certificate and those that signed it in PEM, web.key its key without a password.")
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| attempted(chain, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| attempted(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|error| attempted(chain, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
