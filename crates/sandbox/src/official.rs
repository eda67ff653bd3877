//! Import of Bitwarden's own server, step by step and without a transaction around it
//! (`ImportOrganizationUsersAndGroupsCommand`): an error leaves the earlier steps done.

use std::collections::{HashMap, HashSet};

use rusqlite::Transaction;

use crate::import::{Step, Stop};
use crate::organization::{Feature, last_owner, mail_failed, refused, take_seats};
use crate::request::{Group, Import, Member as Entry};
use crate::response::unhandled;
use crate::store::{self, Kind, Member, NewMember, Status, Store};
use crate::{Limits, Staging, limits};

/// Carries out an import.
pub(crate) fn import(store: &Store, import: &Import, limits: Limits, staging: Staging) -> Step<()> {
    let (Some(entries), Some(groups)) = (&import.members, &import.groups) else { return Err(broken()) };
    refuse_too_large(import, entries, groups, limits)?;
    if !store.scene().has(Feature::Directory) {
        return Err(refused("Organization cannot use directory syncing."));
    }
    let existing = store.read(store::members)?;
    unique(existing.iter().filter_map(|member| member.external_id.as_deref()))?;
    let active: Vec<&Entry> = entries.iter().filter(|entry| !entry.deleted).collect();
    let listed: HashSet<&str> = active.iter().map(|entry| entry.external_id.as_str()).collect();
    store.write(|db| remove_deleted(db, entries, &existing, &listed))?;
    if import.overwrite {
        overwrite(store, &existing, &listed)?;
    }
    unique(active.iter().filter_map(|entry| entry.email.as_deref()))?;
    adopt(store, &active)?;
    let newcomer = if staging == Staging::On && !import.invite { Status::Staged } else { Status::Invited };
    add(store, &active, newcomer, limits)?;
    update_groups(store, groups)?;
    store.write(|db| store::count_import(db))?;
    Ok(())
}

fn broken() -> Stop {
    Stop::Answer(Box::new(unhandled()))
}

/// Fails like the server's dictionaries on a second entry with the same key.
fn unique<'a>(keys: impl Iterator<Item = &'a str>) -> Step<()> {
    let mut seen = HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(broken());
        }
    }
    Ok(())
}

fn refuse_too_large(import: &Import, entries: &[Entry], groups: &[Group], limits: Limits) -> Step<()> {
    let staying = entries.iter().filter(|entry| !entry.deleted).count();
    let is_large = groups.len() > limits::IMPORT || staying > limits::IMPORT;
    if limits == Limits::Cloud && !import.large && is_large {
        return Err(refused("You cannot import this much data at once."));
    }
    Ok(())
}

/// Removes by external id alone; never an owner; not if an active entry has the same id.
fn remove_deleted(
    db: &Transaction<'_>,
    entries: &[Entry],
    existing: &[Member],
    listed: &HashSet<&str>,
) -> store::Db<()> {
    let gone: HashSet<&str> = entries
        .iter()
        .filter(|entry| entry.deleted && !listed.contains(entry.external_id.as_str()))
        .map(|entry| entry.external_id.as_str())
        .collect();
    for member in existing {
        let matches = member.external_id.as_deref().is_some_and(|id| gone.contains(id));
        if matches && member.kind != Kind::Owner {
            store::remove(db, member)?;
        }
    }
    Ok(())
}

/// Judges by the list loaded before anybody was removed.
fn overwrite(store: &Store, existing: &[Member], listed: &HashSet<&str>) -> Step<()> {
    let candidates: Vec<&Member> = existing
        .iter()
        .filter(|member| member.kind != Kind::Owner)
        .filter(|member| {
            member.external_id.as_deref().is_some_and(|id| !id.is_empty() && !listed.contains(id))
        })
        .collect();
    if candidates.iter().any(|member| !member.has_master_password) {
        return Err(refused(
            "Sync failed. To proceed, disable the 'Remove and re-add users during next sync' setting and try again.",
        ));
    }
    store.write(|db| candidates.iter().try_for_each(|member| store::remove(db, member)))?;
    Ok(())
}

/// Gives members without an external id that of the entry with their address. Fails before any change if somebody
/// else has that id.
fn adopt(store: &Store, active: &[&Entry]) -> Step<()> {
    let ids: HashMap<&str, &str> = active
        .iter()
        .filter_map(|entry| Some((entry.email.as_deref()?, entry.external_id.as_str())))
        .collect();
    let present = store.read(store::members)?;
    let nameless = present.iter().filter(|member| member.external_id.is_none());
    let adopted: Vec<(&str, &str)> =
        nameless.filter_map(|member| Some((member.id.as_str(), *ids.get(member.email.as_str())?))).collect();
    let taken = present.iter().filter_map(|member| member.external_id.as_deref());
    unique(taken.chain(adopted.iter().map(|(_, id)| *id)))?;
    store.write(|db| adopted.iter().try_for_each(|(member, id)| store::set_external_id(db, member, id)))?;
    Ok(())
}

/// Invites entries whose external id nobody has. An address that is known already is silently skipped.
fn add(store: &Store, active: &[&Entry], newcomer: Status, limits: Limits) -> Step<()> {
    let present = store.read(store::members)?;
    unique(present.iter().filter_map(|member| member.external_id.as_deref()))?;
    let ids: HashSet<&str> = present.iter().filter_map(|member| member.external_id.as_deref()).collect();
    let emails: HashSet<&str> = present.iter().map(|member| member.email.as_str()).collect();
    let new: Vec<(&str, &str)> = active
        .iter()
        .filter(|entry| !ids.contains(entry.external_id.as_str()))
        .filter_map(|entry| Some((entry.email.as_deref()?, entry.external_id.as_str())))
        .filter(|(email, _)| !emails.contains(email))
        .collect();
    let has_owner =
        present.iter().any(|member| member.kind == Kind::Owner && member.status == Status::Confirmed);
    let is_mailed = newcomer == Status::Invited && !new.is_empty();
    if is_mailed && !has_owner {
        return Err(last_owner());
    }
    if is_mailed {
        let seats = store.scene().seats();
        take_seats(store, limits, new.len())?;
        if !store.scene().has(Feature::Mail) {
            store.scene().set_seats(seats);
            return Err(mail_failed());
        }
    }
    let what = if newcomer == Status::Staged { "staged" } else { "invited" };
    store.write(|db| {
        new.iter().try_for_each(|(email, external_id)| {
            let member = NewMember {
                email: (*email).to_owned(),
                external_id: Some((*external_id).to_owned()),
                status: newcomer,
                kind: Kind::User,
                has_master_password: false,
            };
            store::insert(db, &member)?;
            store::event(db, what, email)
        })
    })?;
    Ok(())
}

fn update_groups(store: &Store, groups: &[Group]) -> Step<()> {
    if groups.is_empty() {
        return Ok(());
    }
    if !store.scene().has(Feature::Groups) {
        return Err(refused("Organization cannot use groups."));
    }
    let existing = store.read(store::groups)?;
    unique(existing.iter().filter_map(|group| group.external_id.as_deref()))?;
    unique(groups.iter().map(|group| group.external_id.as_str()))?;
    if groups.iter().any(|group| group.member_external_ids.is_none()) {
        return Err(broken());
    }
    let by_id = store.read(store::by_external_id)?;
    store.write(|db| {
        for group in groups {
            let (id, name) = store::find_or_create_group(db, &group.external_id, &group.name)?;
            let is_renamed = name != group.name;
            if is_renamed {
                store::rename_group(db, &id, &group.name)?;
            }
            let wanted = group
                .member_external_ids
                .iter()
                .flatten()
                .filter_map(|id| by_id.get(id.as_str()).map(String::as_str));
            if store::replace_members(db, &id, &wanted.collect())? || is_renamed {
                store::event(db, "group updated", &group.name)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
