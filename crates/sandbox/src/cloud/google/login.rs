//! Token endpoint: exchanges an assertion of the service account, whose signature is verified, for an access token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Played};
use crate::cloud::{Cloud, Engine};

/// Service account that exists.
pub const CLIENT_EMAIL: &str = "bwdc-sandbox@bwdc-sandbox.iam.gserviceaccount.com";
/// Client id by which the admin console knows it.
pub const CLIENT_ID: &str = "100000000000000000001";
/// Private key of the service account, publicly known and of use in this sandbox only.
pub const PRIVATE_KEY: &str = include_str!("../fixtures/google-sandbox-only.key.pem");
/// Public half of the key.
pub const PUBLIC_KEY: &str = include_str!("../fixtures/google-sandbox-only.pub.pem");
/// Another key, which does not belong to the service account.
pub const STRANGERS_PRIVATE_KEY: &str = include_str!("../fixtures/google-sandbox-only.stranger.key.pem");
/// Administrator on whose behalf it may read.
pub const ADMIN: &str = "admin@example.org";

/// Scopes that can be delegated: people, groups, members, each read-only.
pub const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
];

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Audience that clients name, wherever they send the assertion.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Tolerated clock difference in seconds.
const SKEW: i64 = 300;

/// Key file of the service account, in the format of Google's console.
pub fn key_file(cloud: &Cloud) -> String {
    let file = json!({
        "type": "service_account", "project_id": "bwdc-sandbox", "private_key_id": "sandbox-key-1",
        "private_key": PRIVATE_KEY, "client_email": CLIENT_EMAIL, "client_id": CLIENT_ID,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": format!("{}/token", cloud.url()),
        "universe_domain": "googleapis.com",
    });
    format!("{file:#}\n")
}

/// Subject and scopes that a token was issued for.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
}

/// Logins by access token.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<String, Login>>);

impl Logins {
    pub(super) fn of(&self, token: &str) -> Option<Login> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn add(&self, token: String, login: Login) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, login);
    }
}

#[derive(Deserialize)]
pub(super) struct Request {
    grant_type: String,
    assertion: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    /// Without a subject, the service account reads for itself, and has no permissions.
    #[serde(default)]
    sub: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

pub(super) async fn token(
    State((played, engine)): State<(Arc<Played>, Arc<Engine>)>,
    Form(request): Form<Request>,
) -> Response {
    match login(&played, &engine, &request) {
        Ok(login) => {
            let token = engine.give_token();
            played.logins.add(token.clone(), login);
            axum::Json(json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
                .into_response()
        }
        Err((status, error, description)) => {
            let body = json!({ "error": error, "error_description": description });
            (status, axum::Json(body)).into_response()
        }
    }
}

type Refused = (StatusCode, &'static str, &'static str);

const fn invalid_grant(description: &'static str) -> Refused {
    (StatusCode::BAD_REQUEST, "invalid_grant", description)
}

fn login(played: &Played, engine: &Engine, request: &Request) -> Result<Login, Refused> {
    if request.grant_type != GRANT_TYPE {
        return Err((StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type"));
    }
    let claims = verified(&request.assertion)?;
    if claims.aud != AUDIENCE && claims.aud != format!("{}/token", engine.url()) {
        return Err(invalid_grant("Invalid JWT: Failed audience check."));
    }
    let scopes: Vec<String> = claims.scope.split(' ').map(str::to_owned).collect();
    if !scopes.iter().all(|scope| played.google.delegated.contains(&scope.as_str())) {
        return Err((
            StatusCode::UNAUTHORIZED,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.",
        ));
    }
    let is_in_use = |account| matches!(account, Account::Active);
    let mut users = played.google.users.iter();
    if claims.sub != ADMIN && !users.any(|user| user.email == claims.sub && is_in_use(user.account)) {
        return Err(invalid_grant("Invalid email or User ID"));
    }
    Ok(Login { subject: claims.sub, scopes })
}

/// Verifies account, signature and times.
fn verified(assertion: &str) -> Result<Claims, Refused> {
    let bad_key =
        |_| (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The sandbox's own key cannot be read.");
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY.as_bytes()).map_err(bad_key)?;
    let mut unsigned = Validation::new(Algorithm::RS256);
    unsigned.validate_exp = false;
    unsigned.validate_aud = false;
    unsigned.required_spec_claims.clear();
    let signed = unsigned.clone();
    unsigned.insecure_disable_signature_validation();
    let no_jwt = |_| invalid_grant("Bad Request");
    let claimed = jsonwebtoken::decode::<Value>(assertion, &key, &unsigned).map_err(no_jwt)?;
    if claimed.claims["iss"] != CLIENT_EMAIL {
        return Err(invalid_grant("Invalid grant: account not found"));
    }
    let claims = jsonwebtoken::decode::<Claims>(assertion, &key, &signed)
        .map_err(|_| invalid_grant("Invalid JWT Signature."))?
        .claims;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let is_timely = claims.iat - SKEW <= now && now <= claims.exp + SKEW && claims.exp - claims.iat <= 3600;
    if claims.iss != CLIENT_EMAIL || !is_timely {
        return Err(invalid_grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
        ));
    }
    Ok(claims)
}
