//! What an import changes, compared with the one before: who comes and who goes, and why.
//!
//! It is only told. What is decided and sent does not depend on it.

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

/// What was imported last, as far as it takes to tell what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Imported {
    /// Who stays, with the address if there was one.
    people: BTreeMap<ExternalId, Option<String>>,
    /// Who was imported once and has left since.
    gone: BTreeSet<ExternalId>,
    groups: BTreeMap<ExternalId, ImportedGroup>,
    /// Who was left out, and why, in short.
    left_out: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ImportedGroup {
    name: String,
    /// How many members.
    count: usize,
    /// Of the members' ids.
    digest: String,
}

/// What is known of the import before.
#[derive(Clone, Copy, Debug)]
pub enum Baseline<'a> {
    /// There was none.
    Nothing,
    /// There was one, and nobody kept what it was: nothing is told as new.
    Unknown,
    /// This one.
    Known(&'a Imported),
}

/// What happens to somebody or something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Imported for the first time.
    Invite,
    /// Imported again after having left.
    Restore,
    /// Removed from the organization.
    Remove,
    /// Removed by a server that keeps the member and takes the access away.
    Revoke,
    /// Not imported, other than last time.
    LeaveOut,
    /// A group that is imported for the first time.
    GroupCreate,
    /// A group with another name or other members.
    GroupChange,
}

impl Kind {
    /// Whether somebody leaves.
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Remove | Self::Revoke)
    }

    /// The word that the log has for it.
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

/// Whom or what a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A person.
    Person {
        /// The address, if one is known.
        email: Option<String>,
        /// What the organization knows the person by.
        external_id: ExternalId,
        /// Where the id alone does not say who it is.
        found_as: FoundAs,
    },
    /// A group.
    Group {
        /// Its name.
        name: String,
        /// What the organization knows the group by.
        external_id: ExternalId,
    },
    /// An entry of the directory, as an administrator would look for it.
    Entry(String),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub kind: Kind,
    /// To whom or what.
    pub subject: Subject,
    /// Why.
    pub reason: String,
}

/// What changes are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Compared with the import before.
    Compared,
    /// Nobody kept what the import before was: who is new is not known.
    Unknown,
}

/// All changes of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// What they are told by.
    pub basis: Basis,
    /// People first, then groups, then who is left out.
    pub list: Vec<Change>,
}

impl Changes {
    /// Compares what is to be imported with what was imported last. Also what to compare the next import with.
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
            Baseline::Unknown => (Basis::Unknown, comparison.vanished().collect()),
            Baseline::Known(_) | Baseline::Nothing => (Basis::Compared, comparison.all()),
        };
        (Self { basis, list }, imported)
    }

    /// What is true although nothing was sent.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.list.retain(|change| change.kind == Kind::LeaveOut);
        self
    }

    /// How many people leave.
    pub fn leavers(&self) -> usize {
        self.list.iter().filter(|change| change.kind.is_leaving()).count()
    }
}

struct Comparison<'a> {
    before: &'a Imported,
    prepared: &'a Prepared,
    rules: &'a Rules,
    server: Server,
    /// Who leaves for being gone.
    missing: HashSet<&'a str>,
}

impl<'a> Comparison<'a> {
    fn all(&self) -> Vec<Change> {
        let people = self.joiners().chain(self.leavers()).chain(self.overwritten());
        people.chain(self.groups()).chain(self.left_out()).collect()
    }

    fn people(&self, fate: Fate) -> impl Iterator<Item = &'a Person> {
        self.prepared.people.iter().filter(move |person| person.fate == fate)
    }

    fn joiners(&self) -> impl Iterator<Item = Change> {
        let Imported { people, gone, .. } = self.before;
        // Somebody with another id than before is no newcomer: the server goes by the address.
        let addresses: HashSet<&str> = people.values().flatten().map(String::as_str).collect();
        let is_known = move |person: &Person| {
            let has_address = |email: &Email| addresses.contains(email.as_str());
            people.contains_key(&person.external_id) || person.email.as_ref().is_some_and(has_address)
        };
        let joiners = self.people(Fate::Stays).filter(move |person| !is_known(person));
        joiners.map(move |person| {
            let (kind, reason) = if gone.contains(&person.external_id) {
                (Kind::Restore, "in the directory again, or enabled again")
            } else {
                (Kind::Invite, "new among the people to import")
            };
            change(kind, person, person.email.as_ref().map(Email::as_str), reason)
        })
    }

    fn leavers(&self) -> impl Iterator<Item = Change> {
        let leavers = self.people(Fate::Leaves);
        let known = leavers.filter(|person| self.before.people.contains_key(&person.external_id));
        known.filter(|person| self.can_leave(person)).map(|person| self.leaver(person))
    }

    /// Those who were known to the last read, and are gone: also where nobody kept what was imported.
    fn vanished(&self) -> impl Iterator<Item = Change> {
        let vanished = self.people(Fate::Leaves).filter(|person| self.is_vanished(person));
        vanished.filter(|person| self.can_leave(person)).map(|person| self.leaver(person))
    }

    fn leaver(&self, person: &Person) -> Change {
        let before = self.before.people.get(&person.external_id).and_then(Option::as_deref);
        let email = person.email.as_ref().map(Email::as_str).or(before);
        let reason = match person.status {
            Status::Disabled => "disabled in the directory (sync.removeDisabled)",
            _ if self.is_vanished(person) => "the directory has the person no more (sync.removeMissing)",
            Status::Deleted | Status::Active => "deleted in the directory",
        };
        change(self.leaving(), person, email, reason)
    }

    fn leaving(&self) -> Kind {
        match self.server {
            Server::Official => Kind::Remove,
            Server::Vaultwarden => Kind::Revoke,
        }
    }

    fn is_vanished(&self, person: &Person) -> bool {
        !self.missing.is_empty() && self.missing.contains(&*person.label())
    }

    /// Vaultwarden cannot be told about somebody without an address.
    fn can_leave(&self, person: &Person) -> bool {
        self.server == Server::Official || person.email.is_some()
    }

    /// Overwriting removes everybody who is not in the import.
    fn overwritten(&self) -> impl Iterator<Item = Change> {
        let imported: HashSet<&ExternalId> = match self.rules.existing {
            ExistingMembers::Overwrite => {
                self.prepared.people.iter().map(|person| &person.external_id).collect()
            }
            ExistingMembers::Keep => self.before.people.keys().collect(),
        };
        let absent = self.before.people.iter().filter(move |(id, _)| !imported.contains(id));
        absent.map(|(id, email)| Change {
            kind: Kind::Remove,
            subject: Subject::Person {
                email: email.clone(),
                external_id: id.clone(),
                found_as: FoundAs::default(),
            },
            reason: "not in the import, which replaces everybody (sync.overwriteExisting)".to_owned(),
        })
    }

    fn groups(&self) -> impl Iterator<Item = Change> {
        self.prepared.groups.iter().filter_map(|group| {
            let (kind, reason) = match self.before.groups.get(&group.external_id) {
                None => (Kind::GroupCreate, format!("new, with {} member(s)", group.members.len())),
                Some(before) => (Kind::GroupChange, difference(before, &ImportedGroup::of(group))?),
            };
            let subject = Subject::Group { name: group.name.clone(), external_id: group.external_id.clone() };
            Some(Change { kind, subject, reason })
        })
    }

    fn left_out(&self) -> impl Iterator<Item = Change> {
        let all = left_out(self.prepared);
        all.filter(|(entry, reason)| !self.before.left_out.contains(&mark(entry, reason))).map(
            |(entry, reason)| Change {
                kind: Kind::LeaveOut,
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

fn change(kind: Kind, person: &Person, email: Option<&str>, reason: &str) -> Change {
    let subject = Subject::Person {
        email: email.map(str::to_owned),
        external_id: person.external_id.clone(),
        found_as: person.found_as.clone(),
    };
    Change { kind, subject, reason: reason.to_owned() }
}

fn difference(before: &ImportedGroup, now: &ImportedGroup) -> Option<String> {
    let renamed = (before.name != now.name).then(|| format!("was called {}", before.name));
    let members = (before.digest != now.digest).then(|| match (before.count, now.count) {
        (before, now) if before == now => format!("{now} member(s), others than before"),
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

/// Knows a pair again without keeping it.
fn mark(entry: &str, reason: &str) -> String {
    short([entry, reason].into_iter())
}

impl ImportedGroup {
    fn of(group: &PreparedGroup) -> Self {
        let digest = short(group.members.iter().map(ExternalId::as_str));
        Self { name: group.name.clone(), count: group.members.len(), digest }
    }
}

/// The first 96 bits of a SHA-256, each text with its length before it.
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

    /// Each change in short, and what is known then.
    fn told(baseline: Baseline<'_>, prepared: &Prepared, rules: &Rules) -> (Vec<String>, Imported) {
        let (Changes { list, .. }, imported) = Changes::of(baseline, prepared, rules, Server::Official);
        let name = |subject: &Subject| match subject {
            Subject::Person { external_id, .. } => external_id.to_string(),
            Subject::Group { name, .. } => name.clone(),
            Subject::Entry(entry) => entry.clone(),
        };
        let told = list.iter().map(|change| format!("{} {}", change.kind.word(), name(&change.subject)));
        (told.collect(), imported)
    }

    #[test]
    fn everybody_is_named_when_it_happens_and_never_again() {
        let rules = Rules::default();
        let first = prepared(&[stays("a"), stays("b"), leaves("old")], &[("Staff", &["a", "b"])]);
        let (list, known) = told(Baseline::Nothing, &first, &rules);
        assert_eq!(list, ["invite a", "invite b", "group-create Staff"]);
        assert!(told(Baseline::Known(&known), &first, &rules).0.is_empty());
        let second = prepared(&[stays("a"), leaves("b"), leaves("old")], &[("Staff", &["a"])]);
        let (list, known) = told(Baseline::Known(&known), &second, &rules);
        assert_eq!(list, ["remove b", "group-change Staff"]);
        assert!(told(Baseline::Known(&known), &second, &rules).0.is_empty());
        let third = prepared(&[stays("b")], &[]);
        let (list, known) = told(Baseline::Known(&known), &third, &rules);
        assert_eq!(list, ["restore b"]);
        // Who is absent from a read of changes is still there.
        assert!(told(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules).0.is_empty());
    }

    #[test]
    fn overwriting_removes_who_is_absent() {
        let rules = Rules { existing: ExistingMembers::Overwrite, ..Rules::default() };
        let (_, known) = told(Baseline::Nothing, &prepared(&[stays("a"), stays("b")], &[]), &rules);
        let (list, known) = told(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules);
        assert_eq!(list, ["remove b"]);
        assert!(told(Baseline::Known(&known), &prepared(&[stays("a")], &[]), &rules).0.is_empty());
    }

    /// After an update of the program, not the whole company is new.
    #[test]
    fn without_a_memory_only_what_is_certain_is_told() {
        let rules = Rules::default();
        let mut import = prepared(&[stays("a"), leaves("b"), leaves("c")], &[("Staff", &["a"])]);
        import.missing.people = vec![leaves("c").label()];
        let (list, known) = told(Baseline::Unknown, &import, &rules);
        assert_eq!(list, ["remove c"]);
        let next = prepared(&[stays("a"), stays("d"), leaves("b")], &[("Staff", &["a"])]);
        assert_eq!(told(Baseline::Known(&known), &next, &rules).0, ["invite d"]);
    }

    #[test]
    fn who_is_left_out_is_named_once_for_each_reason() {
        let rules = Rules::default();
        let with = |reason: &str| Prepared {
            notes: vec![
                Note::info(Step::Filter, "a@example.org (a)", reason),
                Note::info(Step::Read, "x", "a column"),
                Note::info(Step::Email, "", "about all"),
            ],
            ..prepared(&[], &[])
        };
        let (list, known) = told(Baseline::Nothing, &with("filtered"), &rules);
        assert_eq!(list, ["leave-out a@example.org (a)"]);
        assert!(told(Baseline::Known(&known), &with("filtered"), &rules).0.is_empty());
        assert_eq!(told(Baseline::Known(&known), &with("no address"), &rules).0.len(), 1);
    }

    #[test]
    fn another_id_for_a_known_address_is_no_newcomer() {
        let rules = Rules::default();
        let (_, known) = told(Baseline::Nothing, &prepared(&[stays("a")], &[]), &rules);
        let renamed = Person { external_id: "a2".into(), ..stays("a") };
        assert!(told(Baseline::Known(&known), &prepared(&[renamed], &[]), &rules).0.is_empty());
    }

    #[test]
    fn a_group_says_what_is_different() {
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
            "2 member(s), others than before"
        );
    }
}
