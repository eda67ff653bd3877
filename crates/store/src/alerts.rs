//! Memory of alerts: what was told of an instance, and what is still to be delivered. A sync is worth more than it: a file that cannot be
//! read or written is a warning. A damaged one is no reason for silence: the next failure is told at once.

use bwdc_core::alert::{Incidents, Outbox};
use bwdc_core::error::Error;
use serde::{Deserialize, Serialize};

use crate::DataFile;
use crate::files::{read_if_there, write_atomically};

const FILE: &str = "alerts.json";
const VERSION: u32 = 1;

/// Memory of the alerts of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertMemory {
    version: u32,
    /// What is wrong, and what was told of it.
    #[serde(default)]
    pub incidents: Incidents,
    /// What is still to be delivered.
    #[serde(default)]
    pub outbox: Outbox,
}

impl Default for AlertMemory {
    fn default() -> Self {
        Self { version: VERSION, incidents: Incidents::default(), outbox: Outbox::default() }
    }
}

impl AlertMemory {
    fn forgotten() -> Self {
        Self { incidents: Incidents::forgotten(), ..Self::default() }
    }

    /// Memory in a folder, for those who only look. One that cannot be read is forgotten.
    pub fn of(file: &DataFile) -> Self {
        if file.has_state() { read(file).unwrap_or_else(|_| Self::forgotten()) } else { Self::forgotten() }
    }

    /// Changes the memory under the lock of the folder, and keeps it. Where it cannot be kept, what was told is taken as forgotten, so that
    /// trouble is told again rather than never.
    pub fn change<T>(file: &DataFile, mut change: impl FnMut(&mut Self) -> T) -> Changed<T> {
        let mut changed = None;
        let mut lost = Self::forgotten();
        if file.has_state() && file.folder().is_dir() {
            let kept = file.beside(|folder| {
                let mut memory = read(file).unwrap_or_else(|error| {
                    tracing::warn!(
                        "the memory of alerts is lost, so the next trouble is told as if it were new: {error}"
                    );
                    Self::forgotten()
                });
                let before = memory.clone();
                let value = change(&mut memory);
                if memory != before {
                    lost.outbox = before.outbox;
                    let text = serde_json::to_vec_pretty(&memory).map_err(Error::new)?;
                    write_atomically(&folder.join(FILE), &text)?;
                }
                changed = Some(value);
                Ok(())
            });
            if let Err(error) = kept {
                tracing::warn!(
                    "the memory of alerts cannot be stored, so the same trouble may be told again: {error}"
                );
            }
        }
        // A lock that cannot be had is no reason for silence either.
        match changed {
            Some(value) => Changed { value, keeping: Keeping::Kept },
            None => Changed { value: change(&mut lost), keeping: Keeping::Lost },
        }
    }
}

/// Result of a change to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// What the change returned.
    pub value: T,
    /// Whether the memory has it.
    pub keeping: Keeping,
}

/// Whether a change is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is.
    Kept,
    /// It is not: whoever made it has the only copy.
    Lost,
}

fn read(file: &DataFile) -> Result<AlertMemory, Error> {
    let path = file.folder().join(FILE);
    let attempted =
        |error: &dyn std::fmt::Display| Error::new(format!("Reading {}: {error}", path.display()));
    let Some(bytes) = read_if_there(&path).map_err(|error| attempted(&error))? else {
        return Ok(AlertMemory::default());
    };
    let memory: AlertMemory = serde_json::from_slice(&bytes).map_err(|error| attempted(&error))?;
    if memory.version != VERSION {
        return Err(attempted(&format!("it has version {}, of another release", memory.version)));
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    fn folder() -> (tempfile::TempDir, DataFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = DataFile::in_folder(folder.path().to_owned());
        (folder, file)
    }

    #[test]
    fn what_was_changed_is_there_the_next_time_and_only_for_its_owner() {
        let (folder, file) = folder();
        AlertMemory::change(&file, |memory| memory.incidents.failures = 3);
        assert_eq!(AlertMemory::of(&file).incidents.failures, 3);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_no_silence_and_is_replaced() {
        for text in ["{", "[]", r#"{"version":2}"#, ""] {
            let (folder, file) = folder();
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let failures = AlertMemory::change(&file, |memory| {
                memory.incidents.last_success = None;
                memory.incidents.week = Some(1);
                memory.incidents.failures
            });
            assert!(failures.value > 1000 && failures.keeping == Keeping::Kept, "{text}: {failures:?}");
            assert_eq!(AlertMemory::of(&file).incidents.week, Some(1));
        }
    }

    /// A folder at the place of the file, as what cannot be written.
    #[test]
    fn a_memory_that_cannot_be_stored_is_changed_all_the_same() {
        let (folder, file) = folder();
        std::fs::create_dir(folder.path().join(FILE)).unwrap();
        let lost = |value| Changed { value, keeping: Keeping::Lost };
        let change = |file| {
            AlertMemory::change(file, |memory| {
                memory.incidents.week = Some(7);
                memory.incidents.failures > 1000
            })
        };
        assert_eq!(change(&file), lost(true));
        let gone = DataFile::in_folder(folder.path().join("gone"));
        assert_eq!(change(&gone), lost(true));
        assert!(!folder.path().join("gone").exists());
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_memory_of_alerts(bytes in damaged([
            r#"{"version":1,"incidents":{"failures":2,"failingSince":5,"open":{"failed":5},"starts":[1,2,3],"expiring":{"x":{"ends":9,"days":7}},"week":3},"outbox":[]}"#,
        ])) {
            let (folder, file) = folder();
            std::fs::write(folder.path().join(FILE), &bytes).unwrap();
            let memory = AlertMemory::of(&file);
            let _ = (memory.incidents.overdue_at(), memory.incidents.learned_interval());
            AlertMemory::change(&file, |memory| memory.incidents.week = Some(4));
            prop_assert_eq!(AlertMemory::of(&file).incidents.week, Some(4));
        }
    }
}
