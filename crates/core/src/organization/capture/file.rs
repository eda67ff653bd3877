//! The file of `bwdc snapshot`: a redacted capture, its form, and a digest by which damage shows.

use std::fmt;

use serde_json::{Map, Value};

use super::{Capture, Pseudonyms};
use crate::organization::roster::{Basis, Kind};
use crate::text::counted;
use crate::text::digest;

/// The form of the file.
pub const VERSION: u64 = 1;

/// Reasons why a text is not a snapshot that can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is something else.
    #[error("it is not a snapshot of bwdc")]
    Foreign,
    /// A later version of the program made it.
    #[error("its form is {0}, and this version of bwdc knows {VERSION}")]
    Version(u64),
    /// It is cut off, or somebody changed it.
    #[error("it is damaged or was changed after it was made")]
    Damaged,
    /// Its parts are not what they should be.
    #[error("it is damaged (line {line}, column {column})")]
    Malformed {
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
}

impl Capture {
    /// Text of a file with everything redacted.
    ///
    /// # Errors
    /// Never of what was read: only what JSON cannot express fails.
    pub fn written(&self, pseudonyms: &Pseudonyms) -> serde_json::Result<String> {
        let mut value = serde_json::to_value(self.redacted(pseudonyms))?;
        if let Some(map) = value.as_object_mut() {
            map.insert("object".to_owned(), "snapshot".into());
            map.insert("version".to_owned(), VERSION.into());
            let seal = seal(map);
            map.insert("seal".to_owned(), seal.into());
        }
        let mut text = serde_json::to_string(&value)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is none, one of a later version, or not as it was made.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| unreadable(text, &error))?;
        let map = value.as_object_mut().ok_or(Unreadable::Foreign)?;
        if map.get("object").and_then(Value::as_str) != Some("snapshot") {
            return Err(Unreadable::Foreign);
        }
        match map.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => return Err(Unreadable::Version(version)),
            None => return Err(Unreadable::Foreign),
        }
        let before = map.remove("seal");
        if before.as_ref().and_then(Value::as_str) != Some(seal(map).as_str()) {
            return Err(Unreadable::Damaged);
        }
        // Of the text: to read it of the value would be the same code once more.
        serde_json::from_slice(text.as_bytes()).map_err(|_| Unreadable::Damaged)
    }

    /// What it holds, in numbers.
    pub fn holds(&self) -> Holds {
        let snapshots = || self.directories.iter().map(|directory| &directory.snapshot);
        Holds {
            people: snapshots().map(|snapshot| snapshot.users.len() + snapshot.others.len()).sum(),
            groups: snapshots().map(|snapshot| snapshot.groups.len()).sum(),
            directories: self.directories.len(),
            members: self.roster.members().count(),
            kind: self.roster.kind,
            basis: self.roster.basis,
        }
    }
}

/// Text that does not parse: cut off or changed if it begins like an object, else something else.
fn unreadable(text: &str, error: &serde_json::Error) -> Unreadable {
    if text.trim_start().starts_with('{') {
        Unreadable::Malformed { line: error.line(), column: error.column() }
    } else {
        Unreadable::Foreign
    }
}

fn seal(map: &Map<String, Value>) -> String {
    digest(map.iter().map(|(key, value)| format!("{key}{value}")))
}

/// Contents of a capture, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// People of the directories.
    pub people: usize,
    /// Groups of the directories.
    pub groups: usize,
    /// Directories.
    pub directories: usize,
    /// Members of the organization.
    pub members: usize,
    /// Kind of server.
    pub kind: Kind,
    /// Source of what is known of the organization.
    pub basis: Basis,
}

impl fmt::Display for Holds {
    /// 3 people, 2 groups, 1 directory, and 4 members of an official server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, groups, directories, members, kind, basis } = *self;
        let server = match (kind, basis) {
            (Kind::Official, Basis::Live) => "of an official server",
            (Kind::Official, Basis::Ledger) => "that the ledger knows of a server without a Public API",
            (Kind::Vaultwarden, _) => "that the ledger knows of a Vaultwarden",
        };
        write!(
            f,
            "{}, {}, {}, and {} {server}",
            counted(people, "person", "people"),
            counted(groups, "group", "groups"),
            counted(directories, "directory", "directories"),
            counted(members, "member", "members"),
        )
    }
}
