//! Routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::edit::{self, Edit};
use crate::fault::{self, Faults, Injection};
use crate::import::Stop;
use crate::limits::Counters;
use crate::public::{groups, members};
use crate::response::{
    html, oauth_error, public_error, too_many, unauthorized, unhandled, vaultwarden_error,
};
use crate::store::{self, NewMember, Status, Store};
use crate::{Error, Flavour, Limits, Options, Staging, official, request, vaultwarden};

/// Body limits in bytes: ASP.NET Core's default, and Vaultwarden's Rocket setting.
const LARGEST_OFFICIAL: usize = 30_000_000;
const LARGEST_VAULTWARDEN: usize = 20 * 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) store: Arc<Store>,
    counters: Arc<Counters>,
    pub(crate) faults: Arc<Faults>,
    flavour: Flavour,
    pub(crate) limits: Limits,
    staging: Staging,
}

pub(crate) fn app(store: Arc<Store>, faults: Arc<Faults>, options: &Options) -> Router {
    let server = Server {
        store,
        counters: Arc::default(),
        faults,
        flavour: options.flavour,
        limits: options.limits,
        staging: options.staging,
    };
    let public = Router::new().route("/public/organization/import", post(import));
    let public = match server.flavour {
        Flavour::Vaultwarden => public.method_not_allowed_fallback(not_found),
        Flavour::Official => public.merge(members::routes()).merge(groups::routes(server.limits)),
    };
    let public = public
        .layer(DefaultBodyLimit::max(LARGEST_OFFICIAL))
        .layer(middleware::from_fn_with_state(server.clone(), authenticate));
    let api = public
        .route("/config", get(config))
        .route("/alive", get(|| async { Json(now().to_string()) }))
        .route("/version", get(|| async { Json("2026.8.0") }))
        .layer(middleware::from_fn_with_state(server.clone(), limit));
    let control = Router::new()
        .route("/log", get(events))
        .route("/members", get(all_members).post(add_member))
        .route("/members/{email}/{status}", post(change_status))
        .route("/groups", get(all_groups))
        .route("/expire-tokens", post(expire_tokens))
        .route("/edit", post(edit_by_hand))
        .route("/requests", get(requests))
        .route("/faults", post(inject));
    let server_side = Router::new()
        .route("/identity/connect/token", post(token))
        .nest("/api", api)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(server.clone(), fault::play));
    Router::new()
        .nest("/sandbox", control)
        .fallback_service(server_side.with_state(server.clone()))
        .with_state(server)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

async fn not_found(State(server): State<Server>) -> Response {
    match server.flavour {
        Flavour::Official => StatusCode::NOT_FOUND.into_response(),
        Flavour::Vaultwarden => {
            let body = json!({ "error": { "code": 404, "reason": "Not Found", "description": "The requested resource could not be found." } });
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}

async fn limit(State(server): State<Server>, request: Request, next: Next) -> Response {
    if server.limits == Limits::Cloud
        && let Some(seconds) = server.counters.api(request.method())
    {
        return too_many(seconds);
    }
    next.run(request).await
}

async fn authenticate(State(server): State<Server>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| server.store.knows_token(token)) {
        return next.run(request).await;
    }
    match server.flavour {
        Flavour::Official => unauthorized(),
        Flavour::Vaultwarden => html(StatusCode::UNAUTHORIZED),
    }
}

async fn token(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    if server.limits == Limits::Cloud
        && let Some(seconds) = server.counters.login()
    {
        return too_many(seconds);
    }
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let form: HashMap<String, String> =
        if is_form { serde_urlencoded::from_bytes(&body).unwrap_or_default() } else { HashMap::new() };
    match (server.flavour, is_form) {
        (Flavour::Official, false) => oauth_error("invalid_request"),
        (Flavour::Vaultwarden, false) => html(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Flavour::Official, true) => official_token(&server, &form),
        (Flavour::Vaultwarden, true) => vaultwarden_token(&server, &form),
    }
}

fn official_token(server: &Server, form: &HashMap<String, String>) -> Response {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return oauth_error("unsupported_grant_type");
    }
    if !matches!(field("scope"), "" | "api.organization") {
        return oauth_error("invalid_scope");
    }
    let organization =
        field("client_id").strip_prefix("organization.").and_then(|id| Uuid::parse_str(id).ok());
    let is_ours = organization.is_some_and(|id| id.to_string() == server.store.organization());
    if !is_ours || field("client_secret") != server.store.key() {
        return oauth_error("invalid_client");
    }
    issue(server)
}

/// Reads field names in camelCase or snake_case, in any letter case.
fn vaultwarden_token(server: &Server, form: &HashMap<String, String>) -> Response {
    let form: HashMap<String, &str> =
        form.iter().map(|(name, value)| (name.to_lowercase().replace('_', ""), value.as_str())).collect();
    let field = |name: &str| form.get(name).copied().unwrap_or_default();
    if !form.contains_key("granttype") {
        return html(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if field("granttype") != "client_credentials" {
        return vaultwarden_error("Invalid type");
    }
    let required = [
        ("clientid", "client_id cannot be blank"),
        ("clientsecret", "client_secret cannot be blank"),
        ("scope", "scope cannot be blank"),
        ("deviceidentifier", "device_identifier cannot be blank"),
        ("devicename", "device_name cannot be blank"),
        ("devicetype", "device_type cannot be blank"),
    ];
    if let Some((_, message)) = required.iter().find(|(name, _)| field(name).is_empty()) {
        return vaultwarden_error(message);
    }
    if field("scope") != "api.organization" {
        return vaultwarden_error("Scope not supported");
    }
    match field("clientid").strip_prefix("organization.") {
        None => vaultwarden_error("Malformed client_id"),
        Some(id) if id != server.store.organization() => vaultwarden_error("Invalid client_id"),
        Some(_) if field("clientsecret") != server.store.key() => {
            vaultwarden_error("Incorrect client_secret")
        }
        Some(_) => issue(server),
    }
}

/// Makes a token in the form of a JWT, so that clients can see when it expires. The signature is a random word: only this
/// server knows it.
fn issue(server: &Server) -> Response {
    let organization = server.store.organization();
    let header = json!({ "alg": "RS256", "typ": "at+jwt" });
    let claims = json!({
        "iss": "http://sandbox", "nbf": now(), "exp": now() + 3_600, "scope": ["api.organization"],
        "client_id": format!("organization.{organization}"), "client_sub": organization,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.{}", part(&header), part(&claims), Uuid::new_v4().simple());
    server.store.keep_token(token.clone());
    let body = json!({
        "access_token": token, "expires_in": 3_600, "token_type": "Bearer", "scope": "api.organization",
    });
    Json(body).into_response()
}

async fn import(State(server): State<Server>, request: Request) -> Response {
    let largest = match server.flavour {
        Flavour::Official => LARGEST_OFFICIAL,
        Flavour::Vaultwarden => LARGEST_VAULTWARDEN,
    };
    let Ok(body) = to_bytes(request.into_body(), largest).await else {
        return html(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let work = move || match server.flavour {
        Flavour::Vaultwarden => answer(vaultwarden::import(&server.store, &body)),
        Flavour::Official => match request::parse(&body) {
            Ok(import) => answer(official::import(&server.store, &import, server.limits, server.staging)),
            Err(faults) => {
                let message = "The request's model state is invalid.";
                public_error(StatusCode::BAD_REQUEST, message, Some(&faults))
            }
        },
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| unhandled())
}

/// Answer to a request that was carried out or refused, without details of what was done.
pub(crate) fn answer(result: Result<(), Stop>) -> Response {
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(stop) => stopped(stop),
    }
}

/// Answer to a request that ended early.
pub(crate) fn stopped(stop: Stop) -> Response {
    match stop {
        Stop::Answer(response) => *response,
        Stop::Database(error) => {
            tracing::error!(%error, "the sandbox's database failed");
            unhandled()
        }
    }
}

async fn config(State(server): State<Server>) -> Json<Value> {
    let third_party = match server.flavour {
        Flavour::Official => Value::Null,
        Flavour::Vaultwarden => {
            json!({ "name": "Vaultwarden", "url": "https://github.com/dani-garcia/vaultwarden" })
        }
    };
    let flags = match (server.flavour, server.staging) {
        (Flavour::Official, Staging::On) => json!({ "pm-34423-staged-status": true }),
        _ => json!({}),
    };
    Json(json!({
        "object": "config", "version": "2026.8.0", "gitHash": null, "server": third_party,
        "environment": { "cloudRegion": null, "vault": null, "api": null, "identity": null, "notifications": null, "sso": null },
        "featureStates": flags, "settings": {},
    }))
}

/// Runs a query and shows its result.
fn show<T>(
    server: &Server,
    query: impl FnOnce(&rusqlite::Connection) -> store::Db<T>,
    then: impl FnOnce(T) -> Response,
) -> Response {
    server.store.read(query).map_or_else(|_| unhandled(), then)
}

async fn events(State(server): State<Server>) -> Response {
    show(&server, store::events, |events| Json(events).into_response())
}

async fn all_members(State(server): State<Server>) -> Response {
    show(&server, store::members, |members| Json(members).into_response())
}

async fn all_groups(State(server): State<Server>) -> Response {
    show(&server, store::groups, |groups| Json(groups).into_response())
}

async fn add_member(State(server): State<Server>, Json(member): Json<NewMember>) -> Response {
    let added = server.store.write(|db| store::insert(db, &member));
    added.map_or_else(|_| unhandled(), |_| StatusCode::NO_CONTENT.into_response())
}

async fn change_status(
    State(server): State<Server>,
    Path((email, status)): Path<(String, Status)>,
) -> Response {
    let changed = server.store.write(|db| store::set_status(db, &email, status));
    changed.map_or_else(|_| unhandled(), |()| StatusCode::NO_CONTENT.into_response())
}

async fn expire_tokens(State(server): State<Server>) -> StatusCode {
    server.store.expire_tokens();
    StatusCode::NO_CONTENT
}

async fn edit_by_hand(State(server): State<Server>, Json(edit): Json<Edit>) -> Response {
    match edit::apply(&server.store, edit) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ Error::Unknown(_)) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
        Err(_) => unhandled(),
    }
}

async fn requests(State(server): State<Server>) -> Response {
    Json(server.faults.requests()).into_response()
}

async fn inject(State(server): State<Server>, Json(injection): Json<Injection>) -> StatusCode {
    server.faults.inject(injection);
    StatusCode::NO_CONTENT
}
