//! Snapshots for reports of faults: everything that decides a plan, and the plan that follows from it.

use std::sync::Arc;

use bwdc_core::error::Result;
use bwdc_core::merge;
use bwdc_core::organization::capture::{Capture, CapturedDirectory, Replayed};
use bwdc_core::organization::document::{Document, Heading};
use bwdc_core::organization::pending::Pending;
use bwdc_core::organization::requests::extent;
use bwdc_core::snapshot::{Coverage, Snapshot};
use jiff::Timestamp;

use crate::decide::{Decision, target, written};
use crate::job::SyncJob;
use crate::open::Opened;
use crate::organization::limits;
use crate::outcome::{blocked, left_out};
use crate::plan::{Decided, with_addresses};
use crate::planned::{Planned, everything};
use crate::read::{Keep, people_read};

/// Reads directory and organization as a plan does. Changes nothing, and does not ask whether a sync would be refused.
///
/// # Errors
/// Something could not be read whole.
pub async fn capture(job: &SyncJob) -> Result<Capture> {
    let decided = everything(job, Timestamp::now(), Keep::Snapshots).await?;
    let Decided { opened, organization, reading, started, decision, .. } = decided;
    let Decision { known, .. } = Arc::unwrap_or_clone(decision);
    let sources = known.directory.sources;
    let directory = |((opened, snapshot), source): ((&Opened<'_>, Snapshot), _)| CapturedDirectory {
        name: opened.context.name.clone(),
        prefix: opened.prefix.to_owned(),
        snapshot,
        rules: opened.instance.rules.clone(),
        source,
        people: people_read(opened),
    };
    Ok(Capture {
        created_at: bwdc_store::iso(started),
        now: known.now,
        organization: organization.account.organization_id.clone(),
        server: organization.api_url.clone(),
        limits: limits(&opened.first().ok_or_else(|| job.has_nothing())?.data)?,
        directories: opened.iter().zip(reading.snapshots).zip(sources).map(directory).collect(),
        groups_read: known.directory.groups_read,
        settings: known.settings,
        roster: known.roster,
        ledger: known.ledger,
    })
}

/// Says what a sync would change, from nothing but a capture.
///
/// # Errors
/// A sync would be refused.
pub fn replay(capture: &Capture) -> Result<Planned> {
    let Replayed { prepared, parts, directory, changes } = capture.replay();
    let question = capture.question(&directory);
    let Capture { created_at, organization, server, directories, roster, ledger, .. } = capture;
    let target = target(server.clone(), organization.clone(), roster.kind);
    let rules = directories.first().map(|directory| directory.rules.clone()).unwrap_or_default();
    let whole = bwdc_core::plan(with_addresses(prepared, ledger), &rules, &target);
    let mut findings = bwdc_core::check(&whole, &rules, capture.limits, extent(&question, &changes));
    findings.extend(merge::check(&parts, &rules));
    if !findings.is_empty() {
        return Err(blocked(&findings));
    }
    let is_full = directories.iter().all(|directory| directory.source.coverage == Coverage::Full);
    let heading = Heading {
        created_at: created_at.clone(),
        expires_at: created_at.clone(),
        organization: organization.clone(),
        server: server.clone(),
        coverage: if is_full { Coverage::Full } else { Coverage::Changes },
    };
    Ok(Planned {
        document: Document::of(&changes, heading),
        pending: Pending::of(&question, &changes, written),
        notes: whole.notes.iter().cloned().chain(left_out(&whole.bad_records)).collect(),
        left_out: whole.bad_records.len(),
    })
}
