//! Certificates for servers on loopback.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Certificate and its key as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Certificate.
    pub certificate: PathBuf,
    /// Key.
    pub key: PathBuf,
}

/// Authority with the certificates it has signed.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Certificate of the authority.
    pub ca: PathBuf,
    /// Another authority, which has signed nothing here.
    pub other_ca: PathBuf,
    /// Certificate for 127.0.0.1 and localhost.
    pub server: Pair,
    /// Certificate for them that expired in 2021.
    pub expired: Pair,
    /// Self-signed certificate for them.
    pub self_signed: Pair,
    /// The same, which says that it is an authority, as many tools make it.
    pub own_authority: Pair,
    /// Certificate for a client.
    pub client: Pair,
}

impl Certificates {
    /// Makes all of them in a folder.
    pub fn make(folder: &Path) -> Self {
        let (ca, ca_path) = authority(folder, "ca");
        let (_, other_ca) = authority(folder, "other-ca");
        let mut expired = server();
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        let mut client = CertificateParams::new(Vec::<String>::new()).unwrap();
        client.distinguished_name.push(DnType::CommonName, "reader");
        let key = KeyPair::generate().unwrap();
        let own = server().self_signed(&key).unwrap();
        let mut authority = server();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = authority.self_signed(&key).unwrap();
        Self {
            ca: ca_path,
            other_ca,
            server: signed(folder, "server", server(), &ca),
            expired: signed(folder, "expired", expired, &ca),
            own_authority: save(folder, "own-authority", &authority.pem(), &key),
            self_signed: save(folder, "self-signed", &own.pem(), &key),
            client: signed(folder, "client", client, &ca),
        }
    }
}

fn server() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn authority(folder: &Path, name: &str) -> (Issuer<'static, KeyPair>, PathBuf) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("Test authority {name}"));
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let path = save(folder, name, &pem, &key).certificate;
    (Issuer::new(params, key), path)
}

fn signed(folder: &Path, name: &str, params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    save(folder, name, &certificate.pem(), &key)
}

fn save(folder: &Path, name: &str, certificate: &str, key: &KeyPair) -> Pair {
    let pair =
        Pair { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&pair.certificate, certificate).unwrap();
    fs::write(&pair.key, key.serialize_pem()).unwrap();
    pair
}
