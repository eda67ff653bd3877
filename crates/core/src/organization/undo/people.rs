//! People in an undo: who leaves again, who gets access or an id back, and who is invited again.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::notes::{Left, Lost, Notes};
use super::{has_calls, made_members};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::{
    Action, Cause, Hold, MemberChange, Question, Slot, SlotId, in_order, named_protected,
};
use crate::organization::identity::{is_left, left};
use crate::organization::ledger::RevokedBy;
use crate::organization::moment::Span;
use crate::organization::record::{MemberEntry, MemberState, RunRecord, StatusWord};
use crate::organization::roster::{Basis, Kind, Member, MemberId, Role, Staging};

/// Address and external id, by which a record knows somebody.
pub(super) type Known = (Arc<str>, Option<Arc<str>>);

/// Changes to people that undo a run.
pub(super) struct People<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) slots: Vec<Slot>,
    pub(super) by_member: FastMap<MemberId, SlotId>,
    pub(super) changes: Vec<MemberChange>,
    /// Members whose memberships end with this undo.
    pub(super) removed: FastSet<SlotId>,
    /// Those who leave: removed, or revoked.
    pub(super) leaving: FastSet<SlotId>,
    /// Those who come back: invited again, or restored.
    pub(super) coming: Vec<SlotId>,
    /// Groups that those who come back were in, by external id with the name.
    pub(super) returning: BTreeMap<SlotId, BTreeMap<String, String>>,
    pub(super) notes: Notes,
    by_known: FastMap<Known, SlotId>,
    /// Members whom `sync.protect` names.
    protected: FastSet<MemberId>,
    wishes: BTreeMap<SlotId, Wish>,
}

/// What a member who stays gets back.
#[derive(Clone, Debug, Default)]
struct Wish {
    /// The former external id, if it is another one.
    id: Option<Option<ExternalId>>,
    access: Option<Access>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Given,
    Taken,
}

impl MemberState {
    fn known(&self) -> Known {
        (self.email.clone(), self.external_id.clone())
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.status == StatusWord::Revoked
    }

    fn id(&self) -> Option<ExternalId> {
        self.external_id.as_deref().map(ExternalId::from)
    }
}

impl<'a> People<'a> {
    pub(super) fn of(question: &'a Question<'a>, record: &RunRecord) -> Self {
        let mut people = Self::new(question);
        let anew = made_anew(record);
        for entry in made_members(record) {
            match (&entry.before, &entry.after) {
                (Some(before), Some(after)) => people.stays(entry, before, after),
                (Some(state), None) | (None, Some(state)) if anew.contains(&state.known()) => {
                    people.notes.lose(Lost::MadeAnew, &state.email);
                }
                (None, Some(after)) => people.joined(after),
                (Some(_), None) | (None, None) => {}
            }
        }
        people.free_ids();
        people.grant();
        for entry in made_members(record) {
            if let (Some(before), None) = (&entry.before, &entry.after)
                && !anew.contains(&before.known())
            {
                people.left(before);
            }
        }
        people.rename_leavers();
        in_order(&people.slots, &mut people.changes);
        people
    }

    fn new(question: &'a Question<'a>) -> Self {
        let Question { directory, roster, ledger, settings, .. } = *question;
        let slot = |member: &Member| Slot {
            member: Some(member.id.clone()),
            email: member.email.clone(),
            before: member.external_id.clone(),
            after: member.external_id.clone(),
        };
        let slots: Vec<Slot> = roster.members().map(slot).collect();
        let by_member = (0..).zip(roster.members()).map(|(at, member)| (member.id.clone(), at)).collect();
        let by_known =
            (0..).zip(&slots).map(|(at, slot)| (known(&slot.email, slot.before.as_ref()), at)).collect();
        Self {
            question,
            slots,
            by_member,
            by_known,
            protected: named_protected(&settings.protect, directory, roster, ledger),
            changes: Vec::new(),
            removed: FastSet::default(),
            leaving: FastSet::default(),
            coming: Vec::new(),
            returning: BTreeMap::new(),
            notes: Notes::default(),
            wishes: BTreeMap::new(),
        }
    }

    /// Whether `sync.protect` names a member.
    pub(super) fn is_protected(&self, slot: SlotId) -> bool {
        let member = self.slots.get(slot as usize).and_then(|slot| slot.member.as_ref());
        member.is_some_and(|member| self.protected.contains(member))
    }

    /// Somebody by the address and the external id that the organization has now.
    pub(super) fn slot_of(&self, known: &Known) -> Option<SlotId> {
        self.by_known.get(known).copied()
    }

    /// What others have changed in somebody of whom only the address or the external id is as the run left it.
    pub(super) fn changed_since(&self, (email, id): &Known) -> Option<Left> {
        if self.by_email(email).is_some() {
            return Some(Left::OtherId);
        }
        let id = id.as_deref()?;
        let has_id = |slot: &Slot| slot.before.as_ref().is_some_and(|before| before.as_str() == id);
        self.slots.iter().any(has_id).then_some(Left::OtherAddress)
    }

    fn by_email(&self, email: &str) -> Option<SlotId> {
        (0..).zip(&self.slots).find(|(_, slot)| slot.email.as_str() == email).map(|(at, _)| at)
    }

    fn member(&self, slot: SlotId) -> Option<&'a Member> {
        let id = self.slots.get(slot as usize)?.member.as_ref()?;
        self.question.roster.member(id)
    }

    fn is_vaultwarden(&self) -> bool {
        self.question.roster.kind == Kind::Vaultwarden
    }

    fn change(&mut self, action: Action, slot: SlotId) {
        let directory_id = self.slots.get(slot as usize).and_then(|slot| slot.after.clone());
        self.changes.push(MemberChange {
            action,
            cause: Cause::Undo,
            hold: Hold::Free,
            slot,
            directory_id: directory_id.filter(|_| !action.is_leaving()),
            after: None,
            grace: None,
        });
    }

    /// Whether what is undone already is sent again: an unfinished run may or may not have done it, and nobody can look.
    pub(super) fn is_sent_again(&self) -> bool {
        self.question.roster.basis == Basis::Ledger && self.question.ledger.unfinished().is_some()
    }

    /// Has somebody leave who joined in that run.
    fn joined(&mut self, after: &MemberState) {
        let Some(slot) = self.slot_of(&after.known()).or_else(|| self.left_behind(&after.email)) else {
            return match self.changed_since(&after.known()) {
                Some(why) => self.notes.leave(why, &after.email),
                None => self.gone(after),
            };
        };
        let Some(member) = self.member(slot) else { return };
        match (member.status.is_revoked(), self.is_vaultwarden()) {
            (true, true) if !self.is_sent_again() => return self.notes.back += 1,
            (true, false) => return self.notes.leave(Left::OtherStatus, &after.email),
            (false, _) | (true, true) => {}
        }
        if self.may_leave(member, after) {
            self.leave(slot, member);
        }
    }

    /// A member of Vaultwarden who has left, and whose id was made free for somebody else.
    fn left_behind(&self, email: &str) -> Option<SlotId> {
        let slot = self.by_email(email).filter(|_| self.is_vaultwarden())?;
        let id = self.slots.get(slot as usize)?.before.as_ref()?;
        (is_left(id) && self.member(slot)?.status.is_revoked()).then_some(slot)
    }

    fn leave(&mut self, slot: SlotId, member: &Member) {
        self.leaving.insert(slot);
        if self.is_vaultwarden() {
            self.notes.lose(Lost::StaysMember, &member.email);
            self.change(Action::Revoke, slot);
        } else {
            self.removed.insert(slot);
            self.change(Action::Remove, slot);
        }
        self.end_protection(member);
    }

    /// Somebody who joined in that run and is no member any more.
    fn gone(&mut self, after: &MemberState) {
        let (Some(email), Some(id)) = (Email::parse(&after.email), after.id()) else { return };
        if !self.is_sent_again() {
            self.notes.back += 1;
            return;
        }
        let slot = self.add(after, Slot { member: None, email, before: Some(id.clone()), after: Some(id) });
        self.removed.insert(slot);
        self.leaving.insert(slot);
        self.change(Action::Remove, slot);
    }

    fn add(&mut self, state: &MemberState, slot: Slot) -> SlotId {
        let at = SlotId::try_from(self.slots.len()).unwrap_or(SlotId::MAX);
        self.by_known.insert(state.known(), at);
        self.slots.push(slot);
        at
    }

    /// Whether an undo may take the access of a member who is as the run left it.
    fn may_leave(&mut self, member: &Member, after: &MemberState) -> bool {
        let why = if member.role == Role::Owner {
            Left::Owner
        } else if member.role != after.role {
            Left::OtherRole
        } else if self.protected.contains(&member.id) {
            Left::Protected
        } else {
            return true;
        };
        self.notes.leave(why, &member.email);
        false
    }

    fn end_protection(&mut self, member: &Member) {
        let record = member.external_id.as_ref().and_then(|id| self.question.ledger.person(id));
        if record.is_some_and(|record| record.is_protected(self.question.now)) {
            self.notes.lose(Lost::Protection, &member.email);
        }
    }

    /// Finds out what somebody gets back who was a member before that run and after it.
    fn stays(&mut self, entry: &MemberEntry, before: &MemberState, after: &MemberState) {
        let by_id =
            entry.member_id.as_deref().and_then(|id| self.by_member.get(&MemberId::from(id)).copied());
        let found = by_id.or_else(|| self.slot_of(&after.known())).or_else(|| self.slot_of(&before.known()));
        let Some((slot, member)) = found.and_then(|slot| Some((slot, self.member(slot)?))) else {
            return self.notes.leave(Left::Gone, &before.email);
        };
        let now = member.external_id.as_ref().map(ExternalId::as_str);
        if now != after.external_id.as_deref() && now != before.external_id.as_deref() {
            return self.notes.leave(Left::OtherId, &member.email);
        }
        let mut wish = Wish::default();
        if before.external_id != after.external_id {
            match now == before.external_id.as_deref() && !self.is_sent_again() {
                true => self.notes.back += 1,
                false => wish.id = Some(before.id()),
            }
        }
        if before.is_revoked() != after.is_revoked() {
            let is_as_left = member.status.is_revoked() == after.is_revoked();
            match (is_as_left || self.is_sent_again(), after.is_revoked()) {
                (false, _) => self.notes.back += 1,
                (true, true) => wish.access = Some(Access::Given),
                (true, false) if self.may_leave(member, after) => wish.access = Some(Access::Taken),
                (true, false) => {}
            }
        }
        let all = self.wishes.entry(slot).or_default();
        all.id = wish.id.or(all.id.take());
        all.access = wish.access.or(all.access);
    }

    /// Drops the ids that cannot be given back: the server has no request, or somebody has them who keeps them.
    fn free_ids(&mut self) {
        let can_release = has_calls(self.question);
        let can_change = can_release || self.is_vaultwarden();
        for (slot, wish) in &mut self.wishes {
            let is_offered = match &wish.id {
                Some(None) => can_release,
                Some(Some(_)) => can_change,
                None => true,
            };
            if !is_offered {
                wish.id = None;
                let email = &self.slots[*slot as usize].email;
                self.notes.lose(Lost::IdStays, email);
            }
        }
        while let Some(slot) = self.first_in_the_way() {
            if let Some(wish) = self.wishes.get_mut(&slot) {
                wish.id = None;
            }
            let email = self.slots[slot as usize].email.clone();
            self.notes.leave(Left::Taken, email);
        }
    }

    /// A member whose former id somebody else has and keeps.
    fn first_in_the_way(&self) -> Option<SlotId> {
        let wanted = self.wishes.iter().filter_map(|(slot, wish)| Some((*slot, wish.id.as_ref()?.as_ref()?)));
        let mut wanted = wanted.filter(|(slot, id)| self.holder(id, Some(*slot)).is_some());
        wanted.next().map(|(slot, _)| slot)
    }

    /// Somebody else who has an external id and keeps it.
    fn holder(&self, id: &ExternalId, but: Option<SlotId>) -> Option<SlotId> {
        let all =
            (0..).zip(&self.slots).filter(|(at, slot)| Some(*at) != but && slot.before.as_ref() == Some(id));
        let mut keepers = all.filter(|(at, slot)| {
            let changes =
                self.wishes.get(at).is_some_and(|wish| wish.id.is_some()) || slot.after != slot.before;
            // Whoever leaves a Vaultwarden is given another id, see `rename_leavers`; whoever has left one, by the requests.
            let has_left =
                self.is_vaultwarden() && self.member(*at).is_some_and(|member| member.status.is_revoked());
            !changes && !self.gives_up(*at) && !has_left
        });
        keepers.next().map(|(at, _)| at)
    }

    /// Whether somebody leaves in such a way that the external id is free afterwards.
    pub(super) fn gives_up(&self, slot: SlotId) -> bool {
        if self.is_vaultwarden() { self.leaving.contains(&slot) } else { self.removed.contains(&slot) }
    }

    /// Makes changes of the wishes.
    fn grant(&mut self) {
        for (slot, wish) in std::mem::take(&mut self.wishes) {
            let had = self.slots[slot as usize].before.is_some();
            if let Some(id) = wish.id.clone() {
                let is_adopted = !had && id.is_some();
                self.slots[slot as usize].after = id;
                // Vaultwarden gives both with one entry.
                if wish.access.is_none() || !self.is_vaultwarden() {
                    self.change(if is_adopted { Action::Adopt } else { Action::Relink }, slot);
                }
            }
            match wish.access {
                Some(_) if !self.is_vaultwarden() && !has_calls(self.question) => {
                    self.notes.lose(Lost::NotOffered, &self.slots[slot as usize].email);
                }
                Some(Access::Given) => {
                    self.coming.push(slot);
                    self.change(Action::Restore, slot);
                }
                Some(Access::Taken) => self.revoke(slot),
                None => {}
            }
        }
    }

    /// Takes the access of somebody who was without it, and had left.
    fn revoke(&mut self, slot: SlotId) {
        self.leaving.insert(slot);
        self.change(Action::Revoke, slot);
        let until = self.question.now.plus(self.question.settings.grace);
        let has_grace = !self.is_vaultwarden() && self.question.settings.grace != Span::NONE;
        if let Some(change) = self.changes.last_mut().filter(|_| has_grace) {
            change.grace = Some((until, RevokedBy::Us));
        }
        if let Some(member) = self.member(slot) {
            self.end_protection(member);
        }
    }

    /// Invites somebody again whom that run removed.
    fn left(&mut self, before: &MemberState) {
        if let Some(slot) = self.slot_of(&before.known()).filter(|slot| !self.removed.contains(slot)) {
            let is_revoked = self.member(slot).is_some_and(|member| member.status.is_revoked());
            if is_revoked && !before.is_revoked() {
                return self.notes.leave(Left::OtherStatus, &before.email);
            }
            self.returning.insert(slot, before.groups.clone());
            match self.is_sent_again() && !before.is_revoked() {
                true => self.invite(slot, before),
                false => self.notes.back += 1,
            }
            return;
        }
        if before.is_revoked() {
            return self.notes.lose(Lost::WasRevoked, &before.email);
        }
        let (Some(email), Some(id)) = (Email::parse(&before.email), before.id()) else {
            return self.notes.lose(Lost::NotOffered, &before.email);
        };
        let of_email = self.by_email(&before.email);
        let is_taken = of_email.is_some_and(|slot| !self.removed.contains(&slot));
        if is_taken || self.holder(&id, None).is_some() {
            return self.notes.leave(Left::Taken, &before.email);
        }
        let of_id =
            (0..).zip(&self.slots).find(|(_, slot)| slot.before.as_ref() == Some(&id)).map(|(at, _)| at);
        self.lose_with(before);
        let slot = self.add(before, Slot { member: None, email, before: None, after: Some(id) });
        self.invite(slot, before);
        self.returning.insert(slot, before.groups.clone());
        let after = of_id.or(of_email).filter(|slot| self.gives_up(*slot));
        if let Some(change) = self.changes.last_mut() {
            change.after = after;
        }
    }

    fn invite(&mut self, slot: SlotId, before: &MemberState) {
        let is_staged = before.status == StatusWord::Staged && self.question.roster.staging == Staging::On;
        self.change(if is_staged { Action::Stage } else { Action::Invite }, slot);
        self.coming.push(slot);
    }

    fn lose_with(&mut self, before: &MemberState) {
        match before.status {
            StatusWord::Invited => {}
            StatusWord::Staged if self.question.roster.staging == Staging::On => {}
            StatusWord::Staged => self.notes.lose(Lost::Staged, &before.email),
            _ => self.notes.lose(Lost::Membership, &before.email),
        }
        if before.role != Role::User && self.question.roster.basis == Basis::Live {
            self.notes.lose(Lost::Role, &before.email);
        }
    }

    /// On Vaultwarden, gives another id to whoever leaves and has one that somebody gets back: groups know people by their ids.
    fn rename_leavers(&mut self) {
        if !self.is_vaultwarden() {
            return;
        }
        let given = self.slots.iter().filter(|slot| slot.before != slot.after);
        let given: FastSet<ExternalId> = given.filter_map(|slot| slot.after.clone()).collect();
        for slot in self.leaving.iter().copied() {
            let Slot { before, after, .. } = &self.slots[slot as usize];
            let has_it = before == after && before.as_ref().is_some_and(|id| given.contains(id));
            if has_it && let Some(member) = self.member(slot) {
                self.slots[slot as usize].after = Some(left(member));
            }
        }
        let holders: Vec<(ExternalId, SlotId)> = self
            .leaving
            .iter()
            .filter_map(|slot| Some((self.slots[*slot as usize].before.clone()?, *slot)))
            .collect();
        for change in self.changes.iter_mut().filter(|change| !change.action.is_leaving()) {
            let id = self.slots[change.slot as usize].after.clone();
            let holder =
                holders.iter().find(|(held, slot)| id.as_ref() == Some(held) && *slot != change.slot);
            change.after = change.after.or(holder.map(|(_, slot)| *slot));
        }
    }
}

pub(super) fn known(email: &Email, id: Option<&ExternalId>) -> Known {
    (email.shared(), id.map(ExternalId::shared))
}

/// Those whom a run removed and invited again, with the same address and the same id.
fn made_anew(record: &RunRecord) -> FastSet<Known> {
    let removed = made_members(record).filter(|entry| entry.after.is_none());
    let removed: FastSet<Known> = removed.filter_map(|entry| Some(entry.before.as_ref()?.known())).collect();
    let made = made_members(record).filter(|entry| entry.before.is_none());
    let made = made.filter_map(|entry| Some(entry.after.as_ref()?.known()));
    made.filter(|known| removed.contains(known)).collect()
}
