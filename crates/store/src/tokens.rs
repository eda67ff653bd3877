//! The access token of a key that is given to every run: kept in memory, never in a file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bwdc_core::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The access token of the last login, kept from one run of a daemon to the next. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct TokenMemory(Arc<Mutex<Option<HeldToken>>>);

#[derive(Clone, Debug)]
struct HeldToken {
    client_id: String,
    token: Secret,
    expires_at: Timestamp,
}

/// Token on its way from one process to another. It has no `Debug`: it shows the token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptToken {
    client_id: String,
    token: String,
    expires_at: Timestamp,
}

impl TokenMemory {
    /// With the token that another process has kept.
    pub fn with(kept: Option<KeptToken>) -> Self {
        let known = kept.map(|KeptToken { client_id, token, expires_at }| HeldToken {
            client_id,
            token: Secret::from(token),
            expires_at,
        });
        Self(Arc::new(Mutex::new(known)))
    }

    /// Token that another process may be given.
    pub fn kept(&self) -> Option<KeptToken> {
        self.lock().as_ref().map(|HeldToken { client_id, token, expires_at }| KeptToken {
            client_id: client_id.clone(),
            token: token.reveal().to_owned(),
            expires_at: *expires_at,
        })
    }

    /// Token of this client id, and when it expires.
    pub fn of(&self, client_id: &str) -> Option<(Secret, Timestamp)> {
        let known = self.lock().clone().filter(|kept| kept.client_id == client_id);
        known.map(|HeldToken { token, expires_at, .. }| (token, expires_at))
    }

    /// Keeps a token in the place of the one before.
    pub fn keep(&self, client_id: &str, token: Secret, expires_at: Timestamp) {
        *self.lock() = Some(HeldToken { client_id: client_id.to_owned(), token, expires_at });
    }

    /// Forgets the token.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HeldToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
