//! What must come of a run that ends well, said as simply as possible.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_core::entry::ExternalId;
use bwdc_core::organization::changes::{Action, Changes, GroupAction, Hold};
use bwdc_core::organization::roster::{Kind, Member, MemberId, Role, Roster};
use bwdc_core::organization::settings::Absent;
use bwdc_core::rules::DisabledUsers;

use crate::world::{Account_, Life, Soul, World};

impl World {
    pub(crate) fn is_living(&self, soul: Soul) -> bool {
        self.accounts.get(&soul).is_some_and(|account| match account.life {
            Life::Active => true,
            Life::Disabled => self.settings.disabled == DisabledUsers::Keep,
            Life::Tombstone => false,
        })
    }

    pub(crate) fn is_imported(&self, soul: Soul) -> bool {
        self.is_living(soul)
            && !self.excluded.contains(&soul)
            && self.accounts.get(&soul).is_some_and(|account| account.email.is_some())
    }

    /// Whether a member has to leave. `before` is who was a member of ours before the run.
    fn must_leave(&self, soul: Soul, member: &Member) -> bool {
        let has_address = |account: &Account_| account.email.as_deref() == Some(member.email.as_str());
        if self.is_imported(soul) && self.accounts.get(&soul).is_some_and(has_address) {
            return false;
        }
        let has_id =
            |account: &Account_| member.external_id.as_ref().is_some_and(|id| id.as_str() == account.id);
        let mut others = self.accounts.iter().filter(|(other, _)| **other != soul);
        let is_mine = |other| self.is_living(other) || !self.is_living(soul);
        if others.any(|(other, account)| has_id(account) && is_mine(*other)) {
            return true;
        }
        let Some(account) = self.accounts.get(&soul) else { return self.settings.absent != Absent::Keep };
        if self.is_living(soul) {
            let is_old_address = self.server.kind == Kind::Vaultwarden
                && self.is_imported(soul)
                && account.email.as_deref() != Some(member.email.as_str());
            return is_old_address;
        }
        // A tombstone, or switched off.
        true
    }
}

/// Compares the organization after a run with what it must be. `before` is the organization before.
pub(crate) fn check(world: &World, before: &Roster, leavers: Leavers) -> Result<(), String> {
    members(world, before, leavers)?;
    groups(world, before)
}

/// Somebody whom the filter leaves out, and who may or may not have been imported by a run that did not end, on a server that cannot be
/// read: in groups or not, nobody can tell.
fn is_doubtful(world: &World, member: &Member) -> bool {
    let is_left_out = world.soul_of(member).is_none_or(|soul| !world.is_imported(soul));
    world.server.kind == Kind::Vaultwarden && world.has_failed && is_left_out
}

/// Whether all who leave are known to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leavers {
    Exactly,
    AtLeast,
}

fn members(world: &World, before: &Roster, leavers: Leavers) -> Result<(), String> {
    for soul in world.accounts.keys().copied().filter(|soul| world.is_imported(*soul)) {
        let Some(member) = world.member(soul) else { return Err(format!("{soul} is not a member")) };
        if member.external_id.is_none() {
            return Err(format!("{soul} has no external id"));
        }
        let active = world.server.members().filter(|member| world.soul_of(member) == Some(soul));
        // Whom an administrator has invited besides, without an external id, is nobody of ours.
        // An owner stays, also of whom neither the id nor the address is known any more.
        let id = world.accounts.get(&soul).map(|account| ExternalId::from(account.id.as_str()));
        let is_owner_of_before = |member: &Member| {
            before.kind == Kind::Official && member.role == Role::Owner && member.external_id != id
        };
        let active = active
            .filter(|member| !member.status.is_revoked() && member.external_id.is_some())
            .filter(|member| !is_owner_of_before(member))
            .count();
        if active > 1 {
            return Err(format!("{soul} is a member {active} times"));
        }
    }
    for member in before.members() {
        let after = world.server.member(&member.id);
        let (Some(soul), Some(_)) = (world.soul_of(member), &member.external_id) else {
            if after.is_none() {
                return Err(format!("{} is none of ours and is gone", member.email));
            }
            continue;
        };
        let is_owner = member.role == Role::Owner && before.kind == Kind::Official;
        let is_out = after.is_none_or(|after| after.status.is_revoked());
        // A change of ids that was lost is done, also of people who are gone since.
        if leavers == Leavers::AtLeast && !world.accounts.contains_key(&soul) {
            continue;
        }
        // Swapped addresses of somebody whom the filter leaves out: whose the member is, the model does not say.
        let is_of_excluded = |id: &ExternalId| {
            world
                .excluded
                .iter()
                .filter_map(|soul| world.accounts.get(soul))
                .any(|account| account.id == id.as_str())
        };
        let is_unclear =
            world.excluded.contains(&soul) || member.external_id.as_ref().is_some_and(is_of_excluded);
        if before.kind == Kind::Vaultwarden && is_unclear {
            continue;
        }
        if world.must_leave(soul, member) && !is_owner && !is_out {
            return Err(format!("{} must leave", member.email));
        }
        // The id is somebody else's by now: removed, and invited with the own one.
        let mut accounts = world.accounts.iter().filter(|(other, _)| **other != soul);
        let is_used = accounts
            .any(|(_, account)| member.external_id.as_ref().is_some_and(|id| id.as_str() == account.id));
        if is_used && world.is_imported(soul) {
            continue;
        }
        let may_stay = leavers == Leavers::Exactly && !member.status.is_revoked();
        if !world.must_leave(soul, member) && is_out && may_stay {
            return Err(format!("{} must not leave", member.email));
        }
        if is_owner && after.is_none() {
            return Err(format!("the owner {} is gone", member.email));
        }
    }
    Ok(())
}

fn groups(world: &World, before: &Roster) -> Result<(), String> {
    for group in world.groups.values() {
        let mut found = world
            .server
            .groups()
            .filter(|other| other.external_id.as_ref().is_some_and(|id| id.as_str() == group.id));
        let (Some(there), None) = (found.next(), found.next()) else {
            return Err(format!("the group {} is not there once", group.id));
        };
        if world.server.kind == Kind::Official && there.name != group.name {
            return Err(format!("the group {} is called {}", group.name, there.name));
        }
        let wanted: BTreeSet<MemberId> = group
            .souls
            .iter()
            .filter(|soul| world.is_living(**soul))
            .filter_map(|soul| world.member(*soul))
            .filter(|member| member.external_id.is_some() && !is_doubtful(world, member))
            .map(|member| member.id.clone())
            .collect();
        // Who is in grace keeps what there was.
        let in_grace = |id: &&MemberId| {
            let member = world.server.member(id);
            let soul = member.and_then(|member| world.soul_of(member));
            if member.is_some_and(|member| is_doubtful(world, member)) {
                return true;
            }
            member.is_some_and(|member| member.status.is_revoked())
                && soul.is_some_and(|soul| !world.is_living(soul))
                && before.kind == Kind::Official
        };
        let held: BTreeSet<MemberId> =
            there.members.known().iter().filter(|id| !in_grace(id)).cloned().collect();
        if held != wanted {
            return Err(format!("the group {} has {held:?} instead of {wanted:?}", group.id));
        }
    }
    Ok(())
}

/// The organization as text, ids of the server left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) members: BTreeMap<String, (Option<String>, bool)>,
    pub(crate) groups: BTreeMap<String, (String, BTreeSet<String>)>,
}

pub(crate) fn shape(roster: &Roster) -> Shape {
    let member = |member: &Member| {
        let id = member.external_id.as_ref().map(ToString::to_string);
        (member.email.to_string(), (id, member.status.is_revoked()))
    };
    let email = |id: &MemberId| roster.member(id).unwrap().email.to_string();
    Shape {
        members: roster.members().map(member).collect(),
        groups: roster
            .groups()
            .filter_map(|group| {
                let members = group.members.known().iter().map(email).collect();
                Some((group.external_id.as_ref()?.to_string(), (group.name.clone(), members)))
            })
            .collect(),
    }
}

/// What the changes say the organization will be, by what they say alone.
pub(crate) fn predicted(mut before: Shape, changes: &Changes) -> Shape {
    let email = |slot| changes.slot(slot).unwrap().email.to_string();
    for change in changes.members.iter().filter(|change| change.hold == Hold::Free) {
        let slot = changes.slot(change.slot).unwrap();
        let id = slot.after.as_ref().map(ToString::to_string);
        let key = slot.email.to_string();
        match change.action {
            Action::Invite | Action::Stage => drop(before.members.insert(key, (id, false))),
            Action::Adopt | Action::Relink => before.members.get_mut(&key).unwrap().0 = id,
            Action::Restore => *before.members.get_mut(&key).unwrap() = (id, false),
            Action::Revoke => *before.members.get_mut(&key).unwrap() = (id, true),
            Action::Remove => {
                before.members.remove(&key);
                before.groups.values_mut().for_each(|(_, members)| members.retain(|member| *member != key));
            }
            Action::Wait => {}
        }
    }
    for group in changes.groups.iter().filter(|group| group.hold == Hold::Free) {
        let key = group.external_id.to_string();
        if group.action == GroupAction::Delete {
            before.groups.remove(&key);
            continue;
        }
        let old = group.relinked.as_ref().map_or_else(|| key.clone(), ToString::to_string);
        let (mut name, mut members) = before.groups.remove(&old).unwrap_or_default();
        if group.action == GroupAction::Create || group.free_name().is_some() {
            name.clone_from(&group.name);
        }
        members.extend(group.join.iter().map(|edge| email(edge.slot)));
        group.leave.iter().for_each(|edge| members.retain(|member| *member != email(edge.slot)));
        before.groups.insert(key, (name, members));
    }
    before
}

impl Shape {
    pub(crate) fn is_part_of(&self, other: &Self) -> bool {
        self.members.iter().all(|(email, member)| other.members.get(email) == Some(member))
            // A name cannot be changed, and which of two a group got in a lost request is nobody's concern.
            && self.groups.iter().all(|(id, (_, members))| {
                let mut known = other.groups.get(id).map(|(_, known)| known.clone()).unwrap_or_default();
                known.retain(|member| self.members.contains_key(member));
                known == *members
            })
    }

    pub(crate) fn forget_groups_but(&mut self, ids: BTreeSet<&str>) {
        self.groups.retain(|id, _| ids.contains(id.as_str()));
    }

    pub(crate) fn forget(&mut self, email: &str) {
        self.members.remove(email);
        self.groups.values_mut().for_each(|(_, members)| members.retain(|member| member != email));
    }
}
