//! A file that cannot be replaced: `data.json` alone is mounted into a container, so that a rename over it answers "busy"
//! (rename(2), EBUSY; EPERM, where the file under the mount is another user's in a folder with the sticky bit). It is written where it is. Before that, the whole new content stands on the disk beside it: if the
//! process or the machine ends half-way, the copy is what counts, and the next change writes it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{open_regular, real_path, sync_folder};

/// Put behind the file's name.
const COPY: &str = ".new";

fn copy(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(COPY);
    name.into()
}

/// Whether a rename failed because the file is a mount of its own.
pub(crate) fn is_fixed(error: &io::Error, target: &Path) -> bool {
    match error.kind() {
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => true,
        ErrorKind::PermissionDenied => is_mounted(target),
        _ => false,
    }
}

/// Writes what stands in `new`, and is on the disk, over the target.
pub(crate) fn write(new: NamedTempFile, target: &Path) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let copy = copy(target);
    let mut content = new.persist(&copy).map_err(|error| error.error)?;
    sync_folder(folder)?;
    content.rewind()?;
    let mut file = OpenOptions::new().write(true).open(target)?;
    let length = io::copy(&mut content, &mut file)?;
    file.set_len(length)?;
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

/// The copy, where a process ended before it had written the file. Not one that somebody else has put there.
pub fn open_copy(path: &Path) -> io::Result<Option<File>> {
    let target = real_path(path);
    let copy = match open_regular(&copy(&target)) {
        Ok(copy) => copy,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(is_of_writer(&copy, &target).then_some(copy))
}

/// Whether it belongs to the owner of the file or to ourselves, as the copies of all who may write the file.
#[cfg(unix)]
fn is_of_writer(copy: &File, target: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(uid) = copy.metadata().map(|metadata| metadata.uid()) else { return false };
    fs::metadata(target)
        .is_ok_and(|metadata| metadata.uid() == uid || rustix::process::geteuid().as_raw() == uid)
}

#[cfg(not(unix))]
fn is_of_writer(_copy: &File, target: &Path) -> bool {
    target.exists()
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
