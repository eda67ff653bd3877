//! The ledger of a job: the same in each of its folders, so that it survives a merge and its end.

use crate::job::SyncJob;
use bwdc_core::error::{Error, Result};
use bwdc_core::organization::Ledger;
use bwdc_core::organization::in_step::Evidence;
use bwdc_core::organization::ledger::Times;
use bwdc_store::{DataFile, KeptLedger, KeptProgress, KeptTimes, Memory as _, StagedLedger};

/// Where the ledger of a job is kept.
pub(crate) struct LedgerFiles<'a> {
    files: Vec<&'a DataFile>,
    organization_id: String,
    revision: u64,
    /// [`Ledger::print`] of what all folders have.
    print: Option<u64>,
}

/// What the last run that came to its end has kept of the organization.
pub(crate) struct KeptByRuns {
    /// Id of the organization.
    pub(crate) organization_id: String,
    pub(crate) ledger: Ledger,
}

/// What earlier runs of a job have kept. Nothing else is read.
///
/// # Errors
/// No run has come to its end here, or the ledger cannot be read.
pub(crate) async fn kept_by_runs(job: &SyncJob) -> Result<KeptByRuns> {
    let contexts = job.contexts();
    let Some(first) = contexts.first() else { return Err(job.has_nothing()) };
    let Some(organization_id) = first.file.recall()?.organization_id else {
        return Err(Error::new("Nothing is known from earlier runs: none has come to its end here.")
            .hint("Run a sync first: bwdc sync."));
    };
    let files = contexts.iter().map(|context| &context.file).collect();
    let (_, ledger) = LedgerFiles::load(files, &organization_id).await?;
    Ok(KeptByRuns { organization_id, ledger: ledger.unwrap_or_default() })
}

impl<'a> LedgerFiles<'a> {
    /// Reads the ledger of an organization from all folders of a job, beside whatever else is read; `None` if there is none yet. Where
    /// they differ, as after folders were synced apart, the latest counts, with the people and groups that only the others know.
    pub(crate) async fn load(
        files: Vec<&'a DataFile>,
        organization_id: &str,
    ) -> Result<(Self, Option<Ledger>)> {
        let here: Vec<DataFile> = files.iter().copied().cloned().collect();
        let id = organization_id.to_owned();
        let read = tokio::task::spawn_blocking(move || Copies::read(&here, &id)).await;
        let Copies { revision, print, ledger } =
            read.map_err(|error| Error::new(format!("Reading the ledger: {error}")))??;
        Ok((Self { files, organization_id: organization_id.to_owned(), revision, print }, ledger))
    }

    /// The times beside the ledger, which is not read, with the evidence of a run that found nothing to do; `None` unless all folders of
    /// the job have the same. A file that cannot be read is told when the ledger is read.
    pub(crate) fn at_rest(files: Vec<&'a DataFile>, organization_id: &str) -> Option<(Self, AtRest)> {
        let kept = files.iter().map(|file| file.times(organization_id).ok().flatten());
        let kept: Vec<KeptTimes> = kept.collect::<Option<_>>()?;
        let is_one = kept.iter().skip(1).all(|other| Some(other) == kept.first());
        let KeptTimes { revision, print, times, evidence } = kept.into_iter().next().filter(|_| is_one)?;
        let organization_id = organization_id.to_owned();
        let ledgers = Self { files, organization_id, revision, print: None };
        Some((ledgers, AtRest { print, times, evidence: evidence? }))
    }

    /// Stores the times of a run that found everything at rest. On the disk when it returns.
    pub(crate) fn keep_at_rest(&self, AtRest { print, times, evidence }: AtRest) -> Result<()> {
        self.keep_times(print, times, Some(evidence))
    }

    pub(crate) fn into_files(self) -> Vec<&'a DataFile> {
        self.files
    }

    fn keep_times(&self, print: u64, times: Times, evidence: Option<Evidence>) -> Result<()> {
        let kept = KeptTimes { revision: self.revision, print, times, evidence };
        self.files.iter().try_for_each(|file| file.keep_times(&self.organization_id, &kept))
    }

    /// Whether any of the folders of a job has a ledger of an organization.
    pub(crate) fn are_there(files: &[&DataFile], organization_id: &str) -> bool {
        files.iter().any(|file| file.has_ledger(organization_id))
    }

    /// Stores the ledger that a run leaves in all folders; of one in which nothing but times has changed, the times, with the evidence
    /// that there was nothing to do. On the disk when it returns.
    pub(crate) fn finish(&mut self, left: &mut LeftLedger, evidence: Option<&Evidence>) -> Result<()> {
        let LeftLedger { ledger, print, staged } = left;
        if self.print == Some(*print) {
            return self.keep_times(*print, ledger.times(), evidence.cloned());
        }
        let staged = staged.take().map(|staged| staged.into_iter().try_for_each(StagedLedger::publish));
        if let Some(Ok(())) = staged {
            self.revision += 1;
            self.print = Some(*print);
            return Ok(());
        }
        self.keep(ledger, *print)
    }

    /// Work that writes the ledger that a run leaves beside the one that was stored last, which counts until the run has come to its end;
    /// not one in which nothing but times has changed.
    pub(crate) fn staging(&self) -> impl Fn(LeftLedger) -> LeftLedger + Send + Sync + use<> {
        let files: Vec<DataFile> = self.files.iter().copied().cloned().collect();
        let id = self.organization_id.clone();
        let (revision, stored) = (self.revision + 1, self.print);
        move |left| {
            if stored == Some(left.print) {
                return left;
            }
            let LeftLedger { ledger, print, .. } = left;
            let kept = KeptLedger { revision, print, ledger, acknowledged: 0 };
            let staged: Result<Vec<Option<StagedLedger>>> =
                files.iter().map(|file| file.stage_ledger(&id, &kept)).collect();
            // What cannot be written now is tried again at the end, and told then.
            let staged = staged.ok().map(|staged| staged.into_iter().flatten().collect());
            LeftLedger { ledger: kept.ledger, print, staged }
        }
    }

    /// Stores the ledger in all folders. On the disk when it returns.
    pub(crate) fn store(&mut self, ledger: &mut Ledger) -> Result<()> {
        let print = ledger.print();
        self.keep(ledger, print)
    }

    /// Work that stores in all folders how many requests of the journal of the ledger that was stored last were acknowledged. On the disk
    /// when it returns.
    pub(crate) fn acknowledging(&self) -> impl Fn(usize) -> Result<()> + Send + use<> {
        let files: Vec<DataFile> = self.files.iter().copied().cloned().collect();
        let id = self.organization_id.clone();
        // Where storing the ledger failed, the run has ended.
        let edition = self.print.map(|print| (self.revision, print));
        move |acknowledged| match edition {
            Some((revision, print)) => {
                let kept = KeptProgress { revision, print, acknowledged };
                files.iter().try_for_each(|file| file.keep_progress(&id, kept))
            }
            None => Ok(()),
        }
    }

    fn keep(&mut self, ledger: &mut Ledger, print: u64) -> Result<()> {
        self.revision += 1;
        let kept =
            KeptLedger { revision: self.revision, print, ledger: std::mem::take(ledger), acknowledged: 0 };
        self.print = None;
        let stored = self.files.iter().try_for_each(|file| file.keep_ledger(&self.organization_id, &kept));
        *ledger = kept.ledger;
        stored?;
        self.print = Some(print);
        Ok(())
    }
}

/// The ledger that a run leaves.
pub(crate) struct LeftLedger {
    pub(crate) ledger: Ledger,
    /// [`Ledger::print`] of it.
    print: u64,
    /// Where it is on the disk already, under other names. `None` where it is not.
    staged: Option<Vec<StagedLedger>>,
}

impl LeftLedger {
    /// Not on the disk yet.
    pub(crate) fn of(ledger: Ledger) -> Self {
        Self { print: ledger.print(), ledger, staged: None }
    }
}

/// A ledger at rest: the last run found nothing to do.
pub(crate) struct AtRest {
    /// [`Ledger::print`] of it.
    pub(crate) print: u64,
    pub(crate) times: Times,
    pub(crate) evidence: Evidence,
}

/// The ledger as it is in all folders.
struct Copies {
    revision: u64,
    /// [`Ledger::print`], where all have the same.
    print: Option<u64>,
    ledger: Option<Ledger>,
}

impl Copies {
    /// Reads all. Where they differ, as after folders were synced apart, the latest counts.
    fn read(files: &[DataFile], organization_id: &str) -> Result<Self> {
        let mut copies: Vec<KeptLedger> = Vec::new();
        for file in files {
            copies.extend(file.ledger(organization_id)?);
        }
        copies.sort_by_key(|copy| std::cmp::Reverse((copy.revision, copy.acknowledged)));
        let revision = copies.first().map_or(0, |copy| copy.revision);
        let is_one =
            copies.len() == files.len() && copies.iter().skip(1).all(|copy| Some(copy) == copies.first());
        let kept = copies.first().filter(|_| is_one).map(|copy| copy.print);
        // One run at two points, as after it was killed between two folders: the later point has the other in it.
        copies.dedup_by(|other, one| {
            one.print != 0 && (other.revision, other.print) == (one.revision, one.print)
        });
        let ledger = copies.into_iter().map(|copy| copy.ledger).reduce(Ledger::joined);
        // One of an earlier form, or with requests that were acknowledged since, is another one by now.
        let print = ledger.as_ref().map(Ledger::print).filter(|print| kept == Some(*print));
        Ok(Self { revision, print, ledger })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run was killed after it had kept in one of two folders how far it had come: what is gone by then does not come back from the other.
    #[test]
    fn of_one_run_at_two_points_the_later_counts() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, other] = folders.each_ref().map(|folder| DataFile::in_folder(folder.path().to_owned()));
        let text = r#"{"revision":4,"print":7,"ledger":{"version":2,"people":{},"groups":{"a":{"name":"A","members":[]},"b":{"name":"B","members":[]}},"journal":{"begun":5,"steps":[[{"noGroup":"a"}],[{"noGroup":"b"}]]}}}"#;
        let begun: KeptLedger = serde_json::from_str(text).unwrap();
        for file in [&one, &other] {
            file.keep_ledger("o", &begun).unwrap();
        }
        one.keep_progress("o", KeptProgress { revision: 4, print: 7, acknowledged: 1 }).unwrap();
        for files in [[one.clone(), other.clone()], [other, one]] {
            let Copies { revision, print, ledger } = Copies::read(&files, "o").unwrap();
            assert_eq!((revision, print), (4, None));
            assert_eq!(ledger, Some(begun.ledger.clone().acknowledged(1)));
        }
    }
}
