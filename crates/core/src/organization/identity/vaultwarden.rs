//! Vaultwarden knows a member by the address.

use super::{By, Identities, Match, Search, Wanted};
use crate::entry::{Email, ExternalId};
use crate::organization::roster::Member;

/// Prefix of the external ids of those who have left an address, so that their id is free for another address.
pub(in crate::organization) const LEFT: &str = "left:";

/// Prefix of the external ids of those who are imported since `sync.protect` names their address.
const PROTECTED: &str = "protected:";

pub(super) fn identify(mut search: Search<'_>) -> Identities {
    by_address(&mut search);
    by_id(&mut search);
    displace_old_addresses(&mut search);
    search.finish()
}

/// The external id of somebody who has left, while the directory's id is another address's.
pub(in crate::organization) fn left(member: &Member) -> ExternalId {
    ExternalId::from(format!("{LEFT}{}", member.email))
}

/// The external id by which somebody is imported of whom nothing but the address is known.
pub(in crate::organization) fn named(email: &Email) -> ExternalId {
    ExternalId::from(format!("{PROTECTED}{email}"))
}

/// Whether an external id is that of somebody who has left an address.
pub(in crate::organization) fn is_left(id: &ExternalId) -> bool {
    id.as_str().starts_with(LEFT)
}

fn by_address(search: &mut Search<'_>) {
    for human in 0..search.humans.len() {
        let Some(email) = search.humans[human].email.clone() else { continue };
        let Some(member) = search.members_by_email.get(&email).copied() else { continue };
        let Some(id) = &member.external_id else { continue };
        let is_own = search.humans[human].ids.contains(id);
        let known = || search.facts.ledger.person(id).map(|record| &record.ids);
        let is_known =
            known().is_some_and(|ids| search.humans[human].ids.iter().any(|id| ids.contains_key(id)));
        let is_made_up = is_left(id);
        if is_made_up && has_protected(search, human) {
            continue;
        }
        let by = if is_own {
            By::Id
        } else if is_made_up || search.by_id.contains_key(id) {
            By::Reassigned
        } else if is_known || !search.is_living(id) {
            By::Known
        } else {
            By::Reassigned
        };
        // Nobody takes the place of somebody else without being imported.
        if by == By::Reassigned && search.humans[human].wanted != Wanted::Imported {
            continue;
        }
        search.take(human, member, by);
    }
}

/// Whether a human has a membership by id that stays whatever happens: then an address that was left is not taken up again.
fn has_protected(search: &Search<'_>, human: usize) -> bool {
    let mut own = search.humans[human].ids.iter().filter_map(|id| search.members_by_id.get(id));
    own.any(|member| !member.status.is_revoked() && search.facts.protected.contains(&member.id))
}

/// Members with an id of a human, then with one that the ledger has for it and nobody else has in the directory.
fn of_ids<'s, 'a: 's>(search: &'s Search<'a>, human: usize) -> impl Iterator<Item = &'a Member> + 's {
    let ids = &search.humans[human].ids;
    let own = ids.iter().filter_map(|id| search.members_by_id.get(id).copied());
    let known = ids.iter().filter_map(|id| search.imported_as.get(id).copied());
    let known = known.filter(move |id| search.by_id.get(*id).is_none_or(|other| *other == human));
    own.chain(known.filter_map(|id| search.members_by_id.get(id).copied()))
}

/// Finds people with a new address: the member of the old one leaves, unless it is protected or nobody comes in its place.
fn by_id(search: &mut Search<'_>) {
    for human in search.open() {
        let found = of_ids(search, human).find(|member| !search.is_taken(member));
        let Some(member) = found else { continue };
        let is_imported = search.humans[human].wanted == Wanted::Imported;
        let is_another = search.is_another(human, member);
        if is_another && !is_imported && !search.facts.protected.contains(&member.id) {
            search.displaced.insert(member.id.clone());
            search.matches[human] = Some(Match::Nobody);
            continue;
        }
        let human_moves =
            is_imported && search.humans[human].email.as_ref().is_some_and(|email| *email != member.email);
        if !human_moves || search.facts.protected.contains(&member.id) {
            search.take(human, member, By::Id);
        } else if member.status.is_revoked() {
            search.matches[human] = Some(Match::New { after: None });
        } else {
            search.displaced.insert(member.id.clone());
            search.matches[human] = Some(Match::New { after: Some(member.id.clone()) });
        }
    }
}

/// Lets the old address leave of somebody who has another member's address by now.
fn displace_old_addresses(search: &mut Search<'_>) {
    for human in 0..search.humans.len() {
        let Some(Match::Member { member: new, .. }) = &search.matches[human] else { continue };
        if search.humans[human].wanted != Wanted::Imported {
            continue;
        }
        let is_left = |member: &&Member| {
            member.id != *new
                && !search.is_taken(member)
                && !member.status.is_revoked()
                && !search.facts.protected.contains(&member.id)
        };
        let old: Vec<_> = of_ids(search, human).filter(is_left).map(|member| member.id.clone()).collect();
        search.displaced.extend(old);
    }
}
