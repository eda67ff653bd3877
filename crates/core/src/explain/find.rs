//! Who is meant by an address, an id or a name.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Facts;
use crate::entry::{Email, ExternalId, Group, User};
use crate::organization::Ledger;
use crate::organization::identity::Match;
use crate::organization::ledger::Record;
use crate::organization::roster::{self, GroupId, Member, MemberId};

/// Text that was asked for, and ids that the directories gave for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// As it was typed, without the kind.
    pub text: String,
    /// Whether a person or a group is meant. None if it may be either.
    pub kind: Option<SubjectKind>,
    /// Ids of people that a directory found by it.
    pub people: Vec<ExternalId>,
    /// Ids of groups that a directory found by it.
    pub groups: Vec<ExternalId>,
}

impl Sought {
    /// Reads what somebody typed: `user:ID` is a person, `group:ID` a group, anything else may be either.
    pub fn of(typed: &str) -> Self {
        let typed = typed.trim();
        let narrowed = typed.split_once(':').and_then(|(word, text)| {
            let kind = match word.to_ascii_lowercase().as_str() {
                "user" => SubjectKind::Person,
                "group" => SubjectKind::Group,
                _ => return None,
            };
            Some((kind, text.trim())).filter(|(_, text)| !text.is_empty())
        });
        match narrowed {
            Some((kind, text)) => Self { text: text.to_owned(), kind: Some(kind), ..Self::default() },
            None => Self { text: typed.to_owned(), ..Self::default() },
        }
    }

    fn means(&self, subject: &Subject) -> bool {
        self.kind.is_none_or(|kind| kind == subject.kind())
    }
}

/// Kind of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectKind {
    /// A person.
    Person,
    /// A group.
    Group,
}

/// One of several who have a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Candidate {
    pub subject: SubjectKind,
    pub name: String,
    pub id: String,
}

/// Person or group with everything by which it is known.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Person(Person),
    Group(GroupSubject),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    /// In the directory and in the organization.
    pub(super) ids: BTreeSet<ExternalId>,
    pub(super) emails: BTreeSet<Email>,
    pub(super) members: BTreeSet<MemberId>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct GroupSubject {
    pub(super) ids: BTreeSet<ExternalId>,
    pub(super) names: BTreeSet<String>,
    pub(super) groups: BTreeSet<GroupId>,
}

impl Subject {
    pub(super) fn kind(&self) -> SubjectKind {
        match self {
            Self::Person(_) => SubjectKind::Person,
            Self::Group(_) => SubjectKind::Group,
        }
    }

    fn candidate(&self) -> Candidate {
        let first = |ids: &BTreeSet<ExternalId>| ids.first().map(ToString::to_string);
        match self {
            Self::Person(Person { ids, emails, members }) => Candidate {
                subject: SubjectKind::Person,
                name: emails.first().map(ToString::to_string).unwrap_or_default(),
                id: first(ids).or_else(|| members.first().map(ToString::to_string)).unwrap_or_default(),
            },
            Self::Group(GroupSubject { ids, names, groups }) => Candidate {
                subject: SubjectKind::Group,
                name: names.first().cloned().unwrap_or_default(),
                id: first(ids).or_else(|| groups.first().map(ToString::to_string)).unwrap_or_default(),
            },
        }
    }
}

pub(super) enum Found {
    One(Subject),
    Several(Vec<Candidate>),
    Nobody,
}

impl Found {
    fn among(mut subjects: Vec<Subject>) -> Self {
        match subjects.pop() {
            None => Self::Nobody,
            Some(only) if subjects.is_empty() => Self::One(only),
            Some(last) => {
                subjects.push(last);
                let mut candidates: Vec<Candidate> = subjects.iter().map(Subject::candidate).collect();
                candidates.sort();
                Self::Several(candidates)
            }
        }
    }
}

/// Looks in the directories, in the organization and in the ledger: by addresses and ids first, then by names.
pub(super) fn find(facts: &Facts<'_>, sought: &Sought) -> Found {
    let text = Text::of(&sought.text);
    let search = Search { facts, text: &text };
    let exact = search.person().into_iter().chain(search.groups(Search::has_group_id));
    let exact: Vec<Subject> = exact.filter(|subject| sought.means(subject)).collect();
    if !exact.is_empty() {
        return Found::among(exact);
    }
    let named = search.people_named(sought).into_iter().chain(search.groups_named(sought));
    Found::among(named.filter(|subject| sought.means(subject)).collect())
}

/// Looks in the ledger alone.
pub(super) fn in_ledger(ledger: &Ledger, sought: &Sought) -> Found {
    let text = Text::of(&sought.text);
    let mut person = Person::default();
    for (id, record) in ledger.people().filter(|(id, record)| text.is_record(id, record)) {
        person.add_record(id, record);
    }
    let mut subjects = Vec::new();
    if !person.ids.is_empty() {
        subjects.push(Subject::Person(person));
    }
    let groups = ledger.groups().filter(|(id, group)| text.is(id.as_str()) || text.is(&group.name));
    subjects.extend(groups.map(|(id, group)| {
        Subject::Group(GroupSubject {
            ids: BTreeSet::from([id.clone()]),
            names: BTreeSet::from([group.name.clone()]),
            groups: BTreeSet::new(),
        })
    }));
    subjects.retain(|subject| sought.means(subject));
    Found::among(subjects)
}

/// A text, compared without regard to case and outer blanks.
struct Text(String);

impl Text {
    fn of(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    fn is(&self, other: &str) -> bool {
        other.trim().to_lowercase() == self.0
    }

    /// Address, id, reference or name by which a directory has somebody.
    fn is_user(&self, user: &User) -> bool {
        user.email.as_ref().is_some_and(|email| self.is(email.as_str()))
            || self.is(user.external_id.as_str())
            || self.is(user.reference_id.as_str())
            || user.found_as.as_str().is_some_and(|name| self.is(name))
    }

    fn is_record(&self, id: &ExternalId, record: &Record) -> bool {
        self.is(id.as_str())
            || self.is(record.email.as_str())
            || record.ids.keys().any(|id| self.is(id.as_str()))
    }

    fn is_member(&self, member: &Member) -> bool {
        self.is(member.email.as_str())
            || self.is(member.id.as_str())
            || member.external_id.as_ref().is_some_and(|id| self.is(id.as_str()))
    }

    /// The name in a DN: `Jane Doe` in `cn=jane doe,ou=people,dc=x`.
    fn is_name_in(&self, dn: &str) -> bool {
        let first = dn.split_once(',').map(|(first, _)| first);
        first.and_then(|first| first.split_once('=')).is_some_and(|(_, name)| self.is(name))
    }
}

impl Person {
    fn add_record(&mut self, id: &ExternalId, record: &Record) {
        self.ids.insert(id.clone());
        self.ids.extend(record.ids.keys().cloned());
        self.emails.insert(record.email.clone());
    }

    fn add_member(&mut self, member: &Member) {
        self.members.insert(member.id.clone());
        self.emails.insert(member.email.clone());
        self.ids.extend(member.external_id.clone());
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.members.is_empty()
    }
}

struct Search<'a> {
    facts: &'a Facts<'a>,
    text: &'a Text,
}

impl Search<'_> {
    fn users(&self) -> impl Iterator<Item = &User> {
        let snapshots = self.facts.directories.iter().map(|directory| directory.snapshot);
        snapshots.flat_map(|snapshot| snapshot.users.iter().chain(&snapshot.others))
    }

    /// Whoever has the text as an address or an id; several accounts with one address are explained together.
    fn person(&self) -> Option<Subject> {
        let question = &self.facts.question;
        let mut person = Person::default();
        for user in self.users().filter(|user| self.text.is_user(user)) {
            person.ids.insert(user.external_id.clone());
            person.emails.extend(user.email.clone());
        }
        question.roster.members().filter(|member| self.text.is_member(member)).for_each(|member| {
            person.add_member(member);
        });
        for (id, record) in question.ledger.people().filter(|(id, record)| self.text.is_record(id, record)) {
            person.add_record(id, record);
        }
        (!person.is_empty()).then(|| Subject::Person(self.completed(person)))
    }

    /// Adds what else is known of a person: other ids, the membership, accounts in other directories.
    fn completed(&self, mut person: Person) -> Person {
        loop {
            let before = (person.ids.len(), person.members.len());
            self.complete(&mut person);
            if (person.ids.len(), person.members.len()) == before {
                break;
            }
        }
        let emails = self.users().filter(|user| person.ids.contains(&user.external_id));
        let emails: Vec<Email> = emails.filter_map(|user| user.email.clone()).collect();
        person.emails.extend(emails);
        person
    }

    fn complete(&self, person: &mut Person) {
        let (question, changes) = (&self.facts.question, self.facts.changes);
        let identities = &changes.identities;
        for (id, record) in question.ledger.people() {
            if person.ids.contains(id) || record.ids.keys().any(|id| person.ids.contains(id)) {
                person.add_record(id, record);
            }
        }
        let by_id = person.ids.iter().filter_map(|id| identities.by_id.get(id).copied());
        let by_member = person.members.iter().filter_map(|id| identities.by_member.get(id).copied());
        let humans: BTreeSet<usize> = by_id.chain(by_member).collect();
        for at in humans {
            if let Some(human) = identities.humans.get(at) {
                person.ids.extend(human.ids.iter().cloned());
            }
            if let Some(Match::Member { member, .. }) = identities.matches.get(at) {
                person.members.insert(member.clone());
            }
        }
        for member in question.roster.members() {
            let has_id = member.external_id.as_ref().is_some_and(|id| person.ids.contains(id));
            if has_id || person.members.contains(&member.id) {
                person.add_member(member);
            }
        }
    }

    /// People of the directories with this name, or whom a directory has found by it.
    fn people_named(&self, sought: &Sought) -> Vec<Subject> {
        let mut people: Vec<Person> = Vec::new();
        let is_named = |user: &&User| {
            sought.people.contains(&user.external_id)
                || self.text.is_name_in(user.reference_id.as_str())
                || self.text.is_name_in(user.external_id.as_str())
        };
        for user in self.users().filter(is_named) {
            if people.iter().any(|person| person.ids.contains(&user.external_id)) {
                continue;
            }
            let ids = BTreeSet::from([user.external_id.clone()]);
            let emails = user.email.clone().into_iter().collect();
            people.push(self.completed(Person { ids, emails, members: BTreeSet::new() }));
        }
        people.into_iter().map(Subject::Person).collect()
    }

    fn has_group_id(&self, group: &AnyGroup<'_>) -> bool {
        match group {
            AnyGroup::Directory(group, _) => {
                self.text.is(group.external_id.as_str()) || self.text.is(group.reference_id.as_str())
            }
            AnyGroup::Organization(group) => {
                self.text.is(group.id.as_str())
                    || group.external_id.as_ref().is_some_and(|id| self.text.is(id.as_str()))
            }
            AnyGroup::Ledger(id, _) => self.text.is(id.as_str()),
        }
    }

    fn groups_named(&self, sought: &Sought) -> Vec<Subject> {
        self.groups(|search, group| match group {
            AnyGroup::Directory(group, prefix) => {
                search.text.is(&group.name)
                    || search.text.is(&format!("{prefix}{}", group.name))
                    || sought.groups.contains(&group.external_id)
            }
            AnyGroup::Organization(group) => search.text.is(&group.name),
            AnyGroup::Ledger(_, name) => search.text.is(name),
        })
    }

    /// Groups that are meant, each once, wherever it is known.
    fn groups(&self, is_meant: impl Fn(&Self, &AnyGroup<'_>) -> bool) -> Vec<Subject> {
        let mut subjects: Vec<GroupSubject> = Vec::new();
        for group in self.all_groups().filter(|group| is_meant(self, group)) {
            let id = group.external_id();
            let same = subjects.iter_mut().find(|known| id.is_some_and(|id| known.ids.contains(id)));
            match same {
                Some(known) => group.add_to(known),
                None => {
                    let mut subject = GroupSubject::default();
                    group.add_to(&mut subject);
                    subjects.push(subject);
                }
            }
        }
        for subject in &mut subjects {
            let ids = subject.ids.clone();
            let is_same = |group: &AnyGroup<'_>| group.external_id().is_some_and(|id| ids.contains(id));
            self.all_groups().filter(is_same).for_each(|group| group.add_to(subject));
        }
        subjects.into_iter().map(Subject::Group).collect()
    }

    fn all_groups(&self) -> impl Iterator<Item = AnyGroup<'_>> {
        let of_directory = self.facts.directories.iter().flat_map(|directory| {
            let groups = directory.snapshot.groups.iter().chain(&directory.snapshot.other_groups);
            groups.map(|group| AnyGroup::Directory(group, directory.prefix))
        });
        let question = &self.facts.question;
        let of_organization = question.roster.groups().map(AnyGroup::Organization);
        let of_ledger = question.ledger.groups().map(|(id, group)| AnyGroup::Ledger(id, &group.name));
        of_directory.chain(of_organization).chain(of_ledger)
    }
}

/// A group, wherever it is known.
enum AnyGroup<'a> {
    /// With the prefix that names of its directory get.
    Directory(&'a Group, &'a str),
    Organization(&'a roster::Group),
    Ledger(&'a ExternalId, &'a str),
}

impl AnyGroup<'_> {
    fn external_id(&self) -> Option<&ExternalId> {
        match self {
            Self::Directory(group, _) => Some(&group.external_id),
            Self::Organization(group) => group.external_id.as_ref(),
            Self::Ledger(id, _) => Some(id),
        }
    }

    fn add_to(&self, subject: &mut GroupSubject) {
        subject.ids.extend(self.external_id().cloned());
        match self {
            Self::Directory(group, prefix) => {
                subject.names.insert(format!("{prefix}{}", group.name));
            }
            Self::Organization(group) => {
                subject.names.insert(group.name.clone());
                subject.groups.insert(group.id.clone());
            }
            Self::Ledger(_, name) => {
                subject.names.insert((*name).to_owned());
            }
        }
    }
}
