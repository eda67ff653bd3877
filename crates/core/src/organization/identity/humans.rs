//! Humans of the directory: an account each, or several accounts in several directories of a merge with one address.

use foldhash::HashMap as FastMap;
use smallvec::{SmallVec, smallvec};

use crate::entry::{Email, ExternalId, FoundAs};
use crate::organization::directory::{DirectoryNow, Entry, LeftOut, State};
use crate::organization::moment::Moment;

/// Somebody who is alive in the directory. Of each list there is mostly one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Human {
    /// The directory's ids: first the one that is imported where nothing else is known.
    pub ids: SmallVec<[ExternalId; 1]>,
    /// The address, if nobody else of the same directory has a better right to it.
    pub email: Option<Email>,
    /// Whether the human is imported.
    pub wanted: Wanted,
    /// In which directories.
    pub sources: SmallVec<[usize; 1]>,
    /// Creation times of the entries, where the directory tells them.
    pub created: SmallVec<[(ExternalId, Moment); 1]>,
    /// Where the id alone does not say who it is.
    pub found_as: FoundAs,
}

/// Whether a human is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    Imported,
    /// No.
    LeftOut(LeftOut),
}

impl Human {
    fn of(entry: &Entry, wanted: Wanted) -> Self {
        Self {
            ids: smallvec![entry.id.clone()],
            email: entry.email.clone(),
            wanted,
            sources: smallvec![entry.source],
            created: created(entry).into_iter().collect(),
            found_as: entry.found_as.clone(),
        }
    }

    /// The id that is imported where nothing else is known.
    pub fn id(&self) -> Option<&ExternalId> {
        self.ids.first()
    }

    fn add(&mut self, entry: &Entry) {
        if !self.ids.contains(&entry.id) {
            self.ids.push(entry.id.clone());
        }
        if !self.sources.contains(&entry.source) {
            self.sources.push(entry.source);
        }
        self.created.extend(created(entry));
        // Whom one directory leaves out for another reason than a filter is in scope, as far as anybody can tell.
        if self.wanted == Wanted::LeftOut(LeftOut::Filter) && entry.state == State::LeftOut(LeftOut::Other) {
            self.wanted = Wanted::LeftOut(LeftOut::Other);
        }
    }
}

/// Creation time of an entry, where the directory tells it.
fn created(entry: &Entry) -> Option<(ExternalId, Moment)> {
    entry.created.map(|created| (entry.id.clone(), created))
}

/// The humans, those who are imported first, and which of them has an id.
pub fn humans(directory: &DirectoryNow) -> (Vec<Human>, FastMap<ExternalId, usize>) {
    let mut living: Vec<(Wanted, &Entry)> =
        directory.people.iter().filter_map(|entry| Some((wanted(entry)?, entry))).collect();
    living.sort_by_key(|(wanted, entry)| (*wanted != Wanted::Imported, entry.source, &entry.id));
    let mut humans: Vec<Human> = Vec::with_capacity(living.len());
    let mut by_id: FastMap<ExternalId, usize> = FastMap::default();
    let mut by_email: FastMap<&Email, usize> = FastMap::default();
    by_id.reserve(living.len());
    by_email.reserve(living.len());
    for (wanted, entry) in living {
        let with_address = entry.email.as_ref().and_then(|email| by_email.get(email).copied());
        let same = by_id.get(&entry.id).copied().or_else(|| {
            // One directory gives one address to two accounts only by mistake; two directories have one human each.
            with_address.filter(|human| !humans[*human].sources.contains(&entry.source))
        });
        let at = same.unwrap_or(humans.len());
        match same {
            Some(human) => humans[human].add(entry),
            None => humans.push(Human::of(entry, wanted)),
        }
        by_id.insert(entry.id.clone(), at);
        match (&entry.email, with_address) {
            (Some(email), None) if humans[at].email.as_ref() == Some(email) => {
                by_email.insert(email, at);
            }
            (Some(_), Some(first)) if first != at && same.is_none() => humans[at].email = None,
            _ => {}
        }
    }
    (humans, by_id)
}

fn wanted(entry: &Entry) -> Option<Wanted> {
    match entry.state {
        State::Imported => Some(Wanted::Imported),
        State::LeftOut(reason) => Some(Wanted::LeftOut(reason)),
        State::Deleted | State::Disabled(_) => None,
    }
}
