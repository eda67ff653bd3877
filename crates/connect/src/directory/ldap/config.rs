//! Settings of an LDAP directory.

use std::time::Duration;

use super::disabled::DisabledBy;
use crate::Result;
use crate::directory::incomplete;
use crate::tls::{ClientIdentity, Trust};
use bwdc_core::Secret;

/// Settings for reading one LDAP directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name or address of the server, or a service name such as `_ldap._tcp.example.org` (RFC 2782).
    pub host: String,
    /// Other servers of the same tree, tried in this order if the first cannot be reached.
    pub fallbacks: Vec<String>,
    /// Port.
    pub port: u16,
    /// Protection of the connection.
    pub security: Security,
    /// Account that reads.
    pub bind: Bind,
    /// Whether it is Active Directory, with its tombstones.
    pub flavour: Flavour,
    /// Whether results come in pages.
    pub paging: Paging,
    /// `rootPath` as configured: one, or several separated by `|`.
    pub root: String,
    /// Place and filter of people.
    pub users: SearchSettings,
    /// Place and filter of groups.
    pub groups: SearchSettings,
    /// Names of the attributes.
    pub attributes: Attributes,
    /// Id by which people and groups are known.
    pub identity: Identity,
    /// Attributes that mark an account as disabled.
    pub disabled_by: Vec<DisabledBy>,
    /// Whether people are members of their primary group.
    pub primary_groups: PrimaryGroups,
    /// Whether groups outside the bases count because of their members.
    pub outside_groups: OutsideGroups,
    /// Treatment of parts of the tree that other servers hold.
    pub referrals: Referrals,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// Treatment of groups outside the bases that are members of groups inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutsideGroups {
    /// They do not count, nor do their members, as in the existing connector.
    #[default]
    Ignored,
    /// Each is looked up. Their members are members of the groups inside; they themselves are not synced.
    Read,
}

/// Treatment of a reference to another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrals {
    /// It is reported on every run, and not followed.
    #[default]
    Report,
    /// The other server is asked, with the same login and protection.
    Follow,
}

/// Active Directory stores a person's primary group in the person's entry (`primaryGroupID`), not in the group's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrimaryGroups {
    /// People are not members of it, as in the existing connector.
    #[default]
    Ignored,
    /// People are members of it.
    Members,
}

/// Protection of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// None.
    Plain,
    /// TLS from the first byte.
    Ldaps(Tls),
    /// TLS on the plain port, before anything else.
    StartTls(Tls),
}

/// Certificates to trust and to present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Server certificates that are accepted.
    pub trust: Trust,
    /// Certificate presented to servers that ask for one.
    pub identity: Option<ClientIdentity>,
}

/// Account that reads.
#[derive(Clone, Debug)]
pub enum Bind {
    /// A name (a DN, or another form the server accepts) and a password, neither empty: an empty password would turn the
    /// bind into an anonymous one that succeeds (RFC 4513, section 5.1.2).
    Simple {
        /// Name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// The identity in the client certificate: SASL EXTERNAL (RFC 4422, appendix A).
    External,
    /// The identity in the Kerberos ticket: SASL GSSAPI (RFC 4752). The ticket is that of the process's cache or client keytab
    /// (`KRB5CCNAME`, `KRB5_CLIENT_KTNAME`). Only over TLS: sealing with the ticket's key is not supported. Needs the build
    /// feature `kerberos`.
    Kerberos,
}

impl Bind {
    /// Name for messages.
    pub(super) fn who(&self) -> &str {
        match self {
            Self::Simple { username, .. } => username,
            Self::External => "the client certificate",
            Self::Kerberos => "the Kerberos ticket",
        }
    }
}

/// Id by which the organization is to know people and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// `objectGUID` if there is one, otherwise the DN, as in the existing connector.
    #[default]
    GuidOrDn,
    /// The DN, as the server spells it. It changes with every rename.
    Dn,
    /// An attribute that never changes, such as `entryUUID`. Every entry must have it.
    Attribute(String),
}

/// Kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Deleted accounts are found under `CN=Deleted Objects`.
    ActiveDirectory,
    /// Any other server.
    #[default]
    Generic,
}

/// Whether results come in pages (RFC 2696).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Pages of 20,000, or of what the server allows.
    Pages,
    /// One answer.
    Unpaged,
}

/// Place of entries of one kind, and the filter for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchSettings {
    /// `userPath` or `groupPath`, prepended to the root; several separated by `|`.
    pub path: String,
    /// Object class.
    pub object_class: String,
    /// Additional filter (RFC 4515).
    pub filter: Option<String>,
}

/// Names of the attributes. Compared without regard to case (RFC 4512, section 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Address of a person.
    pub email: String,
    /// Rule for the address of people who have none.
    pub made_email: Option<MadeEmail>,
    /// Name of a group; `cn` if it is absent.
    pub group_name: String,
    /// Members of a group: DNs or user names.
    pub member: String,
    /// Time of an entry's last change, to read only changes since the last sync.
    pub revision: Option<String>,
}

/// Address made of `prefix + suffix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeEmail {
    /// Attribute with the part before the `@`.
    pub prefix_attribute: String,
    /// Rest, with the `@`.
    pub suffix: String,
}

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Limit for the connection, TLS included.
    pub connect: Duration,
    /// Limit for the next byte of an answer.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_secs(120) }
    }
}

impl Config {
    /// The settings for another server.
    pub(super) fn on(&self, host: String) -> Self {
        Self { host, fallbacks: Vec::new(), ..self.clone() }
    }

    /// Whether contacts and computers of Active Directory have the object class of people too.
    pub(super) fn may_read_others_as_people(&self) -> bool {
        self.flavour == Flavour::ActiveDirectory
            && self.users.object_class.trim().eq_ignore_ascii_case("person")
    }

    /// `ldap://host:port` or `ldaps://host:port`, for messages.
    pub(super) fn url(&self) -> String {
        let scheme = match self.security {
            Security::Ldaps(_) => "ldaps",
            Security::Plain | Security::StartTls(_) => "ldap",
        };
        let host = &self.host;
        let port = self.port;
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }

    /// Bases of searches: one pair for each root.
    pub(super) fn trees(&self) -> Result<Vec<Tree>> {
        let tree = |root: &str| {
            let domain = domain_root(root);
            Ok(Tree {
                users: bases(root, &domain, &self.users, "sync.userPath")?,
                groups: bases(root, &domain, &self.groups, "sync.groupPath")?,
                domain,
            })
        };
        parts(&self.root).into_iter().map(tree).collect()
    }
}

/// Parts between the `|`; one empty part if there is nothing.
fn parts(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split('|').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { vec![""] } else { parts }
}

/// Bases under one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// Base for people.
    pub(super) users: Vec<String>,
    /// Base for groups.
    pub(super) groups: Vec<String>,
    /// Domain components of the root, if it has any.
    pub(super) domain: Option<String>,
}

fn bases(root: &str, domain: &Option<String>, search: &SearchSettings, setting: &str) -> Result<Vec<String>> {
    parts(&search.path).into_iter().map(|path| base(root, domain, path, setting)).collect()
}

/// Joins the path and the root's domain components. A root without a `dc=` part means that the path is the whole base.
fn base(root: &str, domain: &Option<String>, path: &str, setting: &str) -> Result<String> {
    match (path, domain) {
        ("", Some(domain)) => Ok(domain.clone()),
        ("", None) => Err(incomplete(
            "ldap.rootPath",
            &format!(
                "`{root}` has no `dc=` part, and {setting} is empty. Put the whole base DN into {setting}."
            ),
        )),
        (path, Some(domain)) => Ok(format!("{path},{domain}")),
        (path, None) => Ok(path.to_owned()),
    }
}

/// Part of the root from its first `dc=` on, in lower case.
fn domain_root(root: &str) -> Option<String> {
    let root = root.to_lowercase();
    root.find("dc=").map(|at| root[at..].to_owned())
}

impl SearchSettings {
    /// Filter of a complete read.
    pub(super) fn filter(&self) -> String {
        // `*` alone means every class.
        let class = match self.object_class.trim() {
            "*" => "(&(objectClass=*))".to_owned(),
            class => format!("(&(objectClass={}))", super::filter::escaped(class)),
        };
        match &self.filter {
            Some(filter) => format!("(&{class}{})", filter.trim()),
            None => class,
        }
    }

    /// Search without the administrator's own filter: everybody there is.
    pub(super) fn without_filter(&self) -> Self {
        Self { filter: None, ..self.clone() }
    }
}

/// Adds one condition to a filter.
pub(super) fn and(filter: &str, condition: &str) -> String {
    format!("(&{filter}{condition})")
}
