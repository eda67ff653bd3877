//! People and groups from CSV or JSON files: HR exports, tests, the demo. The formats are in `docs/directory-file.md`.

mod client;
mod config;
mod convert;

use std::sync::Arc;

use bwdc_core::note::{Note, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};

pub use self::config::Config;
use super::{Abilities, Ask, Directory, Progress, Scope, Tombstones};
use crate::probe::Check;
use crate::{Error, Kind, Result};

/// A directory of files.
#[derive(Debug)]
pub struct Files {
    config: Config,
}

impl Files {
    /// Checks that the path is there.
    pub fn open(config: Config) -> Result<Self> {
        if !config.path.exists() {
            return Err(Error::new(
                Kind::Configuration,
                format!("Opening {}", config.path.display()),
                "there is no such file or folder",
            )
            .hint("Check file.path; a relative path starts at the folder of data.json."));
        }
        Ok(Self { config })
    }

    fn snapshot(&self, ask: &Ask, progress: &Progress) -> Result<Snapshot> {
        let records = client::read(&self.config.path)?;
        let mut notes: Vec<Note> = records
            .ignored
            .iter()
            .map(|column| Note::info(Step::Read, column, "columns that mean nothing here were ignored"))
            .collect();
        let (users, groups) = convert::convert(records)?;
        if users.is_empty() {
            notes.push(Note::warning(
                Step::Read,
                "",
                format!("there are no people in {}", self.config.path.display()),
            ));
        }
        users.iter().for_each(|_| progress.user());
        groups.iter().for_each(|_| progress.group());
        let (users, others) = if ask.scope.has_users() { (users, Vec::new()) } else { (Vec::new(), users) };
        let groups = if ask.scope.has_groups() { groups } else { Vec::new() };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: Vec::new(),
            coverage: Coverage::Full,
            population: Some(format!("file {}", self.config.path.display())),
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }
}

impl Directory for Files {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::Yes }
    }

    async fn probe(&self, _scope: Scope) -> Vec<Check> {
        let path = self.config.path.display();
        match client::read(&self.config.path) {
            Ok(_) => vec![Check::good("Directory files", format!("{path} can be read"))],
            Err(error) => vec![Check::bad("Directory files", error)],
        }
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        self.snapshot(ask, progress)
    }
}
