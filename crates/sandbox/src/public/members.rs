//! Members (`MembersController`).

use std::collections::HashSet;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::body::Body;
use super::{collections_json, no_such_id, shown};
use crate::import::{Step, Stop};
use crate::organization::{Feature, last_owner, mail_failed, refused, take_seats};
use crate::response::{list, public_error};
use crate::routes::{Server, answer, stopped};
use crate::store::changes::{self, Standing};
use crate::store::{self, Kind, Member, NewMember, Status, Store};

pub(crate) fn routes() -> Router<Server> {
    Router::new()
        .route("/public/members", get(all).post(invite))
        .route("/public/members/{id}", get(one).put(update).delete(remove))
        .route("/public/members/{id}/group-ids", get(group_ids).put(set_group_ids))
        .route("/public/members/{id}/reinvite", post(reinvite))
        .route("/public/members/{id}/revoke", post(revoke))
        .route("/public/members/{id}/restore", post(restore))
}

/// Member as shown alone. The list of all members has no collections.
fn member_json(member: &Member) -> Value {
    let has_account = member.has_account();
    let permissions = member.permissions.as_ref().filter(|_| member.kind == Kind::Custom);
    json!({
        "object": "member", "id": member.id, "userId": has_account.then(|| member.id.clone()), "name": null,
        "email": member.email, "externalId": member.external_id, "status": member.status.number(),
        "type": member.kind.number(), "twoFactorEnabled": false, "resetPasswordEnrolled": false,
        "collections": collections_json(&member.collections), "permissions": permissions, "ssoExternalId": null,
    })
}

fn listed(member: &Member) -> Value {
    let mut value = member_json(member);
    value["collections"] = Value::Null;
    value
}

fn find(store: &Store, id: &str) -> Step<Member> {
    store.read(|db| store::member(db, id))?.ok_or_else(no_such_id)
}

async fn all(State(server): State<Server>) -> Response {
    let members = server.store.read(store::members).map_err(Stop::from);
    members.map_or_else(stopped, |members| list(members.iter().map(listed).collect()))
}

async fn one(State(server): State<Server>, Path(id): Path<String>) -> Response {
    shown(find(&server.store, &id).map(|member| member_json(&member)))
}

async fn group_ids(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let ids = find(&server.store, &id).and_then(|_| Ok(server.store.read(|db| store::group_ids(db, &id))?));
    shown(ids.map(Value::from))
}

async fn set_group_ids(State(server): State<Server>, Path(id): Path<String>, body: Bytes) -> Response {
    let work = || {
        let member = find(&server.store, &id)?;
        let mut body = Body::of(&body)?;
        let ids = body.ids("groupIds").unwrap_or_default();
        body.end()?;
        server.store.write(|db| {
            let known = changes::known_groups(db, &ids)?;
            changes::replace_groups(db, &id, &known)?;
            store::event(db, "groups updated", &member.email)
        })?;
        Ok(())
    };
    answer(work())
}

async fn invite(State(server): State<Server>, body: Bytes) -> Response {
    let work = || {
        let store = &server.store;
        let mut body = Body::of(&body)?;
        let email = body.email();
        let (kind, external_id) = (body.kind(), body.text("externalId", 300));
        let (groups, permissions) = (body.ids("groups").unwrap_or_default(), body.permissions());
        let collections = body.collections()?;
        body.end()?;
        if store.read(store::members)?.iter().any(|member| member.email == email) {
            return Err(refused("This user has already been invited."));
        }
        if kind != Kind::Owner && store.read(|db| changes::other_owners(db, ""))? == 0 {
            return Err(last_owner());
        }
        let seats = store.scene().seats();
        take_seats(store, server.limits, 1)?;
        if !store.scene().has(Feature::Mail) {
            store.scene().set_seats(seats);
            return Err(mail_failed());
        }
        let status = Status::Invited;
        let new = NewMember { email, external_id: None, status, kind, has_master_password: false };
        let id = store.write(|db| {
            let id = store::insert(db, &new)?;
            let permissions = permissions.as_ref().filter(|_| kind == Kind::Custom);
            let external_id = external_id.as_deref();
            changes::set_standing(
                db,
                &id,
                &Standing { kind, external_id, collections: &collections, permissions },
            )?;
            let known = changes::known_groups(db, &groups)?;
            changes::replace_groups(db, &id, &known)?;
            store::event(db, "invited", &new.email)?;
            Ok(id)
        })?;
        Ok(member_json(&find(store, &id)?))
    };
    shown(work())
}

/// Resets omitted properties, except groups, and permissions of a role that stays custom.
async fn update(State(server): State<Server>, Path(id): Path<String>, body: Bytes) -> Response {
    let work = || {
        let store = &server.store;
        let member = find(store, &id)?;
        let mut body = Body::of(&body)?;
        let (kind, external_id) = (body.kind(), body.text("externalId", 300));
        let (groups, permissions) = (body.ids("groups"), body.permissions());
        let collections = body.collections()?;
        body.end()?;
        let known: HashSet<&str> = match &groups {
            Some(groups) => store.read(|db| changes::known_groups(db, groups))?,
            None => HashSet::new(),
        };
        if groups.iter().flatten().any(|group| !known.contains(group.as_str())) {
            let missing = public_error(StatusCode::NOT_FOUND, "Resource not found.", None);
            return Err(Stop::Answer(Box::new(missing)));
        }
        if kind != Kind::Owner && store.read(|db| changes::other_owners(db, &id))? == 0 {
            return Err(last_owner());
        }
        let permissions = permissions.as_ref().or(member.permissions.as_ref());
        let external_id = external_id.as_deref();
        let standing = Standing {
            kind,
            external_id,
            collections: &collections,
            permissions: permissions.filter(|_| kind == Kind::Custom),
        };
        store.write(|db| {
            changes::set_standing(db, &id, &standing)?;
            if groups.is_some() {
                changes::replace_groups(db, &id, &known)?;
            }
            store::event(db, "updated", &member.email)
        })?;
        Ok(member_json(&find(store, &id)?))
    };
    shown(work())
}

/// Refuses if there is no other confirmed owner.
fn keep_an_owner(store: &Store, member: &Member) -> Step<()> {
    let is_owner = member.kind == Kind::Owner && member.status == Status::Confirmed;
    if is_owner && store.read(|db| changes::other_owners(db, &member.id))? == 0 {
        return Err(last_owner());
    }
    Ok(())
}

async fn remove(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let work = || {
        let member = find(&server.store, &id)?;
        keep_an_owner(&server.store, &member)?;
        Ok(server.store.write(|db| store::remove(db, &member))?)
    };
    answer(work())
}

async fn reinvite(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let work = || {
        let member = find(&server.store, &id)?;
        if member.status != Status::Invited {
            return Err(refused("User invalid."));
        }
        if !server.store.scene().has(Feature::Mail) {
            return Err(mail_failed());
        }
        Ok(server.store.write(|db| store::event(db, "invited again", &member.email))?)
    };
    answer(work())
}

async fn revoke(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let work = || {
        let member = find(&server.store, &id)?;
        if member.status == Status::Revoked {
            return Err(refused("Already revoked."));
        }
        keep_an_owner(&server.store, &member)?;
        server.store.write(|db| {
            store::set_status_of(db, &id, Status::Revoked)?;
            store::event(db, "revoked", &member.email)
        })?;
        Ok(())
    };
    answer(work())
}

async fn restore(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let work = || {
        let member = find(&server.store, &id)?;
        if member.status != Status::Revoked {
            return Err(refused("Already active."));
        }
        take_seats(&server.store, server.limits, usize::from(member.former != Status::Staged))?;
        server.store.write(|db| {
            store::restore(db, &id)?;
            store::event(db, "restored", &member.email)
        })?;
        Ok(())
    };
    answer(work())
}
