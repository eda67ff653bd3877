//! Record of a run: each member and group that it was about, before and after. `history`, `undo` and `explain` go by it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};
use serde::{Deserialize, Serialize};

use super::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, Hold, MemberChange, Question, Slot, SlotId,
    Summary,
};
use super::ledger::Effect;
use super::ranks::Ranks;
use super::requests::Step;
use super::roster::{Basis, Group, Held, Kind, Member, MemberId, Role, Status};
use crate::entry::{Email, ExternalId};

/// Changes of a run to an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Server that answered.
    pub kind: Kind,
    /// Source of what was known of the organization.
    pub basis: Basis,
    /// In the order of addresses.
    pub members: Vec<MemberEntry>,
    /// In the order of names.
    pub groups: Vec<GroupEntry>,
    /// Number of members that the directory has and who stayed as they were.
    pub unchanged: usize,
}

/// Record in numbers: what was made, and beside it what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Changes that were made, and those that a limit held back.
    #[serde(flatten)]
    pub made: Summary,
    /// Changes of which nobody knows whether they were made: of members, and of groups.
    pub unclear: usize,
    /// Changes that the run did not come to.
    pub not_made: usize,
}

/// How far the requests of a run came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress<'a> {
    /// Requests that the server acknowledged.
    pub acknowledged: &'a [Step],
    /// Requests that it was not heard to carry out, or not to the end.
    pub doubtful: &'a [Step],
    /// Requests that it did not carry out.
    pub unsent: &'a [Step],
}

/// Whether a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Made {
    /// The server acknowledged it.
    Yes,
    /// It was about to be sent, or was sent and not answered, or the server may have done a part of it.
    Unclear,
    /// The run ended before, the server refused it, or the plan that was applied does not have it.
    No,
    /// A limit held it back.
    Held,
}

/// Change to one membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberEntry {
    /// Action.
    pub action: Action,
    /// Reason.
    pub cause: Cause,
    /// Whether it was made.
    pub made: Made,
    /// Id on the server, where it could be read. None of newcomers.
    pub member_id: Option<String>,
    /// None of newcomers.
    pub before: Option<MemberState>,
    /// By the server's rules. None of those who are removed.
    pub after: Option<MemberState>,
}

/// State of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberState {
    /// Address in the organization.
    pub email: Arc<str>,
    /// External id.
    pub external_id: Option<Arc<str>>,
    /// State of the membership.
    pub status: StatusWord,
    /// Role.
    pub role: Role,
    /// Groups of the directory that somebody who is removed was in, by external id with the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

/// State of a membership in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of `Status`")]
pub enum StatusWord {
    Invited,
    Accepted,
    Confirmed,
    Staged,
    Revoked,
    Other,
}

/// Change to one group, whatever changed in it. `M` is how people are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "M: Deserialize<'de>"))]
pub struct GroupEntry<M = GroupMember> {
    /// Action.
    pub action: GroupAction,
    /// Reason.
    pub cause: Cause,
    /// Whether it was made.
    pub made: Made,
    /// Id on the server, where it could be read. None of new groups.
    pub group_id: Option<String>,
    /// None of new groups.
    pub before: Option<GroupState>,
    /// None of groups that are deleted.
    pub after: Option<GroupState>,
    /// Memberships that came.
    pub join: Vec<M>,
    /// Memberships that went. Those of people who were removed are with these people.
    pub leave: Vec<M>,
    /// Memberships that a limit kept from coming.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_join: Vec<M>,
    /// Memberships that a limit kept from going.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_leave: Vec<M>,
}

/// State of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupState {
    /// Name.
    pub name: String,
    /// External id.
    pub external_id: String,
    /// Number of members.
    pub members: usize,
}

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    /// Address in the organization.
    pub email: Arc<str>,
    /// External id after the run.
    pub external_id: Option<Arc<str>>,
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::Invited => Self::Invited,
            Status::Accepted => Self::Accepted,
            Status::Confirmed => Self::Confirmed,
            Status::Staged => Self::Staged,
            Status::Revoked(_) => Self::Revoked,
            Status::Other => Self::Other,
        }
    }
}

impl RunRecord {
    /// What a run is about to do, and what the limits hold back. Nothing is made yet.
    pub fn of(question: &Question<'_>, changes: &Changes) -> Self {
        let free = |action: Action| {
            let meant =
                changes.visible().filter(move |change| change.action == action && change.hold == Hold::Free);
            meant.map(|change| change.slot).collect()
        };
        let recording = Recording {
            question,
            changes,
            removed: free(Action::Remove),
            restored: free(Action::Restore),
            groups_of: groups_of_removed(question, changes),
            ranks: OnceCell::new(),
        };
        // Where everybody is new, these lists are the longest of a run: no more room than they need.
        let mut members = Vec::with_capacity(changes.visible().count());
        members.extend(changes.visible().filter_map(|change| recording.member(change)));
        Self {
            kind: changes.kind,
            basis: changes.basis,
            members,
            groups: changes.groups.iter().map(|group| recording.group(group)).collect(),
            unchanged: changes.unchanged,
        }
    }

    /// The record when the requests came so far.
    #[must_use]
    pub fn after(mut self, progress: &Progress<'_>) -> Self {
        self.come_to(progress);
        self
    }

    /// Notes that the requests came so far.
    pub fn come_to(&mut self, progress: &Progress<'_>) {
        let [acknowledged, doubtful, unsent] =
            [progress.acknowledged, progress.doubtful, progress.unsent].map(Deeds::of);
        let made = |is_in: &dyn Fn(&Deeds<'_>) -> bool| match (is_in(&acknowledged), is_in(&unsent)) {
            _ if is_in(&doubtful) => Made::Unclear,
            (true, false) => Made::Yes,
            // A part of it.
            (true, true) => Made::Unclear,
            (false, _) => Made::No,
        };
        for entry in self.members.iter_mut().filter(|entry| entry.made == Made::Unclear) {
            entry.made = made(&|done| done.has_member(entry));
        }
        for entry in self.groups.iter_mut().filter(|entry| entry.made == Made::Unclear) {
            entry.made = made(&|done| done.has_group(entry));
        }
    }

    /// The record when everything was acknowledged.
    #[must_use]
    pub fn all_made(mut self) -> Self {
        let members = self.members.iter_mut().map(|entry| &mut entry.made);
        let all = members.chain(self.groups.iter_mut().map(|entry| &mut entry.made));
        all.filter(|made| **made == Made::Unclear).for_each(|made| *made = Made::Yes);
        self
    }

    /// Whether the run was about nothing.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.groups.is_empty()
    }

    /// Whether there is a change of which this is true.
    pub fn has(&self, made: Made) -> bool {
        self.number(made) > 0
    }

    /// Number of members and groups of which this is true.
    pub fn number(&self, made: Made) -> usize {
        let members = self.members.iter().map(|entry| entry.made);
        members.chain(self.groups.iter().map(|entry| entry.made)).filter(|other| *other == made).count()
    }

    /// The record in numbers.
    pub fn counts(&self) -> Counts {
        let made = Summary { unchanged: self.unchanged, ..Summary::default() };
        let mut counts = Counts { made, ..Counts::default() };
        self.members.iter().for_each(|entry| counts.count(entry));
        self.groups.iter().for_each(|entry| counts.count_group(entry));
        counts
    }
}

impl Counts {
    fn count(&mut self, entry: &MemberEntry) {
        match entry.made {
            Made::Yes => self.made.count(entry.action),
            Made::Held => self.made.held += 1,
            Made::Unclear => self.unclear += 1,
            Made::No => self.not_made += 1,
        }
    }

    fn count_group(&mut self, entry: &GroupEntry) {
        match entry.made {
            Made::Yes => {
                self.made.count_group(entry.action);
                let is_renamed_besides = entry.action == GroupAction::Update && entry.is_renamed();
                self.made.groups_renamed += usize::from(is_renamed_besides);
                self.made.join += entry.join.len();
                self.made.leave += entry.leave.len();
                self.made.held += entry.held_memberships();
            }
            Made::Held => self.made.held += entry.held_memberships().max(1),
            Made::Unclear => self.unclear += 1,
            Made::No => self.not_made += 1,
        }
    }
}

impl MemberEntry {
    /// State after the change, or before it where there is none after.
    pub fn state(&self) -> Option<&MemberState> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

impl<M> GroupEntry<M> {
    /// Everybody in it.
    pub fn people(&self) -> impl Iterator<Item = &M> {
        [&self.join, &self.leave, &self.held_join, &self.held_leave].into_iter().flatten()
    }

    /// The same with other names for people; `None` if one of them has none.
    pub fn naming<'a, N>(&'a self, mut name: impl FnMut(&'a M) -> Option<N>) -> Option<GroupEntry<N>> {
        let mut named = |list: &'a [M]| list.iter().map(&mut name).collect::<Option<Vec<N>>>();
        Some(GroupEntry {
            action: self.action,
            cause: self.cause,
            made: self.made,
            group_id: self.group_id.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
            join: named(&self.join)?,
            leave: named(&self.leave)?,
            held_join: named(&self.held_join)?,
            held_leave: named(&self.held_leave)?,
        })
    }
}

impl GroupEntry {
    fn held_memberships(&self) -> usize {
        self.held_join.len() + self.held_leave.len()
    }

    /// Whether the group has another name after the change.
    pub fn is_renamed(&self) -> bool {
        matches!((&self.before, &self.after), (Some(before), Some(after)) if before.name != after.name)
    }
}

/// Groups that the directory knows, with those who are removed from the organization, and so from them.
fn groups_of_removed(
    question: &Question<'_>,
    changes: &Changes,
) -> FastMap<MemberId, BTreeMap<String, String>> {
    let removed = changes.visible().filter(|change| change.action == Action::Remove);
    let mut groups: FastMap<MemberId, BTreeMap<String, String>> = removed
        .filter_map(|change| Some((changes.slot(change.slot)?.member.clone()?, BTreeMap::new())))
        .collect();
    if groups.is_empty() {
        return groups;
    }
    let by_id = question.roster.members_by_external_id();
    for group in question.roster.groups() {
        let Some(id) = &group.external_id else { continue };
        let imported = match &group.members {
            Held::Read(_) => None,
            Held::Unread => question.ledger.groups.get(id),
        };
        let imported = imported.iter().flat_map(|record| record.members.iter());
        let imported = imported.filter_map(|id| Some(&by_id.get(id)?.id));
        for member in group.members.known().iter().chain(imported) {
            if let Some(groups) = groups.get_mut(member) {
                groups.insert(id.to_string(), group.name.clone());
            }
        }
    }
    groups
}

struct Recording<'a> {
    question: &'a Question<'a>,
    changes: &'a Changes,
    /// Members whom the run removes.
    removed: FastSet<SlotId>,
    /// Members whom it restores, besides what else it does about them.
    restored: FastSet<SlotId>,
    groups_of: FastMap<MemberId, BTreeMap<String, String>>,
    /// Made where groups have members to be put in order.
    ranks: OnceCell<Ranks<(&'a Email, Option<&'a ExternalId>)>>,
}

impl<'a> Recording<'a> {
    fn member(&self, change: &MemberChange) -> Option<MemberEntry> {
        let slot = self.changes.slot(change.slot)?;
        let member = slot.member.as_ref().and_then(|id| self.question.roster.member(id));
        Some(MemberEntry {
            action: change.action,
            cause: change.cause,
            made: made(change.hold),
            member_id: member
                .filter(|_| self.changes.basis == Basis::Live)
                .map(|member| member.id.to_string()),
            // Whoever is invited as a member may have come in an unfinished run, and nobody can look: this one brings the person.
            before: member.filter(|_| !is_invitation(change.action)).map(|member| self.before(member)),
            after: after(
                if self.restored.contains(&change.slot) { Action::Restore } else { change.action },
                slot,
                member,
            ),
        })
    }

    fn before(&self, member: &Member) -> MemberState {
        MemberState {
            email: member.email.shared(),
            external_id: member.external_id.as_ref().map(ExternalId::shared),
            status: member.status.into(),
            role: member.role,
            groups: self.groups_of.get(&member.id).cloned().unwrap_or_default(),
        }
    }

    fn group(&self, group: &GroupChange) -> GroupEntry {
        let present = group.group.as_ref().and_then(|id| self.question.roster.group(id));
        let before = present.map(|present| GroupState {
            name: present.name.clone(),
            external_id: group.relinked.as_ref().unwrap_or(&group.external_id).to_string(),
            members: group.current.len(),
        });
        let after = GroupState {
            name: self.name_after(group, present).to_owned(),
            external_id: group.external_id.to_string(),
            members: self.members_after(group),
        };
        GroupEntry {
            action: group.action,
            cause: group.cause,
            made: made(group.hold),
            group_id: group
                .group
                .as_ref()
                .filter(|_| self.changes.basis == Basis::Live)
                .map(ToString::to_string),
            before,
            after: (group.action != GroupAction::Delete).then_some(after),
            join: self.who(&group.join),
            leave: self.who(&group.leave),
            held_join: self.who(&group.held_join),
            held_leave: self.who(&group.held_leave),
        }
    }

    /// Vaultwarden never renames a group.
    fn name_after<'b>(&self, group: &'b GroupChange, present: Option<&'b Group>) -> &'b str {
        match (present, self.changes.kind) {
            (Some(present), Kind::Vaultwarden) => &present.name,
            (_, Kind::Vaultwarden | Kind::Official) => group.name_after(),
        }
    }

    /// Number of those who stay and of those who join; whoever is removed from the organization is in no group.
    fn members_after(&self, group: &GroupChange) -> usize {
        let leave: FastSet<SlotId> = group.leave.iter().map(|edge| edge.slot).collect();
        let stays = |slot: &&SlotId| !leave.contains(*slot) && !self.removed.contains(*slot);
        group.current.iter().filter(stays).count() + group.join.len()
    }

    fn who(&self, edges: &[Edge]) -> Vec<GroupMember> {
        let key = |slot: &'a Slot| Some((&slot.email, slot.after.as_ref()));
        let ranks = self.ranks.get_or_init(|| Ranks::of(&self.changes.slots, key));
        let member = |(email, id): &(&Email, Option<&ExternalId>)| GroupMember {
            email: email.shared(),
            external_id: id.map(ExternalId::shared),
        };
        ranks.in_order(edges.iter().map(|edge| edge.slot)).map(member).collect()
    }
}

pub(super) fn is_invitation(action: Action) -> bool {
    matches!(action, Action::Invite | Action::Stage)
}

fn made(hold: Hold) -> Made {
    match hold {
        Hold::Free => Made::Unclear,
        Hold::Held => Made::Held,
        Hold::Unplanned => Made::No,
    }
}

/// State of a member after an action, by the server's rules.
fn after(action: Action, slot: &Slot, member: Option<&Member>) -> Option<MemberState> {
    let status = match (action, member) {
        (Action::Remove, _) => return None,
        (Action::Invite, _) => Status::Invited,
        (Action::Stage, _) => Status::Staged,
        (Action::Restore, Some(member)) => member.status.restored(member.account),
        (Action::Revoke, Some(member)) => member.status.revoked(),
        (Action::Adopt | Action::Relink | Action::Wait, Some(member)) => member.status,
        (Action::Restore | Action::Revoke | Action::Adopt | Action::Relink | Action::Wait, None) => {
            Status::Other
        }
    };
    Some(MemberState {
        email: slot.email.shared(),
        external_id: slot.after.as_ref().map(ExternalId::shared),
        status: status.into(),
        role: member.map(|member| member.role).unwrap_or_default(),
        groups: BTreeMap::new(),
    })
}

/// What requests do, by address and external id.
#[derive(Default)]
pub struct Deeds<'a> {
    came: FastSet<&'a str>,
    left: FastSet<&'a str>,
    renamed: FastSet<&'a str>,
    released: FastSet<&'a str>,
    groups: FastSet<&'a str>,
}

impl<'a> Deeds<'a> {
    /// What these requests do.
    pub fn of(steps: &'a [Step]) -> Self {
        let mut deeds = Self::default();
        for effect in steps.iter().flat_map(|step| step.effects.iter()) {
            let (set, key) = match effect {
                Effect::In { email, .. } => (&mut deeds.came, email.as_str()),
                Effect::Out { email, .. } | Effect::Grace { email, .. } => (&mut deeds.left, email.as_str()),
                Effect::Renamed { to, .. } => (&mut deeds.renamed, to.as_str()),
                Effect::Group { id, .. } | Effect::GroupRenamed { to: id, .. } | Effect::NoGroup(id) => {
                    (&mut deeds.groups, id.as_str())
                }
                Effect::Released(id) => (&mut deeds.released, id.as_str()),
                Effect::Reinvited(_) | Effect::Protected { .. } | Effect::Counts { .. } => continue,
            };
            set.insert(key);
        }
        deeds
    }

    /// Whether somebody with this address comes, or is a member again.
    pub fn has_come(&self, email: &str) -> bool {
        self.came.contains(email)
    }

    /// Whether somebody with this address leaves.
    pub fn has_left(&self, email: &str) -> bool {
        self.left.contains(email)
    }

    /// Whether a member is given this external id.
    pub fn has_renamed(&self, id: &str) -> bool {
        self.renamed.contains(id)
    }

    /// Whether a group with this external id is made, changed or deleted.
    pub fn has_changed_group(&self, id: &str) -> bool {
        self.groups.contains(id)
    }

    fn has_member(&self, entry: &MemberEntry) -> bool {
        let email = entry.state().map_or("", |state| &state.email);
        let id = entry.after.as_ref().and_then(|after| after.external_id.as_deref());
        let is_renamed = || id.is_some_and(|id| self.has_renamed(id));
        let before = entry.before.as_ref().and_then(|before| before.external_id.as_deref());
        let is_released = || id.is_none() && before.is_some_and(|before| self.released.contains(before));
        if entry.action.is_leaving() {
            self.has_left(email)
        } else {
            self.has_come(email) || is_renamed() || is_released()
        }
    }

    fn has_group(&self, entry: &GroupEntry) -> bool {
        let state = entry.after.as_ref().or(entry.before.as_ref());
        state.is_some_and(|state| self.has_changed_group(&state.external_id))
    }
}
