//! A variable with the secret, or one that names a file with it.

use super::{Found, Known, Source, cannot_read, not_empty, trimmed};
use crate::config::Environment;
use crate::error::Result;

pub(super) fn find(environment: &Environment, known: &Known) -> Result<Option<Found>> {
    if let Some(secret) = environment.secret(known.variable) {
        return Ok(Some(Found { secret, source: Source::Variable(known.variable.to_owned()) }));
    }
    let variable = known.file_variable();
    let Some(path) = environment.path(&variable) else { return Ok(None) };
    let text = crate::state::read_text(&path).map_err(|error| {
        cannot_read(known, &path, error).hint(format!(
            "The variable {variable} names this file: correct it, or let the user who runs bwdc read the file."
        ))
    })?;
    not_empty(trimmed(text), Source::File { path, variable }, known).map(Some)
}
