//! Single calls of the official server's Public API.

use super::official::take_seats;
use super::{Call, Refusal, Who};
use crate::organization::roster::{Group, GroupId, Held, Member, MemberId, Roster, Status};

pub(super) fn carry_out(roster: &mut Roster, call: &Call) -> Result<(), Refusal> {
    match call {
        // The import is not a single call; its rules are elsewhere.
        Call::Import(_) => Err(Refusal::NotFound),
        Call::Revoke(id) => revoke(roster, id),
        Call::Restore(id) => restore(roster, id),
        Call::Remove(id) => remove(roster, id),
        Call::Relink { member, external_id } => {
            member_of(roster, member)?.external_id = external_id.clone();
            Ok(())
        }
        Call::Reinvite(id) => match member_of(roster, id)?.status {
            Status::Invited => Ok(()),
            _ => Err(Refusal::NotInvited),
        },
        Call::PutGroup { group, name, external_id } => {
            let group = group_of(roster, group)?;
            name.clone_into(&mut group.name);
            group.external_id = Some(external_id.clone());
            Ok(())
        }
        Call::PutGroupMembers { group, members } => put_members(roster, group, members),
        Call::DeleteGroup(id) => roster.groups.remove(id).map(drop).ok_or(Refusal::NotFound),
    }
}

fn member_of<'a>(roster: &'a mut Roster, id: &MemberId) -> Result<&'a mut Member, Refusal> {
    roster.members.get_mut(id).ok_or(Refusal::NotFound)
}

fn group_of<'a>(roster: &'a mut Roster, id: &GroupId) -> Result<&'a mut Group, Refusal> {
    roster.groups.get_mut(id).ok_or(Refusal::NotFound)
}

fn revoke(roster: &mut Roster, id: &MemberId) -> Result<(), Refusal> {
    not_the_last_owner(roster, id)?;
    let member = member_of(roster, id)?;
    if member.status.is_revoked() {
        return Err(Refusal::AlreadyRevoked);
    }
    member.status = member.status.revoked();
    Ok(())
}

fn restore(roster: &mut Roster, id: &MemberId) -> Result<(), Refusal> {
    let member = member_of(roster, id)?;
    if !member.status.is_revoked() {
        return Err(Refusal::AlreadyActive);
    }
    let status = member.status.restored(member.account);
    if status.has_seat() {
        take_seats(roster, 1)?;
    }
    member_of(roster, id)?.status = status;
    Ok(())
}

fn remove(roster: &mut Roster, id: &MemberId) -> Result<(), Refusal> {
    not_the_last_owner(roster, id)?;
    member_of(roster, id)?;
    roster.remove_members(|member| member.id == *id);
    Ok(())
}

fn not_the_last_owner(roster: &Roster, id: &MemberId) -> Result<(), Refusal> {
    if roster.is_last_owner(id) { Err(Refusal::NoConfirmedOwner) } else { Ok(()) }
}

/// Silently drops ids that nobody has.
fn put_members(roster: &mut Roster, id: &GroupId, members: &[Who]) -> Result<(), Refusal> {
    let members = {
        let by_id = roster.members_by_external_id();
        let found = |who: &Who| match who {
            Who::Member(id) => roster.member(id).map(|member| member.id.clone()),
            Who::Imported(id) => by_id.get(id).map(|member| member.id.clone()),
        };
        Held::of(members.iter().filter_map(found))
    };
    group_of(roster, id)?.members = members;
    Ok(())
}
