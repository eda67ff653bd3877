//! Newest release, from a feed in the form of GitHub's latest release (`GET /repos/{owner}/{repo}/releases/latest`).

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::http::{Http, HttpRequest, HttpSettings, Repeat};
use crate::{Error, ErrorKind, Result};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// Version, possibly prefixed with `v`.
    #[serde(rename = "tag_name")]
    pub version: String,
    /// Address of the description and the download.
    #[serde(rename = "html_url", default)]
    pub page: String,
}

/// Requests the feed at `address`.
pub async fn latest(address: &str, settings: HttpSettings) -> Result<Release> {
    let attempted = "Looking for a newer release";
    let url: Url = address
        .parse()
        .map_err(|error| Error::new(ErrorKind::Configuration, attempted, format!("`{address}`: {error}")))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // GitHub refuses requests without a user agent.
    headers.insert(USER_AGENT, HeaderValue::from_static("bwdc"));
    let request = HttpRequest {
        method: Method::GET,
        url,
        headers,
        body: None,
        timeout: TIMEOUT,
        repeat: Repeat::Always,
    };
    let answer = Http::new(settings)?.send(attempted, &request).await?;
    if !answer.status.is_success() {
        return Err(Error::new(
            ErrorKind::Refused,
            attempted,
            format!("{address} answered HTTP {}", answer.status),
        ));
    }
    understood(attempted, address, &answer.body)
}

fn understood(attempted: &str, address: &str, body: &[u8]) -> Result<Release> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::Data, attempted, format!("the answer of {address} is not a release: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        /// A version, or an error that says of what.
        #[test]
        fn fuzz_releases(body in damaged([
            r#"{"tag_name":"v1.2.3","html_url":"https://example.org/releases/v1.2.3","draft":false,"assets":[{"name":"a"}]}"#,
            r#"{"message":"Not Found","status":"404"}"#,
            "<html>",
        ])) {
            match understood("Looking for a newer release", "https://example.org/latest", &body) {
                Ok(release) => {
                    // What is passed over may be no text.
                    let Ok(whole) = serde_json::from_slice::<serde_json::Value>(&body) else { return Ok(()) };
                    prop_assert_eq!(whole["tag_name"].as_str(), Some(release.version.as_str()));
                }
                Err(error) => {
                    crate::fuzz::harmless(&error, body.len())?;
                    prop_assert!(error.to_string().contains("https://example.org/latest"));
                }
            }
        }
    }
}
