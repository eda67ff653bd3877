//! Who was in the directory at the last complete read, beside `data.json`: the addresses of people whose tombstones
//! have lost theirs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bwdc_core::known::KnownPeople;

use super::file::{cannot, write_atomically};
use crate::error::{Error, Result};

const FILE: &str = "known-people.json";

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Empty if there is no such file yet.
pub(crate) fn load(folder: &Path) -> Result<KnownPeople> {
    let path = path(folder);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(KnownPeople::default()),
        Err(error) => return Err(cannot("Reading", &path, &error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(format!("The file {} is damaged: {error}. It was left as it is.", path.display()))
            .hint("Move it away: it is made anew by the next complete read.")
    })
}

pub(crate) fn store(folder: &Path, known: &KnownPeople) -> Result<()> {
    let path = path(folder);
    let text = serde_json::to_vec(known)
        .map_err(|error| Error::new(format!("Writing {}: {error}", path.display())))?;
    write_atomically(&path, &text)
}
