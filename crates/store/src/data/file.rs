//! Reading and replacing the file itself.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use bwdc_core::error::{Error, Result};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::migrate::{self, FileAge};
use super::{Data, VERSION, key, text};
use crate::files::{self, cannot, make_folder, open_private, read_whole, write_atomically};

const FILE: &str = "data.json";
const WRITE_LOCK: &str = "data.json.lock";
/// A change takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The `data.json` of one instance.
#[derive(Clone, Debug)]
pub struct DataFile {
    folder: PathBuf,
    state: StateKeeping,
}

/// Whether runs leave anything in a folder, and go by what others have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateKeeping {
    /// They do.
    #[default]
    InFolder,
    /// The folder has settings and nothing else: nothing in it is changed, and what runs have left there counts for nothing.
    Nowhere,
}

impl DataFile {
    /// The one in a folder, which need not be there yet.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, state: StateKeeping::InFolder }
    }

    /// The same, with state kept in this way.
    #[must_use]
    pub fn keeping(self, state: StateKeeping) -> Self {
        Self { state, ..self }
    }

    /// Whether runs leave anything for the next one.
    pub fn has_state(&self) -> bool {
        self.state == StateKeeping::InFolder
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What is in the file, brought up to date; empty data if there is none yet. The file stays as it is.
    pub fn load(&self) -> Result<Data> {
        Ok(self.read()?.data)
    }

    fn read(&self) -> Result<Loaded> {
        let path = self.path();
        match read_whole(&path) {
            Ok(bytes) => understand(&path, bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(&path) {
                Ok(to) => Err(dangling(&path, &to)),
                Err(_) => Ok(Loaded::default()),
            },
            Err(error) => Err(cannot("Reading", &path, &error)),
        }
    }

    /// Changes the file: reads it again under a lock, lets `change` have it, and replaces it if anything is different.
    /// An older file is kept beside it as it was. Without a state the file stays as it is, and only the result counts.
    pub fn update<T>(&self, change: impl FnOnce(&mut Data) -> Result<T>) -> Result<T> {
        if !self.has_state() {
            return change(&mut self.load()?);
        }
        make_folder(&self.folder)?;
        let _lock = self.lock_for_writing()?;
        files::remove_left_behind(&self.folder);
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
    pub fn beside<T>(&self, change: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
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
        FileAge::New | FileAge::Current => Loaded { data: Data(map), older: None },
        FileAge::Older(version) => {
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

#[cfg(test)]
mod tests {
    use bwdc_testkit::{DATA_FILES, damaged, few};
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    proptest! {
        #![proptest_config(few())]

        /// What is understood is understood again when it is stored, and a file that is not understood is told with its place.
        #[test]
        fn fuzz_data_json(bytes in damaged(DATA_FILES.iter().map(|text| text.as_bytes().to_vec()).chain([utf16(DATA_FILES[0])]))) {
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
            let _ = data.remembered().last_sync();
        }
    }
}
