//! Login with an API token, or with the private key of an application (Okta, "Implement OAuth for Okta with a service
//! app").

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::config::Credentials;
use super::failure;
use super::{OKTA, TIMEOUT};
use crate::http::assertion::{Algorithm, Signer};
use crate::http::{AccessToken, Http, HttpRequest, Response, TokenSource, seconds};
use crate::{Error, ErrorKind, Result};
use bwdc_core::Secret;

const SCOPES: &str = "okta.users.read okta.groups.read";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Lifetime of an assertion. Okta accepts an hour at most.
const ASSERTED_FOR: i64 = 5 * 60;

/// Time before a token's end at which a new one is requested.
const BEFORE_END: Duration = Duration::from_secs(120);

/// Source of tokens.
#[derive(Debug)]
pub(super) enum Login {
    /// API token, which lasts.
    Token(Secret),
    Application(Application),
}

/// Application that signs assertions.
#[derive(Debug)]
pub(super) struct Application {
    token_url: Url,
    client_id: String,
    signer: Signer,
}

/// Claims of an assertion. It has no id: Okta accepts each id once, and a request may have to be sent twice.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

/// Body of OAuth 2.0 refusals (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Login {
    pub(super) fn new(credentials: &Credentials, token_url: Url) -> Self {
        match credentials {
            Credentials::Token(token) => Self::Token(token.clone()),
            Credentials::Application { client_id, signer } => Self::Application(Application {
                token_url,
                client_id: client_id.clone(),
                signer: signer.clone(),
            }),
        }
    }
}

impl TokenSource for Login {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        match self {
            Self::Token(token) => AccessToken::new("SSWS", token, None),
            Self::Application(application) => application.new_token(http).await,
        }
    }
}

impl Application {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        let Self { token_url, client_id, signer } = self;
        let attempted = format!("Logging in at {}", token_url.origin().ascii_serialization());
        let now = Timestamp::now().as_second();
        let claims = Claims {
            aud: token_url.as_str(),
            iss: client_id,
            sub: client_id,
            iat: now,
            exp: now + ASSERTED_FOR,
        };
        let assertion = signer.sign(&signer.header(Algorithm::RS256), &claims)?;
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", SCOPES),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.reveal()),
        ];
        let request = HttpRequest::post_form(token_url.clone(), &fields, TIMEOUT);
        let response = http.send(&attempted, &request).await?;
        if response.status != 200 {
            return Err(refused(&attempted, &response));
        }
        let Token { access_token, expires_in } = OKTA.decode(&attempted, &response)?;
        let lasts = seconds(expires_in);
        let renew_at = Some(Instant::now() + lasts.saturating_sub(BEFORE_END).max(lasts / 2));
        AccessToken::new("Bearer", &Secret::from(access_token), renew_at)
    }
}

pub(super) fn refused(attempted: &str, response: &Response) -> Error {
    let status = response.status.as_u16();
    let told = serde_json::from_slice(&response.body).ok().filter(|_| matches!(status, 400 | 401 | 403));
    let Some(Refusal { error, error_description }) = told else {
        return failure::refused(attempted, response, HINT);
    };
    let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
    let hint = match error.as_str() {
        "invalid_dpop_proof" | "use_dpop_nonce" => {
            "Turn off `Require Demonstrating Proof of Possession (DPoP) header in token requests` for the application, under General \
             Settings: it is on for new applications."
        }
        "invalid_scope" => {
            "Grant the application the scopes okta.users.read and okta.groups.read, on its page Okta API Scopes."
        }
        "invalid_client" if error_description.contains(KEY_ID) => {
            "The application has several keys, or other ones: set okta.keyId to the id (kid) of the key in okta.privateKeyFile, as \
            shown on the application's page General."
        }
        _ => HINT,
    };
    Error::new(ErrorKind::Credentials, attempted, format!("HTTP {status}, {error}: {error_description}{id}"))
        .hint(hint)
}

/// Name of the key's id in Okta's description of an `invalid_client`: the code is the same for every fault of a client.
const KEY_ID: &str = "kid";

const HINT: &str = "Check okta.orgUrl and okta.clientId, that the application is of the kind API Services and active, that its public key \
belongs to okta.privateKeyFile, and this machine's clock.";
