//! `data.json`: settings and memory of one instance, in the format of the existing connector (state version 8).
//!
//! Keys that are not known here are kept as they are, in their order. Every change reads the file again under a lock
//! and replaces it in one step, so that neither a crash nor a second process ever loses a setting.

mod file;
pub(crate) mod imported;
mod in_place;
mod lock;
mod migrate;
mod ownership;
pub(crate) mod people;
mod temporary;
mod text;

use serde_json::{Map, Value};
use zeroize::Zeroize;

pub(crate) use self::file::{
    DataFile, can_write, read_regular, read_text, too_open, write_atomically as replace_private,
};
pub(crate) use self::in_place::is_mounted;
pub(crate) use self::lock::RunLock;

/// The version of the format.
pub(crate) const VERSION: u64 = 8;

/// Top-level keys.
pub(crate) mod key {
    pub(crate) const STATE_VERSION: &str = "stateVersion";
    pub(crate) const DIRECTORY_TYPE: &str = "directoryType";
    pub(crate) const ORGANIZATION_ID: &str = "organizationId";
    pub(crate) const ENTITY_ID: &str = "entityId";
    pub(crate) const LAST_SYNC_HASH: &str = "lastSyncHash";
    pub(crate) const USER_DELTA: &str = "userDeltaToken";
    pub(crate) const GROUP_DELTA: &str = "groupDeltaToken";
    pub(crate) const LAST_USER_SYNC: &str = "lastUserSync";
    pub(crate) const LAST_GROUP_SYNC: &str = "lastGroupSync";
    /// Ours: since when an import may be under way on the server.
    pub(crate) const IMPORT_BEGUN: &str = "importBegun";
    pub(crate) const URLS: &str = "environmentUrls";
    pub(crate) const APP_ID: &str = "appId";
    pub(crate) const SYNC: &str = "sync";
    /// Ours: the `bwdc.toml` by which this folder was last synced together with others.
    pub(crate) const MERGED_BY: &str = "mergedBy";
    /// Ours: where secrets are.
    pub(crate) const SECRETS: &str = "secrets";
    /// Ours: files with one secret each, by the secret's name.
    pub(crate) const SECRET_FILES: &str = "secretFiles";
    /// Ours: commands that print secrets, by the secret's name.
    pub(crate) const SECRET_COMMANDS: &str = "secretCommands";
    pub(crate) const ACCESS_TOKEN: &str = "accessToken";
    pub(crate) const REFRESH_TOKEN: &str = "refreshToken";
    pub(crate) const CLIENT_ID: &str = "apiKeyClientId";
    pub(crate) const CLIENT_SECRET: &str = "apiKeyClientSecret";
    pub(crate) const TWO_FACTOR_TOKEN: &str = "twoFactorToken";
}

/// The content of `data.json`.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Data(Map<String, Value>);

impl Data {
    /// A text that is there and not blank.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A section, empty if it is absent or something else.
    pub(crate) fn section(&self, key: &str) -> Section<'_> {
        Section(self.0.get(key).and_then(Value::as_object))
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets one key of a section, which comes into being with it.
    pub(crate) fn set_in(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let slot = self.0.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Some(map) = slot.as_object_mut() {
            map.insert(key.to_owned(), value.into());
        }
    }

    /// Takes a key out; the others keep their order.
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.shift_remove(key);
    }

    /// Takes a key out of a section, if there is one.
    pub(crate) fn remove_in(&mut self, section: &str, key: &str) {
        if let Some(map) = self.0.get_mut(section).and_then(Value::as_object_mut) {
            map.shift_remove(key);
        }
    }

    /// Forgets what makes the next read or import shorter. The digest is kept where the existing connector keeps it.
    pub(crate) fn forget_cursors(&mut self) {
        for key in [key::USER_DELTA, key::GROUP_DELTA, key::LAST_GROUP_SYNC, key::LAST_USER_SYNC] {
            self.set(key, Value::Null);
        }
    }

    fn is_new(&self) -> bool {
        !self.0.contains_key(key::STATE_VERSION)
    }
}

/// Any of its texts may be a secret.
impl Drop for Data {
    fn drop(&mut self) {
        self.0.values_mut().for_each(zero);
    }
}

fn zero(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(zero),
        Value::Object(map) => map.values_mut().for_each(zero),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl std::fmt::Debug for Data {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One section of `data.json`.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a>(Option<&'a Map<String, Value>>);

impl<'a> Section<'a> {
    pub(crate) fn value(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key).filter(|value| !value.is_null())
    }
}
