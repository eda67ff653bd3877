//! New files on their way to their name. A process that is killed meanwhile leaves its own behind, with secrets in it: the next
//! one removes it. The one that is being written is locked, so that nobody else takes it for such.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

const BEGIN: &str = ".bwdc-";
const END: &str = ".tmp";

/// A new file for its owner only, locked until it is closed.
pub(crate) fn new_in(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(BEGIN).suffix(END).tempfile_in(folder)?;
        file.as_file().lock()?;
        // Another process may have taken it for left behind before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes what processes that were killed have left. What cannot be removed is of no consequence for what comes now.
pub(crate) fn remove_left_behind(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(BEGIN) && name.ends_with(END));
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) && is_left_behind(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_left_behind(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}
