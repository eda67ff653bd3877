//! Changes that a sync has made, in words: who joined, who left, and why. For the log and for people at a terminal.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entry::ExternalId;
use crate::note::{Note, Step};
use crate::organization::Changes;
use crate::organization::changes::{Action, Cause, GroupAction, GroupChange, Hold, MemberChange};
use crate::prepare::{Prepared, reasons};
use crate::text::digest;

/// People who were left out at the last run, and why, as short hashes: those are not reported again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeftOut {
    left_out: BTreeSet<String>,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Invited.
    Invite,
    /// Taken without an invitation.
    Stage,
    /// A member of before who is known by an external id from now on.
    Adopt,
    /// Given another external id.
    Relink,
    /// Given access again.
    Restore,
    /// Removed from the organization.
    Remove,
    /// Access revoked; the member stays.
    Revoke,
    /// Not imported, unlike last time.
    LeaveOut,
    /// Group made.
    GroupCreate,
    /// Group with a new name or other members.
    GroupChange,
    /// Group deleted.
    GroupDelete,
}

impl ChangeKind {
    /// Whether somebody leaves.
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Remove | Self::Revoke)
    }

    /// Name of the event in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Stage => "stage",
            Self::Adopt => "adopt",
            Self::Relink => "relink",
            Self::Restore => "restore",
            Self::Remove => "remove",
            Self::Revoke => "revoke",
            Self::LeaveOut => "leave-out",
            Self::GroupCreate => "group-create",
            Self::GroupChange => "group-change",
            Self::GroupDelete => "group-delete",
        }
    }
}

/// Person, group or entry that a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Person.
    Person {
        /// Address in the organization.
        email: Arc<str>,
        /// Id by which the organization knows the person.
        external_id: Option<ExternalId>,
    },
    /// Group.
    Group {
        /// Name of the group.
        name: String,
        /// Id by which the organization knows the group.
        external_id: ExternalId,
    },
    /// Entry of the directory, as an administrator would look for it.
    Entry(String),
}

/// Single change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportChange {
    /// Kind of the change.
    pub kind: ChangeKind,
    /// Person, group or entry it is about.
    pub subject: Subject,
    /// Reason for the change.
    pub reason: Cow<'static, str>,
}

impl Changes {
    /// What is done, in words: people first, then groups. What a limit holds back is not among it.
    pub fn told(&self) -> Vec<ImportChange> {
        let people = self.visible().filter(|change| change.hold == Hold::Free);
        let people = people.filter_map(|change| self.person_told(change));
        let groups = self.groups.iter().filter(|group| group.hold == Hold::Free).map(group_told);
        people.chain(groups).collect()
    }

    fn person_told(&self, change: &MemberChange) -> Option<ImportChange> {
        let slot = self.slot(change.slot)?;
        let kind = match change.action {
            Action::Invite => ChangeKind::Invite,
            Action::Stage => ChangeKind::Stage,
            Action::Adopt => ChangeKind::Adopt,
            Action::Relink => ChangeKind::Relink,
            Action::Restore => ChangeKind::Restore,
            Action::Revoke => ChangeKind::Revoke,
            Action::Remove => ChangeKind::Remove,
            Action::Wait => return None,
        };
        let subject = Subject::Person {
            email: slot.email.shared(),
            external_id: slot.after.clone().or_else(|| slot.before.clone()),
        };
        let reason = match kind {
            _ if change.cause == Cause::Undo => change.cause.reason(),
            ChangeKind::Adopt => "a member with this address had no external id",
            ChangeKind::Relink => "has another id in the directory (sync.relink)",
            _ => change.cause.reason(),
        };
        Some(ImportChange { kind, subject, reason: reason.into() })
    }
}

impl Cause {
    /// Reason of a change to a membership, in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::New => "new among the people to import",
            Self::Returned => "in the directory again, or enabled again",
            Self::Drift => "changed in the organization by somebody else",
            Self::Deleted => "deleted in the directory",
            Self::Disabled => "disabled in the directory (sync.removeDisabled)",
            Self::Missing => "no longer in the directory (sync.removeMissing)",
            Self::OutOfScope => "no longer matched by the filters (sync.removeMissing)",
            Self::Overwrite => "not in the import, which replaces everybody (sync.overwriteExisting)",
            Self::IdReused => "the id has another address in the directory",
            Self::Grace => "left, and the time of sync.grace has passed",
            Self::Undo => "a run is undone",
        }
    }
}

fn group_told(group: &GroupChange) -> ImportChange {
    let (kind, reason) = match group.action {
        GroupAction::Create if group.cause == Cause::Undo => (
            ChangeKind::GroupCreate,
            format!("{}, with {} member(s)", group.cause.reason(), group.join.len()),
        ),
        GroupAction::Create => (ChangeKind::GroupCreate, format!("new, with {} member(s)", group.join.len())),
        GroupAction::Rename | GroupAction::Update => (ChangeKind::GroupChange, difference(group)),
        GroupAction::Empty if group.cause == Cause::Undo => {
            (ChangeKind::GroupChange, group.cause.reason().to_owned())
        }
        GroupAction::Delete if group.cause == Cause::Undo => {
            (ChangeKind::GroupDelete, group.cause.reason().to_owned())
        }
        GroupAction::Empty => {
            (ChangeKind::GroupChange, "no longer in the directory, so it was emptied".to_owned())
        }
        GroupAction::Delete => (ChangeKind::GroupDelete, "no longer in the directory".to_owned()),
    };
    let subject = Subject::Group { name: group.name.clone(), external_id: group.external_id.clone() };
    ImportChange { kind, subject, reason: reason.into() }
}

fn difference(group: &GroupChange) -> String {
    let renamed = group.free_name().map(|renamed| format!("was called {}", renamed.from));
    let relinked = group.relinked.as_ref().map(|before| format!("had the external id {before}"));
    let before = group.current.len();
    let now = (before + group.join.len()).saturating_sub(group.leave.len());
    let members = match (group.join.is_empty() && group.leave.is_empty(), before == now) {
        (true, _) => None,
        (false, true) => Some(format!("{now} member(s), but different ones")),
        (false, false) => Some(format!("{now} member(s), {before} before")),
    };
    let differences: Vec<String> = renamed.into_iter().chain(relinked).chain(members).collect();
    if differences.is_empty() { "sent again".to_owned() } else { differences.join("; ") }
}

impl LeftOut {
    /// Those of a run.
    pub fn of(prepared: &Prepared) -> Self {
        Self { left_out: left_out(prepared).map(|(entry, reason)| mark(entry, reason)).collect() }
    }

    /// Number of entries and reasons.
    pub fn len(&self) -> usize {
        self.left_out.len()
    }

    /// Whether nobody was left out.
    pub fn is_empty(&self) -> bool {
        self.left_out.is_empty()
    }

    /// Reasons for which an entry was left out that has one of these labels. Only what is the same for everybody can be known again.
    pub fn reasons_of(&self, labels: &BTreeSet<String>) -> Vec<&'static str> {
        let is_known =
            |reason: &&str| labels.iter().any(|label| self.left_out.contains(&mark(label, reason)));
        reasons::ALL.into_iter().filter(is_known).collect()
    }

    /// Those of a run who were not left out before for the same reason.
    pub fn new_in(&self, prepared: &Prepared) -> Vec<ImportChange> {
        let new = left_out(prepared).filter(|(entry, reason)| !self.left_out.contains(&mark(entry, reason)));
        new.map(|(entry, reason)| ImportChange {
            kind: ChangeKind::LeaveOut,
            subject: Subject::Entry(entry.to_owned()),
            reason: reason.to_owned().into(),
        })
        .collect()
    }
}

/// Entries that are in neither list, with the reason.
fn left_out(prepared: &Prepared) -> impl Iterator<Item = (&str, &str)> {
    let is_left_out = |note: &&Note| {
        !note.entry.is_empty() && matches!(note.step, Step::Filter | Step::Email | Step::Duplicates)
    };
    let notes = prepared.notes.iter().filter(is_left_out);
    let bad = prepared
        .bad_records
        .iter()
        .flat_map(|record| record.entries.iter().map(|entry| (entry.as_str(), record.problem.as_str())));
    notes.map(|note| (note.entry.as_str(), note.reason.as_str())).chain(bad)
}

/// Hash that recognises a pair without storing it.
fn mark(entry: &str, reason: &str) -> String {
    digest([entry, reason])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(reason: &str) -> Prepared {
        Prepared {
            people: Vec::new(),
            groups: Vec::new(),
            notes: vec![
                Note::info(Step::Filter, "a@example.org (a)", reason),
                Note::info(Step::Read, "x", "a column"),
                Note::info(Step::Email, "", "about all"),
            ],
            bad_records: Vec::new(),
        }
    }

    #[test]
    fn left_out_people_are_reported_once_for_each_reason() {
        let new = LeftOut::default().new_in(&with("filtered"));
        let told: Vec<_> = new.iter().map(|change| (change.kind, &change.subject)).collect();
        assert_eq!(told, [(ChangeKind::LeaveOut, &Subject::Entry("a@example.org (a)".to_owned()))]);
        let known = LeftOut::of(&with("filtered"));
        assert!(known.new_in(&with("filtered")).is_empty());
        assert_eq!(known.new_in(&with("no address")).len(), 1);
    }
}
