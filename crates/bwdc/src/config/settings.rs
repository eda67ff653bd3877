//! Every setting once: its name on the command line, where it stands in `data.json`, its type and its meaning.
//! `bwdc config`, the reader of the configuration and the reference page use this table.

use bwdc_core::did_you_mean;
use serde_json::Value;

use crate::error::{Error, Result};

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Text; empty removes it.
    Text,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1 to 65535.
    Port,
    /// Minutes between syncs of a daemon; at least 5.
    Minutes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A base URL.
    Url,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// As typed after `bwdc config`.
    pub(crate) name: &'static str,
    /// The section of `data.json`.
    pub(crate) section: &'static str,
    /// The key in the section.
    pub(crate) key: &'static str,
    pub(crate) kind: Type,
    /// What applies when it is not set, in words.
    pub(crate) default: &'static str,
    pub(crate) meaning: &'static str,
}

const fn setting(
    name: &'static str,
    section: &'static str,
    key: &'static str,
    kind: Type,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, section, key, kind, default, meaning }
}

const LDAP: &str = "directoryLdap";
const FILES: &str = "directoryFile";
const SYNC: &str = "sync";
const URLS: &str = "environmentUrls";

/// All settings but `server` and `directory`, which mean more than one key.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("server.api", URLS, "api", Type::Url, "derived from `server`", "The API's base URL, where it differs."),
    setting("server.identity", URLS, "identity", Type::Url, "derived from `server`", "The identity server's base URL, where it differs."),
    setting("file.path", FILES, "path", Type::Text, "", "A folder with users.csv and groups.csv, or one .json or .csv file; relative to data.json's folder."),
    setting("ldap.hostname", LDAP, "hostname", Type::Text, "", "Name or address of the LDAP server."),
    setting("ldap.port", LDAP, "port", Type::Port, "389", "Its port: usually 389 for plain and StartTLS, 636 for LDAPS."),
    setting("ldap.ssl", LDAP, "ssl", Type::Flag, "false", "Protect the connection: LDAPS, or StartTLS with ldap.startTls."),
    setting("ldap.startTls", LDAP, "startTls", Type::Flag, "false", "Use StartTLS on the plain port; needs ldap.ssl."),
    setting("ldap.sslAllowUnauthorized", LDAP, "sslAllowUnauthorized", Type::Flag, "false", "Accept any server certificate. Whoever sits in between can read and change everything."),
    setting("ldap.sslCaPath", LDAP, "sslCaPath", Type::Text, "the system's", "LDAPS: PEM file of the only authorities to trust."),
    setting("ldap.sslCertPath", LDAP, "sslCertPath", Type::Text, "", "LDAPS: PEM file of the client certificate."),
    setting("ldap.sslKeyPath", LDAP, "sslKeyPath", Type::Text, "", "LDAPS: PEM file of the client certificate's key."),
    setting("ldap.tlsCaPath", LDAP, "tlsCaPath", Type::Text, "the system's", "StartTLS: PEM file of the only authorities to trust."),
    setting("ldap.rootPath", LDAP, "rootPath", Type::Text, "", "Where the tree begins, such as dc=example,dc=org."),
    setting("ldap.username", LDAP, "username", Type::Text, "", "Who reads: usually a full DN."),
    setting("ldap.password", LDAP, "password", Type::Secret, "", "The reader's password."),
    setting("ldap.ad", LDAP, "ad", Type::Flag, "false", "The server is Active Directory: deleted users are read too."),
    setting("ldap.pagedSearch", LDAP, "pagedSearch", Type::Flag, "true", "Read in pages of 5,000, or of what the server allows."),
    setting("sync.users", SYNC, "users", Type::Flag, "false", "Sync people."),
    setting("sync.groups", SYNC, "groups", Type::Flag, "false", "Sync groups."),
    setting("sync.userFilter", SYNC, "userFilter", Type::Text, "", "LDAP: a filter such as (ou=Sales). Others: include:a,b or exclude:a,b by e-mail."),
    setting("sync.groupFilter", SYNC, "groupFilter", Type::Text, "", "LDAP: a filter. Others: include:a,b or exclude:a,b by name."),
    setting("sync.removeDisabled", SYNC, "removeDisabled", Type::Flag, "false", "People whose account is disabled leave the organization."),
    setting("sync.overwriteExisting", SYNC, "overwriteExisting", Type::Flag, "false", "Remove members with an external id who are not in the directory."),
    setting("sync.largeImport", SYNC, "largeImport", Type::Flag, "false", "Import more than 2,000 people and groups in batches."),
    setting("sync.inviteUsersAfterProvisioning", SYNC, "inviteUsersAfterProvisioning", Type::Flag, "false", "Invite newcomers at once, where the server can stage them instead."),
    setting("sync.onBadRecord", SYNC, "onBadRecord", Type::Choice(&["stop", "skip"]), "stop", "What happens when an entry cannot be imported: stop the run, or leave the entry out and end with exit code 4."),
    setting("sync.nestedGroups", SYNC, "nestedGroups", Type::Choice(&["kept", "all"]), "kept", "Through which groups members of members count: those that the group filter keeps, or all. `all` widens access."),
    setting("sync.interval", SYNC, "interval", Type::Minutes, "5", "Minutes between syncs of a daemon."),
    setting("sync.userObjectClass", SYNC, "userObjectClass", Type::Text, "person", "LDAP: object class of people."),
    setting("sync.userPath", SYNC, "userPath", Type::Text, "", "LDAP: where people are, put before the root."),
    setting("sync.userEmailAttribute", SYNC, "userEmailAttribute", Type::Text, "mail", "LDAP: attribute with the e-mail address."),
    setting("sync.groupObjectClass", SYNC, "groupObjectClass", Type::Text, "group", "LDAP: object class of groups."),
    setting("sync.groupPath", SYNC, "groupPath", Type::Text, "", "LDAP: where groups are, put before the root."),
    setting("sync.groupNameAttribute", SYNC, "groupNameAttribute", Type::Text, "name", "LDAP: attribute with a group's name; cn where it is absent."),
    setting("sync.memberAttribute", SYNC, "memberAttribute", Type::Text, "member", "LDAP: attribute with a group's members: DNs or user names."),
    setting("sync.revisionDateAttribute", SYNC, "revisionDateAttribute", Type::Text, "", "LDAP: attribute with the time of the last change; when set, syncs read only what changed since the last one."),
    setting("sync.creationDateAttribute", SYNC, "creationDateAttribute", Type::Text, "", "LDAP: kept for the existing connector; not used."),
    setting("sync.useEmailPrefixSuffix", SYNC, "useEmailPrefixSuffix", Type::Flag, "false", "Make an address from prefix and suffix for people who have none."),
    setting("sync.emailPrefixAttribute", SYNC, "emailPrefixAttribute", Type::Text, "", "LDAP: attribute with the part before the @."),
    setting("sync.emailSuffix", SYNC, "emailSuffix", Type::Text, "", "The rest, with the @."),
];

/// Secrets of directories that this build does not read yet; they can be stored for later.
#[rustfmt::skip]
pub(crate) const OTHER_SECRETS: &[Setting] = &[
    setting("entra.key", "directoryEntra", "key", Type::Secret, "", "Microsoft Entra ID: the application's client secret."),
    setting("azure.key", "directoryEntra", "key", Type::Secret, "", "The older name of entra.key."),
    setting("gsuite.key", "directoryGsuite", "privateKey", Type::Secret, "", "Google Workspace: the service account's private key."),
    setting("okta.token", "directoryOkta", "token", Type::Secret, "", "Okta: the API token."),
    setting("onelogin.secret", "directoryOnelogin", "clientSecret", Type::Secret, "", "OneLogin: the API client's secret."),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(OTHER_SECRETS)
}

/// Finds a setting by name, whatever its case.
pub(crate) fn find(name: &str) -> Result<&'static Setting> {
    all().find(|setting| setting.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names = all().map(|setting| setting.name).chain(["server", "directory"]);
        let error = Error::new("Unknown setting.");
        match did_you_mean(name, names) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("See `bwdc config --help` for all settings."),
        }
    })
}

impl Setting {
    /// The value to store for what was typed.
    pub(crate) fn parse(&self, text: &str) -> Result<Value> {
        let refuse =
            |what: String| Err(Error::new(what).hint(format!("Nothing was saved for {}.", self.name)));
        let trimmed = text.trim();
        match self.kind {
            Type::Secret => Ok(text.into()),
            Type::Text if trimmed.is_empty() => Ok(Value::Null),
            Type::Text => Ok(text.into()),
            Type::Flag => match trimmed {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => refuse("Value must be 'true' or 'false'.".to_owned()),
            },
            Type::Port => match trimmed.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port.into()),
                _ => refuse(format!("`{trimmed}` is no port: a number from 1 to 65535.")),
            },
            Type::Minutes => match trimmed.parse::<u32>() {
                Ok(minutes) if minutes >= 5 => Ok(minutes.into()),
                _ => refuse(format!("`{trimmed}` is no interval: a number of minutes, at least 5.")),
            },
            Type::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(trimmed)) {
                Some(word) => Ok((*word).into()),
                None => refuse(format!("`{trimmed}` is none of: {}.", words.join(", "))),
            },
            Type::Url if trimmed.is_empty() => Ok(Value::Null),
            Type::Url => super::instance::server_url(trimmed).map(Value::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let mut names: Vec<_> = all().map(|setting| setting.name.to_lowercase()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(find("LDAP.HostName").unwrap().key, "hostname");
        assert_eq!(find("ldap.hostnam").unwrap_err().next_step.unwrap(), "Did you mean ldap.hostname?");
    }

    #[test]
    fn values_are_checked() {
        let parse = |name: &str, value: &str| find(name).unwrap().parse(value);
        assert_eq!(parse("ldap.port", " 636 ").unwrap(), 636);
        assert!(parse("ldap.port", "0").is_err());
        assert!(parse("ldap.port", "65536").is_err());
        assert_eq!(parse("sync.onBadRecord", "SKIP").unwrap(), "skip");
        assert!(parse("sync.onBadRecord", "ignore").unwrap_err().message.contains("stop, skip"));
        assert!(parse("ldap.ssl", "yes").is_err());
        assert!(parse("sync.interval", "4").is_err());
        assert_eq!(parse("sync.userFilter", "").unwrap(), Value::Null);
    }
}
