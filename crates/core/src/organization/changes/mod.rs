//! Changes of a sync to an organization, with their reasons.

mod compute;
mod groups;
mod people;
mod protected;
mod summary;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashSet as FastSet;
use serde::{Deserialize, Serialize};

pub(super) use self::compute::held;
pub use self::compute::{Question, changes};
pub(super) use self::people::in_order;
pub(crate) use self::protected::protected as named_protected;
pub(super) use self::protected::to_be_listed;
pub use self::summary::Summary;
pub(super) use self::warnings::INVITATION;
pub use self::warnings::{Code, Warning};
use super::document::{self, Document, Moved};
use super::identity::Identities;
use super::ledger::{Protection, RevokedBy};
use super::limits::{self, LimitState};
use super::moment::Moment;
use super::roster::{Basis, GroupId, Kind, MemberId};
use crate::entry::{Email, ExternalId};

/// Actions on a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Invited.
    Invite,
    /// Taken without an invitation.
    Stage,
    /// Given an external id for the first time.
    Adopt,
    /// Given another external id.
    Relink,
    /// Given access again.
    Restore,
    /// Kept without access.
    Revoke,
    /// Removed.
    Remove,
    /// Nothing yet: somebody whom an administrator has revoked leaves, and is removed when the grace has passed. In no plan.
    Wait,
}

impl Action {
    /// Whether somebody leaves.
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Revoke | Self::Remove | Self::Wait)
    }

    /// Whether a membership comes into being.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Invite | Self::Stage)
    }
}

/// Reasons for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The directory says so.
    New,
    /// Somebody who had left is back.
    Returned,
    /// The organization was changed by something else than our imports.
    Drift,
    /// A tombstone, or a row that says so.
    Deleted,
    /// Switched off.
    Disabled,
    /// The directory does not have the person any more.
    Missing,
    /// The filters do not match the person any more.
    OutOfScope,
    /// Not in an import that replaces everybody.
    Overwrite,
    /// The id, or on Vaultwarden the person, has another address by now.
    IdReused,
    /// The time since the person left has passed.
    Grace,
    /// A run is undone.
    Undo,
}

/// Whether something is done or held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// It is done.
    #[default]
    Free,
    /// It is held back.
    Held,
    /// The plan that is carried out does not have it.
    Unplanned,
}

/// A number of a [`Slot`].
pub type SlotId = u32;

/// Somebody who is a member before or after: the members of the roster in their order, then newcomers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The server's id; none of newcomers.
    pub member: Option<MemberId>,
    /// The address that the organization has.
    pub email: Email,
    /// The external id before.
    pub before: Option<ExternalId>,
    /// The external id after the changes to people.
    pub after: Option<ExternalId>,
}

/// A change to one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// Action.
    pub action: Action,
    /// Reason.
    pub cause: Cause,
    /// Whether a limit holds it back.
    pub hold: Hold,
    /// To whom.
    pub slot: SlotId,
    /// The directory's id of somebody who comes, stays or returns.
    pub directory_id: Option<ExternalId>,
    /// Somebody who must have left before.
    pub after: Option<SlotId>,
    /// End of a leaver's grace, and who revoked.
    pub grace: Option<(Moment, RevokedBy)>,
}

/// Actions on a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupAction {
    /// Made.
    Create,
    /// Given another name and nothing else.
    Rename,
    /// Given other members, or another external id.
    Update,
    /// Left by everybody.
    Empty,
    /// Deleted.
    Delete,
}

impl GroupAction {
    /// Whether everybody leaves.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Empty | Self::Delete)
    }
}

/// Whether a membership comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// It comes.
    Join,
    /// It goes.
    Leave,
}

/// A membership in a group that comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Member.
    pub slot: SlotId,
    /// Reason: [`Cause::New`] or [`Cause::Drift`].
    pub cause: Cause,
}

/// A change to one group, whatever changes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// Action.
    pub action: GroupAction,
    /// Reason: drift if nothing else explains it.
    pub cause: Cause,
    /// Whether all of it is held back.
    pub hold: Hold,
    /// The external id after.
    pub external_id: ExternalId,
    /// The external id before, if it changes.
    pub relinked: Option<ExternalId>,
    /// The directory's name.
    pub name: String,
    /// The name before, if it changes.
    pub renamed: Option<Renamed>,
    /// The server's id; none of a new group.
    pub group: Option<GroupId>,
    /// Everybody who is in it before, in order.
    pub current: Arc<[SlotId]>,
    /// Memberships that come.
    pub join: Vec<Edge>,
    /// Memberships that go.
    pub leave: Vec<Edge>,
    /// Memberships whose coming is held back.
    pub held_join: Vec<Edge>,
    /// Memberships whose going is held back.
    pub held_leave: Vec<Edge>,
    /// Whether it is sent although nothing changes.
    pub resend: Resend,
}

/// Whether a group is sent although nothing changes in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resend {
    /// An unfinished run on a server that cannot be read may or may not have sent something else.
    Yes,
    /// Not sent: what the organization holds is known.
    #[default]
    No,
}

/// A name that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The name before.
    pub from: String,
    /// Reason: [`Cause::New`] or [`Cause::Drift`].
    pub cause: Cause,
    /// Whether it is held back.
    pub hold: Hold,
}

impl GroupChange {
    /// Whether the group itself is put back: made again, or given its name again.
    pub(super) fn is_repair(&self) -> bool {
        let is_made_again = self.action == GroupAction::Create && self.cause == Cause::Drift;
        is_made_again || self.renamed.as_ref().is_some_and(|renamed| renamed.cause == Cause::Drift)
    }

    /// The name that changes, unless that is held back.
    pub fn free_name(&self) -> Option<&Renamed> {
        self.renamed.as_ref().filter(|renamed| renamed.hold == Hold::Free)
    }

    /// The name that the server has afterwards.
    pub fn name_after(&self) -> &str {
        match &self.renamed {
            Some(Renamed { from, hold: Hold::Held, .. }) => from,
            _ => &self.name,
        }
    }
}

/// A group of ours that the directory or the filter does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// Its name.
    pub name: String,
    /// Its external id.
    pub external_id: ExternalId,
    /// Number of members.
    pub members: usize,
}

/// Somebody who has left and is removed later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Member.
    pub slot: SlotId,
    /// Since when.
    pub since: Moment,
    /// Until when.
    pub until: Moment,
    /// Reason.
    pub cause: Cause,
}

/// Somebody who stays although there is a reason to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Member.
    pub slot: SlotId,
    /// Reason why the person would leave.
    pub cause: Cause,
    /// Reason why the person stays.
    pub by: KeptBy,
}

/// Reasons why somebody stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeptBy {
    /// An owner: the official server never removes one by an import.
    Owner,
    /// `sync.protect`.
    Protection,
    /// An undo has brought the person back.
    Undo,
    /// Another directory, which this read does not have, had the person last: one of a former merge.
    OtherDirectory,
}

/// Everything that a sync changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Server that answers.
    pub kind: Kind,
    /// Source of what is known of the organization.
    pub basis: Basis,
    pub(super) basing: Basing,
    /// Everybody whom a change may be about.
    pub slots: Vec<Slot>,
    /// In the order of addresses.
    pub members: Vec<MemberChange>,
    /// In the order of names.
    pub groups: Vec<GroupChange>,
    /// Invitations that are sent again.
    pub reinvites: Vec<SlotId>,
    /// Groups of ours that are not in the directory any more, whatever is done about them.
    pub vanished: Vec<Vanished>,
    /// People who have left and are removed later.
    pub waiting: Vec<Waiting>,
    /// People who stay although there is a reason to leave.
    pub kept: Vec<Kept>,
    /// Members who are no longer in the directory, and stay, since `sync.removeMissing` is off.
    pub missing: BTreeSet<SlotId>,
    /// Facts that an administrator should know.
    pub warnings: Vec<Warning>,
    /// Limits with what counts towards them.
    pub limits: Vec<LimitState>,
    /// Number of people in both the organization and the directory who stay as they are.
    pub unchanged: usize,
    /// Seats.
    pub seats: SeatsNeeded,
    /// Whether nothing is sent at all, because a limit says so.
    pub stopped: Stopped,
    /// Protection that those who come back get.
    pub(super) protections: BTreeMap<SlotId, Arc<Protection>>,
    pub(crate) identities: Identities,
    /// Which slot each human has, if any.
    pub(crate) human_slots: Vec<Option<SlotId>>,
    /// Groups of the directory that stay as they are, with their members: needed where everything is sent.
    pub(super) unchanged_groups: Vec<UnchangedGroup>,
    /// Members whom an import that replaces everybody must list, although the directory does not have them.
    pub(super) listed: BTreeSet<SlotId>,
}

/// Origin of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basing {
    /// The directory: a sync.
    Directory,
    /// The record of a run: its undo, in which nothing but changes is ever sent.
    Record,
}

/// Whether a limit stops a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing is sent.
    Yes,
    /// Everything is sent that no limit holds back.
    #[default]
    No,
}

/// A group that stays as it is.
#[derive(Clone, Debug)]
pub(super) struct UnchangedGroup {
    pub(super) external_id: ExternalId,
    pub(super) name: String,
    pub(super) members: Arc<[SlotId]>,
    /// Whether its members are those of the ledger, all of whom are members still.
    pub(super) is_as_imported: bool,
}

/// Seats before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatsNeeded {
    /// In use before.
    pub in_use: usize,
    /// Number that the changes need besides.
    pub needed: usize,
    /// Number of all, where the server tells it.
    pub available: Option<usize>,
}

impl Changes {
    /// Person whom a change is about.
    pub fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    /// External ids after the changes, in order; those who have none are left out.
    pub(super) fn ids_of(&self, slots: &[SlotId]) -> Arc<[ExternalId]> {
        let mut ids: Vec<ExternalId> =
            slots.iter().filter_map(|slot| self.slot(*slot)?.after.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into()
    }

    /// These changes without those that a plan does not have.
    ///
    /// # Errors
    /// What the plan has and `fresh`, the document of these changes, does not: directory or organization have moved.
    pub fn limited_to(mut self, planned: &Document, fresh: &Document) -> Result<Self, Vec<Moved>> {
        let moved = planned.moved_in(fresh);
        if !moved.is_empty() {
            return Err(moved);
        }
        let people: FastSet<(Action, &str, Option<&str>)> =
            planned.members.iter().filter(|member| !member.held).map(document::Member::key).collect();
        let groups: FastSet<&str> = planned
            .groups
            .iter()
            .filter(|group| !group.held)
            .map(|group| group.external_id.as_str())
            .collect();
        let slots = &self.slots;
        let is_planned = |change: &MemberChange| {
            let slot = slots.get(change.slot as usize);
            let id = slot.and_then(|slot| {
                if change.action.is_leaving() { slot.before.as_ref() } else { slot.after.as_ref() }
            });
            slot.is_some_and(|slot| {
                people.contains(&(change.action, slot.email.as_str(), id.map(ExternalId::as_str)))
            })
        };
        let unplanned: Vec<bool> = self.members.iter().map(|change| !is_planned(change)).collect();
        for (change, is_unplanned) in self.members.iter_mut().zip(unplanned) {
            if is_unplanned && change.hold == Hold::Free {
                change.hold = Hold::Unplanned;
            }
        }
        for group in &mut self.groups {
            if !groups.contains(group.external_id.as_str()) && group.hold == Hold::Free {
                group.hold = Hold::Unplanned;
            }
        }
        self.reinvites.clear();
        let free = |changes: &Self| changes.visible().filter(|change| change.hold == Hold::Free).count();
        let before = free(&self);
        limits::hold_dependents(&mut self);
        if free(&self) < before {
            return Err(vec![Moved("somebody who has to leave before others come".to_owned())]);
        }
        Ok(self)
    }

    /// Whether nothing is to be done, not even what is held back.
    pub fn is_empty(&self) -> bool {
        self.visible().next().is_none() && self.groups.is_empty()
    }

    /// Changes to memberships that a plan shows.
    pub fn visible(&self) -> impl Iterator<Item = &MemberChange> {
        self.members.iter().filter(|change| change.action != Action::Wait)
    }

    /// Whether a limit holds anything back: the run ends with exit code 5.
    pub fn is_held(&self) -> bool {
        self.limits.iter().any(LimitState::is_holding)
    }
}
