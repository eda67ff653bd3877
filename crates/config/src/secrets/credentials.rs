//! systemd's credentials: a file each in `$CREDENTIALS_DIRECTORY`, from `LoadCredential=` or `SetCredentialEncrypted=` in
//! the unit (systemd.exec(5)).

use std::io::ErrorKind;

use super::{DeclaredSecret, FoundSecret, SecretSource, cannot_read, not_empty, trimmed};
use crate::{Environment, env};
use bwdc_core::error::Result;

pub(super) fn find(environment: &Environment, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
    let Some(folder) = environment.path(env::CREDENTIALS_DIRECTORY) else { return Ok(None) };
    let path = folder.join(declared.name);
    match bwdc_store::files::read_text(&path) {
        Ok(text) => not_empty(trimmed(text), SecretSource::Credential(path), declared).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot_read(declared, &path, error)
            .hint("Check LoadCredential= in the unit, and that bwdc runs as the unit's user.")),
    }
}
