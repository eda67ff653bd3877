//! Access tokens, obtained with a client secret, a certificate or another provider's token (Microsoft identity platform, "OAuth
//! 2.0 client credentials flow").

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::ENTRA;
use super::config::{Config, Credential};
use crate::http::assertion::{Algorithm, Header, Signer};
use crate::http::{AccessToken, Http, HttpRequest, Response, TokenSource, seconds};
use crate::{Error, ErrorKind, Result, tls};
use bwdc_core::Secret;

/// Time limit for a token.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time before a token's end at which a new one is requested.
const RENEW_BEFORE: Duration = Duration::from_secs(120);
/// Lifetime of an assertion in seconds: 5 to 10 minutes are recommended ("Certificate credentials").
const ASSERTION_LASTS: i64 = 600;
/// RFC 7523, section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Application that reads, with the proof of its identity.
#[derive(Debug)]
pub(super) struct Login {
    token_url: Url,
    tenant: String,
    application_id: String,
    scope: String,
    audience: String,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(Secret),
    Certificate(Certificate),
    FederatedToken(PathBuf),
}

/// Certificate whose key signs.
#[derive(Debug)]
struct Certificate {
    path: PathBuf,
    thumbprint: String,
    ends: Timestamp,
    signer: Signer,
}

/// Token and its own statements.
#[derive(Debug)]
pub(super) struct Granted {
    token: Secret,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

/// RFC 6749, section 5.2, with Microsoft's numbers.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
    trace_id: Option<String>,
}

impl Login {
    /// Reads the certificate, if there is one.
    pub(super) fn new(config: &Config) -> Result<Self> {
        let proof = match &config.credential {
            Credential::Secret(secret) => Proof::Secret(secret.clone()),
            Credential::Certificate(path) => Proof::Certificate(Certificate::read(path)?),
            Credential::FederatedToken(path) => Proof::FederatedToken(path.clone()),
        };
        Ok(Self {
            token_url: config.token_url()?,
            tenant: config.tenant.clone(),
            application_id: config.application_id.clone(),
            scope: config.scope(),
            audience: config.audience(),
            proof,
        })
    }

    /// Name of the application for messages.
    pub(super) fn who(&self) -> String {
        let Self { application_id, tenant, .. } = self;
        let by = match &self.proof {
            Proof::Secret(_) => "a client secret",
            Proof::Certificate(_) => "a certificate",
            Proof::FederatedToken(_) => "a federated token",
        };
        format!("application {application_id} in tenant {tenant}, by {by}")
    }

    /// Client secret, if there is one.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match &self.proof {
            Proof::Secret(secret) => Some(secret),
            Proof::Certificate(_) | Proof::FederatedToken(_) => None,
        }
    }

    /// File and end of the certificate, if there is one.
    pub(super) fn certificate(&self) -> Option<(&Path, Timestamp)> {
        match &self.proof {
            Proof::Certificate(certificate) => Some((&certificate.path, certificate.ends)),
            Proof::Secret(_) | Proof::FederatedToken(_) => None,
        }
    }

    /// Requests a token.
    pub(super) async fn granted(&self, http: &Http) -> Result<Granted> {
        let place = self.token_url.origin().ascii_serialization();
        let attempted = format!("Logging in at {place} as {}", self.who());
        let (name, assertion) = match &self.proof {
            Proof::Secret(secret) => ("client_secret", secret.clone()),
            Proof::Certificate(certificate) => ("client_assertion", self.assertion(certificate)?),
            Proof::FederatedToken(path) => ("client_assertion", federated_token(path)?),
        };
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &self.application_id),
            ("scope", &self.scope),
            (name, assertion.reveal()),
        ];
        if name == "client_assertion" {
            fields.push(("client_assertion_type", JWT_BEARER));
        }
        let request = HttpRequest::post_form(self.token_url.clone(), &fields, TIMEOUT);
        let response = http.send(&attempted, &request).await?;
        if !response.status.is_success() {
            return Err(refused(&attempted, &response));
        }
        let TokenAnswer { access_token, expires_in } = ENTRA_LOGIN.decode(&attempted, &response)?;
        let lasts = seconds(expires_in);
        let renew_after = lasts.saturating_sub(RENEW_BEFORE).max(lasts / 2);
        Ok(Granted { token: Secret::from(access_token), renew_at: Instant::now() + renew_after })
    }

    fn assertion(&self, certificate: &Certificate) -> Result<Secret> {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "aud": self.audience, "iss": self.application_id, "sub": self.application_id,
            "jti": uuid::Uuid::new_v4().to_string(), "iat": now, "nbf": now, "exp": now + ASSERTION_LASTS,
        });
        let header =
            Header { x5t_s256: Some(certificate.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        certificate.signer.sign(&header, &claims)
    }
}

const ENTRA_LOGIN: crate::http::Vendor =
    crate::http::Vendor { address: "entra.identityAuthority and BWDC_ENTRA_LOGIN_URL", ..ENTRA };

impl TokenSource for std::sync::Arc<Login> {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        let Granted { token, renew_at } = self.granted(http).await?;
        AccessToken::new("Bearer", &token, Some(renew_at))
    }
}

impl Granted {
    /// Application permissions in the token, as far as it can be read: it is meant for Graph, not for us.
    pub(super) fn permissions(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            roles: Vec<String>,
        }
        let payload = self.token.reveal().split('.').nth(1)?;
        let payload = BASE64URL.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.roles)
    }
}

impl Certificate {
    fn read(path: &Path) -> Result<Self> {
        let chain = tls::certificates(path)?;
        let attempted = || format!("Reading the certificate in {}", path.display());
        let first = chain.first().ok_or_else(|| {
            Error::new(ErrorKind::Configuration, attempted(), "the file has no certificate")
        })?;
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|error| Error::new(ErrorKind::Configuration, attempted(), error))?;
        let ends = Timestamp::from_second(parsed.validity().not_after.timestamp());
        let pem = std::fs::read_to_string(path)
            .map_err(|error| Error::new(ErrorKind::Configuration, attempted(), error))?;
        let what = format!("{} (entra.certificateFile)", path.display());
        Ok(Self {
            path: path.to_owned(),
            thumbprint: BASE64URL.encode(Sha256::digest(first)),
            ends: ends.unwrap_or(Timestamp::MAX),
            signer: Signer::from_pem(&Secret::from(pem), &what)?,
        })
    }
}

/// Reads the token that another provider renews in a file.
fn federated_token(path: &Path) -> Result<Secret> {
    let attempted = || format!("Reading the federated token in {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorKind::Configuration, attempted(), error).hint(
            "Check entra.federatedTokenFile, or AZURE_FEDERATED_TOKEN_FILE, and that the user who runs bwdc may read the file.",
        )
    })?;
    match text.trim() {
        "" => Err(Error::new(ErrorKind::Configuration, attempted(), "the file is empty")
            .hint("The program that renews the token is not running.")),
        token => Ok(Secret::from(token)),
    }
}

pub(super) fn refused(attempted: &str, response: &Response) -> Error {
    let status = response.status.as_u16();
    let Ok(refusal) = serde_json::from_slice::<Refusal>(&response.body) else {
        return Error::new(ErrorKind::Refused, attempted, format!("HTTP {status}")).hint(
            "Check entra.identityAuthority and BWDC_ENTRA_LOGIN_URL, and whether a proxy answers instead.",
        );
    };
    let Refusal { error, error_description, error_codes, trace_id } = refusal;
    // Ids and the time follow.
    let said = error_description.split("Trace ID:").next().unwrap_or_default().trim();
    let trace = trace_id.as_deref().or(response.request_id()).unwrap_or("without an id");
    let (kind, hint) = advice(status, &error_codes);
    Error::new(kind, attempted, format!("HTTP {status}, {error}: {said} (trace {trace})")).hint(hint)
}

/// Advice for a refusal ("Microsoft Entra authentication and authorization error codes").
fn advice(status: u16, codes: &[u64]) -> (ErrorKind, &'static str) {
    let known = codes.iter().find_map(|code| {
        Some(match code {
            7_000_215 => (
                ErrorKind::Credentials,
                "entra.key is not a secret of this application. It must be the secret's Value, not its Secret ID; the value is shown only \
                once: make a new secret under Certificates & secrets.",
            ),
            7_000_222 => (
                ErrorKind::Credentials,
                "The client secret has expired: make a new one under Certificates & secrets, and save it with `bwdc config \
                 entra.key`.",
            ),
            90_002 | 900_023 => (
                ErrorKind::Configuration,
                "Check entra.tenant (the Directory (tenant) ID, or a domain of the tenant) and entra.identityAuthority (the cloud \
                that the tenant is in).",
            ),
            700_016 => (
                ErrorKind::Configuration,
                "Check entra.applicationId (the Application (client) ID) and that the application is registered in entra.tenant.",
            ),
            700_027 | 7_000_214 | 7_000_274 | 7_000_277 | 1_000_502 => (
                ErrorKind::Credentials,
                "Upload the certificate of entra.certificateFile under Certificates & secrets of this application, and check that it \
                has not expired.",
            ),
            700_024 => (
                ErrorKind::Credentials,
                "Check this machine's clock; with a federated token, check that the program that renews its file is running.",
            ),
            70_021 | 700_211 | 700_212 | 700_213 => (
                ErrorKind::Credentials,
                "Compare issuer, subject and audience of the token with the application's federated credential (Certificates & \
                secrets, Federated credentials).",
            ),
            7_000_112 => (
                ErrorKind::Credentials,
                "The application is disabled in this tenant: enable it under Enterprise applications.",
            ),
            53_003 => (ErrorKind::Credentials, "A Conditional Access policy blocks the application from here."),
            65_001 | 650_051 => (
                ErrorKind::Credentials,
                "Have an administrator grant consent: API permissions, Grant admin consent.",
            ),
            500_011 => (
                ErrorKind::Configuration,
                "This tenant does not know this Microsoft Graph: check entra.identityAuthority and BWDC_ENTRA_GRAPH_URL.",
            ),
            _ => return None,
        })
    });
    known.unwrap_or(match status {
        429 | 500..=599 => (ErrorKind::Unreachable, "Try again later. Nothing was imported."),
        _ => (
            ErrorKind::Credentials,
            "Check entra.tenant, entra.applicationId and entra.key; login.microsoftonline.com/error explains the number.",
        ),
    })
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIBAg==\n-----END CERTIFICATE-----\n";

    /// Certificate with its key.
    fn certificate() -> String {
        let folder = tempfile::tempdir().unwrap();
        let client = bwdc_testkit::Certificates::make(folder.path()).client;
        [client.certificate, client.key].map(|path| std::fs::read_to_string(path).unwrap()).concat()
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_tokens_of_entra(payload in damaged_text([r#"{"roles":["User.Read.All","Group.Read.All"],"exp":1}"#]), whole in damaged_text(["e30.e30.c"])) {
            for text in [format!("e30.{}.c", BASE64URL.encode(&payload)), whole] {
                let granted = Granted { token: Secret::from(text.as_str()), renew_at: Instant::now() };
                let shown = granted.permissions().map_or(0, |roles| roles.iter().map(String::len).sum());
                prop_assert!(shown <= text.len());
            }
        }

        #[test]
        fn fuzz_certificate_files(content in damaged([
            CERTIFICATE.to_owned(),
            format!("{CERTIFICATE}{}", bwdc_sandbox::cloud::google::PRIVATE_KEY),
            certificate(),
        ])) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &content).unwrap();
            if let Err(error) = Certificate::read(file.path()) {
                crate::fuzz::harmless(&error, 0)?;
            }
        }
    }
}
