//! Who was left out of the last import, beside `data.json`: by it a run tells who is newly left out.

use std::path::Path;

use bwdc_core::changes::LeftOut;
use serde::{Deserialize, Serialize};

use crate::files::{read_if_there, write_json};
use bwdc_core::error::Result;

const FILE: &str = "last-import.json";

/// Import, and the organization that it went into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastImport {
    /// Id of the organization.
    pub organization_id: String,
    /// People who were left out of it.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// Last import of a folder; `None` if there is none. It only serves to tell: one that cannot be read is as good as none.
pub(crate) fn load(folder: &Path) -> Option<LastImport> {
    let path = folder.join(FILE);
    let read = match read_if_there(&path) {
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
        Ok(None) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    read.unwrap_or_else(|why| {
        tracing::warn!("what was imported last is not known, {}: {why}", path.display());
        None
    })
}

/// Keeps the last import in a folder.
pub(crate) fn store(folder: &Path, import: &LastImport) -> Result<()> {
    write_json(&folder.join(FILE), import)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_last_import(bytes in damaged([
            r#"{"organizationId":"o","people":{"u1":"a@x.org","u2":null},"gone":["u3"],"groups":{"g":{"name":"Sales","count":2,"digest":"abc"}},"leftOut":["x"]}"#,
            r#"{"organizationId":"o"}"#,
        ])) {
            if let Ok(import) = serde_json::from_slice::<LastImport>(&bytes) {
                let again: LastImport = serde_json::from_slice(&serde_json::to_vec(&import).unwrap()).unwrap();
                prop_assert_eq!(again, import);
            }
        }
    }
}
