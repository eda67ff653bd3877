//! The key by which snapshots of a folder are redacted: made once, so that two of them can be compared, and never given away.

use std::path::Path;

use bwdc_core::error::{Error, Result};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::data::DataFile;
use crate::files::{cannot, make_private, read_if_there, write_atomically};

/// Name of the file.
const NAME: &str = "snapshot.key";

impl DataFile {
    /// Key by which snapshots of this folder are redacted. Made, and on the disk, where there was none.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or cannot be kept.
    pub fn snapshot_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        let path = self.folder().join(NAME);
        match read_if_there(&path) {
            Ok(Some(text)) => parse(&text).ok_or_else(|| damaged(&path)),
            Ok(None) => made(&path),
            Err(error) => Err(cannot("Reading the key of the snapshots in", &path, &error)),
        }
    }
}

fn made(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let mut key = Zeroizing::new([0; 32]);
    for (byte, random) in key.iter_mut().zip(first.as_bytes().iter().chain(second.as_bytes())) {
        *byte = *random;
    }
    let text = Zeroizing::new(format!("{}{}\n", first.as_simple(), second.as_simple()));
    write_atomically(path, text.as_bytes())?;
    make_private(path)?;
    Ok(key)
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    let is_whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut key = Zeroizing::new([0; 32]);
    for (at, byte) in key.iter_mut().enumerate().filter(|_| is_whole) {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    is_whole.then_some(key)
}

fn damaged(path: &Path) -> Error {
    Error::new(format!("The key of the snapshots in {} is damaged.", path.display()))
        .hint("Delete it. The next snapshot makes another one, and cannot be compared with those of before.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = DataFile::in_folder(folder.path().to_owned());
        let key = file.snapshot_key().unwrap();
        assert_ne!(*key, [0; 32]);
        assert_eq!(file.snapshot_key().unwrap(), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for text in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
            std::fs::write(&path, text).unwrap();
            let error = DataFile::in_folder(folder.path().to_owned()).snapshot_key().unwrap_err().to_string();
            assert!(error.contains("is damaged") && (text.is_empty() || !error.contains(text)), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
