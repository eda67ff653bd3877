//! Changes to people: who comes, stays by another id, returns and leaves.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::compute::Question;
use super::{Action, Cause, Hold, Kept, MemberChange, Slot, SlotId, Waiting};
use crate::entry::{Email, ExternalId};
use crate::organization::identity::{By, Human, Identities, Match, Wanted, left};
use crate::organization::leaving::Departure;
use crate::organization::ledger::{Doubt, Record, RevokedBy, Standing};
use crate::organization::moment::Span;
use crate::organization::roster::{Basis, Kind, Member, MemberId, Staging};
use crate::organization::settings::Relink;
use crate::rules::Newcomers;

/// Changes to people, as far as no limit speaks against them.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    pub(super) slots: Vec<Slot>,
    pub(super) changes: Vec<MemberChange>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) kept: Vec<Kept>,
    /// Members who are no longer in the directory, and stay.
    pub(super) missing: BTreeSet<SlotId>,
    /// Which slot each human has, if any.
    pub(super) human_slots: Vec<Option<SlotId>>,
    /// Slots by the server's ids.
    pub(super) by_member: FastMap<MemberId, SlotId>,
    /// Humans who are not imported because a member has their address.
    pub(super) taken: Vec<(usize, MemberId)>,
}

pub(super) fn people(
    question: &Question<'_>,
    identities: &Identities,
    departures: &[(MemberId, Departure)],
) -> People {
    let mut building = Building::new(question, identities);
    building.leavers(departures);
    for human in 0..identities.humans.len() {
        building.human(human);
    }
    let mut people = building.people;
    if question.roster.kind == Kind::Vaultwarden {
        people.await_ids();
    }
    in_order(&people.slots, &mut people.changes);
    people
}

/// Puts changes in the order of addresses.
pub(in crate::organization) fn in_order(slots: &[Slot], changes: &mut [MemberChange]) {
    changes.sort_by(|a, b| key(slots, a).cmp(&key(slots, b)));
}

impl People {
    /// Has nobody get an external id that another member still has: both changes are done, or neither.
    fn await_ids(&mut self) {
        let holders: FastMap<&ExternalId, SlotId> =
            self.slots.iter().zip(0..).filter_map(|(slot, at)| Some((slot.before.as_ref()?, at))).collect();
        for change in self.changes.iter_mut().filter(|change| !change.action.is_leaving()) {
            let Some(slot) = self.slots.get(change.slot as usize) else { continue };
            let holder = slot.after.as_ref().and_then(|id| holders.get(id).copied());
            if let Some(holder) = holder.filter(|holder| *holder != change.slot) {
                change.after.get_or_insert(holder);
            }
        }
    }
}

fn key<'a>(slots: &'a [Slot], change: &MemberChange) -> (Option<&'a Email>, SlotId, Action) {
    (slots.get(change.slot as usize).map(|slot| &slot.email), change.slot, change.action)
}

struct Building<'a> {
    question: &'a Question<'a>,
    identities: &'a Identities,
    people: People,
    leaving: FastSet<SlotId>,
    /// Leavers whose id and address are free for somebody else afterwards.
    frees: FastSet<SlotId>,
    /// External ids that somebody has or gets, where members may get other ones.
    used: FastSet<ExternalId>,
    /// Made when somebody comes.
    returned: OnceCell<Former<'a>>,
}

/// Those who were in once, by id and by address.
struct Former<'a> {
    by_id: FastMap<&'a ExternalId, &'a Record>,
    by_email: FastMap<&'a Email, &'a Record>,
}

impl<'a> Former<'a> {
    fn of(question: &Question<'a>) -> Self {
        let mut former = Self { by_id: FastMap::default(), by_email: FastMap::default() };
        for (id, record) in question.ledger.people() {
            former.by_id.entry(id).or_insert(record);
            former.by_email.entry(&record.email).or_insert(record);
            for known in record.ids.keys() {
                former.by_id.entry(known).or_insert(record);
            }
        }
        former
    }

    /// Reason why somebody comes who is no member.
    fn cause(&self, human: &Human) -> Cause {
        let has_same_address = |record: &&&Record| human.email.as_ref() == Some(&record.email);
        let by_id = || human.ids.iter().find_map(|id| self.by_id.get(id)).filter(has_same_address);
        let by_email = || human.email.as_ref().and_then(|email| self.by_email.get(email));
        match by_id().or_else(by_email).map(|record| record.standing) {
            None => Cause::New,
            Some(Standing::In) => Cause::Drift,
            Some(Standing::Left { .. } | Standing::Grace { .. }) => Cause::Returned,
        }
    }
}

impl<'a> Building<'a> {
    fn new(question: &'a Question<'a>, identities: &'a Identities) -> Self {
        let mut people = People { human_slots: vec![None; identities.humans.len()], ..People::default() };
        let members = question.roster.members().count();
        let newcomers = identities.matches.iter().filter(|found| matches!(found, Match::New { .. })).count();
        people.by_member.reserve(members);
        people.slots.reserve_exact(members + newcomers);
        people.changes.reserve_exact(newcomers);
        let is_relinking = question.settings.relink == Relink::Address;
        let mut used = FastSet::default();
        for (slot, member) in (0..).zip(question.roster.members()) {
            let Member { id, email, external_id, .. } = member;
            people.by_member.insert(id.clone(), slot);
            used.extend(external_id.clone().filter(|_| is_relinking));
            people.slots.push(Slot {
                member: Some(id.clone()),
                email: email.clone(),
                before: external_id.clone(),
                after: external_id.clone(),
            });
        }
        Self {
            question,
            identities,
            people,
            leaving: FastSet::default(),
            frees: FastSet::default(),
            used,
            returned: OnceCell::new(),
        }
    }

    fn leavers(&mut self, departures: &[(MemberId, Departure)]) {
        for (id, departure) in departures {
            let (Some(slot), Some(member)) =
                (self.people.by_member.get(id).copied(), self.question.roster.member(id))
            else {
                continue;
            };
            match *departure {
                Departure::Kept(cause, by) => self.people.kept.push(Kept { slot, cause, by }),
                Departure::Missing => drop(self.people.missing.insert(slot)),
                Departure::Waits { since, until, cause } => {
                    self.people.waiting.push(Waiting { slot, since, until, cause });
                }
                Departure::Goes(cause) => self.leaver(slot, member, cause),
            }
        }
    }

    fn leaver(&mut self, slot: SlotId, member: &Member, cause: Cause) {
        let Question { roster, settings, now, .. } = self.question;
        let is_vaultwarden = roster.kind == Kind::Vaultwarden;
        // Vaultwarden deletes those who are not in an import that replaces everybody, and revokes the others.
        let is_at_once = settings.grace == Span::NONE
            || roster.basis == Basis::Ledger
            || matches!(cause, Cause::IdReused | Cause::Overwrite | Cause::Grace);
        let (action, grace) = match (is_vaultwarden, is_at_once, member.status.is_revoked()) {
            (true, _, _) if cause == Cause::Overwrite => (Action::Remove, None),
            (true, _, true) => return,
            (true, _, false) => (Action::Revoke, None),
            (false, true, _) => (Action::Remove, None),
            (false, false, true) => (Action::Wait, Some((now.plus(settings.grace), RevokedBy::Hand))),
            (false, false, false) => (Action::Revoke, Some((now.plus(settings.grace), RevokedBy::Us))),
        };
        if is_vaultwarden && cause == Cause::IdReused {
            self.people.slots[slot as usize].after = Some(left(member));
        }
        if action == Action::Remove || cause == Cause::IdReused {
            self.frees.insert(slot);
        }
        self.leaving.insert(slot);
        self.change(MemberChange { grace, ..plain(action, cause, slot) });
    }

    fn change(&mut self, change: MemberChange) {
        self.people.changes.push(change);
    }

    fn human(&mut self, at: usize) {
        let human = &self.identities.humans[at];
        match &self.identities.matches[at] {
            Match::Member { member, by } => {
                let Some(slot) = self.people.by_member.get(member).copied() else { return };
                let Some(member) = self.question.roster.member(member) else { return };
                let record = member.external_id.as_ref().and_then(|id| self.question.ledger.person(id));
                let is_doubtful = record.is_some_and(|record| record.doubt == Some(Doubt::Membership));
                let is_revoked = member.status.is_revoked() && self.question.roster.kind == Kind::Vaultwarden;
                // Who has left or may not be there, and is not wanted, is in no group.
                if human.wanted == Wanted::Imported || !(is_doubtful || is_revoked) {
                    self.people.human_slots[at] = Some(slot);
                    self.member(human, slot, member, *by);
                }
            }
            Match::New { after } => self.newcomer(at, human, after.as_ref()),
            Match::Taken(member) => self.people.taken.push((at, member.clone())),
            Match::Nobody => {}
        }
    }

    fn member(&mut self, human: &Human, slot: SlotId, member: &Member, by: By) {
        let is_imported = human.wanted == Wanted::Imported;
        let directory_id = human.id().cloned();
        let plain =
            |action, cause| MemberChange { directory_id: directory_id.clone(), ..plain(action, cause, slot) };
        if self.leaving.contains(&slot) {
            return;
        }
        let record = member.external_id.as_ref().and_then(|id| self.question.ledger.person(id));
        let sent_again =
            record.and_then(|record| record.doubt).filter(|_| is_imported).map(|doubt| match doubt {
                Doubt::Membership => self.coming(),
                Doubt::Id => Action::Relink,
            });
        let is_restored = member.status.is_revoked() && self.is_ours_to_restore(member, human);
        if by == By::Adoption {
            self.people.slots[slot as usize].after = directory_id.clone();
            self.change(plain(Action::Adopt, Cause::New));
        } else if is_imported && let Some(id) = self.other_id(human, member, by) {
            self.used.insert(id.clone());
            self.people.slots[slot as usize].after = Some(id);
            // Vaultwarden gives both with one entry.
            if !(is_restored || sent_again.is_some()) || self.question.roster.kind == Kind::Official {
                self.change(plain(Action::Relink, Cause::New));
            }
        }
        if let Some(action) = sent_again {
            self.change(plain(action, Cause::Returned));
        } else if is_restored {
            self.change(plain(Action::Restore, Cause::Returned));
        }
    }

    /// Only what we revoked; on Vaultwarden whoever has left, and is imported again.
    fn is_ours_to_restore(&self, member: &Member, human: &Human) -> bool {
        let record = member.external_id.as_ref().and_then(|id| self.question.ledger.person(id));
        match (record.map(|record| record.standing), self.question.roster.kind) {
            (Some(Standing::Grace { by: RevokedBy::Us, .. }), Kind::Official) => {
                self.question.roster.basis == Basis::Live
            }
            (Some(Standing::Left { .. } | Standing::Grace { .. }), Kind::Vaultwarden) => {
                human.wanted == Wanted::Imported
            }
            _ => false,
        }
    }

    /// The external id that a member gets instead of the one it has.
    fn other_id(&self, human: &Human, member: &Member, by: By) -> Option<ExternalId> {
        let Question { roster, settings, .. } = self.question;
        let id = human.id()?;
        if by == By::Reassigned {
            return Some(id.clone());
        }
        let is_own = member.external_id.as_ref().is_none_or(|own| human.ids.contains(own));
        let can_be_sent = roster.kind == Kind::Vaultwarden || roster.basis == Basis::Live;
        let is_free = roster.kind == Kind::Vaultwarden || !self.used.contains(id);
        let is_wanted = settings.relink == Relink::Address
            && human.email.as_ref() == Some(&member.email)
            && !is_own
            && can_be_sent
            && is_free;
        is_wanted.then(|| id.clone())
    }

    fn newcomer(&mut self, at: usize, human: &Human, after: Option<&MemberId>) {
        let (Some(email), Some(id)) = (human.email.clone(), human.id().cloned()) else { return };
        let before = after.and_then(|member| self.people.by_member.get(member).copied());
        if let (Some(member), Some(slot)) = (after, before)
            && !self.frees.contains(&slot)
        {
            if self.people.slots[slot as usize].email == email {
                self.people.taken.push((at, member.clone()));
            }
            return;
        }
        let cause = if after.is_some() {
            Cause::New
        } else {
            self.returned.get_or_init(|| Former::of(self.question)).cause(human)
        };
        let slot = SlotId::try_from(self.people.slots.len()).unwrap_or(SlotId::MAX);
        self.people.slots.push(Slot { member: None, email, before: None, after: Some(id.clone()) });
        self.people.human_slots[at] = Some(slot);
        let action = self.coming();
        self.change(MemberChange { directory_id: Some(id), after: before, ..plain(action, cause, slot) });
    }

    fn coming(&self) -> Action {
        match (self.question.settings.newcomers, self.question.roster.staging) {
            (Newcomers::Stage, Staging::On) => Action::Stage,
            _ => Action::Invite,
        }
    }
}

fn plain(action: Action, cause: Cause, slot: SlotId) -> MemberChange {
    MemberChange { action, cause, hold: Hold::Free, slot, directory_id: None, after: None, grace: None }
}
