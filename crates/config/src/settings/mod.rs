//! Every setting once: its name on the command line, where it stands in `data.json`, its type and its meaning.
//! `bwdc config`, the reader of the configuration and the reference page use this table.

pub mod alerts;
pub mod general;
mod protected;
pub mod sync;

use std::path::{Path, PathBuf};

use bwdc_connect::directory::ldap as ldap_names;
use bwdc_connect::tls::CertificateFile;
use bwdc_core::did_you_mean;
use bwdc_core::error::{Error, Result};
use bwdc_core::organization::settings::Limit;
use bwdc_store::Data;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::directories::ldap::settings::{Preset, is_own_filter, preset_named};
use crate::directories::{self, names};
use crate::kinds::DirectoryKind;
use crate::secrets;
use crate::server::server_url;
use crate::setting::StoredAt::{In, Top};
use crate::setting::{Filtered, allowed_words, near, one_of};
pub use crate::setting::{Setting, Shortest, StoredAt, Type, length, text};
use crate::{Environment, place};

/// How many settings there are.
const fn count() -> usize {
    let mut count = general::SETTINGS.len()
        + sync::SETTINGS.len()
        + alerts::SETTINGS.len()
        + secrets::SETTINGS.len()
        + 3 * secrets::ALL.len();
    let mut at = 0;
    while at < directories::ALL.len() {
        count += directories::ALL[at].settings.len();
        at += 1;
    }
    count
}

/// All settings in one list, in the order in which they are shown.
const JOINED: [Setting; count()] = {
    let mut all = [general::SERVER; count()];
    let mut end = put(&mut all, 0, general::SETTINGS);
    let mut at = 0;
    while at < directories::ALL.len() {
        end = put(&mut all, end, directories::ALL[at].settings);
        at += 1;
    }
    end = put(&mut all, end, sync::SETTINGS);
    end = put(&mut all, end, alerts::SETTINGS);
    end = put(&mut all, end, secrets::SETTINGS);
    at = 0;
    while at < secrets::ALL.len() {
        all[end + at] = secrets::ALL[at].file;
        all[end + at + secrets::ALL.len()] = secrets::ALL[at].command;
        all[end + at + 2 * secrets::ALL.len()] = secrets::ALL[at].end;
        at += 1;
    }
    all
};

/// Puts settings into a list, and returns where they end.
const fn put(all: &mut [Setting], begin: usize, settings: &[Setting]) -> usize {
    let mut at = 0;
    while at < settings.len() {
        all[begin + at] = settings[at];
        at += 1;
    }
    begin + settings.len()
}

/// All settings.
pub const ALL: &[Setting] = &JOINED;

/// Settings that decide what is read of a directory, and some that do not. No secrets.
pub fn of_reads() -> impl Iterator<Item = &'static Setting> {
    sync::SETTINGS.iter().chain(directories::ALL.iter().flat_map(|kind| kind.settings))
}

/// PEM files with certificates that the settings and the environment name: what each is, where, and what for.
pub fn certificate_files(
    data: &Data,
    environment: &Environment,
    folder: &Path,
) -> Vec<(&'static str, PathBuf, CertificateFile)> {
    use crate::directories::{entra, ldap::settings as ldap};
    use CertificateFile::{Authorities, Own};
    const FILES: [(&str, Setting, CertificateFile); 4] = [
        ("CA file of LDAPS", ldap::SSL_CA_PATH, Authorities),
        ("CA file of StartTLS", ldap::TLS_CA_PATH, Authorities),
        ("client certificate of LDAP", ldap::SSL_CERT_PATH, Own),
        ("certificate of Entra ID", entra::CERTIFICATE_FILE, Own),
    ];
    let set = FILES.into_iter().filter_map(|(what, setting, purpose)| {
        let path = setting.stored_text(data).filter(|path| !path.trim().is_empty())?;
        Some((what, place::resolve(folder, &path), purpose))
    });
    let trusted = environment.extra_ca().map(|path| ("CA file of BWDC_CA_FILE", path, Authorities));
    set.chain(trusted).collect()
}

/// Secrets whose last day is set: the name of each, and the beginning of that day (UTC).
pub fn secret_ends(data: &Data) -> Vec<(&'static str, Timestamp)> {
    let end = |declared: &secrets::DeclaredSecret| day(&declared.end.stored_text(data)?);
    secrets::ALL.into_iter().filter_map(|declared| Some((declared.name, end(declared)?))).collect()
}

/// Beginning of a day that is written as `2027-01-31`, by UTC.
fn day(text: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date =
        text.trim().parse().ok().filter(|_| text.trim().len() == "2027-01-31".len())?;
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

/// Whether a setting names this host.
pub fn is_named(data: &Data, host: &str) -> bool {
    ALL.iter().any(|setting| {
        let names_hosts = matches!(setting.kind, Type::Url | Type::Server | Type::Host | Type::Hosts);
        names_hosts && setting.stored_text(data).is_some_and(|text| text.contains(host))
    })
}

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
            Self::FlagOr(word) => format!("false, true or {word}"),
            Self::Port => "port".to_owned(),
            Self::Minutes => "minutes".to_owned(),
            Self::Length => "length of time".to_owned(),
            Self::LengthOr(word, _) => format!("{word} or length of time"),
            Self::Day => "day".to_owned(),
            Self::Count => "number".to_owned(),
            Self::Limit => "off, number or percentage".to_owned(),
            Self::Protected => "list".to_owned(),
            Self::Choice(words) | Self::Preset(words) => words.join(" or "),
            Self::Words(words) => format!("some of {}", words.join(", ")),
            Self::Url | Self::Server => "URL".to_owned(),
            Self::Directory => names().join(", "),
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
            Self::FlagOr(word) => format!("one of: false, true, {word}"),
            Self::Port => "a number from 1 to 65535".to_owned(),
            Self::Minutes => {
                format!("a number of minutes, at least 5 and at most {MINUTES_OF_A_YEAR} (a year)")
            }
            Self::Length => "a duration such as 20s, 5m, 1h or 2d, at most a year".to_owned(),
            Self::LengthOr(word, Shortest::Second) => {
                format!("{word}, or a duration such as 12h, 14d or 2w, at most a year")
            }
            Self::LengthOr(word, Shortest::Day) => {
                format!("{word}, or a duration such as 10d or 2w, at least 1d and at most a year")
            }
            Self::Day => "a day such as 2027-01-31".to_owned(),
            Self::Count => "a whole number from 1 to 1000".to_owned(),
            Self::Limit => "off, a whole number such as 20, or a percentage such as 10%".to_owned(),
            Self::Protected => {
                "e-mail addresses, external ids and group:NAME, separated by commas".to_owned()
            }
            Self::Choice(words) | Self::Preset(words) => allowed_words(words),
            Self::Words(words) => format!("any of these, separated by commas: {}", words.join(", ")),
            Self::Url => "a base URL such as https://example.com".to_owned(),
            Self::Server => {
                "bitwarden.com, https://vault.bitwarden.eu, or the base URL of your own server".to_owned()
            }
            Self::Directory => format!("one of: {}", names().join(", ")),
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
            Self::Flag => flag(trimmed).map(Value::from).ok_or_else(|| "it must be true or false".to_owned()),
            Self::FlagOr(word) => match flag(trimmed) {
                Some(flag) => Ok(flag.into()),
                None => one_of(trimmed, &["false", "true", word]).map(Value::from),
            },
            Self::Port => match trimmed.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port.into()),
                _ => Err("it must be a port number".to_owned()),
            },
            Self::Minutes => match trimmed.parse::<u32>() {
                Ok(minutes) if (5..=MINUTES_OF_A_YEAR).contains(&minutes) => Ok(minutes.into()),
                _ => Err("it must be such a number".to_owned()),
            },
            Self::Length => {
                kept(length(trimmed).is_some(), "it must be a number and one of the units s, m, h, d and w")
            }
            Self::LengthOr(word, _) if trimmed.eq_ignore_ascii_case(word) => Ok(word.into()),
            Self::LengthOr(word, shortest) => match length(trimmed) {
                None => Err(format!("it must be {word}, or a number and one of the units s, m, h, d and w")),
                Some(length) if length < shortest.length() => Err("it is too short".to_owned()),
                Some(_) => Ok(trimmed.into()),
            },
            Self::Count => match trimmed.parse::<u32>() {
                Ok(count) if (1..=1000).contains(&count) => Ok(count.into()),
                _ => Err("it must be such a number".to_owned()),
            },
            Self::Day => kept(day(trimmed).is_some(), "it must be year, month and day, such as 2027-01-31"),
            Self::Limit => {
                kept(Limit::parse(trimmed).is_some(), "it must be off, a number, or a percentage up to 100%")
            }
            Self::Protected => protected::check(trimmed).map(|()| trimmed.into()),
            Self::Choice(words) | Self::Preset(words) => one_of(trimmed, words).map(Value::from),
            Self::Words(words) => {
                let chosen: Vec<&str> = trimmed
                    .split(',')
                    .map(|word| one_of(word.trim(), words))
                    .collect::<std::result::Result<_, _>>()?;
                Ok(chosen.join(", ").into())
            }
            Self::Url => server_url(trimmed).map(Value::from).map_err(|error| error.message),
            Self::Server => match trimmed.trim_end_matches('/') {
                "null" | "bitwarden.com" | "https://bitwarden.com" => Ok(Value::Null),
                own => server_url(own).map(Value::from).map_err(|error| error.message),
            },
            Self::Directory => directories::named(trimmed)
                .map(DirectoryKind::value)
                .ok_or_else(|| near(&trimmed.to_lowercase(), &names(), "there is no such directory type")),
            Self::Host => kept(is_host(trimmed), "it is not a host name"),
            Self::Hosts => {
                kept(trimmed.split(',').all(|host| is_host(host.trim())), "not all of them are host names")
            }
            Self::Dns => {
                kept(trimmed.split('|').all(|dn| ldap_names::is_dn(dn.trim())), "it is not a list of DNs")
            }
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

/// `true` or `false`, in one of the words for them.
fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "y" | "1" => Some(true),
        "false" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// The longest interval.
pub const MINUTES_OF_A_YEAR: u32 = 365 * 24 * 60;

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

/// Where the language of filters is known.
fn check_filter(filtered: Filtered, text: &str, data: &Data) -> std::result::Result<(), String> {
    directories::of(data).map_or(Ok(()), |kind| (kind.check_filter)(filtered, text))
}

impl Setting {
    /// The value to store for what was typed; `data` is what else is configured.
    pub fn parse(&self, text: &str, data: &Data) -> Result<Value> {
        self.kind.parse(text, data).map_err(|why| self.refused(text, &why, &self.kind.allowed()))
    }

    /// Fault of the value in `data.json`, if there is one. Secrets are not looked at.
    pub fn fault(&self, data: &Data) -> Option<Error> {
        Some(self).filter(|_| self.kind != Type::Secret)?.understood(data).err()
    }

    /// The value in `data.json`, as it would be stored now; none if it is not set.
    pub(crate) fn understood(&self, data: &Data) -> Result<Option<Value>> {
        let Some(stored) = self.stored(data) else { return Ok(None) };
        let text = text(stored);
        let parsed = match stored {
            Value::Array(_) | Value::Object(_) => Err("it must be a single value".to_owned()),
            Value::Bool(_) if self.kind == Type::Protected => Err("it must be a text".to_owned()),
            _ => self.kind.parse(&text, data),
        };
        let understood = parsed.map_err(|why| {
            let Self { name, kind, .. } = self;
            Error::new(
                format!("The setting {name} in data.json cannot be `{text}`: {why}.").replace("?.", "?"),
            )
            .hint(format!("Allowed: {}. Correct it with `bwdc config {name} VALUE`.", kind.allowed()))
        })?;
        Ok(Some(understood).filter(|value| !value.is_null()))
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
                let preset = value.as_str().and_then(preset_named);
                data.set_in(section, key, value);
                for (setting, value) in preset.into_iter().flat_map(Preset::settings) {
                    if !is_own_filter(setting, setting.stored(data).and_then(Value::as_str))
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
                let mut identities = directories::ALL.iter().flat_map(|kind| kind.identity);
                let is_identity = identities.any(|setting| setting.place == self.place);
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
        general::DIRECTORY.put(&mut data, value);
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
            Type::Flag | Type::FlagOr(_) => "maybe",
            Type::Port | Type::Count => "65536",
            Type::Minutes => "4",
            Type::Length | Type::LengthOr(..) | Type::Day => "soon",
            Type::Limit => "101%",
            Type::Protected => "boss@example.org, group:",
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
            ("sync.removeMissing", "true", true.into()),
            ("sync.removeMissing", "no", false.into()),
            ("sync.removeMissing", "outofscope", "outOfScope".into()),
            ("sync.limitRemovals", " 5% ", "5%".into()),
            ("sync.limitInvites", "20", "20".into()),
            ("sync.grace", "0", "0".into()),
            ("sync.grace", "14d", "14d".into()),
            ("sync.reinvite", "OFF", "off".into()),
            ("sync.fullEvery", "1w", "1w".into()),
            (
                "sync.protect",
                "boss@example.org,group: Break glass",
                "boss@example.org,group: Break glass".into(),
            ),
            ("sync.protect", "", Value::Null),
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
            ("server.api", " bw.example.org / /", "https://bw.example.org".into()),
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
        assert!(data.section("directoryLdap").value("id").is_none());
        data.set_in("directoryLdap", "id", "0b9d8c7e-1111-4222-8333-444455556666");
        let id = |data: &Data| data.section("directoryLdap").value("id").cloned();
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
            "yes", " 389 ", "20s", "14d", "outOfScope", "25%", "boss@x.org, 17, group: Break glass", "include:a@x.org|exclude:b@x.org|orgUnitPath=/", "(&(cn=*)(!(ou=x)))", "https://vault.example.org/", "dc=a,dc=b | ou=x,dc=a",
            "dc1.example.org, [::1], 10.0.0.1", "@example.org", "pass show 'bwdc ldap' \"x\"", "userAccountControl, nsAccountLock", "mail;lang-en", "ldap", "null",
        ]), directory in prop::sample::select(vec!["ldap", "entra", "gsuite", "okta", "onelogin", "file"])) {
            let mut data = Data::default();
            general::DIRECTORY.put(&mut data, directory);
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
