//! Import of Vaultwarden: people are recognised by their address, leavers are revoked and restored, everything happens in the
//! order of the request; an error leaves earlier changes done.

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::Refusal;
use crate::entry::{Email, ExternalId};
use crate::import::{ImportGroup, ImportMember, ImportRequest};
use crate::organization::roster::{Account, Group, GroupId, Held, Member, MemberId, Role, Roster, Status};

pub(super) fn import(roster: &mut Roster, request: &ImportRequest) -> Result<(), Refusal> {
    // Its reader requires an address in every entry, before anything is done.
    let entries: Option<Vec<(&Email, &ImportMember)>> =
        request.members.iter().map(|entry| Some((entry.email.as_ref()?, entry))).collect();
    let Some(entries) = entries else { return Err(Refusal::NoAddress) };
    let mut ids: FastMap<Email, MemberId> = FastMap::default();
    for member in roster.members() {
        ids.entry(member.email.clone()).or_insert_with(|| member.id.clone());
    }
    for (email, entry) in entries {
        match (ids.get(email).cloned(), entry.deleted) {
            (Some(id), true) => revoke(roster, &id, &entry.external_id),
            (Some(id), false) => keep(roster, &id, &entry.external_id),
            (None, true) => {}
            (None, false) => {
                let id = invite(roster, email, &entry.external_id);
                ids.insert(email.clone(), id);
            }
        }
    }
    update_groups(roster, &request.groups);
    if request.overwrite_existing {
        overwrite(roster, &request.members);
    }
    Ok(())
}

fn revoke(roster: &mut Roster, id: &MemberId, external_id: &ExternalId) {
    let is_last = roster.is_last_owner(id);
    let Some(member) = roster.members.get_mut(id) else { return };
    member.external_id = Some(external_id.clone());
    if !member.status.is_revoked() && !is_last {
        member.status = member.status.revoked();
    }
}

fn keep(roster: &mut Roster, id: &MemberId, external_id: &ExternalId) {
    let Some(member) = roster.members.get_mut(id) else { return };
    member.external_id = Some(external_id.clone());
    member.status = member.status.restored(member.account);
}

fn invite(roster: &mut Roster, email: &Email, external_id: &ExternalId) -> MemberId {
    let id = MemberId::from(roster.made_id());
    roster.put_member(Member {
        id: id.clone(),
        email: email.clone(),
        external_id: Some(external_id.clone()),
        status: Status::Invited,
        role: Role::User,
        account: Account::None,
    });
    id
}

/// Never updates the names of existing groups.
fn update_groups(roster: &mut Roster, groups: &[ImportGroup]) {
    let lists: Vec<Held> = {
        let by_id = roster.members_by_external_id();
        let member = |id: &ExternalId| by_id.get(id).map(|member| member.id.clone());
        groups.iter().map(|group| Held::of(group.member_external_ids.iter().filter_map(member))).collect()
    };
    let mut ids: FastMap<ExternalId, GroupId> = roster
        .groups_by_external_id()
        .into_iter()
        .map(|(id, group)| (id.clone(), group.id.clone()))
        .collect();
    for (group, members) in groups.iter().zip(lists) {
        match ids.get(&group.external_id).and_then(|id| roster.groups.get_mut(id)) {
            Some(present) => present.members = members,
            None => {
                let id = GroupId::from(roster.made_id());
                ids.insert(group.external_id.clone(), id.clone());
                let (name, external_id) = (group.name.clone(), Some(group.external_id.clone()));
                roster.put_group(Group { id, name, external_id, members });
            }
        }
    }
}

/// Members whose external id is not in any of the entries, including those of leavers.
fn overwrite(roster: &mut Roster, entries: &[ImportMember]) {
    let listed: FastSet<&ExternalId> = entries.iter().map(|entry| &entry.external_id).collect();
    let is_unlisted = |member: &&Member| member.external_id.as_ref().is_some_and(|id| !listed.contains(id));
    let mut owners = roster.members().filter(|member| member.is_confirmed_owner()).count();
    let mut gone: FastSet<MemberId> = FastSet::default();
    for member in roster.members().filter(is_unlisted) {
        match (member.is_confirmed_owner(), owners) {
            (true, 1) => continue,
            (true, _) => owners -= 1,
            (false, _) => {}
        }
        gone.insert(member.id.clone());
    }
    roster.remove_members(|member| gone.contains(&member.id));
}
