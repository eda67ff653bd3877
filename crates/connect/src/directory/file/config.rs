//! Settings of a directory of files.

use std::path::PathBuf;

/// Folder with `users.csv` or `users.json` and optionally `groups.csv` or `groups.json`; or one `.json` file with both; or
/// one `.csv` file with people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Folder or file.
    pub path: PathBuf,
}
