//! Older data files, brought up to date: state versions 3 to 7 become version 8. Nothing is taken away, so that what was
//! there before is still there to look at.
//!
//! Up to version 4 everything of an account stood under the account's id, which `activeUserId` names.

use serde_json::{Map, Value};

use super::{VERSION, key};
use bwdc_core::error::{Error, Result};

/// Below this one nobody can migrate any more, the existing connector neither.
const OLDEST: u64 = 3;
/// From here on the keys are flat.
const FIRST_FLAT: u64 = 5;
/// From here on newcomers are invited or staged as the setting says; before, they were always invited.
const FIRST_WITH_INVITE_SETTING: u64 = 8;

/// What a file is, and what it becomes.
#[derive(Debug)]
pub(crate) enum FileAge {
    /// There is nothing in it yet.
    New,
    /// As we write it, or newer.
    Current,
    /// Older, with its version.
    Older(u64),
}

/// How old the content of a file is, or why it cannot be used.
pub(crate) fn age(data: &Map<String, Value>) -> Result<FileAge> {
    let version = match stated_version(data) {
        Some(version) => version,
        None if data.contains_key(GLOBAL) => return Ok(FileAge::Older(FIRST_FLAT - 1)),
        None if data.contains_key(key::STATE_VERSION) => return Err(unreadable()),
        None if has_accounts(data) => return Err(versionless()),
        None => return Ok(FileAge::New),
    };
    match version {
        ..OLDEST => Err(too_old(version)),
        OLDEST..VERSION => Ok(FileAge::Older(version)),
        VERSION.. => Ok(FileAge::Current),
    }
}

fn stated_version(data: &Map<String, Value>) -> Option<u64> {
    let global = || data.get(GLOBAL)?.get(key::STATE_VERSION);
    match data.get(key::STATE_VERSION).filter(|value| !value.is_null()).or_else(global)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn too_old(version: u64) -> Error {
    Error::new(format!(
        "Your Directory Connector data is too old to migrate (state version {version}; the oldest that can be read is \
         {OLDEST})."
    ))
    .hint("It was left as it is. Move it away and configure the directory anew, for example with `bwdc init`.")
}

fn unreadable() -> Error {
    Error::new("The file has no state version that could be understood.").hint(
        "It was left as it is. Set \"stateVersion\" to the number it had, or put a backup in its place.",
    )
}

/// Whether settings stand below an account's id, as no version since 5 has them.
fn has_accounts(data: &Map<String, Value>) -> bool {
    let is_account = |value: &Value| {
        ["directoryConfigurations", "directorySettings"].iter().any(|key| value.get(key).is_some())
    };
    data.values().any(is_account)
}

fn versionless() -> Error {
    Error::new("The file has no stateVersion, and its settings stand where versions 3 and 4 kept them: they would be ignored.")
        .hint("It was left as it is. Set \"stateVersion\": 4 at its top to have it brought up to date, or move it away and run `bwdc init`.")
}

const GLOBAL: &str = "global";
const ACTIVE_ACCOUNT: &str = "activeUserId";

/// Brings a file of this version up to date.
pub(crate) fn to_current(data: Map<String, Value>, version: u64) -> Map<String, Value> {
    let mut data = if version < FIRST_FLAT { flattened(data) } else { data };
    if version < FIRST_WITH_INVITE_SETTING
        && let Some(Value::Object(sync)) = data.get_mut(key::SYNC)
    {
        sync.entry("inviteUsersAfterProvisioning").or_insert(Value::Bool(true));
    }
    data.insert(key::STATE_VERSION.to_owned(), VERSION.into());
    data
}

/// From where in the account, in which order, to which flat key. Two names of one thing: the first that is there.
#[rustfmt::skip]
const MOVES: &[(&str, &str, &str)] = &[
    ("directoryConfigurations", "ldap", "directoryLdap"),
    ("directoryConfigurations", "gsuite", "directoryGsuite"),
    ("directoryConfigurations", "entra", "directoryEntra"),
    ("directoryConfigurations", "azure", "directoryEntra"),
    ("directoryConfigurations", "okta", "directoryOkta"),
    ("directoryConfigurations", "oneLogin", "directoryOnelogin"),
    ("directoryConfigurations", "onelogin", "directoryOnelogin"),
    ("directorySettings", "organizationId", key::ORGANIZATION_ID),
    ("directorySettings", "directoryType", key::DIRECTORY_TYPE),
    ("directorySettings", "sync", key::SYNC),
    ("directorySettings", "lastUserSync", key::LAST_USER_SYNC),
    ("directorySettings", "lastGroupSync", key::LAST_GROUP_SYNC),
    ("directorySettings", "lastSyncHash", key::LAST_SYNC_HASH),
    ("directorySettings", "userDelta", key::USER_DELTA),
    ("directorySettings", "groupDelta", key::GROUP_DELTA),
    ("directorySettings", "syncingDir", "syncingDir"),
    ("profile", "apiKeyClientId", key::CLIENT_ID),
    ("keys", "apiKeyClientSecret", key::CLIENT_SECRET),
    ("tokens", "accessToken", key::ACCESS_TOKEN),
    ("tokens", "refreshToken", key::REFRESH_TOKEN),
];

fn flattened(mut data: Map<String, Value>) -> Map<String, Value> {
    let account = data.get(ACTIVE_ACCOUNT).and_then(Value::as_str).and_then(|id| data.get(id)).cloned();
    let global = data.get(GLOBAL).cloned();
    if let Some(account) = account {
        for (group, name, flat) in MOVES {
            put(&mut data, flat, account.get(group).and_then(|group| group.get(name)));
        }
        put(&mut data, key::URLS, global.as_ref().and_then(|global| global.get(key::URLS)));
        put(&mut data, key::URLS, account.get("settings").and_then(|settings| settings.get(key::URLS)));
    }
    for (name, value) in global.iter().filter_map(Value::as_object).flatten() {
        put(&mut data, name, Some(value));
    }
    data
}

/// What is there already was put there later than the account and is kept.
fn put(data: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    if let Some(value) = value
        && !value.is_null()
        && !data.contains_key(name)
    {
        data.insert(name.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn ages_are_told_apart() {
        assert!(matches!(age(&object(json!({}))).unwrap(), FileAge::New));
        assert!(matches!(age(&object(json!({ "locale": "en" }))).unwrap(), FileAge::New));
        assert!(matches!(age(&object(json!({ "stateVersion": 8 }))).unwrap(), FileAge::Current));
        assert!(matches!(age(&object(json!({ "stateVersion": "8" }))).unwrap(), FileAge::Current));
        assert!(matches!(age(&object(json!({ "stateVersion": 99 }))).unwrap(), FileAge::Current));
        assert!(matches!(age(&object(json!({ "stateVersion": 7 }))).unwrap(), FileAge::Older(7)));
        assert!(matches!(
            age(&object(json!({ "global": { "stateVersion": 3 } }))).unwrap(),
            FileAge::Older(3)
        ));
        assert!(matches!(age(&object(json!({ "global": {} }))).unwrap(), FileAge::Older(4)));
        for version in [json!(1), json!(2), json!(0)] {
            let error = age(&object(json!({ "global": { "stateVersion": version } }))).unwrap_err();
            assert!(error.message.contains("too old to migrate"), "{error}");
        }
        for odd in [json!("eight"), json!(-1), json!(true)] {
            assert!(age(&object(json!({ "stateVersion": odd }))).is_err());
        }
    }

    #[test]
    fn the_account_that_is_active_is_taken_and_the_others_are_left() {
        let old = object(json!({
            "activeUserId": "b",
            "global": { "stateVersion": 4, "locale": "de" },
            "a": { "directorySettings": { "organizationId": "a" } },
            "b": {
                "directorySettings": { "organizationId": "b", "sync": { "users": true } },
                "settings": { "environmentUrls": { "base": "https://own.example" } },
            },
        }));
        let new = to_current(old.clone(), 4);
        assert_eq!(new["organizationId"], "b");
        assert_eq!(new["sync"], json!({ "users": true, "inviteUsersAfterProvisioning": true }));
        assert_eq!(new["environmentUrls"]["base"], "https://own.example");
        assert_eq!(new["locale"], "de");
        assert_eq!(new["stateVersion"], 8);
        assert!(old.iter().all(|(name, value)| new[name] == *value));
    }

    #[test]
    fn a_choice_that_was_made_is_kept() {
        let old = object(json!({ "stateVersion": 7, "sync": { "inviteUsersAfterProvisioning": false } }));
        assert_eq!(to_current(old, 7)["sync"]["inviteUsersAfterProvisioning"], false);
        let without_sync = object(json!({ "stateVersion": 7 }));
        assert!(!to_current(without_sync, 7).contains_key("sync"));
    }
}
