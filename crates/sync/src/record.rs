//! What a run leaves for the next one, and what it remembers of the one before.

use bwdc_connect::directory;
use bwdc_core::changes::{Baseline, Imported};
use bwdc_core::error::Result;
use bwdc_core::known::KnownPeople;
use bwdc_core::plan::{ImportSummary, Target};
use bwdc_core::snapshot::Cursor;
use bwdc_store::{DataFile, LastImport, Memory as _, Remembered, Success};
use jiff::Timestamp;

use crate::context::Context;

/// Import before, with which this one is compared.
pub(crate) struct Comparison<'a> {
    context: &'a Context,
    organization_id: &'a str,
    last: Option<LastImport>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn of(context: &'a Context, target: &'a Target) -> Self {
        let last = context.file.last_import();
        Self { context, organization_id: &target.organization_id, last }
    }

    /// By what an import is compared. What went into another organization says nothing about this one.
    pub(crate) fn baseline(&self, remembered: &Remembered) -> Baseline<'_> {
        let is_same = remembered.organization_id.as_deref() == Some(self.organization_id);
        match &self.last {
            Some(last) if last.organization_id == self.organization_id => Baseline::Known(&last.imported),
            None if is_same && remembered.has_synced() => Baseline::Unknown,
            Some(_) | None => Baseline::Nothing,
        }
    }

    /// A run is worth more than what the next one can tell.
    pub(crate) fn keep(self, imported: Imported) {
        let import = LastImport { organization_id: self.organization_id.to_owned(), imported };
        if self.last.as_ref() == Some(&import) {
            return;
        }
        if let Err(error) = self.context.file.keep_last_import(&import) {
            tracing::warn!("the next run cannot tell who is new: {error}");
        }
    }
}

/// What a successful run leaves behind in one folder.
pub(crate) struct RunRecord<'a> {
    pub(crate) file: &'a DataFile,
    pub(crate) started: Timestamp,
    pub(crate) scope: Option<directory::ReadScope>,
    /// Absent if there was nothing to say.
    pub(crate) digest: Option<&'a str>,
    pub(crate) cursor: Cursor,
    /// Absent if it is as it was.
    pub(crate) known: Option<KnownPeople>,
    pub(crate) organization_id: &'a str,
    /// The `bwdc.toml` of a merge.
    pub(crate) merged_by: Option<&'a str>,
}

/// Stores what the next run needs. The people come first: should the machine stop between the files, the next run repeats this
/// one, which is safe.
pub(crate) fn commit(records: &[RunRecord<'_>], changed: ImportSummary) -> Result<()> {
    let stored = || -> Result<()> {
        for record in records {
            if let Some(known) = &record.known {
                record.file.keep_known_people(known)?;
            }
        }
        let keep = |record: &RunRecord<'_>| record.file.keep(&record.success());
        records.iter().try_for_each(keep)
    };
    stored().map_err(|error| {
        let ImportSummary { groups, users, .. } = changed;
        error.while_doing(format!(
            "The import was done ({groups} groups, {users} users), but that could not be recorded (the next run \
             repeats it, which is safe)"
        ))
    })
}

impl RunRecord<'_> {
    fn success(&self) -> Success<'_> {
        let if_synced = |is_synced: fn(directory::ReadScope) -> bool| {
            self.scope.is_some_and(is_synced).then_some(self.started)
        };
        Success {
            organization_id: self.organization_id,
            digest: self.digest,
            cursor: &self.cursor,
            users_synced: if_synced(directory::ReadScope::has_users),
            groups_synced: if_synced(directory::ReadScope::has_groups),
            merged_by: self.merged_by,
        }
    }
}
