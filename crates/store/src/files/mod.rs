//! Files of a user's own: read without waiting for ever, replaced in one step, and no link of another's followed.

mod in_place;
mod ownership;
mod temporary;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use bwdc_core::error::{Error, Result};
#[cfg(unix)]
use rustix::fs::OFlags;
use serde::Serialize;
use tempfile::{NamedTempFile, PersistError};
use zeroize::Zeroizing;

pub use self::in_place::{is_mounted, open_copy};
pub(crate) use self::temporary::remove_left_behind;
use crate::privileges;

/// Bytes that are handed to the system at once.
const WRITTEN_AT_ONCE: usize = 1 << 16;
const PIPE_PATIENCE: Duration = Duration::from_secs(5);
/// A private key has some thousand bytes, a secrets file a few of them.
const LARGEST_TEXT: u64 = 1 << 20;

/// Makes the folder, for its owner only.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| cannot("Making the folder", folder, &error))
}

/// Opens or makes a file that only its owner may read. No link is followed: a lock has no business elsewhere.
pub(crate) fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    }
    let file = options.open(path)?;
    regular(&file)?;
    ownership::like_the_folder(&file, path)?;
    Ok(file)
}

/// Reads the whole content of a file. A pipe or a device is refused at once, where reading it could wait for ever.
pub fn read_regular(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    all_of(open_regular(path)?)
}

/// Reads the whole content of a file of ours: of its copy, where a process ended before it had written the file in its place.
pub fn read_whole(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    match open_copy(path)? {
        Some(copy) => all_of(copy),
        None => read_regular(path),
    }
}

/// The same; `None` if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    match read_whole(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file, if there is one.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("Removing", path, &error)),
        _ => Ok(()),
    }
}

/// Opens a file to read. A pipe or a device is refused at once.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags(OFlags::NONBLOCK));
    let file = options.open(path)?;
    regular(&file)?;
    Ok(file)
}

fn all_of(mut file: File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A text that somebody keeps in a file, or hands over by a pipe (`<(pass show bwdc)`). A pipe into which nobody writes is
/// given up; neither may be larger than any secret is.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    if fs::metadata(path)?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let (sender, read) = mpsc::channel();
    let path = path.to_owned();
    // Ends with the process, if it never comes to an end.
    std::thread::spawn(move || sender.send(text_of(&path)));
    read.recv_timeout(PIPE_PATIENCE).unwrap_or_else(|_| {
        let silence = format!("it gave no end of its text for {} s", PIPE_PATIENCE.as_secs());
        Err(std::io::Error::new(ErrorKind::TimedOut, silence))
    })
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST_TEXT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_TEXT {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is too large for a secret"));
    }
    Ok(text)
}

fn regular(file: &File) -> std::io::Result<()> {
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(()) } else { Err(std::io::Error::other("it is not a regular file")) }
}

#[cfg(unix)]
fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// Replaces a file that everybody may read in one step.
///
/// # Errors
/// It cannot be written.
pub fn write_for_everybody(path: &Path, content: &[u8]) -> Result<()> {
    privileges::check_link(path)?;
    let folder = folder_of(path);
    let replace = || -> std::io::Result<()> {
        let file = written_beside(folder, &mut |out| out.write_all(content), |file| {
            #[cfg(unix)]
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            #[cfg(not(unix))]
            let _ = file;
            Ok(())
        })?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    replace().map_err(|error| cannot("Writing", path, &error))
}

/// Writes the content of a file.
type WriteContent<'a> = dyn FnMut(&mut dyn Write) -> std::io::Result<()> + 'a;

/// A new file with this content, on the disk, that has not got its name yet. `protect` says who may use it.
fn written_beside(
    folder: &Path,
    write: &mut WriteContent<'_>,
    protect: impl FnOnce(&File) -> std::io::Result<()>,
) -> std::io::Result<NamedTempFile> {
    let mut file = temporary::new_in(folder)?;
    write(&mut file)?;
    protect(file.as_file())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Replaces a file in one step: a new one beside it, written to the disk, then renamed. Whatever happens meanwhile,
/// the file is as it was before or as it is after. It keeps its owner, its group and what its group may do; a new one is for the
/// owner of its folder only.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically_by(path, &mut |out| out.write_all(content))
}

/// The same with content that is written as it is made.
pub(crate) fn write_atomically_by(path: &Path, write: &mut WriteContent<'_>) -> Result<()> {
    Staged::by(path, write)?.publish()
}

/// New content of a file, on the disk beside it. Until it is published, the file is as it was before. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Staged {
    file: NamedTempFile,
    path: PathBuf,
    /// Where the file is if the path is a link.
    target: PathBuf,
}

impl Staged {
    /// On the disk when it returns.
    pub(crate) fn by(path: &Path, write: &mut WriteContent<'_>) -> Result<Self> {
        privileges::check_link(path)?;
        // A link is followed, so that the file it leads to is replaced and not the link.
        let target = real_path(path);
        let protect = |file: &File| ownership::like_the_one_before(file, &target);
        let written = written_beside(folder_of(&target), write, protect);
        let file = written.map_err(|error| cannot_write(path, &error))?;
        Ok(Self { file, path: path.to_owned(), target })
    }

    /// Replaces the file by it. On the disk when it returns.
    pub(crate) fn publish(self) -> Result<()> {
        let Self { file, path, target } = self;
        let published = match file.persist(&target) {
            Ok(_) => in_place::forget(&target).and_then(|()| sync_folder(folder_of(&target))),
            Err(PersistError { error, file }) if in_place::is_fixed(&error, &target) => {
                in_place::write(file, &target)
            }
            Err(PersistError { error, .. }) => Err(error),
        };
        published.map_err(|error| cannot_write(&path, &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    cannot("Writing", path, error).or_hint(match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "The disk is full: make room. The file is as it was."
        }
        _ => "Check that the user who runs bwdc may write to the folder. The file is as it was.",
    })
}

/// Takes from a file all rights but its owner's. On Windows a user's files are that user's alone.
pub fn make_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path, private).map_err(|error| cannot("Protecting", path, &error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Replaces a file by this value as JSON, in one step.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    stage_json(path, value)?.publish()
}

/// This value as JSON, which is to replace a file.
pub(crate) fn stage_json(path: &Path, value: &impl Serialize) -> Result<Staged> {
    Staged::by(path, &mut |out| buffered(out, |out| Ok(serde_json::to_writer(out, value)?)))
}

/// What many small parts are written to. Its type is known, so that each of them is a copy and no call.
pub(crate) type Buffer<'a> = BufWriter<&'a mut dyn Write>;

/// Writes many small parts, which are gathered. Not for secrets: the memory is not cleared.
pub(crate) fn buffered(
    out: &mut dyn Write,
    write: impl FnOnce(&mut Buffer<'_>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(WRITTEN_AT_ONCE, out);
    write(&mut out)?;
    out.flush()
}

/// Adds to the end of a file that is there. On the disk when it returns; if it fails, the file is as it was, as far as that can be.
pub(crate) fn append(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    let mut file = options.open(path)?;
    regular(&file)?;
    let length = file.metadata()?.len();
    file.write_all(content).and_then(|()| file.sync_all()).inspect_err(|_| drop(file.set_len(length)))
}

/// The path without links and `..`, by which two spellings of a place are the same; as it is where there is nothing.
pub fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes the rename survive a power cut. Windows has no such call and needs none.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Whether a file could be made in a folder, tried.
pub fn can_write(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    let tried = temporary::new_in(folder);
    tried.and_then(|mut file| file.write_all(b"bwdc")).map_err(|error| cannot("Writing to", folder, &error))
}

/// The mode of a file or folder, if others than its owner have rights there.
#[cfg(unix)]
pub fn too_open(metadata: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Windows gives a user's files to that user alone unless told otherwise.
#[cfg(not(unix))]
pub fn too_open(_metadata: &Metadata) -> Option<u32> {
    None
}

/// What failed; where the file is another user's, with the way to run as that user.
pub(crate) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let failed = Error::new(format!("{what} {}: {error}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied => match privileges::cannot_as(path) {
            Some(remedy) => failed.hint(remedy),
            None => failed,
        },
        _ => failed,
    }
}
