//! Folders that root makes, or gives to a user.
//!
//! Root goes from the file system's root on, step by step, and only over folders that nobody else can lead elsewhere; a link counts
//! only where root has made it. Everything is done to what was opened, never to a path. Below a folder of somebody else's it is
//! done as the user, who can do no more than they could anyway.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::account::Ids;
use crate::{account, commands};
use bwdc_core::error::{Error, Result};

/// So many links in one way are a circle.
const MOST_LINKS: usize = 40;

/// So deep does nobody keep a directory of files.
const DEEPEST: usize = 16;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const EXECUTABLE_BY_ALL: u32 = 0o755;
const OWN: u32 = 0o700;

/// How far somebody came on the way to a folder.
struct Way {
    here: OwnedFd,
    trust: Trust,
    /// What is not there.
    missing: VecDeque<OsString>,
}

/// Who else can exchange what is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Nobody but root.
    Whole,
    /// Everybody, but only what is their own (`/tmp`).
    Sticky,
    /// The user for whom it is: who can make a link there, but not move a folder of root's there from elsewhere.
    Theirs,
    None,
}

impl Trust {
    fn of(folder: &Stat, user: &Ids) -> Self {
        let is_roots = folder.st_uid == 0;
        match (is_roots, folder.st_mode & 0o022 == 0, folder.st_mode & 0o1000 != 0) {
            (true, true, _) => Self::Whole,
            (true, false, true) => Self::Sticky,
            _ if folder.st_uid == user.uid.as_raw() && folder.st_mode & 0o022 == 0 => Self::Theirs,
            _ => Self::None,
        }
    }

    fn is_roots(self) -> bool {
        matches!(self, Self::Whole | Self::Sticky)
    }

    fn holds(self, entry: &Stat, user: &Ids) -> bool {
        let is_folder = FileType::from_raw_mode(entry.st_mode) == FileType::Directory;
        match self {
            Self::Whole => true,
            Self::Sticky => entry.st_uid == 0 || (is_folder && entry.st_uid == user.uid.as_raw()),
            Self::Theirs => is_folder,
            Self::None => false,
        }
    }
}

/// Makes a folder for a user, with those above it.
pub(crate) fn make(path: &Path, user: &str) -> Result<()> {
    if user == account::own_name()? || !account::is_root() {
        return as_user(path, user);
    }
    let to = account::ids_of(user)?;
    match walk(path, &to).map_err(|error| cannot("Making", path, error))? {
        Some(Way { missing, .. }) if missing.is_empty() => Ok(()),
        Some(Way { here, trust, missing }) if trust.is_roots() => {
            make_here(here, missing, &to).map_err(|error| cannot("Making", path, error))
        }
        _ => as_user(path, user),
    }
}

fn as_user(path: &Path, user: &str) -> Result<()> {
    let mut command = account::as_user(user)?;
    command.extend(["install", "-d", "-m", "700", &path.display().to_string()].map(str::to_owned));
    commands::run(&command, None).map(drop)
}

fn make_here(mut here: OwnedFd, mut missing: VecDeque<OsString>, to: &Ids) -> rustix::io::Result<()> {
    while let Some(name) = missing.pop_front() {
        rustix::fs::mkdirat(&here, &name, Mode::from_raw_mode(OWN))?;
        here = rustix::fs::openat(&here, &name, FOLDER, Mode::empty())?;
        // Nobody else can have put another there meanwhile: then it would be theirs.
        if rustix::fs::fstat(&here)?.st_uid != 0 {
            return Err(Errno::LOOP);
        }
        if missing.is_empty() {
            give(&here, to)?;
        } else {
            rustix::fs::fchmod(&here, Mode::from_raw_mode(EXECUTABLE_BY_ALL))?;
        }
    }
    Ok(())
}

/// Gives a folder, and what in it is root's, to a user.
pub(crate) fn own(path: &Path, user: &str) -> Result<()> {
    let to = account::ids_of(user)?;
    let what = format!("Giving to {user} the folder");
    let way = walk(path, &to).map_err(|error| cannot(&what, path, error))?;
    let Some(Way { here, .. }) = way.filter(|way| way.missing.is_empty()) else {
        return Err(Error::new(format!(
            "{what} {}: somebody else owns a folder on the way there and could redirect root.",
            path.display()
        ))
        .hint(
            "Move it to a place below folders of root, such as /var/lib, or give it to the user yourself.",
        ));
    };
    let owner = rustix::fs::fstat(&here).map_err(|error| cannot(&what, path, error))?.st_uid;
    if owner != 0 && owner != to.uid.as_raw() {
        return Err(Error::new(format!(
            "{what} {}: it belongs neither to root nor to them.",
            path.display()
        ))
        .hint("Ask its owner, or use a folder of its own."));
    }
    own_all(&here, &to, DEEPEST).map_err(|error| cannot(&what, path, error))
}

/// Gives one file of root's, in a folder that is root's alone, to a user.
pub(crate) fn own_file_at(path: &Path, user: &str) -> Result<()> {
    let to = account::ids_of(user)?;
    let what = format!("Giving to {user} the file");
    let unsafe_place = || {
        Error::new(format!("{what} {}: it is not in a folder of root's alone.", path.display()))
            .hint("Give it to the user yourself, or move it below a folder of root, such as /etc.")
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(unsafe_place()) };
    let way = walk(folder, &to).map_err(|error| cannot(&what, path, error))?;
    let way = way.filter(|way| way.missing.is_empty() && way.trust == Trust::Whole);
    let Way { here, .. } = way.ok_or_else(unsafe_place)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(&here, name, flags, Mode::empty())
        .and_then(|file| own_file(&file, &to))
        .map_err(|error| cannot(&what, path, error))
}

/// The folder last: until then nobody else gets in.
fn own_all(folder: &OwnedFd, to: &Ids, depth: usize) -> rustix::io::Result<()> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                own_all(&rustix::fs::openat(folder, name, FOLDER, Mode::empty())?, to, depth - 1)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                own_file(&rustix::fs::openat(folder, name, flags, Mode::empty())?, to)?;
            }
            _ => {}
        }
    }
    if rustix::fs::fstat(folder)?.st_uid == 0 { give(folder, to) } else { Ok(()) }
}

/// One that has another name may be anybody's.
fn own_file(file: &OwnedFd, to: &Ids) -> rustix::io::Result<()> {
    let found = rustix::fs::fstat(file)?;
    let is_plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1;
    if found.st_uid == 0 && is_plain { give(file, to) } else { Ok(()) }
}

fn give(file: &OwnedFd, to: &Ids) -> rustix::io::Result<()> {
    rustix::fs::fchown(file, Some(to.uid), Some(to.gid))
}

/// The way to a folder, as far as it is there. `None` where it leads through what somebody else can exchange.
fn walk(path: &Path, user: &Ids) -> rustix::io::Result<Option<Way>> {
    let mut here = root()?;
    let mut rest = names(path);
    let mut links = 0;
    loop {
        let trust = Trust::of(&rustix::fs::fstat(&here)?, user);
        let Some(name) = rest.pop_front() else { return Ok(Some(Way { here, trust, missing: rest })) };
        let found = match rustix::fs::statat(&here, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => {
                rest.push_front(name);
                return Ok(Some(Way { here, trust, missing: rest }));
            }
            Err(error) => return Err(error),
        };
        if !trust.holds(&found, user) {
            return Ok(None);
        }
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            links += 1;
            let target = rustix::fs::readlinkat(&here, &name, Vec::new())?.into_bytes();
            let target = std::path::PathBuf::from(OsString::from_vec(target));
            if links > MOST_LINKS || target.components().any(|part| part == Component::ParentDir) {
                return Err(Errno::LOOP);
            }
            if target.is_absolute() {
                here = root()?;
            }
            names(&target).into_iter().rev().for_each(|name| rest.push_front(name));
        } else {
            here = rustix::fs::openat(&here, &name, FOLDER, Mode::empty())?;
        }
    }
}

fn root() -> rustix::io::Result<OwnedFd> {
    rustix::fs::open("/", FOLDER, Mode::empty())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

fn cannot(what: &str, path: &Path, error: Errno) -> Error {
    let why = std::io::Error::from(error);
    Error::new(format!("{what} {}: {why}", path.display())).hint(
        "Links are followed only where root created them. Create the folder yourself, then install again.",
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A user of every machine who is nobody's.
    const USER: &str = "nobody";

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    /// As root, a folder that the user can get at, and their number.
    fn place() -> Option<(tempfile::TempDir, u32)> {
        let user = account::ids_of(USER).ok()?;
        if !account::is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some((folder, user.uid.as_raw()))
    }

    #[test]
    fn folders_are_made_for_a_user() {
        let Some((place, uid)) = place() else { return };
        fs::create_dir(place.path().join("real")).unwrap();
        symlink("real", place.path().join("roots-link")).unwrap();
        make(&place.path().join("roots-link/above/own"), USER).unwrap();
        let own = place.path().join("real/above/own");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((owner(&own), mode(&own)), (uid, 0o700));
        assert_eq!((owner(own.parent().unwrap()), mode(own.parent().unwrap())), (0, 0o755));
        // Below it the user makes what follows.
        make(&own.join("a/b"), USER).unwrap();
        assert_eq!(owner(&own.join("a/b")), uid);
    }

    #[test]
    fn what_is_roots_in_it_is_given_and_nothing_else() {
        let Some((place, uid)) = place() else { return };
        let (folder, victim) = (place.path().join("own"), place.path().join("victim"));
        fs::create_dir_all(folder.join("company")).unwrap();
        for file in [&victim, &folder.join("data.json"), &folder.join("company/users.csv")] {
            fs::write(file, "").unwrap();
        }
        symlink(&victim, folder.join("link")).unwrap();
        fs::hard_link(&victim, folder.join("second-name")).unwrap();
        own(&folder, USER).unwrap();
        for path in ["", "data.json", "company", "company/users.csv"] {
            assert_eq!(owner(&folder.join(path)), uid, "{path}");
        }
        assert_eq!((owner(&victim), owner(&folder.join("link"))), (0, 0));
    }

    /// The user exchanges a folder and a link all the time.
    #[test]
    fn nobody_leads_root_elsewhere() {
        let Some((place, uid)) = place() else { return };
        let (theirs, victim) = (place.path().join("theirs"), place.path().join("victim"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&victim).unwrap();
        std::os::unix::fs::chown(&theirs, Some(uid), None).unwrap();
        let (swapped, is_over) = (theirs.join("x"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = fs::create_dir(&swapped);
                    let _ = fs::remove_dir(&swapped);
                    let _ = symlink(&victim, &swapped);
                    let _ = fs::remove_file(&swapped);
                }
            });
            for _ in 0..20 {
                let _ = make(&swapped, USER);
                let _ = make(&swapped.join("new"), USER);
                let _ = own(&swapped, USER);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(owner(&victim), 0);
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        assert!(own(&theirs.join("deep"), USER).is_err());
    }
}
