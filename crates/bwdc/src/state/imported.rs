//! What was imported last, beside `data.json`: by it a run tells who is new and who has left.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bwdc_core::changes::Imported;
use serde::{Deserialize, Serialize};

use super::file::write_atomically;
use crate::error::{Error, Result};

const FILE: &str = "last-import.json";

/// An import, and into which organization it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastImport {
    pub(crate) organization_id: String,
    #[serde(flatten)]
    pub(crate) imported: Imported,
}

/// `None` if nobody has kept it. It only serves to tell: one that cannot be read is as good as none.
pub(crate) fn load(folder: &Path) -> Option<LastImport> {
    let path = folder.join(FILE);
    let read = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    read.unwrap_or_else(|why| {
        tracing::warn!("what was imported last is not known, {}: {why}", path.display());
        None
    })
}

pub(crate) fn store(folder: &Path, import: &LastImport) -> Result<()> {
    let path = folder.join(FILE);
    let text = serde_json::to_vec(import)
        .map_err(|error| Error::new(format!("Writing {}: {error}", path.display())))?;
    write_atomically(&path, &text)
}
