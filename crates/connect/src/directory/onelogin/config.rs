//! Settings of OneLogin.

use reqwest::Url;

use crate::Result;
use crate::http::{Network, base_url};
use bwdc_core::Secret;
use bwdc_core::snapshot::Place;

/// Settings for reading one OneLogin account.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base URL, such as `https://api.us.onelogin.com` or `https://example.onelogin.com`.
    pub api_url: Url,
    /// Id of an API credential pair with the scope Read Users.
    pub client_id: String,
    /// Secret of the pair.
    pub client_secret: Secret,
    /// Suffix, with the `@`, that makes an address from the user name of people who have none; it may be empty.
    pub email_suffix: Option<String>,
    /// Trust and time limits.
    pub network: Network,
}

/// Region of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The United States.
    Us,
    /// Europe.
    Eu,
}

impl Config {
    /// Parses the account's own address: https, or plain http on this machine.
    pub fn account_url(text: &str) -> Result<Url> {
        base_url("onelogin.url", text, "https://example.onelogin.com")
    }

    /// Place for what is remembered. A region's address is everybody's, so that the credential pair tells whose people are read there.
    pub(super) fn place(&self) -> Place {
        let host = self.api_url.authority();
        let is_shared = |region| Self::api_of(region).is_ok_and(|shared| shared.authority() == host);
        Place::from(if [Region::Us, Region::Eu].into_iter().any(is_shared) {
            format!("onelogin {host} {}", self.client_id)
        } else {
            format!("onelogin {host}")
        })
    }

    /// API of a region (OneLogin, "API Reference": `https://api.<us_or_eu>.onelogin.com`).
    pub fn api_of(region: Region) -> Result<Url> {
        let url = match region {
            Region::Us => "https://api.us.onelogin.com",
            Region::Eu => "https://api.eu.onelogin.com",
        };
        base_url("onelogin.region", url, "https://api.us.onelogin.com")
    }
}
