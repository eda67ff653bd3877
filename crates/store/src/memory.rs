//! What the runs of an instance left for the next one, wherever it is kept.

use std::path::PathBuf;

use bwdc_core::error::Result;
use bwdc_core::known::KnownPeople;
use bwdc_core::snapshot::Cursor;
use jiff::Timestamp;

use crate::imported::LastImport;
use crate::ledger::{KeptLedger, KeptProgress, KeptTimes, StagedLedger};

/// Memory of an instance from run to run. [`DataFile`](crate::DataFile) has it in its folder.
pub trait Memory {
    /// What the last run left.
    fn recall(&self) -> Result<Remembered>;

    /// Keeps that an import begins, or may be under way still: the digest of the one before is forgotten.
    fn import_began(&self, at: Timestamp) -> Result<()>;

    /// Keeps that no import is under way.
    fn import_ended(&self) -> Result<()>;

    /// Keeps what a run that succeeded leaves.
    fn keep(&self, success: &Success<'_>) -> Result<()>;

    /// Forgets everything that makes the next read or import shorter.
    fn forget(&self) -> Result<()>;

    /// Ledger of an organization; `None` if there is none yet.
    fn ledger(&self, organization_id: &str) -> Result<Option<KeptLedger>>;

    /// Whether there is a ledger of an organization.
    fn has_ledger(&self, organization_id: &str) -> bool;

    /// Writes the ledger of an organization beside the one before it, which counts until this one is published; `None` where nothing is
    /// kept. On the disk when it returns.
    fn stage_ledger(&self, organization_id: &str, kept: &KeptLedger) -> Result<Option<StagedLedger>>;

    /// Keeps the ledger of an organization. On the disk when it returns.
    fn keep_ledger(&self, organization_id: &str, kept: &KeptLedger) -> Result<()> {
        self.stage_ledger(organization_id, kept)?.map_or(Ok(()), StagedLedger::publish)
    }

    /// Keeps how far the run in the journal of the ledger with its revision came. On the disk when it returns.
    fn keep_progress(&self, organization_id: &str, kept: KeptProgress) -> Result<()>;

    /// Keeps the times of a run that changed nothing else in the ledger with their revision. On the disk when it returns.
    fn keep_times(&self, organization_id: &str, kept: &KeptTimes) -> Result<()>;

    /// Times of the runs since the ledger was written, which is not read; `None` if there are none.
    fn times(&self, organization_id: &str) -> Result<Option<KeptTimes>>;

    /// People whom releases without a ledger kept; empty if there are none.
    fn known_people(&self) -> Result<KnownPeople>;

    /// Forgets them: the ledger has them.
    fn forget_known_people(&self) -> Result<()>;

    /// Import before this one. It only serves to tell who is new: one that cannot be read is as good as none.
    fn last_import(&self) -> Option<LastImport>;

    /// Keeps an import for the next run to compare with.
    fn keep_last_import(&self, import: &LastImport) -> Result<()>;
}

/// State that the runs of an instance left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Organization that the instance was synced into, or logged in to.
    pub organization_id: Option<String>,
    /// Digest of the last import.
    pub digest: Option<String>,
    /// Place in the directory's list of changes.
    pub cursor: Cursor,
    /// Time of the last sync of people.
    pub users_synced: Option<SyncTime>,
    /// Time of the last sync of groups.
    pub groups_synced: Option<SyncTime>,
    /// Last complete read of the directory.
    pub full_read: Option<FullRead>,
    /// `bwdc.toml` by which it was last synced together with others.
    pub merged_by: Option<PathBuf>,
    /// Beginning of an import that may be under way on the server.
    pub import_begun: Option<Timestamp>,
}

impl Remembered {
    /// Whether anything was ever synced.
    pub fn has_synced(&self) -> bool {
        self.digest.is_some() || self.has_sync_time()
    }

    /// Whether a time of a sync is kept.
    pub fn has_sync_time(&self) -> bool {
        self.users_synced.is_some() || self.groups_synced.is_some()
    }

    /// Time of the last sync, of whatever.
    pub fn last_sync(&self) -> Option<Timestamp> {
        let time = |kept: &Option<SyncTime>| kept.as_ref().and_then(SyncTime::time);
        time(&self.users_synced).max(time(&self.groups_synced))
    }
}

/// Complete read of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullRead {
    /// Beginning of the run.
    pub at: Timestamp,
    /// Digest of the settings that decide what is read.
    pub of: String,
}

/// Time of a sync as it was written down, by this program or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTime(pub(crate) String);

impl SyncTime {
    /// Text as it was written down.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Time, if the text is one.
    pub fn time(&self) -> Option<Timestamp> {
        self.0.parse().ok()
    }
}

/// Record of a run that succeeded.
#[derive(Clone, Debug)]
pub struct Success<'a> {
    /// Organization that was synced into.
    pub organization_id: &'a str,
    /// Digest of what was sent; absent if there was nothing to say.
    pub digest: Option<&'a str>,
    /// Place in the directory's list of changes, as far as it moved.
    pub cursor: &'a Cursor,
    /// Beginning of the run, if people were synced.
    pub users_synced: Option<Timestamp>,
    /// Beginning of the run, if groups were synced.
    pub groups_synced: Option<Timestamp>,
    /// Complete read, if it was one.
    pub full_read: Option<FullRead>,
    /// `bwdc.toml` by which it was synced together with others.
    pub merged_by: Option<&'a str>,
}
