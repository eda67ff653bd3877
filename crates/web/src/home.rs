//! What the page keeps in the folder of the configuration or of an instance, readable by its owner only: where it is served, the
//! one-time links that were made for it, and reports under way.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use bwdc_config::installation::WebRole;
use bwdc_core::error::{Error, Result, first_success};
use bwdc_store::files::{make_private, write_atomically};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::links::{Link, Links};

/// Folder of the page.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    /// Held by the page that is served for the folder.
    _lock: Option<File>,
}

/// Where the page is served now.
#[derive(Serialize, Deserialize)]
struct Served {
    url: String,
    process: u32,
}

impl Home {
    /// Makes the folder in the first of these that we may write to, unless a page is served for any of them. Removes the reports of a
    /// page that was killed.
    pub(crate) fn prepare(folders: &[PathBuf]) -> Result<Self> {
        folders.iter().try_for_each(|folder| Self::in_folder(folder).serves_nobody())?;
        let home = Self::make_first(folders)?;
        let home = Self { _lock: Some(home.lock()?), ..home };
        make(&home.links_folder())?;
        let reports = home.reports();
        if reports.exists() {
            fs::remove_dir_all(&reports).map_err(|error| cannot("Emptying", &reports, &error))?;
        }
        make(&reports)?;
        Ok(home)
    }

    fn make_first(folders: &[PathBuf]) -> Result<Self> {
        let made = |folder: &PathBuf| {
            let home = Self::in_folder(folder);
            make(&home.folder).map(|()| home)
        };
        first_success(folders.iter().map(made))
            .unwrap_or_else(|| Err(Error::new("No folder was given for the page.")))
    }

    fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.join("web"), _lock: None }
    }

    /// One page for a folder: a second one would take the reports of the first away.
    fn lock(&self) -> Result<File> {
        let path = self.lock_file();
        let file = File::create(&path).map_err(|error| cannot("Opening", &path, &error))?;
        make_private(&path)?;
        self.hold(&file)?;
        Ok(file)
    }

    /// Refuses where a page is served. Where we may not look, and where somebody else has made the folder, it is none of ours.
    fn serves_nobody(&self) -> Result<()> {
        if !is_ours(&self.folder) {
            return Ok(());
        }
        File::open(self.lock_file()).map_or(Ok(()), |file| self.hold(&file))
    }

    fn hold(&self, file: &File) -> Result<()> {
        match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::Error(error)) => Err(cannot("Locking", &self.lock_file(), &error)),
            Err(TryLockError::WouldBlock) => {
                let url = self.url().map(|served| format!(" at {}", served.url)).unwrap_or_default();
                Err(Error::new(format!("A page is served for this folder already{url}."))
                    .hint("Use that one: bwdc web open. Or end it first."))
            }
        }
    }

    fn url(&self) -> Option<Served> {
        serde_json::from_slice(&fs::read(self.served()).ok()?).ok()
    }

    /// Where a page is served from this folder that still runs. What another user has written there leads nowhere.
    fn running(&self) -> Option<Served> {
        if !is_ours(&self.folder) {
            return None;
        }
        self.url().filter(|served| is_running(served.process))
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn links_folder(&self) -> PathBuf {
        self.folder.join("links")
    }

    /// Folder of the reports.
    pub(crate) fn reports(&self) -> PathBuf {
        self.folder.join("reports")
    }

    pub(crate) fn links(&self) -> Links {
        Links::in_folder(self.links_folder())
    }

    fn served(&self) -> PathBuf {
        self.folder.join("served.json")
    }

    /// Tells `bwdc web open` where the page is.
    pub(crate) fn announce(&self, url: &str) -> Result<()> {
        let served = Served { url: url.to_owned(), process: std::process::id() };
        let text = serde_json::to_vec(&served).map_err(Error::new)?;
        write_atomically(&self.served(), &text)?;
        make_private(&self.served())
    }

    /// Takes that back.
    pub(crate) fn retire(&self) {
        let _ = fs::remove_file(self.served());
    }
}

/// Makes a one-time link to the page that is served from one of these folders, and returns its address.
///
/// # Errors
/// No page is served, or the folders belong to somebody else.
pub fn open_link(folders: &[PathBuf], role: WebRole, lasts: SignedDuration) -> Result<String> {
    let mut homes = folders.iter().map(|folder| Home::in_folder(folder));
    let (home, served) =
        homes.find_map(|home| home.running().map(|served| (home, served))).ok_or_else(|| nowhere(folders))?;
    let token = home.links().make(&Link::new(role, lasts))?;
    Ok(format!("{}/open?token={token}", served.url))
}

fn nowhere(folders: &[PathBuf]) -> Error {
    let folder = folders.first().map(|folder| folder.display().to_string()).unwrap_or_default();
    Error::new(format!("No page is served for {folder}."))
        .hint("Start it: bwdc web, or bwdc daemon --web ADDRESS. With instances elsewhere, name them: bwdc web open --appdata DIR.")
}

#[cfg(target_os = "linux")]
fn is_running(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[cfg(not(target_os = "linux"))]
fn is_running(_process: u32) -> bool {
    true
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| {
        cannot("Making", folder, &error)
            .hint("The user who serves the page must own the folder of bwdc.toml or of an instance.")
    })?;
    if !is_ours(folder) {
        return Err(Error::new(format!("{} is a link, or belongs to somebody else.", folder.display()))
            .hint("Remove it: the page makes a folder of its own there."));
    }
    only_ours(folder)
}

/// Whether it is a folder, and ours: no link of somebody who may write beside it.
#[cfg(unix)]
fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == own)
}

#[cfg(not(unix))]
fn is_ours(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir())
}

#[cfg(unix)]
fn only_ours(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|error| cannot("Closing to others", folder, &error))
}

#[cfg(not(unix))]
fn only_ours(_folder: &Path) -> Result<()> {
    Ok(())
}

fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{doing} {}: {error}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (instance, victim) = (place.path().join("instance"), place.path().join("victim"));
        fs::create_dir(&instance).unwrap();
        fs::create_dir_all(victim.join("reports")).unwrap();
        fs::write(victim.join("reports/precious"), "mine").unwrap();
        fs::write(victim.join("served.json"), "{\"url\":\"http://evil.example\",\"process\":1}").unwrap();
        std::os::unix::fs::symlink(&victim, instance.join("web")).unwrap();
        let folders = [instance];
        assert!(Home::prepare(&folders).unwrap_err().message.contains("is a link"));
        assert!(victim.join("reports/precious").exists() && !victim.join("lock").exists());
        let error = open_link(&folders, WebRole::Look, SignedDuration::from_secs(60)).unwrap_err();
        assert!(error.message.starts_with("No page is served"), "{error}");
    }
}
