//! Steps from the contents of a directory to the import: one per file, called in order by [`prepare`].

mod duplicates;
mod emails;
mod filters;
pub mod flatten;
pub(crate) mod groups;
pub(crate) mod reasons;
pub(crate) mod validate;

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entry::{Email, ExternalId, FoundAs, Group, Status, User};
use crate::note::Note;
use crate::rules::{DisabledUsers, Rules};
use crate::snapshot::Snapshot;

/// People and groups to import, with the reason for everybody who is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Sorted by external id.
    pub people: Vec<Person>,
    /// Sorted by external id.
    pub groups: Vec<PreparedGroup>,
    /// Notes on why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that cannot be imported; they are in neither list.
    pub bad_records: Vec<BadRecord>,
}

/// Person in the import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// Id by which the organization knows the person.
    pub external_id: ExternalId,
    /// Address; absent only in a person who leaves.
    pub email: Option<Email>,
    /// Status in the directory.
    pub status: Status,
    /// Whether the person stays.
    pub fate: Fate,
    /// Name to show when the id alone does not identify the person.
    pub found_as: FoundAs,
}

/// Outcome of the import for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Joins or stays.
    Stays,
    /// Is removed (or revoked, depending on the server).
    Leaves,
}

/// Group in the import, nested groups resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreparedGroup {
    /// Id by which the organization knows the group.
    pub external_id: ExternalId,
    /// Display name.
    pub name: String,
    /// Everybody in it or in a group reachable from it, sorted.
    pub members: Arc<[ExternalId]>,
    /// Name to show when name and id do not identify the group.
    pub found_as: FoundAs,
}

/// Entry that the server would refuse, or that contradicts another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Entries, as an administrator finds them.
    pub entries: Vec<String>,
    /// Description of the problem, with the entries named.
    pub problem: String,
}

/// State that the steps pass on to each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) people: Vec<Person>,
    pub(crate) groups: Vec<PreparedGroup>,
    pub(crate) notes: Vec<Note>,
    pub(crate) bad_records: Vec<BadRecord>,
}

/// Decides who is imported. Never fails: a problem is kept as a [`BadRecord`] for [`crate::check()`].
pub fn prepare(snapshot: Snapshot, rules: &Rules) -> Prepared {
    decide(snapshot, rules).into()
}

/// Runs every step, on a single directory.
pub(crate) fn decide(snapshot: Snapshot, rules: &Rules) -> Draft {
    let (draft, given) = begun(snapshot, rules);
    Stage::ALL.into_iter().fold(draft, |draft, stage| stage.run(draft, &given))
}

/// Steps on people and groups, in their order. Each can be run alone, so that [`crate::explain()`] looks at an entry before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Drops addresses of leavers that the server would not accept.
    LeaversAddress,
    /// `sync.userFilter`, where it is a set filter.
    UserFilter,
    /// `sync.groupFilter`: only people in the kept groups.
    GroupFilter,
    /// Leaves out people without a usable address.
    Email,
    /// Keeps active people from leaving by a tombstone with their address.
    Leavers,
    /// Lists each external id once.
    ExternalIds,
    /// Lists each address once.
    Addresses,
    /// Takes out entries that the server would refuse.
    Validate,
}

/// Facts that the steps go by besides the draft.
pub(crate) struct Given<'a> {
    rules: &'a Rules,
    /// Addresses of active accounts.
    taken: HashSet<Email>,
}

impl Stage {
    /// All steps, in their order.
    pub const ALL: [Self; 8] = [
        Self::LeaversAddress,
        Self::UserFilter,
        Self::GroupFilter,
        Self::Email,
        Self::Leavers,
        Self::ExternalIds,
        Self::Addresses,
        Self::Validate,
    ];

    pub(crate) fn run(self, draft: Draft, given: &Given<'_>) -> Draft {
        match self {
            Self::LeaversAddress => emails::drop_unusable(draft),
            Self::UserFilter => filters::people(draft, given.rules),
            Self::GroupFilter => filters::only_group_members(draft, given.rules),
            Self::Email => emails::require(draft),
            Self::Leavers => duplicates::spare_the_living(draft, &given.taken),
            Self::ExternalIds => duplicates::one_per_external_id(draft),
            Self::Addresses => duplicates::one_per_address(draft),
            Self::Validate => validate::refuse(draft),
        }
    }
}

/// Draft before the first step: the groups with their members, and everybody who was requested.
pub(crate) fn begun(snapshot: Snapshot, rules: &Rules) -> (Draft, Given<'_>) {
    let Snapshot { users, others, groups, other_groups, notes, .. } = snapshot;
    let taken = duplicates::addresses_in_use(&users, &others, rules);
    let draft = Draft { notes, ..Draft::default() };
    let draft = groups::resolve(draft, &users, &others, groups, other_groups, rules);
    (Draft { people: people(users, rules), ..draft }, Given { rules, taken })
}

impl From<Draft> for Prepared {
    fn from(Draft { people, groups, notes, bad_records }: Draft) -> Self {
        Self { people, groups, notes, bad_records }
    }
}

fn people(users: Vec<User>, rules: &Rules) -> Vec<Person> {
    users
        .into_iter()
        .map(|user| Person {
            fate: fate(user.status, rules),
            external_id: user.external_id,
            email: user.email,
            status: user.status,
            found_as: user.found_as,
        })
        .collect()
}

pub(crate) fn fate(status: Status, rules: &Rules) -> Fate {
    match (status, rules.disabled) {
        (Status::Deleted, _) | (Status::Disabled, DisabledUsers::Remove) => Fate::Leaves,
        (Status::Active, _) | (Status::Disabled, DisabledUsers::Keep) => Fate::Stays,
    }
}

impl Person {
    /// Name of the person as an administrator would look for it: the address, else what the entry is found as.
    pub(crate) fn label(&self) -> String {
        match (&self.email, self.found_as.as_str()) {
            (Some(email), Some(_))
                if emails::problem(email).is_some()
                    || self.external_id.as_str().contains(char::is_control) =>
            {
                self.entry()
            }
            (Some(email), _) if email.as_str() != self.external_id.as_str() => {
                format!("{email} ({})", self.external_id)
            }
            _ => self.entry(),
        }
    }

    /// Name of the entry, when several have the same address.
    pub(crate) fn entry(&self) -> String {
        self.found_as.with_id(&self.external_id)
    }
}

impl PreparedGroup {
    /// Name of the group as an administrator would look for it.
    pub(crate) fn label(&self) -> String {
        match self.found_as.as_str() {
            Some(place) => format!("{place} ({})", group_label(&self.name, &self.external_id)),
            None => group_label(&self.name, &self.external_id),
        }
    }
}

/// Group by its name and its id.
fn group_label(name: &str, external_id: &ExternalId) -> String {
    if name == external_id.as_str() { name.to_owned() } else { format!("{name} ({external_id})") }
}

impl Group {
    fn label(&self) -> String {
        group_label(&self.name, &self.external_id)
    }
}
