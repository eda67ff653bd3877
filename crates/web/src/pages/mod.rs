//! The pages. Each address is here, with what it takes to go there.

mod act;
mod explain;
mod fields;
mod history;
mod instance;
pub(crate) mod layout;
mod log;
mod login;
pub(crate) mod overview;
mod plan;
mod schedule;
mod settings;
mod setup;
mod spark;
mod task;
mod when;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::visit::Refusal;
use crate::{Site, security, statics};

/// Largest form: a private key, and a filter or two.
const LARGEST_FORM: usize = 256 * 1024;

pub(crate) fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(login::page).post(login::log_in))
        .route("/open", get(login::open).post(login::open_asked))
        .route("/logout", post(login::log_out))
        .route("/static/{mark}/{name}", get(statics::answer))
        .route("/tasks/{id}", get(task::page))
        .route("/i/{name}", get(instance::page))
        .route("/i/{name}/plan", get(plan::page).post(plan::make))
        .route("/i/{name}/apply", post(plan::apply))
        .route("/i/{name}/approve", post(plan::approve))
        .route("/i/{name}/sync", post(act::sync))
        .route("/i/{name}/check", post(act::check))
        .route("/i/{name}/history", get(history::page))
        .route("/i/{name}/history/{run}", get(history::run))
        .route("/i/{name}/undo", post(history::preview_undo))
        .route("/i/{name}/undo/now", post(history::undo))
        .route("/i/{name}/people", get(explain::page).post(explain::list))
        .route("/i/{name}/explain", get(explain::explain))
        .route("/i/{name}/settings", get(settings::page).post(settings::review))
        .route("/i/{name}/settings/check", get(settings::check))
        .route("/i/{name}/settings/changes", get(settings::changes))
        .route("/i/{name}/settings/save", post(settings::save))
        .route("/i/{name}/settings/discard", post(settings::discard))
        .route("/i/{name}/settings/try", post(settings::try_out))
        .route("/i/{name}/setup", get(setup::page).post(setup::send))
        .route("/i/{name}/schedule", get(schedule::page))
        .route("/i/{name}/schedule/explain", get(schedule::explain_typed))
        .route("/i/{name}/schedule/install", post(schedule::install))
        .route("/i/{name}/schedule/remove", post(schedule::remove))
        .route("/i/{name}/log", get(log::page))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(from_fn_with_state(Arc::clone(&site), security::guard))
        .with_state(site)
}

async fn nowhere() -> Response {
    Refusal::not_found().into_response()
}

/// What may stand in a segment of a path or a value of a query.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\'');

/// A text as a segment of a path or a value of a query.
fn escaped(text: &str) -> String {
    // A segment of dots alone is resolved by browsers.
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, ESCAPED).to_string(),
    }
}

/// Address of a page of an instance.
fn of_instance(name: &str, page: &str) -> String {
    let name = escaped(name);
    if page.is_empty() { format!("/i/{name}") } else { format!("/i/{name}/{page}") }
}
