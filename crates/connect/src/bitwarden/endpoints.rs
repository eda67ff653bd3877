//! Addresses of the organization's servers.

use reqwest::Url;

use crate::{Error, ErrorKind, Result};

/// Base URLs of the API and of the identity server, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    api: String,
    identity: String,
    is_cloud: bool,
}

/// Clouds: the names people know them by, and their hosts
/// (bitwarden/server, `CloudRegionConfig`).
const CLOUDS: [&str; 3] = ["bitwarden.com", "bitwarden.eu", "bitwarden-gov.com"];

impl Endpoints {
    /// Derives the addresses from the base URL and the separate ones, which take precedence. Nothing set means the US cloud.
    pub fn resolve(base: Option<&str>, api: Option<&str>, identity: Option<&str>) -> Result<Self> {
        let base = base.map(parse).transpose()?;
        let cloud = match &base {
            None => Some(CLOUDS[0]),
            Some(base) => cloud(base),
        };
        let derived = |service: &str| match (cloud, &base) {
            (Some(domain), _) => format!("https://{service}.{domain}"),
            (None, Some(base)) => format!("{}/{service}", text(base)),
            (None, None) => String::new(),
        };
        let given = |url: Option<&str>| url.map(|url| parse(url).map(|url| text(&url))).transpose();
        let (own_api, own_identity) = (given(api)?, given(identity)?);
        Ok(Self {
            is_cloud: own_api.is_none() && cloud.is_some(),
            api: own_api.unwrap_or_else(|| derived("api")),
            identity: own_identity.unwrap_or_else(|| derived("identity")),
        })
    }

    /// Base URL of the API.
    pub fn api_url(&self) -> &str {
        &self.api
    }

    /// Base URL of the identity server.
    pub fn identity_url(&self) -> &str {
        &self.identity
    }

    /// First of the two that is reached by plain http on another machine.
    pub fn in_clear(&self) -> Option<&str> {
        [self.api_url(), self.identity_url()].into_iter().find(|url| is_in_clear(url))
    }

    /// Whether it is Bitwarden's own cloud, with its limits.
    pub fn is_cloud(&self) -> bool {
        self.is_cloud
    }
}

fn is_in_clear(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

fn cloud(base: &Url) -> Option<&'static str> {
    let host = base.host_str()?;
    let is_root = base.path() == "/" && base.port().is_none();
    CLOUDS.into_iter().find(|domain| {
        is_root
            && (host == *domain
                || ["vault.", "api.", "identity.", "www."]
                    .iter()
                    .any(|sub| host.strip_prefix(sub) == Some(domain)))
    })
}

/// Parses a URL; a missing scheme means `https`.
fn parse(given: &str) -> Result<Url> {
    let trimmed = given.trim();
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Configuration, format!("Reading the server URL `{trimmed}`"), reason)
            .hint("Example: https://bitwarden.example.com")
    };
    let candidate = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
    if candidate.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refuse("it contains spaces"));
    }
    let url = Url::parse(&candidate).map_err(|error| refuse(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" => {}
        _ => return Err(refuse("it must begin with https:// or http://")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("it has no host name"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it must not contain a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it must be a host name and an optional path, nothing else"));
    }
    Ok(url)
}

fn text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> (String, String, bool) {
        let endpoints = Endpoints::resolve(Some(url), None, None).unwrap();
        (endpoints.api, endpoints.identity, endpoints.is_cloud)
    }

    #[test]
    fn clouds_are_known_by_their_names() {
        let us = Endpoints::resolve(None, None, None).unwrap();
        assert_eq!(
            (us.api_url(), us.identity_url()),
            ("https://api.bitwarden.com", "https://identity.bitwarden.com")
        );
        assert!(us.is_cloud());
        for eu in ["https://vault.bitwarden.eu", "bitwarden.eu/", "https://VAULT.bitwarden.eu"] {
            assert_eq!(
                base(eu),
                ("https://api.bitwarden.eu".into(), "https://identity.bitwarden.eu".into(), true)
            );
        }
        assert!(!base("https://vault.bitwarden.com.example.org").2);
    }

    #[test]
    fn self_hosted_servers_may_have_paths() {
        let own =
            ("https://bw.example.org/sub/api".into(), "https://bw.example.org/sub/identity".into(), false);
        assert_eq!(base("bw.example.org/sub///"), own);
        let separate =
            Endpoints::resolve(Some("bw.example.org"), Some("https://a.example.org:8443/"), None).unwrap();
        assert_eq!(separate.api_url(), "https://a.example.org:8443");
        assert_eq!(separate.identity_url(), "https://bw.example.org/identity");
    }

    #[test]
    fn invalid_urls_are_refused() {
        for text in
            ["not a url", "ftp://x", "https:// https://x", "https://", "https://u:p@x", "x?y", "http://[::"]
        {
            let error = Endpoints::resolve(Some(text), None, None).unwrap_err();
            assert!(error.to_string().contains("Reading the server URL"), "{error}");
        }
    }
}
