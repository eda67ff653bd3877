//! What a run leaves for the next one, beside the ledger.

use bwdc_connect::directory::ReadScope;
use bwdc_core::error::Result;
use bwdc_core::snapshot::{Coverage, Cursor};
use bwdc_store::{FullRead, Memory as _, Success};
use jiff::Timestamp;

use crate::job::SyncJob;
use crate::open::Opened;
use crate::read::SourceRead;

/// Whether everything was done that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Yes.
    All,
    /// A limit holds something back: the next run must read it again.
    Partly,
}

/// Stores what the next run needs. The ledger was stored before: should the machine stop in between, the next run reads the same again.
pub(crate) fn commit(job: &SyncJob, ended: &Ended<'_>) -> Result<()> {
    let merged_by = job.merged_by();
    let pairs = ended.opened.iter().zip(ended.sources);
    pairs.clone().try_for_each(|(opened, source)| ended.keep(opened, source, merged_by.as_deref()))?;
    pairs.map(|(opened, _)| opened).try_for_each(|opened| opened.context.file.forget_known_people())
}

/// A run that has come to its end.
pub(crate) struct Ended<'a> {
    pub(crate) opened: &'a [Opened<'a>],
    pub(crate) sources: &'a [SourceRead],
    pub(crate) organization_id: &'a str,
    /// Digest of everything as one import.
    pub(crate) digest: Digest<'a>,
    pub(crate) started: Timestamp,
    pub(crate) done: Done,
}

/// Digest of everything as one import.
#[derive(Clone, Copy)]
pub(crate) enum Digest<'a> {
    /// Computed in this run. None where there was nothing to say.
    New(Option<&'a str>),
    /// That of the last run, which had the same to say.
    AsBefore,
}

impl Ended<'_> {
    fn keep(&self, opened: &Opened<'_>, source: &SourceRead, merged_by: Option<&str>) -> Result<()> {
        let if_synced = |is_synced: fn(ReadScope) -> bool| {
            opened.instance.scope.is_some_and(is_synced).then_some(self.started)
        };
        let nowhere = Cursor::default();
        let is_all = self.done == Done::All;
        let full_read = match source.coverage {
            Coverage::Full => Some(FullRead { at: self.started, of: opened.read_settings() }),
            Coverage::Changes => None,
        };
        let digest = match self.digest {
            Digest::New(digest) => digest,
            Digest::AsBefore => opened.remembered.digest.as_deref(),
        };
        opened.context.file.keep(&Success {
            organization_id: self.organization_id,
            digest: digest.filter(|_| is_all),
            cursor: if is_all { &source.cursor } else { &nowhere },
            users_synced: if_synced(ReadScope::has_users).filter(|_| is_all),
            groups_synced: if_synced(ReadScope::has_groups).filter(|_| is_all),
            full_read: full_read.filter(|_| is_all && opened.reads_changes()),
            merged_by,
        })
    }
}

/// Whether a complete read is due: the last one is too long ago, read something else, or was followed by a failure.
pub(crate) fn is_full_read_due(opened: &Opened<'_>, now: Timestamp) -> bool {
    let every = opened.instance.full_every;
    let Some(FullRead { at, of }) = &opened.remembered.full_read else { return true };
    let since = now.duration_since(*at);
    let is_recent = !since.is_negative() && since.unsigned_abs().as_secs() < every.0;
    !is_recent || *of != opened.read_settings() || opened.remembered.digest.is_none()
}
