//! Settings of an Okta organization.

use reqwest::Url;

use crate::Result;
use crate::http::assertion::Signer;
use crate::http::{Network, base_url};
use bwdc_core::Secret;

/// Settings for reading one Okta organization.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base URL, such as `https://example.okta.com`.
    pub org_url: Url,
    /// Credentials.
    pub credentials: Credentials,
    /// Okta's own filter for people: the part after the first `|` of `sync.userFilter`.
    pub user_filter: Option<String>,
    /// Okta's own filter for groups.
    pub group_filter: Option<String>,
    /// Trust and time limits.
    pub network: Network,
}

/// Credentials for the login.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// API token of a read-only administrator.
    Token(Secret),
    /// Application of the kind API Services, with its private key (OAuth 2.0 client credentials).
    Application {
        /// Client id of the application.
        client_id: String,
        /// Private key.
        signer: Signer,
    },
}

impl Config {
    /// Parses the organization's address: https, or plain http on this machine.
    pub fn org_url(text: &str) -> Result<Url> {
        base_url("okta.orgUrl", text, "https://example.okta.com")
    }
}
