//! Reading the directories of a job and deciding who is to be imported.

use std::sync::Arc;

use bwdc_config::Instance;
use bwdc_connect::directory::{
    self, AnyDirectory, Ask, Directory as _, Others, Progress, ReadExtent, ReadScope,
};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::merge::{self, MergePart, MergeSource, Merged, Share};
use bwdc_core::organization::directory::{DirectoryNow, GroupsRead, Part, PeopleRead, Place, Source};
use bwdc_core::rules::ExistingMembers;
use bwdc_core::snapshot::{Coverage, Cursor};
use bwdc_core::{Prepared, Snapshot};
use bwdc_store::{Remembered, SyncTime};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::context::Context;
use crate::job::SyncJob;
use crate::open::Opened;
use crate::record::is_full_read_due;

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

impl ReadPurpose {
    /// The same without a run before: everything is read.
    #[must_use]
    pub(crate) fn complete(self) -> Self {
        match self {
            Self::Sync | Self::Everything => Self::Everything,
            Self::SinceLastSync => Self::SinceLastSync,
        }
    }
}

/// Whether the entries are kept as they were read. They take as much room again as everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Snapshots,
}

impl Keep {
    fn of(self, snapshot: &Snapshot) -> Option<Snapshot> {
        match self {
            Self::Nothing => None,
            Self::Snapshots => Some(snapshot.clone()),
        }
    }
}

/// How directories are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) purpose: ReadPurpose,
    pub(crate) keep: Keep,
}

/// What was read, decided.
pub(crate) struct DecidedRead {
    pub(crate) prepared: Prepared,
    /// All entries. [`Source::covers`] is not known yet.
    pub(crate) directory: DirectoryNow,
    /// What was read of each directory, in their order.
    pub(crate) sources: Vec<SourceRead>,
    /// What each directory of a merge has to do with the import.
    pub(crate) parts: Vec<MergePart>,
    /// The entries of each directory, where they are kept.
    pub(crate) snapshots: Vec<Snapshot>,
}

impl DecidedRead {
    /// Forgets who and what was to be imported, but for what is told of it, once that is decided.
    pub(crate) fn forget_entries(&mut self) {
        let Prepared { people, groups, .. } = &mut self.prepared;
        (*people, *groups) = Default::default();
    }
}

/// One directory as it was read, without its entries.
pub(crate) struct SourceRead {
    pub(crate) directory: AnyDirectory,
    pub(crate) coverage: Coverage,
    pub(crate) place: Option<Place>,
    pub(crate) population: Option<String>,
    pub(crate) cursor: Cursor,
}

impl SourceRead {
    fn of(directory: AnyDirectory, snapshot: &Snapshot) -> Self {
        let Snapshot { coverage, place, population, cursor, .. } = snapshot;
        let (place, population, cursor) = (place.clone(), population.clone(), cursor.clone());
        Self { directory, coverage: *coverage, place, population, cursor }
    }
}

/// Reads and decides. `None` if neither users nor groups are synced.
pub(crate) async fn read(
    job: &SyncJob,
    opened: &[Opened<'_>],
    wanted: Wanted,
    organization_id: &str,
) -> Result<Option<DecidedRead>> {
    match (job, opened) {
        (SyncJob::Merged(merge), opened) => read_merged(opened, merge.at_once, wanted.keep).await.map(Some),
        (SyncJob::Usual(_) | SyncJob::One(_), [alone]) => read_alone(alone, wanted, organization_id).await,
        _ => Ok(None),
    }
}

/// One directory, from which only what changed may be read, and which is asked for others only when it matters.
async fn read_alone(
    opened: &Opened<'_>,
    Wanted { purpose, keep }: Wanted,
    organization_id: &str,
) -> Result<Option<DecidedRead>> {
    let Opened { context, instance, remembered, .. } = opened;
    let Some(scope) = instance.scope else { return Ok(None) };
    let extent = match purpose {
        ReadPurpose::Sync => extent(opened, organization_id),
        ReadPurpose::Everything => ReadExtent::Everything,
        ReadPurpose::SinceLastSync => since_last_sync(remembered.clone(), organization_id),
    };
    let (directory, mut snapshot) =
        snapshot(instance, Ask { scope, extent, others: Others::Always }, context).await?;
    let groups_read = match (scope.has_groups(), snapshot.coverage) {
        (false, _) => GroupsRead::No,
        (true, Coverage::Full) => GroupsRead::Completely,
        (true, Coverage::Changes) => GroupsRead::Changes,
    };
    let sources = vec![SourceRead::of(directory, &snapshot)];
    let snapshots = keep.of(&snapshot).into_iter().collect();
    let entries = snapshot.take_without_memberships();
    let prepared = bwdc_core::prepare(snapshot, &instance.rules);
    let directory = DirectoryNow::of(&[part(opened, &entries)], &prepared, groups_read);
    Ok(Some(DecidedRead { prepared, directory, sources, parts: Vec::new(), snapshots }))
}

/// Input of [`DirectoryNow::of`].
fn part<'a>(opened: &'a Opened<'_>, snapshot: &'a Snapshot) -> Part<'a> {
    Part {
        snapshot,
        rules: &opened.instance.rules,
        source: Source {
            place: snapshot.place.clone(),
            covers: Vec::new(),
            coverage: snapshot.coverage,
            filters: opened.filters(),
        },
        people: people_read(opened),
    }
}

/// Whether people are imported from a directory.
pub(crate) fn people_read(opened: &Opened<'_>) -> PeopleRead {
    if opened.has_users() { PeopleRead::Imported } else { PeopleRead::NotImported }
}

/// Reads all side by side. One that fails does not cut the others short: what is wrong with each is worth knowing.
async fn read_merged(opened: &[Opened<'_>], at_once: usize, keep: Keep) -> Result<DecidedRead> {
    let reads: Vec<_> = opened.iter().map(whole).collect();
    let read: Vec<Result<(AnyDirectory, Snapshot)>> = stream::iter(reads).buffered(at_once).collect().await;
    let (mut sources, mut entries, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let mut snapshots = Vec::new();
    for (opened, (directory, mut snapshot)) in opened.iter().zip(all(read)?) {
        let name = MergeSource { name: opened.context.name.clone(), prefix: opened.prefix.to_owned() };
        sources.push(SourceRead::of(directory, &snapshot));
        snapshots.extend(keep.of(&snapshot));
        entries.push(snapshot.take_without_memberships());
        shares.push(Share::of(name, snapshot, &opened.instance.rules));
    }
    let Merged { prepared, parts } = merge::merge(shares);
    let has_groups = |opened: &Opened<'_>| opened.instance.scope.is_some_and(ReadScope::has_groups);
    let groups_read = if opened.iter().any(has_groups) { GroupsRead::Completely } else { GroupsRead::No };
    let of_all: Vec<Part<'_>> =
        opened.iter().zip(&entries).map(|(opened, snapshot)| part(opened, snapshot)).collect();
    let directory = DirectoryNow::of(&of_all, &prepared, groups_read);
    Ok(DecidedRead { prepared, directory, sources, parts, snapshots })
}

/// One directory of a merge: everything, so that "who else has this address" has an answer; but with the cursor, by which some
/// directories know who was deleted.
async fn whole(opened: &Opened<'_>) -> Result<(AnyDirectory, Snapshot)> {
    let extent = match opened.instance.rules.existing {
        ExistingMembers::Overwrite => ReadExtent::Everything,
        ExistingMembers::Keep => {
            ReadExtent::Since { users: None, groups: None, cursor: opened.remembered.cursor.clone() }
        }
    };
    let scope = opened.instance.scope.unwrap_or(ReadScope::UsersAndGroups);
    let ask = Ask { scope, extent, others: Others::Always };
    let read = snapshot(&opened.instance, ask, opened.context).await;
    read.map_err(|error| error.while_doing(&opened.context.name))
}

/// Every one, or what is wrong with those that failed.
fn all<T>(read: Vec<Result<T>>) -> Result<Vec<T>> {
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

/// Overwriting needs everybody. Others need everybody now and then: what a read of changes misses is missed until then.
fn extent(opened: &Opened<'_>, organization_id: &str) -> ReadExtent {
    match (opened.instance.rules.existing, since_last_sync(opened.remembered.clone(), organization_id)) {
        (ExistingMembers::Keep, ReadExtent::Since { cursor, .. })
            if is_full_read_due(opened, Timestamp::now()) =>
        {
            ReadExtent::Since { users: None, groups: None, cursor }
        }
        (ExistingMembers::Keep, extent) => extent,
        (ExistingMembers::Overwrite, _) => ReadExtent::Everything,
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

async fn snapshot(instance: &Instance, ask: Ask, context: &Context) -> Result<(AnyDirectory, Snapshot)> {
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
    Ok((directory, snapshot))
}
