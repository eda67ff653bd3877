//! The directory as a sync finds it now: everybody who was met, whatever the filters say, and the groups to import.

use std::collections::BTreeSet;
use std::hash::Hash as _;

use foldhash::HashSet as FastSet;
use serde::{Deserialize, Serialize};

use crate::entry::{Email, ExternalId, FoundAs, Status, User};
use crate::prepare::{Fate, Prepared, PreparedGroup, fate, validate};
use crate::rules::Rules;
pub use crate::snapshot::Place;
use crate::snapshot::{Coverage, Snapshot};
use crate::text::ContentHasher;
use crate::texts::ByText;

use super::moment::Moment;

/// A directory, or several that make one import, as they were read in this run.
#[derive(Clone, Debug, Default)]
pub struct DirectoryNow {
    /// Everybody who was met, in any order.
    pub people: Vec<Entry>,
    /// One for each directory.
    pub sources: Vec<Source>,
    /// Whether groups were read, and how.
    pub groups_read: GroupsRead,
    /// The groups to import, in the order of external ids.
    pub groups: Vec<PreparedGroup>,
    /// External ids of groups that are there and cannot be imported: they have not vanished.
    pub unusable_groups: BTreeSet<ExternalId>,
}

/// One account of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The directory's id.
    pub id: ExternalId,
    /// The address, if there is one that the server accepts.
    pub email: Option<Email>,
    /// Which of [`DirectoryNow::sources`].
    pub source: usize,
    /// Whether it is alive, and imported.
    pub state: State,
    /// Creation time of the entry, as the directory has it.
    pub created: Option<Moment>,
    /// Where the id alone does not say who it is.
    pub found_as: FoundAs,
}

/// Meaning of an entry for a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Alive, and among the people to import.
    Imported,
    /// Alive, and not among them.
    LeftOut(LeftOut),
    /// A tombstone, or a row that says so.
    Deleted,
    /// Switched off, and `sync.removeDisabled` is on.
    Disabled(Scope),
}

/// Whether the filters match somebody who leaves for being switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// They do.
    Matched,
    /// They do not: only whom the ledger knows leaves.
    LeftOut,
}

impl State {
    /// Whether the entry is alive.
    pub fn is_living(self) -> bool {
        matches!(self, Self::Imported | Self::LeftOut(_))
    }
}

/// Reasons why a living entry is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// A filter does not match it, in a complete read.
    Filter,
    /// It has no address, is a bad record, has a twin, or was read beside what was asked for.
    Other,
}

/// One directory of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Place that was read. None where absence says nothing about a person.
    pub place: Option<Place>,
    /// Places of [`super::Ledger::places`] that lie within this one: read completely with it.
    pub covers: Vec<Place>,
    /// Whether everybody in the place was read, whatever the filters.
    pub coverage: Coverage,
    /// All filters on people and groups, as text: equal texts match the same people.
    pub filters: String,
}

/// Whether being absent from the groups means anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupsRead {
    /// They are not synced.
    #[default]
    No,
    /// Only some were read.
    Changes,
    /// All that the filter keeps were read.
    Completely,
}

/// Input of [`DirectoryNow::of`] for one directory.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// As it was read. Of a complete read, `others` must have everybody whom the directory's own filter leaves out.
    pub snapshot: &'a Snapshot,
    /// Rules by which it was prepared.
    pub rules: &'a Rules,
    /// See [`Source`].
    pub source: Source,
    /// Whether people are imported from it, or groups only.
    pub people: PeopleRead,
}

/// Whether people are imported from a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeopleRead {
    /// Yes.
    Imported,
    /// No: they are met as members of groups only.
    NotImported,
}

impl DirectoryNow {
    /// Joins what was read with what was decided about it.
    pub fn of(parts: &[Part<'_>], prepared: &Prepared, groups_read: GroupsRead) -> Self {
        let imported = prepared.people.iter().filter(|person| person.fate == Fate::Stays);
        let imported = imported.map(|person| (person.external_id.as_str(), &person.email)).collect();
        // Nobody asks where no filter keeps people by their groups.
        let is_asked = parts.iter().any(|part| part.rules.group_filter.is_some());
        let in_groups = prepared.groups.iter().filter(|_| is_asked).flat_map(|group| group.members.iter());
        let in_groups: FastSet<&ExternalId> = in_groups.collect();
        let mut people = Vec::new();
        for (source, part) in parts.iter().enumerate() {
            let Snapshot { users, others, .. } = part.snapshot;
            let judge = Judge { part, imported: &imported, in_groups: &in_groups };
            people.extend(users.iter().map(|user| judge.entry(user, source, Asked::For)));
            people.extend(others.iter().map(|user| judge.entry(user, source, Asked::Beside)));
        }
        let present: FastSet<&ExternalId> = prepared.groups.iter().map(|group| &group.external_id).collect();
        let kept = parts.iter().flat_map(|part| {
            let filter = part.rules.group_filter.as_ref();
            part.snapshot
                .groups
                .iter()
                .filter(move |group| filter.is_none_or(|filter| filter.keeps(&group.name)))
        });
        let unusable = kept.map(|group| &group.external_id).filter(|id| !present.contains(id)).cloned();
        Self {
            people,
            sources: parts.iter().map(|part| part.source.clone()).collect(),
            groups_read,
            groups: prepared.groups.clone(),
            unusable_groups: unusable.collect(),
        }
    }

    /// Digest of everything that was read: equal ones decide alike. [`Source::covers`] is not in it, which follows from the ledger.
    pub fn digest(&self) -> String {
        let Self { people, sources, groups_read, groups, unusable_groups } = self;
        let mut hasher = ContentHasher::default();
        (people, groups_read, groups, unusable_groups).hash(&mut hasher);
        for Source { place, covers: _, coverage, filters } in sources {
            (place, coverage, filters).hash(&mut hasher);
        }
        hasher.digest()
    }

    /// Places that were read completely in this run.
    pub fn covered(&self) -> BTreeSet<&Place> {
        let complete = self.sources.iter().filter(|source| source.coverage == Coverage::Full);
        complete.flat_map(|source| source.place.iter().chain(&source.covers)).collect()
    }
}

/// Whether a directory was asked for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    For,
    Beside,
}

struct Judge<'a> {
    part: &'a Part<'a>,
    /// Addresses under which people are imported, by their ids.
    imported: &'a ByText<'a, &'a Option<Email>>,
    in_groups: &'a FastSet<&'a ExternalId>,
}

impl Judge<'_> {
    fn entry(&self, user: &User, source: usize, asked: Asked) -> Entry {
        Entry {
            id: user.external_id.clone(),
            email: user.email.clone().filter(validate::is_acceptable),
            source,
            state: self.state(user, asked),
            created: self.part.snapshot.created.get(&user.external_id).copied(),
            found_as: user.found_as.clone(),
        }
    }

    fn state(&self, user: &User, asked: Asked) -> State {
        if fate(user.status, self.part.rules) == Fate::Leaves {
            return match user.status {
                Status::Disabled if asked == Asked::For && self.matches(user) => {
                    State::Disabled(Scope::Matched)
                }
                Status::Disabled => State::Disabled(Scope::LeftOut),
                Status::Deleted | Status::Active => State::Deleted,
            };
        }
        if self.imported.get(user.external_id.as_str()).is_some_and(|email| *email == user.email) {
            return State::Imported;
        }
        let is_complete = self.part.source.coverage == Coverage::Full;
        let is_imported_from = self.part.people == PeopleRead::Imported;
        if is_complete && is_imported_from && (asked == Asked::Beside || !self.matches(user)) {
            return State::LeftOut(LeftOut::Filter);
        }
        State::LeftOut(LeftOut::Other)
    }

    fn matches(&self, user: &User) -> bool {
        let Rules { user_filter, group_filter, .. } = self.part.rules;
        let Some(email) = &user.email else { return true };
        user_filter.as_ref().is_none_or(|filter| filter.keeps(email.as_str()))
            && (group_filter.is_none() || self.in_groups.contains(&user.external_id))
    }
}
