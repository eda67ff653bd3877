//! Groups in an undo: names, memberships, and groups that were made or deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::notes::{Left, Lost};
use super::people::{Known, People};
use super::{has_calls, made_groups, made_members};
use crate::entry::ExternalId;
use crate::organization::changes::{
    Cause, Edge, GroupAction, GroupChange, Hold, Question, Renamed, Resend, SlotId,
};
use crate::organization::record::{GroupEntry, GroupMember, GroupState, RunRecord};
use crate::organization::roster::{Group, GroupId, Kind};

/// Changes to groups that undo a run.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) changes: Vec<GroupChange>,
}

impl Groups {
    pub(super) fn of(question: &Question<'_>, record: &RunRecord, people: &mut People<'_>) -> Self {
        let returning = returning(people);
        let mut building = Building {
            question,
            people,
            by_external_id: question.roster.groups_by_external_id(),
            former: former(record),
            returning,
            changes: Vec::new(),
        };
        for entry in made_groups(record) {
            building.entry(entry);
        }
        building.others();
        let mut changes = building.changes;
        changes.sort_by(|a, b| (&a.name, &a.external_id).cmp(&(&b.name, &b.external_id)));
        Self { changes }
    }
}

/// Somebody who comes back to a group.
struct Returning {
    slot: SlotId,
    group: String,
}

/// Those who come back to each group that they were in, by its external id before the run.
fn returning(people: &People<'_>) -> BTreeMap<String, Vec<Returning>> {
    let mut all: BTreeMap<String, Vec<Returning>> = BTreeMap::new();
    for (slot, groups) in &people.returning {
        for (id, name) in groups {
            all.entry(id.clone()).or_default().push(Returning { slot: *slot, group: name.clone() });
        }
    }
    all
}

/// The external id before the run of those who got another one in it.
fn former(record: &RunRecord) -> FastMap<Known, Known> {
    let renamed = made_members(record).filter_map(|entry| entry.before.as_ref().zip(entry.after.as_ref()));
    let renamed = renamed.filter(|(before, after)| before.external_id != after.external_id);
    renamed
        .map(|(before, after)| {
            (
                (after.email.clone(), after.external_id.clone()),
                (before.email.clone(), before.external_id.clone()),
            )
        })
        .collect()
}

struct Building<'a, 'b> {
    question: &'a Question<'a>,
    people: &'a mut People<'b>,
    by_external_id: FastMap<&'a ExternalId, &'a Group>,
    former: FastMap<Known, Known>,
    returning: BTreeMap<String, Vec<Returning>>,
    changes: Vec<GroupChange>,
}

/// What changes in a group.
struct Edges {
    join: Vec<Edge>,
    leave: Vec<Edge>,
}

impl<'a> Building<'a, '_> {
    fn entry(&mut self, entry: &GroupEntry) {
        match (&entry.before, &entry.after, self.found(entry)) {
            (Some(before), _, Some(group)) => self.put_back(entry, before, group),
            (Some(before), None, None) => self.make(entry, before),
            (Some(before), Some(_), None) => self.people.notes.leave(Left::GroupGone, &before.name),
            (None, Some(after), Some(group)) => self.unmake(entry, after, group),
            (None, Some(_) | None, None) | (None, None, Some(_)) => self.people.notes.back += 1,
        }
    }

    fn found(&self, entry: &GroupEntry) -> Option<&'a Group> {
        let by_id = entry.group_id.as_deref().and_then(|id| self.question.roster.group(&GroupId::from(id)));
        let states = [&entry.after, &entry.before].into_iter().flatten();
        let mut ids = states.map(|state| ExternalId::from(state.external_id.as_str()));
        by_id.or_else(|| ids.find_map(|id| self.by_external_id.get(&id).copied()))
    }

    fn current(&self, group: &Group) -> Arc<[SlotId]> {
        let members = group.members.known().iter();
        in_order(members.filter_map(|id| self.people.by_member.get(id).copied()).collect()).into()
    }

    /// Somebody by what the record says, as the organization knows the person now.
    fn slot(&self, who: &GroupMember) -> Option<SlotId> {
        let known = known(who);
        let former = || self.former.get(&known).and_then(|former| self.people.slot_of(former));
        self.people.slot_of(&known).or_else(former)
    }

    /// Those who left the group in that run and are members now, and those who come back.
    fn joining(&mut self, entry: &GroupEntry, before: &GroupState) -> Vec<SlotId> {
        let mut join = self.take_returning(&before.external_id);
        for who in &entry.leave {
            match self.slot(who) {
                // Whoever is only revoked keeps the groups.
                Some(slot) if !self.people.gives_up(slot) => join.push(slot),
                Some(_) => {}
                None => {
                    let why = self.people.changed_since(&known(who)).unwrap_or(Left::Gone);
                    self.people.notes.leave(why, format!("{} in {}", who.email, before.name));
                }
            }
        }
        in_order(join)
    }

    fn take_returning(&mut self, id: &str) -> Vec<SlotId> {
        self.returning.remove(id).unwrap_or_default().into_iter().map(|returning| returning.slot).collect()
    }

    fn edges(&self, slots: impl IntoIterator<Item = SlotId>) -> Vec<Edge> {
        slots.into_iter().map(|slot| Edge { slot, cause: Cause::Undo }).collect()
    }

    /// Those who joined the group in that run, are in it still, and are not removed.
    fn leaving(&mut self, entry: &GroupEntry, current: &[SlotId]) -> Vec<SlotId> {
        let name = entry.after.as_ref().map_or("", |after| after.name.as_str());
        for who in &entry.join {
            // Whoever is no member any more is in no group.
            if self.slot(who).is_none()
                && let Some(why) = self.people.changed_since(&known(who))
            {
                self.people.notes.leave(why, format!("{} in {name}", who.email));
            }
        }
        let joined = entry.join.iter().filter_map(|who| self.slot(who));
        let there =
            |slot: &SlotId| current.binary_search(slot).is_ok() && !self.people.removed.contains(slot);
        let joined = in_order(joined.filter(there).collect());
        let (kept, leaving): (Vec<SlotId>, Vec<SlotId>) =
            joined.into_iter().partition(|slot| self.people.is_protected(*slot));
        for slot in kept {
            let email = self.people.slots.get(slot as usize).map_or("", |slot| slot.email.as_str());
            let subject = format!("{email} in {name}");
            self.people.notes.leave(Left::Protected, subject);
        }
        leaving
    }

    /// Gives a group back its name, its id and its members.
    fn put_back(&mut self, entry: &GroupEntry, before: &GroupState, group: &Group) {
        let Some(now) = group.external_id.clone() else {
            return self.people.notes.leave(Left::GroupOtherId, &group.name);
        };
        let current = self.current(group);
        let join = self.joining(entry, before);
        let leave = self.leaving(entry, &current);
        let edges = Edges {
            join: self.edges(join.into_iter().filter(|slot| current.binary_search(slot).is_err())),
            leave: self.edges(leave),
        };
        let name = self.former_name(entry, before, group);
        let id = self.former_id(entry, before, group, &now);
        self.update(group, (name, id), current, edges);
    }

    /// The name that a group gets back; Vaultwarden never renames one.
    fn former_name(&mut self, entry: &GroupEntry, before: &GroupState, group: &Group) -> Option<String> {
        let after = entry.after.as_ref().filter(|after| after.name != before.name)?;
        if group.name == before.name || self.question.roster.kind == Kind::Vaultwarden {
            return None;
        }
        if group.name == after.name {
            return Some(before.name.clone());
        }
        self.people.notes.leave(Left::GroupOtherName, &group.name);
        None
    }

    /// The external id that a group gets back.
    fn former_id(
        &mut self,
        entry: &GroupEntry,
        before: &GroupState,
        group: &Group,
        now: &ExternalId,
    ) -> Option<ExternalId> {
        let after = entry.after.as_ref().filter(|after| after.external_id != before.external_id)?;
        if now.as_str() == before.external_id {
            return None;
        }
        let former = ExternalId::from(before.external_id.as_str());
        if now.as_str() != after.external_id || self.by_external_id.contains_key(&former) {
            self.people.notes.leave(Left::GroupOtherId, &group.name);
            return None;
        }
        if !has_calls(self.question) {
            self.people.notes.lose(Lost::IdStays, &group.name);
            return None;
        }
        Some(former)
    }

    fn update(
        &mut self,
        group: &Group,
        (name, former): (Option<String>, Option<ExternalId>),
        current: Arc<[SlotId]>,
        edges: Edges,
    ) {
        let Some(now) = group.external_id.clone() else { return };
        let is_same = edges.join.is_empty() && edges.leave.is_empty();
        let is_unchanged = is_same && name.is_none() && former.is_none();
        if is_unchanged && !self.people.is_sent_again() {
            self.people.notes.back += 1;
            return;
        }
        let is_name = is_same && former.is_none() && name.is_some();
        let renamed = name.is_some().then(|| Renamed {
            from: group.name.clone(),
            cause: Cause::Undo,
            hold: Hold::Free,
        });
        self.changes.push(GroupChange {
            group: Some(group.id.clone()),
            relinked: former.is_some().then(|| now.clone()),
            renamed,
            current,
            join: edges.join,
            leave: edges.leave,
            resend: self.resend(),
            ..change(
                if is_name { GroupAction::Rename } else { GroupAction::Update },
                former.unwrap_or(now),
                name.unwrap_or_else(|| group.name.clone()),
            )
        });
    }

    fn resend(&self) -> Resend {
        if self.people.is_sent_again() { Resend::Yes } else { Resend::No }
    }

    /// Makes a group again that the run deleted.
    fn make(&mut self, entry: &GroupEntry, before: &GroupState) {
        self.people.notes.lose(Lost::Group, &before.name);
        let join = self.joining(entry, before);
        let join = self.edges(join);
        let id = ExternalId::from(before.external_id.as_str());
        self.changes.push(GroupChange { join, ..change(GroupAction::Create, id, before.name.clone()) });
    }

    /// Deletes a group that the run made; empties it where groups cannot be deleted. It stays with those whom others have put into it.
    fn unmake(&mut self, entry: &GroupEntry, after: &GroupState, group: &Group) {
        if self.question.settings.protect.has_group(&group.name) {
            return self.people.notes.leave(Left::Protected, &group.name);
        }
        let current = self.current(group);
        let leave = self.leaving(entry, &current);
        let of_run: FastSet<SlotId> = leave.iter().copied().collect();
        let is_strange = |slot: &SlotId| !of_run.contains(slot) && !self.people.removed.contains(slot);
        let is_in_use = group.name != after.name || current.iter().any(is_strange);
        let edges = Edges { join: Vec::new(), leave: self.edges(leave) };
        if is_in_use {
            self.people.notes.leave(Left::GroupInUse, &group.name);
            if !edges.leave.is_empty() {
                self.update(group, (None, None), current, edges);
            }
            return;
        }
        let can_delete = has_calls(self.question);
        if !can_delete {
            self.people.notes.lose(Lost::GroupStays, &group.name);
            if edges.leave.is_empty() && !self.people.is_sent_again() {
                return self.people.notes.back += 1;
            }
        }
        self.changes.push(GroupChange {
            group: Some(group.id.clone()),
            current,
            leave: edges.leave,
            resend: self.resend(),
            ..change(
                if can_delete { GroupAction::Delete } else { GroupAction::Empty },
                ExternalId::from(after.external_id.as_str()),
                group.name.clone(),
            )
        });
    }

    /// Groups that only those who come back are about.
    fn others(&mut self) {
        for (id, returning) in std::mem::take(&mut self.returning) {
            let Some(group) = self.by_external_id.get(&ExternalId::from(id.as_str())).copied() else {
                for Returning { slot, group } in returning {
                    let email = self.people.slots.get(slot as usize).map_or("", |slot| slot.email.as_str());
                    let subject = format!("{email} in {group}");
                    self.people.notes.leave(Left::GroupGone, subject);
                }
                continue;
            };
            let current = self.current(group);
            let join = in_order(returning.into_iter().map(|returning| returning.slot).collect());
            let join = join.into_iter().filter(|slot| current.binary_search(slot).is_err());
            let edges = Edges { join: self.edges(join), leave: Vec::new() };
            if !edges.join.is_empty() || self.people.is_sent_again() {
                self.update(group, (None, None), current, edges);
            }
        }
    }
}

fn known(who: &GroupMember) -> Known {
    (who.email.clone(), who.external_id.clone())
}

fn in_order(mut slots: Vec<SlotId>) -> Vec<SlotId> {
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// A change of a group without members.
fn change(action: GroupAction, external_id: ExternalId, name: String) -> GroupChange {
    GroupChange {
        action,
        cause: Cause::Undo,
        hold: Hold::Free,
        external_id,
        relinked: None,
        name,
        renamed: None,
        group: None,
        current: Arc::from([]),
        join: Vec::new(),
        leave: Vec::new(),
        held_join: Vec::new(),
        held_leave: Vec::new(),
        resend: Resend::No,
    }
}
