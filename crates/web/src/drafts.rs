//! Settings that somebody has typed and not saved yet. They stay here, so that no page repeats a secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bwdc_core::Secret;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Drafts at once.
const MOST: usize = 64;
/// After that, a draft is forgotten.
const LASTS: Duration = Duration::from_secs(3600);

/// Values by the names of settings; an empty one clears.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) values: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, Secret)>,
    /// Secrets that are no longer to be stored.
    pub(crate) cleared: Vec<String>,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.secrets.is_empty() && self.cleared.is_empty()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|(known, _)| known == name).map(|(_, secret)| secret)
    }

    /// Names of the settings that it is about.
    pub(crate) fn names(&self) -> Vec<&str> {
        let secrets = self.secrets.iter().map(|(name, _)| name).chain(&self.cleared);
        self.values.iter().map(|(name, _)| name).chain(secrets).map(String::as_str).collect()
    }

    pub(crate) fn is_cleared(&self, name: &str) -> bool {
        self.cleared.iter().any(|known| known == name)
    }

    /// For a command, on stdin.
    pub(crate) fn written(&self) -> Secret {
        let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let values = self.values.iter().map(|(name, value)| (name.clone(), text(value)));
        let mut all: Map<String, Value> = values.collect();
        all.extend(self.secrets.iter().map(|(name, secret)| (name.clone(), secret.reveal().into())));
        all.extend(self.cleared.iter().map(|name| (name.clone(), Value::Null)));
        let written = Zeroizing::new(serde_json::to_string(&all).unwrap_or_default());
        Secret::from(written.as_str())
    }
}

/// Who drafts what: the session, and the page.
type Key = ([u8; 32], String);

#[derive(Default)]
pub(crate) struct Drafts(Mutex<HashMap<Key, (Instant, Arc<Draft>)>>);

impl Drafts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Instant, Arc<Draft>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep(&self, session: [u8; 32], page: &str, draft: Draft) {
        let now = Instant::now();
        let mut all = self.lock();
        all.retain(|_, (at, _)| now.duration_since(*at) < LASTS);
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone())
        {
            all.remove(&oldest);
        }
        all.insert((session, page.to_owned()), (now, Arc::new(draft)));
    }

    pub(crate) fn get(&self, session: [u8; 32], page: &str) -> Option<Arc<Draft>> {
        self.lock().get(&(session, page.to_owned())).map(|(_, draft)| Arc::clone(draft))
    }

    pub(crate) fn forget(&self, session: [u8; 32], page: &str) {
        self.lock().remove(&(session, page.to_owned()));
    }
}
