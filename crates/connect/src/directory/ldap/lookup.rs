//! Look-up of one entry below the bases, without the administrator's filter.

use jiff::Timestamp;

use super::client::Connection;
use super::config::{Config, Flavour, Identity, SearchSettings};
use super::convert::{self, EntryState, OBJECT_GUID, UID};
use super::filter::escaped;
use super::names::Names;
use super::request::SearchRequest;
use super::wire::{Depth, Entry};
use super::{Ldap, unique};
use crate::Result;
use crate::directory::lookup::{ClauseCheck, ClauseOutcome, RawAttribute, Sighted, Sighting};

/// Names by which an administrator knows an entry.
const NAMES: [&str; 5] = ["cn", "displayName", UID, "sAMAccountName", "userPrincipalName"];
/// An entry's own DN in Active Directory. Elsewhere `member` is a kind of it (RFC 4519, section 2.17), and would match too.
const DN_OF_ACTIVE_DIRECTORY: &str = "distinguishedName";
/// An entry's own DN (RFC 5020).
const DN: &str = "entryDN";
/// Shown besides those that decide.
const SHOWN: [&str; 2] = ["objectClass", "displayName"];
/// Entries of one name beyond which nothing is learnt.
const MOST: usize = 20;

impl Ldap {
    /// Finds entries by address, id, name or DN.
    pub(super) async fn sightings(&self, text: &str) -> Result<Vec<Sighting>> {
        let (this, _) = self.reachable().await?;
        let bases = this.user_bases().into_iter().chain(this.group_bases());
        let mut found: Vec<Sighting> = Vec::new();
        for base in unique(bases) {
            let request = SearchRequest {
                what: "one entry",
                base: base.to_owned(),
                scope: Depth::Subtree,
                filter: by_any_name(text, &this.config),
                attributes: attributes(&this.config),
                controls: Vec::new(),
            };
            let mut connection = Connection::open(&this.config).await?;
            let now = Timestamp::now();
            connection
                .search(&request, |record| {
                    let is_new = found.iter().all(|known| known.at != record.dn());
                    if is_new && found.len() < MOST {
                        found.push(sighting(record, &this.config, now));
                    }
                    Ok(())
                })
                .await?;
            connection.close().await;
        }
        for sighting in &mut found {
            sighting.clauses = this.clauses_of(&sighting.at).await?;
        }
        Ok(found)
    }

    /// Asks the server whether an entry matches each part of the searches.
    async fn clauses_of(&self, dn: &str) -> Result<Vec<ClauseCheck>> {
        let mut connection = Connection::open(&self.config).await?;
        let mut checks = Vec::new();
        for (class, own, search) in [
            ("sync.userObjectClass", "sync.userFilter", &self.config.users),
            ("sync.groupObjectClass", "sync.groupFilter", &self.config.groups),
        ] {
            let of_class = search.without_filter().filter();
            let is_of_class = matches(&mut connection, dn, &of_class).await?;
            checks.push(ClauseCheck { setting: class, clause: of_class, outcome: is_of_class });
            if is_of_class == ClauseOutcome::Fails {
                continue;
            }
            for clause in parts(search) {
                let outcome = matches(&mut connection, dn, clause).await?;
                checks.push(ClauseCheck { setting: own, clause: clause.to_owned(), outcome });
            }
        }
        connection.close().await;
        Ok(checks)
    }
}

async fn matches(connection: &mut Connection<'_>, dn: &str, filter: &str) -> Result<ClauseOutcome> {
    let request = SearchRequest {
        what: "one entry",
        base: dn.to_owned(),
        scope: Depth::Base,
        filter: filter.to_owned(),
        attributes: super::nothing(),
        controls: Vec::new(),
    };
    let (found, _) = connection.exists(&request).await?;
    Ok(if found { ClauseOutcome::Matches } else { ClauseOutcome::Fails })
}

/// Parts of the administrator's filter that an entry must match, all of them.
fn parts(search: &SearchSettings) -> Vec<&str> {
    search.filter.as_deref().map(|filter| conjuncts(filter.trim())).unwrap_or_default()
}

/// Parts of an `&`, or the filter itself. A bracket within a value is escaped (RFC 4515), so every other one nests.
fn conjuncts(filter: &str) -> Vec<&str> {
    let Some(inner) = filter.strip_prefix("(&").and_then(|rest| rest.strip_suffix(')')) else {
        return vec![filter];
    };
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in inner.char_indices() {
        match character {
            '(' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    parts.push(&inner[start..=at]);
                }
            }
            _ => {}
        }
    }
    parts
}

/// Filter for entries that have the text as an address, an id, a name or a DN.
fn by_any_name(text: &str, config: &Config) -> String {
    let value = escaped(text.trim());
    let mut names: Vec<&str> = vec![&config.attributes.email, &config.attributes.group_name];
    names.extend(NAMES);
    names.push(match config.flavour {
        Flavour::ActiveDirectory => DN_OF_ACTIVE_DIRECTORY,
        Flavour::Generic => DN,
    });
    if let Identity::Attribute(name) = &config.identity {
        names.push(name);
    }
    let mut filter: String =
        unique(names.into_iter()).iter().map(|name| format!("({name}={value})")).collect();
    filter.extend(guid(text).map(|guid| format!("({OBJECT_GUID}={guid})")));
    if let Some(made) = &config.attributes.made_email
        && let Some(prefix) = text.trim().to_lowercase().strip_suffix(&made.suffix.to_lowercase())
    {
        filter.push_str(&format!("({}={})", made.prefix_attribute, escaped(prefix)));
    }
    format!("(|{filter})")
}

/// Octets of a GUID as the filter has them; the first three fields are little-endian (MS-DTYP, section 2.3.4.2).
fn guid(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    Some(order.iter().map(|at| format!("\\{}", &digits[2 * at..2 * at + 2])).collect())
}

/// Attributes that decide, without members.
fn attributes(config: &Config) -> Vec<String> {
    let members = convert::member_values(config);
    let mut names = convert::user_attributes(config, members);
    names.extend(convert::group_attributes(config));
    names.extend(SHOWN.map(str::to_owned));
    names.extend([UID.to_owned()]);
    let is_member = |name: &String| name.eq_ignore_ascii_case(&config.attributes.member);
    names.retain(|name| !is_member(name) && !is_secret(name));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.to_lowercase()));
    names
}

/// Whether an attribute is a password or made of one, so that nobody ever prints it.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_time = name == "pwdaccountlockedtime";
    !is_time
        && ["password", "pwd", "secret", "krbprincipalkey", "authpassword"]
            .iter()
            .any(|word| name.contains(word))
}

fn sighting(record: &Entry<'_>, config: &Config, now: Timestamp) -> Sighting {
    let person = convert::person(record, config, EntryState::Living, now, &Names::default()).ok();
    let shown = record.attributes().filter(|found| !is_secret(&found.description()));
    let attributes = shown.map(|found| RawAttribute {
        name: found.description().into_owned(),
        values: found.values.map(shown_value).collect(),
    });
    let marks = config.disabled_by.iter().filter_map(|mark| {
        let value = record.text(mark.attribute())?;
        mark.says_so(&value, now).then(|| format!("{}={value}", mark.attribute()))
    });
    Sighting {
        id: person.map(|person| person.user.external_id),
        kind: Sighted::Either,
        at: record.dn().into_owned(),
        attributes: attributes.collect(),
        clauses: Vec::new(),
        disabled_by: marks.collect(),
    }
}

/// A value as text; of one that is none, the octets.
fn shown_value(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => value.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_falls_into_the_parts_that_must_all_match() {
        assert_eq!(
            conjuncts("(&(a=1)(|(b=2)(c=3))(!(d=\\28x)))"),
            ["(a=1)", "(|(b=2)(c=3))", "(!(d=\\28x))"]
        );
        assert_eq!(conjuncts("(|(a=1)(b=2))"), ["(|(a=1)(b=2))"]);
        assert_eq!(conjuncts("(a=1)"), ["(a=1)"]);
    }

    #[test]
    fn a_guid_is_looked_for_by_its_octets() {
        let filter = guid("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(filter, "\\33\\22\\11\\00\\55\\44\\77\\66\\88\\99\\aa\\bb\\cc\\dd\\ee\\ff");
        assert_eq!(guid("0011"), None);
        assert_eq!(guid("é0112233445566778899aabbccddeef"), None);
    }

    #[test]
    fn no_password_is_asked_for() {
        for name in ["userPassword", "unicodePwd", "sambaNTPassword", "ms-Mcs-AdmPwd", "krbPrincipalKey"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("pwdAccountLockedTime") && !is_secret("mail"));
    }
}
