//! Webhooks: an alert as the body of an HTTP request.

use std::fmt::Write as _;

use bwdc_core::Secret;
use bwdc_core::alert::Alert;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};
use ring::hmac;
use serde_json::Value;

use super::presets::{Authorization, Preset};
use super::{PATIENCE, SecretUrl, sent};
use crate::http::{HttpRequest, Network, Repeat};
use crate::{Error, ErrorKind, Result, mask};

/// Header with the signature of the body.
pub const SIGNATURE_HEADER: &str = "x-bwdc-signature";

/// Webhook, understood.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Destination.
    pub url: SecretUrl,
    /// Form of the body.
    pub preset: Preset,
    /// Key of the receiver: PagerDuty's routing key, Opsgenie's API key, ntfy's access token.
    pub key: Option<Secret>,
    /// Key by which the body is signed.
    pub hmac_key: Option<Secret>,
}

/// Signature of a body: `sha256=`, then the HMAC-SHA256 (RFC 2104) in hexadecimal digits.
pub fn signature(key: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Webhook {
    pub(super) async fn tell(&self, attempted: &str, alert: &Alert, network: &Network) -> Result<String> {
        sent(attempted, &self.request(attempted, alert)?, network).await
    }

    fn request(&self, attempted: &str, alert: &Alert) -> Result<HttpRequest> {
        let key = self.key.as_ref().map(Secret::reveal);
        let (url, body) = self.preset.made(self.url.reveal(), alert, key);
        let body = body.to_string();
        Ok(HttpRequest {
            method: Method::POST,
            url,
            headers: self.headers(attempted, alert, &body)?,
            body: Some(body.into()),
            timeout: PATIENCE,
            // One that comes twice has the same id.
            repeat: Repeat::Always,
        })
    }

    fn headers(&self, attempted: &str, alert: &Alert, body: &str) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("bwdc"));
        let invalid = |_| {
            Error::new(ErrorKind::Configuration, attempted, "the key has characters that no header takes")
        };
        let value = |text: &str| HeaderValue::from_str(text).map_err(invalid);
        if let Some(key) = &self.key {
            mask::sent(key.reveal());
            if let Some(authorization) = self.authorization(key.reveal()) {
                let mut secret = value(&authorization)?;
                secret.set_sensitive(true);
                headers.insert(AUTHORIZATION, secret);
            }
        }
        if let Some(key) = &self.hmac_key {
            headers
                .insert(HeaderName::from_static(SIGNATURE_HEADER), value(&signature(key, body.as_bytes()))?);
        }
        headers.insert(HeaderName::from_static("x-bwdc-event"), HeaderValue::from_static(alert.event.word()));
        Ok(headers)
    }

    fn authorization(&self, key: &str) -> Option<String> {
        match self.preset.authorization() {
            Authorization::Bearer => Some(format!("Bearer {key}")),
            Authorization::GenieKey => Some(format!("GenieKey {key}")),
            Authorization::InBody => None,
        }
    }
}

impl Preset {
    /// Destination and body.
    fn made(self, url: &Url, alert: &Alert, key: Option<&str>) -> (Url, Value) {
        (self.destination(url, alert), self.body(url, alert, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn bodies_are_signed() {
        assert_eq!(
            signature(&"Jefe".into(), b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
