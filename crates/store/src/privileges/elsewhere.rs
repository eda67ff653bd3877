//! Systems on which a program keeps the rights that it was started with.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

use super::ReferredFile;
use bwdc_core::error::{Error, Result};

/// User whom a folder belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process's own user.
    Ourselves,
    /// Another user, whom nobody can become here.
    Another(SystemUser),
}

/// User whom a process could become: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser(Infallible);

impl fmt::Display for SystemUser {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl SystemUser {
    /// Goes on as this user.
    pub fn run_this_program_again(&self, _variables: &[(&str, &Path)]) -> Error {
        match self.0 {}
    }
}

/// User to whom all these folders belong.
pub fn owner_of_all(_folders: &[PathBuf]) -> Result<Owner> {
    Ok(Owner::Ourselves)
}

/// Remedy where this user has no right to a path of another's: none is known.
pub fn cannot_as(_path: &Path) -> Option<String> {
    None
}

/// Refuses nothing: here a program keeps the rights that it was started with.
pub fn check_named(_named: ReferredFile<'_>, _file: &Path, _found_by: Option<&Path>) -> Result<()> {
    Ok(())
}

/// Refuses nothing, likewise.
pub fn check_program(_program: &Path) -> Result<()> {
    Ok(())
}

/// Refuses nothing, likewise.
pub fn check_link(_path: &Path) -> Result<()> {
    Ok(())
}
