//! Where an instance keeps its files.

use std::path::{Path, PathBuf};

use super::env::{self, Environment};
use bwdc_core::error::{Error, Result};

const FOLDER: &str = "Bitwarden Directory Connector";
const BESIDE_BINARY: &str = "bitwarden-connector-appdata";

/// The folder of `data.json`: the first that applies, as the existing connector looks for it.
pub fn folder(environment: &Environment) -> Result<PathBuf> {
    let named = environment.path(env::APPDATA_DIR).or_else(|| environment.path(env::OLDER_APPDATA_DIR));
    let folder = match named.or_else(beside_binary) {
        Some(folder) => folder,
        None => platform_folder(environment)?.join(FOLDER),
    };
    std::path::absolute(&folder)
        .map(|path| path.components().collect())
        .map_err(|error| Error::new(format!("Finding the folder {}: {error}", folder.display())))
}

fn beside_binary() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.join(BESIDE_BINARY);
    folder.is_dir().then_some(folder)
}

fn platform_folder(environment: &Environment) -> Result<PathBuf> {
    let home = || environment.path(env::HOME);
    let folder = if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Application Support"))
    } else if cfg!(windows) {
        environment.path(env::APPDATA)
    } else {
        environment.path(env::XDG_CONFIG_HOME).or_else(|| home().map(|home| home.join(".config")))
    };
    folder.ok_or_else(|| {
        Error::new("There is no folder for data.json: no home folder is known, and none is set.")
            .hint(format!("Set {} to a folder.", env::APPDATA_DIR))
    })
}

/// Folder of what a service of this machine syncs, where the system has a place for that: on Windows.
pub fn of_machine(environment: &Environment) -> Option<PathBuf> {
    environment.path(env::PROGRAM_DATA).filter(|_| cfg!(windows)).map(|shared| shared.join("bwdc"))
}

/// Whether a folder is that of the machine, or in it. Windows takes large and small letters of a path for the same.
pub fn is_of_machine(environment: &Environment, folder: &Path) -> bool {
    let small = |path: &Path| PathBuf::from(path.to_string_lossy().to_lowercase());
    of_machine(environment).is_some_and(|machine| small(folder).starts_with(small(&machine)))
}

/// Folder of `data.json` of another user of this machine, of whom only the home is known.
pub fn in_home(home: &Path) -> PathBuf {
    let settings = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    home.join(settings).join(FOLDER)
}

/// A path from the configuration; a relative one starts at the folder of `data.json`.
pub fn resolve(folder: &Path, path: &str) -> PathBuf {
    folder.join(path)
}
