//! Reading and replacing the file itself.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::migrate::{self, Age};
use super::{Data, VERSION, key};
use crate::error::{Error, Result};

const FILE: &str = "data.json";
const WRITE_LOCK: &str = "data.json.lock";

/// The `data.json` of one instance.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    folder: PathBuf,
}

impl DataFile {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What is in the file, brought up to date; empty data if there is none yet. The file stays as it is.
    pub(crate) fn load(&self) -> Result<Data> {
        Ok(self.read()?.data)
    }

    fn read(&self) -> Result<Loaded> {
        let path = self.path();
        match fs::read(&path) {
            Ok(bytes) => understand(&path, Zeroizing::new(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Loaded::default()),
            Err(error) => Err(cannot("Reading", &path, &error)),
        }
    }

    /// Changes the file: reads it again under a lock, lets `change` have it, and replaces it if anything is different.
    /// An older file is kept beside it as it was.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Data) -> Result<T>) -> Result<T> {
        make_folder(&self.folder)?;
        let _lock = self.lock_for_writing()?;
        let Loaded { data: before, older } = self.read()?;
        let mut after = before.clone();
        if after.is_new() {
            after.set(key::STATE_VERSION, VERSION);
        }
        let result = change(&mut after)?;
        if after != before || older.is_some() {
            if let Some(older) = older {
                self.keep(&older)?;
            }
            let text = serde_json::to_vec_pretty(&after.0)
                .map_err(|error| Error::new(format!("Writing {}: {error}", self.path().display())))?;
            write_atomically(&self.path(), &Zeroizing::new(text))?;
        }
        Ok(result)
    }

    /// Does something to another file of the folder under the same lock.
    pub(crate) fn beside<T>(&self, change: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let _lock = self.lock_for_writing()?;
        change(&self.folder)
    }

    /// A copy of a file that is about to be migrated; never in the place of another copy.
    fn keep(&self, older: &Older) -> Result<()> {
        let name = |number: u32| match number {
            1 => format!("{FILE}.v{}.bak", older.version),
            _ => format!("{FILE}.v{}.{number}.bak", older.version),
        };
        for number in 1.. {
            let path = self.folder.join(name(number));
            match fs::read(&path) {
                Ok(bytes) if bytes == *older.bytes => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return write_atomically(&path, &older.bytes);
                }
                Err(error) => return Err(cannot("Reading", &path, &error)),
            }
        }
        Ok(())
    }

    /// Held for the moment of one change only. Waiting is right: whoever holds it is about to let go.
    fn lock_for_writing(&self) -> Result<File> {
        let path = self.folder.join(WRITE_LOCK);
        let file = open_private(&path).map_err(|error| cannot("Opening", &path, &error))?;
        file.lock().map_err(|error| cannot("Locking", &path, &error))?;
        Ok(file)
    }
}

/// The content of the file, as it is used.
#[derive(Default)]
struct Loaded {
    data: Data,
    older: Option<Older>,
}

/// A file of an older state version, as it is.
struct Older {
    version: u64,
    bytes: Zeroizing<Vec<u8>>,
}

fn understand(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Loaded> {
    let map = parse(path, &bytes)?;
    let age = migrate::age(&map).map_err(|error| error.while_doing(format!("Reading {}", path.display())))?;
    Ok(match age {
        Age::New | Age::Current => Loaded { data: Data(map), older: None },
        Age::Older(version) => {
            Loaded { data: Data(migrate::to_current(map, version)), older: Some(Older { version, bytes }) }
        }
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let damaged = |reason: String| {
        Error::new(format!("The file {} is damaged: {reason}. It was left as it is.", path.display()))
            .hint("Mend it or put a backup in its place; if it holds nothing of value, move it away.")
    };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(damaged("it holds no JSON object".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// Makes the folder, for its owner only.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| cannot("Making the folder", folder, &error))
}

/// Opens or makes a file that only its owner may read.
pub(super) fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Replaces a file in one step: a new one beside it, written to the disk, then renamed. Whatever happens meanwhile,
/// the file is as it was before or as it is after. Readable by its owner only.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let target = target(path);
    let folder = target.parent().unwrap_or(Path::new("."));
    let replace = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".bwdc-").suffix(".tmp").tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    replace().map_err(|error| {
        cannot("Writing", path, &error).hint(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "The disk is full: make room. The file is as it was."
            }
            _ => "Check that the user who runs bwdc may write to the folder. The file is as it was.",
        })
    })
}

/// A link is followed, so that the file it leads to is replaced and not the link.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes the rename survive a power cut. Windows has no such call and needs none.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Whether a file could be made in a folder, tried.
pub(crate) fn can_write(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    let tried = tempfile::Builder::new().prefix(".bwdc-").suffix(".tmp").tempfile_in(folder);
    tried.and_then(|mut file| file.write_all(b"bwdc")).map_err(|error| cannot("Writing to", folder, &error))
}

/// The mode of a file or folder, if others than its owner have rights there.
#[cfg(unix)]
pub(crate) fn too_open(metadata: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Windows gives a user's files to that user alone unless told otherwise.
#[cfg(not(unix))]
pub(crate) fn too_open(_metadata: &Metadata) -> Option<u32> {
    None
}

pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{what} {}: {error}", path.display()))
}
