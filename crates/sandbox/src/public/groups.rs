//! Groups (`GroupsController`) and the subscription (`OrganizationController` of the billing part).

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::body::Body;
use super::{collections_json, no_such_id, shown};
use crate::Limits;
use crate::import::{Step, Stop};
use crate::organization::{Feature, refused};
use crate::response::list;
use crate::routes::{Server, answer, stopped};
use crate::store::changes::{self, Face};
use crate::store::{self, Collection, Group, Store};

pub(crate) fn routes(limits: Limits) -> Router<Server> {
    let subscription = match limits {
        Limits::Cloud => get(subscription),
        Limits::SelfHosted => get(async || answer(Err(refused("Only allowed when not self hosted.")))),
    };
    Router::new()
        .route("/public/groups", get(all).post(create))
        .route("/public/groups/{id}", get(one).put(update).delete(delete))
        .route("/public/groups/{id}/member-ids", get(member_ids).put(set_member_ids))
        .route("/public/organization/subscription", subscription)
}

fn group_json(group: &Group) -> Value {
    json!({
        "object": "group", "id": group.id, "name": group.name, "externalId": group.external_id,
        "collections": collections_json(&group.collections),
    })
}

fn find(store: &Store, id: &str) -> Step<Group> {
    store.read(|db| changes::group(db, id))?.ok_or_else(no_such_id)
}

async fn all(State(server): State<Server>) -> Response {
    let groups = server.store.read(store::listed_groups).map_err(Stop::from);
    groups.map_or_else(stopped, |groups| list(groups.iter().map(group_json).collect()))
}

async fn one(State(server): State<Server>, Path(id): Path<String>) -> Response {
    shown(find(&server.store, &id).map(|group| group_json(&group)))
}

async fn member_ids(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let ids =
        find(&server.store, &id).and_then(|_| Ok(server.store.read(|db| store::member_ids(db, &id))?));
    shown(ids.map(Value::from))
}

/// Drops unknown ids silently.
async fn set_member_ids(State(server): State<Server>, Path(id): Path<String>, body: Bytes) -> Response {
    let work = || {
        let group = find(&server.store, &id)?;
        let mut body = Body::of(&body)?;
        let ids = body.ids("memberIds").unwrap_or_default();
        body.end()?;
        server.store.write(|db| {
            let known = changes::known_members(db, &ids)?;
            if store::replace_members(db, &id, &known)? {
                store::event(db, "group updated", &group.name)?;
            }
            Ok(())
        })?;
        Ok(())
    };
    answer(work())
}

struct Given {
    name: String,
    external_id: Option<String>,
    collections: Vec<Collection>,
}

impl Given {
    fn read(server: &Server, bytes: &[u8]) -> Step<Self> {
        let mut body = Body::of(bytes)?;
        let (name, external_id) = (body.required("name", 100), body.text("externalId", 300));
        let collections = body.collections()?;
        body.end()?;
        if !server.store.scene().has(Feature::Groups) {
            return Err(refused("This organization cannot use groups."));
        }
        Ok(Self { name, external_id, collections })
    }

    fn face(&self) -> Face<'_> {
        let external_id = self.external_id.as_deref();
        Face { name: &self.name, external_id, collections: &self.collections }
    }
}

async fn create(State(server): State<Server>, body: Bytes) -> Response {
    let work = || {
        let given = Given::read(&server, &body)?;
        let id = server.store.write(|db| changes::insert_group(db, &given.face()))?;
        Ok(group_json(&find(&server.store, &id)?))
    };
    shown(work())
}

/// Resets omitted properties; members stay.
async fn update(State(server): State<Server>, Path(id): Path<String>, body: Bytes) -> Response {
    let work = || {
        find(&server.store, &id)?;
        let given = Given::read(&server, &body)?;
        server.store.write(|db| {
            changes::set_face(db, &id, &given.face())?;
            store::event(db, "group updated", &given.name)
        })?;
        Ok(group_json(&find(&server.store, &id)?))
    };
    shown(work())
}

async fn delete(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let work = || {
        let group = find(&server.store, &id)?;
        Ok(server.store.write(|db| changes::delete_group(db, &group))?)
    };
    answer(work())
}

async fn subscription(State(server): State<Server>) -> Json<Value> {
    let seats = server.store.scene().seats();
    Json(json!({
        "passwordManager": { "seats": seats.number, "maxAutoScaleSeats": seats.most, "storage": null },
        "secretsManager": { "seats": null, "maxAutoScaleSeats": null, "serviceAccounts": null, "maxAutoScaleServiceAccounts": null },
    }))
}
