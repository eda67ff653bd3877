//! Groups in requests.

use std::sync::Arc;

use foldhash::HashSet as FastSet;

use super::{Step, Writing};
use crate::entry::ExternalId;
use crate::import::ImportGroup;
use crate::organization::changes::{Action, Cause, Edge, GroupAction, GroupChange, Hold, SlotId};
use crate::organization::ledger::Effect;
use crate::organization::ranks::Ranks;
use crate::organization::roster::GroupId;
use crate::organization::server::{Call, Who};

impl Writing<'_> {
    fn free_groups(&self) -> impl Iterator<Item = &GroupChange> {
        self.changes.groups.iter().filter(|group| group.hold == Hold::Free)
    }

    /// Memberships in the organization that end in this run, and with them those in groups.
    fn removed(&self) -> FastSet<SlotId> {
        let removed = self.free().filter(|(change, _)| change.action == Action::Remove);
        removed.map(|(change, _)| change.slot).collect()
    }

    fn leaving(&self) -> FastSet<SlotId> {
        let leaving = self.changes.members.iter().filter(|change| change.action.is_leaving());
        leaving.map(|change| change.slot).collect()
    }

    /// Members of a group afterwards, in order.
    fn members_after(&self, group: &GroupChange, removed: &FastSet<SlotId>) -> Vec<SlotId> {
        let leave: FastSet<SlotId> = group.leave.iter().map(|edge| edge.slot).collect();
        let stay = group.current.iter().filter(|slot| !leave.contains(slot) && !removed.contains(slot));
        let mut members: Vec<SlotId> = stay.copied().chain(group.join.iter().map(|edge| edge.slot)).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// External ids after the changes, in order, of those who are in a group: the list that the directory has, where it says the same.
    fn ids_in(&self, group: &ExternalId, slots: &[SlotId]) -> Arc<[ExternalId]> {
        let ids = self.in_order(slots);
        let groups = &self.question.directory.groups;
        let at = groups.binary_search_by(|listed| listed.external_id.cmp(group));
        let listed = at.ok().and_then(|at| groups.get(at)).map(|group| &group.members);
        match listed.filter(|listed| listed.iter().eq(ids.clone())) {
            Some(listed) => Arc::clone(listed),
            None => once_each(ids).into(),
        }
    }

    /// External ids after the changes, in order.
    fn in_order(&self, slots: &[SlotId]) -> impl Iterator<Item = &ExternalId> + Clone {
        let ranks = self.ranks.get_or_init(|| Ranks::of(&self.changes.slots, |slot| slot.after.as_ref()));
        ranks.in_order(slots.iter().copied()).copied()
    }

    /// An import cannot name members without an external id, and would take them out.
    fn needs_call(&self, members: &[SlotId]) -> Option<Vec<Who>> {
        let slot = |slot: &SlotId| self.changes.slot(*slot);
        let is_nameless = |at: &SlotId| slot(at).is_some_and(|slot| slot.after.is_none());
        if !members.iter().any(is_nameless) {
            return None;
        }
        let who = |at: &SlotId| {
            let slot = slot(at)?;
            match (&slot.member, &slot.after) {
                (Some(member), _) => Some(Who::Member(member.clone())),
                (None, Some(id)) => Some(Who::Imported(id.clone())),
                (None, None) => None,
            }
        };
        Some(members.iter().filter_map(who).collect())
    }

    /// Groups to import because they change.
    pub(super) fn changed_groups(&self) -> Vec<(ImportGroup, Vec<Effect>)> {
        let (removed, leaving) = (self.removed(), self.leaving());
        let mut groups = Vec::new();
        for group in self.free_groups().filter(|group| group.action != GroupAction::Delete) {
            let members = self.members_after(group, &removed);
            if self.needs_call(&members).is_some() {
                continue;
            }
            let import = ImportGroup {
                name: group.name_after().to_owned(),
                external_id: group.external_id.clone(),
                member_external_ids: self.ids_in(&group.external_id, &members),
            };
            let mut effects = self.counts_of(group, &leaving);
            effects.push(self.effect_of(group, &import.member_external_ids));
            groups.push((import, effects));
        }
        groups.sort_by(|(a, _), (b, _)| a.external_id.cmp(&b.external_id));
        groups
    }

    /// All groups of the directory but those that a limit holds back.
    pub(super) fn all_groups(&self) -> Vec<(ImportGroup, Vec<Effect>)> {
        let mut groups = self.changed_groups();
        let removed = self.removed();
        for group in &self.changes.unchanged_groups {
            let members: Vec<SlotId> =
                group.members.iter().filter(|slot| !removed.contains(slot)).copied().collect();
            let import = ImportGroup {
                name: group.name.clone(),
                external_id: group.external_id.clone(),
                member_external_ids: self.ids_in(&group.external_id, &members),
            };
            groups.push((import, Vec::new()));
        }
        groups.sort_by(|(a, _), (b, _)| a.external_id.cmp(&b.external_id));
        groups
    }

    /// The name and the members that were meant: what a limit holds back is still to be mended.
    fn effect_of(&self, group: &GroupChange, sent: &Arc<[ExternalId]>) -> Effect {
        let drift = |edges: &[Edge]| -> Vec<SlotId> {
            edges.iter().filter(|edge| edge.cause == Cause::Drift).map(|edge| edge.slot).collect()
        };
        let (strange, missing) = (drift(&group.held_leave), drift(&group.held_join));
        let members = match (strange.as_slice(), missing.as_slice()) {
            ([], []) => Arc::clone(sent),
            _ => self.mended(sent, &strange, &missing),
        };
        let present = group.group.as_ref().and_then(|id| self.question.roster.group(id));
        // Vaultwarden never renames a group.
        let name = match present.filter(|_| self.is_vaultwarden()) {
            Some(present) => present.name.clone(),
            None => group.name.clone(),
        };
        Effect::Group { id: group.external_id.clone(), name, members }
    }

    /// Members without those whom somebody else has put in, and with those whom somebody else has taken out.
    fn mended(&self, sent: &[ExternalId], strange: &[SlotId], missing: &[SlotId]) -> Arc<[ExternalId]> {
        let strange: FastSet<&ExternalId> = self.in_order(strange).collect();
        let mut members: Vec<ExternalId> = sent.iter().filter(|id| !strange.contains(id)).cloned().collect();
        members.extend(self.in_order(missing).cloned());
        members.sort_unstable();
        members.dedup();
        members.into()
    }

    /// Groups that get another external id have it before they are imported.
    pub(super) fn group_calls_before(&self) -> Vec<Step> {
        let relinked = self.free_groups().filter_map(|group| {
            let (from, id) = (group.relinked.clone()?, group.group.clone()?);
            let effect = Effect::GroupRenamed { from, to: group.external_id.clone() };
            Some(Step { call: put_group(group, id), effects: [effect].into() })
        });
        relinked.collect()
    }

    /// Calls for what no import can do.
    pub(super) fn group_calls_after(&self) -> Vec<Step> {
        let (removed, leaving) = (self.removed(), self.leaving());
        let mut steps = Vec::new();
        for group in self.free_groups() {
            let Some(id) = group.group.clone() else { continue };
            if group.action == GroupAction::Delete {
                let mut effects = self.counts_of(group, &leaving);
                effects.push(Effect::NoGroup(group.external_id.clone()));
                steps.push(Step { call: Call::DeleteGroup(id), effects: effects.into() });
                continue;
            }
            let after = self.members_after(group, &removed);
            let Some(members) = self.needs_call(&after) else { continue };
            if group.free_name().is_some() && group.relinked.is_none() {
                steps.push(Step { call: put_group(group, id.clone()), effects: Arc::default() });
            }
            let mut effects = self.counts_of(group, &leaving);
            effects.push(self.effect_of(group, &self.ids_in(&group.external_id, &after)));
            let call = Call::PutGroupMembers { group: id, members };
            steps.push(Step { call, effects: effects.into() });
        }
        steps
    }

    pub(super) fn reinvites(&self) -> Vec<Step> {
        let slots = self.changes.reinvites.iter().filter_map(|slot| self.changes.slot(*slot));
        let steps = slots.filter_map(|slot| {
            let effects = slot.after.iter().map(|id| Effect::Reinvited(id.clone())).collect();
            Some(Step { call: Call::Reinvite(slot.member.clone()?), effects })
        });
        steps.collect()
    }
}

fn once_each<'a>(ids: impl Iterator<Item = &'a ExternalId>) -> Vec<ExternalId> {
    let mut ids: Vec<ExternalId> = ids.cloned().collect();
    ids.dedup();
    ids
}

fn put_group(group: &GroupChange, id: GroupId) -> Call {
    Call::PutGroup { group: id, name: group.name_after().to_owned(), external_id: group.external_id.clone() }
}
