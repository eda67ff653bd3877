//! Parts of the tree that other servers hold: reported, or followed if the administrator allows it.

use std::collections::VecDeque;

use bwdc_core::note::{Note, Step};
use percent_encoding::percent_decode_str;
use url::Url;

use super::client::Continuations;
use super::config::{Bind, Config, Referrals, Security};
use super::request::SearchRequest;
use super::wire::Depth;
use super::{dn, first_reachable};
use crate::{Error, ErrorKind, Result};

/// Largest number of servers; no forest has more. Stops a server that refers us round in circles.
const LIMIT: usize = 200;

/// Search on one server.
#[derive(Clone, Debug)]
pub(super) struct SearchTarget {
    pub(super) config: Config,
    pub(super) request: SearchRequest,
}

/// Places of one search: the first, and those it is referred to.
#[derive(Debug)]
pub(super) struct SearchTargets {
    left: VecDeque<SearchTarget>,
    /// Server and base of all places so far.
    seen: Vec<(String, String)>,
    pub(super) notes: Vec<Note>,
}

impl SearchTargets {
    pub(super) fn of(config: &Config, request: SearchRequest) -> Self {
        let mut places = Self { left: VecDeque::new(), seen: Vec::new(), notes: Vec::new() };
        places.add(SearchTarget { config: config.clone(), request });
        places
    }

    pub(super) fn next(&mut self) -> Option<SearchTarget> {
        self.left.pop_front()
    }

    fn add(&mut self, place: SearchTarget) {
        let key = (place.config.url(), normal(&place.request.base));
        if !self.seen.contains(&key) {
            self.seen.push(key);
            self.left.push_back(place);
        }
    }

    /// Records the references of a place. A server that cannot be reached, or that is not allowed, is an error: without it the
    /// read is not complete.
    pub(super) async fn refer(&mut self, from: &SearchTarget, references: Continuations) -> Result<()> {
        for servers in references {
            let Some(first) = servers.first() else { continue };
            if is_without_people(first) {
                self.notes.push(Note::info(
                    Step::Read,
                    first,
                    "a partition of the forest that holds no people was not read",
                ));
                continue;
            }
            match from.config.referrals {
                Referrals::Report => self.notes.push(Note::warning(
                    Step::Read,
                    first,
                    "a part of the tree is held by another server and was not read (ldap.referrals)",
                )),
                Referrals::Follow => {
                    let place = self.follow(from, &servers).await?;
                    self.add(place);
                }
            }
            if self.seen.len() > LIMIT {
                return Err(Error::new(
                    ErrorKind::Incomplete,
                    format!("Following the reference to {first}"),
                    format!("there have been more than {LIMIT} references already"),
                )
                .hint("The servers may refer to each other: set ldap.referrals to report."));
            }
        }
        Ok(())
    }

    /// Reads one of the servers of a reference: they hold the same, so any will do (RFC 4511, section 4.5.3).
    async fn follow(&mut self, from: &SearchTarget, servers: &[String]) -> Result<SearchTarget> {
        let places = servers.iter().map(|url| referred(from, url)).collect::<Result<Vec<SearchTarget>>>()?;
        let configs = places.iter().map(|place| place.config.clone()).collect();
        let (config, notes) = first_reachable(configs, "the next server of the reference").await?;
        self.notes.extend(notes);
        let chosen = places.into_iter().find(|place| place.config.url() == config.url());
        Ok(chosen.unwrap_or_else(|| from.clone()))
    }
}

/// Place that a URL of RFC 4516 refers to. We log in there with our own account, so it must be a part of what was requested,
/// and the connection is protected like the configured one.
fn referred(from: &SearchTarget, url: &str) -> Result<SearchTarget> {
    let refused = |reason: String| {
        Error::new(ErrorKind::Incomplete, format!("Following the reference to {url}"), reason).hint(
            "Set ldap.referrals to report, or correct the reference on the server. Nothing was imported.",
        )
    };
    let parsed = Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let host = parsed.host_str().filter(|host| !host.is_empty());
    let (true, Some(host)) = (matches!(parsed.scheme(), "ldap" | "ldaps"), host) else {
        return Err(refused("it does not name an LDAP server".to_owned()));
    };
    let base = percent_decode_str(parsed.path().trim_start_matches('/')).decode_utf8();
    let base = base.map_err(|error| refused(error.to_string()))?.into_owned();
    let base = if base.is_empty() { from.request.base.clone() } else { base };
    let (here, there) = (normal(&from.request.base), normal(&base));
    if there != here && !there.ends_with(&format!(",{here}")) {
        return Err(refused(format!("`{base}` is not a part of `{}`", from.request.base)));
    }
    if !may_have_password(from, host) {
        return Err(refused(format!(
            "the password would go to {host} without TLS, which is neither the configured host nor in its domain"
        )));
    }
    let scope = match parsed.query().and_then(|query| query.split('?').nth(1)) {
        Some("base") => Depth::Base,
        Some("one") => Depth::OneLevel,
        _ => from.request.scope,
    };
    let mut config = from.config.on(host.trim_matches(['[', ']']).to_owned());
    config.port = parsed.port().unwrap_or(config.port);
    Ok(SearchTarget { config, request: SearchRequest { base, scope, ..from.request.clone() } })
}

/// Allows the password over TLS, to the configured host, or to a host in the domain that is read.
fn may_have_password(from: &SearchTarget, host: &str) -> bool {
    let Config { security, bind, host: configured, .. } = &from.config;
    let (Security::Plain, Bind::Simple { .. }) = (security, bind) else { return true };
    let host = host.trim_end_matches('.').to_lowercase();
    let domain = domain_of(&from.request.base);
    host == configured.to_lowercase()
        || (!domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))))
}

/// Converts `dc=corp,dc=example` to `corp.example` (RFC 2247).
fn domain_of(base: &str) -> String {
    let base = normal(base);
    let parts: Vec<&str> = base.split(',').filter_map(|part| part.strip_prefix("dc=")).collect();
    parts.join(".")
}

fn normal(dn: &str) -> String {
    let mut buffer = String::new();
    dn::normalise(dn, &mut buffer).map_or_else(|| dn.to_lowercase(), str::to_owned)
}

/// Partitions of the forest: a domain's root refers to the configuration and DNS partitions on every search.
fn is_without_people(url: &str) -> bool {
    let name = url.splitn(4, '/').nth(3).unwrap_or_default().to_lowercase();
    ["cn=configuration,", "dc=domaindnszones,", "dc=forestdnszones,"]
        .iter()
        .any(|part| name.starts_with(part))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        /// The password goes only to the configured host and to hosts of the domain that is read, and only for a part of it.
        #[test]
        fn fuzz_references_of_ldap(url in damaged_text([
            "ldap://dc1.corp.example/ou=Sales,DC=corp,DC=example??one",
            "ldaps://localhost:636/dc=corp,dc=example",
            "ldap://evil.example/dc=x,dc=corp,dc=example",
            "ldap://a.corp.example@evil.example/dc%3Dcorp%2Cdc%3Dexample",
            "ldap://[::1]:389/",
            "ldap:///CN=Configuration,DC=corp,DC=example",
        ])) {
            let request = SearchRequest {
                what: "users", base: "dc=corp,dc=example".to_owned(), scope: Depth::Subtree, filter: String::new(),
                attributes: Vec::new(), controls: Vec::new(),
            };
            let from = SearchTarget { config: super::super::tests::config(super::super::config::Identity::Dn), request };
            let _ = is_without_people(&url);
            match referred(&from, &url) {
                Ok(SearchTarget { config, request }) => {
                    let host = config.host.trim_end_matches('.').to_lowercase();
                    prop_assert!(host == "localhost" || host == "corp.example" || host.ends_with(".corp.example"), "{host}");
                    prop_assert!(normal(&request.base).ends_with("dc=corp,dc=example"), "{}", request.base);
                }
                Err(error) => crate::fuzz::harmless(&error, url.len())?,
            }
        }
    }
}
