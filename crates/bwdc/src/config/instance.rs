//! One instance, understood: which directory, by which rules, into which organization.

use std::path::Path;

use bwdc_connect::Secret;
use bwdc_connect::bitwarden::Endpoints;
use bwdc_connect::directory::ldap::config::{
    Attributes, Bind, Config as LdapConfig, Flavour, Identity, MadeEmail, OutsideGroups, Paging,
    PrimaryGroups, Referrals, Search, Security, Timeouts, Tls, incomplete,
};
use bwdc_connect::directory::ldap::disabled::DisabledBy;
use bwdc_connect::directory::{self, Scope, file};
use bwdc_connect::tls::{ClientIdentity, Trust};
use bwdc_core::filter::{self, NativeQuery};
use bwdc_core::rules::{
    BadRecords, DisabledUsers, ExistingMembers, ImportSize, MissingPeople, Nesting, Newcomers, Rules,
};
use serde_json::Value;

use super::env::{self, Environment};
use super::secrets::{self, Known, Secrets};
use super::{place, settings};
use crate::error::{Error, Result};
use crate::state::{Data, key};

/// Everything that one run needs to know beforehand.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Where the people are.
    pub(crate) directory: directory::Config,
    /// What is synced; `None` if neither users nor groups are.
    pub(crate) scope: Option<Scope>,
    /// How it is decided.
    pub(crate) rules: Rules,
    /// What to say on every run, such as a password that crosses the network in clear.
    pub(crate) warnings: Vec<String>,
}

/// The kinds of directory, by the number in `directoryType` and by name.
pub(crate) const DIRECTORIES: [(&str, &str); 5] =
    [("0", "ldap"), ("1", "entra"), ("2", "gsuite"), ("3", "okta"), ("4", "onelogin")];
/// The file directory has no number in the existing connector.
pub(crate) const FILE_DIRECTORY: &str = "file";

impl Instance {
    pub(crate) async fn of(
        data: &Data,
        folder: &Path,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Self> {
        let values = Values(data);
        let secret = match secret_of(data) {
            Some(known) => secrets.find(data, known).await?.map(|found| found.secret),
            None => None,
        };
        let (directory, warnings, filters) = directory_of(&values, folder, environment, secret)?;
        Ok(Self { directory, scope: scope(&values)?, rules: rules(&values, filters)?, warnings })
    }
}

/// Whether filters are set filters or in the directory's own language.
enum Filters {
    Native,
    Sets(NativeQuery),
}

fn directory_of(
    values: &Values<'_>,
    folder: &Path,
    environment: &Environment,
    secret: Option<Secret>,
) -> Result<(directory::Config, Vec<String>, Filters)> {
    match directory_name(values.0)? {
        "ldap" => {
            let config = ldap(values, folder, environment, secret)?;
            let warnings = ldap_warnings(&config);
            Ok((directory::Config::Ldap(Box::new(config)), warnings, Filters::Native))
        }
        FILE_DIRECTORY => {
            let path = values
                .text("file.path")?
                .ok_or_else(|| incomplete("file.path", "Set it with `bwdc config file.path FOLDER`."))?;
            let config = file::Config { path: place::resolve(folder, &path) };
            Ok((directory::Config::File(config), Vec::new(), Filters::Sets(NativeQuery::None)))
        }
        other => Err(Error::new(format!("The directory `{other}` cannot be read by this version yet."))
            .hint("Directories that can be read: ldap (0) and file.")),
    }
}

/// The kind of directory that is configured, by name.
pub(crate) fn directory_name(data: &Data) -> Result<&'static str> {
    let unknown = |value: &Value| {
        Error::new(format!("The directory type {value} is unknown."))
            .hint("Set it with `bwdc config directory ldap` or another of: 0-4, ldap, file.")
    };
    match data.value(key::DIRECTORY_TYPE) {
        None => Err(Error::new("No directory is configured.")
            .hint("Choose one with `bwdc config directory ldap` or `bwdc config directory file`.")),
        Some(value) => {
            let text = settings::text(value);
            if text == FILE_DIRECTORY {
                return Ok(FILE_DIRECTORY);
            }
            DIRECTORIES
                .iter()
                .find(|(number, name)| *number == text || *name == text)
                .map(|(_, name)| *name)
                .ok_or_else(|| unknown(value))
        }
    }
}

fn ldap(
    values: &Values<'_>,
    folder: &Path,
    environment: &Environment,
    password: Option<Secret>,
) -> Result<LdapConfig> {
    let host = values
        .text("ldap.hostname")?
        .ok_or_else(|| incomplete("ldap.hostname", "Set it with `bwdc config ldap.hostname NAME`."))?;
    let mut hosts = host
        .split(',')
        .map(|host| host.trim().trim_matches(['[', ']']).to_owned())
        .filter(|host| !host.is_empty());
    let host = hosts.next().unwrap_or_default();
    let fallbacks = hosts.collect();
    let port = values
        .port("ldap.port")?
        .ok_or_else(|| incomplete("ldap.port", "Set it with `bwdc config ldap.port 389` (636 for LDAPS)."))?;
    let timeouts = Timeouts::default();
    let silence = environment.seconds(env::SILENCE_SECONDS)?.unwrap_or(timeouts.silence);
    let security = security(values, folder)?;
    Ok(LdapConfig {
        bind: bind(values, &security, password)?,
        host,
        fallbacks,
        port,
        security,
        flavour: if values.flag("ldap.ad")? { Flavour::ActiveDirectory } else { Flavour::Generic },
        paging: if values.flag_or("ldap.pagedSearch", true)? { Paging::Pages } else { Paging::Unpaged },
        root: values.text("ldap.rootPath")?.unwrap_or_default(),
        users: search(values, ["sync.userPath", "sync.userObjectClass", "sync.userFilter"], "person")?,
        groups: search(values, ["sync.groupPath", "sync.groupObjectClass", "sync.groupFilter"], "group")?,
        attributes: attributes(values)?,
        identity: identity(values)?,
        disabled_by: disabled_by(values)?,
        primary_groups: if values.flag("ldap.primaryGroups")? {
            PrimaryGroups::Members
        } else {
            PrimaryGroups::Ignored
        },
        outside_groups: if values.flag("ldap.outsideGroups")? {
            OutsideGroups::Read
        } else {
            OutsideGroups::Ignored
        },
        referrals: if values.is_choice("ldap.referrals", "follow")? {
            Referrals::Follow
        } else {
            Referrals::Report
        },
        timeouts: Timeouts { silence, connect: timeouts.connect.min(silence) },
    })
}

fn search(values: &Values<'_>, [path, class, filter]: [&str; 3], default_class: &str) -> Result<Search> {
    Ok(Search {
        path: values.text(path)?.unwrap_or_default(),
        object_class: values.text(class)?.unwrap_or_else(|| default_class.to_owned()),
        filter: values.text(filter)?,
    })
}

fn attributes(values: &Values<'_>) -> Result<Attributes> {
    let named = |name: &str, default: &str| -> Result<String> {
        Ok(values.text(name)?.map_or_else(|| default.to_owned(), |text| text.trim().to_owned()))
    };
    let made_email = match (
        values.flag("sync.useEmailPrefixSuffix")?,
        values.text("sync.emailPrefixAttribute")?,
        values.text("sync.emailSuffix")?,
    ) {
        (true, Some(prefix_attribute), Some(suffix)) => Some(MadeEmail { prefix_attribute, suffix }),
        _ => None,
    };
    Ok(Attributes {
        email: named("sync.userEmailAttribute", "mail")?,
        made_email,
        group_name: named("sync.groupNameAttribute", "name")?,
        member: named("sync.memberAttribute", "member")?,
        revision: values.text("sync.revisionDateAttribute")?,
    })
}

fn identity(values: &Values<'_>) -> Result<Identity> {
    Ok(match values.text("ldap.externalIdAttribute")? {
        None => Identity::GuidOrDn,
        Some(name) if name.eq_ignore_ascii_case("dn") => Identity::Dn,
        Some(name) => Identity::Attribute(name),
    })
}

fn disabled_by(values: &Values<'_>) -> Result<Vec<DisabledBy>> {
    let Some(names) = values.text("ldap.disabledBy")? else {
        return Ok(vec![DisabledBy::UserAccountControl]);
    };
    let mark = |name: &str| {
        DisabledBy::named(name.trim())
            .ok_or_else(|| wrong_type("ldap.disabledBy", "a list of known attributes"))
    };
    names.split(',').map(mark).collect()
}

fn security(values: &Values<'_>, folder: &Path) -> Result<Security> {
    let path = |name: &str| -> Result<_> { Ok(values.text(name)?.map(|path| place::resolve(folder, &path))) };
    let trust = |name: &str| -> Result<Trust> {
        if values.flag("ldap.sslAllowUnauthorized")? {
            return Ok(Trust::Anybody);
        }
        Ok(path(name)?.map_or(Trust::System, Trust::OnlyFile))
    };
    let identity = || match (path("ldap.sslCertPath")?, path("ldap.sslKeyPath")?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(ClientIdentity { certificate, key })),
        _ => Err(Error::new("Of ldap.sslCertPath and ldap.sslKeyPath only one is set.")
            .hint("A client certificate needs both; set or clear the other.")),
    };
    match (values.flag("ldap.ssl")?, values.flag("ldap.startTls")?) {
        (false, false) => Ok(Security::Plain),
        (false, true) => {
            Err(Error::new("The settings ldap.ssl (false) and ldap.startTls (true) contradict each other.")
                .hint("Set ldap.ssl to true for StartTLS, or ldap.startTls to false for a plain connection."))
        }
        (true, true) => {
            Ok(Security::StartTls(Tls { trust: trust("ldap.tlsCaPath")?, identity: identity()? }))
        }
        (true, false) => Ok(Security::Ldaps(Tls { trust: trust("ldap.sslCaPath")?, identity: identity()? })),
    }
}

/// How we log in to an LDAP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authentication {
    Password,
    /// SASL EXTERNAL: the client certificate says who we are.
    Certificate,
    /// SASL GSSAPI: the ticket says so.
    Kerberos,
}

/// `ldap.currentUser` alone means Kerberos; the existing connector ignores it, so that many a configuration has it beside a user
/// name with which it logs in.
fn authentication(values: &Values<'_>) -> Result<Authentication> {
    let is = |choice| values.is_choice("ldap.authentication", choice);
    let as_current_user = || -> Result<bool> {
        let is_chosen = values.text("ldap.authentication")?.is_some();
        Ok(!is_chosen && values.flag("ldap.currentUser")? && values.text("ldap.username")?.is_none())
    };
    Ok(if is("certificate")? {
        Authentication::Certificate
    } else if is("kerberos")? || as_current_user()? {
        Authentication::Kerberos
    } else {
        Authentication::Password
    })
}

fn bind(values: &Values<'_>, security: &Security, password: Option<Secret>) -> Result<Bind> {
    match authentication(values)? {
        Authentication::Certificate => match security {
            Security::Ldaps(Tls { identity: Some(_), .. })
            | Security::StartTls(Tls { identity: Some(_), .. }) => Ok(Bind::External),
            _ => Err(Error::new("ldap.authentication is `certificate`, but no certificate would be shown.")
                .hint("Set ldap.ssl to true, and ldap.sslCertPath and ldap.sslKeyPath.")),
        },
        Authentication::Kerberos if cfg!(feature = "kerberos") => match security {
            Security::Plain => Err(Error::new("A login by Kerberos needs a protected connection.")
                .hint("Set ldap.ssl to true (LDAPS, usually port 636), or ldap.ssl and ldap.startTls (StartTLS).")),
            Security::Ldaps(_) | Security::StartTls(_) => Ok(Bind::Kerberos),
        },
        Authentication::Kerberos => Err(Error::new("This build of bwdc does not log in by Kerberos.").hint(
            "Build it with `cargo build --release --features kerberos` (docs: LDAP directories), or set ldap.username and \
             ldap.password.",
        )),
        Authentication::Password => simple(values, password),
    }
}

fn simple(values: &Values<'_>, password: Option<Secret>) -> Result<Bind> {
    match (values.text("ldap.username")?, password) {
        (Some(username), Some(password)) => Ok(Bind::Simple { username, password }),
        _ => Err(Error::new("Username/password are not configured.")
            .hint("Set them with `bwdc config ldap.username NAME` and `bwdc config ldap.password`.")),
    }
}

/// The secret with which the directory is read, if it needs one.
pub(crate) fn secret_of(data: &Data) -> Option<&'static Known> {
    let has_password =
        || !matches!(authentication(&Values(data)), Ok(way) if way != Authentication::Password);
    match directory_name(data).ok()? {
        "ldap" => has_password().then_some(&secrets::LDAP_PASSWORD),
        "entra" => Some(&secrets::ENTRA_KEY),
        "gsuite" => Some(&secrets::GSUITE_KEY),
        "okta" => Some(&secrets::OKTA_TOKEN),
        "onelogin" => Some(&secrets::ONELOGIN_SECRET),
        _ => None,
    }
}

fn ldap_warnings(config: &LdapConfig) -> Vec<String> {
    let is_local = |host: &String| matches!(host.as_str(), "localhost" | "::1") || host.starts_with("127.");
    let is_local = is_local(&config.host) && config.fallbacks.iter().all(is_local);
    match &config.security {
        Security::Plain if !is_local => vec![format!(
            "The password crosses the network to {} unprotected: set ldap.ssl, and ldap.startTls for StartTLS.",
            config.host
        )],
        Security::Ldaps(tls) | Security::StartTls(tls) if tls.trust == Trust::Anybody => vec![format!(
            "Any certificate is accepted from {}: whoever sits in between can read the password. Name a CA file and \
             set ldap.sslAllowUnauthorized to false.",
            config.host
        )],
        _ => Vec::new(),
    }
}

fn scope(values: &Values<'_>) -> Result<Option<Scope>> {
    Ok(match (values.flag("sync.users")?, values.flag("sync.groups")?) {
        (true, true) => Some(Scope::UsersAndGroups),
        (true, false) => Some(Scope::Users),
        (false, true) => Some(Scope::Groups),
        (false, false) => None,
    })
}

fn rules(values: &Values<'_>, filters: Filters) -> Result<Rules> {
    let set_filter = |name: &str| -> Result<Option<filter::SetFilter>> {
        let Filters::Sets(native) = filters else { return Ok(None) };
        let text = values.text(name)?.unwrap_or_default();
        let parsed = filter::parse(&text, native).map_err(|error| {
            Error::new(format!("Understanding {name}: {error}.")).hint("Nothing was read.")
        })?;
        Ok(parsed.set)
    };
    let defaults = Rules::default();
    Ok(Rules {
        user_filter: set_filter("sync.userFilter")?,
        group_filter: set_filter("sync.groupFilter")?,
        disabled: if values.flag("sync.removeDisabled")? { DisabledUsers::Remove } else { defaults.disabled },
        missing: missing(values)?,
        existing: if values.flag("sync.overwriteExisting")? {
            ExistingMembers::Overwrite
        } else {
            defaults.existing
        },
        size: if values.flag("sync.largeImport")? { ImportSize::Batches } else { defaults.size },
        newcomers: if values.flag("sync.inviteUsersAfterProvisioning")? {
            Newcomers::Invite
        } else {
            defaults.newcomers
        },
        bad_records: if values.is_choice("sync.onBadRecord", "skip")? {
            BadRecords::Skip
        } else {
            defaults.bad_records
        },
        nesting: if values.is_choice("sync.nestedGroups", "all")? {
            Nesting::AllGroups
        } else {
            defaults.nesting
        },
    })
}

/// Who is absent from a read of changes has not left, so the two exclude each other. Only people who are synced can leave.
fn missing(values: &Values<'_>) -> Result<MissingPeople> {
    if !values.flag("sync.removeMissing")? || !values.flag("sync.users")? {
        return Ok(MissingPeople::Keep);
    }
    if directory_name(values.0)? == "ldap" && values.text("sync.revisionDateAttribute")?.is_some() {
        return Err(Error::new(
            "The settings sync.removeMissing and sync.revisionDateAttribute exclude each other: who is absent from a read of \
             changes has not left.",
        )
        .hint("Clear one: bwdc config unset sync.revisionDateAttribute, or bwdc config sync.removeMissing false."));
    }
    Ok(MissingPeople::Remove)
}

/// The organization's servers.
pub(crate) fn endpoints(data: &Data) -> Result<Endpoints> {
    let urls = data.section(key::URLS);
    let url = |name: &str| urls.value(name).and_then(Value::as_str).filter(|url| !url.trim().is_empty());
    Ok(Endpoints::resolve(url("base"), url("api"), url("identity"))?)
}

/// A base URL as it is stored: with a scheme, without trailing slashes.
pub(crate) fn server_url(text: &str) -> Result<String> {
    let text = text.trim().trim_end_matches('/');
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    Endpoints::resolve(Some(&url), None, None)?;
    Ok(url)
}

/// Settings by name, with their types checked.
struct Values<'a>(&'a Data);

impl Values<'_> {
    fn value(&self, name: &str) -> Result<Option<&Value>> {
        Ok(settings::find(name)?.stored(self.0))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(_) => Err(wrong_type(name, "a text")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.flag_or(name, false)
    }

    fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.value(name)? {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    fn port(&self, name: &str) -> Result<Option<u16>> {
        let number = match self.value(name)? {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        port.map(Some).ok_or_else(|| wrong_type(name, "a number from 1 to 65535"))
    }

    fn is_choice(&self, name: &str, word: &str) -> Result<bool> {
        let Some(text) = self.text(name)? else { return Ok(false) };
        let known = settings::find(name)?.parse(&text, self.0)?;
        Ok(known == word)
    }
}

fn wrong_type(name: &str, expected: &str) -> Error {
    Error::new(format!("The setting {name} in data.json is not {expected}."))
        .hint(format!("Correct it with `bwdc config {name} VALUE`."))
}
