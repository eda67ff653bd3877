//! Login: exchanges the service account's assertion for an access token (Google Identity, "Using OAuth 2.0 for Server to Server
//! Applications").

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::Url;
use reqwest::header::DATE;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::config::{Config, ServiceAccount, TOKEN_URL};
use crate::http::assertion::{Algorithm, Header, Signer};
use crate::http::{AccessToken, Http, HttpRequest, Response, TokenSource, Vendor, seconds};
use crate::{Error, ErrorKind, Result};
use bwdc_core::Secret;

/// Scopes needed for reading, and nothing more (Directory API, "Authorize requests").
pub(super) const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
];

const ENDPOINT: Vendor = Vendor { name: "Google's token endpoint", address: "BWDC_GOOGLE_TOKEN_URL" };
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longest lifetime that Google accepts for an assertion.
const LIFETIME: i64 = 3600;
/// Assumed lifetime of a token whose answer does not tell it, in seconds.
const USUAL_END: u64 = 3600;
/// Time before a token's end at which it is replaced, so that no request carries one that expires on the way.
const BEFORE_END: Duration = Duration::from_secs(120);
/// Clock difference that Google tolerates.
const LARGEST_SKEW: i64 = 60;

/// Claims sent to Google.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    scope: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// In seconds.
    expires_in: Option<u64>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// Service account and the administrator it acts for.
#[derive(Debug)]
pub(super) struct Login {
    signer: Signer,
    account: ServiceAccount,
    admin_user: String,
    token_url: Url,
}

impl TokenSource for Arc<Login> {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        self.token(http, &SCOPES).await
    }
}

impl Login {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let Config { account, admin_user, token_url, .. } = config;
        let signer = Signer::from_pem(&account.key, &account.source)?;
        Ok(Self {
            signer,
            account: account.clone(),
            admin_user: admin_user.clone(),
            token_url: token_url.clone(),
        })
    }

    /// Service account that logs in.
    pub(super) fn account(&self) -> &ServiceAccount {
        &self.account
    }

    /// Requests a token for some of the scopes.
    pub(super) async fn token(&self, http: &Http, scopes: &[&str]) -> Result<AccessToken> {
        let attempted = format!(
            "Logging in at {} as {} for {}",
            self.place(),
            self.account.client_email,
            self.admin_user
        );
        let assertion = self.assertion(scopes)?;
        let fields = [("grant_type", GRANT_TYPE), ("assertion", assertion.reveal())];
        let request = HttpRequest::post_form(self.token_url.clone(), &fields, TIMEOUT);
        let response = http.send(&attempted, &request).await?;
        if !response.status.is_success() {
            return Err(self.refused(&attempted, &response));
        }
        let granted: Granted = ENDPOINT.decode(&attempted, &response)?;
        let lasts = seconds(granted.expires_in.unwrap_or(USUAL_END));
        let renew_at = Instant::now() + lasts.saturating_sub(BEFORE_END.min(lasts / 2));
        AccessToken::new("Bearer", &Secret::from(granted.access_token), Some(renew_at))
    }

    fn assertion(&self, scopes: &[&str]) -> Result<Secret> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: &self.account.client_email,
            sub: &self.admin_user,
            scope: scopes.join(" "),
            // Google's own even behind a proxy: Google compares it.
            aud: self.account.token_uri.as_deref().unwrap_or(TOKEN_URL),
            iat: now,
            exp: now + LIFETIME,
        };
        let header = Header { kid: self.account.key_id.clone(), ..Header::new(Algorithm::RS256) };
        self.signer.sign(&header, &claims)
    }

    fn place(&self) -> String {
        self.token_url.origin().ascii_serialization()
    }

    pub(super) fn refused(&self, attempted: &str, response: &Response) -> Error {
        let status = response.status.as_u16();
        let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
        let Ok(Refusal { error, error_description }) = serde_json::from_slice(&response.body) else {
            return Error::new(ErrorKind::Refused, attempted, format!("HTTP {status}{id}")).hint(
                "Check BWDC_GOOGLE_TOKEN_URL, and whether a proxy answers instead. Nothing was imported.",
            );
        };
        let description = error_description.unwrap_or_default();
        let told = format!("HTTP {status}, {error}: {description}{id}");
        Error::new(ErrorKind::Credentials, attempted, told).hint(self.next_step(
            &error,
            &description,
            response,
        ))
    }

    fn next_step(&self, error: &str, description: &str, response: &Response) -> String {
        let ServiceAccount { client_email, source, .. } = &self.account;
        let description = description.to_lowercase();
        let says = |words: &str| description.contains(words);
        match error {
            "unauthorized_client" | "invalid_scope" | "access_denied" => self.delegation(),
            "invalid_grant" if says("user id") || says("subject") => format!(
                "Check gsuite.adminUser: {} must be an administrator of this Google Workspace, and not suspended.",
                self.admin_user
            ),
            "invalid_grant" | "invalid_client" if says("not found") => format!(
                "The service account {client_email} is deleted or misspelt: check gsuite.clientEmail, or the key file."
            ),
            "invalid_grant" if says("signature") => format!(
                "The key in {source} does not belong to {client_email}, or was deleted. Make a new one in the Google Cloud console \
                (IAM & Admin > Service accounts > Keys)."
            ),
            "invalid_grant" if says("short-lived") || says("timeframe") || says("iat") => clock(response),
            _ => format!(
                "Check that the service account {client_email} exists and is enabled, that the key in {source} belongs to it, \
                that {} is an administrator, and this machine's clock.",
                self.admin_user
            ),
        }
    }

    /// Advice on granting the service account access.
    pub(super) fn delegation(&self) -> String {
        let client = match &self.account.client_id {
            Some(id) => format!("client id {id}"),
            None => format!("client id of {} (`client_id` in its key file)", self.account.client_email),
        };
        format!(
            "In the Google admin console, Security > Access and data control > API controls > Manage domain-wide delegation, give \
            the {client} these scopes: {}. It may take some hours to take effect.",
            SCOPES.join(",")
        )
    }
}

fn clock(response: &Response) -> String {
    let date = response.headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let ahead = date.map(|date| Timestamp::now().as_second() - date.as_second());
    match ahead.filter(|ahead| ahead.abs() > LARGEST_SKEW) {
        Some(ahead) if ahead > 0 => format!(
            "This machine's clock is {ahead} s ahead of Google's: synchronize it (timedatectl, chrony)."
        ),
        Some(ahead) => format!(
            "This machine's clock is {} s behind Google's: synchronize it (timedatectl, chrony).",
            -ahead
        ),
        None => "Synchronize this machine's clock (timedatectl, chrony).".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::directory::google::tests::config;

    fn refused(error: &str, description: &str, seconds_ago: i64) -> Error {
        let body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
        let date = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        let response = Response { status: StatusCode::BAD_REQUEST, headers, body: body.into() };
        Login::new(&config()).unwrap().refused("Logging in", &response)
    }

    #[test]
    fn each_refusal_has_its_next_step() {
        for (error, description, hint) in [
            ("invalid_grant", "Invalid email or User ID", "gsuite.adminUser"),
            ("invalid_grant", "Invalid grant: account not found", "deleted or misspelt"),
            ("invalid_grant", "Invalid JWT Signature.", "Make a new one"),
            ("invalid_client", "The OAuth client was not found.", "deleted or misspelt"),
            ("unauthorized_client", "Client is unauthorized", SCOPES[2]),
            ("access_denied", "Requested client not authorized.", SCOPES[0]),
            ("something_new", "", "exists and is enabled"),
        ] {
            let told = refused(error, description, 0);
            assert!(told.to_string().contains(&format!("HTTP 400, {error}: {description}")), "{told}");
            assert!(told.next_step().unwrap().contains(hint), "{error}: {:?}", told.next_step());
        }
    }

    #[test]
    fn a_wrong_clock_is_reported_with_the_difference() {
        let words =
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
        let hint = |seconds| refused("invalid_grant", words, seconds).next_step().unwrap().to_owned();
        assert!(hint(7200).contains(" s ahead of Google's"), "{}", hint(7200));
        assert!(hint(-7200).contains(" s behind Google's"), "{}", hint(-7200));
        assert!(hint(0).starts_with("Synchronize"), "{}", hint(0));
    }
}
