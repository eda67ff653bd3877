//! A file that cannot be replaced: `data.json` alone is mounted into a container, so that a rename over it answers "busy"
//! (rename(2), EBUSY). It is written where it is. Before that, the whole new content stands on the disk beside it: if the
//! process or the machine ends half-way, the copy is what counts, and the next change writes it again.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{cannot, read_regular, sync_folder, target};
use bwdc_core::error::Result;

/// Put behind the file's name.
const COPY: &str = ".new";

fn copy(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(COPY);
    name.into()
}

/// Whether a rename failed because the file is a mount of its own.
pub(crate) fn is_fixed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices)
}

/// Writes what stands in `new`, and is on the disk, over the target.
pub(crate) fn write(new: NamedTempFile, target: &Path, content: &[u8]) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let copy = copy(target);
    new.persist(&copy).map_err(|error| error.error)?;
    sync_folder(folder)?;
    let mut file = OpenOptions::new().write(true).open(target)?;
    file.write_all(content)?;
    file.set_len(u64::try_from(content.len()).unwrap_or(u64::MAX))?;
    file.sync_all()?;
    forget(target)?;
    sync_folder(folder)
}

/// The file has its content: a copy beside it says nothing any more.
pub(crate) fn forget(target: &Path) -> io::Result<()> {
    match fs::remove_file(copy(target)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was to be in the file when a process ended before it had written it.
pub(crate) fn unfinished(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let copy = copy(&target(path));
    match read_regular(&copy) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("Reading", &copy, &error)),
    }
}

/// Whether the file is a mount of its own.
#[cfg(target_os = "linux")]
pub fn is_mounted(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Only Linux mounts files.
#[cfg(not(target_os = "linux"))]
pub fn is_mounted(_path: &Path) -> bool {
    false
}
