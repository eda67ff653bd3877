//! A variable with the secret, or a variable or a setting that names a file with it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{DeclaredSecret, FoundSecret, SecretSource, cannot_read, not_empty, trimmed};
use crate::{Environment, place};
use bwdc_core::error::Result;
use bwdc_store::Data;

pub(super) fn find(environment: &Environment, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
    if let Some(secret) = environment.secret(declared.variable) {
        return Ok(Some(FoundSecret {
            secret,
            source: SecretSource::Variable(declared.variable.to_owned()),
        }));
    }
    let variable = declared.file_variable();
    let Some(path) = environment.path(&variable) else { return Ok(None) };
    in_file(path, format!("the variable {variable}"), declared).map(Some)
}

/// The same in a file that a setting names.
pub(super) fn find_by_setting(
    data: &Data,
    folder: &Path,
    declared: &DeclaredSecret,
) -> Result<Option<FoundSecret>> {
    let Some(path) = declared.file.stored(data).and_then(Value::as_str) else {
        return Ok(None);
    };
    in_file(place::resolve(folder, path), format!("the setting {}", declared.file.name), declared).map(Some)
}

fn in_file(path: PathBuf, named_by: String, declared: &DeclaredSecret) -> Result<FoundSecret> {
    let text = bwdc_store::files::read_text(&path).map_err(|error| {
        let remedy =
            format!("It is named by {named_by}: correct that, or let the user who runs bwdc read the file.");
        cannot_read(declared, &path, error).hint(remedy)
    })?;
    not_empty(trimmed(text), SecretSource::File { path, named_by }, declared)
}
