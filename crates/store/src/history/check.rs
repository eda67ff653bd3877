//! Whether a folder of records can be trusted: nobody else may put records there, by which `bwdc undo` goes.

use super::Folder;
use bwdc_core::error::Result;

#[cfg(not(unix))]
impl Folder {
    /// Windows gives a user's files to that user alone unless told otherwise.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on other systems")]
    pub(super) fn check(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
impl Folder {
    /// Refuses a folder in which somebody else may write who may not write in the folder of the instance.
    ///
    /// # Errors
    /// It is one, or a link.
    pub(super) fn check(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;

        use crate::files::cannot;
        use bwdc_core::error::Error;

        const GROUP: u32 = 0o020;
        const OTHERS: u32 = 0o002;
        let found = match std::fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot("Looking at", &self.path, &error)),
        };
        let place = self.path.display();
        let refused = |why: String, remedy: String| {
            let error = format!(
                "The history in {place} is not used: {why}, and could put runs there that never were."
            );
            Err(Error::new(error).hint(remedy))
        };
        if !found.is_dir() {
            return refused(
                "it is no folder, so others say where it is".to_owned(),
                format!("Move {place} away."),
            );
        }
        let instance = std::fs::metadata(&self.instance)
            .map_err(|error| cannot("Looking at", &self.instance, &error))?;
        let ourselves = rustix::process::geteuid().as_raw();
        if found.uid() != ourselves && found.uid() != instance.uid() {
            let why = format!("it belongs to another user ({})", found.uid());
            return refused(
                why,
                format!(
                    "Check who has made it, then give it to the owner of its folder: chown -R {} {place}",
                    instance.uid()
                ),
            );
        }
        let is_shared = |bit| found.mode() & bit != 0;
        let may_group = instance.mode() & GROUP != 0 && instance.gid() == found.gid();
        if is_shared(OTHERS) || is_shared(GROUP) && !may_group {
            let why = format!("others can write there (mode {:o})", found.mode() & 0o777);
            return refused(why, format!("Check what is in it (`ls -l {place}`), then: chmod 700 {place}"));
        }
        Ok(())
    }
}
