//! Systems on which a program keeps the rights that it was started with.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Result};

/// Whom a folder belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Ourselves,
    Another(User),
}

/// Nobody whom a process could become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(Infallible);

impl fmt::Display for User {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl User {
    pub(crate) fn run_this_program_again(&self, _variables: &[(&str, &Path)]) -> Error {
        match self.0 {}
    }
}

pub(crate) fn owner_of_all(_folders: &[PathBuf]) -> Result<Owner> {
    Ok(Owner::Ourselves)
}

pub(crate) fn cannot_as(_path: &Path) -> Option<String> {
    None
}

pub(crate) fn check_commands_of(_data_file: &Path, _found_by: Option<&Path>) -> Result<()> {
    Ok(())
}

pub(crate) fn check_link(_path: &Path) -> Result<()> {
    Ok(())
}
