//! What the newest release is, by a feed in the form of GitHub's latest release (`GET /repos/{owner}/{repo}/releases/latest`).

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::http::{Http, Repeat, Request, Settings};
use crate::{Error, Kind, Result};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// Its version, perhaps with a `v` before it.
    #[serde(rename = "tag_name")]
    pub version: String,
    /// Where to read about it and get it.
    #[serde(rename = "html_url", default)]
    pub page: String,
}

/// Asks the feed at `address`.
pub async fn latest(address: &str, settings: Settings) -> Result<Release> {
    let attempted = "Looking for a newer release";
    let url: Url = address
        .parse()
        .map_err(|error| Error::new(Kind::Configuration, attempted, format!("`{address}`: {error}")))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // GitHub refuses requests without one.
    headers.insert(USER_AGENT, HeaderValue::from_static("bwdc"));
    let request =
        Request { method: Method::GET, url, headers, body: None, timeout: TIMEOUT, repeat: Repeat::Always };
    let answer = Http::new(settings)?.send(attempted, &request).await?;
    if !answer.status.is_success() {
        return Err(Error::new(
            Kind::Refused,
            attempted,
            format!("{address} answered HTTP {}", answer.status),
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::new(
            Kind::Data,
            attempted,
            format!("{address} answered something else than a release: {error}"),
        )
    })
}
