//! What one complete read of a directory yields.

use crate::entry::{Group, User};
use crate::note::Note;

/// Whether being absent from a snapshot means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Everybody was read: who is absent is not in the directory.
    Full,
    /// Only what changed since an earlier read: absence says nothing.
    Changes,
}

/// Where a directory's next "what changed since" read starts.
///
/// Opaque to everything but the directory that made it. It is stored by the one commit after a successful import
/// and by nothing else, so there is never anything to roll back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Stored as `userDeltaToken`.
    pub users: Option<String>,
    /// Stored as `groupDeltaToken`.
    pub groups: Option<String>,
}

/// A directory as it was read, page by page to the last. A partial read is an error and never becomes a snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The people asked for.
    pub users: Vec<User>,
    /// People of the directory who were not asked for (outside the directory's own filter, unchanged since the last
    /// sync, or users are not synced). They are never imported, but may be members of groups, and their addresses
    /// are taken.
    pub others: Vec<User>,
    /// The groups asked for.
    pub groups: Vec<Group>,
    /// Groups that are not synced, whose members are members of groups that are.
    pub other_groups: Vec<Group>,
    /// Whether `users` is everybody.
    pub coverage: Coverage,
    /// Which people were looked for, as text: equal texts mean the same part of the same directory, ids included. `None` if
    /// absence says nothing about a person.
    pub population: Option<String>,
    /// Where the next read starts.
    pub cursor: Cursor,
    /// What the read has to tell.
    pub notes: Vec<Note>,
}

impl Snapshot {
    /// Puts everything in the order of external ids, so that the same directory gives the same bytes whatever the
    /// server's order or our concurrency was. Members need no order here: flattening gives them theirs.
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
    // Twins contradict each other and are refused later; until then they need an order too.
    for twins in groups.chunk_by_mut(|a, b| identity(a) == identity(b)).filter(|twins| twins.len() > 1) {
        twins.iter_mut().for_each(|group| group.members.sort_unstable());
        twins.sort_unstable();
    }
}
