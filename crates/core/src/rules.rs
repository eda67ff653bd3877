//! Settings of the administrator, as far as this crate needs them to decide.

use serde::{Deserialize, Serialize};

use crate::filter::SetFilter;

/// Rules of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// `sync.userFilter`, where it is a set filter.
    pub user_filter: Option<SetFilter>,
    /// `sync.groupFilter`, where it is a set filter.
    pub group_filter: Option<SetFilter>,
    /// `sync.removeDisabled`.
    pub disabled: DisabledUsers,
    /// `sync.removeMissing`.
    pub missing: MissingPeople,
    /// `sync.overwriteExisting`.
    pub existing: ExistingMembers,
    /// `sync.largeImport`.
    pub size: ImportSize,
    /// `sync.inviteUsersAfterProvisioning`.
    pub newcomers: Newcomers,
    /// `sync.onBadRecord`.
    pub bad_records: BadRecords,
    /// `sync.nestedGroups`.
    pub nesting: Nesting,
}

/// Treatment of people whose account is disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DisabledUsers {
    /// They stay in the organization.
    #[default]
    Keep,
    /// They leave, as if deleted.
    Remove,
}

/// Treatment of people who were in the last complete read and are missing from this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MissingPeople {
    /// They stay in the organization.
    #[default]
    Keep,
    /// They leave, as if deleted.
    Remove,
}

/// Treatment of members of the organization who are not in the import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExistingMembers {
    /// They stay.
    #[default]
    Keep,
    /// Those with an external id are removed.
    Overwrite,
}

/// Number of requests that an import is split into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportSize {
    /// One request, whatever its size.
    #[default]
    Single,
    /// Batches of 2,000 when there are more than 2,000 people and groups.
    Batches,
}

/// Treatment of people whom the organization does not know yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Newcomers {
    /// Staged by servers that support staging; invited by the others.
    #[default]
    Stage,
    /// Invited at once.
    Invite,
}

/// Treatment of an entry that cannot be imported as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BadRecords {
    /// The run ends; nothing is imported.
    #[default]
    Stop,
    /// The entry is left out; the run continues and ends with a warning.
    Skip,
}

/// Groups through which people are members of the groups above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Nesting {
    /// Groups that the filter keeps.
    #[default]
    KeptGroups,
    /// All groups. Widens access.
    AllGroups,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            user_filter: None,
            group_filter: None,
            disabled: DisabledUsers::Keep,
            missing: MissingPeople::Keep,
            existing: ExistingMembers::Keep,
            size: ImportSize::Single,
            newcomers: Newcomers::Stage,
            bad_records: BadRecords::Stop,
            nesting: Nesting::KeptGroups,
        }
    }
}
