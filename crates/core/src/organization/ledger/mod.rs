//! The ledger: what our imports left in an organization by its server's own rules, who everybody was in the directory, and what
//! has happened lately. It belongs to an organization and survives filters, merges and their end.

mod after;
mod migrate;
mod seen;
mod settle;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::migrate::{Legacy, LegacyDirectory};
use super::changes::{Action, Cause};
use super::directory::Place;
use super::limits::LimitName;
use super::moment::{Moment, Span};
use crate::entry::{Email, ExternalId};

/// The form in which a ledger is stored.
pub const VERSION: u32 = 1;

/// How long what has happened counts towards the limits, and how long an approval is good for.
pub const WINDOW: Span = Span::DAY;

/// What our imports left in an organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// [`VERSION`]; a reader refuses what is newer.
    pub version: u32,
    /// What the next import has to have in it.
    #[serde(default)]
    pub due: Due,
    /// By the external id that the organization knows.
    pub(super) people: BTreeMap<ExternalId, Record>,
    /// By external id.
    pub(super) groups: BTreeMap<ExternalId, GroupRecord>,
    /// Living people of the directory whom the organization does not know, since when each is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) strangers: BTreeMap<ExternalId, Moment>,
    /// When a run last came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ran: Option<Moment>,
    /// When each place was last read completely.
    #[serde(default)]
    places: BTreeMap<Place, Moment>,
    /// Who left lately.
    #[serde(default)]
    pub(super) removals: Vec<Counted>,
    /// Which memberships were lost lately by people who stay.
    #[serde(default)]
    pub(super) leaves: Vec<Counted>,
    /// Which repairs were made lately.
    #[serde(default)]
    pub(super) repairs: Vec<Counted>,
    /// Who was invited lately.
    #[serde(default)]
    pub(super) invites: Vec<Counted>,
    /// What an administrator lets through once.
    #[serde(default)]
    pub(super) approvals: Vec<Approval>,
    /// What a run was about to do that has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<Journal>,
}

/// What the next import has to have in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Due {
    /// Everybody and everything: at first, and after `clear-cache`.
    #[default]
    Everything,
    /// What changes.
    Changes,
}

/// One person whom we imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The address that was imported.
    pub email: Email,
    /// Whether the person is in.
    pub standing: Standing,
    /// Every id that the directory has had for the person.
    pub ids: BTreeMap<ExternalId, Sight>,
    /// Places in which the last complete read of each had the person. None although there are ids: the person is missing.
    #[serde(default)]
    pub places: BTreeSet<Place>,
    /// The filters by which the person was last imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<String>,
    /// Invitations, where the server was seen to wait for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited: Option<Invited>,
    /// What an unfinished run on a server that cannot be read may or may not have done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What is not known about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubt {
    /// Whether the person is a member.
    Membership,
    /// Whether a member has this external id, or the one before.
    Id,
}

/// When an id was seen alive in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    /// For the first time.
    pub first: Moment,
    /// For the last time.
    pub last: Moment,
    /// The directory's own creation time, where it told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Moment>,
}

/// Whether somebody whom we imported is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        /// Why.
        cause: Cause,
        /// Who revoked the membership: only what we did is undone.
        by: RevokedBy,
    },
    /// Has left: removed by us, or revoked by us on Vaultwarden.
    Left {
        /// When.
        at: Moment,
        /// Why.
        cause: Cause,
        /// What became of the membership.
        member: Afterwards,
    },
}

/// Who revoked a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevokedBy {
    /// This program.
    Us,
    /// An administrator, before the person left.
    Hand,
}

/// Invitations to one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invited {
    /// The first, or when we first knew of one.
    pub first: Moment,
    /// The last.
    pub last: Moment,
    /// How many in all.
    pub count: u32,
}

/// One group that we imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRecord {
    /// The name, as the server has it.
    pub name: String,
    /// Members by the external ids that the organization knows, in order.
    pub members: Arc<[ExternalId]>,
    /// When the memberships were last read from the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Moment>,
    /// Whether an unfinished run may have sent something else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
}

/// Something that counts towards a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Whom or what, as [`super::limits`] writes it.
    pub key: String,
    /// When.
    pub at: Moment,
    /// Whether an administrator has let it through: then it does not count again.
    pub approved: Approved,
}

/// Whether an administrator has let something through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approved {
    /// Yes.
    Yes,
    /// No: it was within the limit.
    No,
}

/// What an administrator lets through once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Of which limit.
    pub limit: LimitName,
    /// Exactly these, or fewer.
    pub keys: BTreeSet<String>,
    /// Until when.
    pub until: Moment,
}

/// What a run was about to do, on the disk before its first request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// When the first request was about to be sent.
    pub begun: Moment,
    /// Effects of the requests that were not acknowledged, in their order.
    pub effects: Vec<Effect>,
}

/// What an acknowledged request means for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Somebody is a member by this id and address.
    In {
        /// What was done.
        action: Action,
        /// By which the organization knows the person from now on.
        id: ExternalId,
        /// The address.
        email: Email,
        /// The directory's id.
        directory_id: ExternalId,
    },
    /// Somebody has left.
    Out {
        /// By which the organization knew the person.
        id: ExternalId,
        /// By which it knows the person from now on, if it keeps the member.
        becomes: ExternalId,
        /// Whether it does.
        member: Afterwards,
        /// The address.
        email: Email,
        /// Why.
        cause: Cause,
    },
    /// Somebody's grace has begun.
    Grace {
        /// By which the organization knows the person.
        id: ExternalId,
        /// The address.
        email: Email,
        /// Until when.
        until: Moment,
        /// Why.
        cause: Cause,
        /// Who revoked.
        by: RevokedBy,
    },
    /// Somebody has another external id.
    Renamed {
        /// Before.
        from: ExternalId,
        /// From now on.
        to: ExternalId,
    },
    /// An invitation was sent again.
    Reinvited(ExternalId),
    /// A group is as it was sent.
    Group {
        /// Its external id.
        id: ExternalId,
        /// The name that the server has.
        name: String,
        /// Members by external id, in order.
        members: Arc<[ExternalId]>,
    },
    /// A group has another external id.
    GroupRenamed {
        /// Before.
        from: ExternalId,
        /// From now on.
        to: ExternalId,
    },
    /// A group is gone.
    NoGroup(ExternalId),
    /// Counts towards a limit.
    Counts {
        /// Of which limit.
        limit: LimitName,
        /// Whom or what.
        keys: Vec<String>,
        /// Whether an administrator has let it through.
        approved: Approved,
    },
}

/// What becomes of the membership of somebody who leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Afterwards {
    /// It is deleted, and with it those in groups.
    Removed,
    /// It is revoked and kept.
    Revoked,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: VERSION,
            due: Due::Everything,
            people: BTreeMap::new(),
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
        }
    }
}

impl Ledger {
    /// Everybody whom we ever imported, by the external id that the organization knows.
    pub fn people(&self) -> impl Iterator<Item = (&ExternalId, &Record)> {
        self.people.iter()
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

    /// When a run began that has not come to its end.
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

    /// What has happened within [`WINDOW`], by limit.
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

/// A time in the future is a clock that was set back: it counts.
fn is_recent(at: Moment, now: Moment) -> bool {
    now.since(at) < WINDOW
}
