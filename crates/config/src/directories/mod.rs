//! The kinds of directory: a file for each, and its line here.

pub mod entra;
pub mod file;
pub mod google;
mod key_file;
pub mod ldap;
pub mod okta;
pub mod onelogin;

use bwdc_core::error::{Error, Result};
use bwdc_store::Data;
use serde_json::Value;

use crate::kinds::DirectoryKind;
use crate::setting;
use crate::settings::general;

/// All kinds, in the order in which their settings are shown.
pub(crate) const ALL: &[&DirectoryKind] =
    &[&file::KIND, &ldap::KIND, &entra::KIND, &google::KIND, &okta::KIND, &onelogin::KIND];

/// Names of all; first those that the existing connector knows.
pub fn names() -> Vec<&'static str> {
    let (declared, own): (Vec<&DirectoryKind>, Vec<&DirectoryKind>) =
        ALL.iter().partition(|kind| kind.number.is_some());
    declared.into_iter().chain(own).map(|kind| kind.name).collect()
}

/// The kind that was typed, by name or number.
pub(crate) fn named(typed: &str) -> Option<&'static DirectoryKind> {
    let typed = typed.to_lowercase();
    ALL.iter()
        .copied()
        .find(|kind| kind.name == typed || kind.number.is_some_and(|number| number.to_string() == typed))
}

/// The kind of directory that is configured.
pub fn of(data: &Data) -> Result<&'static DirectoryKind> {
    match general::DIRECTORY.stored(data) {
        None => {
            let others: Vec<_> = names().into_iter().filter(|name| *name != ldap::KIND.name).collect();
            Err(Error::new("No directory is configured.").hint(format!(
                "Run `bwdc init`, or choose one with `bwdc config directory ldap` (or {}).",
                others.join(", ")
            )))
        }
        Some(value) => stored(value).ok_or_else(|| {
            Error::new(format!("The directory type {value} is unknown."))
                .hint("Set it with `bwdc config directory ldap` or another of: 0-4, ldap, file.")
        }),
    }
}

fn stored(value: &Value) -> Option<&'static DirectoryKind> {
    let text = setting::text(value);
    named(&text).filter(|_| text == text.to_lowercase())
}

impl DirectoryKind {
    /// The value by which it stands in `data.json`.
    pub(crate) fn value(&self) -> Value {
        self.number.map_or_else(|| self.name.into(), Value::from)
    }
}
