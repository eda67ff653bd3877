//! Protection: members whom no sync removes (`sync.protect`).

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::compute::Question;
use crate::entry::{Email, ExternalId};
use crate::organization::directory::DirectoryNow;
use crate::organization::ledger::Ledger;
use crate::organization::moment::Moment;
use crate::organization::roster::{Basis, Kind, Member, MemberId, Roster};
use crate::organization::settings::Protect;
use crate::rules::ExistingMembers;

/// Members by address, by an id that they have or had, and by a group of the directory or of the organization.
pub(crate) fn protected(
    protect: &Protect,
    directory: &DirectoryNow,
    roster: &Roster,
    ledger: &Ledger,
) -> FastSet<MemberId> {
    if protect.is_empty() {
        return FastSet::default();
    }
    // A group of the directory goes by the name that it has there.
    let in_directory: FastMap<&ExternalId, &str> =
        directory.groups.iter().map(|group| (&group.external_id, group.name.as_str())).collect();
    let of_directory: FastSet<&ExternalId> = directory
        .groups
        .iter()
        .filter(|group| protect.has_group(&group.name))
        .flat_map(|group| group.members.iter())
        .collect();
    let (mut by_hand, mut by_import) = (FastSet::default(), FastSet::default());
    for group in roster.groups() {
        let name = group.external_id.as_ref().and_then(|id| in_directory.get(id));
        let list = if name.is_some() { &mut by_import } else { &mut by_hand };
        if protect.has_group(name.copied().unwrap_or(&group.name)) {
            list.extend(group.members.known());
        }
    }
    let living = Living::of(directory);
    let has_id =
        |id: &ExternalId| of_directory.contains(id) || protect.people.contains(&id.as_str().to_lowercase());
    let is_protected = |member: &&Member| {
        let record = member.external_id.as_ref().and_then(|id| ledger.person(id));
        let mut ids = member.external_id.iter().chain(record.iter().flat_map(|record| record.ids.keys()));
        protect.people.contains(member.email.as_str())
            || by_hand.contains(&member.id)
            || ids.clone().any(has_id)
            // Whom the directory does not have any more is in none of its groups: what was imported counts.
            || (by_import.contains(&member.id)
                && !living.emails.contains(&member.email)
                && !ids.any(|id| living.ids.contains(id)))
    };
    roster.members().filter(is_protected).map(|member| member.id.clone()).collect()
}

/// Entries of `sync.protect` that match nobody and nothing, as they are written there. Of a server that cannot be read nobody knows who
/// was made a member by hand: no address is among them.
pub(super) fn unmatched(
    protect: &Protect,
    directory: &DirectoryNow,
    roster: &Roster,
    ledger: &Ledger,
) -> Vec<String> {
    if protect.is_empty() {
        return Vec::new();
    }
    let mut people: FastSet<String> = FastSet::default();
    people.extend(ledger.ids().map(|id| id.as_str().to_lowercase()));
    people.extend(ledger.people().map(|(_, record)| record.email.to_string()));
    for member in roster.members() {
        people.insert(member.email.to_string());
        people.extend(member.external_id.as_ref().map(|id| id.as_str().to_lowercase()));
    }
    for entry in &directory.people {
        people.insert(entry.id.as_str().to_lowercase());
        people.extend(entry.email.as_ref().map(ToString::to_string));
    }
    let in_directory: FastSet<&ExternalId> =
        directory.groups.iter().map(|group| &group.external_id).collect();
    let is_elsewhere = |id: &ExternalId| in_directory.contains(id);
    let of_organization =
        roster.groups().filter(|group| !group.external_id.as_ref().is_some_and(is_elsewhere));
    let groups: FastSet<String> = directory
        .groups
        .iter()
        .map(|group| group.name.to_lowercase())
        .chain(of_organization.map(|group| group.name.to_lowercase()))
        .collect();
    let can_be_known = |person: &&String| roster.basis == Basis::Live || !person.contains('@');
    let people =
        protect.people.iter().filter(can_be_known).filter(|person| !people.contains(*person)).cloned();
    let groups = protect.groups.iter().filter(|group| !groups.contains(*group));
    people.chain(groups.map(|group| format!("group:{group}"))).collect()
}

/// Addresses of `sync.protect` that an import must have, since it replaces everybody, and that no import before has brought: a Vaultwarden
/// may have such a member, and would delete whoever has an external id that is not in the import.
pub(in crate::organization) fn to_be_listed(question: &Question<'_>) -> Vec<Email> {
    let Question { roster, settings, .. } = question;
    if roster.kind != Kind::Vaultwarden || settings.existing != ExistingMembers::Overwrite {
        return Vec::new();
    }
    let known: FastSet<&Email> = roster.members().map(|member| &member.email).collect();
    let addresses = settings.protect.people.iter().filter(|person| person.contains('@'));
    addresses.filter_map(|person| Email::parse(person)).filter(|email| !known.contains(email)).collect()
}

/// Members whom an undo has brought back, and who are protected for a while; none of `named`, whom `sync.protect` names.
pub(super) fn brought_back(
    roster: &Roster,
    ledger: &Ledger,
    named: &FastSet<MemberId>,
    now: Moment,
) -> FastSet<MemberId> {
    if !ledger.people().any(|(_, record)| record.is_protected(now)) {
        return FastSet::default();
    }
    let is_protected = |member: &&Member| {
        let record = member.external_id.as_ref().and_then(|id| ledger.person(id));
        record.is_some_and(|record| record.is_protected(now)) && !named.contains(&member.id)
    };
    roster.members().filter(is_protected).map(|member| member.id.clone()).collect()
}

/// Ids and addresses of everybody who is alive in the directory.
#[derive(Default)]
struct Living<'a> {
    ids: FastSet<&'a ExternalId>,
    emails: FastSet<&'a Email>,
}

impl<'a> Living<'a> {
    fn of(directory: &'a DirectoryNow) -> Self {
        let mut living = Self::default();
        for entry in directory.people.iter().filter(|entry| entry.state.is_living()) {
            living.ids.insert(&entry.id);
            living.emails.extend(&entry.email);
        }
        living
    }
}
