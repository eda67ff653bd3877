//! The ledger after a run that has come to its end: who was seen where, and under which id.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::{Due, Effect, GroupRecord, Invited, Ledger, Record, Sight, Standing};
use crate::entry::ExternalId;
use crate::organization::changes::{Action, Changes, GroupChange, Hold, Question, Slot, Stopped};
use crate::organization::directory::{DirectoryNow, Place};
use crate::organization::identity::{Human, Identities, Match, Wanted};
use crate::organization::limits::{LimitName, key_of};
use crate::organization::moment::Moment;
use crate::organization::roster::{Basis, Held, Kind, Member, Status};
use crate::snapshot::Coverage;

/// Ids of people who are alive in the directory, are no members, and are not to become any: nobody else is known by them.
fn living_strangers(changes: &Changes) -> FastSet<&ExternalId> {
    let Identities { humans, matches, .. } = &changes.identities;
    let nobodies = humans.iter().zip(matches).filter(|(_, found)| matches!(found, Match::Nobody));
    nobodies.flat_map(|(human, _)| &human.ids).collect()
}

impl Ledger {
    /// The ledger to store when every request was acknowledged, or when there was none to send. `self` is the one after the last
    /// request; `question` and `changes` are those of the run.
    #[must_use]
    pub fn finished(mut self, question: &Question<'_>, changes: &Changes) -> Self {
        let now = question.now;
        let covered = question.directory.covered();
        self.begin_grace(changes, now);
        let humans = changes.identities.humans.iter().zip(&changes.human_slots);
        let mut seen = Seen::default();
        let mut owners: FastMap<&ExternalId, &ExternalId> = FastMap::default();
        let mut origins = Origins::of(question, &covered);
        for (human, slot) in humans {
            let slot = slot.and_then(|slot| changes.slot(slot));
            match slot.and_then(|slot| Some((slot, self.known(slot)?))) {
                Some((slot, known)) => {
                    let at = self.see(known, slot, human, &mut origins);
                    let by_others = human.ids.iter().filter(|own| *own != known.id);
                    owners.extend(by_others.map(|own| (own, known.id)));
                    seen.add(
                        at,
                        if human.ids.contains(known.id) { Sighting::ByOwnId } else { Sighting::ByOthers },
                    );
                }
                None => human.ids.iter().for_each(|id| {
                    self.strangers.entry(id.clone()).or_insert(now);
                }),
            }
        }
        self.keep_own_ids(&owners, &seen, changes);
        self.leave_places(&seen, question.directory, &covered);
        if !covered.is_empty() {
            self.strangers.retain(|id, _| changes.identities.by_id.contains_key(id));
        }
        self.places.extend(covered.into_iter().map(|place| (place.clone(), now)));
        self.see_groups(question, changes);
        self.close(changes, now);
        self
    }

    /// Of those for whom nothing is to be sent, since they are revoked already.
    fn begin_grace(&mut self, changes: &Changes, now: Moment) {
        let mut effects = Vec::new();
        let free = changes.members.iter().filter(|change| change.hold == Hold::Free);
        for change in free.filter(|change| change.action == Action::Wait) {
            let slot = changes.slot(change.slot);
            let Some((slot, (until, by))) = slot.zip(change.grace) else { continue };
            let Some(id) = slot.before.clone() else { continue };
            let (email, cause) = (slot.email.clone(), change.cause);
            effects.push(Effect::Grace { id, email, until, cause, by });
            effects.extend(changes.counts(LimitName::Removals, || vec![key_of(changes, change.slot)]));
        }
        self.apply_all(&[effects], now);
    }

    /// An id is one person's: whoever had it before is known by others. `owners` has the owners of ids by which the organization does not
    /// know them.
    fn keep_own_ids(&mut self, owners: &FastMap<&ExternalId, &ExternalId>, seen: &Seen, changes: &Changes) {
        let is_owned =
            |id: &ExternalId| self.people.place(id).is_some_and(|at| seen.is(at, Sighting::ByOwnId));
        let of_others = self.people.places_and_entries().flat_map(|(at, id, record)| {
            record.ids.keys().filter(move |own| *own != id).map(move |own| (at, own))
        });
        let of_others = of_others.filter(|(_, own)| is_owned(own)).map(|(at, own)| (at, own.clone()));
        let of_others: Vec<(usize, ExternalId)> = of_others.collect();
        for (at, own) in of_others {
            if let Some(record) = self.people.at_mut(at) {
                record.ids.remove(&own);
            }
        }
        let strangers = living_strangers(changes);
        if owners.is_empty() && strangers.is_empty() {
            return;
        }
        self.people.for_each_mut(|id, record| {
            record.ids.retain(|own| owners.get(own).is_none_or(|owner| *owner == id));
            if record.standing == Standing::In && !strangers.is_empty() {
                record.ids.retain(|own| own == id || !strangers.contains(own));
            }
        });
    }

    /// Id under which the organization knows somebody after the run, if it does: people whom a limit holds back are not known.
    fn known<'a>(&self, slot: &'a Slot) -> Option<KnownAs<'a>> {
        let Slot { before, after, email, .. } = slot;
        if let Some(id) = after {
            let place = self.people.place(id);
            let is_imported =
                || place.and_then(|at| self.people.at(at)).is_some_and(|record| record.email == *email);
            if before.as_ref() == Some(id) || is_imported() {
                return Some(KnownAs { id, place });
            }
        }
        before.as_ref().map(|id| KnownAs { id, place: self.people.place(id) })
    }

    /// Notes that somebody was seen; the place of the record.
    fn see<'a>(
        &mut self,
        known: KnownAs<'_>,
        slot: &Slot,
        human: &'a Human,
        origins: &mut Origins<'a>,
    ) -> usize {
        let Question { roster, now, .. } = origins.question;
        let new = || Record::new(slot.email.clone());
        let at = known.place.unwrap_or_else(|| self.people.place_or_insert_with(known.id, new));
        let Some(record) = self.people.at_mut(at) else { return at };
        let member = slot.member.as_ref().and_then(|id| roster.member(id));
        if let Some(member) = member.filter(|_| roster.basis == Basis::Live) {
            record.observe(member, *now);
        }
        for id in &human.ids {
            let created = human.created.iter().find(|(of, _)| of == id).map(|(_, created)| *created);
            let sight = record.ids.get_or_insert(id, Sight { first: *now, last: *now, created });
            sight.last = *now;
            sight.created = created.or(sight.created);
        }
        origins.place(record, human);
        if human.wanted == Wanted::Imported {
            origins.match_by(record, human);
        }
        if !self.strangers.is_empty() {
            for id in &human.ids {
                self.strangers.remove(id);
            }
        }
        at
    }

    /// Takes people out of places: those who are not in a complete read of one, and those with a tombstone there.
    fn leave_places(&mut self, seen: &Seen, directory: &DirectoryNow, covered: &BTreeSet<&Place>) {
        let unseen = self.people.places_and_entries().filter(|(at, ..)| !seen.has(*at));
        let unseen: Vec<ExternalId> = unseen.map(|(_, id, _)| id.clone()).collect();
        if unseen.is_empty() {
            return;
        }
        let mut gone: FastMap<&ExternalId, &Place> = FastMap::default();
        let mut living: FastSet<&ExternalId> = FastSet::default();
        for entry in &directory.people {
            let place = directory.sources.get(entry.source).and_then(|source| source.place.as_ref());
            match (entry.state.is_living(), place) {
                (true, _) => drop(living.insert(&entry.id)),
                (false, Some(place)) => drop(gone.insert(&entry.id, place)),
                (false, None) => {}
            }
        }
        for id in &unseen {
            let Some(record) = self.people.get_mut(id) else { continue };
            if record.ids.keys().any(|id| living.contains(id)) {
                continue;
            }
            let ids = std::iter::once(id).chain(record.ids.keys());
            let left: Vec<&Place> = ids.filter_map(|id| gone.get(id).copied()).collect();
            let stays = |place: &&Place| !covered.contains(*place) && !left.contains(place);
            if !record.places.iter().all(|place| stays(&place)) {
                record.places = record.places.iter().filter(stays).cloned().collect();
            }
        }
    }

    fn see_groups(&mut self, question: &Question<'_>, changes: &Changes) {
        let Question { roster, now, .. } = question;
        let is_live = roster.basis == Basis::Live;
        let read = roster.groups().filter(|group| is_live && matches!(group.members, Held::Read(_)));
        let read: FastSet<&ExternalId> = read.filter_map(|group| group.external_id.as_ref()).collect();
        // Nobody leaves, and nobody gets another id.
        let are_people_same = changes.members.iter().all(|change| change.action.is_new());
        for group in &changes.unchanged_groups {
            if let (true, Some(record)) =
                (are_people_same && group.is_as_imported, self.groups.get_mut(&group.external_id))
            {
                if roster.kind == Kind::Official && record.name != group.name {
                    record.name.clone_from(&group.name);
                }
                if read.contains(&group.external_id) {
                    record.verified = Some(*now);
                }
                record.unsure = false;
                continue;
            }
            let members = changes.ids_of(&group.members);
            let name = match roster.kind {
                Kind::Official => Some(group.name.clone()),
                Kind::Vaultwarden => self.groups.get(&group.external_id).map(|group| group.name.clone()),
            };
            let before = self.groups.get(&group.external_id);
            let was_verified = before.and_then(|group| group.verified);
            let verified = if read.contains(&group.external_id) { Some(*now) } else { was_verified };
            let name = name.unwrap_or_else(|| group.name.clone());
            let record = GroupRecord { name, members, verified, unsure: false };
            self.groups.insert(group.external_id.clone(), record);
        }
        // Those that the directory does not have any more are read in turn like the others.
        for vanished in changes.vanished.iter().filter(|group| read.contains(&group.external_id)) {
            if let Some(record) = self.groups.get_mut(&vanished.external_id) {
                record.verified = Some(*now);
            }
        }
        self.see_changed_groups(question, changes);
    }

    /// Notes that the members of groups that changed are known.
    pub(in crate::organization) fn see_changed_groups(&mut self, question: &Question<'_>, changes: &Changes) {
        let is_live = question.roster.basis == Basis::Live;
        for change in &changes.groups {
            if let Some(record) = self.groups.get_mut(&change.external_id) {
                record.verified = (is_live && !change.is_partly_held()).then_some(question.now);
                record.unsure &= change.hold != Hold::Free;
            }
        }
    }

    /// Notes that a run has come to its end, and nothing else.
    pub(in crate::organization) fn end_run(&mut self) {
        self.journal = None;
    }

    fn end_protections(&mut self, now: Moment) {
        let is_over = |record: &Record| record.protection.is_some() && !record.is_protected(now);
        if self.people.values().any(is_over) {
            self.people
                .values_mut()
                .filter(|record| is_over(record))
                .for_each(|record| record.protection = None);
        }
    }

    fn close(&mut self, changes: &Changes, now: Moment) {
        // An approval is for one run, whether or not it was needed: what comes later was not shown to anybody.
        self.approvals.clear();
        self.end_run();
        self.end_protections(now);
        self.ran = Some(now);
        if changes.stopped == Stopped::No {
            self.due = Due::Changes;
            self.moved_from = None;
        }
    }
}

/// Somebody whom the organization knows.
#[derive(Clone, Copy)]
struct KnownAs<'a> {
    id: &'a ExternalId,
    /// Of the record, if there is one.
    place: Option<usize>,
}

/// Ids by which the directory has somebody who was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sighting {
    /// They include the id that the organization uses.
    ByOwnId,
    ByOthers,
}

/// People who were seen, by the places of their records.
#[derive(Default)]
struct Seen(Vec<Option<Sighting>>);

impl Seen {
    fn add(&mut self, at: usize, sighting: Sighting) {
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        if !self.is(at, Sighting::ByOwnId) {
            self.0[at] = Some(sighting);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(Option::is_some)
    }

    fn is(&self, at: usize, sighting: Sighting) -> bool {
        self.0.get(at) == Some(&Some(sighting))
    }
}

/// Places and filters, each text once.
struct Origins<'a> {
    question: &'a Question<'a>,
    covered: &'a BTreeSet<&'a Place>,
    places: FastSet<Arc<[Place]>>,
    filters: FastMap<&'a [usize], Arc<str>>,
}

impl<'a> Origins<'a> {
    fn of(question: &'a Question<'a>, covered: &'a BTreeSet<&'a Place>) -> Self {
        Self { question, covered, places: FastSet::default(), filters: FastMap::default() }
    }

    /// Puts somebody where the person was seen, and out of where not. Whoever is seen in a complete read is where this read says, and in no
    /// place of former settings that nothing reads any more: there nobody would ever be missing.
    fn place(&mut self, record: &mut Record, human: &Human) {
        let sources =
            || human.sources.iter().filter_map(|source| self.question.directory.sources.get(*source));
        let is_whole = sources().any(|source| source.coverage == Coverage::Full);
        let here = sources().filter_map(|source| source.place.as_ref());
        let before = record.places.iter().filter(|place| !is_whole && !self.covered.contains(place));
        let mut places: Vec<&Place> = before.chain(here).collect();
        places.sort_unstable();
        places.dedup();
        if record.places.iter().eq(places.iter().copied()) {
            return;
        }
        let places: Vec<Place> = places.into_iter().cloned().collect();
        record.places = match self.places.get(places.as_slice()) {
            Some(shared) => Arc::clone(shared),
            None => {
                let places: Arc<[Place]> = places.into();
                self.places.insert(Arc::clone(&places));
                places
            }
        };
    }

    /// Notes the filters by which somebody was imported.
    fn match_by(&mut self, record: &mut Record, human: &'a Human) {
        let of = || self.question.directory.filters_of(&human.sources).into();
        let filters = self.filters.entry(&human.sources).or_insert_with(of);
        if record.matched.as_ref() != Some(filters) {
            record.matched = Some(Arc::clone(filters));
        }
    }
}

impl Record {
    /// Takes over what a live read says about somebody.
    fn observe(&mut self, member: &Member, now: Moment) {
        if self.email != member.email {
            self.email = member.email.clone();
        }
        match (self.standing, member.status.is_revoked()) {
            // Acknowledged in this run, after the read.
            (Standing::In, _) | (Standing::Grace { .. }, true) => {}
            (Standing::Left { at, .. }, _) if at < now => self.standing = Standing::In,
            (Standing::Grace { since, .. }, false) if since < now => self.standing = Standing::In,
            (Standing::Left { .. } | Standing::Grace { .. }, _) => {}
        }
        match (member.status, self.invited) {
            (Status::Invited, None) => self.invited = Some(Invited { first: now, last: now, count: 1 }),
            (Status::Invited, Some(_)) => {}
            _ => self.invited = None,
        }
    }
}

impl GroupChange {
    fn is_partly_held(&self) -> bool {
        let is_name_held = self.renamed.is_some() && self.free_name().is_none();
        self.hold != Hold::Free || is_name_held || !self.held_join.is_empty() || !self.held_leave.is_empty()
    }
}
