//! Where the files are.

use std::path::PathBuf;

/// A folder with `users.csv` or `users.json` and perhaps `groups.csv` or `groups.json`; or one `.json` file with both; or
/// one `.csv` file with people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder or file.
    pub path: PathBuf,
}
