//! Reading the directories of a job and deciding who is to be imported.

use std::sync::Arc;

use bwdc_config::Instance;
use bwdc_connect::directory::{
    self, Abilities, Ask, Directory as _, Others, Progress, ReadExtent, ReadScope, Tombstones,
};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::known::KnownPeople;
use bwdc_core::merge::{self, MergePart, MergeSource, Merged, Share};
use bwdc_core::rules::{ExistingMembers, MissingPeople};
use bwdc_core::snapshot::Cursor;
use bwdc_core::{Prepared, Rules, Snapshot};
use bwdc_store::{Memory as _, Remembered, SyncTime};
use futures_util::{StreamExt as _, stream};

use crate::context::Context;
use crate::job::SyncJob;
use crate::open::Opened;

/// Why a directory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPurpose {
    /// To import what changed, or everything where the rules want that.
    Sync,
    /// To look at everything.
    Everything,
    /// To look at what a sync would read now.
    SinceLastSync,
}

/// What was read, decided.
pub(crate) struct DecidedRead {
    pub(crate) prepared: Prepared,
    /// What each directory leaves for the next run, in their order.
    pub(crate) left: Vec<Left>,
    /// What each directory of a merge has to do with the import.
    pub(crate) parts: Vec<MergePart>,
}

/// What one directory leaves for the next run.
pub(crate) struct Left {
    pub(crate) cursor: Cursor,
    /// Who is known after this read; absent if that is as it was.
    pub(crate) known: Option<KnownPeople>,
}

/// Reads and decides. `None` if neither users nor groups are synced.
pub(crate) async fn read(
    job: &SyncJob,
    opened: &[Opened<'_>],
    purpose: ReadPurpose,
    organization_id: &str,
) -> Result<Option<DecidedRead>> {
    match (job, opened) {
        (SyncJob::Merged(merge), opened) => read_merged(opened, merge.at_once).await.map(Some),
        (SyncJob::Usual(_) | SyncJob::One(_), [alone]) => read_alone(alone, purpose, organization_id).await,
        _ => Ok(None),
    }
}

/// One directory, from which only what changed may be read, and which is asked for others only when it matters.
async fn read_alone(
    opened: &Opened<'_>,
    purpose: ReadPurpose,
    organization_id: &str,
) -> Result<Option<DecidedRead>> {
    let Opened { context, instance, remembered, .. } = opened;
    let Some(scope) = instance.scope else { return Ok(None) };
    let extent = match purpose {
        ReadPurpose::Sync => extent(&instance.rules, remembered.clone(), organization_id),
        ReadPurpose::Everything => ReadExtent::Everything,
        ReadPurpose::SinceLastSync => since_last_sync(remembered.clone(), organization_id),
    };
    let others = match instance.rules.missing {
        MissingPeople::Remove => Others::Always,
        MissingPeople::Keep => Others::WhenNeeded,
    };
    let (snapshot, abilities) = snapshot(instance, Ask { scope, extent, others }, context).await?;
    let Abilities { tombstones } = abilities;
    let (known, changed) = if tombstones == Tombstones::No && instance.rules.missing == MissingPeople::Keep {
        (KnownPeople::default(), None)
    } else {
        let known = context.file.known_people()?;
        let after = known.after(&snapshot);
        let changed = (after != known).then_some(after);
        (known, changed)
    };
    let prepared = bwdc_core::prepare(snapshot, &instance.rules, &known);
    let left = vec![Left { cursor: prepared.cursor.clone(), known: changed }];
    Ok(Some(DecidedRead { prepared, left, parts: Vec::new() }))
}

/// Reads all side by side. One that fails does not cut the others short: what is wrong with each is worth knowing.
async fn read_merged(opened: &[Opened<'_>], at_once: usize) -> Result<DecidedRead> {
    let known: Vec<KnownPeople> =
        opened.iter().map(|opened| opened.context.file.known_people()).collect::<Result<_>>()?;
    let reads: Vec<_> = opened.iter().map(whole).collect();
    let read: Vec<Result<Snapshot>> = stream::iter(reads).buffered(at_once).collect().await;
    let snapshots = all(read)?;
    let share = |((opened, snapshot), known): ((&Opened<'_>, Snapshot), &KnownPeople)| {
        let source = MergeSource { name: opened.context.name.clone(), prefix: opened.prefix.to_owned() };
        Share::of(source, snapshot, &opened.instance.rules, known.clone())
    };
    let shares = opened.iter().zip(snapshots).zip(&known).map(share).collect();
    let Merged { prepared, parts } = merge::merge(shares);
    let left = parts.iter().zip(&known).map(|(part, before)| Left {
        cursor: part.cursor.clone(),
        known: (part.known != *before).then(|| part.known.clone()),
    });
    Ok(DecidedRead { prepared, left: left.collect(), parts })
}

/// One directory of a merge: everything, so that "who else has this address" has an answer; but with the cursor, by which some
/// directories know who was deleted.
async fn whole(opened: &Opened<'_>) -> Result<Snapshot> {
    let extent = match opened.instance.rules.existing {
        ExistingMembers::Overwrite => ReadExtent::Everything,
        ExistingMembers::Keep => {
            ReadExtent::Since { users: None, groups: None, cursor: opened.remembered.cursor.clone() }
        }
    };
    let scope = opened.instance.scope.unwrap_or(ReadScope::UsersAndGroups);
    let ask = Ask { scope, extent, others: Others::Always };
    let read = snapshot(&opened.instance, ask, opened.context).await;
    read.map(|(snapshot, _)| snapshot).map_err(|error| error.while_doing(&opened.context.name))
}

/// Every one, or what is wrong with those that failed.
fn all(read: Vec<Result<Snapshot>>) -> Result<Vec<Snapshot>> {
    let (read, failed): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let failed: Vec<String> =
        failed.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    if failed.is_empty() {
        return read.into_iter().collect();
    }
    Err(Error::new(failed.join("\n"))
        .hint("Nothing was imported: a merge needs all of its directories.")
        .exit(Exit::Failure))
}

/// Overwriting needs everybody.
fn extent(rules: &Rules, remembered: Remembered, organization_id: &str) -> ReadExtent {
    match rules.existing {
        ExistingMembers::Overwrite => ReadExtent::Everything,
        ExistingMembers::Keep => since_last_sync(remembered, organization_id),
    }
}

/// What was synced into another organization says nothing about this one.
fn since_last_sync(remembered: Remembered, organization_id: &str) -> ReadExtent {
    let Remembered { organization_id: before, users_synced, groups_synced, cursor, .. } = remembered;
    if before.as_deref() != Some(organization_id) {
        return ReadExtent::Everything;
    }
    let time = |synced: Option<SyncTime>| synced.and_then(|synced| synced.time());
    ReadExtent::Since { users: time(users_synced), groups: time(groups_synced), cursor }
}

async fn snapshot(instance: &Instance, ask: Ask, context: &Context) -> Result<(Snapshot, Abilities)> {
    let directory = directory::open(instance.directory.clone())?;
    let progress = Arc::new(Progress::default());
    let shown = context.show(&progress);
    let read = directory.read(&ask, &progress).await;
    drop(shown);
    let snapshot = match read {
        Ok(snapshot) => snapshot,
        Err(error) => return Err(context.secrets.refused(error).await),
    };
    let (users, groups) = (snapshot.users.len(), snapshot.groups.len());
    tracing::info!(users, groups, notes = snapshot.notes.len(), "the directory was read completely");
    Ok((snapshot, directory.abilities()))
}
