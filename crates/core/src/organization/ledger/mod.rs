//! The ledger: what our imports left in an organization by its server's own rules, who everybody was in the directory, and what
//! has happened lately. It belongs to an organization and survives filters, merges and their end.

mod after;
mod effect;
mod ids;
mod migrate;
mod seen;
mod server;
mod settle;
mod stored;
mod times;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::effect::{Afterwards, Effect};
pub use self::ids::Ids;
pub use self::migrate::{LastImport, Legacy, LegacyDirectory};
pub use self::times::Times;
pub(super) use self::view::turns;
use super::changes::Cause;
use super::directory::Place;
use super::limits::{Deed, LimitName};
use super::moment::{Moment, Span};
use super::table::Table;
use crate::entry::{Email, ExternalId};

/// The form in which a ledger is stored.
pub const VERSION: u32 = 3;

/// Time for which events count towards the limits, and for which an approval is good.
pub const WINDOW: Span = Span::DAY;

/// Record of what our imports left in an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// [`VERSION`]; a reader refuses what is newer.
    pub version: u32,
    /// Content of the next import.
    pub due: Due,
    /// People by the external id that the organization knows.
    pub(super) people: Table<ExternalId, Record>,
    /// Groups by external id.
    pub(super) groups: BTreeMap<ExternalId, GroupRecord>,
    /// Living people of the directory whom the organization does not know, since when each is.
    pub(super) strangers: BTreeMap<ExternalId, Moment>,
    /// Time at which a run last came to its end.
    pub(crate) ran: Option<Moment>,
    /// Times at which each place was last read completely.
    pub(super) places: BTreeMap<Place, Moment>,
    /// Removals of late.
    pub(super) removals: Vec<Counted>,
    /// Which memberships were lost lately by people who stay.
    pub(super) leaves: Vec<Counted>,
    /// Which repairs were made lately.
    pub(super) repairs: Vec<Counted>,
    /// Invitations of late.
    pub(super) invites: Vec<Counted>,
    /// Changes that an administrator lets through once.
    pub(super) approvals: Vec<Approval>,
    /// Effects of a run that has not come to its end.
    pub(super) journal: Option<Journal>,
    /// Base URL of the API of the server that it is about. None of those that were stored before this was known.
    pub(super) server: Option<Arc<str>>,
    /// That of another server, which it was about until lately: what it says has not been imported here yet.
    pub(super) moved_from: Option<Arc<str>>,
}

/// Content of the next import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Due {
    /// Everybody and everything: at first, and after `clear-cache`.
    #[default]
    Everything,
    /// Only changes.
    Changes,
}

/// One person whom we imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The address that was imported.
    pub email: Email,
    /// Whether the person is in.
    pub standing: Standing,
    /// Every id that the directory has had for the person.
    pub ids: Ids,
    /// Places in which the last complete read of each had the person, in order. None although there are ids: the person is missing.
    pub places: Arc<[Place]>,
    /// The filters by which the person was last imported.
    pub matched: Option<Arc<str>>,
    /// Invitations, where the server was seen to wait for an answer.
    pub invited: Option<Invited>,
    /// Doubt that an unfinished run on a server that cannot be read has left.
    pub doubt: Option<Doubt>,
    /// Protection by an undo that has brought the person back.
    pub protection: Option<Arc<Protection>>,
}

/// Protection of somebody whom an undo has brought back: until it ends, no sync takes away the membership or those in groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Protection {
    /// Until when.
    pub until: Moment,
    /// Groups to which the person came back, by external id.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<ExternalId>,
}

impl Record {
    /// Protection that has not ended.
    pub fn protection(&self, now: Moment) -> Option<&Protection> {
        self.protection.as_deref().filter(|protection| protection.until > now)
    }

    /// Whether the person is protected by an undo.
    pub fn is_protected(&self, now: Moment) -> bool {
        self.protection(now).is_some()
    }
}

/// Doubts about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubt {
    /// Whether the person is a member.
    Membership,
    /// Whether a member has this external id, or the one before.
    Id,
}

/// Times at which an id was seen alive in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// For the first time.
    pub first: Moment,
    /// For the last time.
    pub last: Moment,
    /// The directory's own creation time, where it told one.
    pub created: Option<Moment>,
}

/// Whether somebody whom we imported is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// A member, as far as we know.
    In,
    /// Has left, and is removed when the time has passed.
    Grace {
        /// Since when.
        since: Moment,
        /// Until when.
        until: Moment,
        /// Reason.
        cause: Cause,
        /// Author of the revocation: only what we did is undone.
        by: RevokedBy,
    },
    /// Has left: removed by us, or revoked by us on Vaultwarden.
    Left {
        /// Time.
        at: Moment,
        /// Reason.
        cause: Cause,
        /// Fate of the membership.
        member: Afterwards,
    },
}

/// Author of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevokedBy {
    /// This program.
    Us,
    /// An administrator, before the person left.
    Hand,
}

/// Invitations to one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invited {
    /// The first, or when we first knew of one.
    pub first: Moment,
    /// The last.
    pub last: Moment,
    /// Number of all.
    pub count: u32,
}

/// One group that we imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// The name, as the server has it.
    pub name: String,
    /// Members by the external ids that the organization knows, in order.
    pub members: Arc<[ExternalId]>,
    /// Time at which the memberships were last read from the server.
    pub verified: Option<Moment>,
    /// Whether an unfinished run may have sent something else.
    pub unsure: bool,
}

/// Something that counts towards a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Person or membership, as [`super::limits`] writes it.
    pub key: String,
    /// Time.
    pub at: Moment,
    /// Whether an administrator has let it through: then it does not count again.
    pub approved: Approved,
}

/// Whether an administrator has let something through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approved {
    /// Yes.
    Yes,
    /// No: it was within the limit.
    No,
}

/// Changes that an administrator lets through once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Of which limit.
    pub limit: LimitName,
    /// Exactly these, or fewer: what is done, by the key of what counts. Releases that kept keys alone let nothing through.
    #[serde(default)]
    pub changes: BTreeMap<String, Deed>,
    /// Until when.
    pub until: Moment,
}

/// Effects of a run, on the disk before its first request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Journal {
    /// Time just before the first request.
    pub begun: Moment,
    /// Effects of each request that was not acknowledged when the ledger was written, in their order.
    pub steps: Vec<Arc<[Effect]>>,
    /// Counts of requests that are sent again, since nobody knows whether they were carried out.
    pub counts: Vec<Effect>,
}

impl Journal {
    /// Ids of people whom it brings in, in its order.
    fn newcomers(&self) -> impl Iterator<Item = &ExternalId> {
        self.steps.iter().flat_map(|effects| effects.iter()).filter_map(|effect| match effect {
            Effect::In { id, .. } => Some(id),
            _ => None,
        })
    }
}

impl Approval {
    /// Whether all of these are among what it lets through.
    pub(super) fn lets_through(&self, changes: &BTreeMap<String, Deed>) -> bool {
        changes.iter().all(|(key, deed)| self.changes.get(key) == Some(deed))
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: VERSION,
            due: Due::Everything,
            people: Table::default(),
            groups: BTreeMap::new(),
            strangers: BTreeMap::new(),
            ran: None,
            places: BTreeMap::new(),
            removals: Vec::new(),
            leaves: Vec::new(),
            repairs: Vec::new(),
            invites: Vec::new(),
            approvals: Vec::new(),
            journal: None,
            server: None,
            moved_from: None,
        }
    }
}

impl Ledger {
    /// Everybody whom we ever imported, by the external id that the organization knows.
    pub fn people(&self) -> impl Iterator<Item = (&ExternalId, &Record)> {
        self.people.iter()
    }

    /// Every id that anybody whom we ever imported is or was known by, in the organization or in the directory.
    pub fn ids(&self) -> impl Iterator<Item = &ExternalId> {
        self.people.iter().flat_map(|(id, record)| std::iter::once(id).chain(record.ids.keys()))
    }

    /// One person, by the external id that the organization knows.
    pub fn person(&self, id: &ExternalId) -> Option<&Record> {
        self.people.get(id)
    }

    /// Groups that we imported.
    pub fn groups(&self) -> impl Iterator<Item = (&ExternalId, &GroupRecord)> {
        self.groups.iter()
    }

    /// Places that were read completely at any time. The engine tells with [`super::directory::Source::covers`] which of them lie
    /// within what it reads now.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// Beginning of a run that has not come to its end.
    pub fn unfinished(&self) -> Option<Moment> {
        self.journal.as_ref().map(|journal| journal.begun)
    }

    /// Whether nobody and nothing was ever imported.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.groups.is_empty()
    }

    /// The ledger after `clear-cache`: what is known stays known, and the next import has everything.
    #[must_use]
    pub fn cleared(self) -> Self {
        Self { due: Due::Everything, ..self }
    }

    /// This ledger with what only an older copy knows, as after the folders of a merge were synced apart: people, groups, what counts
    /// towards the limits, and a run that has not come to its end.
    #[must_use]
    pub fn joined(mut self, older: Self) -> Self {
        if self == older {
            return self;
        }
        let addresses: BTreeSet<Email> = self.people.values().map(|record| record.email.clone()).collect();
        let ids: BTreeSet<ExternalId> =
            self.people.values().flat_map(|record| record.ids.keys().cloned()).collect();
        let is_unknown = |id: &ExternalId, record: &Record| {
            !addresses.contains(&record.email)
                && !ids.contains(id)
                && record.ids.keys().all(|id| !ids.contains(id))
        };
        for (id, record) in older.people.into_entries() {
            if is_unknown(&id, &record) {
                self.people.get_or_insert_with(&id, || record);
            }
        }
        for (id, group) in older.groups {
            // What became of it meanwhile is not known.
            self.groups.entry(id).or_insert(GroupRecord { verified: None, ..group });
        }
        for (place, at) in older.places {
            self.places.entry(place).or_insert(at);
        }
        add_counts(&mut self.removals, older.removals);
        add_counts(&mut self.leaves, older.leaves);
        add_counts(&mut self.repairs, older.repairs);
        add_counts(&mut self.invites, older.invites);
        self.journal = joined_journals(self.journal, older.journal, self.ran);
        self.is_of_both(older.server, older.moved_from);
        self
    }

    /// Events within [`WINDOW`] that count towards a limit.
    pub(super) fn lately(&self, limit: LimitName, now: Moment) -> impl Iterator<Item = &Counted> {
        let list = match limit {
            LimitName::Removals => &self.removals,
            LimitName::Leaves => &self.leaves,
            LimitName::Repairs => &self.repairs,
            LimitName::Invites => &self.invites,
        };
        list.iter().filter(move |counted| is_recent(counted.at, now))
    }
}

/// Adds what counts in an older copy only.
fn add_counts(counts: &mut Vec<Counted>, older: Vec<Counted>) {
    let known: BTreeSet<(&str, Moment)> =
        counts.iter().map(|counted| (counted.key.as_str(), counted.at)).collect();
    let is_new = |counted: &Counted| !known.contains(&(counted.key.as_str(), counted.at));
    let new: Vec<Counted> = older.into_iter().filter(is_new).collect();
    counts.extend(new);
}

/// The unfinished runs of two copies. A run that the later copy knows, since it was killed between storing the one and the other, is none
/// besides.
fn joined_journals(journal: Option<Journal>, older: Option<Journal>, ran: Option<Moment>) -> Option<Journal> {
    match (journal, older) {
        (journal, None) => journal,
        (None, Some(older)) => Some(older).filter(|older| Some(older.begun) != ran),
        (Some(journal), Some(older)) if journal.begun == older.begun || Some(older.begun) == ran => {
            Some(journal)
        }
        (Some(mut journal), Some(older)) => {
            if !journal.steps.starts_with(&older.steps) {
                journal.steps.splice(0..0, older.steps);
            }
            let counts = older.counts.into_iter().filter(|count| !journal.counts.contains(count));
            let counts: Vec<Effect> = counts.collect();
            journal.counts.extend(counts);
            Some(journal)
        }
    }
}

/// A time in the future is a clock that was set back: it counts.
fn is_recent(at: Moment, now: Moment) -> bool {
    now.since(at) < WINDOW
}
