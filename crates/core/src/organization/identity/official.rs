//! The official server knows a member by the external id.

use super::{By, Identities, Match, Search, Wanted};
use crate::organization::roster::Member;

pub(super) fn identify(mut search: Search<'_>) -> Identities {
    by_own_id(&mut search);
    by_known_id(&mut search);
    by_address(&mut search);
    new(&mut search);
    search.finish()
}

fn by_own_id(search: &mut Search<'_>) {
    for human in 0..search.humans.len() {
        let ids = &search.humans[human].ids;
        let found = ids.iter().filter_map(|id| search.members_by_id.get(id).copied());
        let Some(member) = found.min_by_key(|member| search.is_taken(member)) else { continue };
        settle(search, human, member, By::Id);
    }
}

/// Finds members by the id that the ledger says one of these was imported as, unless that is another living human's.
fn by_known_id(search: &mut Search<'_>) {
    for human in search.open() {
        let known = search.humans[human].ids.iter().filter_map(|id| search.imported_as.get(id).copied());
        let free = known.filter(|id| search.by_id.get(*id).is_none_or(|other| *other == human));
        let found = free.filter_map(|id| search.members_by_id.get(id).copied());
        let Some(member) = found.min_by_key(|member| search.is_taken(member)) else { continue };
        settle(search, human, member, By::Known);
    }
}

/// Takes the member with the id, unless the entry was made after the member came: then it is another human with a used id.
fn settle(search: &mut Search<'_>, human: usize, member: &Member, by: By) {
    if search.is_another(human, member) {
        search.displaced.insert(member.id.clone());
        if search.humans[human].wanted == Wanted::Imported {
            search.matches[human] = Some(Match::New { after: Some(member.id.clone()) });
        } else {
            search.matches[human] = Some(Match::Nobody);
        }
    } else {
        search.take(human, member, by);
    }
}

fn by_address(search: &mut Search<'_>) {
    for human in search.open() {
        let Some(member) = with_address(search, human) else { continue };
        let wanted = search.humans[human].wanted;
        match &member.external_id {
            None if wanted == Wanted::Imported => search.take(human, member, By::Adoption),
            None => {}
            Some(id) if search.is_living(id) || search.displaced.contains(&member.id) => {}
            Some(_) if search.was_beside(human, member) => {}
            Some(_) => search.take(human, member, By::Known),
        }
    }
}

/// Whoever has the address must be gone first. A member who is somebody else's does not go.
fn new(search: &mut Search<'_>) {
    for human in search.open() {
        if search.humans[human].wanted != Wanted::Imported {
            continue;
        }
        let Some(member) = with_address(search, human) else { continue };
        search.matches[human] = Some(if search.is_taken(member) {
            Match::Taken(member.id.clone())
        } else {
            Match::New { after: Some(member.id.clone()) }
        });
    }
    // A newcomer with a used id whose address is somebody's besides.
    for human in 0..search.humans.len() {
        if let Some(Match::New { after: Some(before) }) = &search.matches[human]
            && let Some(member) = with_address(search, human)
            && member.id != *before
        {
            search.matches[human] = Some(Match::Taken(member.id.clone()));
        }
    }
}

fn with_address<'a>(search: &Search<'a>, human: usize) -> Option<&'a Member> {
    let email = search.humans[human].email.as_ref()?;
    search.members_by_email.get(email).copied()
}
