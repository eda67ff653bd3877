//! The settings of an LDAP directory, understood.

use std::time::Duration;

use super::disabled::DisabledBy;
use crate::Result;
use crate::directory::incomplete;
use crate::tls::{ClientIdentity, Trust};
use bwdc_core::Secret;

/// Everything needed to read one LDAP directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name or address of the server, or a service name such as `_ldap._tcp.example.org` (RFC 2782).
    pub host: String,
    /// Other servers of the same tree, tried in this order where the first cannot be reached.
    pub fallbacks: Vec<String>,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Who reads.
    pub bind: Bind,
    /// Whether it is Active Directory, with its tombstones.
    pub flavour: Flavour,
    /// Whether results come in pages.
    pub paging: Paging,
    /// `rootPath` as configured: one, or several with `|` in between.
    pub root: String,
    /// Where people are and which of them.
    pub users: Search,
    /// Where groups are and which of them.
    pub groups: Search,
    /// Which attribute holds what.
    pub attributes: Attributes,
    /// What people and groups are known by.
    pub identity: Identity,
    /// Which attributes say that an account is not to be used.
    pub disabled_by: Vec<DisabledBy>,
    /// Whether people are members of their primary group.
    pub primary_groups: PrimaryGroups,
    /// Whether groups outside the bases count for the sake of their members.
    pub outside_groups: OutsideGroups,
    /// What to do about parts of the tree that other servers hold.
    pub referrals: Referrals,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// Groups outside the bases that are members of groups inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutsideGroups {
    /// As the existing connector has it: they count for nothing, and so do their members.
    #[default]
    Ignored,
    /// Each is looked up. Their members are members of the groups inside; they themselves are not synced.
    Read,
}

/// What becomes of a reference to another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrals {
    /// It is told on every run, and not followed.
    #[default]
    Report,
    /// That server is asked, with the same login and protection.
    Follow,
}

/// Active Directory names a person's primary group in the person's entry (`primaryGroupID`) and not in the group's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrimaryGroups {
    /// As the existing connector has it: people are not members of it.
    #[default]
    Ignored,
    /// They are.
    Members,
}

/// How the connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// TLS from the first byte.
    Ldaps(Tls),
    /// TLS on the plain port, before anything else is said.
    StartTls(Tls),
}

/// Whom to believe and what to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Which server certificates are accepted.
    pub trust: Trust,
    /// The certificate shown to servers that ask for one.
    pub identity: Option<ClientIdentity>,
}

/// Who reads.
#[derive(Clone, Debug)]
pub enum Bind {
    /// A name (a DN, or what else the server takes) and a password, neither empty: an empty password would turn the
    /// bind into an anonymous one that succeeds (RFC 4513, section 5.1.2).
    Simple {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// As whom the client certificate says: SASL EXTERNAL (RFC 4422, appendix A).
    External,
    /// As whom the Kerberos ticket says: SASL GSSAPI (RFC 4752). The ticket is that of the process's cache or client keytab
    /// (`KRB5CCNAME`, `KRB5_CLIENT_KTNAME`). Only over TLS: sealing by the ticket's key is not built. Needs the build feature
    /// `kerberos`.
    Kerberos,
}

impl Bind {
    /// For messages.
    pub(super) fn who(&self) -> &str {
        match self {
            Self::Simple { username, .. } => username,
            Self::External => "the client certificate",
            Self::Kerberos => "the Kerberos ticket",
        }
    }
}

/// What the organization is to know people and groups by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// `objectGUID` where there is one, otherwise the DN: as the existing connector has it.
    #[default]
    GuidOrDn,
    /// The DN, as the server spells it. Another one after every rename.
    Dn,
    /// An attribute that never changes, such as `entryUUID`. Every entry must have it.
    Attribute(String),
}

/// What kind of server it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Deleted accounts are found under `CN=Deleted Objects`.
    ActiveDirectory,
    /// Any other.
    #[default]
    Generic,
}

/// Whether results come in pages (RFC 2696).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Pages of 5,000, or of what the server allows.
    Pages,
    /// One answer.
    Unpaged,
}

/// Where entries of one kind are and which of them count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// `userPath` or `groupPath`, put before the root; several with `|` in between.
    pub path: String,
    /// The object class.
    pub object_class: String,
    /// A further filter (RFC 4515).
    pub filter: Option<String>,
}

/// Which attribute holds what. Names are compared without regard to case (RFC 4512, section 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// A person's address.
    pub email: String,
    /// How an address is made for people who have none.
    pub made_email: Option<MadeEmail>,
    /// A group's name; `cn` where it is absent.
    pub group_name: String,
    /// A group's members: DNs or user names.
    pub member: String,
    /// When an entry changed last, to read only what changed since the last sync.
    pub revision: Option<String>,
}

/// `prefix + suffix` as an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeEmail {
    /// The attribute with the part before the `@`.
    pub prefix_attribute: String,
    /// The rest, with the `@`.
    pub suffix: String,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For the next byte of an answer.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_secs(120) }
    }
}

impl Config {
    /// The same on another server.
    pub(super) fn on(&self, host: String) -> Self {
        Self { host, fallbacks: Vec::new(), ..self.clone() }
    }

    /// Whether the class of people is one that contacts and computers of Active Directory have as well.
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

    /// Where searches start: one tree for each root.
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

/// What stands between the `|`; one empty part if there is nothing.
fn parts(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split('|').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { vec![""] } else { parts }
}

/// The bases under one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// Where people are.
    pub(super) users: Vec<String>,
    /// Where groups are.
    pub(super) groups: Vec<String>,
    /// The root's domain components, if it has any.
    pub(super) domain: Option<String>,
}

fn bases(root: &str, domain: &Option<String>, search: &Search, setting: &str) -> Result<Vec<String>> {
    parts(&search.path).into_iter().map(|path| base(root, domain, path, setting)).collect()
}

/// The path before the root's domain components. A root without a `dc=` part means that the path is the whole base.
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

/// The root from its first `dc=` on, in lower case.
fn domain_root(root: &str) -> Option<String> {
    let root = root.to_lowercase();
    root.find("dc=").map(|at| root[at..].to_owned())
}

impl Search {
    /// The filter of a complete read.
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

    /// The same without the administrator's own filter: everybody there is.
    pub(super) fn without_filter(&self) -> Self {
        Self { filter: None, ..self.clone() }
    }
}

/// Adds one condition to a filter.
pub(super) fn and(filter: &str, condition: &str) -> String {
    format!("(&{filter}{condition})")
}
