//! Masking of secrets in answers. A server may repeat in an error what was sent to it, and an error is shown, mailed and logged:
//! so every secret that is sent is recorded here, and is masked wherever it comes back.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Length below which secrets are not masked: they would turn up in unrelated words, and can be guessed in any case.
const SHORTEST: usize = 6;

const MASK: &str = "[secret]";

/// Secrets sent by this process, in the forms in which they may come back.
static SENT: Mutex<Vec<Zeroizing<String>>> = Mutex::new(Vec::new());

/// Records a secret that is sent.
pub(crate) fn sent(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut known = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|one| one.as_str() == secret) {
        known.extend(forms(secret).into_iter().map(Zeroizing::new));
    }
}

/// Forms of a secret: plain, in JSON, in a form, in a URL, in HTML, in base64.
fn forms(secret: &str) -> [String; 6] {
    let json = serde_json::Value::from(secret).to_string();
    let url = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    [
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        url,
        html,
        STANDARD.encode(secret),
    ]
}

/// Text without the secrets that this process has sent.
pub fn masked(text: &str) -> Cow<'_, str> {
    let known = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    // Longer ones first, because one may be a part of another.
    let mut found: Vec<&str> =
        known.iter().map(|secret| secret.as_str()).filter(|secret| text.contains(secret)).collect();
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.into_iter().fold(Cow::Borrowed(text), |text, secret| Cow::Owned(text.replace(secret, MASK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_secrets_are_masked_in_every_form() {
        let secret = "S3cr\"t & <more>/+";
        sent(secret);
        sent("short");
        for form in forms(secret) {
            assert_eq!(masked(&format!("client {form} is wrong")), "client [secret] is wrong", "{form}");
        }
        assert_eq!(masked("a short text"), "a short text");
    }
}
