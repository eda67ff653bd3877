//! Every setting once: its name on the command line, where it stands in `data.json`, its type and its meaning.
//! `bwdc config`, the reader of the configuration and the reference page use this table.

use std::time::Duration;

use bwdc_connect::directory::entra::{self, Authority};
use bwdc_connect::directory::ldap;
use bwdc_connect::directory::ldap::disabled::DisabledBy;
use bwdc_core::did_you_mean;
use bwdc_core::filter::{self, NativeQuery};
use serde_json::Value;

use super::instance::{self, DIRECTORIES, FILE_DIRECTORY};
use super::presets::{self, Preset};
use super::secrets;
use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, key};

/// Values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text on one line; empty removes it, here and in all that follow but for secrets.
    Text,
    /// Text without blanks.
    Word,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1 to 65535.
    Port,
    /// Minutes between syncs of a daemon; from 5 to a year.
    Minutes,
    /// A length of time: seconds, minutes or hours.
    Length,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words, with commas in between.
    Words(&'static [&'static str]),
    /// A group of settings, by name.
    Preset(&'static [&'static str]),
    /// A base URL.
    Url,
    /// The same, or a name of Bitwarden's cloud.
    Server,
    /// A kind of directory, by name or number.
    Directory,
    /// A host's name or address, without scheme and port.
    Host,
    /// One or more of these, with commas in between.
    Hosts,
    /// Distinguished names (RFC 4514), or the parts before the root, with `|` in between.
    Dns,
    /// The name of an attribute or an object class, or its OID (RFC 4512).
    Attribute,
    /// A filter, in the language of the directory.
    Filter(Filtered),
    /// The end of an address, with the @.
    EmailSuffix,
    /// An address.
    Email,
    /// A file or folder.
    Path,
    /// A command line.
    Command,
}

/// Entries that a filter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// People.
    Users,
    /// Groups.
    Groups,
}

/// Place of a setting in `data.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Key at the top.
    Top(&'static str),
    /// Section and key.
    In(&'static str, &'static str),
}

use Place::{In, Top};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name, as typed after `bwdc config`.
    pub name: &'static str,
    /// Place in `data.json`.
    pub place: Place,
    /// Values that it takes.
    pub kind: Type,
    /// Value that applies when it is not set, in words.
    pub default: &'static str,
    /// Meaning, in a sentence.
    pub meaning: &'static str,
}

const fn setting(
    name: &'static str,
    place: Place,
    kind: Type,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, place, kind, default, meaning }
}

const DISABLED_BY: &[&str] = &[
    DisabledBy::UserAccountControl.attribute(),
    DisabledBy::AccountExpires.attribute(),
    DisabledBy::NsAccountLock.attribute(),
    DisabledBy::PwdAccountLockedTime.attribute(),
    DisabledBy::LoginDisabled.attribute(),
    DisabledBy::ShadowExpire.attribute(),
];

const LDAP: &str = "directoryLdap";
const ENTRA: &str = "directoryEntra";
const GSUITE: &str = "directoryGsuite";
const OKTA: &str = "directoryOkta";
const ONELOGIN: &str = "directoryOnelogin";
const FILES: &str = "directoryFile";
const SYNC: &str = key::SYNC;
const URLS: &str = key::URLS;

/// All settings.
#[rustfmt::skip]
pub const ALL: &[Setting] = &[
    setting("server", In(URLS, "base"), Type::Server, "https://bitwarden.com", "The server's base URL; `bitwarden.com` and `https://vault.bitwarden.eu` mean the clouds. Clears the other server settings."),
    setting("server.allowPlainHttp", In("server", "allowPlainHttp"), Type::Flag, "false", "Allow plain http to a server on another machine. The API key and everybody's names then cross the network unencrypted."),
    setting("directory", Top(key::DIRECTORY_TYPE), Type::Directory, "", "Type of the directory."),
    setting("server.api", In(URLS, "api"), Type::Url, "", "Base URL of the API, if it is not the one derived from `server`."),
    setting("server.identity", In(URLS, "identity"), Type::Url, "", "Base URL of the identity server, if it is not the one derived from `server`."),
    setting("server.webVault", In(URLS, "webVault"), Type::Url, "", "The web vault's base URL: kept for the existing connector, not used."),
    setting("file.path", In(FILES, "path"), Type::Path, "", "A folder with users.csv and groups.csv, or one .json or .csv file; relative to data.json's folder."),
    setting("ldap.hostname", In(LDAP, "hostname"), Type::Hosts, "", "Host name or address of the LDAP server. Several servers of one tree, separated by commas, are tried in this order. _ldap._tcp.DOMAIN looks them up in the DNS."),
    setting("ldap.port", In(LDAP, "port"), Type::Port, "", "Port of the LDAP server: usually 389 for plain LDAP and StartTLS, 636 for LDAPS."),
    setting("ldap.ssl", In(LDAP, "ssl"), Type::Flag, "false", "Encrypt the connection: LDAPS, or StartTLS with ldap.startTls."),
    setting("ldap.startTls", In(LDAP, "startTls"), Type::Flag, "false", "Use StartTLS on the plain port; needs ldap.ssl."),
    setting("ldap.sslAllowUnauthorized", In(LDAP, "sslAllowUnauthorized"), Type::Flag, "false", "Accept any server certificate. Anybody between this machine and the server can then read and change everything."),
    setting("ldap.sslCaPath", In(LDAP, "sslCaPath"), Type::Path, "", "LDAPS: PEM file with the certificate authorities to trust instead of the system's."),
    setting("ldap.sslCertPath", In(LDAP, "sslCertPath"), Type::Path, "", "PEM file of the client certificate."),
    setting("ldap.sslKeyPath", In(LDAP, "sslKeyPath"), Type::Path, "", "PEM file of the client certificate's key."),
    setting("ldap.tlsCaPath", In(LDAP, "tlsCaPath"), Type::Path, "", "StartTLS: PEM file with the certificate authorities to trust instead of the system's."),
    setting("ldap.rootPath", In(LDAP, "rootPath"), Type::Dns, "", "Root of the tree, such as dc=example,dc=org. Separate several with |."),
    setting("ldap.authentication", In(LDAP, "authentication"), Type::Choice(&["password", "certificate", "kerberos"]), "password", "How to log in: user name and password, the client certificate (SASL EXTERNAL), or the Kerberos ticket of the user who runs bwdc (SASL GSSAPI)."),
    setting("ldap.username", In(LDAP, "username"), Type::Text, "", "User name of the account that reads the directory: usually a full DN."),
    setting("ldap.password", In(LDAP, "password"), Type::Secret, "", "Password of that account."),
    setting("ldap.domain", In(LDAP, "domain"), Type::Word, "", "Kept for the existing connector, not used."),
    setting("ldap.currentUser", In(LDAP, "currentUser"), Type::Flag, "false", "Log in as the user who runs bwdc, by Kerberos, where no ldap.username is set."),
    setting("ldap.ad", In(LDAP, "ad"), Type::Flag, "false", "The server is Active Directory: deleted users are read too."),
    setting("ldap.disabledBy", In(LDAP, "disabledBy"), Type::Words(DISABLED_BY), "userAccountControl", "Attributes that mark an account as disabled. With sync.removeDisabled, these people are removed."),
    setting("ldap.externalIdAttribute", In(LDAP, "externalIdAttribute"), Type::Choice(&["objectGUID", "entryUUID", "nsUniqueId", "ipaUniqueID", "dn"]), "", "Attribute that identifies people and groups in the organization. Default: objectGUID where it exists, else the DN. Read the LDAP page before you change it."),
    setting("ldap.referrals", In(LDAP, "referrals"), Type::Choice(&["report", "follow"]), "report", "Referrals to other servers: report them in every run, or follow them with the same login and encryption."),
    setting("ldap.outsideGroups", In(LDAP, "outsideGroups"), Type::Flag, "false", "Look up groups outside sync.groupPath that are members of groups inside it, so that their members count. They are not synced themselves."),
    setting("ldap.primaryGroups", In(LDAP, "primaryGroups"), Type::Flag, "false", "Active Directory: people are members of their primary group (primaryGroupID), such as Domain Users."),
    setting("ldap.preset", In(LDAP, "preset"), Type::Preset(presets::NAMES), "", "Sets object classes, attribute names and ldap.disabledBy for a product."),
    setting("ldap.pagedSearch", In(LDAP, "pagedSearch"), Type::Flag, "true", "Read in pages of 5,000, or of what the server allows."),
    setting("entra.identityAuthority", In(ENTRA, "identityAuthority"), Type::Choice(Authority::HOSTS), "login.microsoftonline.com", "Where the tenant logs in: the public cloud, the US government's, or China's."),
    setting("entra.tenant", In(ENTRA, "tenant"), Type::Word, "", "The tenant: its id or one of its domains."),
    setting("entra.applicationId", In(ENTRA, "applicationId"), Type::Word, "", "Application (client) id of the app registration."),
    setting("entra.key", In(ENTRA, "key"), Type::Secret, "", "The application's client secret."),
    setting("entra.certificateFile", In(ENTRA, "certificateFile"), Type::Path, "", "PEM file with a certificate and its RSA key, used instead of a client secret; relative to data.json's folder."),
    setting("entra.federatedTokenFile", In(ENTRA, "federatedTokenFile"), Type::Path, "", "File with a token of another identity provider (workload identity), used instead of a client secret; relative to data.json's folder."),
    setting("azure.key", In(ENTRA, "key"), Type::Secret, "", "The older name of entra.key."),
    setting("gsuite.domain", In(GSUITE, "domain"), Type::Host, "", "Domain to read. To read all domains, clear it and set gsuite.customer."),
    setting("gsuite.adminUser", In(GSUITE, "adminUser"), Type::Email, "", "Administrator whom the service account impersonates."),
    setting("gsuite.customer", In(GSUITE, "customer"), Type::Word, "", "Customer id, such as C0abc123, or my_customer. All its domains are read if gsuite.domain is not set."),
    setting("gsuite.clientEmail", In(GSUITE, "clientEmail"), Type::Email, "", "E-mail address of the service account, if there is no key file."),
    setting("gsuite.key", In(GSUITE, "privateKey"), Type::Secret, "", "The service account's private key (PEM, line ends may be written as \\n), or the whole content of its key file."),
    setting("gsuite.keyFile", In(GSUITE, "keyFile"), Type::Path, "", "The service account's JSON key file, as Google's console gives it, instead of gsuite.clientEmail and gsuite.key; relative to data.json's folder."),
    setting("okta.orgUrl", In(OKTA, "orgUrl"), Type::Url, "", "The organization's URL, such as https://example.okta.com."),
    setting("okta.token", In(OKTA, "token"), Type::Secret, "", "The API token of a Read-Only Administrator. Not needed with okta.clientId."),
    setting("okta.clientId", In(OKTA, "clientId"), Type::Word, "", "Client id of an API Services application, to log in with its private key instead of a token."),
    setting("okta.privateKeyFile", In(OKTA, "privateKeyFile"), Type::Path, "", "The application's private key: a PEM or JWK file; relative to data.json's folder."),
    setting("okta.keyId", In(OKTA, "keyId"), Type::Word, "", "Key id (kid), if the application has several keys and the file does not name it."),
    setting("onelogin.region", In(ONELOGIN, "region"), Type::Choice(&["us", "eu"]), "us", "Region of the account."),
    setting("onelogin.url", In(ONELOGIN, "url"), Type::Url, "", "The account's own address, such as https://example.onelogin.com, instead of the region's."),
    setting("onelogin.clientId", In(ONELOGIN, "clientId"), Type::Word, "", "The id of the API credential pair; it needs the scope Read Users."),
    setting("onelogin.secret", In(ONELOGIN, "clientSecret"), Type::Secret, "", "The secret of the API credential pair."),
    setting("sync.users", In(SYNC, "users"), Type::Flag, "false", "Sync people."),
    setting("sync.groups", In(SYNC, "groups"), Type::Flag, "false", "Sync groups."),
    setting("sync.userFilter", In(SYNC, "userFilter"), Type::Filter(Filtered::Users), "", "LDAP: a filter such as (ou=Sales). Others: include:a,b or exclude:a,b by e-mail; Entra ID also includeGroup:ID and excludeGroup:ID."),
    setting("sync.groupFilter", In(SYNC, "groupFilter"), Type::Filter(Filtered::Groups), "", "LDAP: a filter. Others: include:a,b or exclude:a,b by name; Entra ID also includeAdministrativeUnit:ID and excludeAdministrativeUnit:ID."),
    setting("sync.removeDisabled", In(SYNC, "removeDisabled"), Type::Flag, "false", "Remove people whose account is disabled."),
    setting("sync.removeMissing", In(SYNC, "removeMissing"), Type::Flag, "false", "Remove people who were in the last complete read and are no longer in the directory. For directories that keep no record of deleted accounts."),
    setting("sync.overwriteExisting", In(SYNC, "overwriteExisting"), Type::Flag, "false", "Remove members with an external id who are not in the directory."),
    setting("sync.largeImport", In(SYNC, "largeImport"), Type::Flag, "false", "Import more than 2,000 people and groups in batches."),
    setting("sync.inviteUsersAfterProvisioning", In(SYNC, "inviteUsersAfterProvisioning"), Type::Flag, "false", "Invite new members immediately, where the server could stage them instead."),
    setting("sync.onBadRecord", In(SYNC, "onBadRecord"), Type::Choice(&["stop", "skip"]), "stop", "What to do when an entry cannot be imported: stop the run, or skip the entry and end with exit code 4."),
    setting("sync.nestedGroups", In(SYNC, "nestedGroups"), Type::Choice(&["kept", "all"]), "kept", "Nested groups to follow: only those that pass the group filter, or all. `all` widens access."),
    setting("sync.timeout", In(SYNC, "timeout"), Type::Length, "1h", "Time limit for a whole sync, such as 20s, 5m or 1h. After that it is aborted and nothing more is sent."),
    setting("sync.interval", In(SYNC, "interval"), Type::Minutes, "5", "Minutes between syncs of a daemon."),
    setting("sync.userObjectClass", In(SYNC, "userObjectClass"), Type::Attribute, "person", "LDAP: object class of people."),
    setting("sync.userPath", In(SYNC, "userPath"), Type::Dns, "", "LDAP: path of the people, relative to the root. Separate several with |."),
    setting("sync.userEmailAttribute", In(SYNC, "userEmailAttribute"), Type::Attribute, "mail", "LDAP: attribute with the e-mail address."),
    setting("sync.groupObjectClass", In(SYNC, "groupObjectClass"), Type::Attribute, "group", "LDAP: object class of groups."),
    setting("sync.groupPath", In(SYNC, "groupPath"), Type::Dns, "", "LDAP: path of the groups, relative to the root. Separate several with |."),
    setting("sync.groupNameAttribute", In(SYNC, "groupNameAttribute"), Type::Attribute, "name", "LDAP: attribute with a group's name; cn where it is absent."),
    setting("sync.memberAttribute", In(SYNC, "memberAttribute"), Type::Attribute, "member", "LDAP: attribute with a group's members: DNs or user names."),
    setting("sync.revisionDateAttribute", In(SYNC, "revisionDateAttribute"), Type::Attribute, "", "LDAP: attribute with the time of the last change; when set, syncs read only what changed since the last one."),
    setting("sync.creationDateAttribute", In(SYNC, "creationDateAttribute"), Type::Attribute, "", "LDAP: kept for the existing connector; not used."),
    setting("sync.useEmailPrefixSuffix", In(SYNC, "useEmailPrefixSuffix"), Type::Flag, "false", "Build an address from prefix and suffix for people who have none."),
    setting("sync.emailPrefixAttribute", In(SYNC, "emailPrefixAttribute"), Type::Attribute, "", "LDAP: attribute with the part before the @."),
    setting("sync.emailSuffix", In(SYNC, "emailSuffix"), Type::EmailSuffix, "", "The part of the address from the @ on."),
    setting("secrets.file", In(key::SECRETS, "file"), Type::Path, "", "Secrets file, readable only by its owner. New secrets are stored there too. Relative to data.json's folder. Default: secrets.env, if it exists."),
    setting("secretFile.login.clientId", In(key::SECRET_FILES, "login.clientId"), Type::Path, "", "A file with the organization's client id and nothing else, such as /etc/bwdc/login.clientId; relative to data.json's folder."),
    setting("secretFile.login.clientSecret", In(key::SECRET_FILES, "login.clientSecret"), Type::Path, "", "A file with the organization's API key and nothing else, such as /etc/bwdc/login.clientSecret; relative to data.json's folder."),
    setting("secretFile.ldap.password", In(key::SECRET_FILES, "ldap.password"), Type::Path, "", "A file with ldap.password and nothing else, such as /etc/bwdc/ldap.password; relative to data.json's folder."),
    setting("secretFile.entra.key", In(key::SECRET_FILES, "entra.key"), Type::Path, "", "A file with entra.key and nothing else, such as /etc/bwdc/entra.key; relative to data.json's folder."),
    setting("secretFile.gsuite.key", In(key::SECRET_FILES, "gsuite.key"), Type::Path, "", "A file with gsuite.key and nothing else, such as /etc/bwdc/gsuite.key; relative to data.json's folder."),
    setting("secretFile.okta.token", In(key::SECRET_FILES, "okta.token"), Type::Path, "", "A file with okta.token and nothing else, such as /etc/bwdc/okta.token; relative to data.json's folder."),
    setting("secretFile.onelogin.secret", In(key::SECRET_FILES, "onelogin.secret"), Type::Path, "", "A file with onelogin.secret and nothing else, such as /etc/bwdc/onelogin.secret; relative to data.json's folder."),
    setting("exec.login.clientId", In(key::SECRET_COMMANDS, "login.clientId"), Type::Command, "", "A command that prints the organization's client id, such as `pass show bwdc/login.clientId`."),
    setting("exec.login.clientSecret", In(key::SECRET_COMMANDS, "login.clientSecret"), Type::Command, "", "A command that prints the organization's API key, such as `pass show bwdc/login.clientSecret`."),
    setting("exec.ldap.password", In(key::SECRET_COMMANDS, "ldap.password"), Type::Command, "", "A command that prints ldap.password, such as `pass show bwdc/ldap.password`."),
    setting("exec.entra.key", In(key::SECRET_COMMANDS, "entra.key"), Type::Command, "", "A command that prints entra.key, such as `pass show bwdc/entra.key`."),
    setting("exec.gsuite.key", In(key::SECRET_COMMANDS, "gsuite.key"), Type::Command, "", "A command that prints gsuite.key, such as `pass show bwdc/gsuite.key`."),
    setting("exec.okta.token", In(key::SECRET_COMMANDS, "okta.token"), Type::Command, "", "A command that prints okta.token, such as `pass show bwdc/okta.token`."),
    setting("exec.onelogin.secret", In(key::SECRET_COMMANDS, "onelogin.secret"), Type::Command, "", "A command that prints onelogin.secret, such as `pass show bwdc/onelogin.secret`."),
];

/// What says whose directory a section leads to: when it changes, so does the section's `id`, and a secret that was kept
/// in the operating system's store for the old one is not sent to the new one.
const IDENTITY: &[(&str, &[&str])] = &[
    (LDAP, &["hostname", "domain", "username"]),
    (ENTRA, &["tenant", "applicationId"]),
    (GSUITE, &["clientEmail", "domain", "customer"]),
    (OKTA, &["orgUrl"]),
    (ONELOGIN, &["clientId", "region", "url"]),
];

/// Files with people or with keys: root reads them for nobody else. Authorities' certificates are everybody's to read.
pub(crate) const FILES_READ: &[&str] = &[
    "file.path",
    "ldap.sslCertPath",
    "ldap.sslKeyPath",
    "entra.certificateFile",
    "entra.federatedTokenFile",
    "gsuite.keyFile",
    "okta.privateKeyFile",
];

/// Finds a setting by name, whatever its case.
pub fn find(name: &str) -> Result<&'static Setting> {
    ALL.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::new("Unknown setting.");
        match did_you_mean(name, ALL.iter().map(|setting| setting.name)) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("See `bwdc config --help` for all settings."),
        }
    })
}

impl Type {
    /// In a word, for the reference.
    pub fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Word => "word".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Port => "port".to_owned(),
            Self::Minutes => "minutes".to_owned(),
            Self::Length => "length of time".to_owned(),
            Self::Choice(words) | Self::Preset(words) => words.join(" or "),
            Self::Words(words) => format!("some of {}", words.join(", ")),
            Self::Url | Self::Server => "URL".to_owned(),
            Self::Directory => directory_names().join(", "),
            Self::Host => "host".to_owned(),
            Self::Hosts => "hosts".to_owned(),
            Self::Dns => "DNs".to_owned(),
            Self::Attribute => "attribute".to_owned(),
            Self::Filter(_) => "filter".to_owned(),
            Self::EmailSuffix => "@domain".to_owned(),
            Self::Email => "e-mail address".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Command => "command".to_owned(),
        }
    }

    /// What is allowed, as the end of a sentence.
    fn allowed(self) -> String {
        match self {
            Self::Text => "text on one line".to_owned(),
            Self::Secret => "text without control characters".to_owned(),
            Self::Word => "one word without spaces".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Port => "a number from 1 to 65535".to_owned(),
            Self::Minutes => {
                format!("a number of minutes, at least 5 and at most {MINUTES_OF_A_YEAR} (a year)")
            }
            Self::Length => "a duration such as 20s, 5m or 1h, at most a year".to_owned(),
            Self::Choice(words) | Self::Preset(words) => format!("one of: {}", words.join(", ")),
            Self::Words(words) => format!("any of these, separated by commas: {}", words.join(", ")),
            Self::Url => "a base URL such as https://example.com".to_owned(),
            Self::Server => {
                "bitwarden.com, https://vault.bitwarden.eu, or the base URL of your own server".to_owned()
            }
            Self::Directory => format!("one of: {}", directory_names().join(", ")),
            Self::Host => "a name or address such as dc1.example.org, without scheme and port".to_owned(),
            Self::Hosts => {
                "names or addresses such as dc1.example.org, dc2.example.org, without scheme and port"
                    .to_owned()
            }
            Self::Dns => "distinguished names such as dc=example,dc=org, separated by |".to_owned(),
            Self::Attribute => "the name of an attribute or object class, such as mail".to_owned(),
            Self::Filter(_) => "a filter in the directory's language".to_owned(),
            Self::EmailSuffix => "an @ and a domain, such as @example.org".to_owned(),
            Self::Email => "an address such as admin@example.org".to_owned(),
            Self::Path => "a path on one line".to_owned(),
            Self::Command => "a command line such as: pass show bwdc/ldap".to_owned(),
        }
    }

    /// The value to store, or why there is none.
    fn parse(self, text: &str, data: &Data) -> std::result::Result<Value, String> {
        let trimmed = text.trim();
        if trimmed.is_empty() && !matches!(self, Self::Flag | Self::Port | Self::Minutes | Self::Directory) {
            return Ok(Value::Null);
        }
        // A private key has lines.
        let is_allowed = |c: char| !c.is_control() || self == Self::Secret && matches!(c, '\n' | '\r' | '\t');
        if !text.chars().all(is_allowed) {
            return Err("it contains a line break or another control character".to_owned());
        }
        let kept =
            |is_good: bool, why: &str| if is_good { Ok(Value::from(trimmed)) } else { Err(why.to_owned()) };
        let has_blanks = trimmed.contains(char::is_whitespace);
        match self {
            Self::Text | Self::Secret | Self::Path => Ok(text.into()),
            Self::Word => kept(!has_blanks, "it contains spaces"),
            Self::Flag => match trimmed.to_lowercase().as_str() {
                "true" | "yes" | "y" | "1" => Ok(true.into()),
                "false" | "no" | "n" | "0" => Ok(false.into()),
                _ => Err("it must be true or false".to_owned()),
            },
            Self::Port => match trimmed.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port.into()),
                _ => Err("it must be a port number".to_owned()),
            },
            Self::Minutes => match trimmed.parse::<u32>() {
                Ok(minutes) if (5..=MINUTES_OF_A_YEAR).contains(&minutes) => Ok(minutes.into()),
                _ => Err("it must be such a number".to_owned()),
            },
            Self::Length => kept(length(trimmed).is_some(), "it must be a duration such as 20s, 5m or 1h"),
            Self::Choice(words) | Self::Preset(words) => one_of(trimmed, words).map(Value::from),
            Self::Words(words) => {
                let chosen: Vec<&str> = trimmed
                    .split(',')
                    .map(|word| one_of(word.trim(), words))
                    .collect::<std::result::Result<_, _>>()?;
                Ok(chosen.join(", ").into())
            }
            Self::Url => instance::server_url(trimmed).map(Value::from).map_err(|error| error.message),
            Self::Server => match trimmed.trim_end_matches('/') {
                "null" | "bitwarden.com" | "https://bitwarden.com" => Ok(Value::Null),
                own => instance::server_url(own).map(Value::from).map_err(|error| error.message),
            },
            Self::Directory => directory(trimmed).ok_or_else(|| {
                near(&trimmed.to_lowercase(), &directory_names(), "there is no such directory type")
            }),
            Self::Host => kept(is_host(trimmed), "it is not a host name"),
            Self::Hosts => {
                kept(trimmed.split(',').all(|host| is_host(host.trim())), "not all of them are host names")
            }
            Self::Dns => kept(trimmed.split('|').all(|dn| ldap::is_dn(dn.trim())), "it is not a list of DNs"),
            Self::Attribute => kept(is_attribute(trimmed), "it is not an attribute name (RFC 4512)"),
            Self::Filter(filtered) => check_filter(filtered, trimmed, data).map(|()| text.into()),
            Self::EmailSuffix => {
                let domain = trimmed.strip_prefix('@').unwrap_or_default();
                kept(!has_blanks && is_host(domain), "it does not make an e-mail address")
            }
            Self::Email => {
                let parts = trimmed.split_once('@');
                let is_good = parts.is_some_and(|(left, right)| !left.is_empty() && is_host(right));
                kept(is_good && !has_blanks, "it is not an e-mail address")
            }
            Self::Command => match secrets::command_words(trimmed) {
                Ok(_) => Ok(text.into()),
                Err(error) => Err(error.message),
            },
        }
    }
}

/// The longest interval.
pub const MINUTES_OF_A_YEAR: u32 = 365 * 24 * 60;

/// `20s`, `5m`, `1h`; more than nothing and at most a year.
pub fn length(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 365 * 24 * 3600;
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    let seconds = count.checked_mul(unit).filter(|seconds| (1..=LONGEST).contains(seconds))?;
    Some(Duration::from_secs(seconds))
}

fn one_of<'a>(text: &str, words: &[&'a str]) -> std::result::Result<&'a str, String> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| near(text, words, "it is none of them"))
}

fn near(text: &str, words: &[&str], otherwise: &str) -> String {
    did_you_mean(text, words.iter().copied())
        .map_or_else(|| otherwise.to_owned(), |word| format!("did you mean {word}?"))
}

/// A value as it would be typed.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn directory_names() -> Vec<&'static str> {
    DIRECTORIES.iter().map(|(_, name)| *name).chain([FILE_DIRECTORY]).collect()
}

/// The five of the existing connector have numbers in `data.json`.
fn directory(text: &str) -> Option<Value> {
    let text = text.to_lowercase();
    if text == FILE_DIRECTORY {
        return Some(FILE_DIRECTORY.into());
    }
    let (number, _) = DIRECTORIES.iter().find(|(number, name)| *number == text || *name == text)?;
    number.parse::<u64>().ok().map(Value::from)
}

fn is_host(text: &str) -> bool {
    let is_name = |text: &str| {
        text.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
    };
    let without_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    without_brackets.parse::<std::net::IpAddr>().is_ok() || is_name(text.strip_suffix('.').unwrap_or(text))
}

/// A name or an OID, perhaps with options (RFC 4512, 2.5).
fn is_attribute(text: &str) -> bool {
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let is_oid = !name.is_empty()
        && name.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()));
    (is_name || is_oid)
        && parts
            .all(|option| !option.is_empty() && option.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

/// Where the language of filters is known: LDAP's, Entra ID's, or the set filters.
fn check_filter(filtered: Filtered, text: &str, data: &Data) -> std::result::Result<(), String> {
    match instance::directory_name(data) {
        Ok("ldap") => ldap::check_filter("it", text).map_err(|error| error.to_string()),
        Ok(FILE_DIRECTORY | "onelogin") => check_set_filter(text, NativeQuery::None),
        Ok("gsuite" | "okta") => check_set_filter(text, NativeQuery::Allowed),
        Ok("entra") => {
            let parsed = match filtered {
                Filtered::Users => entra::Filter::of_users(text),
                Filtered::Groups => entra::Filter::of_groups(text),
            };
            parsed.map(|_| ()).map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}

fn check_set_filter(text: &str, native: NativeQuery) -> std::result::Result<(), String> {
    filter::parse(text, native).map(|_| ()).map_err(|error| error.to_string())
}

impl Setting {
    /// The value to store for what was typed; `data` is what else is configured.
    pub fn parse(&self, text: &str, data: &Data) -> Result<Value> {
        self.kind.parse(text, data).map_err(|why| self.refused(text, &why))
    }

    /// In the sentence of the existing connector, for the two types that it checks.
    fn refused(&self, text: &str, why: &str) -> Error {
        let Self { name, kind, .. } = self;
        let told = format!("The setting {name} cannot be `{text}`: {why}.").replace("?.", "?");
        let allowed = format!("Allowed: {}. Nothing was saved.", kind.allowed());
        match kind {
            Type::Flag => Error::new("Value must be 'true' or 'false'.").hint(format!("{told}\n{allowed}")),
            Type::Directory => Error::new("Invalid directory type value.").hint(format!("{told}\n{allowed}")),
            Type::Secret => Error::new(format!("The secret {name} is not valid: {why}.")).hint(allowed),
            _ => Error::new(told).hint(allowed),
        }
    }

    /// Whether a setting that is true or false is on.
    pub fn is_on(&self, data: &Data) -> bool {
        self.stored(data) == Some(&Value::Bool(true))
    }

    /// Fault of the value in `data.json`, if there is one. Secrets are not looked at.
    pub fn fault(&self, data: &Data) -> Option<Error> {
        let text = self.stored_text(data).filter(|_| self.kind != Type::Secret)?;
        self.kind.parse(&text, data).err().map(|why| {
            let Self { name, kind, .. } = self;
            Error::new(format!("{name} is `{text}`: {why}"))
                .hint(format!("Allowed: {}. Correct it with `bwdc config {name} VALUE`.", kind.allowed()))
        })
    }

    /// The value in `data.json` as it would be typed.
    pub fn stored_text(&self, data: &Data) -> Option<String> {
        self.stored(data).map(text)
    }

    /// The value as it is in `data.json`.
    pub fn stored<'a>(&self, data: &'a Data) -> Option<&'a Value> {
        match self.place {
            Top(key) => data.value(key),
            In(section, key) => data.section(section).value(key),
        }
    }

    /// Puts a value into `data.json`, with what follows from it.
    pub fn store(&self, data: &mut Data, value: Value) {
        let is_changed = self.stored(data) != Some(&value).filter(|value| !value.is_null());
        match (self.place, self.kind) {
            (Top(key), _) => {
                if is_changed {
                    data.forget_cursors();
                }
                data.set(key, value);
            }
            (In(section, key), Type::Preset(_)) => {
                let preset = value.as_str().and_then(presets::named);
                data.set_in(section, key, value);
                for (name, value) in preset.into_iter().flat_map(Preset::settings) {
                    if let Ok(setting) = find(name)
                        && !presets::is_own_filter(name, setting.stored(data).and_then(Value::as_str))
                        && let Ok(value) = setting.parse(value, data)
                    {
                        setting.store(data, value);
                    }
                }
            }
            (In(section, key), Type::Server) => {
                data.set_in(section, key, value);
                for other in ["api", "identity", "webVault"] {
                    data.set_in(section, other, Value::Null);
                }
            }
            (In(section, key), _) => {
                data.set_in(section, key, value);
                let is_identity = IDENTITY.iter().any(|(name, keys)| *name == section && keys.contains(&key));
                if is_changed && is_identity && data.section(section).value("id").is_some() {
                    data.set_in(section, "id", uuid::Uuid::new_v4().to_string());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    fn directory_is(value: impl Into<Value>) -> Data {
        let mut data = Data::default();
        data.set(key::DIRECTORY_TYPE, value);
        data
    }

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let mut names: Vec<_> = ALL.iter().map(|setting| setting.name.to_lowercase()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(find("LDAP.HostName").unwrap().name, "ldap.hostname");
        assert_eq!(find("ldap.hostnam").unwrap_err().next_step.unwrap(), "Did you mean ldap.hostname?");
        for setting in ALL.iter().filter(|setting| setting.kind == Type::Secret) {
            assert!(secrets::of_setting(setting.name).is_some(), "{}", setting.name);
        }
    }

    /// A wrong value for each type; every setting has one of these.
    fn wrong(kind: Type) -> &'static str {
        match kind {
            Type::Text | Type::Path => "two\nlines",
            Type::Secret => "a\u{7}bell",
            Type::Word => "two words",
            Type::Flag => "maybe",
            Type::Port => "65536",
            Type::Minutes => "4",
            Type::Length => "soon",
            Type::Choice(_) | Type::Preset(_) => "neither",
            Type::Words(_) => "userAccountControl, neither",
            Type::Url | Type::Server => "ftp://example.org",
            Type::Directory => "5",
            Type::Host | Type::Hosts => "ldap://dc1.example.org:389",
            Type::Dns => "people",
            Type::Attribute => "e-mail address",
            Type::Filter(_) => "(mail=*",
            Type::EmailSuffix => "example.org",
            Type::Email => "admin",
            Type::Command => "pass show 'bwdc",
        }
    }

    #[test]
    fn every_setting_refuses_a_wrong_value_with_its_name_the_reason_and_what_is_allowed() {
        let data = directory_is(0);
        for setting in ALL {
            let value = wrong(setting.kind);
            let error = setting.parse(value, &data).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(setting.name), "{told}");
            assert!(told.contains("Allowed: ") && told.contains("Nothing was saved."), "{told}");
            assert!(setting.kind == Type::Secret || told.contains(value), "{told}");
        }
    }

    #[test]
    fn right_values_are_taken() {
        let data = directory_is(0);
        for (name, typed, stored) in [
            ("ldap.port", " 636 ", Value::from(636)),
            ("sync.onBadRecord", "SKIP", "skip".into()),
            ("sync.userFilter", "", Value::Null),
            ("sync.userFilter", "(&(mail=*)(!(ou=x)))", "(&(mail=*)(!(ou=x)))".into()),
            ("ldap.hostname", "dc1.example.org", "dc1.example.org".into()),
            ("ldap.hostname", "fe80::1", "fe80::1".into()),
            ("ldap.hostname", "[::1]", "[::1]".into()),
            ("ldap.rootPath", "DC=example, DC=org", "DC=example, DC=org".into()),
            ("sync.userPath", "CN=Users", "CN=Users".into()),
            ("sync.userEmailAttribute", "mail;lang-en", "mail;lang-en".into()),
            ("sync.userObjectClass", "2.16.840.1.113730.3.2.2", "2.16.840.1.113730.3.2.2".into()),
            ("sync.emailSuffix", "@example.org", "@example.org".into()),
            ("directory", "Entra", 1.into()),
            ("directory", " 2 ", 2.into()),
            ("directory", "FILE", "file".into()),
            ("server", "bw.example.org/", "https://bw.example.org".into()),
            ("server", "https://bitwarden.com", Value::Null),
            ("gsuite.adminUser", "admin@example.org", "admin@example.org".into()),
            ("exec.ldap.password", "pass show 'bw dc/ldap'", "pass show 'bw dc/ldap'".into()),
        ] {
            assert_eq!(find(name).unwrap().parse(typed, &data).unwrap(), stored, "{name} {typed}");
        }
    }

    #[test]
    fn filters_are_checked_in_the_language_of_the_directory() {
        let filter = find("sync.userFilter").unwrap();
        assert!(filter.parse("include:a@example.org", &directory_is("file")).is_ok());
        assert!(filter.parse("inculde:a@example.org", &directory_is("file")).is_err());
        assert!(filter.parse("include:a@example.org", &directory_is(0)).is_err());
        assert!(filter.parse("include:a|b", &directory_is(4)).is_err());
        assert!(filter.parse("includeGroup:x|exclude:a@example.org", &directory_is(1)).is_ok());
        assert!(filter.parse("includeAdministrativeUnit:x", &directory_is(1)).is_err());
        let groups = find("sync.groupFilter").unwrap();
        assert!(groups.parse("includeAdministrativeUnit:x", &directory_is(1)).is_ok());
        assert!(groups.parse("includeGroup:x", &directory_is(1)).is_err());
        assert!(filter.parse("(anything", &Data::default()).is_ok());
    }

    #[test]
    fn the_id_of_a_section_is_kept_while_it_is_the_same_directory() {
        let mut data = Data::default();
        find("ldap.hostname").unwrap().store(&mut data, "a".into());
        assert!(data.section(LDAP).value("id").is_none());
        data.set_in(LDAP, "id", "0b9d8c7e-1111-4222-8333-444455556666");
        let id = |data: &Data| data.section(LDAP).value("id").cloned();
        let before = id(&data);
        find("ldap.port").unwrap().store(&mut data, 636.into());
        find("ldap.hostname").unwrap().store(&mut data, "a".into());
        assert_eq!(id(&data), before);
        find("ldap.hostname").unwrap().store(&mut data, "b".into());
        assert_ne!(id(&data), before);
    }

    proptest! {
        #![proptest_config(few())]

        /// What is stored for what was typed is stored again for what is shown of it.
        #[test]
        fn fuzz_values_of_settings(typed in damaged_text([
            "yes", " 389 ", "20s", "include:a@x.org|exclude:b@x.org|orgUnitPath=/", "(&(cn=*)(!(ou=x)))", "https://vault.example.org/", "dc=a,dc=b | ou=x,dc=a",
            "dc1.example.org, [::1], 10.0.0.1", "@example.org", "pass show 'bwdc ldap' \"x\"", "userAccountControl, nsAccountLock", "mail;lang-en", "ldap", "null",
        ]), directory in prop::sample::select(vec!["ldap", "entra", "gsuite", "okta", "onelogin", "file"])) {
            let mut data = Data::default();
            data.set(bwdc_store::key::DIRECTORY_TYPE, directory);
            for setting in ALL {
                match setting.parse(&typed, &data) {
                    Ok(value) if value.is_null() => {}
                    Ok(value) => prop_assert_eq!(setting.parse(&text(&value), &data).ok(), Some(value), "{}", setting.name),
                    Err(error) => bwdc_testkit::harmless(&error, typed.len())?,
                }
            }
        }
    }
}
