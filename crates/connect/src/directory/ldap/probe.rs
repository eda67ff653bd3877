//! Checks of `doctor`: every step of a read separately, up to the first that fails.

use super::Ldap;
use super::client::{Connection, tls_config};
use super::config::{Config, Identity, SearchSettings, Security, and};
use super::request::SearchRequest;
use super::wire::Depth;
use super::{discovery, nothing};
use crate::directory::ReadScope;
use crate::probe::{Check, ProbeProtection, ProbeTarget};
use crate::{Error, ErrorKind, Result};

pub(super) async fn probe(ldap: &Ldap, scope: ReadScope) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut reached = None;
    let servers = match discovery::servers(&ldap.config).await {
        Ok(servers) => servers,
        Err(error) => return vec![Check::bad("LDAP server: DNS", error)],
    };
    for config in servers {
        let of_server = match place(&config) {
            Ok(place) => place.checks().await,
            Err(error) => vec![Check::bad("LDAP server: certificate", error)],
        };
        if reached.is_none() && !of_server.iter().any(Check::is_bad) {
            reached = Some(config);
        }
        checks.extend(of_server);
    }
    let Some(config) = reached else { return checks };
    // A server that is down matters less if another one answers.
    let mut checks: Vec<Check> = checks.into_iter().map(Check::doubtful_if_bad).collect();
    let mut connection = match Connection::open(&config).await {
        Ok(connection) => {
            let who = config.bind.who();
            checks.push(Check::good("LDAP login", format!("the server accepts {who}")));
            connection
        }
        Err(error) => {
            checks.push(Check::bad("LDAP login", error));
            return checks;
        }
    };
    for kinds in kinds(ldap, scope) {
        checks.extend(kinds.checks(&mut connection).await);
    }
    connection.close().await;
    checks
}

/// Searches to try under each base. People are read for groups, too.
fn kinds(ldap: &Ldap, scope: ReadScope) -> Vec<Kinds<'_>> {
    let config = &ldap.config;
    let people = ldap.user_bases().into_iter().map(|base| Kinds {
        name: "LDAP people",
        base,
        search: &config.users,
        class_setting: "sync.userObjectClass",
        filter_setting: "sync.userFilter",
        path_setting: "sync.userPath",
        attributes: user_attributes(config),
        when_none: WhenNone::Mistake,
    });
    let groups = ldap.group_bases().into_iter().filter(|_| scope.has_groups()).map(|base| Kinds {
        name: "LDAP groups",
        base,
        search: &config.groups,
        class_setting: "sync.groupObjectClass",
        filter_setting: "sync.groupFilter",
        path_setting: "sync.groupPath",
        attributes: group_attributes(config),
        when_none: WhenNone::Doubtful,
    });
    people.chain(groups).collect()
}

fn place(config: &Config) -> Result<ProbeTarget<'_>> {
    let protection = match &config.security {
        Security::Plain => ProbeProtection::None,
        Security::Ldaps(tls) => ProbeProtection::Tls(tls_config(tls)?),
        Security::StartTls(tls) => ProbeProtection::LdapStartTls(tls_config(tls)?),
    };
    Ok(ProbeTarget {
        name: "LDAP server",
        host: config.host.trim_matches(['[', ']']),
        port: config.port,
        protection,
        settings: "ldap.hostname, ldap.port, ldap.ssl and ldap.startTls",
        name_the_ca: match config.security {
            Security::StartTls(_) => "name the authority's PEM file in ldap.tlsCaPath",
            Security::Plain | Security::Ldaps(_) => "name the authority's PEM file in ldap.sslCaPath",
        },
    })
}

/// Attribute that should exist, and the setting that names it. Any of the names will do.
struct Expected<'a> {
    names: Vec<&'a str>,
    setting: &'static str,
    /// Consequence of its absence.
    without: &'static str,
}

fn user_attributes(config: &Config) -> Vec<Expected<'_>> {
    let attributes = &config.attributes;
    let mut names = vec![attributes.email.as_str()];
    names.extend(attributes.made_email.as_ref().map(|made| made.prefix_attribute.as_str()));
    let email = Expected {
        names,
        setting: "sync.userEmailAttribute",
        without: "people without an address are left out, so nobody would be imported",
    };
    [email].into_iter().chain(identity(config)).collect()
}

fn identity(config: &Config) -> Option<Expected<'_>> {
    match &config.identity {
        Identity::Attribute(name) => Some(Expected {
            names: vec![name],
            setting: "ldap.externalIdAttribute",
            without: "an entry without it stops the read",
        }),
        Identity::GuidOrDn | Identity::Dn => None,
    }
}

fn group_attributes(config: &Config) -> Vec<Expected<'_>> {
    let attributes = &config.attributes;
    let own = [
        Expected {
            names: vec![&attributes.group_name, "cn"],
            setting: "sync.groupNameAttribute",
            without: "groups without a name are left out",
        },
        Expected {
            names: vec![&attributes.member],
            setting: "sync.memberAttribute",
            without: "all groups would be empty",
        },
    ];
    own.into_iter().chain(identity(config)).collect()
}

/// Entries of one kind.
struct Kinds<'a> {
    name: &'static str,
    base: &'a str,
    search: &'a SearchSettings,
    class_setting: &'static str,
    filter_setting: &'static str,
    path_setting: &'static str,
    attributes: Vec<Expected<'a>>,
    when_none: WhenNone,
}

/// Meaning of a search without results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenNone {
    Mistake,
    Doubtful,
}

impl Kinds<'_> {
    async fn checks(&self, connection: &mut Connection<'_>) -> Vec<Check> {
        self.looked_at(connection).await.unwrap_or_else(|error| vec![Check::bad(self.name, error)])
    }

    async fn looked_at(&self, connection: &mut Connection<'_>) -> Result<Vec<Check>> {
        let Self { name, base, search, .. } = self;
        if !self.exists(connection, Depth::Base, "(objectClass=*)").await? {
            let error = self.nothing_found(format!("`{base}` does not exist or may not be seen"));
            return Err(error
                .hint(format!("Check ldap.rootPath, {} and the account's permissions.", self.path_setting)));
        }
        let of_class = search.without_filter().filter();
        if !self.exists(connection, Depth::Subtree, &of_class).await? {
            let next_step = format!("Check {} and {}.", self.class_setting, self.path_setting);
            return Ok(vec![self.none(format!("no entry matches {of_class}"), next_step)]);
        }
        let filter = search.filter();
        if !self.exists(connection, Depth::Subtree, &filter).await? {
            let found =
                format!("there are entries of the class {}, but none matches {filter}", search.object_class);
            return Ok(vec![self.none(found, format!("Check {}.", self.filter_setting))]);
        }
        let mut checks = vec![Check::good(*name, format!("there are entries under `{base}` with {filter}"))];
        for expected in &self.attributes {
            checks.push(self.attribute(connection, &filter, expected).await?);
        }
        Ok(checks)
    }

    async fn attribute(
        &self,
        connection: &mut Connection<'_>,
        filter: &str,
        expected: &Expected<'_>,
    ) -> Result<Check> {
        let what = format!("{}: attribute {}", self.name, expected.names[0]);
        let any: String = expected.names.iter().map(|name| format!("({name}=*)")).collect();
        if self.exists(connection, Depth::Subtree, &and(filter, &format!("(|{any})"))).await? {
            return Ok(Check::good(what, "has values"));
        }
        let error = self.nothing_found(format!("no entry has a value of {}", expected.names.join(" or ")));
        Ok(Check::bad(what, error.hint(format!("Check {}: {}.", expected.setting, expected.without))))
    }

    /// A directory may have no groups yet; one without people is a mistake.
    fn none(&self, found: String, next_step: String) -> Check {
        match self.when_none {
            WhenNone::Mistake => Check::bad(self.name, self.nothing_found(found).hint(next_step)),
            WhenNone::Doubtful => {
                Check::doubtful(self.name, format!("under `{}` {found}", self.base), next_step)
            }
        }
    }

    fn nothing_found(&self, reason: String) -> Error {
        Error::new(ErrorKind::Configuration, format!("Looking under `{}`", self.base), reason)
    }

    async fn exists(&self, connection: &mut Connection<'_>, scope: Depth, filter: &str) -> Result<bool> {
        let request = SearchRequest {
            what: "what is there",
            base: self.base.to_owned(),
            scope,
            filter: filter.to_owned(),
            attributes: nothing(),
            controls: Vec::new(),
        };
        Ok(connection.exists(&request).await?.0)
    }
}
