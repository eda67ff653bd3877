//! Look-up of one person or group by address, id, name or DN, whatever the administrator's filter says: the attributes that decide.

use bwdc_core::entry::ExternalId;

use crate::{ErrorKind, Result};

/// Entry that a directory has by a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Id by which the organization would know it.
    pub id: Option<ExternalId>,
    /// What it is.
    pub kind: Sighted,
    /// DN, file and line, or the vendor's id.
    pub at: String,
    /// Attributes that decide, never secrets.
    pub attributes: Vec<RawAttribute>,
    /// Parts of the search that were tried on the entry alone.
    pub clauses: Vec<ClauseCheck>,
    /// Attributes that mark it as disabled, with their values.
    pub disabled_by: Vec<String>,
}

/// What an entry is. People and groups may have the same ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighted {
    /// A person.
    Person,
    /// A group.
    Group,
    /// One or the other: the directory does not tell.
    Either,
}

/// Attribute as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAttribute {
    /// Name.
    pub name: String,
    /// Values, as text.
    pub values: Vec<String>,
}

/// Whether an entry matches a part of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseCheck {
    /// Setting that the part comes from.
    pub setting: &'static str,
    /// Part of the filter.
    pub clause: String,
    /// Outcome.
    pub outcome: ClauseOutcome,
}

/// Outcome of a part of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClauseOutcome {
    /// The entry matches.
    Matches,
    /// It does not.
    Fails,
}

/// A text that is looked for, compared without regard to case and outer blanks.
pub(super) struct Wanted(String);

impl Wanted {
    pub(super) fn of(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    pub(super) fn is(&self, other: &str) -> bool {
        other.trim().to_lowercase() == self.0
    }

    pub(super) fn is_any(&self, others: &[Option<&str>]) -> bool {
        others.iter().flatten().any(|other| self.is(other))
    }
}

/// Person of a list without clauses: id, attributes, and what marks the account as disabled.
pub(super) fn person(id: &str, attributes: Vec<RawAttribute>, disabled_by: Option<String>) -> Sighting {
    Sighting {
        id: Some(id.into()),
        kind: Sighted::Person,
        at: id.to_owned(),
        attributes,
        clauses: Vec::new(),
        disabled_by: disabled_by.into_iter().collect(),
    }
}

/// Group of a list.
pub(super) fn group(id: &str, attributes: Vec<RawAttribute>) -> Sighting {
    Sighting { kind: Sighted::Group, ..person(id, attributes, None) }
}

/// People and groups. Credentials of an instance that imports no groups need not be allowed to read any.
pub(super) fn people_and_groups(
    people: Result<Vec<Sighting>>,
    groups: Result<Vec<Sighting>>,
) -> Result<Vec<Sighting>> {
    let mut found = people?;
    match groups {
        Ok(groups) => found.extend(groups),
        Err(error) if error.kind() == ErrorKind::Credentials => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// A text in quotes, as in the vendor's filters, with these signs escaped by another one before them.
pub(super) fn quoted(text: &str, quote: char, escaped: &[char], escape: char) -> String {
    let mut written = String::from(quote);
    for letter in text.trim().chars() {
        if escaped.contains(&letter) {
            written.push(escape);
        }
        written.push(letter);
    }
    written.push(quote);
    written
}

/// Attribute with at most one value.
pub(super) fn attribute(name: &str, value: Option<impl ToString>) -> RawAttribute {
    RawAttribute { name: name.to_owned(), values: value.iter().map(ToString::to_string).collect() }
}
