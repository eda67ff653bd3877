//! Passwords: hashed by Argon2id, and checked one at a time, since each check takes 19 MiB.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Shortest password.
const SHORTEST: usize = 12;
/// Longest that is looked at.
const LONGEST: usize = 1024;

/// Hash of a password. It says nothing in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

impl FromStr for PasswordHash {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = argon2::password_hash::PasswordHash::new(text).ok();
        let is_good = parsed.is_some_and(|hash| hash.algorithm.as_str() == "argon2id" && hash.hash.is_some());
        is_good
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| "write what `bwdc web password` prints".to_owned())
    }
}

/// The hash of a password, for `bwdc.toml`.
///
/// # Errors
/// It is too short, or too long.
pub fn hash(password: &Secret) -> Result<String> {
    let length = password.reveal().chars().count();
    if length < SHORTEST || password.reveal().len() > LONGEST {
        return Err(Error::new(format!("The password has {length} characters."))
            .hint(format!("Choose one of at least {SHORTEST} characters and at most {LONGEST} bytes.")));
    }
    let failed = |error: argon2::password_hash::Error| Error::new(format!("Hashing the password: {error}"));
    let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes()).map_err(failed)?;
    let hashed = algorithm().hash_password(password.reveal().as_bytes(), &salt).map_err(failed)?;
    Ok(hashed.to_string())
}

fn algorithm() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Checks passwords.
pub(crate) struct Verifier {
    one: Arc<Semaphore>,
    /// Of nobody: a name that there is not takes as long as one that there is.
    nobody: PasswordHash,
}

impl Verifier {
    pub(crate) fn new() -> Result<Self> {
        let nobody = hash(&Secret::from(crate::sessions::random()))?;
        Ok(Self { one: Arc::new(Semaphore::new(1)), nobody: PasswordHash(nobody) })
    }

    /// Whether it is the password; never for nobody.
    pub(crate) async fn is_right(&self, hash: Option<&PasswordHash>, password: Secret) -> bool {
        let is_somebody = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).clone();
        let Ok(turn) = Arc::clone(&self.one).acquire_owned().await else { return false };
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            verified(&hash, &password)
        });
        checked.await.unwrap_or(false) && is_somebody
    }
}

fn verified(PasswordHash(hash): &PasswordHash, password: &Secret) -> bool {
    if password.reveal().len() > LONGEST {
        return false;
    }
    let hash = argon2::password_hash::PasswordHash::new(hash);
    hash.is_ok_and(|hash| algorithm().verify_password(password.reveal().as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_hash_alone() {
        let text = hash(&Secret::from("correct horse battery")).unwrap();
        assert!(text.starts_with("$argon2id$") && !text.contains("horse"));
        let known: PasswordHash = text.parse().unwrap();
        let verifier = Verifier::new().unwrap();
        assert!(verifier.is_right(Some(&known), "correct horse battery".into()).await);
        assert!(!verifier.is_right(Some(&known), "correct horse".into()).await);
        assert!(!verifier.is_right(None, "correct horse battery".into()).await);
        assert!(!verifier.is_right(Some(&known), "x".repeat(2_000_000).into()).await);
        assert_eq!(format!("{known:?}"), "[hash]");
    }

    #[test]
    fn short_passwords_and_other_hashes_are_refused() {
        assert!(hash(&Secret::from("short")).unwrap_err().to_string().contains("12"));
        for wrong in
            ["", "secret", "$2y$10$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"]
        {
            assert!(wrong.parse::<PasswordHash>().is_err(), "{wrong}");
        }
    }
}
