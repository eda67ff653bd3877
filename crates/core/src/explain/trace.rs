//! Steps of the decision with a look at one entry before and after each.

use std::collections::BTreeSet;

use foldhash::HashSet as FastSet;
use serde::Serialize;

use super::find::{GroupSubject, Person as PersonSubject, Subject};
use super::{DirectoryRead, Facts, InDirectory, InEntry};
use crate::entry::{Email, ExternalId, FoundAs, Group, Status, User};
use crate::note::Note;
use crate::organization::directory::PeopleRead;
use crate::prepare::groups::{Reached, Role, Through, reached};
use crate::prepare::validate::why_unacceptable;
use crate::prepare::{BadRecord, Draft, Fate, Person, PreparedGroup, Stage, begun};
use crate::rules::{DisabledUsers, Nesting, Rules};

/// Steps from the directory to the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StepName {
    /// The directory's own filter.
    Read,
    /// Whether the account is in use.
    Status,
    /// `sync.groupFilter`, for a group.
    GroupsToKeep,
    /// Joining of the directories of a merge.
    Merge,
    /// A step of [`crate::prepare()`].
    #[serde(untagged)]
    Stage(Stage),
}

/// Effect of a step on an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It goes on as it was.
    Passed,
    /// It goes on otherwise.
    Changed,
    /// It is left out here.
    LeftOut,
}

/// A step, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct TracedStep {
    pub step: StepName,
    pub effect: Effect,
    pub text: String,
}

/// Whether a membership is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MembershipState {
    /// It is imported.
    Imported,
    /// The group filter leaves the group out.
    GroupLeftOut,
    /// The group is read for its members only.
    Outside,
    /// Every way leads through a group that the filter leaves out.
    NotThroughGroups,
    /// The group is a bad record.
    GroupRefused,
}

/// Membership in a group, with the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Membership {
    pub group: String,
    pub external_id: String,
    pub state: MembershipState,
    /// Names from this group down to the one that lists the person.
    pub path: Vec<String>,
    pub text: String,
}

/// Every directory with the entries that are meant.
pub(super) fn directories(facts: &Facts<'_>, subject: &Subject) -> Vec<InDirectory> {
    let in_directory = |directory: &DirectoryRead<'_>| {
        let snapshot = directory.snapshot;
        let tracing = Tracing { facts, directory };
        InDirectory {
            directory: directory.name.to_owned(),
            place: snapshot.place.as_ref().map(ToString::to_string),
            people_read: snapshot.users.len() + snapshot.others.len(),
            groups_read: snapshot.groups.len() + snapshot.other_groups.len(),
            entries: match subject {
                Subject::Person(person) => tracing.people(person),
                Subject::Group(group) => tracing.groups(group),
            },
        }
    };
    facts.directories.iter().map(in_directory).collect()
}

/// What the steps made of somebody: for comparison with the decision itself.
pub(super) struct Trace {
    pub(super) steps: Vec<TracedStep>,
    /// After the last step.
    pub(super) people: Vec<Person>,
    pub(super) draft: Draft,
}

/// Runs the steps one by one and looks at a person before and after each.
pub(super) fn person(directory: &DirectoryRead<'_>, id: &ExternalId) -> Trace {
    let (mut draft, given) = begun(directory.snapshot.clone(), directory.rules);
    let mut steps = Vec::new();
    for stage in Stage::ALL {
        let before = sight(&draft, id);
        if before.is_empty() {
            break;
        }
        let rivals = rivals(&draft, &before);
        let look = (draft.notes.len(), draft.bad_records.len());
        draft = stage.run(draft, &given);
        let after = sight(&draft, id);
        let labels: Vec<String> = before.iter().map(Person::label).collect();
        let said = said(&draft, look, &labels);
        let looked = Looked { stage, before: &before, after: &after, rivals: &rivals, directory };
        steps.push(looked.step(said));
    }
    let people = sight(&draft, id);
    Trace { steps, people, draft }
}

fn sight(draft: &Draft, id: &ExternalId) -> Vec<Person> {
    draft.people.iter().filter(|person| person.external_id == *id).cloned().collect()
}

/// Others with an address of theirs who stay.
fn rivals(draft: &Draft, people: &[Person]) -> Vec<String> {
    let has_same = |other: &&Person| {
        let is_other = people.iter().all(|person| person.external_id != other.external_id);
        is_other && other.fate == Fate::Stays && people.iter().any(|person| person.email == other.email)
    };
    draft.people.iter().filter(has_same).map(Person::entry).collect()
}

/// Reasons that a step has given for entries with these labels.
fn said(draft: &Draft, (notes, bad_records): (usize, usize), labels: &[String]) -> Vec<String> {
    let notes = draft.notes.iter().skip(notes).filter(|note: &&Note| labels.contains(&note.entry));
    let bad = draft.bad_records.iter().skip(bad_records);
    let bad = bad.filter(|record: &&BadRecord| record.entries.iter().any(|entry| labels.contains(entry)));
    notes.map(|note| note.reason.clone()).chain(bad.map(|record| record.problem.clone())).collect()
}

/// A person before and after a step.
struct Looked<'a> {
    stage: Stage,
    before: &'a [Person],
    after: &'a [Person],
    rivals: &'a [String],
    directory: &'a DirectoryRead<'a>,
}

impl Looked<'_> {
    fn step(&self, said: Vec<String>) -> TracedStep {
        let effect = match self.after {
            [] => Effect::LeftOut,
            after if after == self.before => Effect::Passed,
            _ => Effect::Changed,
        };
        let mut parts: Vec<String> = self.cause(effect).into_iter().chain(said).collect();
        match effect {
            Effect::Passed => parts.push(self.passed()),
            Effect::Changed => parts.push(self.changed().to_owned()),
            Effect::LeftOut => parts.extend(self.detail()),
        }
        TracedStep { step: StepName::Stage(self.stage), effect, text: parts.join("; ") }
    }

    fn rules(&self) -> &Rules {
        self.directory.rules
    }

    fn is_leaver(&self) -> bool {
        self.before.iter().all(|person| person.fate == Fate::Leaves)
    }

    fn email(&self) -> Option<&str> {
        self.address().map(Email::as_str)
    }

    fn address(&self) -> Option<&Email> {
        self.before.iter().find_map(|person| person.email.as_ref())
    }

    /// What would keep somebody out whatever the filter says. No filter names what is no address.
    fn cause(&self, effect: Effect) -> Option<String> {
        let is_filtered = self.stage == Stage::UserFilter && effect == Effect::LeftOut && !self.is_leaver();
        self.address().filter(|_| is_filtered).and_then(why_unacceptable)
    }

    /// Clause of the user filter that decides.
    fn clause(&self) -> Option<String> {
        let filter = self.rules().user_filter.as_ref()?;
        Some(filter.clause(self.email()?))
    }

    fn passed(&self) -> String {
        let text = match self.stage {
            Stage::LeaversAddress => match self.is_leaver() {
                true => "leaves, and the address can be sent",
                false => "not a leaver",
            },
            Stage::UserFilter => return self.clause().unwrap_or_else(|| self.unfiltered().to_owned()),
            Stage::GroupFilter => match (&self.rules().group_filter, self.is_leaver()) {
                (None, _) => "sync.groupFilter has no `include:` or `exclude:`",
                (Some(_), true) => "a leaver is not looked for in groups",
                (Some(_), false) => "in a group that the group filter keeps",
            },
            Stage::Email => match self.is_leaver() {
                true => "a leaver needs no address",
                false => "has an address",
            },
            Stage::Leavers => match self.is_leaver() {
                true => "no active account has the same address",
                false => "not a leaver",
            },
            Stage::ExternalIds => "no other account has the external id",
            Stage::Addresses => "no other account to import has the address",
            Stage::Validate => "the server accepts id and address",
        };
        text.to_owned()
    }

    fn unfiltered(&self) -> &'static str {
        match self.rules().user_filter {
            None => "sync.userFilter has no `include:` or `exclude:`",
            Some(_) if self.is_leaver() => "a leaver without an address cannot be checked, and is kept",
            Some(_) => "no address that the filter could check",
        }
    }

    fn changed(&self) -> &'static str {
        match self.stage {
            Stage::LeaversAddress => {
                "the server would not accept the address of this leaver, so it is not sent"
            }
            _ => "one of several accounts with the external id counts",
        }
    }

    /// What the reason of the step does not name.
    fn detail(&self) -> Option<String> {
        match self.stage {
            Stage::UserFilter => self.clause(),
            Stage::Leavers => Some(listed("accounts with the address", &self.living())),
            Stage::Addresses => {
                Some(listed("account with the address", self.rivals)).filter(|_| !self.rivals.is_empty())
            }
            _ => None,
        }
    }

    /// Active accounts of the directory with the address.
    fn living(&self) -> Vec<String> {
        let snapshot = self.directory.snapshot;
        let users = snapshot.users.iter().chain(&snapshot.others);
        let is_rival = |user: &&User| {
            let stays = crate::prepare::fate(user.status, self.rules()) == Fate::Stays;
            stays && user.email.as_ref().map(|email| email.as_str()) == self.email()
        };
        users.filter(is_rival).map(|user| user.found_as.with_id(&user.external_id)).collect()
    }
}

fn listed(what: &str, names: &[String]) -> String {
    format!("{what}: {}", names.join(", "))
}

struct Tracing<'a> {
    facts: &'a Facts<'a>,
    directory: &'a DirectoryRead<'a>,
}

impl Tracing<'_> {
    fn people(&self, subject: &PersonSubject) -> Vec<InEntry> {
        let snapshot = self.directory.snapshot;
        let is_meant = |user: &&User| subject.ids.contains(&user.external_id);
        let asked = snapshot.users.iter().filter(is_meant).map(|user| (user, Asked::For));
        let beside = snapshot.others.iter().filter(is_meant).map(|user| (user, Asked::Beside));
        let mut seen: BTreeSet<&User> = BTreeSet::new();
        let each = asked.chain(beside).filter(|(user, _)| seen.insert(user));
        each.map(|(user, asked)| self.entry(user, asked)).collect()
    }

    fn entry(&self, user: &User, asked: Asked) -> InEntry {
        let mut steps = vec![self.read(user, asked)];
        if asked == Asked::For {
            steps.extend(self.status(user));
            let trace = person(self.directory, &user.external_id);
            steps.extend(trace.steps);
            steps.extend(self.merged(&trace.people, &trace.draft));
        }
        InEntry {
            external_id: user.external_id.to_string(),
            found_as: found_as(&user.found_as, user.reference_id.as_str(), &user.external_id),
            name: user.email.as_ref().map(ToString::to_string),
            status: Some(user.status),
            steps,
            memberships: self.memberships(user),
            member_count: None,
        }
    }

    fn read(&self, user: &User, asked: Asked) -> TracedStep {
        let names = [
            Some(user.external_id.as_str()),
            user.email.as_ref().map(|email| email.as_str()),
            user.found_as.as_str(),
        ];
        let notes = self.directory.snapshot.notes.iter();
        let about = notes.filter(|note| !note.entry.is_empty() && names.contains(&Some(note.entry.as_str())));
        let mut reasons: Vec<String> = about.map(|note| note.reason.clone()).collect();
        let (effect, text) = match (asked, self.directory.people) {
            (Asked::For, _) => (Effect::Passed, "found by the search for people"),
            (Asked::Beside, PeopleRead::NotImported) => {
                (Effect::LeftOut, "sync.users is off: people are read as members of groups only")
            }
            (Asked::Beside, PeopleRead::Imported) => (
                Effect::LeftOut,
                "in the directory, but not matched by the search for people (sync.userFilter)",
            ),
        };
        reasons.insert(0, text.to_owned());
        TracedStep { step: StepName::Read, effect, text: reasons.join("; ") }
    }

    fn status(&self, user: &User) -> Option<TracedStep> {
        let text = match (user.status, self.directory.rules.disabled) {
            (Status::Active, _) => return None,
            (Status::Disabled, DisabledUsers::Keep) => "disabled, and stays: sync.removeDisabled is false",
            (Status::Disabled, DisabledUsers::Remove) => "disabled, and leaves: sync.removeDisabled is true",
            (Status::Deleted, _) => "deleted in the directory, and leaves",
        };
        let effect = match crate::prepare::fate(user.status, self.directory.rules) {
            Fate::Stays => Effect::Passed,
            Fate::Leaves => Effect::Changed,
        };
        Some(TracedStep { step: StepName::Status, effect, text: text.to_owned() })
    }

    /// What joining the directories did to somebody whom this one imports.
    fn merged(&self, people: &[Person], own: &Draft) -> Option<TracedStep> {
        if self.facts.directories.len() < 2 || people.is_empty() {
            return None;
        }
        let prepared = self.facts.prepared;
        let name = self.directory.name;
        let labels: Vec<String> = people.iter().map(|person| format!("{name}: {}", person.label())).collect();
        let is_own = |note: &Note| own.notes.iter().any(|own| note.reason == own.reason);
        let notes = prepared.notes.iter().filter(|note| labels.contains(&note.entry) && !is_own(note));
        let mut reasons: Vec<String> = notes.map(|note| note.reason.clone()).collect();
        let is_there = |person: &Person| {
            prepared
                .people
                .iter()
                .any(|other| other.external_id == person.external_id && other.fate == person.fate)
        };
        let is_in = people.iter().any(is_there);
        if !is_in {
            let ids: Vec<&str> = people.iter().map(|person| person.external_id.as_str()).collect();
            let is_about = |record: &&BadRecord| {
                let is_ours = |entry: &String| entry.starts_with(&format!("{name}: "));
                record.entries.iter().any(is_ours) && ids.iter().any(|id| record.problem.contains(id))
            };
            reasons.extend(prepared.bad_records.iter().filter(is_about).map(|record| record.problem.clone()));
            reasons.extend(self.instead(people));
        }
        if reasons.is_empty() {
            reasons.push("no other directory contradicts".to_owned());
        }
        let effect = if is_in { Effect::Passed } else { Effect::LeftOut };
        Some(TracedStep { step: StepName::Merge, effect, text: reasons.join("; ") })
    }

    /// The account that is imported with the same address.
    fn instead(&self, people: &[Person]) -> Option<String> {
        let email = people.iter().find_map(|person| person.email.as_ref())?;
        let other = self.facts.prepared.people.iter().find(|other| other.email.as_ref() == Some(email))?;
        let id = &other.external_id;
        Some(format!("{email} is imported under the external id {id}"))
    }

    fn memberships(&self, user: &User) -> Vec<Membership> {
        if user.status == Status::Deleted {
            return Vec::new();
        }
        let found = reached(self.directory.snapshot, self.directory.rules, &user.external_id);
        if found.is_empty() {
            return Vec::new();
        }
        let prepared: FastSet<&ExternalId> =
            self.facts.prepared.groups.iter().map(|group| &group.external_id).collect();
        found.into_iter().map(|reached| self.membership(&reached, &prepared)).collect()
    }

    fn membership(&self, reached: &Reached<'_>, prepared: &FastSet<&ExternalId>) -> Membership {
        let Reached { group, role, path, through } = reached;
        let is_prepared = prepared.contains(&group.external_id);
        let names: Vec<String> = path.iter().map(|group| group.name.clone()).collect();
        let way = names.join(" > ");
        let (state, why) = match (role, through) {
            (Role::LeftOut, _) => {
                let clause =
                    self.directory.rules.group_filter.as_ref().map(|filter| filter.clause(&group.name));
                (
                    MembershipState::GroupLeftOut,
                    format!("left out by the group filter: {}", clause.unwrap_or_default()),
                )
            }
            (Role::Outside, _) => {
                (MembershipState::Outside, "outside what is synced, read for its members".to_owned())
            }
            (Role::Synced, Through::LeftOutGroup) => (
                MembershipState::NotThroughGroups,
                "only through a group that the group filter leaves out (sync.nestedGroups)".to_owned(),
            ),
            (Role::Synced, Through::Open) if !is_prepared => {
                (MembershipState::GroupRefused, "the group cannot be imported".to_owned())
            }
            (Role::Synced, Through::Open) => (MembershipState::Imported, "imported".to_owned()),
        };
        let text = if names.len() > 1 { format!("{why}; by nesting: {way}") } else { why };
        Membership {
            group: format!("{}{}", self.directory.prefix, group.name),
            external_id: group.external_id.to_string(),
            state,
            path: names,
            text,
        }
    }

    fn groups(&self, subject: &GroupSubject) -> Vec<InEntry> {
        let snapshot = self.directory.snapshot;
        let is_meant = |group: &&Group| subject.ids.contains(&group.external_id);
        let asked = snapshot.groups.iter().filter(is_meant).map(|group| (group, Asked::For));
        let beside = snapshot.other_groups.iter().filter(is_meant).map(|group| (group, Asked::Beside));
        asked.chain(beside).map(|(group, asked)| self.group(group, asked)).collect()
    }

    fn group(&self, group: &Group, asked: Asked) -> InEntry {
        let (draft, given) = begun(snapshot_of(self.directory), self.directory.rules);
        let members = |draft: &Draft| {
            let found = draft.groups.iter().find(|known| known.external_id == group.external_id);
            found.map(|group| group.members.len())
        };
        let member_count = members(&draft);
        let mut steps = Vec::new();
        if asked == Asked::Beside {
            let text = "outside the search for groups, read for its members only".to_owned();
            steps.push(TracedStep { step: StepName::Read, effect: Effect::LeftOut, text });
        } else {
            let text = "found by the search for groups".to_owned();
            steps.push(TracedStep { step: StepName::Read, effect: Effect::Passed, text });
            steps.push(self.kept(group, member_count));
        }
        if member_count.is_some() {
            steps.push(valid(draft, group, |draft| Stage::Validate.run(draft, &given)));
        }
        InEntry {
            external_id: group.external_id.to_string(),
            found_as: found_as(&group.found_as, group.reference_id.as_str(), &group.external_id),
            name: Some(group.name.clone()),
            status: None,
            steps,
            memberships: self.parents(group),
            member_count,
        }
    }

    fn kept(&self, group: &Group, members: Option<usize>) -> TracedStep {
        let clause = self.directory.rules.group_filter.as_ref().map(|filter| filter.clause(&group.name));
        let clause = clause.unwrap_or_else(|| "sync.groupFilter has no `include:` or `exclude:`".to_owned());
        let (effect, text) = match members {
            Some(members) => (Effect::Passed, format!("{clause}; members, nested ones included: {members}")),
            None => (Effect::LeftOut, format!("left out by the group filter: {clause}")),
        };
        TracedStep { step: StepName::GroupsToKeep, effect, text }
    }

    /// Groups that list this one.
    fn parents(&self, group: &Group) -> Vec<Membership> {
        let snapshot = self.directory.snapshot;
        let is_parent = |parent: &&Group| parent.members.contains(&group.reference_id);
        let rules = self.directory.rules;
        let counts = match (rules.nesting, &rules.group_filter) {
            (Nesting::KeptGroups, Some(filter)) => filter.keeps(&group.name),
            _ => true,
        };
        let parents = snapshot.groups.iter().chain(&snapshot.other_groups).filter(is_parent);
        let membership = |parent: &Group| Membership {
            group: format!("{}{}", self.directory.prefix, parent.name),
            external_id: parent.external_id.to_string(),
            state: if counts { MembershipState::Imported } else { MembershipState::NotThroughGroups },
            path: vec![parent.name.clone(), group.name.clone()],
            text: if counts {
                "its members are members of this group too".to_owned()
            } else {
                "the group filter leaves it out, so its members do not count here (sync.nestedGroups)"
                    .to_owned()
            },
        };
        parents.map(membership).collect()
    }
}

/// Whether a directory was asked for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    For,
    Beside,
}

fn snapshot_of(directory: &DirectoryRead<'_>) -> crate::Snapshot {
    directory.snapshot.clone()
}

/// Whether the server accepts a group.
fn valid(draft: Draft, group: &Group, validate: impl FnOnce(Draft) -> Draft) -> TracedStep {
    let has = |draft: &Draft| draft.groups.iter().any(|known| known.external_id == group.external_id);
    let mut labels: Vec<String> = draft
        .groups
        .iter()
        .filter(|known| known.external_id == group.external_id)
        .map(PreparedGroup::label)
        .collect();
    labels.push(group.name.clone());
    let look = (draft.notes.len(), draft.bad_records.len());
    let after = validate(draft);
    let (effect, text) = if has(&after) {
        (Effect::Passed, "the server accepts id and name".to_owned())
    } else {
        (Effect::LeftOut, said(&after, look, &labels).join("; "))
    };
    TracedStep { step: StepName::Stage(Stage::Validate), effect, text }
}

fn found_as(found_as: &FoundAs, reference: &str, id: &ExternalId) -> Option<String> {
    let name = found_as.as_str().unwrap_or(reference);
    Some(name.to_owned()).filter(|name| name != id.as_str())
}
