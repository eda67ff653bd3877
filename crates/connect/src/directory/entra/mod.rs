//! Microsoft Entra ID.

mod config;

use std::sync::Arc;

use bwdc_core::snapshot::Snapshot;

pub use self::config::Config;
use super::{Abilities, Ask, Directory, Progress, Scope, Tombstones};
use crate::probe::Check;
use crate::{Error, Kind, Result};

/// Microsoft Entra ID.
#[derive(Debug)]
pub struct Entra {
    _config: Config,
}

impl Entra {
    /// Checks what can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        Ok(Self { _config: config })
    }
}

fn not_yet() -> Error {
    Error::new(Kind::Configuration, "Opening Microsoft Entra ID", "it cannot be read by this version yet")
}

impl Directory for Entra {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::No }
    }

    async fn probe(&self, _scope: Scope) -> Vec<Check> {
        vec![Check::bad("Microsoft Entra ID", not_yet())]
    }

    async fn read(&self, _ask: &Ask, _progress: &Arc<Progress>) -> Result<Snapshot> {
        Err(not_yet())
    }
}
