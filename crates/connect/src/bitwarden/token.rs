//! Access tokens and the API keys they are made from.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use bwdc_core::Secret;

/// Remaining time below which a token is renewed.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// API key of an organization.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `organization.<id>`
    pub client_id: String,
    /// Key.
    pub client_secret: Secret,
}

/// Token that opens the API for an hour.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    expires_at: Timestamp,
}

impl Token {
    /// Token just issued.
    pub(super) fn issued(secret: String, lifetime: Duration) -> Self {
        let expires_at = Timestamp::now().checked_add(lifetime).unwrap_or(Timestamp::MAX);
        Self { secret: secret.into(), expires_at }
    }

    /// Token kept from an earlier run. It contains its expiry time (RFC 7519, `exp`); one without it counts as
    /// expired.
    pub fn from_stored(token: &str) -> Self {
        Self { secret: token.into(), expires_at: expiry(token).unwrap_or(Timestamp::UNIX_EPOCH) }
    }

    /// Token kept from an earlier run, with its recorded data.
    pub fn kept(token: String, expires_at: Timestamp) -> Self {
        Self { secret: token.into(), expires_at }
    }

    /// Time at which it expires.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether more than five minutes are left.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires_at.duration_since(now) > MARGIN
    }

    /// Value to store.
    pub fn reveal(&self) -> &str {
        self.secret.reveal()
    }
}

fn expiry(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stored_token_contains_its_expiry_time() {
        let exp = 1_700_000_000;
        let payload = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
        let token = Token::from_stored(&format!("header.{payload}.signature"));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(token.is_fresh(at(exp - 301)));
        assert!(!token.is_fresh(at(exp - 300)));
        for odd in ["", "opaque", "a.b.c", "a.e30.c"] {
            assert!(!Token::from_stored(odd).is_fresh(at(0)), "{odd}");
        }
        assert!(!format!("{token:?}").contains("signature"));
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_stored_tokens(payload in damaged_text([r#"{"exp":1700000000}"#, r#"{"nbf":1,"exp":253402207200,"iss":"x"}"#]), whole in damaged_text(["e30.e30.c"])) {
            for text in [format!("header.{}.signature", URL_SAFE_NO_PAD.encode(&payload)), whole] {
                let token = Token::from_stored(&text);
                let _ = token.is_fresh(Timestamp::now());
                prop_assert_eq!(token.reveal(), text.as_str());
                prop_assert_eq!(format!("{token:?}").matches("[secret]").count(), 1);
            }
        }
    }
}
