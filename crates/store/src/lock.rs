//! One sync per folder at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::files::{self, cannot, make_folder, open_private};
use bwdc_core::error::{Error, Exit, Result};

const FILE: &str = "bwdc.lock";

/// Held for a whole run; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    pub fn take(folder: &Path, started: &str) -> Result<Self> {
        make_folder(folder)?;
        let path = folder.join(FILE);
        let mut file = open_private(&path).map_err(|error| cannot("Opening", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(cannot("Locking", &path, &error)),
        }
        files::remove_left_behind(folder);
        let holder = format!("process {}, since {started}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|error| cannot("Writing", &path, &error))?;
        Ok(Self { _file: file })
    }

    /// Who has the lock, if anybody has.
    pub fn holder(folder: &Path) -> Option<String> {
        let mut file = File::open(folder.join(FILE)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(name(&mut file)),
            _ => None,
        }
    }
}

/// What the holder wrote.
fn name(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => holder.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn held(folder: &Path, file: &mut File) -> Error {
    let holder = name(file);
    Error::new(format!("Another sync of {} is running ({holder}).", folder.display()))
        .hint("This one did nothing. If it happens often, schedule syncs further apart.")
        .exit(Exit::Locked)
}
