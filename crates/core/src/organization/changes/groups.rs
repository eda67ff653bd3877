//! Changes to groups: made, renamed, filled, emptied, deleted.

use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::compute::Question;
use super::people::People;
use super::{
    Action, Cause, Edge, GroupAction, GroupChange, Hold, Kept, KeptBy, Renamed, Resend, SlotId,
    UnchangedGroup, Vanished,
};
use crate::entry::ExternalId;
use crate::organization::directory::{DirectoryNow, GroupsRead};
use crate::organization::identity::Identities;
use crate::organization::ledger::{GroupRecord, Protection};
use crate::organization::roster::{Basis, Group, Held, Kind};
use crate::organization::settings::{EarlierRuns, Relink, VanishedGroups};
use crate::prepare::PreparedGroup;

/// Changes to groups, as far as no limit speaks against them.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    pub(super) changes: Vec<GroupChange>,
    pub(super) vanished: Vec<Vanished>,
    pub(super) unchanged: Vec<UnchangedGroup>,
    /// Names of groups that are made although there is one of the same name.
    pub(super) twins: Vec<String>,
    /// People in groups who are not in the organization, by the directory's id, in order.
    pub(super) unknown: Vec<ExternalId>,
    /// Memberships that stay because an undo has given them back, by the group's name.
    pub(super) protected: Vec<(String, SlotId)>,
}

pub(super) fn groups(question: &Question<'_>, identities: &Identities, people: &People) -> Groups {
    let mut groups = Groups::default();
    if question.directory.groups_read == GroupsRead::No {
        return groups;
    }
    let slots = SlotsByDirectoryId::new(identities, &people.human_slots);
    let (wanted, unknown) = wanted_lists(question.directory, &slots);
    groups.unknown = unknown;
    let comparison = Comparison::new(question, people);
    for (group, wanted) in question.directory.groups.iter().zip(wanted) {
        comparison.group(group, &wanted, &mut groups);
    }
    comparison.vanished(&mut groups);
    groups.changes.sort_by(|a, b| (&a.name, &a.external_id).cmp(&(&b.name, &b.external_id)));
    groups
}

/// Slots of the humans of the directory. Most ids of members are the very texts that the humans have: those are found by where they are,
/// and not read.
struct SlotsByDirectoryId<'a> {
    identities: &'a Identities,
    human_slots: &'a [Option<SlotId>],
    by_place: FastMap<*const u8, usize>,
}

impl<'a> SlotsByDirectoryId<'a> {
    fn new(identities: &'a Identities, human_slots: &'a [Option<SlotId>]) -> Self {
        let by_place = identities.by_id.iter().map(|(id, human)| (id.as_str().as_ptr(), *human)).collect();
        Self { identities, human_slots, by_place }
    }

    fn slot(&self, id: &ExternalId) -> Option<SlotId> {
        let human = self.by_place.get(&id.as_str().as_ptr()).or_else(|| self.identities.by_id.get(id))?;
        self.human_slots.get(*human).copied().flatten()
    }
}

/// Lists the wanted members of each group of the directory, and people in groups whom the organization does not know. Groups that
/// share a list share the new one.
fn wanted_lists(
    directory: &DirectoryNow,
    slots: &SlotsByDirectoryId<'_>,
) -> (Vec<Arc<[SlotId]>>, Vec<ExternalId>) {
    let gone: FastSet<&ExternalId> =
        directory.people.iter().filter(|entry| !entry.state.is_living()).map(|entry| &entry.id).collect();
    let mut unknown: FastSet<&ExternalId> = FastSet::default();
    let mut made: FastMap<*const ExternalId, Arc<[SlotId]>> = FastMap::default();
    let mut lists = Vec::with_capacity(directory.groups.len());
    for PreparedGroup { members, .. } in &directory.groups {
        let list = made.entry(members.as_ptr()).or_insert_with(|| {
            let slot = |id| {
                let slot = slots.slot(id);
                if slot.is_none() && !gone.contains(id) {
                    unknown.insert(id);
                }
                slot
            };
            in_order(members.iter().filter_map(slot))
        });
        lists.push(Arc::clone(list));
    }
    let mut unknown: Vec<ExternalId> = unknown.into_iter().cloned().collect();
    unknown.sort_unstable();
    (lists, unknown)
}

fn in_order(slots: impl Iterator<Item = SlotId>) -> Arc<[SlotId]> {
    let mut slots: Vec<SlotId> = slots.collect();
    slots.sort_unstable();
    slots.dedup();
    slots.into()
}

struct Comparison<'a> {
    question: &'a Question<'a>,
    people: &'a People,
    present: FastMap<&'a ExternalId, &'a Group>,
    /// Of groups of ours that the directory does not have, by name.
    orphans: FastMap<&'a str, Vec<&'a Group>>,
    /// Number of groups of the directory with a name that an orphan has.
    successors: FastMap<&'a str, usize>,
    /// Names of groups without an external id.
    made_by_hand: FastSet<&'a str>,
    slots_by_id: FastMap<&'a ExternalId, SlotId>,
    /// Members whose memberships in groups end with theirs in the organization.
    removed: FastSet<SlotId>,
    /// Members whose memberships in groups stay as they are: they may return, or are protected.
    frozen: FastSet<SlotId>,
    known_as: FastMap<SlotId, ExternalId>,
    /// Memberships that an undo has given back, and that are protected.
    protected: FastMap<SlotId, &'a Protection>,
}

/// Protected people who would leave. Whoever would only leave an old address of Vaultwarden is in the groups of the directory.
fn protected_without_entry(people: &People) -> impl Iterator<Item = SlotId> {
    let with_entry: FastSet<SlotId> = people.human_slots.iter().flatten().copied().collect();
    let protected = people.kept.iter().filter(|kept| matches!(kept.by, KeptBy::Protection | KeptBy::Undo));
    let is_address = move |kept: &&Kept| kept.cause == Cause::IdReused && with_entry.contains(&kept.slot);
    protected.filter(move |kept| !is_address(kept)).map(|kept| kept.slot)
}

/// Members whom the directory does not name.
fn without_entry(people: &People) -> impl Iterator<Item = SlotId> {
    let with_entry: FastSet<SlotId> = people.human_slots.iter().flatten().copied().collect();
    let members = (0..).zip(&people.slots).filter(|(_, slot)| slot.member.is_some()).map(|(at, _)| at);
    members.filter(move |at| !with_entry.contains(at))
}

impl<'a> Comparison<'a> {
    fn new(question: &'a Question<'a>, people: &'a People) -> Self {
        let Question { directory, roster, ledger, .. } = *question;
        let mut here: FastSet<&ExternalId> =
            directory.groups.iter().map(|group| &group.external_id).collect();
        here.extend(&directory.unusable_groups);
        let is_orphan = |id: &ExternalId| ledger.groups.contains_key(id) && !here.contains(id);
        let mut orphans: FastMap<&str, Vec<&Group>> = FastMap::default();
        for group in roster.groups().filter(|group| group.external_id.as_ref().is_some_and(is_orphan)) {
            orphans.entry(&group.name).or_default().push(group);
        }
        let mut successors: FastMap<&str, usize> = FastMap::default();
        for group in directory.groups.iter().filter(|group| orphans.contains_key(group.name.as_str())) {
            *successors.entry(&group.name).or_default() += 1;
        }
        let by_hand = roster.groups().filter(|group| group.external_id.is_none());
        let members = (0..).zip(people.slots.iter().filter(|slot| slot.member.is_some()));
        let slots_by_id = members.filter_map(|(at, slot)| Some((slot.before.as_ref()?, at))).collect();
        let removed = people.changes.iter().filter(|change| change.action == Action::Remove);
        let mut frozen: FastSet<SlotId> = people.waiting.iter().map(|waiting| waiting.slot).collect();
        frozen
            .extend(people.changes.iter().filter(|change| change.grace.is_some()).map(|change| change.slot));
        frozen.extend(protected_without_entry(people));
        if question.settings.earlier == EarlierRuns::Unknown {
            frozen.extend(without_entry(people));
        }
        Self {
            question,
            people,
            present: roster.groups_by_external_id(),
            orphans,
            successors,
            made_by_hand: by_hand.map(|group| group.name.as_str()).collect(),
            slots_by_id,
            removed: removed.map(|change| change.slot).collect(),
            frozen,
            known_as: known_as(question, people),
            protected: protected_members(question, people),
        }
    }

    fn group(&self, group: &PreparedGroup, wanted: &[SlotId], groups: &mut Groups) {
        let present = self.present.get(&group.external_id).copied();
        let relinked = if present.is_none() { self.relinked(group) } else { None };
        let before = present.or(relinked);
        if before.is_none() && self.has_twin(group) {
            groups.twins.push(group.name.clone());
        }
        let current = before.map_or_else(|| Arc::from([]), |before| self.current(before));
        let change = self.change(group, before, &current, wanted);
        let kept = self.protected_in(before, &current).filter(|slot| wanted.binary_search(slot).is_err());
        groups.protected.extend(kept.map(|slot| (group.name.clone(), slot)));
        let is_same = change.join.is_empty() && change.leave.is_empty() && change.renamed.is_none();
        if before.is_some() && relinked.is_none() && is_same && change.resend == Resend::No {
            let (external_id, name) = (group.external_id.clone(), group.name.clone());
            let is_as_imported = before.is_some_and(|before| self.is_as_imported(before, &current));
            groups.unchanged.push(UnchangedGroup { external_id, name, members: current, is_as_imported });
        } else {
            groups.changes.push(change);
        }
    }

    fn change(
        &self,
        group: &PreparedGroup,
        before: Option<&Group>,
        current: &Arc<[SlotId]>,
        wanted: &[SlotId],
    ) -> GroupChange {
        let old_id = before.and_then(|before| before.external_id.as_ref());
        let imported = self.question.ledger.groups.get(old_id.unwrap_or(&group.external_id));
        let imported = imported.filter(|imported| !imported.unsure);
        let moves = |slot: &SlotId| !self.frozen.contains(slot) && !self.removed.contains(slot);
        let join = wanted.iter().filter(|slot| current.binary_search(slot).is_err() && moves(slot));
        let protected: FastSet<SlotId> = self.protected_in(before, current).collect();
        let stays = |slot: &SlotId| wanted.binary_search(slot).is_ok() || protected.contains(slot);
        let leave = current.iter().filter(|slot| !stays(slot) && moves(slot));
        let edge = |slot: SlotId, cause: Cause| Edge { slot, cause };
        let join: Vec<Edge> = join.map(|slot| edge(*slot, self.cause_of_join(imported, *slot))).collect();
        let leave: Vec<Edge> = leave.map(|slot| edge(*slot, self.cause_of_leave(imported, *slot))).collect();
        let renamed = before.and_then(|before| self.renamed(group, before, imported));
        let relinked = old_id.filter(|id| **id != group.external_id).cloned();
        let action = match (before, &relinked, &renamed) {
            (None, _, _) => GroupAction::Create,
            (Some(_), None, Some(_)) if join.is_empty() && leave.is_empty() => GroupAction::Rename,
            (Some(_), _, _) => GroupAction::Update,
        };
        let mut change = GroupChange {
            action,
            cause: Cause::New,
            hold: Hold::Free,
            external_id: group.external_id.clone(),
            relinked,
            name: group.name.clone(),
            renamed,
            group: before.map(|before| before.id.clone()),
            current: Arc::clone(current),
            join,
            leave,
            held_join: Vec::new(),
            held_leave: Vec::new(),
            resend: before.map_or(Resend::No, |before| self.resend(before)),
        };
        change.cause = match action {
            GroupAction::Create if imported.is_some() => Cause::Drift,
            GroupAction::Create => Cause::New,
            _ => change.cause_of_content(),
        };
        change
    }

    /// Vaultwarden never renames a group.
    fn renamed(
        &self,
        group: &PreparedGroup,
        before: &Group,
        imported: Option<&GroupRecord>,
    ) -> Option<Renamed> {
        if before.name == group.name || self.question.roster.kind == Kind::Vaultwarden {
            return None;
        }
        let is_drift = imported.is_some_and(|imported| imported.name == group.name);
        let cause = if is_drift { Cause::Drift } else { Cause::New };
        Some(Renamed { from: before.name.clone(), cause, hold: Hold::Free })
    }

    /// Drift for somebody who was imported into a group and is not in it: taken out by hand.
    fn cause_of_join(&self, imported: Option<&GroupRecord>, slot: SlotId) -> Cause {
        let Some(imported) = imported else { return Cause::New };
        let id = self.known_as.get(&slot).or_else(|| {
            let slot = self.people.slots.get(slot as usize)?;
            slot.before.as_ref().or(slot.after.as_ref())
        });
        let was_in = id.is_some_and(|id| imported.members.binary_search(id).is_ok());
        if was_in { Cause::Drift } else { Cause::New }
    }

    /// Drift for somebody who is in a group and was not imported into it: put in by hand.
    fn cause_of_leave(&self, imported: Option<&GroupRecord>, slot: SlotId) -> Cause {
        let id = self.people.slots.get(slot as usize).and_then(|slot| slot.before.as_ref());
        let by_hand =
            imported.is_some_and(|imported| id.is_none_or(|id| imported.members.binary_search(id).is_err()));
        if by_hand { Cause::Drift } else { Cause::New }
    }

    /// Members as they were read, or else as they were imported.
    fn current(&self, group: &Group) -> Arc<[SlotId]> {
        match (&group.members, &group.external_id) {
            (Held::Read(members), _) => {
                in_order(members.iter().filter_map(|id| self.people.by_member.get(id).copied()))
            }
            (Held::Unread, Some(id)) => self.imported(id),
            (Held::Unread, None) => Arc::from([]),
        }
    }

    /// Members as they were imported, as far as they are members still.
    fn imported(&self, id: &ExternalId) -> Arc<[SlotId]> {
        let imported = self.question.ledger.groups.get(id);
        let members = imported.iter().flat_map(|imported| imported.members.iter());
        in_order(members.filter_map(|id| self.slots_by_id.get(id).copied()))
    }

    /// Whether these members are those who were imported, none of whom has left.
    fn is_as_imported(&self, group: &Group, members: &[SlotId]) -> bool {
        let Some(id) = &group.external_id else { return false };
        let imported = self.question.ledger.groups.get(id);
        imported.is_some_and(|imported| imported.members.len() == members.len())
            && (group.members == Held::Unread || *self.imported(id) == *members)
    }

    fn resend(&self, group: &Group) -> Resend {
        let record = group.external_id.as_ref().and_then(|id| self.question.ledger.groups.get(id));
        match (record, self.question.roster.basis) {
            (Some(GroupRecord { unsure: true, .. }), Basis::Ledger) => Resend::Yes,
            _ => Resend::No,
        }
    }

    fn can_call(&self) -> bool {
        self.question.roster.kind == Kind::Official && self.question.roster.basis == Basis::Live
    }

    /// The one group of ours with the same name whose id the directory does not have any more.
    fn relinked(&self, group: &PreparedGroup) -> Option<&'a Group> {
        if self.question.settings.relink == Relink::Off || !self.can_call() {
            return None;
        }
        let name = group.name.as_str();
        match (self.orphans.get(name).map(Vec::as_slice), self.successors.get(name)) {
            (Some([only]), Some(1)) => Some(only),
            _ => None,
        }
    }

    fn has_twin(&self, group: &PreparedGroup) -> bool {
        self.made_by_hand.contains(group.name.as_str())
    }

    fn vanished(&self, groups: &mut Groups) {
        if self.question.directory.groups_read != GroupsRead::Completely {
            return;
        }
        let relinked: FastSet<ExternalId> =
            groups.changes.iter().filter_map(|change| change.relinked.clone()).collect();
        let mut orphans: Vec<&Group> = self.orphans.values().flatten().copied().collect();
        orphans.sort_by_key(|group| (&group.name, &group.external_id));
        for group in orphans {
            let Some(id) = group.external_id.clone().filter(|id| !relinked.contains(id)) else { continue };
            let current = self.current(group);
            let members = current.len();
            groups.vanished.push(Vanished { name: group.name.clone(), external_id: id.clone(), members });
            groups.changes.extend(self.end(group, id, current));
        }
    }

    /// Members of a group who came back to it by an undo, and are not to be taken out yet.
    fn protected_in<'b>(
        &'b self,
        group: Option<&'b Group>,
        current: &'b [SlotId],
    ) -> impl Iterator<Item = SlotId> + 'b {
        let id = group.and_then(|group| group.external_id.as_ref()).filter(|_| !self.protected.is_empty());
        let is_protected = move |slot: &SlotId| {
            let protection = id.and_then(|id| Some((id, self.protected.get(slot)?)));
            protection.is_some_and(|(id, protection)| protection.groups.contains(id))
        };
        // Whoever would leave the organization is told of as a whole.
        current.iter().copied().filter(is_protected).filter(|slot| !self.frozen.contains(slot))
    }

    fn end(&self, group: &Group, external_id: ExternalId, current: Arc<[SlotId]>) -> Option<GroupChange> {
        // A group that protects its members is left to an administrator.
        if self.question.settings.protect.has_group(&group.name) {
            return None;
        }
        let is_protected =
            |slot| self.protected.get(slot).is_some_and(|one| one.groups.contains(&external_id));
        if current.iter().any(is_protected) {
            return None;
        }
        let stays = |slot: &&SlotId| !self.removed.contains(slot);
        let leave: Vec<Edge> =
            current.iter().filter(stays).map(|slot| Edge { slot: *slot, cause: Cause::New }).collect();
        let resend = self.resend(group);
        let is_done = leave.is_empty() && resend == Resend::No;
        let action = match self.question.settings.vanished_groups {
            VanishedGroups::Keep => return None,
            VanishedGroups::Delete if self.can_call() => GroupAction::Delete,
            VanishedGroups::Empty | VanishedGroups::Delete if is_done => return None,
            VanishedGroups::Empty | VanishedGroups::Delete => GroupAction::Empty,
        };
        Some(GroupChange {
            action,
            cause: Cause::Missing,
            hold: Hold::Free,
            external_id,
            relinked: None,
            name: group.name.clone(),
            renamed: None,
            group: Some(group.id.clone()),
            current,
            join: Vec::new(),
            leave,
            held_join: Vec::new(),
            held_leave: Vec::new(),
            resend,
        })
    }
}

/// Members who are protected because an undo has brought them back.
fn protected_members<'a>(question: &Question<'a>, people: &People) -> FastMap<SlotId, &'a Protection> {
    let records = question.ledger.people().filter_map(|(_, record)| record.protection(question.now));
    if records.count() == 0 {
        return FastMap::default();
    }
    let members = (0..).zip(people.slots.iter().filter(|slot| slot.member.is_some()));
    let protected = members.filter_map(|(at, slot)| {
        let record = question.ledger.person(slot.before.as_ref()?)?;
        Some((at, record.protection(question.now)?))
    });
    protected.collect()
}

/// Ids under which newcomers who were members before were imported into groups.
fn known_as(question: &Question<'_>, people: &People) -> FastMap<SlotId, ExternalId> {
    let returning =
        people.changes.iter().filter(|change| change.action.is_new() && change.cause == Cause::Drift);
    let slots: Vec<SlotId> = returning.map(|change| change.slot).collect();
    if slots.is_empty() {
        return FastMap::default();
    }
    let by_email: FastMap<_, _> = question.ledger.people().map(|(id, record)| (&record.email, id)).collect();
    let known = |slot: SlotId| by_email.get(&people.slots.get(slot as usize)?.email).map(|id| (*id).clone());
    slots.into_iter().filter_map(|slot| Some((slot, known(slot)?))).collect()
}

impl GroupChange {
    /// Drift, if nothing else explains what changes in it.
    pub(in crate::organization) fn cause_of_content(&self) -> Cause {
        let mut causes = self.join.iter().chain(&self.leave).map(|edge| edge.cause);
        let renamed = self.renamed.as_ref().map(|renamed| renamed.cause);
        let is_drift = self.relinked.is_none()
            && causes.all(|cause| cause == Cause::Drift)
            && renamed.is_none_or(|cause| cause == Cause::Drift);
        if is_drift { Cause::Drift } else { Cause::New }
    }
}
