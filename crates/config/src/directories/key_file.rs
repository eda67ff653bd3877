//! A private key in a file of its own.

use std::path::Path;

use bwdc_core::Secret;

use crate::place;
use bwdc_core::error::{Error, Result};
use bwdc_store::files::too_open;

/// A private key, and where it is from.
pub(super) struct PrivateKeyFile {
    pub(super) text: Secret,
    /// For messages: the setting and the path.
    pub(super) named: String,
    /// What to say on every run.
    pub(super) warnings: Vec<String>,
}

/// Reads the file that a setting names; a relative path starts at the folder of `data.json`.
pub(super) fn read(setting: &str, folder: &Path, path: &str) -> Result<PrivateKeyFile> {
    let path = place::resolve(folder, path);
    let named = format!("{setting} ({})", path.display());
    let failed = |error: std::io::Error| {
        Error::new(format!("Reading {named}: {error}"))
            .hint("A relative path starts at the folder of data.json; the user who runs bwdc must be able to read the file.")
    };
    let text = bwdc_store::files::read_text(&path).map_err(failed)?;
    let mode = std::fs::metadata(&path).ok().and_then(|metadata| too_open(&metadata));
    let warning = |mode| {
        format!("Others than its owner can read {named} (mode {mode:o}). Run: chmod 600 '{}'", path.display())
    };
    let warnings = mode.map(warning).into_iter().collect();
    Ok(PrivateKeyFile { text: Secret::from(text), warnings, named })
}
