//! The road of every run up to the import: open, read, decide, check. `test` ends here; a sync goes on to [`crate::apply`].

use bwdc_config::server;
use bwdc_core::check::Removals;
use bwdc_core::error::Result;
use bwdc_core::merge::{self, MergePart};
use bwdc_core::plan::{Plan, Server, Target};
use bwdc_core::{Prepared, Verdict};
use bwdc_store::Data;

use crate::context::Context;
use crate::job::SyncJob;
use crate::merge::not_merged;
use crate::open::{Opened, of_one_organization, open};
use crate::organization::{account, limits};
use crate::outcome::{blocked, left_out, nothing_read};
use crate::read::{ReadPurpose, read};

/// The directory that speaks for all of a job, and its data.json.
pub(crate) fn leading(job: &SyncJob) -> Result<(&Context, Data)> {
    let Some(first) = job.contexts().into_iter().next() else { return Err(job.has_nothing()) };
    let data = first.file.load().map_err(|error| job.about(first, error))?;
    Ok((first, data))
}

/// Reads, decides, plans and checks; sends nothing, keeps nothing and logs no run.
///
/// # Errors
/// The directory could not be read whole, or the import would be held back.
pub async fn rehearse(job: &SyncJob, purpose: ReadPurpose, removals: Removals) -> Result<Prepared> {
    let (first, data) = leading(job)?;
    let account = account(first, &data).await?;
    let opened = open(job).await?;
    let Some(first) = opened.first() else { return Err(job.has_nothing()) };
    of_one_organization(&opened, &account.organization_id)?;
    let reading = read(job, &opened, purpose, &account.organization_id).await?;
    let Some(reading) = reading else { return Ok(nothing_read()) };
    let target = Target {
        api_url: server::endpoints(&first.data)?.api_url().to_owned(),
        organization_id: account.organization_id,
        server: Server::Official,
    };
    let plan = bwdc_core::plan(reading.prepared.clone(), &first.instance.rules, &target);
    match verdict(&opened, &plan, &reading.parts, removals)? {
        Verdict::Blocked(findings) => Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged | Verdict::Ready => {
            let mut prepared = reading.prepared;
            prepared.notes.extend(left_out(&prepared.bad_records));
            Ok(prepared)
        }
    }
}

/// The last word before anything is sent. Unchanged is what all folders agree on.
pub(crate) fn verdict(
    opened: &[Opened<'_>],
    plan: &Plan,
    parts: &[MergePart],
    removals: Removals,
) -> Result<Verdict> {
    let [first, others @ ..] = opened else { return Ok(Verdict::NothingToSend) };
    let rules = &first.instance.rules;
    let digest = first.remembered.digest.as_deref();
    let agreed = digest.filter(|_| others.iter().all(|other| other.remembered.digest.as_deref() == digest));
    let verdict = bwdc_core::check(plan, rules, limits(&first.data)?, removals, agreed);
    Ok(verdict.with(merge::check(parts, rules, removals)))
}

/// A folder that is synced alone may be.
pub(crate) fn may_run(job: &SyncJob, data: &Data) -> Result<()> {
    match job {
        SyncJob::Usual(context) | SyncJob::One(context) => not_merged(context, data.remembered().merged_by),
        SyncJob::Merged(_) => Ok(()),
    }
}
