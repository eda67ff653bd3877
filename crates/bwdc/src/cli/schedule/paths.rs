//! Folders and programs as schedulers are given them: whole, and as text.

use std::path::{Path, PathBuf};

use bwdc_config::{Environment, place};
use bwdc_core::error::{Error, Result};

pub(in crate::cli) fn folders(
    environment: &Environment,
    given: &[PathBuf],
    other_home: Option<PathBuf>,
) -> Result<Vec<String>> {
    let folders = match (given, other_home) {
        ([], None) => vec![place::folder(environment)?],
        ([], Some(home)) => vec![place::in_home(&home)],
        (given, _) => given.to_vec(),
    };
    let mut all = Vec::new();
    for folder in folders {
        let text = whole(&folder)?;
        if !all.contains(&text) {
            all.push(text);
        }
    }
    Ok(all)
}

/// A path from the root on, as text: as schedulers are given it.
pub(in crate::cli) fn whole(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::new(format!("Finding {}: {error}", path.display())))?;
    let path: PathBuf = absolute.components().collect();
    let text = path
        .to_str()
        .ok_or_else(|| Error::new(format!("The name {} is not UTF-8.", path.display())).hint("Rename it."))?;
    Ok(text.to_owned())
}

pub(in crate::cli) fn program(given: Option<&PathBuf>) -> Result<String> {
    let path = match given {
        Some(path) => std::path::absolute(path),
        None => std::env::current_exe(),
    };
    path.map(|path| path.display().to_string()).map_err(|error| {
        Error::new(format!("Finding the program: {error}")).hint("Give its path with --program.")
    })
}
