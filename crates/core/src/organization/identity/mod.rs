//! Identities: for each human in the directory the membership that is that human's, if there is one.

mod humans;
mod official;
mod vaultwarden;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

pub use self::humans::{Human, Wanted, humans};
pub(super) use self::vaultwarden::{LEFT, is_left, left, named};
use super::directory::{DirectoryNow, Entry, Place};
use super::ledger::Ledger;
use super::moment::Moment;
use super::roster::{Kind, Member, MemberId, Roster};
use crate::entry::{Email, ExternalId};
use crate::snapshot::Coverage;

/// The membership of a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This one.
    Member {
        /// Which.
        member: MemberId,
        /// Way in which it was found.
        by: By,
    },
    /// None yet. Whoever has the id or the address must have left before.
    New {
        /// Member with the id or the address, if any.
        after: Option<MemberId>,
    },
    /// None: the address belongs to a member with the id of somebody else who is alive.
    Taken(MemberId),
    /// None, and none is wanted.
    Nobody,
}

/// Way in which a membership was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Found by the directory's id.
    Id,
    /// Found by an id that the ledger knows, or by the address of a member whose id nobody has: imported as that id.
    Known,
    /// Found by the address of a member without an external id, which the import gives one.
    Adoption,
    /// Found by the address of a member whose external id is another living human's or made up: the import gives it the right one.
    Reassigned,
}

/// All humans of the directory with their memberships.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// The humans.
    pub humans: Vec<Human>,
    /// Their memberships, in the same order.
    pub matches: Vec<Match>,
    /// Which human has a membership.
    pub by_member: FastMap<MemberId, usize>,
    /// Which living human has an id.
    pub by_id: FastMap<ExternalId, usize>,
    /// Memberships whose id or address is another human's by now: they leave, for whatever else is known of them.
    pub displaced: FastSet<MemberId>,
}

/// Values in which identities are found.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The directory as it was read.
    pub directory: &'a DirectoryNow,
    /// Organization as it is.
    pub roster: &'a Roster,
    /// Knowledge from before.
    pub ledger: &'a Ledger,
    /// Members whom no sync removes.
    pub protected: &'a FastSet<MemberId>,
    /// The time of the run.
    pub now: Moment,
}

/// Finds the membership of every human.
pub fn identify(facts: &Facts<'_>) -> Identities {
    let (humans, by_id) = humans(facts.directory);
    let search = Search::new(facts, humans, by_id);
    match facts.roster.kind {
        Kind::Official => official::identify(search),
        Kind::Vaultwarden => vaultwarden::identify(search),
    }
}

/// A search under way: the humans, and what is taken already.
struct Search<'a> {
    facts: &'a Facts<'a>,
    humans: Vec<Human>,
    matches: Vec<Option<Match>>,
    by_member: FastMap<MemberId, usize>,
    by_id: FastMap<ExternalId, usize>,
    displaced: FastSet<MemberId>,
    members_by_id: FastMap<&'a ExternalId, &'a Member>,
    members_by_email: FastMap<&'a Email, &'a Member>,
    /// Id under which the organization knows whoever had an id in the directory.
    imported_as: FastMap<&'a ExternalId, &'a ExternalId>,
    /// Ids that this read calls gone.
    gone: FastSet<&'a ExternalId>,
}

impl<'a> Search<'a> {
    fn new(facts: &'a Facts<'a>, humans: Vec<Human>, by_id: FastMap<ExternalId, usize>) -> Self {
        let mut imported_as = FastMap::default();
        for (id, record) in facts.ledger.people() {
            for known in record.ids.keys().filter(|known| *known != id) {
                imported_as.insert(known, id);
            }
        }
        let gone = facts.directory.people.iter().filter(|entry| !entry.state.is_living());
        Self {
            matches: vec![None; humans.len()],
            humans,
            by_member: FastMap::default(),
            by_id,
            displaced: FastSet::default(),
            members_by_id: facts.roster.members_by_external_id(),
            members_by_email: facts.roster.members_by_email(),
            imported_as,
            gone: gone.map(|entry: &Entry| &entry.id).collect(),
            facts,
        }
    }

    /// Gives a membership to a human, if nobody has it yet.
    fn take(&mut self, human: usize, member: &Member, by: By) {
        if self.matches[human].is_none() && !self.by_member.contains_key(&member.id) {
            self.by_member.insert(member.id.clone(), human);
            self.matches[human] = Some(Match::Member { member: member.id.clone(), by });
        }
    }

    fn is_taken(&self, member: &Member) -> bool {
        self.by_member.contains_key(&member.id)
    }

    fn open(&self) -> Vec<usize> {
        (0..self.humans.len()).filter(|human| self.matches[*human].is_none()).collect()
    }

    /// Whether a living human has this id, as far as this read can tell.
    fn is_living(&self, id: &ExternalId) -> bool {
        if self.by_id.contains_key(id) {
            return true;
        }
        if self.gone.contains(id) {
            return false;
        }
        // A read of changes only does not have those who have not changed.
        let unread = |place: &Place| {
            let sources = &self.facts.directory.sources;
            sources
                .iter()
                .any(|source| source.coverage == Coverage::Changes && source.place.as_ref() == Some(place))
        };
        let known = self.imported_as.get(id).copied().unwrap_or(id);
        self.facts.ledger.person(known).is_some_and(|record| record.places.iter().any(unread))
    }

    /// Whether an entry with a known id was made after somebody else had that id.
    fn is_another(&self, human: usize, member: &Member) -> bool {
        let Human { email: Some(email), created, .. } = &self.humans[human] else { return false };
        let Some(record) = member.external_id.as_ref().and_then(|id| self.facts.ledger.person(id)) else {
            return false;
        };
        if *email == member.email || *email == record.email {
            return false;
        }
        created.iter().any(|(id, created)| {
            record.ids.get(id).is_some_and(|sight| {
                *created > sight.first && sight.created.is_none_or(|before| *created > before)
            })
        })
    }

    /// Whether one of a human's ids was alive at the same time as a member's: then they are two humans.
    fn was_beside(&self, human: usize, member: &Member) -> bool {
        let ledger = self.facts.ledger;
        let Some(record) = member.external_id.as_ref().and_then(|id| ledger.person(id)) else { return false };
        let until = record.ids.values().map(|sight| sight.last).max();
        let since = record.ids.values().map(|sight| sight.first).min();
        let (Some(since), Some(until)) = (since, until) else { return false };
        self.humans[human].ids.iter().filter(|id| !record.ids.contains_key(id)).any(|id| {
            let own = self.imported_as.get(id).copied().unwrap_or(id);
            let sight = ledger.person(own).and_then(|own| own.ids.get(id));
            let (first, last) = match (ledger.strangers.get(id), sight) {
                (Some(first), _) => (*first, self.facts.now),
                (None, Some(sight)) => (sight.first, sight.last),
                (None, None) => return false,
            };
            first <= until && since <= last
        })
    }

    fn finish(self) -> Identities {
        let nobody = |human: &Human| match human.wanted {
            Wanted::Imported => Match::New { after: None },
            Wanted::LeftOut(_) => Match::Nobody,
        };
        let matches = self.matches.into_iter().zip(&self.humans);
        let matches = matches.map(|(found, human)| found.unwrap_or_else(|| nobody(human))).collect();
        Identities {
            humans: self.humans,
            matches,
            by_member: self.by_member,
            by_id: self.by_id,
            displaced: self.displaced,
        }
    }
}
