//! Who was in the directory at the last complete read, as releases without a ledger kept it beside `data.json`: the first ledger is
//! made of it.

use std::path::{Path, PathBuf};

use bwdc_core::known::KnownPeople;

use crate::files::{cannot, read_if_there, remove_if_there};
use bwdc_core::error::{Error, Result};

const FILE: &str = "known-people.json";

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// People known in a folder; empty if there is no such file yet.
pub(crate) fn load(folder: &Path) -> Result<KnownPeople> {
    let path = path(folder);
    match read_if_there(&path).map_err(|error| cannot("Reading", &path, &error))? {
        Some(bytes) => understood(&path, &bytes),
        None => Ok(KnownPeople::default()),
    }
}

fn understood(path: &Path, bytes: &[u8]) -> Result<KnownPeople> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::new(format!("The file {} is damaged: {error}. It was left as it is.", path.display()))
            .hint("Move it away: then nobody who left the directory before the next sync is removed by it.")
    })
}

/// Removes the file.
pub(crate) fn forget(folder: &Path) -> Result<()> {
    remove_if_there(&path(folder))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        /// Somebody known stays known.
        #[test]
        fn fuzz_known_people(bytes in damaged([
            r#"{"population":"ldap dc=x","people":{"u1":"a@x.org","u2":null},"imported_as":{"u1":"o1"}}"#,
            r#"{"u1":"a@x.org","u2":"b@x.org"}"#,
            "{}",
        ])) {
            match understood(Path::new("/srv/known-people.json"), &bytes) {
                Ok(known) => {
                    let again = understood(Path::new("x"), &serde_json::to_vec(&known).unwrap()).unwrap();
                    prop_assert_eq!(again, known);
                }
                Err(error) => {
                    bwdc_testkit::harmless(&error, bytes.len())?;
                    prop_assert!(error.message.contains("known-people.json is damaged"));
                }
            }
        }
    }
}
