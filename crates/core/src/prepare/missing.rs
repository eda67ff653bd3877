//! People who are simply gone: most directories keep no tombstones. A person who was in the last complete read and is not in
//! this one leaves, if sync.removeMissing is set.

use std::collections::HashSet;

use super::{Draft, Fate};
use crate::entry::{Email, ExternalId, User};
use crate::known::KnownPeople;
use crate::note::{Note, Step};
use crate::rules::{MissingPeople, Rules};
use crate::snapshot::Snapshot;

/// People who are to leave because they are missing, and the number they are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Names as an administrator would look for them.
    pub people: Vec<String>,
    /// Number of people in the last complete read.
    pub known: usize,
}

/// Turns missing people into tombstones.
pub(super) fn vanished(snapshot: &Snapshot, known: &KnownPeople, rules: &Rules) -> Vec<User> {
    match rules.missing {
        MissingPeople::Keep => Vec::new(),
        MissingPeople::Remove => known.vanished(snapshot),
    }
}

/// Finds people whose id differs from the last read, by their address: an entry was renamed or moved. The official server
/// knows a member by the id, keeps the old one, and silently leaves the new one out of its groups.
pub(super) fn renamed(vanished: &[User], taken: &HashSet<Email>) -> Vec<Note> {
    let is_taken = |user: &&User| user.email.as_ref().is_some_and(|email| taken.contains(email));
    let renamed = vanished.iter().filter(is_taken);
    renamed
        .map(|user| {
            let entry = user.email.as_ref().map_or(user.external_id.as_str(), Email::as_str);
            Note::warning(
                Step::Leavers,
                format!("{entry} (was {})", user.external_id),
                "has a different id than at the last sync (renamed or moved?): the server keeps the old one, and the person drops out \
                of groups; clear the member's external id there, and see ldap.externalIdAttribute",
            )
        })
        .collect()
}

/// Counts the people who are still to leave after everything else was decided.
pub(super) fn counted(mut draft: Draft, vanished: &HashSet<ExternalId>, known: usize) -> (Draft, Missing) {
    let leaving = draft
        .people
        .iter()
        .filter(|person| person.fate == Fate::Leaves && vanished.contains(&person.external_id));
    let people: Vec<String> = leaving.map(super::Person::label).collect();
    draft.notes.extend(people.iter().map(|label| {
        Note::info(
            Step::Leavers,
            label,
            "removed because the person is no longer in the directory (sync.removeMissing)",
        )
    }));
    (draft, Missing { people, known })
}
