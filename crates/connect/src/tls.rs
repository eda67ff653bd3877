//! Trust: certificates to accept, and certificates to present. One place for LDAP and HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use crate::{Error, ErrorKind, Result};

/// Ends of the certificates that servers showed in this process, by the name of the server.
static SEEN: Mutex<BTreeMap<String, i64>> = Mutex::new(BTreeMap::new());

/// Ends of the chains that servers showed in this process, in seconds since 1970: of each chain the earliest.
pub fn seen() -> Vec<(String, i64)> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.iter().map(|(name, ends)| (name.clone(), *ends)).collect()
}

/// Notes the end of an accepted chain.
fn take_note(name: &ServerName<'_>, chain: &mut dyn Iterator<Item = &CertificateDer<'_>>) {
    let ends = chain.filter_map(end_of).min();
    let name = match name {
        ServerName::DnsName(name) => name.as_ref().to_owned(),
        ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
        _ => return,
    };
    if let Some(ends) = ends {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(name, ends);
    }
}

/// End of a certificate in seconds since 1970.
fn end_of(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// Purpose of a PEM file with certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFile {
    /// Authorities to trust: it is of use until the last of them ends.
    Authorities,
    /// A certificate of our own, then those that signed it: it is of use until the first ends.
    Own,
}

/// Time when a file's certificates end, in seconds since 1970, as far as it can be read.
pub fn end_of_file(path: &Path, purpose: CertificateFile) -> Option<i64> {
    let ends = certificates(path).ok()?;
    let ends = ends.iter().filter_map(end_of);
    match purpose {
        CertificateFile::Authorities => ends.max(),
        CertificateFile::Own => ends.min(),
    }
}

/// Cryptography of all connections.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads the certificates of a PEM file: at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let attempted = || format!("Reading the certificates in {}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| unreadable(attempted(), &error))?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Configuration, attempted(), "the file contains no PEM certificate")
            .hint("It should contain lines such as -----BEGIN CERTIFICATE-----; convert a DER file with `openssl x509 -inform der`."));
    }
    Ok(found)
}

/// Reads the private key of a PEM file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unreadable(format!("Reading the private key in {}", path.display()), &error))
}

fn unreadable(attempted: String, error: &rustls::pki_types::pem::Error) -> Error {
    use rustls::pki_types::pem::Error as Pem;
    match error {
        Pem::Io(error) => Error::new(ErrorKind::Configuration, attempted, error)
            .hint("Check that the path is right and that the user who runs bwdc may read the file."),
        // The library's own message contains the file's content, which may be a key.
        Pem::MissingSectionEnd { .. } => not_pem(attempted, "there is a BEGIN line without its END line"),
        Pem::IllegalSectionStart { .. } => not_pem(attempted, "there is text after a BEGIN line"),
        Pem::Base64Decode(_) => not_pem(attempted, "the text between BEGIN and END is not base64"),
        Pem::NoItemsFound => not_pem(attempted, "there is none in the file"),
        _ => not_pem(attempted, "the file cannot be read as PEM"),
    }
}

fn not_pem(attempted: String, reason: &str) -> Error {
    Error::new(ErrorKind::Configuration, attempted, reason)
        .hint("The file must be in PEM format, each line on its own, without a passphrase.")
}

/// Client certificate and its key, as paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Certificate, with the chain to its CA.
    pub certificate: PathBuf,
    /// Key, without a passphrase.
    pub key: PathBuf,
}

/// Certificates to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities of the operating system.
    System,
    /// The authorities of the operating system, and the certificates of this PEM file.
    SystemAndFile(PathBuf),
    /// Only the certificates of this PEM file: authorities, or the server's own certificate.
    OnlyFile(PathBuf),
    /// Any. Whoever sits in between can read and change the traffic.
    Anybody,
}

/// TLS settings of one connection.
pub fn client_config(trust: &Trust, identity: Option<&ClientIdentity>) -> Result<rustls::ClientConfig> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Tls, "Setting up TLS", error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(trust)?);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    builder.with_client_auth_cert(certificates(&identity.certificate)?, private_key(&identity.key)?).map_err(
        |error| {
            let files = format!("{} and {}", identity.certificate.display(), identity.key.display());
            Error::new(
                ErrorKind::Configuration,
                format!("Using the client certificate and key in {files}"),
                error,
            )
            .hint("Check that the key belongs to the certificate.")
        },
    )
}

fn verifier(trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>> {
    let (authorities, pinned) = match trust {
        Trust::Anybody => return Ok(Arc::new(AcceptAnything(provider()))),
        Trust::System => (Authorities::System, Vec::new()),
        Trust::OnlyFile(path) => {
            let pinned = certificates(path)?;
            (Authorities::File(Arc::new(of_file(path, &pinned)?)), pinned)
        }
        Trust::SystemAndFile(path) => {
            let pinned = certificates(path)?;
            (Authorities::SystemAndFile(of_file(path, &pinned)?), pinned)
        }
    };
    Ok(Arc::new(PinOrChain { pinned, authorities, provider: provider(), chain: OnceLock::new() }))
}

/// The system's authorities, once they were needed: reading them takes longer than much of a small sync.
static SYSTEM: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);

/// Reads the system's authorities, if this process has not done so.
fn of_system() -> std::result::Result<Arc<RootCertStore>, NoAuthorities> {
    let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = &*system {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(NoAuthorities(
            found.errors.first().map_or("there are none".to_owned(), ToString::to_string),
        ));
    }
    Ok(Arc::clone(system.insert(Arc::new(roots))))
}

/// No authorities of the system, and why.
#[derive(Debug)]
struct NoAuthorities(String);

impl fmt::Display for NoAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading the system's trusted certificates: {}", self.0)
    }
}

impl std::error::Error for NoAuthorities {}

fn of_file(path: &Path, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(Error::new(
            ErrorKind::Configuration,
            format!("Trusting the certificates in {}", path.display()),
            "none of them is a usable X.509 certificate",
        ));
    }
    Ok(roots)
}

/// Advice on a TLS failure. `name_the_ca` says how to add an authority, `address` names the setting of the server's
/// name.
pub(crate) fn hint(error: &rustls::Error, name_the_ca: &str, address: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "The server's certificate has expired: have it renewed (and check this machine's clock)."
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "The server's certificate is not valid yet: check this machine's clock.".to_owned()
            }
            CertificateError::UnknownIssuer => format!(
                "The server's certificate comes from an authority that is not trusted here: {name_the_ca}."
            ),
            CertificateError::BadSignature => format!(
                "The server's certificate was signed by a different authority than the trusted one, although both may \
                have the same name: {name_the_ca}."
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("Set {address} to a name that is in the server's certificate.")
            }
            _ => "Check the server's certificate and the CA file.".to_owned(),
        },
        rustls::Error::InvalidMessage(_) => {
            format!("The port does not speak TLS: check {address} and the port.")
        }
        rustls::Error::AlertReceived(_) => {
            "The server refused our side of TLS: it may require a client certificate.".to_owned()
        }
        rustls::Error::Other(OtherError(other)) if other.is::<NoAuthorities>() => {
            format!("Install the package ca-certificates, or {name_the_ca}.")
        }
        _ => "Check the TLS settings and the certificates.".to_owned(),
    }
}

/// Accepts a certificate that leads to a trusted authority, or that is in the CA file itself: directories with a
/// self-signed certificate are common, and OpenSSL's users are told to name that very certificate as the CA, which
/// webpki refuses as `CaUsedAsEndEntity`. Name and dates are checked in both cases.
#[derive(Debug)]
struct PinOrChain {
    pinned: Vec<CertificateDer<'static>>,
    authorities: Authorities,
    provider: Arc<CryptoProvider>,
    /// Made when a server shows the first certificate that is not pinned.
    chain: OnceLock<Arc<WebPkiServerVerifier>>,
}

/// Authorities that a chain may lead to.
#[derive(Debug)]
enum Authorities {
    File(Arc<RootCertStore>),
    System,
    SystemAndFile(RootCertStore),
}

impl Authorities {
    fn read(&self) -> std::result::Result<Arc<RootCertStore>, NoAuthorities> {
        match self {
            Self::File(roots) => Ok(Arc::clone(roots)),
            Self::System => of_system(),
            Self::SystemAndFile(file) => {
                let mut roots = RootCertStore::clone(&*of_system()?);
                roots.roots.extend(file.roots.iter().cloned());
                Ok(Arc::new(roots))
            }
        }
    }
}

impl PinOrChain {
    fn chain(&self) -> std::result::Result<&WebPkiServerVerifier, rustls::Error> {
        if let Some(chain) = self.chain.get() {
            return Ok(chain);
        }
        let other = |error: Arc<dyn std::error::Error + Send + Sync>| rustls::Error::Other(OtherError(error));
        let roots = self.authorities.read().map_err(|error| other(Arc::new(error)))?;
        let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider)).build();
        let chain = chain.map_err(|error| other(Arc::new(error)))?;
        Ok(self.chain.get_or_init(|| chain))
    }

    fn verify_pinned(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|_| rustls::Error::from(CertificateError::BadEncoding))?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if seconds > parsed.validity().not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        if seconds < parsed.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for PinOrChain {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verified = if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            Self::verify_pinned(end_entity, server_name, now)
        } else {
            self.chain()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        if verified.is_ok() {
            take_note(server_name, &mut std::iter::once(end_entity).chain(intermediates));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifier for `sslAllowUnauthorized`: the administrator's explicit wish.
#[derive(Debug)]
struct AcceptAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_reported_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\\n-----END PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n",
            "-----BEGIN PRIVATE KEY-----\nc2V*cmV0\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, text).unwrap();
            for error in [private_key(&path).unwrap_err(), certificates(&path).unwrap_err()] {
                let told = error.to_string();
                assert!(told.contains("key.pem: ") && error.next_step().is_some(), "{told}");
                assert!(!told.contains("c2V") && !told.contains("99, 50, 86"), "{told}");
            }
        }
    }
}
