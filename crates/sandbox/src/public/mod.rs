//! The Public API besides the import: members, groups, the subscription (`MembersController`, `GroupsController`,
//! `OrganizationController`). Only the official server has it.

mod body;
pub(crate) mod groups;
pub(crate) mod members;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::import::{Step, Stop};
use crate::routes::stopped;
use crate::store::Collection;

/// Answer with one object.
fn shown(result: Step<Value>) -> Response {
    result.map_or_else(stopped, |value| Json(value).into_response())
}

/// Answer to an unknown id in the path: no body.
fn no_such_id() -> Stop {
    Stop::Answer(Box::new(StatusCode::NOT_FOUND.into_response()))
}

/// Access to collections, in the format of lists.
fn collections_json(collections: &[Collection]) -> Value {
    serde_json::to_value(collections).unwrap_or_default()
}
