//! The ledger after a request that the server has acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::{
    Afterwards, Approved, Counted, Effect, GroupRecord, Ids, Invited, Journal, Ledger, Record, Sight,
    Standing, is_recent,
};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::Action;
use crate::organization::identity::is_left;
use crate::organization::limits::LimitName;
use crate::organization::moment::Moment;
use crate::organization::requests::Step;

impl Ledger {
    /// The ledger to store (with fsync) before the first of these requests is sent: whatever becomes of the run, the next one knows
    /// what may have been done.
    #[must_use]
    pub fn begun(mut self, steps: &[Step], now: Moment) -> Self {
        let steps = steps.iter().map(|step| Arc::clone(&step.effects)).collect();
        let counts = self.journal.map(|journal| journal.counts).unwrap_or_default();
        self.journal = Some(Journal { begun: now, steps, counts });
        self
    }

    /// The ledger after the server has acknowledged the first `count` requests of the journal.
    #[must_use]
    pub fn acknowledged(mut self, count: usize) -> Self {
        let Some(journal) = &mut self.journal else { return self };
        let count = count.min(journal.steps.len());
        let done: Vec<Arc<[Effect]>> = journal.steps.drain(..count).collect();
        let now = journal.begun;
        self.apply_all(&done, now);
        self
    }

    /// The ledger after a request of which the server has done nothing, and after which nothing was sent: there is nothing to compare, and
    /// nothing is sent again but what changes. Counts of requests before that nobody heard of are kept.
    #[must_use]
    pub fn rejected(mut self) -> Self {
        self.journal = self
            .journal
            .filter(|journal| !journal.counts.is_empty())
            .map(|journal| Journal { steps: Vec::new(), ..journal });
        self
    }

    /// Applies the effects of several requests, in their order.
    pub(super) fn apply_all<E: AsRef<[Effect]>>(&mut self, requests: &[E], now: Moment) {
        let twice = self.known_twice(requests);
        let effects = requests.iter().flat_map(AsRef::as_ref);
        let is_newcomer =
            |effect: &&Effect| matches!(effect, Effect::In { action: Action::Invite | Action::Stage, .. });
        self.people.reserve_exact(effects.filter(is_newcomer).count());
        requests.iter().for_each(|effects| self.apply(effects.as_ref(), &twice, now));
    }

    /// Applies the effects of one request. Ids change at once: two people may have swapped theirs. `twice` has the addresses that may come
    /// to have two records.
    pub(super) fn apply(&mut self, effects: &[Effect], twice: &HashSet<Email>, now: Moment) {
        self.rename(effects, now);
        self.rename_in_groups(effects);
        self.forget_counts(effects, now);
        effects.iter().for_each(|effect| self.apply_one(effect, now));
        self.forget_former(effects, twice);
        self.leave_groups(effects);
    }

    /// Addresses under which somebody comes and which another id may have, before these requests or by one of them. Looking for the other
    /// after each request would take as long as all people times all requests.
    pub(super) fn known_twice<E: AsRef<[Effect]>>(&self, requests: &[E]) -> HashSet<Email> {
        let mut came: HashMap<&Email, &ExternalId> = HashMap::default();
        let mut moved: HashSet<&ExternalId> = HashSet::default();
        let mut twice: HashSet<Email> = HashSet::default();
        for effect in requests.iter().flat_map(AsRef::as_ref) {
            match effect {
                Effect::In { action: Action::Invite | Action::Stage, id, email, .. } => {
                    let other = came.insert(email, id).filter(|other| *other != id);
                    twice.extend(other.map(|_| email.clone()));
                }
                Effect::In { email, .. } => drop(twice.insert(email.clone())),
                Effect::Out { id, email, .. } | Effect::Grace { id, email, .. } => {
                    twice.insert(email.clone());
                    moved.insert(id);
                }
                Effect::Renamed { from, .. } => drop(moved.insert(from)),
                _ => {}
            }
        }
        twice.extend(came.iter().filter(|(_, id)| moved.contains(*id)).map(|(email, _)| (*email).clone()));
        if came.is_empty() {
            return twice;
        }
        let is_other = |(id, record): &(&ExternalId, &Record)| {
            came.get(&record.email).is_some_and(|by| by != id || moved.contains(id))
        };
        twice.extend(self.people.iter().filter(is_other).map(|(_, record)| record.email.clone()));
        twice
    }

    fn apply_one(&mut self, effect: &Effect, now: Moment) {
        match effect {
            Effect::In { action, id, email, directory_id } => {
                self.came(*action, id, email, directory_id, now);
            }
            Effect::Out { id, becomes, email, cause, member } => {
                let record = self.people.get_or_insert_with(id, || Record::new(email.clone()));
                record.standing = Standing::Left { at: now, cause: *cause, member: *member };
                record.invited = None;
                record.doubt = None;
                record.protection = None;
                if id != becomes
                    && let Some(mut record) = self.people.remove(id)
                {
                    // The id may be another human's from now on.
                    record.ids.remove(id);
                    self.people.insert(becomes.clone(), record);
                }
            }
            Effect::Grace { id, email, until, cause, by } => {
                let record = self.people.get_or_insert_with(id, || Record::new(email.clone()));
                record.standing = Standing::Grace { since: now, until: *until, cause: *cause, by: *by };
                record.protection = None;
            }
            // See `rename`.
            Effect::Renamed { .. } => {}
            Effect::Released(id) => drop(self.people.remove(id)),
            Effect::Protected { id, protection } => {
                if let Some(record) = self.people.get_mut(id) {
                    record.protection = Some(Arc::clone(protection));
                }
            }
            Effect::Reinvited(id) => self.reinvited(id, now),
            Effect::Group { id, name, members } => {
                let verified = self.groups.get(id).and_then(|group| group.verified);
                let record =
                    GroupRecord { name: name.clone(), members: Arc::clone(members), verified, unsure: false };
                self.groups.insert(id.clone(), record);
            }
            Effect::GroupRenamed { from, to } => {
                if let Some(group) = self.groups.remove(from) {
                    self.groups.insert(to.clone(), group);
                }
                self.protect_in(from, to);
            }
            Effect::NoGroup(id) => drop(self.groups.remove(id)),
            Effect::Counts { limit, keys, approved } => self.count(*limit, keys, *approved, now),
        }
    }

    /// Protects people in a group that has another external id from now on.
    fn protect_in(&mut self, from: &ExternalId, to: &ExternalId) {
        let protections = self.people.values_mut().filter_map(|record| record.protection.as_mut());
        for protection in protections.filter(|protection| protection.groups.contains(from)) {
            let protection = Arc::make_mut(protection);
            protection.groups.remove(from);
            protection.groups.insert(to.clone());
        }
    }

    /// Forgets the record of the same address under another id, where somebody comes under a new one.
    fn forget_former(&mut self, effects: &[Effect], twice: &HashSet<Email>) {
        let came: HashMap<&Email, &ExternalId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::In { action: Action::Invite | Action::Stage, id, email, .. } => Some((email, id)),
                _ => None,
            })
            .filter(|(email, _)| twice.contains(*email))
            .collect();
        if came.is_empty() {
            return;
        }
        self.people.retain(|id, record| came.get(&record.email).is_none_or(|by| *by == id));
    }

    /// A membership that is deleted is in no group; one without an external id is none of ours.
    fn leave_groups(&mut self, effects: &[Effect]) {
        let removed: HashSet<&ExternalId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Out { becomes, member: Afterwards::Removed, .. } => Some(becomes),
                Effect::Released(id) => Some(id),
                _ => None,
            })
            .collect();
        if removed.is_empty() {
            return;
        }
        for group in self.groups.values_mut() {
            if group.members.iter().any(|id| removed.contains(id)) {
                group.members = group.members.iter().filter(|id| !removed.contains(id)).cloned().collect();
            }
        }
    }

    fn came(
        &mut self,
        action: Action,
        id: &ExternalId,
        email: &Email,
        directory_id: &ExternalId,
        now: Moment,
    ) {
        let is_new = matches!(action, Action::Invite | Action::Stage);
        let record = self.people.get_or_insert_with(id, || Record::new(email.clone()));
        if is_new && record.email != *email {
            // A used id is another human's: nothing of the one before is the newcomer's.
            *record = Record::new(email.clone());
        }
        record.email = email.clone();
        record.standing = Standing::In;
        record.doubt = None;
        if action == Action::Invite {
            record.invited = Some(Invited { first: now, last: now, count: 1 });
        }
        record.ids.get_or_insert(directory_id, Sight { first: now, last: now, created: None });
        self.strangers.remove(directory_id);
    }

    fn rename(&mut self, effects: &[Effect], now: Moment) {
        let renamed: HashMap<&ExternalId, &ExternalId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Renamed { from, to } => Some((from, to)),
                _ => None,
            })
            .collect();
        if renamed.is_empty() {
            return;
        }
        let given: HashSet<&ExternalId> = renamed.values().copied().collect();
        let taken = renamed.iter().filter_map(|(from, to)| Some((*from, *to, self.people.remove(*from)?)));
        let taken: Vec<(&ExternalId, &ExternalId, Record)> = taken.collect();
        for (from, to, mut record) in taken {
            // The id is another human's from now on, or may be.
            if is_left(to) || given.contains(from) {
                record.ids.remove(from);
            }
            if !is_left(to) {
                record.ids.get_or_insert(to, Sight { first: now, last: now, created: None });
            }
            self.people.insert(to.clone(), record);
        }
    }

    /// Has memberships in groups follow the ids of their members: also of one who leaves and gives the id away, to another human.
    fn rename_in_groups(&mut self, effects: &[Effect]) {
        let renamed: HashMap<&ExternalId, &ExternalId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Renamed { from, to } => Some((from, to)),
                Effect::Out { id, becomes, .. } if id != becomes => Some((id, becomes)),
                _ => None,
            })
            .collect();
        if renamed.is_empty() {
            return;
        }
        for group in
            self.groups.values_mut().filter(|group| group.members.iter().any(|id| renamed.contains_key(id)))
        {
            let after = |id: &ExternalId| renamed.get(id).map_or(id, |to| *to).clone();
            let mut members: Vec<ExternalId> = group.members.iter().map(after).collect();
            members.sort_unstable();
            members.dedup();
            group.members = members.into();
        }
    }

    fn reinvited(&mut self, id: &ExternalId, now: Moment) {
        let Some(record) = self.people.get_mut(id) else { return };
        let before = record.invited.unwrap_or(Invited { first: now, last: now, count: 1 });
        record.invited = Some(Invited { last: now, count: before.count + 1, ..before });
    }

    fn count(&mut self, limit: LimitName, keys: &[String], approved: Approved, now: Moment) {
        let counted = keys.iter().map(|key| Counted { key: key.clone(), at: now, approved });
        self.counted(limit).extend(counted);
    }

    /// Drops what is too old to count, where something is counted.
    fn forget_counts(&mut self, effects: &[Effect], now: Moment) {
        let limits = effects.iter().filter_map(|effect| match effect {
            Effect::Counts { limit, .. } => Some(*limit),
            _ => None,
        });
        let limits: BTreeSet<LimitName> = limits.collect();
        for limit in limits {
            self.counted(limit).retain(|counted| is_recent(counted.at, now));
        }
    }

    fn counted(&mut self, limit: LimitName) -> &mut Vec<Counted> {
        match limit {
            LimitName::Removals => &mut self.removals,
            LimitName::Leaves => &mut self.leaves,
            LimitName::Repairs => &mut self.repairs,
            LimitName::Invites => &mut self.invites,
        }
    }
}

impl Record {
    pub(super) fn new(email: Email) -> Self {
        Self {
            email,
            standing: Standing::In,
            ids: Ids::default(),
            places: Arc::default(),
            matched: None,
            invited: None,
            doubt: None,
            protection: None,
        }
    }
}
