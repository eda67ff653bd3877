//! Reading and replacing the file itself.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

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

    /// What is in the file; empty data if there is none yet.
    pub(crate) fn load(&self) -> Result<Data> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Data::default()),
            Err(error) => return Err(cannot("Reading", &path, &error)),
        };
        check_version(&path, parse(&path, &bytes)?)
    }

    /// Changes the file: reads it again under a lock, lets `change` have it, and replaces it if anything is different.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Data) -> Result<T>) -> Result<T> {
        make_folder(&self.folder)?;
        let _lock = self.lock_for_writing()?;
        let before = self.load()?;
        let mut after = before.clone();
        if after.is_new() {
            after.set(key::STATE_VERSION, VERSION);
        }
        let result = change(&mut after)?;
        if after != before {
            let text = serde_json::to_vec_pretty(&after.0)
                .map_err(|error| Error::new(format!("Writing {}: {error}", self.path().display())))?;
            write_atomically(&self.path(), &text)?;
        }
        Ok(result)
    }

    /// Held for the moment of one change only. Waiting is right: whoever holds it is about to let go.
    fn lock_for_writing(&self) -> Result<File> {
        let path = self.folder.join(WRITE_LOCK);
        let file = open_private(&path).map_err(|error| cannot("Opening", &path, &error))?;
        file.lock().map_err(|error| cannot("Locking", &path, &error))?;
        Ok(file)
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Data> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let damaged = |reason: String| {
        Error::new(format!("The file {} is damaged: {reason}. It was left as it is.", path.display()))
            .hint("Mend it or put a backup in its place; if it holds nothing of value, move it away.")
    };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(Data(map)),
        Ok(Value::Null) => Ok(Data::default()),
        Ok(_) => Err(damaged("it holds no JSON object".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn check_version(path: &Path, data: Data) -> Result<Data> {
    let version = data.value(key::STATE_VERSION).and_then(|value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    match version {
        Some(version) if version < VERSION => Err(Error::new(format!(
            "The file {} has state version {version}, which is not read yet; this program needs version {VERSION}.",
            path.display()
        ))
        .hint("Open it once with a Directory Connector of version 2026.1 or later, which brings it up to date.")),
        None if !data.is_new() => Err(Error::new(format!(
            "The file {} has no state version that could be understood.",
            path.display()
        ))
        .hint("Open it once with a Directory Connector of version 2026.1 or later, which brings it up to date.")),
        _ => Ok(data),
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
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
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

pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{what} {}: {error}", path.display()))
}
