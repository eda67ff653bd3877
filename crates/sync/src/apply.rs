//! A whole sync: what [`crate::plan`] decides is imported, and what it leaves is kept.

use bwdc_core::Verdict;
use bwdc_core::changes::ImportChanges;
use bwdc_core::check::Removals;
use bwdc_core::error::Result;
use bwdc_core::plan::{ImportSummary, Plan, Target};
use bwdc_store::{DataFile, RunLock, iso, runs};
use jiff::Timestamp;

use crate::context::Context;
use crate::job::SyncJob;
use crate::lines;
use crate::open::{Opened, of_one_organization, open};
use crate::organization::{OpenOrganization, account};
use crate::outcome::{SyncOutcome, blocked, notes};
use crate::plan::{leading, may_run, verdict};
use crate::read::{Left, ReadPurpose, read};
use crate::record::{Comparison, RunRecord, commit};

/// Reads, decides, checks, imports and keeps what the next run needs.
pub(crate) async fn sync(job: &SyncJob, removals: Removals) -> Result<SyncOutcome> {
    let started = Timestamp::now();
    let (first, data) = leading(job)?;
    may_run(job, &data)?;
    let account = account(first, &data).await?;
    let _locks = locks(job, started)?;
    let opened = open(job).await?;
    let Some(first) = opened.first() else { return Err(job.has_nothing()) };
    let organization = OpenOrganization::open(first.context, &first.data, account)?;
    let organization_id = organization.account.organization_id.clone();
    of_one_organization(&opened, &organization_id)?;
    let token = organization.token().await?;
    let reading = read(job, &opened, ReadPurpose::Sync, &organization_id).await?;
    let Some(reading) = reading else { return Ok(SyncOutcome::nothing()) };
    let server = organization.server(&reading.prepared).await?;
    let api_url = organization.client.api_url().to_owned();
    let target = Target { api_url, organization_id, server };
    let comparison = Comparison::of(first.context, &target);
    let rules = &first.instance.rules;
    let (changes, imported) =
        ImportChanges::of(comparison.baseline(&first.remembered), &reading.prepared, rules, server);
    let plan = bwdc_core::plan(reading.prepared, rules, &target);
    let sent = match verdict(&opened, &plan, &reading.parts, removals)? {
        Verdict::Blocked(findings) => return Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged => ImportSummary::default(),
        Verdict::Ready => {
            let files: Vec<&DataFile> = opened.iter().map(|opened| &opened.context.file).collect();
            organization.import(&plan, token, &files).await?;
            plan.summary
        }
    };
    let changes = done(changes, sent);
    let merged_by = job.merged_by();
    let record = |(opened, left)| record(opened, left, &plan, started, &target, merged_by.as_deref());
    let records: Vec<RunRecord<'_>> = opened.iter().zip(reading.left).map(record).collect();
    commit(&records, sent)?;
    comparison.keep(imported);
    Ok(SyncOutcome { sent, left_out: plan.bad_records.len(), notes: notes(plan), changes })
}

/// Nobody else syncs any of the folders meanwhile, and whoever looks sees that a sync is running.
fn locks(job: &SyncJob, started: Timestamp) -> Result<Vec<RunLock>> {
    let take = |context| lock(context, started).map_err(|error| job.about(context, error));
    job.contexts().into_iter().map(take).collect()
}

fn lock(context: &Context, started: Timestamp) -> Result<RunLock> {
    let lock = RunLock::take(context.file.folder(), &iso(started))?;
    runs::begin(&context.file, context.environment.started_by(), started);
    Ok(lock)
}

/// Logs what an import changed, as soon as it did.
fn done(changes: ImportChanges, sent: ImportSummary) -> ImportChanges {
    let changes = if sent.is_nothing() {
        tracing::info!("nothing has changed since the last import, so nothing was sent");
        changes.unsent()
    } else {
        changes
    };
    lines::changes(&changes.list);
    changes
}

fn record<'a>(
    opened: &'a Opened<'_>,
    left: Left,
    plan: &'a Plan,
    started: Timestamp,
    target: &'a Target,
    merged_by: Option<&'a str>,
) -> RunRecord<'a> {
    RunRecord {
        file: &opened.context.file,
        started,
        scope: opened.instance.scope,
        digest: plan.digest_of_requests(),
        cursor: left.cursor,
        known: left.known,
        organization_id: &target.organization_id,
        merged_by,
    }
}
