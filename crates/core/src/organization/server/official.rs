//! Import of Bitwarden's own server, step by step: an error leaves the earlier steps done.

use std::hash::Hash;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::Refusal;
use crate::entry::{Email, ExternalId};
use crate::import::{ImportGroup, ImportMember, ImportRequest};
use crate::organization::roster::{
    Account, Group, GroupId, Held, Member, MemberId, Role, Roster, Staging, Status,
};

pub(super) fn import(roster: &mut Roster, request: &ImportRequest) -> Result<(), Refusal> {
    let active: Vec<&ImportMember> = request.members.iter().filter(|entry| !entry.deleted).collect();
    if active.iter().any(|entry| entry.email.is_none()) {
        return Err(Refusal::NoAddress);
    }
    unique(roster.members().filter_map(|member| member.external_id.as_ref()))?;
    let listed: FastSet<&ExternalId> = active.iter().map(|entry| &entry.external_id).collect();
    let candidates = if request.overwrite_existing { unlisted(roster, &listed) } else { Vec::new() };
    remove_deleted(roster, request, &listed);
    overwrite(roster, &candidates)?;
    unique(active.iter().filter_map(|entry| entry.email.as_ref()))?;
    adopt(roster, &active);
    add(roster, &active, newcomers(roster, request))?;
    update_groups(roster, &request.groups)
}

/// Fails like the server's dictionaries on a second entry with the same key.
fn unique<T: Hash + Eq>(keys: impl Iterator<Item = T>) -> Result<(), Refusal> {
    let mut seen = FastSet::default();
    for key in keys {
        if !seen.insert(key) {
            return Err(Refusal::Broken);
        }
    }
    Ok(())
}

fn newcomers(roster: &Roster, request: &ImportRequest) -> Status {
    match (roster.staging, request.invite_users_after_provisioning) {
        (Staging::On, false) => Status::Staged,
        _ => Status::Invited,
    }
}

/// Removes by external id alone; never an owner; not if an active entry has the same id.
fn remove_deleted(roster: &mut Roster, request: &ImportRequest, listed: &FastSet<&ExternalId>) {
    let deleted = request.members.iter().filter(|entry| entry.deleted).map(|entry| &entry.external_id);
    let gone: FastSet<&ExternalId> = deleted.filter(|id| !listed.contains(id)).collect();
    roster.remove_members(|member| {
        member.role != Role::Owner && member.external_id.as_ref().is_some_and(|id| gone.contains(id))
    });
}

/// Judges by the list loaded before anybody was removed.
fn unlisted(roster: &Roster, listed: &FastSet<&ExternalId>) -> Vec<(MemberId, Account)> {
    let is_unlisted = |member: &&Member| {
        member.role != Role::Owner && member.external_id.as_ref().is_some_and(|id| !listed.contains(id))
    };
    roster.members().filter(is_unlisted).map(|member| (member.id.clone(), member.account)).collect()
}

/// Members without an account have no master password.
fn overwrite(roster: &mut Roster, candidates: &[(MemberId, Account)]) -> Result<(), Refusal> {
    if candidates.iter().any(|(_, account)| *account == Account::None) {
        return Err(Refusal::NoMasterPassword);
    }
    let gone: FastSet<&MemberId> = candidates.iter().map(|(id, _)| id).collect();
    roster.remove_members(|member| gone.contains(&member.id));
    Ok(())
}

/// Gives members without an external id that of the entry with their address.
fn adopt(roster: &mut Roster, active: &[&ImportMember]) {
    let ids: FastMap<&Email, &ExternalId> =
        active.iter().filter_map(|entry| Some((entry.email.as_ref()?, &entry.external_id))).collect();
    for member in roster.members.values_mut().filter(|member| member.external_id.is_none()) {
        member.external_id = ids.get(&member.email).map(|id| (*id).clone());
    }
}

/// Invites entries whose external id nobody has. An address that is known already is silently skipped.
fn add(roster: &mut Roster, active: &[&ImportMember], status: Status) -> Result<(), Refusal> {
    unique(roster.members().filter_map(|member| member.external_id.as_ref()))?;
    let (ids, emails) = (roster.members_by_external_id(), roster.members_by_email());
    let new: Vec<(Email, ExternalId)> = active
        .iter()
        .filter(|entry| !ids.contains_key(&entry.external_id))
        .filter_map(|entry| Some((entry.email.clone()?, entry.external_id.clone())))
        .filter(|(email, _)| !emails.contains_key(email))
        .collect();
    if status == Status::Invited && !new.is_empty() {
        invitable(roster, new.len())?;
    }
    for (email, external_id) in new {
        let id = MemberId::from(roster.made_id());
        roster.put_member(Member {
            id,
            email,
            external_id: Some(external_id),
            status,
            role: Role::User,
            account: Account::None,
        });
    }
    Ok(())
}

fn invitable(roster: &mut Roster, new: usize) -> Result<(), Refusal> {
    if !roster.members().any(Member::is_confirmed_owner) {
        return Err(Refusal::NoConfirmedOwner);
    }
    take_seats(roster, new)
}

/// Buys seats if there are too few, up to the server's limit.
pub(super) fn take_seats(roster: &mut Roster, new: usize) -> Result<(), Refusal> {
    let needed = roster.seats_in_use() + new;
    let Some(seats) = &mut roster.seats else { return Ok(()) };
    if needed > seats.available && seats.at_most.is_some_and(|most| needed > most) {
        return Err(Refusal::NoSeats);
    }
    seats.available = seats.available.max(needed);
    Ok(())
}

/// Creates, renames and fills groups by external id. Ids that nobody has are silently dropped.
fn update_groups(roster: &mut Roster, groups: &[ImportGroup]) -> Result<(), Refusal> {
    if groups.is_empty() {
        return Ok(());
    }
    unique(groups.iter().map(|group| &group.external_id))?;
    unique(roster.groups().filter_map(|group| group.external_id.as_ref()))?;
    let changed: Vec<(Option<GroupId>, &ImportGroup, Held)> = {
        let (present, members) = (roster.groups_by_external_id(), roster.members_by_external_id());
        let held = |group: &ImportGroup| {
            Held::of(group.member_external_ids.iter().filter_map(|id| Some(members.get(id)?.id.clone())))
        };
        let id = |group: &ImportGroup| present.get(&group.external_id).map(|group| group.id.clone());
        groups.iter().map(|group| (id(group), group, held(group))).collect()
    };
    for (id, group, members) in changed {
        let id = id.unwrap_or_else(|| GroupId::from(roster.made_id()));
        let (name, external_id) = (group.name.clone(), Some(group.external_id.clone()));
        roster.put_group(Group { id, name, external_id, members });
    }
    Ok(())
}
