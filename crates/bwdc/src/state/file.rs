//! Reading and replacing the file itself.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

#[cfg(unix)]
use rustix::fs::OFlags;
use serde_json::{Map, Value};
use tempfile::PersistError;
use zeroize::Zeroizing;

use super::migrate::{self, Age};
use super::{Data, VERSION, in_place, key, ownership, temporary, text};
use crate::privileges;
use bwdc_core::error::{Error, Result};

const FILE: &str = "data.json";
const WRITE_LOCK: &str = "data.json.lock";
/// A change takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const PIPE_PATIENCE: Duration = Duration::from_secs(5);
/// A private key has some thousand bytes, a secrets file a few of them.
const LARGEST_TEXT: u64 = 1 << 20;

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
        if let Some(bytes) = in_place::unfinished(&target(&path))? {
            return understand(&path, bytes);
        }
        match read_regular(&path) {
            Ok(bytes) => understand(&path, bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(&path) {
                Ok(to) => Err(dangling(&path, &to)),
                Err(_) => Ok(Loaded::default()),
            },
            Err(error) => Err(cannot("Reading", &path, &error)),
        }
    }

    /// Changes the file: reads it again under a lock, lets `change` have it, and replaces it if anything is different.
    /// An older file is kept beside it as it was.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Data) -> Result<T>) -> Result<T> {
        make_folder(&self.folder)?;
        let _lock = self.lock_for_writing()?;
        temporary::remove_left_behind(&self.folder);
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

    /// Held for the moment of one change only. Waiting is right: whoever holds it is about to let go. Whoever is stopped while
    /// it has it does not stop others for ever.
    fn lock_for_writing(&self) -> Result<File> {
        let path = self.folder.join(WRITE_LOCK);
        let file = open_private(&path).map_err(|error| cannot("Opening", &path, &error))?;
        if let Ok(()) = file.try_lock() {
            return Ok(file);
        }
        let (sender, locked) = mpsc::channel();
        // Ends with the process, if it never gets the lock.
        std::thread::spawn(move || sender.send(file.lock().map(|()| file)));
        match locked.recv_timeout(LOCK_PATIENCE) {
            Ok(locked) => locked.map_err(|error| cannot("Locking", &path, &error)),
            Err(_) => Err(Error::new(format!(
                "Locking {}: another process has held it for {} s.",
                path.display(),
                LOCK_PATIENCE.as_secs()
            ))
            .hint(format!("Find out who: fuser -v '{}'. Nothing was changed.", path.display()))),
        }
    }
}

fn dangling(path: &Path, to: &Path) -> Error {
    Error::new(format!("{} is a link to {}, which is not there.", path.display(), to.display()))
        .hint("Bring that file back, or remove the link. Nothing was changed.")
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
    let bytes = text::utf8(bytes);
    let damaged = |reason: String| {
        Error::new(format!("The file {} is damaged: {reason}. It was left as it is.", path.display()))
            .hint("Mend it or put a backup in its place; if it holds nothing of value, move it away.")
    };
    match serde_json::from_slice(&bytes) {
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

/// Opens or makes a file that only its owner may read. No link is followed: a lock has no business elsewhere.
pub(super) fn open_private(path: &Path) -> std::io::Result<File> {
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

/// The whole content of a file. A pipe or a device is refused at once, where reading it could wait for ever.
pub(crate) fn read_regular(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags(OFlags::NONBLOCK));
    let mut file = options.open(path)?;
    regular(&file)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A text that somebody keeps in a file, or hands over by a pipe (`<(pass show bwdc)`). A pipe into which nobody writes is
/// given up; neither may be larger than any secret is.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
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
    if kind.is_file() { Ok(()) } else { Err(std::io::Error::other("it is no regular file")) }
}

#[cfg(unix)]
fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// Replaces a file in one step: a new one beside it, written to the disk, then renamed. Whatever happens meanwhile,
/// the file is as it was before or as it is after. It keeps its owner, its group and what its group may do; a new one is for the
/// owner of its folder only.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    privileges::check_link(path)?;
    let target = target(path);
    let folder = target.parent().unwrap_or(Path::new("."));
    let replace = || -> std::io::Result<()> {
        let mut file = temporary::new_in(folder)?;
        file.write_all(content)?;
        ownership::like_the_one_before(file.as_file(), &target)?;
        file.as_file().sync_all()?;
        match file.persist(&target) {
            Ok(_) => in_place::forget(&target).and_then(|()| sync_folder(folder)),
            Err(PersistError { error, file }) if in_place::is_fixed(&error) => {
                in_place::write(file, &target, content)
            }
            Err(PersistError { error, .. }) => Err(error),
        }
    };
    replace().map_err(|error| {
        cannot("Writing", path, &error).or_hint(match error.kind() {
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
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Whether a file could be made in a folder, tried.
pub(crate) fn can_write(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    let tried = temporary::new_in(folder);
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

/// What failed; where the file is another user's, with the way to run as that user.
pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let failed = Error::new(format!("{what} {}: {error}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied => match privileges::cannot_as(path) {
            Some(remedy) => failed.hint(remedy),
            None => failed,
        },
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    /// Files of all versions and directories.
    const SAMPLES: [&str; 6] = [
        r#"{"stateVersion":8,"directoryType":0,"organizationId":"o","directoryLdap":{"hostname":"dc1.example.org","port":389,"domain":"a","rootPath":"dc=x","username":"cn=a","password":"p","ssl":false,"startTls":true,"pagedSearch":true},"sync":{"users":true,"groups":true,"interval":15,"userFilter":"(cn=*)","removeMissing":"no","revisionDateAttribute":null},"lastUserSync":"2026-01-01T00:00:00Z","importBegun":"2026-01-01T00:00:00Z","environmentUrls":{"base":"https://vault.example.org"}}"#,
        r#"{"stateVersion":"8","directoryType":"2","directoryGsuite":{"clientEmail":"a@b","domain":"example.org","privateKey":"p","adminUser":"c@d"},"sync":{"users":"true","userFilter":"include:a@x.org|orgUnitPath=/","interval":"7.5"}}"#,
        r#"{"global":{"stateVersion":3,"environmentUrls":{"api":"http://localhost"}},"activeUserId":"u","u":{"directoryConfigurations":{"azure":{"tenant":"t","key":"k"},"okta":{"orgUrl":"https://e.okta.com","token":"t"}},"directorySettings":{"directoryType":1,"sync":{"groups":true}},"keys":{"apiKeyClientSecret":"s"}}}"#,
        r#"{"stateVersion":7,"directoryType":3,"directoryOkta":{"orgUrl":"https://e.okta.com","token":"t"},"sync":{"users":true,"userFilter":"exclude:a@x.org"}}"#,
        r#"{"stateVersion":8,"directoryType":4,"directoryOnelogin":{"region":"us","clientId":"c","clientSecret":"s"},"directoryEntra":{"tenant":"t","applicationId":"a","key":"k","identityAuthority":"x"}}"#,
        r#"{"stateVersion":8,"directoryType":"file","directoryFile":{"path":"people"},"mergedBy":"/x","secrets":{"file":"s.env"}}"#,
    ];

    fn utf16(text: &str) -> Vec<u8> {
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    proptest! {
        #![proptest_config(few())]

        /// What is understood is understood again when it is stored, every setting in it is good or told as bad, and a file that is
        /// not understood is told with its place.
        #[test]
        fn fuzz_data_json(bytes in damaged(SAMPLES.iter().map(|text| text.as_bytes().to_vec()).chain([utf16(SAMPLES[0])]))) {
            use crate::config::{Environment, instance, secrets::Secrets, settings};
            let path = Path::new("/srv/bwdc/data.json");
            let read = bytes.len();
            let data = match understand(path, Zeroizing::new(bytes)) {
                Ok(Loaded { data, .. }) => data,
                Err(error) => {
                    bwdc_testkit::harmless(&error, read)?;
                    let is_placed = bwdc_testkit::line_in(&error.message).is_some() || !error.message.contains("is damaged: ");
                    prop_assert!(is_placed || error.message.contains("no JSON object"), "{}", error);
                    prop_assert!(error.message.contains("/srv/bwdc/data.json"), "{}", error);
                    return Ok(());
                }
            };
            let stored = serde_json::to_vec_pretty(&data.0).unwrap();
            if !data.is_new() {
                let again = understand(path, Zeroizing::new(stored)).unwrap();
                prop_assert!(again.data == data && again.older.is_none());
            }
            for setting in settings::ALL {
                setting.fault(&data).map_or(Ok(()), |error| bwdc_testkit::harmless(&error, read))?;
            }
            let _ = crate::daemon::timetable::Times::of(&data);
            let secrets = Secrets::new(Environment::for_demo(), DataFile::in_folder("/nowhere".into()));
            let environment = Environment::for_demo();
            let understood = instance::Instance::of(&data, Path::new("/nowhere"), &environment, &secrets);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let results = [
                runtime.block_on(understood).map(drop),
                instance::endpoints(&data).map(drop),
                instance::Instance::existing_members(&data).map(drop),
            ];
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                bwdc_testkit::harmless(error, read)?;
            }
        }
    }
}
