//! `data.json`: settings and memory of one instance, in the format of the existing connector (state version 8).
//!
//! Keys that are not known here are kept as they are, in their order. Every change reads the file again under a lock
//! and replaces it in one step, so that neither a crash nor a second process ever loses a setting.

mod file;
mod migrate;
mod text;

use serde_json::{Map, Value};
use zeroize::Zeroize;

pub use self::file::{DataFile, StateKeeping};

/// The version of the format.
pub(crate) const VERSION: u64 = 8;

/// Top-level keys of `data.json`.
pub mod key {
    /// Version of the format.
    pub(crate) const STATE_VERSION: &str = "stateVersion";
    /// Kind of the directory: a number, or `file`.
    pub const DIRECTORY_TYPE: &str = "directoryType";
    /// Organization that the folder belongs to.
    pub const ORGANIZATION_ID: &str = "organizationId";
    /// Organization once more, as the existing connector has it.
    pub const ENTITY_ID: &str = "entityId";
    /// Digest of the last import.
    pub(crate) const LAST_SYNC_HASH: &str = "lastSyncHash";
    pub(crate) const LAST_FULL_READ: &str = "lastFullRead";
    pub(crate) const LAST_FULL_READ_OF: &str = "lastFullReadOf";
    /// Cursor of the last read of people.
    pub(crate) const USER_DELTA: &str = "userDeltaToken";
    /// Cursor of the last read of groups.
    pub(crate) const GROUP_DELTA: &str = "groupDeltaToken";
    /// Time of the last sync of people.
    pub(crate) const LAST_USER_SYNC: &str = "lastUserSync";
    /// Time of the last sync of groups.
    pub(crate) const LAST_GROUP_SYNC: &str = "lastGroupSync";
    /// Time since when an import may be under way on the server. Ours.
    pub(crate) const IMPORT_BEGUN: &str = "importBegun";
    /// Section with the addresses of the organization's servers.
    pub const URLS: &str = "environmentUrls";
    /// Id of this installation.
    pub(crate) const APP_ID: &str = "appId";
    /// Section with the settings of syncs.
    pub const SYNC: &str = "sync";
    /// `bwdc.toml` by which this folder was last synced together with others. Ours.
    pub(crate) const MERGED_BY: &str = "mergedBy";
    /// Section that says where secrets are. Ours.
    pub const SECRETS: &str = "secrets";
    /// Section with files of one secret each, by the secret's name. Ours.
    pub const SECRET_FILES: &str = "secretFiles";
    /// Section with the last days of secrets, by the secret's name. Ours.
    pub const SECRET_ENDS: &str = "secretEnds";
    /// Section with commands that print secrets, by the secret's name. Ours.
    pub const SECRET_COMMANDS: &str = "secretCommands";
    /// Access token of the login.
    pub const ACCESS_TOKEN: &str = "accessToken";
    /// Refresh token, which only older logins have.
    pub const REFRESH_TOKEN: &str = "refreshToken";
    /// Client id of the organization's API key.
    pub const CLIENT_ID: &str = "apiKeyClientId";
    /// Secret of the organization's API key.
    pub const CLIENT_SECRET: &str = "apiKeyClientSecret";
    /// Token of a second factor, which only older logins have.
    pub const TWO_FACTOR_TOKEN: &str = "twoFactorToken";
}

/// The content of `data.json`.
#[derive(Clone, Default, PartialEq)]
pub struct Data(Map<String, Value>);

impl Data {
    /// Text that is there and not blank.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.trim().is_empty())
    }

    /// Value that is there and not null.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Section of this name, empty if it is absent or something else.
    pub fn section(&self, key: &str) -> Section<'_> {
        Section(self.0.get(key).and_then(Value::as_object))
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets one key of a section, which comes into being with it.
    pub fn set_in(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let slot = self.0.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Some(map) = slot.as_object_mut() {
            map.insert(key.to_owned(), value.into());
        }
    }

    /// Takes a key out; the others keep their order.
    pub fn remove(&mut self, key: &str) {
        self.0.shift_remove(key);
    }

    /// Takes a key out of a section, if there is one.
    pub fn remove_in(&mut self, section: &str, key: &str) {
        if let Some(map) = self.0.get_mut(section).and_then(Value::as_object_mut) {
            map.shift_remove(key);
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
pub struct Section<'a>(Option<&'a Map<String, Value>>);

impl<'a> Section<'a> {
    /// Value that is there and not null.
    pub fn value(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key).filter(|value| !value.is_null())
    }
}
