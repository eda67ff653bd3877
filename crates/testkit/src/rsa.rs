//! RSA keys and certificates for logins that sign. Made by `openssl`, because ring cannot make any.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, date_time_ymd};

/// New key of 2,048 bits.
#[derive(Clone, Debug)]
pub struct RsaKey {
    /// Private key, in PKCS#8 and PEM format.
    pub private: String,
    /// Public half, in PEM format.
    pub public: String,
}

impl RsaKey {
    /// Makes one.
    pub fn make() -> Self {
        let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let private = String::from_utf8(made.stdout).unwrap();
        let public = KeyPair::from_pem_and_sign_algo(&private, &PKCS_RSA_SHA256).unwrap().public_key_pem();
        Self { private, public }
    }

    /// File with a self-signed certificate for the key, valid until the end of that year, and the key.
    pub fn certified(&self, folder: &Path, last_year: i32) -> PathBuf {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "reader");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::from_pem_and_sign_algo(&self.private, &PKCS_RSA_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let path = folder.join(format!("reader-until-{last_year}.pem"));
        fs::write(&path, format!("{certificate}{}", self.private)).unwrap();
        path
    }
}

/// First certificate of a PEM file as bytes, as it is uploaded.
pub fn der(path: &Path) -> Vec<u8> {
    let made = Command::new("openssl").args(["x509", "-outform", "der", "-in"]).arg(path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}
