//! Entries of OneLogin's lists.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::directory::lists::{SizeInMemory, length, or_default};

/// Entry of a list.
pub(super) trait Record: DeserializeOwned + SizeInMemory + Send + Sync {
    /// Id, unique in its list.
    fn id(&self) -> u64;
    /// Creation time, if known.
    fn since(&self) -> Option<Timestamp>;
    /// Interprets each entry of a page with the help of the others.
    fn compare(_page: &mut [Self]) {}
}

/// Person (OneLogin API 2, "User Resource").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct UserRecord {
    pub(super) id: u64,
    pub(super) email: Option<String>,
    pub(super) username: Option<String>,
    pub(super) status: Option<i64>,
    /// Roles; `None` if the page contains nobody's roles.
    #[serde(default)]
    pub(super) role_ids: Option<Vec<u64>>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
}

/// Time such as `2021-04-28T21:10:57.210Z`.
pub(super) fn moment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// Role (OneLogin API 2, "Roles").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct RoleRecord {
    pub(super) id: u64,
    /// Empty if there is none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

/// Person with a role (OneLogin API 2, "Get Role Users").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Holder {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "moment")]
    added_at: Option<Timestamp>,
}

impl SizeInMemory for UserRecord {
    fn beside(&self) -> usize {
        let roles = self.role_ids.as_ref().map_or(0, Vec::len);
        length(&self.email) + length(&self.username) + roles * size_of::<u64>()
    }
}

impl SizeInMemory for RoleRecord {
    fn beside(&self) -> usize {
        self.name.len()
    }
}

impl SizeInMemory for Holder {
    fn beside(&self) -> usize {
        0
    }
}

impl Record for UserRecord {
    fn id(&self) -> u64 {
        self.id
    }

    fn since(&self) -> Option<Timestamp> {
        self.created_at
    }

    /// If roles are given for somebody on the page, people without any have none.
    fn compare(page: &mut [Self]) {
        if page.iter().any(|user| user.role_ids.is_some()) {
            page.iter_mut().for_each(|user| {
                user.role_ids.get_or_insert_default();
            });
        }
    }
}

impl Record for RoleRecord {
    fn id(&self) -> u64 {
        self.id
    }

    fn since(&self) -> Option<Timestamp> {
        None
    }
}

impl Record for Holder {
    fn id(&self) -> u64 {
        self.id
    }

    fn since(&self) -> Option<Timestamp> {
        self.added_at
    }
}
