//! Whom a file belongs to after root or another member of its group has written it: to whom it belonged before.

#[cfg(unix)]
pub(crate) use self::unix::{like_the_folder, like_the_one_before};

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, Metadata, Permissions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    use std::path::Path;

    const OWNER: u32 = 0o600;
    const GROUP: u32 = 0o060;
    const OTHERS: u32 = 0o007;

    /// What the owner may do in any case, and what a group was given. Others never get anything, and where they had something,
    /// nobody had thought about it: then the group gets nothing either.
    fn mode_after(before: u32) -> u32 {
        if before & OTHERS == 0 { OWNER | before & GROUP } else { OWNER }
    }

    /// Gives a new file the owner, the group and the group's rights of the one that it is to replace; of its folder if there is
    /// none.
    pub(crate) fn like_the_one_before(file: &File, path: &Path) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(before) => {
                give(file, &before)?;
                file.set_permissions(Permissions::from_mode(mode_after(before.mode())))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => like_the_folder(file, path),
            Err(error) => Err(error),
        }
    }

    /// Gives a file to the owner of its folder, if root has made it.
    pub(crate) fn like_the_folder(file: &File, path: &Path) -> io::Result<()> {
        let made = file.metadata()?;
        let is_of_root = made.uid() == 0;
        let folder = path.parent().map(fs::metadata).transpose()?;
        match folder.filter(|folder| is_of_root && folder.uid() != 0) {
            Some(folder) => give(file, &folder),
            None => Ok(()),
        }
    }

    /// Only root can give files away; whoever else replaces a file is its owner from then on, as far as its group allows.
    fn give(file: &File, like: &Metadata) -> io::Result<()> {
        let made = file.metadata()?;
        let uid = (made.uid() != like.uid()).then_some(like.uid());
        let gid = (made.gid() != like.gid()).then_some(like.gid());
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        match fchown(file, uid, gid) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
}

#[cfg(not(unix))]
pub(crate) use self::elsewhere::{like_the_folder, like_the_one_before};

/// Windows gives a new file the rights of its folder.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(crate) fn like_the_one_before(_file: &File, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn like_the_folder(_file: &File, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}
