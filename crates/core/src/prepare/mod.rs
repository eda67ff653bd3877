//! From what the directory holds to what is to be imported: one step per file, called in order by [`prepare`].

mod duplicates;
mod emails;
mod filters;
pub mod flatten;
mod groups;
mod missing;
mod validate;

use std::sync::Arc;

pub use self::missing::Missing;
use crate::entry::{Email, ExternalId, Group, Status, User};
use crate::known::KnownPeople;
use crate::note::Note;
use crate::rules::{DisabledUsers, Rules};
use crate::snapshot::{Cursor, Snapshot};

/// Who and what is to be imported, with the reason for everybody who is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// In the order of external ids.
    pub people: Vec<Person>,
    /// In the order of external ids.
    pub groups: Vec<PreparedGroup>,
    /// Why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that cannot be imported; they are in neither list.
    pub bad_records: Vec<BadRecord>,
    /// Who leaves for being gone.
    pub missing: Missing,
    /// Carried along for the commit.
    pub cursor: Cursor,
}

/// One person of the import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// What the organization knows the person by.
    pub external_id: ExternalId,
    /// Absent only in somebody who leaves.
    pub email: Option<Email>,
    /// As the directory has it.
    pub status: Status,
    /// Whether the person stays.
    pub fate: Fate,
}

/// What the import does about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Comes or stays.
    Stays,
    /// Is removed (or revoked, as the server has it).
    Leaves,
}

/// One group of the import, nested groups resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedGroup {
    /// What the organization knows the group by.
    pub external_id: ExternalId,
    /// The name people see.
    pub name: String,
    /// Everybody in it or in a group reachable from it, in order.
    pub members: Arc<[ExternalId]>,
}

/// An entry that the server would refuse, or that contradicts another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// The entries, as an administrator finds them.
    pub entries: Vec<String>,
    /// What is wrong, with the entries named.
    pub problem: String,
}

/// What the steps hand on to each other.
struct Draft {
    people: Vec<Person>,
    groups: Vec<PreparedGroup>,
    notes: Vec<Note>,
    bad_records: Vec<BadRecord>,
}

/// Decides who is imported. Never fails: what is wrong is kept as a [`BadRecord`] for [`crate::check`].
pub fn prepare(snapshot: Snapshot, rules: &Rules, known: &KnownPeople) -> Prepared {
    let vanished = missing::vanished(&snapshot, known, rules);
    let vanished_ids = vanished.iter().map(|user| user.external_id.clone()).collect();
    let Snapshot { mut users, others, groups, other_groups, mut notes, cursor, coverage: _, population: _ } =
        snapshot;
    users.extend(vanished.iter().cloned());
    let taken = duplicates::addresses_in_use(&users, &others, rules);
    notes.extend(missing::renamed(&vanished, &taken));
    let draft = Draft { people: Vec::new(), groups: Vec::new(), notes, bad_records: Vec::new() };
    let draft = groups::resolve(draft, &users, &others, groups, other_groups, rules);
    let draft = Draft { people: people(users, rules), ..draft };
    let draft = filters::people(draft, rules);
    let draft = filters::only_group_members(draft, rules);
    let draft = emails::require(draft, known);
    let draft = duplicates::resolve(draft, &taken);
    let draft = validate::refuse(draft);
    let (draft, missing) = missing::counted(draft, &vanished_ids, known);
    let Draft { people, groups, notes, bad_records } = draft;
    Prepared { people, groups, notes, bad_records, missing, cursor }
}

fn people(users: Vec<User>, rules: &Rules) -> Vec<Person> {
    users
        .into_iter()
        .map(|user| Person {
            fate: fate(user.status, rules),
            external_id: user.external_id,
            email: user.email,
            status: user.status,
        })
        .collect()
}

fn fate(status: Status, rules: &Rules) -> Fate {
    match (status, rules.disabled) {
        (Status::Deleted, _) | (Status::Disabled, DisabledUsers::Remove) => Fate::Leaves,
        (Status::Active, _) | (Status::Disabled, DisabledUsers::Keep) => Fate::Stays,
    }
}

impl Person {
    /// The person as an administrator would look for it.
    fn label(&self) -> String {
        match &self.email {
            Some(email) if email.as_str() != self.external_id.as_str() => {
                format!("{email} ({})", self.external_id)
            }
            _ => self.external_id.to_string(),
        }
    }
}

/// A group as an administrator would look for it.
fn group_label(name: &str, external_id: &ExternalId) -> String {
    if name == external_id.as_str() { name.to_owned() } else { format!("{name} ({external_id})") }
}

impl Group {
    fn label(&self) -> String {
        group_label(&self.name, &self.external_id)
    }
}
