//! Settings of Microsoft Entra ID.

use std::path::PathBuf;

use reqwest::Url;

use super::filter::EntraFilter;
use crate::Result;
use crate::http::{self, Network, base_url};
use bwdc_core::Secret;

/// Settings for reading one tenant.
#[derive(Clone, Debug)]
pub struct Config {
    /// Microsoft cloud of the tenant.
    pub authority: Authority,
    /// Address of the token endpoint.
    pub login_url: Url,
    /// Address of the directory.
    pub graph_url: Url,
    /// Id of the tenant, or one of its domains.
    pub tenant: String,
    /// Application that reads.
    pub application_id: String,
    /// Proof of its identity.
    pub credential: Credential,
    /// Filter for people, besides the set filters.
    pub user_filter: EntraFilter,
    /// Filter for groups, besides the set filters.
    pub group_filter: EntraFilter,
    /// Treatment of groups outside the administrative units of the filter.
    pub outside_groups: OutsideGroups,
    /// Trust and time limits.
    pub network: Network,
}

/// Proof of the application's identity.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Client secret.
    Secret(Secret),
    /// PEM file with a certificate and its RSA key.
    Certificate(PathBuf),
    /// File with a token from another identity provider, which renews it; read each time.
    FederatedToken(PathBuf),
}

/// Whether to read groups that the filter leaves out, because people are members through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideGroups {
    /// Nesting goes through the kept groups.
    Ignored,
    /// Nesting goes through all groups.
    Read,
}

/// Microsoft cloud (Microsoft Graph, "National cloud deployments").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The public cloud.
    Public,
    /// US government cloud.
    UsGovernment,
    /// China, operated by 21Vianet.
    China,
}

/// Authority, login address and address of Graph.
const AUTHORITIES: [(Authority, &str, &str); 3] = [
    (Authority::Public, "login.microsoftonline.com", "https://graph.microsoft.com"),
    (Authority::UsGovernment, "login.microsoftonline.us", "https://graph.microsoft.us"),
    (Authority::China, "login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
];

/// Graph of the US Department of Defense, behind the same login.
const DOD_GRAPH: &str = "https://dod-graph.microsoft.us";

impl Authority {
    /// Names of all clouds, as in settings.
    pub const HOSTS: &[&str] = &[AUTHORITIES[0].1, AUTHORITIES[1].1, AUTHORITIES[2].1];

    /// Finds a cloud by the host name of its login.
    pub fn named(host: &str) -> Option<Self> {
        let host = host.trim();
        AUTHORITIES.into_iter().find(|(_, login, _)| login.eq_ignore_ascii_case(host)).map(|(is, ..)| is)
    }

    fn addresses(self) -> (&'static str, &'static str) {
        let found = AUTHORITIES.into_iter().find(|(is, ..)| *is == self);
        found.map_or((AUTHORITIES[0].1, AUTHORITIES[0].2), |(_, login, graph)| (login, graph))
    }

    /// Address of the token endpoint: the cloud's own, or the one in `variable`.
    pub fn login_url(self, variable: &str, other: Option<&str>) -> Result<Url> {
        base_url(variable, other.unwrap_or(&self.own_login()), "https://login.microsoftonline.com")
    }

    /// Address of the directory: the cloud's own, or the one in `variable`.
    pub fn graph_url(self, variable: &str, other: Option<&str>) -> Result<Url> {
        base_url(variable, other.unwrap_or(self.own_graph()), "https://graph.microsoft.com")
    }

    fn own_login(self) -> String {
        format!("https://{}", self.addresses().0)
    }

    /// Address as Microsoft knows it, whatever proxy stands in between.
    pub(super) fn own_graph(self) -> &'static str {
        self.addresses().1
    }
}

impl Config {
    /// URL for requesting a token.
    pub(super) fn token_url(&self) -> Result<Url> {
        let wrong = ("Logging in to Entra ID", "the login address is not a base URL");
        http::below(&self.login_url, [self.tenant.as_str(), "oauth2", "v2.0", "token"], wrong)
    }

    /// Audience of an assertion: Microsoft, even if a proxy receives it first.
    pub(super) fn audience(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority.own_login(), self.tenant)
    }

    /// Scope of a token: the cloud's own Graph, even behind a proxy.
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
            user_filter: EntraFilter::default(),
            group_filter: EntraFilter::default(),
            outside_groups: OutsideGroups::Ignored,
            network: Network::default(),
        }
    }

    #[test]
    fn tokens_are_for_the_cloud_even_behind_a_proxy() {
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
