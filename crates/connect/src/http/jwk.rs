//! Private RSA keys as JSON (RFC 7517; RFC 7518, section 6.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use simple_asn1::{ASN1Block, BigInt, BigUint};
use zeroize::Zeroizing;

use bwdc_core::Secret;

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

/// Key with its id.
pub(super) struct Key {
    /// RSAPrivateKey (RFC 8017, appendix A.1.2).
    pub(super) der: Zeroizing<Vec<u8>>,
    pub(super) id: Option<String>,
}

/// Whether this is JSON rather than PEM.
pub(super) fn is_one(text: &Secret) -> bool {
    text.reveal().trim_start().starts_with('{')
}

/// Reads the key in a JWK.
pub(super) fn parse(text: &Secret) -> Result<Key, String> {
    // The library's message may contain a value.
    let jwk: Jwk = serde_json::from_str(text.reveal())
        .map_err(|error| format!("it is not a JWK of a private RSA key (line {})", error.line()))?;
    if jwk.kty != "RSA" {
        // The type may be any text, even a part of the key.
        let known = ["EC", "OKP", "oct"].into_iter().find(|kind| jwk.kty == *kind);
        return Err(match known {
            Some(kind) => format!("it is a key of the type {kind}, but an RSA key is needed"),
            None => "it is a key of an unknown type, but an RSA key is needed".to_owned(),
        });
    }
    let der = jwk.to_der().ok_or("its numbers are not base64url")?;
    Ok(Key { der, id: jwk.kid })
}

impl Jwk {
    fn to_der(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Self { n, e, d, p, q, dp, dq, qi, .. } = self;
        let mut numbers = vec![ASN1Block::Integer(0, BigInt::from(0))];
        for text in [n, e, d, p, q, dp, dq, qi] {
            let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?);
            numbers.push(ASN1Block::Integer(0, BigInt::from(BigUint::from_bytes_be(&bytes))));
        }
        simple_asn1::to_der(&ASN1Block::Sequence(0, numbers)).ok().map(Zeroizing::new)
    }
}
