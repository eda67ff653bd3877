//! Token endpoint: client secrets, certificates, federated tokens, and their errors.
//!
//! Facts from Microsoft's documentation: "OAuth 2.0 client credentials flow", "Application authentication certificate credentials",
//! "Microsoft Entra authentication and authorization error codes".

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{APPLICATION, DOMAIN, TENANT, Tenant};
use crate::cloud::Engine;

/// Addresses of Graph in Microsoft's clouds; tokens are for one of these.
const RESOURCES: [&str; 4] = [
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
];
/// Login addresses of the clouds.
const AUTHORITIES: [&str; 3] = [
    "https://login.microsoftonline.com",
    "https://login.microsoftonline.us",
    "https://login.partner.microsoftonline.cn",
];

/// Reason why there is no token.
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    code: u64,
    text: String,
}

fn refusal(status: StatusCode, error: &'static str, code: u64, text: impl Into<String>) -> Refusal {
    Refusal { status, error, code, text: text.into() }
}

type Form = HashMap<String, String>;

/// Issues a token for a valid request.
pub(super) fn answer(tenant: &Tenant, engine: &Engine, name: &str, form: &Form) -> Response {
    match checked(tenant, engine, name, form) {
        Ok(resource) => axum::Json(json!({
            "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599,
            "access_token": access_token(tenant, engine, resource),
        }))
        .into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// Resource that a token is for.
fn checked(tenant: &Tenant, engine: &Engine, name: &str, form: &Form) -> Result<&'static str, Refusal> {
    known_tenant(name)?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{}'.", field("grant_type"));
        return Err(refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70_003, text));
    }
    let id = field("client_id");
    if !id.eq_ignore_ascii_case(APPLICATION) {
        let text = format!(
            "Application with identifier '{id}' was not found in the directory 'Sandbox'. This can happen if the application has not \
             been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your \
             authentication request to the wrong tenant."
        );
        return Err(refusal(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, text));
    }
    let scope = field("scope");
    let resource = RESOURCES.into_iter().find(|resource| scope.contains(&format!("{resource}/.default")));
    let Some(resource) = resource else {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default \
             suffixed to the resource identifier (application ID URI)."
        );
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_scope", 1_002_012, text));
    };
    proven(tenant, engine, name, form)?;
    Ok(resource)
}

pub(super) fn known_tenant(name: &str) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case(TENANT) || name.eq_ignore_ascii_case(DOMAIN) {
        return Ok(());
    }
    let text = format!(
        "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check \
         with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
    );
    Err(refusal(StatusCode::BAD_REQUEST, "invalid_request", 90_002, text))
}

fn proven(tenant: &Tenant, engine: &Engine, name: &str, form: &Form) -> Result<(), Refusal> {
    if let Some(secret) = form.get("client_secret") {
        return right_secret(tenant, secret);
    }
    let Some(assertion) = form.get("client_assertion") else {
        let text =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_218, text));
    };
    let kind = form.get("client_assertion_type").map(String::as_str);
    if kind != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        let text = "The provided client assertion type is not supported.";
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_request", 50_027, text));
    }
    if tenant.federated_token.as_ref() == Some(assertion) {
        return Ok(());
    }
    signed(tenant, engine, name, assertion)
}

fn right_secret(tenant: &Tenant, secret: &str) -> Result<(), Refusal> {
    if *secret != tenant.secret.value {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client \
             secret ID, for a secret added to app '{APPLICATION}'."
        );
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, text));
    }
    if tenant.secret.ends.parse::<Timestamp>().is_ok_and(|ends| ends < Timestamp::now()) {
        let text = format!(
            "The provided client secret keys for app '{APPLICATION}' are expired. Visit the Azure portal to create new keys for your \
             app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
        );
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_222, text));
    }
    Ok(())
}

/// Verifies an assertion of the uploaded certificate; any other counts as another provider's, which is not trusted here.
fn signed(tenant: &Tenant, engine: &Engine, name: &str, assertion: &str) -> Result<(), Refusal> {
    let malformed = |error: &dyn std::fmt::Display| {
        refusal(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            50_027,
            format!("JWT token is invalid or malformed. {error}"),
        )
    };
    let header = jsonwebtoken::decode_header(assertion).map_err(|error| malformed(&error))?;
    if header.x5t_s256.is_none() && header.x5t.is_none() {
        let text = "No matching federated identity record found for presented assertion. Check your federated identity credential \
                    Subject, Audience and Issuer against the presented assertion.";
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", 700_213, text));
    }
    let unknown = |reason: &str| {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}]"
        );
        refusal(StatusCode::UNAUTHORIZED, "invalid_client", 700_027, text)
    };
    let certificate = tenant.certificate.as_ref().ok_or_else(|| unknown("The key was not found."))?;
    let thumbprint = BASE64URL.encode(Sha256::digest(certificate));
    if header.x5t_s256.as_ref() != Some(&thumbprint) {
        return Err(unknown("The key was not found."));
    }
    let key = public_key(certificate).ok_or_else(|| unknown("The key used is expired, or not supported."))?;
    let mut validation = Validation::new(Algorithm::PS256);
    validation.algorithms = vec![Algorithm::PS256, Algorithm::RS256];
    validation.validate_nbf = true;
    let places = AUTHORITIES.into_iter().map(str::to_owned).chain([engine.url().to_owned()]);
    validation
        .set_audience(&places.map(|place| format!("{place}/{name}/oauth2/v2.0/token")).collect::<Vec<_>>());
    validation.set_issuer(&[APPLICATION]);
    validation.sub = Some(APPLICATION.to_owned());
    validation.set_required_spec_claims(&["aud", "iss", "sub", "exp"]);
    jsonwebtoken::decode::<Value>(assertion, &key, &validation)
        .map(|_| ())
        .map_err(|error| unknown(&format!("{error}.")))
}

/// Public key of a certificate in PKCS#1 (RFC 3279, section 2.3.1). None if the certificate has expired.
fn public_key(certificate: &[u8]) -> Option<DecodingKey> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    parsed
        .validity()
        .is_valid()
        .then(|| DecodingKey::from_rsa_der(&parsed.public_key().subject_public_key.data))
}

/// Makes a token like Microsoft's, except for the signature, which only the sandbox verifies.
fn access_token(tenant: &Tenant, engine: &Engine, resource: &str) -> String {
    let now = Timestamp::now().as_second();
    let part = |value: Value| BASE64URL.encode(value.to_string());
    let header = part(json!({ "typ": "JWT", "alg": "none" }));
    let claims = part(json!({
        "aud": resource, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now, "nbf": now, "exp": now + 3599,
        "appid": APPLICATION, "tid": TENANT, "roles": tenant.permissions, "ver": "1.0",
    }));
    format!("{header}.{claims}.{}", BASE64URL.encode(engine.give_token()))
}

/// Sandbox's own part of a token.
pub(super) fn own_part(token: &str) -> Option<String> {
    let (_, own) = token.rsplit_once('.')?;
    String::from_utf8(BASE64URL.decode(own).ok()?).ok()
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    let Refusal { status, error, code, text } = refusal;
    let (trace, correlation) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        ),
        "error_codes": [code], "timestamp": time, "trace_id": trace.to_string(), "correlation_id": correlation.to_string(),
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    (*status, [("x-ms-request-id", trace.to_string())], axum::Json(body)).into_response()
}

/// Addresses for Microsoft's own clients ("OpenID Connect on the Microsoft identity platform").
pub(super) fn metadata(engine: &Engine) -> Value {
    let base = format!("{}/{TENANT}", engine.url());
    json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "issuer": format!("{base}/v2.0"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
    })
}
