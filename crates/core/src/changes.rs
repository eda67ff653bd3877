//! Changes that an import makes compared with the previous one: who joins, who leaves, and why.
//!
//! For reporting only: what is decided and sent does not depend on it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::entry::{Email, ExternalId, FoundAs, Status};
use crate::note::{Note, Step};
use crate::plan::Server;
use crate::prepare::{Fate, Person, Prepared, PreparedGroup};
use crate::rules::{ExistingMembers, Rules};

/// Record of the last import, detailed enough to tell what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Imported {
    /// People who stay, with their address if there was one.
    people: BTreeMap<ExternalId, Option<String>>,
    /// People who were imported once and have left since.
    gone: BTreeSet<ExternalId>,
    groups: BTreeMap<ExternalId, ImportedGroup>,
    /// People who were left out, and why, as short hashes.
    left_out: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ImportedGroup {
    name: String,
    /// Number of members.
    count: usize,
    /// Digest of the members' ids.
    digest: String,
}

/// Record of the previous import to compare with.
#[derive(Clone, Copy, Debug)]
pub enum Baseline<'a> {
    /// There was no previous import.
    Nothing,
    /// There was a previous import, but no record of it: nothing is reported as new.
    Unknown,
    /// The record of the previous import.
    Known(&'a Imported),
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Imported for the first time.
    Invite,
    /// Imported again after having left.
    Restore,
    /// Removed from the organization.
    Remove,
    /// Access revoked by a server that keeps the member.
    Revoke,
    /// Not imported, unlike last time.
    LeaveOut,
    /// Group imported for the first time.
    GroupCreate,
    /// Group with a new name or other members.
    GroupChange,
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
            Self::Restore => "restore",
            Self::Remove => "remove",
            Self::Revoke => "revoke",
            Self::LeaveOut => "leave-out",
            Self::GroupCreate => "group-create",
            Self::GroupChange => "group-change",
        }
    }
}

/// Person, group or entry that a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Person.
    Person {
        /// Address, if one is known.
        email: Option<String>,
        /// Id by which the organization knows the person.
        external_id: ExternalId,
        /// Name to show when the id alone does not identify the person.
        found_as: FoundAs,
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
    pub reason: String,
}

/// Basis on which changes are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonBasis {
    /// Compared with the previous import.
    Compared,
    /// No record of the previous import: newcomers cannot be told apart.
    Unknown,
}

/// All changes of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportChanges {
    /// Basis of the report.
    pub basis: ComparisonBasis,
    /// People first, then groups, then those left out.
    pub list: Vec<ImportChange>,
}

impl ImportChanges {
    /// Compares the next import with the previous one. Also returns the record to compare the following import with.
    pub fn of(
        baseline: Baseline<'_>,
        prepared: &Prepared,
        rules: &Rules,
        server: Server,
    ) -> (Self, Imported) {
        let nothing = Imported::default();
        let before = match baseline {
            Baseline::Known(imported) => imported,
            Baseline::Nothing | Baseline::Unknown => &nothing,
        };
        let missing = prepared.missing.people.iter().map(String::as_str).collect();
        let comparison = Comparison { before, prepared, rules, server, missing };
        let imported = comparison.after();
        let (basis, list) = match baseline {
            Baseline::Unknown => (ComparisonBasis::Unknown, comparison.vanished().collect()),
            Baseline::Known(_) | Baseline::Nothing => (ComparisonBasis::Compared, comparison.all()),
        };
        (Self { basis, list }, imported)
    }

    /// Changes that hold even if nothing was sent.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.list.retain(|change| change.kind == ChangeKind::LeaveOut);
        self
    }

    /// Number of people who leave.
    pub fn leavers(&self) -> usize {
        self.list.iter().filter(|change| change.kind.is_leaving()).count()
    }
}

struct Comparison<'a> {
    before: &'a Imported,
    prepared: &'a Prepared,
    rules: &'a Rules,
    server: Server,
    /// People who leave because they are no longer in the directory.
    missing: HashSet<&'a str>,
}

impl<'a> Comparison<'a> {
    fn all(&self) -> Vec<ImportChange> {
        let people = self.joiners().chain(self.leavers()).chain(self.overwritten());
        people.chain(self.groups()).chain(self.left_out()).collect()
    }

    fn people(&self, fate: Fate) -> impl Iterator<Item = &'a Person> {
        self.prepared.people.iter().filter(move |person| person.fate == fate)
    }

    fn joiners(&self) -> impl Iterator<Item = ImportChange> {
        let Imported { people, gone, .. } = self.before;
        // Somebody with a new id and a known address is not a newcomer: the server matches by address.
        let addresses: HashSet<&str> = people.values().flatten().map(String::as_str).collect();
        let is_known = move |person: &Person| {
            let has_address = |email: &Email| addresses.contains(email.as_str());
            people.contains_key(&person.external_id) || person.email.as_ref().is_some_and(has_address)
        };
        let joiners = self.people(Fate::Stays).filter(move |person| !is_known(person));
        joiners.map(move |person| {
            let (kind, reason) = if gone.contains(&person.external_id) {
                (ChangeKind::Restore, "in the directory again, or enabled again")
            } else {
                (ChangeKind::Invite, "new among the people to import")
            };
            change(kind, person, person.email.as_ref().map(Email::as_str), reason)
        })
    }

    fn leavers(&self) -> impl Iterator<Item = ImportChange> {
        let leavers = self.people(Fate::Leaves);
        let known = leavers.filter(|person| self.before.people.contains_key(&person.external_id));
        known.filter(|person| self.can_leave(person)).map(|person| self.leaver(person))
    }

    /// People known from the last read who are gone now, even if there is no record of the last import.
    fn vanished(&self) -> impl Iterator<Item = ImportChange> {
        let vanished = self.people(Fate::Leaves).filter(|person| self.is_vanished(person));
        vanished.filter(|person| self.can_leave(person)).map(|person| self.leaver(person))
    }

    fn leaver(&self, person: &Person) -> ImportChange {
        let before = self.before.people.get(&person.external_id).and_then(Option::as_deref);
        let email = person.email.as_ref().map(Email::as_str).or(before);
        let reason = match person.status {
            Status::Disabled => "disabled in the directory (sync.removeDisabled)",
            _ if self.is_vanished(person) => "no longer in the directory (sync.removeMissing)",
            Status::Deleted | Status::Active => "deleted in the directory",
        };
        change(self.leaving(), person, email, reason)
    }

    fn leaving(&self) -> ChangeKind {
        match self.server {
            Server::Official => ChangeKind::Remove,
            Server::Vaultwarden => ChangeKind::Revoke,
        }
    }

    fn is_vanished(&self, person: &Person) -> bool {
        !self.missing.is_empty() && self.missing.contains(&*person.label())
    }

    /// Whether the server can be told that the person leaves; Vaultwarden needs an address.
    fn can_leave(&self, person: &Person) -> bool {
        self.server == Server::Official || person.email.is_some()
    }

    /// With overwriting, everybody who is not in the import is removed.
    fn overwritten(&self) -> impl Iterator<Item = ImportChange> {
        let imported: HashSet<&ExternalId> = match self.rules.existing {
            ExistingMembers::Overwrite => {
                self.prepared.people.iter().map(|person| &person.external_id).collect()
            }
            ExistingMembers::Keep => self.before.people.keys().collect(),
        };
        let absent = self.before.people.iter().filter(move |(id, _)| !imported.contains(id));
        absent.map(|(id, email)| ImportChange {
            kind: ChangeKind::Remove,
            subject: Subject::Person {
                email: email.clone(),
                external_id: id.clone(),
                found_as: FoundAs::default(),
            },
            reason: "not in the import, which replaces everybody (sync.overwriteExisting)".to_owned(),
        })
    }

    fn groups(&self) -> impl Iterator<Item = ImportChange> {
        self.prepared.groups.iter().filter_map(|group| {
            let (kind, reason) = match self.before.groups.get(&group.external_id) {
                None => (ChangeKind::GroupCreate, format!("new, with {} member(s)", group.members.len())),
                Some(before) => (ChangeKind::GroupChange, difference(before, &ImportedGroup::of(group))?),
            };
            let subject = Subject::Group { name: group.name.clone(), external_id: group.external_id.clone() };
            Some(ImportChange { kind, subject, reason })
        })
    }

    fn left_out(&self) -> impl Iterator<Item = ImportChange> {
        let all = left_out(self.prepared);
        all.filter(|(entry, reason)| !self.before.left_out.contains(&mark(entry, reason))).map(
            |(entry, reason)| ImportChange {
                kind: ChangeKind::LeaveOut,
                subject: Subject::Entry(entry.to_owned()),
                reason: reason.to_owned(),
            },
        )
    }

    fn after(&self) -> Imported {
        let mut after = match self.rules.existing {
            ExistingMembers::Keep => self.before.clone(),
            ExistingMembers::Overwrite => {
                let mut gone = self.before.gone.clone();
                gone.extend(self.before.people.keys().cloned());
                Imported { gone, ..Imported::default() }
            }
        };
        for Person { external_id, email, fate, .. } in &self.prepared.people {
            match fate {
                Fate::Stays => {
                    after.gone.remove(external_id);
                    let email = email.as_ref().map(|email| email.as_str().to_owned());
                    after.people.insert(external_id.clone(), email);
                }
                Fate::Leaves => {
                    if after.people.remove(external_id).is_some() {
                        after.gone.insert(external_id.clone());
                    }
                }
            }
        }
        let groups = self.prepared.groups.iter();
        after.groups.extend(groups.map(|group| (group.external_id.clone(), ImportedGroup::of(group))));
        after.left_out = left_out(self.prepared).map(|(entry, reason)| mark(entry, reason)).collect();
        after
    }
}

fn change(kind: ChangeKind, person: &Person, email: Option<&str>, reason: &str) -> ImportChange {
    let subject = Subject::Person {
        email: email.map(str::to_owned),
        external_id: person.external_id.clone(),
        found_as: person.found_as.clone(),
    };
    ImportChange { kind, subject, reason: reason.to_owned() }
}

fn difference(before: &ImportedGroup, now: &ImportedGroup) -> Option<String> {
    let renamed = (before.name != now.name).then(|| format!("was called {}", before.name));
    let members = (before.digest != now.digest).then(|| match (before.count, now.count) {
        (before, now) if before == now => format!("{now} member(s), but different ones"),
        (before, now) => format!("{now} member(s), {before} before"),
    });
    let differences: Vec<String> = renamed.into_iter().chain(members).collect();
    (!differences.is_empty()).then(|| differences.join("; "))
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
    short([entry, reason].into_iter())
}

impl ImportedGroup {
    fn of(group: &PreparedGroup) -> Self {
        let digest = short(group.members.iter().map(ExternalId::as_str));
        Self { name: group.name.clone(), count: group.members.len(), digest }
    }
}

/// First 96 bits of a SHA-256 over each text, prefixed with its length.
fn short<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    STANDARD_NO_PAD.encode(&hasher.finalize()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Missing;
    use crate::snapshot::Cursor;

    fn person(id: &str, fate: Fate, status: Status) -> Person {
        let email = Email::parse(&format!("{id}@example.org"));
        Person { external_id: id.into(), email, status, fate, found_as: FoundAs::default() }
    }

    fn stays(id: &str) -> Person {
        person(id, Fate::Stays, Status::Active)
    }

    fn leaves(id: &str) -> Person {
        person(id, Fate::Leaves, Status::Deleted)
    }

    fn prepared(people: &[Person], groups: &[(&str, &[&str])]) -> Prepared {
        let group = |(name, members): &(&str, &[&str])| PreparedGroup {
            external_id: format!("g-{name}").into(),
            name: (*name).to_owned(),
            members: members.iter().map(|id| ExternalId::from(*id)).collect(),
            found_as: FoundAs::default(),
        };
        Prepared {
            people: people.to_vec(),
            groups: groups.iter().map(group).collect(),
            notes: Vec::new(),
            bad_records: Vec::new(),
            missing: Missing::default(),
            cursor: Cursor::default(),
        }
    }

    /// Each change in short, and the record afterwards.
    fn reported(baseline: Baseline<'_>, prepared: &Prepared, rules: &Rules) -> (Vec<String>, Imported) {
        let (ImportChanges { list, .. }, imported) =
            ImportChanges::of(baseline, prepared, rules, Server::Official);
        let name = |subject: &Subject| match subject {
            Subject::Person { external_id, .. } => external_id.to_string(),
            Subject::Group { name, .. } => name.clone(),
            Subject::Entry(entry) => entry.clone(),
        };
        let told = list.iter().map(|change| format!("{} {}", change.kind.word(), name(&change.subject)));
        (told.collect(), imported)
    }

    #[test]
    fn each_change_is_reported_once() {
        let rules = Rules::default();
        let first = prepared(&[stays("a"), stays("b"), leaves("old")], &[("Staff", &["a", "b"])]);
        let (list, known) = reported(Baseline::Nothing, &first, &rules);
        assert_eq!(list, ["invite a", "invite b", "group-create Staff"]);
        assert!(reported(Baseline::Known(&known), &first, &rules).0.is_empty());
        let second = prepared(&[stays("a"), leaves("b"), leaves("old")], &[("Staff", &["a"])]);
        let (list, known) = reported(Baseline::Known(&known), &second, &rules);
        assert_eq!(list, ["remove b", "group-change Staff"]);
        assert!(reported(Baseline::Known(&known), &second, &rules).0.is_empty());
        let third = prepared(&[stays("b")], &[]);
        let (list, known) = reported(Baseline::Known(&known), &third, &rules);
        assert_eq!(list, ["restore b"]);
        // Somebody who is absent from a read of changes is still there.
        assert!(reported(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules).0.is_empty());
    }

    #[test]
    fn overwriting_removes_absent_people() {
        let rules = Rules { existing: ExistingMembers::Overwrite, ..Rules::default() };
        let (_, known) = reported(Baseline::Nothing, &prepared(&[stays("a"), stays("b")], &[]), &rules);
        let (list, known) = reported(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules);
        assert_eq!(list, ["remove b"]);
        assert!(reported(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules).0.is_empty());
    }

    /// After an update of the program, the whole company must not look new.
    #[test]
    fn without_a_record_only_certain_changes_are_reported() {
        let rules = Rules::default();
        let mut import = prepared(&[stays("a"), leaves("b"), leaves("c")], &[("Staff", &["a"])]);
        import.missing.people = vec![leaves("c").label()];
        let (list, known) = reported(Baseline::Unknown, &import, &rules);
        assert_eq!(list, ["remove c"]);
        let next = prepared(&[stays("a"), stays("d"), leaves("b")], &[("Staff", &["a"])]);
        assert_eq!(reported(Baseline::Known(&known), &next, &rules).0, ["invite d"]);
    }

    #[test]
    fn left_out_people_are_reported_once_for_each_reason() {
        let rules = Rules::default();
        let with = |reason: &str| Prepared {
            notes: vec![
                Note::info(Step::Filter, "a@example.org (a)", reason),
                Note::info(Step::Read, "x", "a column"),
                Note::info(Step::Email, "", "about all"),
            ],
            ..prepared(&[], &[])
        };
        let (list, known) = reported(Baseline::Nothing, &with("filtered"), &rules);
        assert_eq!(list, ["leave-out a@example.org (a)"]);
        assert!(reported(Baseline::Known(&known), &with("filtered"), &rules).0.is_empty());
        assert_eq!(reported(Baseline::Known(&known), &with("no address"), &rules).0.len(), 1);
    }

    #[test]
    fn a_new_id_for_a_known_address_is_not_a_newcomer() {
        let rules = Rules::default();
        let (_, known) = reported(Baseline::Nothing, &prepared(&[stays("a")], &[]), &rules);
        let renamed = Person { external_id: "a2".into(), ..stays("a") };
        assert!(reported(Baseline::Known(&known), &prepared(&[renamed], &[]), &rules).0.is_empty());
    }

    #[test]
    fn a_group_change_says_what_is_different() {
        let group =
            |name: &str, members: &[&str]| ImportedGroup::of(&prepared(&[], &[(name, members)]).groups[0]);
        let before = group("Staff", &["a", "b"]);
        assert_eq!(difference(&before, &group("Staff", &["a", "b"])), None);
        assert_eq!(
            difference(&before, &group("Crew", &["a"])).unwrap(),
            "was called Staff; 1 member(s), 2 before"
        );
        assert_eq!(
            difference(&before, &group("Staff", &["a", "c"])).unwrap(),
            "2 member(s), but different ones"
        );
    }
}
