//! Result of one complete read of a directory.

use foldhash::HashMap as FastMap;
use serde::{Deserialize, Serialize};

use crate::entry::{ExternalId, Group, User, text_type};
use crate::note::Note;
use crate::organization::moment::Moment;

text_type! {
    /// A part of a directory that can be read completely, as text: the directory, its base, its scope. Neither filters nor attributes
    /// belong to it, and a path that is spelled otherwise is the same place.
    Place
}

/// Meaning of absence from a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Coverage {
    /// Everybody was read: a person who is absent is not in the directory.
    Full,
    /// Only changes since an earlier read: absence means nothing.
    Changes,
}

/// Starting point of a directory's next "what changed since" read.
///
/// Opaque to everything but the directory that made it. Only the commit after a successful import stores it, so there is
/// never anything to roll back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Stored as `userDeltaToken`.
    pub users: Option<String>,
    /// Stored as `groupDeltaToken`.
    pub groups: Option<String>,
}

/// Directory as it was read, page by page to the last. A partial read is an error and never becomes a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// People who were requested.
    pub users: Vec<User>,
    /// People of the directory who were not requested (outside the directory's own filter, unchanged since the last
    /// sync, or because users are not synced). They are never imported, but may be members of groups, and their addresses
    /// are taken.
    pub others: Vec<User>,
    /// Groups that were requested.
    pub groups: Vec<Group>,
    /// Groups that are not synced but whose members are members of groups that are.
    pub other_groups: Vec<Group>,
    /// Whether `users` is complete.
    pub coverage: Coverage,
    /// Scope of the read, as text: equal texts mean the same part of the same directory, ids included. `None` if absence
    /// says nothing about a person.
    pub population: Option<String>,
    /// Part of the directory that was read, whatever the filters and the server. `None` where `population` is.
    pub place: Option<Place>,
    /// Creation times of entries, where the directory tells them.
    pub created: FastMap<ExternalId, Moment>,
    /// Time at the beginning of the read by the directory's own clock, where it tells it.
    pub server_time: Option<Moment>,
    /// Starting point of the next read.
    #[serde(skip)]
    pub cursor: Cursor,
    /// Notes made while reading.
    #[serde(skip)]
    pub notes: Vec<Note>,
}

impl Snapshot {
    /// A copy whose groups have no members, for those who ask only who and what is there. The creation times are in the copy from now on,
    /// and in this one no more.
    #[must_use]
    pub fn take_without_memberships(&mut self) -> Self {
        let without = |groups: &[Group]| -> Vec<Group> {
            groups
                .iter()
                .map(|Group { external_id, reference_id, name, members: _, found_as }| Group {
                    external_id: external_id.clone(),
                    reference_id: reference_id.clone(),
                    name: name.clone(),
                    members: Vec::new(),
                    found_as: found_as.clone(),
                })
                .collect()
        };
        Self {
            users: self.users.clone(),
            others: self.others.clone(),
            groups: without(&self.groups),
            other_groups: without(&self.other_groups),
            coverage: self.coverage,
            population: self.population.clone(),
            place: self.place.clone(),
            created: std::mem::take(&mut self.created),
            server_time: self.server_time,
            cursor: self.cursor.clone(),
            notes: Vec::new(),
        }
    }

    /// Sorts everything by external id, so that the same directory gives the same bytes whatever the server's order or our
    /// concurrency was. Members need no order here: flattening sorts them.
    #[must_use]
    pub fn in_canonical_order(mut self) -> Self {
        self.users.sort_unstable();
        self.others.sort_unstable();
        in_order(&mut self.groups);
        in_order(&mut self.other_groups);
        self
    }
}

fn in_order(groups: &mut [Group]) {
    let identity =
        |group: &Group| (group.external_id.clone(), group.reference_id.clone(), group.name.clone());
    groups.sort_by_cached_key(identity);
    // Duplicates contradict each other and are refused later; until then they need an order too.
    for twins in groups.chunk_by_mut(|a, b| identity(a) == identity(b)).filter(|twins| twins.len() > 1) {
        twins.iter_mut().for_each(|group| group.members.sort_unstable());
        twins.sort_unstable();
    }
}
