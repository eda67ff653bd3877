//! Protection: members whom no sync removes (`sync.protect`).

use foldhash::HashSet as FastSet;

use crate::entry::ExternalId;
use crate::organization::directory::DirectoryNow;
use crate::organization::ledger::Ledger;
use crate::organization::roster::{Member, MemberId, Roster};
use crate::organization::settings::Protect;

/// Members by address, by an id that they have or had, and by a group of the directory or of the organization.
pub(super) fn protected(
    protect: &Protect,
    directory: &DirectoryNow,
    roster: &Roster,
    ledger: &Ledger,
) -> FastSet<MemberId> {
    if protect.is_empty() {
        return FastSet::default();
    }
    let is_named = |name: &str| protect.groups.contains(&name.to_lowercase());
    let of_directory: FastSet<&ExternalId> = directory
        .groups
        .iter()
        .filter(|group| is_named(&group.name))
        .flat_map(|group| group.members.iter())
        .collect();
    let by_hand: FastSet<&MemberId> = roster
        .groups()
        .filter(|group| is_named(&group.name))
        .flat_map(|group| group.members.known())
        .collect();
    let has_id =
        |id: &ExternalId| of_directory.contains(id) || protect.people.contains(&id.as_str().to_lowercase());
    let is_protected = |member: &&Member| {
        let record = member.external_id.as_ref().and_then(|id| ledger.person(id));
        protect.people.contains(member.email.as_str())
            || by_hand.contains(&member.id)
            || member.external_id.as_ref().is_some_and(has_id)
            || record.is_some_and(|record| record.ids.keys().any(has_id))
    };
    roster.members().filter(is_protected).map(|member| member.id.clone()).collect()
}
