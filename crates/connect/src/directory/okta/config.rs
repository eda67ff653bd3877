//! The settings of an Okta organization, understood.

use reqwest::Url;

use crate::Result;
use crate::http::assertion::Signer;
use crate::http::{Network, base_url};
use bwdc_core::Secret;

/// Everything needed to read one Okta organization.
#[derive(Clone, Debug)]
pub struct Config {
    /// Such as `https://example.okta.com`.
    pub org_url: Url,
    /// Who reads.
    pub credentials: Credentials,
    /// Okta's own filter for people: what follows the first `|` of `sync.userFilter`.
    pub user_filter: Option<String>,
    /// The same for groups.
    pub group_filter: Option<String>,
    /// Trust and patience.
    pub network: Network,
}

/// How we log in.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// With an API token of a read-only administrator.
    Token(Secret),
    /// As an application of the kind API Services, with its private key (OAuth 2.0 client credentials).
    Application {
        /// The application's client id.
        client_id: String,
        /// Its private key.
        signer: Signer,
    },
}

impl Config {
    /// The organization's address: https, or plain http on this machine.
    pub fn org_url(text: &str) -> Result<Url> {
        base_url("okta.orgUrl", text, "https://example.okta.com")
    }
}
