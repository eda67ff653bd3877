//! The settings of Microsoft Entra ID, understood.

use std::path::PathBuf;

use reqwest::Url;

use super::filter::Filter;
use crate::http::{Network, base_url};
use crate::{Error, Kind, Result};
use bwdc_core::Secret;

/// Everything needed to read one tenant.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of Microsoft's clouds.
    pub authority: Authority,
    /// Where tokens come from.
    pub login_url: Url,
    /// Where the directory is.
    pub graph_url: Url,
    /// The tenant's id, or one of its domains.
    pub tenant: String,
    /// The application that reads.
    pub application_id: String,
    /// How it logs in.
    pub credential: Credential,
    /// Who of the people, besides the set filters.
    pub user_filter: Filter,
    /// Which of the groups, likewise.
    pub group_filter: Filter,
    /// What becomes of groups outside the administrative units of the filter.
    pub outside_groups: OutsideGroups,
    /// Trust and patience.
    pub network: Network,
}

/// How the application proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(Secret),
    /// A PEM file with a certificate and its RSA key.
    Certificate(PathBuf),
    /// A file with a token of another identity provider, which is renewed there and read each time.
    FederatedToken(PathBuf),
}

/// Whether groups that the filter leaves out are read all the same, because people are members through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideGroups {
    /// Nesting goes through the kept groups.
    Ignored,
    /// Nesting goes through all groups.
    Read,
}

/// One of Microsoft's clouds (Microsoft Graph, "National cloud deployments").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The public cloud.
    Public,
    /// The US government's.
    UsGovernment,
    /// China, by 21Vianet.
    China,
}

/// Authority, where it logs in, where its Graph is.
const AUTHORITIES: [(Authority, &str, &str); 3] = [
    (Authority::Public, "login.microsoftonline.com", "https://graph.microsoft.com"),
    (Authority::UsGovernment, "login.microsoftonline.us", "https://graph.microsoft.us"),
    (Authority::China, "login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
];

/// What the US Department of Defense has instead, behind the same login.
const DOD_GRAPH: &str = "https://dod-graph.microsoft.us";

impl Authority {
    /// The names of all, as settings have them.
    pub const HOSTS: &[&str] = &[AUTHORITIES[0].1, AUTHORITIES[1].1, AUTHORITIES[2].1];

    /// By the host name of its login.
    pub fn named(host: &str) -> Option<Self> {
        let host = host.trim();
        AUTHORITIES.into_iter().find(|(_, login, _)| login.eq_ignore_ascii_case(host)).map(|(is, ..)| is)
    }

    fn addresses(self) -> (&'static str, &'static str) {
        let found = AUTHORITIES.into_iter().find(|(is, ..)| *is == self);
        found.map_or((AUTHORITIES[0].1, AUTHORITIES[0].2), |(_, login, graph)| (login, graph))
    }

    /// Where tokens come from: its own place, or another that `variable` names.
    pub fn login_url(self, variable: &str, other: Option<&str>) -> Result<Url> {
        base_url(variable, other.unwrap_or(&self.own_login()), "https://login.microsoftonline.com")
    }

    /// Where the directory is, likewise.
    pub fn graph_url(self, variable: &str, other: Option<&str>) -> Result<Url> {
        base_url(variable, other.unwrap_or(self.own_graph()), "https://graph.microsoft.com")
    }

    fn own_login(self) -> String {
        format!("https://{}", self.addresses().0)
    }

    /// The address by which Microsoft knows it, whatever stands in between.
    pub(super) fn own_graph(self) -> &'static str {
        self.addresses().1
    }
}

impl Config {
    /// Where a token is asked for.
    pub(super) fn token_url(&self) -> Result<Url> {
        let mut url = self.login_url.clone();
        url.path_segments_mut()
            .map_err(|()| {
                Error::new(Kind::Configuration, "Logging in to Entra ID", "the login address is no base URL")
            })?
            .pop_if_empty()
            .extend([self.tenant.as_str(), "oauth2", "v2.0", "token"]);
        Ok(url)
    }

    /// For whom an assertion is meant: Microsoft, even if a proxy takes it first.
    pub(super) fn audience(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority.own_login(), self.tenant)
    }

    /// The Graph that a token is for: the authority's own, even if a proxy stands before it.
    pub(super) fn scope(&self) -> String {
        let is_dod = self.graph_url.as_str().starts_with(DOD_GRAPH);
        let graph = if is_dod { DOD_GRAPH } else { self.authority.own_graph() };
        format!("{graph}/.default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_addresses() {
        for (host, graph) in [
            ("login.microsoftonline.com", "https://graph.microsoft.com/"),
            ("Login.MicrosoftOnline.us", "https://graph.microsoft.us/"),
            ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/"),
        ] {
            let authority = Authority::named(host).unwrap();
            let login = authority.login_url("LOGIN", None).unwrap();
            assert_eq!(login.as_str(), format!("https://{}/", host.to_lowercase()));
            assert_eq!(authority.graph_url("GRAPH", None).unwrap().as_str(), graph);
        }
        assert_eq!(Authority::named("login.windows.net"), None);
        let other = Authority::Public.graph_url("GRAPH", Some("http://example.org"));
        assert!(other.unwrap_err().to_string().contains("GRAPH"));
    }

    fn config(authority: Authority, graph: Option<&str>) -> Config {
        Config {
            authority,
            login_url: authority.login_url("LOGIN", Some("https://proxy.example.org/login/")).unwrap(),
            graph_url: authority.graph_url("GRAPH", graph).unwrap(),
            tenant: "example.org".into(),
            application_id: "app".into(),
            credential: Credential::Secret("secret".into()),
            user_filter: Filter::default(),
            group_filter: Filter::default(),
            outside_groups: OutsideGroups::Ignored,
            network: Network::default(),
        }
    }

    #[test]
    fn tokens_are_for_the_cloud_whatever_stands_in_between() {
        let plain = config(Authority::China, Some("https://proxy.example.org"));
        let token = "https://proxy.example.org/login/example.org/oauth2/v2.0/token";
        assert_eq!(plain.token_url().unwrap().as_str(), token);
        assert_eq!(
            plain.audience(),
            "https://login.partner.microsoftonline.cn/example.org/oauth2/v2.0/token"
        );
        assert_eq!(plain.scope(), "https://microsoftgraph.chinacloudapi.cn/.default");
        let dod = config(Authority::UsGovernment, Some(DOD_GRAPH));
        assert_eq!(dod.scope(), "https://dod-graph.microsoft.us/.default");
    }
}
