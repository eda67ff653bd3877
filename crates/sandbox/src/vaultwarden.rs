//! Import of Vaultwarden (`api/core/public.rs`): people are recognised by their address, leavers are revoked and
//! restored, everything happens in the order of the request, and an error leaves earlier changes done.

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use rusqlite::Transaction;
use serde::Deserialize;

use crate::import::{Step, Stop};
use crate::response::{html, vaultwarden_error};
use crate::store::{self, Kind, Member, NewMember, Status, Store};

/// Body of an import: all fields required, with exactly these types and names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    groups: Vec<BodyGroup>,
    members: Vec<BodyMember>,
    overwrite_existing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyGroup {
    name: String,
    external_id: String,
    member_external_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyMember {
    email: String,
    external_id: String,
    deleted: bool,
}

/// Carries out an import.
pub(crate) fn import(store: &Store, body: &[u8]) -> Step<()> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        let is_syntax = error.is_syntax() || error.is_eof();
        Stop::Answer(Box::new(html(if is_syntax {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        })))
    })?;
    let valid = body.members.iter().position(|entry| !entry.deleted && !is_address(&entry.email));
    let before = &body.members[..valid.unwrap_or(body.members.len())];
    store.write(|db| process(db, before))?;
    if let Some(at) = valid {
        let message = format!("User email {} is not a valid email address", body.members[at].email);
        return Err(Stop::Answer(Box::new(vaultwarden_error(&message))));
    }
    store.write(|db| update_groups(db, &body.groups))?;
    if body.overwrite_existing {
        store.write(|db| overwrite(db, &body.members))?;
    }
    store.write(|db| store::count_import(db))?;
    Ok(())
}

fn is_address(email: &str) -> bool {
    matches!(email.split_once('@'), Some((name, host)) if !name.is_empty() && host.len() > 1 && !host.contains('@'))
}

fn process(db: &Transaction<'_>, entries: &[BodyMember]) -> store::Db<()> {
    let present = store::members(db)?;
    let mut by_email: HashMap<String, Member> =
        present.into_iter().map(|member| (member.email.clone(), member)).collect();
    for entry in entries {
        let email = entry.email.to_lowercase();
        match (by_email.get_mut(&email), entry.deleted) {
            (Some(member), true) => revoke(db, member, &entry.external_id)?,
            (Some(member), false) => keep(db, member, &entry.external_id)?,
            (None, true) => {}
            (None, false) => {
                let member = invite(db, &email, &entry.external_id)?;
                by_email.insert(email, member);
            }
        }
    }
    Ok(())
}

/// Spares the last confirmed owner.
fn revoke(db: &Transaction<'_>, member: &mut Member, external_id: &str) -> store::Db<()> {
    store::set_external_id(db, &member.id, external_id)?;
    if member.status == Status::Revoked || is_last_owner(db, member)? {
        return Ok(());
    }
    member.status = Status::Revoked;
    store::set_status(db, &member.email, Status::Revoked)?;
    store::event(db, "revoked", &member.email)
}

fn is_last_owner(db: &Transaction<'_>, member: &Member) -> store::Db<bool> {
    let is_owner = |member: &Member| member.kind == Kind::Owner && member.status == Status::Confirmed;
    Ok(is_owner(member) && store::members(db)?.iter().filter(|member| is_owner(member)).count() == 1)
}

fn keep(db: &Transaction<'_>, member: &mut Member, external_id: &str) -> store::Db<()> {
    store::set_external_id(db, &member.id, external_id)?;
    if member.status != Status::Revoked {
        return Ok(());
    }
    member.status = Status::Confirmed;
    store::restore(db, &member.id)?;
    store::event(db, "restored", &member.email)
}

fn invite(db: &Transaction<'_>, email: &str, external_id: &str) -> store::Db<Member> {
    let new = NewMember {
        email: email.to_owned(),
        external_id: Some(external_id.to_owned()).filter(|id| !id.trim().is_empty()),
        status: Status::Invited,
        kind: Kind::User,
        has_master_password: false,
    };
    let id = store::insert(db, &new)?;
    store::event(db, "invited", email)?;
    let NewMember { email, external_id, status, kind, has_master_password } = new;
    let (former, collections, permissions) = (status, Vec::new(), None);
    Ok(Member { id, email, external_id, status, kind, has_master_password, former, collections, permissions })
}

/// Never updates the names of existing groups.
fn update_groups(db: &Transaction<'_>, groups: &[BodyGroup]) -> store::Db<()> {
    let by_id = store::by_external_id(db)?;
    for group in groups {
        let (id, name) = store::find_or_create_group(db, &group.external_id, &group.name)?;
        let wanted: HashSet<&str> = group
            .member_external_ids
            .iter()
            .filter_map(|id| by_id.get(id.as_str()).map(String::as_str))
            .collect();
        if store::replace_members(db, &id, &wanted)? {
            store::event(db, "group updated", &name)?;
        }
    }
    Ok(())
}

/// Members whose external id is not among all entries, deleted ones included.
fn overwrite(db: &Transaction<'_>, entries: &[BodyMember]) -> store::Db<()> {
    let listed: HashSet<&str> = entries.iter().map(|entry| entry.external_id.as_str()).collect();
    for member in store::members(db)? {
        let is_unlisted = member.external_id.as_deref().is_some_and(|id| !listed.contains(id));
        if is_unlisted && !is_last_owner(db, &member)? {
            store::remove(db, &member)?;
        }
    }
    Ok(())
}
