//! Leavers, and the reasons.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::changes::{Cause, KeptBy};
use super::directory::{DirectoryNow, Entry, LeftOut, Place, Scope, State};
use super::identity::{Human, Identities, Wanted};
use super::ledger::{Ledger, Record, Standing};
use super::moment::Moment;
use super::roster::{Kind, Member, MemberId, Role, Roster};
use super::settings::{Absent, Settings};
use crate::entry::{Email, ExternalId};
use crate::rules::ExistingMembers;
use crate::snapshot::Coverage;

/// Fate of a member who does not simply stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Leaves.
    Goes(Cause),
    /// Would leave, and stays.
    Kept(Cause, KeptBy),
    /// Is in the directory no longer, and stays: `sync.removeMissing` is off.
    Missing,
    /// Has left, and is removed later.
    Waits {
        /// Since when.
        since: Moment,
        /// Until when.
        until: Moment,
        /// Reason.
        cause: Cause,
    },
}

/// Values in which departures are found.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The directory as it was read.
    pub directory: &'a DirectoryNow,
    /// Organization as it is.
    pub roster: &'a Roster,
    /// Knowledge from before.
    pub ledger: &'a Ledger,
    /// Decisions of the administrator.
    pub settings: &'a Settings,
    /// Identities of the humans.
    pub identities: &'a Identities,
    /// Members whom no sync removes.
    pub protected: &'a FastSet<MemberId>,
    /// Those among them whom an undo has brought back.
    pub brought_back: &'a FastSet<MemberId>,
    /// The time of the run.
    pub now: Moment,
}

/// Everybody who leaves, would leave, or has left.
pub fn departures(facts: &Facts<'_>) -> Vec<(MemberId, Departure)> {
    let search = Search::new(facts);
    let all =
        facts.roster.members().filter_map(|member| Some((member.id.clone(), search.departure(member)?)));
    all.collect()
}

struct Search<'a> {
    facts: &'a Facts<'a>,
    covered: BTreeSet<&'a Place>,
    is_any_complete: bool,
    gone: FastMap<&'a ExternalId, State>,
    /// Tombstones with ids that nobody knows, by address.
    unknown_gone: FastMap<&'a Email, State>,
    /// Addresses of everybody who is alive in the directory: made when somebody is missing.
    living_addresses: OnceCell<FastSet<&'a Email>>,
}

/// When somebody was last seen.
#[derive(Clone, Copy, Debug, Default)]
struct Sightings {
    /// By an id whose entry is gone.
    gone: Option<Moment>,
    /// By any other.
    other: Option<Moment>,
}

impl<'a> Search<'a> {
    fn new(facts: &'a Facts<'a>) -> Self {
        let directory = facts.directory;
        let is_complete = |source: &super::directory::Source| source.coverage == Coverage::Full;
        Self {
            covered: directory.covered(),
            is_any_complete: directory.sources.iter().any(is_complete),
            gone: gone(directory).map(|entry| (&entry.id, entry.state)).collect(),
            unknown_gone: unknown_gone(facts),
            living_addresses: OnceCell::new(),
            facts,
        }
    }

    fn departure(&self, member: &Member) -> Option<Departure> {
        let id = member.external_id.as_ref()?;
        let record = self.facts.ledger.person(id);
        let found = self.cause(member, id, record);
        let stays = found == Some(Cause::Missing) && self.facts.settings.absent == Absent::Keep;
        let cause = found.filter(|_| !stays);
        let departure = match record.map(|record| record.standing) {
            Some(Standing::Grace { since, until, cause: began, .. }) => {
                self.in_grace(member, since, until, began, cause)?
            }
            Some(Standing::Left { .. }) if member.status.is_revoked() && self.is_vaultwarden() => {
                return None;
            }
            // Somebody who had left is there again, by a restored backup.
            Some(Standing::Left { .. }) => Departure::Goes(cause.map(|_| Cause::Drift)?),
            Some(Standing::In) | None => match cause.or_else(|| self.overwritten(member)) {
                Some(cause) => Departure::Goes(cause),
                None => (stays && self.is_told_missing(member)).then_some(Departure::Missing)?,
            },
        };
        Some(self.unless_kept(member, record, departure))
    }

    /// Whoever is revoked has no access, and whose address somebody else has is told otherwise.
    fn is_told_missing(&self, member: &Member) -> bool {
        let of_humans =
            || self.facts.identities.humans.iter().filter_map(|human| human.email.as_ref()).collect();
        !member.status.is_revoked() && !self.living_addresses.get_or_init(of_humans).contains(&member.email)
    }

    fn is_vaultwarden(&self) -> bool {
        self.facts.roster.kind == Kind::Vaultwarden
    }

    fn unless_kept(&self, member: &Member, record: Option<&Record>, departure: Departure) -> Departure {
        let Departure::Goes(cause) = departure else { return departure };
        if member.role == Role::Owner && self.facts.roster.kind == Kind::Official {
            return Departure::Kept(cause, KeptBy::Owner);
        }
        if self.facts.brought_back.contains(&member.id) {
            return Departure::Kept(cause, KeptBy::Undo);
        }
        if self.facts.protected.contains(&member.id) {
            return Departure::Kept(cause, KeptBy::Protection);
        }
        let is_by_entry = matches!(cause, Cause::Deleted | Cause::Disabled);
        if is_by_entry && record.is_some_and(|record| self.may_live_elsewhere(record)) {
            return Departure::Kept(cause, KeptBy::OtherDirectory);
        }
        departure
    }

    /// Whether somebody was seen by another id after those whose entries are gone, as after having been made again: their tombstones say
    /// nothing of the other.
    fn has_outlived(&self, record: &Record) -> bool {
        let Sightings { gone, other } = self.sightings(record);
        other.is_some_and(|other| gone.is_none_or(|gone| other > gone)) && !self.has_other_places(record)
    }

    /// Whether somebody was last seen by another id, in a place that this read does not cover: an entry in one directory of a former
    /// merge is gone, and the one in another may be alive.
    fn may_live_elsewhere(&self, record: &Record) -> bool {
        let Sightings { gone, other } = self.sightings(record);
        other.is_some_and(|other| gone.is_some_and(|gone| other >= gone)) && self.has_other_places(record)
    }

    /// Whether somebody was seen in a place that this read does not cover.
    fn has_other_places(&self, record: &Record) -> bool {
        record.places.iter().any(|place| !self.covered.contains(place))
    }

    fn sightings(&self, record: &Record) -> Sightings {
        let mut sightings = Sightings::default();
        for (id, sight) in record.ids.iter() {
            let last = if self.gone.contains_key(id) { &mut sightings.gone } else { &mut sightings.other };
            *last = (*last).max(Some(sight.last));
        }
        sightings
    }

    /// Reason why a member leaves now, if there is one.
    fn cause(&self, member: &Member, id: &ExternalId, record: Option<&Record>) -> Option<Cause> {
        if self.facts.identities.displaced.contains(&member.id) {
            return Some(Cause::IdReused);
        }
        if let Some(human) = self.facts.identities.by_member.get(&member.id) {
            let human = self.facts.identities.humans.get(*human)?;
            let moves = self.has_new_address(member, human).then_some(Cause::IdReused);
            return moves.or_else(|| self.out_of_scope(human, record?));
        }
        let ids = || std::iter::once(id).chain(record.iter().flat_map(|record| record.ids.keys()));
        if ids().any(|id| self.facts.identities.by_id.contains_key(id)) {
            return None;
        }
        let by_id = || {
            let found = ids().find_map(|id| self.gone.get(id));
            found.filter(|_| record.is_none_or(|record| !self.has_outlived(record)))
        };
        let by_address = || {
            let imported = record.map(|record| &record.email);
            std::iter::once(&member.email).chain(imported).find_map(|email| self.unknown_gone.get(email))
        };
        match by_id().or_else(by_address) {
            Some(State::Disabled(Scope::LeftOut)) if record.is_none() => None,
            Some(State::Disabled(_)) => Some(Cause::Disabled),
            Some(_) => Some(Cause::Deleted),
            None => self.missing(record?),
        }
    }

    /// Whether somebody is known to Vaultwarden by a former address, and is protected: the old address would leave, and the new one come.
    fn has_new_address(&self, member: &Member, human: &Human) -> bool {
        let has_other = human.email.as_ref().is_some_and(|email| *email != member.email);
        let is_in = human.wanted == Wanted::Imported && !member.status.is_revoked();
        self.is_vaultwarden() && has_other && is_in && self.facts.protected.contains(&member.id)
    }

    /// Seen once, and in no complete read of the same places any more.
    fn missing(&self, record: &Record) -> Option<Cause> {
        if record.ids.is_empty() || !self.is_any_complete {
            return None;
        }
        let is_gone = record.places.iter().all(|place| self.covered.contains(place));
        is_gone.then_some(Cause::Missing)
    }

    /// Alive, and not matched any more by filters that have not changed since.
    fn out_of_scope(&self, human: &Human, record: &Record) -> Option<Cause> {
        let is_asked = self.facts.settings.absent == Absent::OutOfScope;
        if !is_asked || human.wanted != Wanted::LeftOut(LeftOut::Filter) {
            return None;
        }
        let filters = self.facts.directory.filters_of(&human.sources);
        (record.matched.as_deref() == Some(filters.as_str())).then_some(Cause::OutOfScope)
    }

    /// Has somebody who has left wait until the time has passed. None for somebody who is back.
    fn in_grace(
        &self,
        member: &Member,
        since: Moment,
        until: Moment,
        began: Cause,
        cause: Option<Cause>,
    ) -> Option<Departure> {
        let Facts { identities, settings, now, .. } = self.facts;
        let until = until.min(since.plus(settings.grace));
        if self.is_vaultwarden() {
            return None;
        }
        match cause {
            Some(Cause::IdReused) => return Some(Departure::Goes(Cause::IdReused)),
            None if identities.by_member.contains_key(&member.id) => return None,
            // An administrator has given access back, and nothing says any more that the person has left.
            None if !member.status.is_revoked() => return None,
            _ => {}
        }
        let is_wished = cause.is_some()
            || !matches!(began, Cause::Missing | Cause::OutOfScope)
            || settings.absent != Absent::Keep;
        if is_wished && *now >= until {
            return Some(Departure::Goes(Cause::Grace));
        }
        // An administrator has given access back, and the person has left nevertheless.
        if !member.status.is_revoked() && cause.is_some() {
            return Some(Departure::Goes(Cause::Drift));
        }
        Some(Departure::Waits { since, until, cause: began })
    }

    fn overwritten(&self, member: &Member) -> Option<Cause> {
        if self.facts.settings.existing == ExistingMembers::Keep || member.role == Role::Owner {
            return None;
        }
        let identities = self.facts.identities;
        let human = identities.by_member.get(&member.id).and_then(|human| identities.humans.get(*human));
        let is_listed = human.is_some_and(|human| human.wanted == Wanted::Imported);
        (!is_listed).then_some(Cause::Overwrite)
    }
}

fn gone(directory: &DirectoryNow) -> impl Iterator<Item = &Entry> {
    directory.people.iter().filter(|entry| !entry.state.is_living())
}

fn unknown_gone<'a>(facts: &Facts<'a>) -> FastMap<&'a Email, State> {
    let Facts { directory, roster, ledger, identities, .. } = *facts;
    if gone(directory).next().is_none() {
        return FastMap::default();
    }
    let known: FastSet<&ExternalId> =
        ledger.ids().chain(roster.members().filter_map(|member| member.external_id.as_ref())).collect();
    let living = directory.people.iter().filter(|entry| entry.state.is_living());
    let living: FastSet<&Email> = living.filter_map(|entry| entry.email.as_ref()).collect();
    let is_unknown = |entry: &&Entry| !known.contains(&entry.id) && !identities.by_id.contains_key(&entry.id);
    let unknown = gone(directory).filter(is_unknown);
    let unknown = unknown.filter_map(|entry| Some((entry.email.as_ref()?, entry.state)));
    unknown.filter(|(email, _)| !living.contains(email)).collect()
}

impl DirectoryNow {
    /// The filters of these sources, as text.
    pub(super) fn filters_of(&self, sources: &[usize]) -> String {
        let mut sources = sources.to_vec();
        sources.sort_unstable();
        let filters = sources.iter().filter_map(|source| self.sources.get(*source));
        filters.map(|source| source.filters.as_str()).collect::<Vec<_>>().join("\n")
    }
}
