//! Active Directory and other LDAP servers.

pub mod settings;

use std::path::Path;

use bwdc_connect::directory::ldap::config::{
    Attributes, Bind, Config, Flavour, Identity, MadeEmail, OutsideGroups, Paging, PrimaryGroups, Referrals,
    SearchSettings, Security, Timeouts, Tls,
};
use bwdc_connect::directory::ldap::disabled::DisabledBy;
use bwdc_connect::directory::{self, incomplete};
use bwdc_connect::tls::{ClientIdentity, Trust};
use bwdc_core::Secret;

use self::settings::{
    AD, AUTHENTICATION, CURRENT_USER, DISABLED_BY, DOMAIN, EXTERNAL_ID_ATTRIBUTE, HOSTNAME, OUTSIDE_GROUPS,
    PAGED_SEARCH, PASSWORD, PORT, PRIMARY_GROUPS, REFERRALS, ROOT_PATH, SECRET, SSL, SSL_ALLOW_UNAUTHORIZED,
    SSL_CA_PATH, SSL_CERT_PATH, SSL_KEY_PATH, START_TLS, TLS_CA_PATH, USERNAME,
};
use crate::env::{self, Environment};
use crate::kinds::{AskCondition, BuildInput, Built, DirectoryKind, InitQuestion};
use crate::place;
use crate::setting::Setting;
use crate::settings::sync;
use crate::values::{StoredValues, wrong_type};
use bwdc_core::error::{Error, Result};

/// Active Directory and other LDAP servers.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "ldap",
    number: Some(0),
    settings: settings::SETTINGS,
    identity: &[HOSTNAME, DOMAIN, USERNAME],
    files: &[SSL_CERT_PATH, SSL_KEY_PATH],
    secret: Some(&SECRET),
    questions: &[
        InitQuestion::new(&HOSTNAME, AskCondition::Always),
        InitQuestion::proposing(&SSL, |_, _| Some("true".to_owned())),
        InitQuestion::new(&START_TLS, AskCondition::IfOn(&SSL)),
        InitQuestion::proposing(&PORT, |data, _| {
            let is_ldaps = SSL.is_on(data) && !START_TLS.is_on(data);
            Some(if is_ldaps { "636" } else { "389" }.to_owned())
        }),
        InitQuestion::new(&USERNAME, AskCondition::WithSecret),
        InitQuestion::new(&PASSWORD, AskCondition::WithSecret),
    ],
    check_filter: |_, text| directory::ldap::check_filter("it", text).map_err(|error| error.to_string()),
    takes_secret: |values| !matches!(authentication(values), Ok(way) if way != Authentication::Password),
    has_offer: |_| false,
    build,
};

/// Filters are the directory's own.
fn build(given: BuildInput<'_>) -> Result<Built> {
    let config = ldap(&given.values, given.folder, given.environment, given.secret)?;
    let warnings = warnings(&config);
    let directory = directory::Config::Ldap(Box::new(config));
    Ok(Built { directory, user_filter: None, group_filter: None, warnings })
}

fn ldap(
    values: &StoredValues<'_>,
    folder: &Path,
    environment: &Environment,
    password: Option<Secret>,
) -> Result<Config> {
    let host = values
        .text(&HOSTNAME)?
        .ok_or_else(|| incomplete(HOSTNAME.name, "Set it with `bwdc config ldap.hostname NAME`."))?;
    let mut hosts = host
        .split(',')
        .map(|host| host.trim().trim_matches(['[', ']']).to_owned())
        .filter(|host| !host.is_empty());
    let host = hosts.next().unwrap_or_default();
    let fallbacks = hosts.collect();
    let port = values
        .port(&PORT)?
        .ok_or_else(|| incomplete(PORT.name, "Set it with `bwdc config ldap.port 389` (636 for LDAPS)."))?;
    let timeouts = Timeouts::default();
    let silence = environment.seconds(env::SILENCE_SECONDS)?.unwrap_or(timeouts.silence);
    let security = security(values, folder)?;
    Ok(Config {
        bind: bind(values, &security, password)?,
        host,
        fallbacks,
        port,
        security,
        flavour: if values.flag(&AD)? { Flavour::ActiveDirectory } else { Flavour::Generic },
        paging: if values.flag_or(&PAGED_SEARCH, true)? { Paging::Pages } else { Paging::Unpaged },
        root: values.text(&ROOT_PATH)?.unwrap_or_default(),
        users: search(values, [&sync::USER_PATH, &sync::USER_OBJECT_CLASS, &sync::USER_FILTER], "person")?,
        groups: search(values, [&sync::GROUP_PATH, &sync::GROUP_OBJECT_CLASS, &sync::GROUP_FILTER], "group")?,
        attributes: attributes(values)?,
        identity: identity(values)?,
        disabled_by: disabled_by(values)?,
        primary_groups: if values.flag(&PRIMARY_GROUPS)? {
            PrimaryGroups::Members
        } else {
            PrimaryGroups::Ignored
        },
        outside_groups: if values.flag(&OUTSIDE_GROUPS)? {
            OutsideGroups::Read
        } else {
            OutsideGroups::Ignored
        },
        referrals: if values.is_choice(&REFERRALS, "follow")? {
            Referrals::Follow
        } else {
            Referrals::Report
        },
        timeouts: Timeouts { silence, connect: timeouts.connect.min(silence) },
    })
}

fn search(
    values: &StoredValues<'_>,
    [path, class, filter]: [&Setting; 3],
    default_class: &str,
) -> Result<SearchSettings> {
    Ok(SearchSettings {
        path: values.text(path)?.unwrap_or_default(),
        object_class: values.text(class)?.unwrap_or_else(|| default_class.to_owned()),
        filter: values.text(filter)?,
    })
}

fn attributes(values: &StoredValues<'_>) -> Result<Attributes> {
    let named = |setting: &Setting, default: &str| -> Result<String> {
        Ok(values.text(setting)?.map_or_else(|| default.to_owned(), |text| text.trim().to_owned()))
    };
    let made_email = match (
        values.flag(&sync::USE_EMAIL_PREFIX_SUFFIX)?,
        values.text(&sync::EMAIL_PREFIX_ATTRIBUTE)?,
        values.text(&sync::EMAIL_SUFFIX)?,
    ) {
        // Without a suffix the prefix alone is the address.
        (true, Some(prefix_attribute), suffix) => {
            Some(MadeEmail { prefix_attribute, suffix: suffix.unwrap_or_default() })
        }
        _ => None,
    };
    Ok(Attributes {
        email: named(&sync::USER_EMAIL_ATTRIBUTE, "mail")?,
        made_email,
        group_name: named(&sync::GROUP_NAME_ATTRIBUTE, "name")?,
        member: named(&sync::MEMBER_ATTRIBUTE, "member")?,
        revision: values.text(&sync::REVISION_DATE_ATTRIBUTE)?,
    })
}

fn identity(values: &StoredValues<'_>) -> Result<Identity> {
    Ok(match values.text(&EXTERNAL_ID_ATTRIBUTE)? {
        None => Identity::GuidOrDn,
        Some(name) if name.eq_ignore_ascii_case("dn") => Identity::Dn,
        Some(name) => Identity::Attribute(name),
    })
}

fn disabled_by(values: &StoredValues<'_>) -> Result<Vec<DisabledBy>> {
    let Some(names) = values.text(&DISABLED_BY)? else {
        return Ok(vec![DisabledBy::UserAccountControl]);
    };
    let mark = |name: &str| {
        DisabledBy::named(name.trim()).ok_or_else(|| wrong_type(&DISABLED_BY, "a list of known attributes"))
    };
    names.split(',').map(mark).collect()
}

fn security(values: &StoredValues<'_>, folder: &Path) -> Result<Security> {
    let path = |setting: &Setting| -> Result<_> {
        Ok(values.text(setting)?.map(|path| place::resolve(folder, &path)))
    };
    let trust = |setting: &Setting| -> Result<Trust> {
        if values.flag(&SSL_ALLOW_UNAUTHORIZED)? {
            return Ok(Trust::Anybody);
        }
        Ok(path(setting)?.map_or(Trust::System, Trust::OnlyFile))
    };
    let identity = || match (path(&SSL_CERT_PATH)?, path(&SSL_KEY_PATH)?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(ClientIdentity { certificate, key })),
        _ => Err(Error::new("Only one of ldap.sslCertPath and ldap.sslKeyPath is set.")
            .hint("A client certificate needs both; set or clear the other.")),
    };
    match (values.flag(&SSL)?, values.flag(&START_TLS)?) {
        (false, false) => Ok(Security::Plain),
        (false, true) => {
            Err(Error::new("The settings ldap.ssl (false) and ldap.startTls (true) contradict each other.")
                .hint("Set ldap.ssl to true for StartTLS, or ldap.startTls to false for a plain connection."))
        }
        (true, true) => Ok(Security::StartTls(Tls { trust: trust(&TLS_CA_PATH)?, identity: identity()? })),
        (true, false) => Ok(Security::Ldaps(Tls { trust: trust(&SSL_CA_PATH)?, identity: identity()? })),
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
fn authentication(values: &StoredValues<'_>) -> Result<Authentication> {
    let is = |choice| values.is_choice(&AUTHENTICATION, choice);
    let as_current_user = || -> Result<bool> {
        let is_chosen = values.text(&AUTHENTICATION)?.is_some();
        Ok(!is_chosen && values.flag(&CURRENT_USER)? && values.text(&USERNAME)?.is_none())
    };
    Ok(if is("certificate")? {
        Authentication::Certificate
    } else if is("kerberos")? || as_current_user()? {
        Authentication::Kerberos
    } else {
        Authentication::Password
    })
}

fn bind(values: &StoredValues<'_>, security: &Security, password: Option<Secret>) -> Result<Bind> {
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
            "Build it with `cargo build --profile dist --features kerberos` (docs: LDAP directories), or set ldap.username and \
             ldap.password.",
        )),
        Authentication::Password => simple(values, password),
    }
}

fn simple(values: &StoredValues<'_>, password: Option<Secret>) -> Result<Bind> {
    match (values.text(&USERNAME)?, password) {
        (Some(username), Some(password)) => Ok(Bind::Simple { username, password }),
        _ => Err(Error::new("Username/password are not configured.")
            .hint("Set them with `bwdc config ldap.username NAME` and `bwdc config ldap.password`.")),
    }
}

fn warnings(config: &Config) -> Vec<String> {
    let is_local = |host: &String| matches!(host.as_str(), "localhost" | "::1") || host.starts_with("127.");
    let is_local = is_local(&config.host) && config.fallbacks.iter().all(is_local);
    match &config.security {
        Security::Plain if !is_local => vec![format!(
            "The password crosses the network to {} unencrypted: set ldap.ssl, and ldap.startTls for StartTLS.",
            config.host
        )],
        Security::Ldaps(tls) | Security::StartTls(tls) if tls.trust == Trust::Anybody => vec![format!(
            "Any certificate is accepted from {}, so an attacker on the network can read the password. Set a CA file, and ldap.sslAllowUnauthorized to false.",
            config.host
        )],
        _ => Vec::new(),
    }
}
