//! Signed assertions: a JSON Web Token (RFC 7519) with which a program logs in by its private key (RFC 7523).

use std::fmt;

pub use jsonwebtoken::{Algorithm, Header};
use jsonwebtoken::{EncodingKey, encode};
use serde::Serialize;
use zeroize::Zeroizing;

use super::jwk;
use crate::{Error, ErrorKind, Result};
use bwdc_core::Secret;

/// RSA private key.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    source: String,
    key_id: Option<String>,
}

impl fmt::Debug for Signer {
    /// Shows everything but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads a key in PEM: PKCS#8 or PKCS#1, not encrypted. `source` says where it comes from, for messages.
    pub fn from_pem(pem: &Secret, source: &str) -> Result<Self> {
        let wrong = |reason: String| {
            Error::new(ErrorKind::Configuration, format!("Reading the private key of {source}"), reason).hint(
                "It must begin with -----BEGIN PRIVATE KEY-----. Its line ends may be written as \\n. Supply all of it.",
            )
        };
        let pem = in_lines(pem).map_err(|reason| wrong(reason.to_owned()))?;
        let key = EncodingKey::from_rsa_pem(pem.as_bytes())
            .map_err(|error| wrong(format!("it is not an RSA key ({error})")))?;
        Self { key, source: source.to_owned(), key_id: None }.tried(wrong)
    }

    /// Reads a key in PEM, or a JWK with its key id.
    pub fn from_pem_or_jwk(text: &Secret, source: &str) -> Result<Self> {
        if !jwk::is_one(text) {
            return Self::from_pem(text, source);
        }
        let wrong = |reason: String| {
            Error::new(ErrorKind::Configuration, format!("Reading the private key of {source}"), reason)
                .hint("It must be an RSA key of 2,048 bits or more, with all its numbers: n, e, d, p, q, dp, dq and qi.")
        };
        let jwk::Key { der, id } = jwk::parse(text).map_err(wrong)?;
        let key = EncodingKey::from_rsa_der(&der);
        Self { key, source: source.to_owned(), key_id: id }.tried(wrong)
    }

    /// Sets the key id in the header of assertions, whatever the key itself says.
    #[must_use]
    pub fn with_key_id(self, key_id: Option<String>) -> Self {
        Self { key_id: key_id.or(self.key_id), ..self }
    }

    /// Makes the key; whether it is complete shows when it is used.
    fn tried(self, wrong: impl Fn(String) -> Error) -> Result<Self> {
        let tried = encode(&Header::new(Algorithm::RS256), &(), &self.key);
        tried.map_err(|error| wrong(error.to_string()))?;
        Ok(self)
    }

    /// Header with the algorithm, and with the key id if there is one.
    pub fn header(&self, algorithm: Algorithm) -> Header {
        Header { kid: self.key_id.clone(), ..Header::new(algorithm) }
    }

    /// Signs a compact JWT. The header must name an RSA algorithm, and may name the key or its certificate.
    pub fn sign(&self, header: &Header, claims: &impl Serialize) -> Result<Secret> {
        let attempted = || format!("Signing with the private key of {}", self.source);
        let token = encode(header, claims, &self.key);
        token.map(Secret::from).map_err(|error| Error::new(ErrorKind::Configuration, attempted(), error))
    }
}

/// Restores the line ends of PEM (RFC 7468). In JSON, variables and forms they turn into `\n` or blanks, get blanks before
/// them, and quotes are added.
fn in_lines(pem: &Secret) -> std::result::Result<Zeroizing<String>, &'static str> {
    let text = Zeroizing::new(pem.reveal().replace("\\r", ""));
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let mut blocks = text.split("-----BEGIN ").skip(1).peekable();
    blocks.peek().ok_or("it has no -----BEGIN line")?;
    // A certificate may accompany its key.
    let is_key =
        |block: &&str| block.split("-----").next().is_some_and(|label| label.ends_with("PRIVATE KEY"));
    let block = blocks.find(is_key).ok_or("it is something else, such as a certificate or a public key")?;
    let (label, rest) = block.split_once("-----").ok_or("its -----BEGIN line has no end")?;
    let (body, _) = rest.split_once("-----END ").ok_or("it has no -----END line: a part of it is missing")?;
    if label.contains("ENCRYPTED") || body.contains("ENCRYPTED") {
        return Err(
            "it is encrypted; `openssl pkcs8 -topk8 -nocrypt -in KEY` prints it without its passphrase",
        );
    }
    // Twice the size needed, so that growing leaves no part of it behind in memory.
    let mut lines = Zeroizing::new(String::with_capacity(2 * text.len() + 100));
    for part in ["-----BEGIN ", label, "-----"] {
        lines.push_str(part);
    }
    for (at, letter) in body.chars().filter(|letter| !letter.is_whitespace()).enumerate() {
        if at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    for part in ["\n-----END ", label, "-----\n"] {
        lines.push_str(part);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pem() -> String {
        bwdc_sandbox::cloud::google::PRIVATE_KEY.to_owned()
    }

    fn signer(pem: &str) -> Result<Signer> {
        Signer::from_pem(&Secret::from(pem), "example.key")
    }

    #[test]
    fn a_signature_is_verified_by_the_public_key() {
        let claims = json!({ "iss": "jane", "aud": "here", "exp": u32::MAX });
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::RS256) };
        let token = signer(&pem()).unwrap().sign(&header, &claims).unwrap();
        let key = DecodingKey::from_rsa_pem(bwdc_sandbox::cloud::google::PUBLIC_KEY.as_bytes()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["here"]);
        let read = decode::<Value>(token.reveal(), &key, &validation).unwrap();
        assert_eq!((read.claims["iss"].as_str(), read.header.kid.as_deref()), (Some("jane"), Some("k1")));
    }

    #[test]
    fn keys_are_read_in_many_forms() {
        let pem = pem();
        let blank = format!("\n   {}", pem.replace('\n', "\n   "));
        for way in [
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', " "),
            format!("\"{}\"", pem.replace('\n', "\\n")),
            blank,
            format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{pem}"),
        ] {
            assert!(signer(&way).is_ok(), "{way}");
        }
    }

    #[test]
    fn text_that_is_not_a_key_is_reported_without_being_shown() {
        let pem = pem();
        for (text, words) in [
            ("hunter2".to_owned(), "no -----BEGIN line"),
            (pem[..pem.len() / 2].to_owned(), "no -----END line"),
            (pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "-nocrypt"),
            (pem.replace("PRIVATE KEY", "CERTIFICATE"), "something else"),
            (pem.replace("MII", "MIJ"), "not an RSA key"),
            ("-----BEGIN PRIVATE KEY-----aHVudGVyMg==-----END PRIVATE KEY-----".to_owned(), "not an RSA key"),
            ("-----BEGIN RSA PRIVATE KEY-----aHVudGVyMg==-----END RSA PRIVATE KEY-----".to_owned(), ""),
            (JWK.replace("RSA", "EC"), "the type EC, but an RSA key"),
            (JWK.replace("RSA", "hunter2"), "an unknown type, but an RSA key"),
        ] {
            let error = Signer::from_pem_or_jwk(&Secret::from(text), "example.key").unwrap_err();
            let told = format!("{error} {:?}", error.next_step());
            assert!(told.contains(words) && told.contains("example.key"), "{told}");
            assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMg"), "{told}");
        }
        assert!(!format!("{:?}", signer(&pem).unwrap()).contains("MII"));
    }

    /// Key of the tests as a JWK.
    const JWK: &str = r#"{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB","qi":"AQAB"}"#;

    proptest! {
        #![proptest_config(few())]

        /// A key is complete and signs, or is refused without a part of it being shown.
        #[test]
        fn fuzz_private_keys(text in damaged_text([pem(), pem().replace('\n', "\\n"), pem().replace("PRIVATE", "RSA PRIVATE"), JWK.to_owned()])) {
            match Signer::from_pem_or_jwk(&Secret::from(text.as_str()), "example.key") {
                Ok(signer) => {
                    let signed = signer.sign(&signer.header(Algorithm::RS256), &json!({ "iss": "jane" }));
                    prop_assert!(signed.is_ok());
                }
                Err(error) => {
                    crate::fuzz::harmless(&error, 0)?;
                    let shown = format!("{error} {:?}", error.next_step());
                    for part in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() > 12) {
                        prop_assert!(!shown.contains(part), "{shown}");
                    }
                }
            }
        }
    }
}
