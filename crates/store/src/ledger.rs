//! The ledger of an organization, beside `data.json`: one file for each organization that the folder was ever synced into. In a merge
//! each folder has it, so that it survives the merge's end.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Result};
use bwdc_core::organization::Ledger;
use bwdc_core::organization::ledger::VERSION;
use serde::{Deserialize, Serialize};

use crate::files::{cannot, read_whole, write_json};

/// A ledger as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptLedger {
    /// Number of times that it was written: of several copies the highest is the latest.
    pub revision: u64,
    /// The ledger.
    pub ledger: Ledger,
}

/// What is read first, since a later form may have other contents.
#[derive(Deserialize)]
struct Form {
    ledger: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// File of an organization. Ids are UUIDs; whatever else somebody wrote as one leads to no other folder.
fn path(folder: &Path, organization_id: &str) -> PathBuf {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let plain: String = organization_id.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect();
    folder.join(format!("ledger-{plain}.json"))
}

/// Ledger of an organization in a folder; `None` if there is none yet.
pub(crate) fn load(folder: &Path, organization_id: &str) -> Result<Option<KeptLedger>> {
    let path = path(folder, organization_id);
    match read_whole(&path) {
        Ok(bytes) => understood(&path, &bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("Reading", &path, &error)),
    }
}

fn understood(path: &Path, bytes: &[u8]) -> Result<KeptLedger> {
    let damaged = |error: serde_json::Error| {
        Error::new(format!("The file {} is damaged: {error}. It was left as it is.", path.display())).hint(
            "Restore it from a backup. Or move it away: the next sync makes it anew, but it does not know who left before, and \
             sends everything once. Look at `bwdc plan` first.",
        )
    };
    match serde_json::from_slice::<KeptLedger>(bytes) {
        Ok(kept) if kept.ledger.version <= VERSION => Ok(kept),
        Ok(kept) => Err(newer(path, kept.ledger.version)),
        Err(error) => match serde_json::from_slice::<Form>(bytes) {
            Ok(form) if form.ledger.version > VERSION => Err(newer(path, form.ledger.version)),
            _ => Err(damaged(error)),
        },
    }
}

fn newer(path: &Path, version: u32) -> Error {
    Error::new(format!(
        "The file {} was written by a later version of bwdc (form {version}, this one knows {VERSION}). It was left as it is.",
        path.display()
    ))
    .hint("Install that version again: bwdc update.")
}

/// Keeps a ledger in a folder. On the disk when it returns.
pub(crate) fn store(folder: &Path, organization_id: &str, kept: &KeptLedger) -> Result<()> {
    write_json(&path(folder, organization_id), kept)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ledger_comes_back_and_a_later_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), None);
        let kept = KeptLedger { revision: 3, ledger: Ledger::default() };
        store(folder.path(), "o", &kept).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(kept));
        assert_eq!(load(folder.path(), "another").unwrap(), None);
        let later = br#"{"revision":1,"ledger":{"version":9,"people":[]}}"#;
        let error = understood(Path::new("/srv/ledger-o.json"), later).unwrap_err();
        assert!(error.message.contains("later version of bwdc (form 9"), "{error}");
        assert_eq!(path(Path::new("/srv"), "../x"), Path::new("/srv/ledger-___x.json"));
    }

    proptest! {
        #![proptest_config(few())]

        /// A damaged ledger is never taken for an empty one.
        #[test]
        fn fuzz_ledger(bytes in damaged([
            r#"{"revision":1,"ledger":{"version":1,"due":"changes","people":{"u1":{"email":"a@x.org","standing":"in","ids":{"u1":{"first":1,"last":2}}}},"groups":{"g":{"name":"G","members":["u1"]}}}}"#,
        ])) {
            match understood(Path::new("/srv/ledger-o.json"), &bytes) {
                Ok(kept) => {
                    let again = understood(Path::new("x"), &serde_json::to_vec(&kept).unwrap()).unwrap();
                    prop_assert_eq!(again, kept);
                }
                Err(error) => bwdc_testkit::harmless(&error, bytes.len())?,
            }
        }
    }
}
