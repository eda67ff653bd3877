//! What the page keeps in the folder of the configuration, readable by its owner only: where it is served, the one-time links that
//! were made for it, and reports under way.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use bwdc_config::installation::WebRole;
use bwdc_core::error::{Error, Result};
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
    /// Makes the folder, and removes the reports of a page that was killed.
    pub(crate) fn prepare(folder: &Path) -> Result<Self> {
        let home = Self::in_folder(folder);
        make(&home.folder)?;
        let home = Self { _lock: Some(home.lock()?), ..home };
        make(&home.links_folder())?;
        let reports = home.reports();
        if reports.exists() {
            fs::remove_dir_all(&reports).map_err(|error| cannot("Emptying", &reports, &error))?;
        }
        make(&reports)?;
        Ok(home)
    }

    fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.join("web"), _lock: None }
    }

    /// One page for a folder: a second one would take the reports of the first away.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(|error| cannot("Opening", &path, &error))?;
        make_private(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::Error(error)) => Err(cannot("Locking", &path, &error)),
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

/// Makes a one-time link to the page that is served for this folder, and returns its address.
///
/// # Errors
/// No page is served, or the folder belongs to somebody else.
pub fn open_link(folder: &Path, role: WebRole, lasts: SignedDuration) -> Result<String> {
    let home = Home::in_folder(folder);
    let nowhere = || {
        Error::new(format!("No page is served for {}.", folder.display()))
            .hint("Start it: bwdc web, or bwdc daemon --web ADDRESS. With instances elsewhere, name them: bwdc web open --appdata DIR.")
    };
    let Ok(text) = fs::read(home.served()) else { return Err(nowhere()) };
    let served: Served = serde_json::from_slice(&text).map_err(|_| nowhere())?;
    if !is_running(served.process) {
        return Err(nowhere());
    }
    let token = home.links().make(&Link::new(role, lasts))?;
    Ok(format!("{}/open?token={token}", served.url))
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
            .hint("The user who serves the page must own the folder of the configuration.")
    })?;
    only_ours(folder)
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
