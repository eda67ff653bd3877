//! The ledger of a job: the same in each of its folders, so that it survives a merge and its end.

use bwdc_core::error::Result;
use bwdc_core::organization::Ledger;
use bwdc_store::{DataFile, KeptLedger, Memory as _};

/// Where the ledger of a job is kept.
pub(crate) struct LedgerFiles<'a> {
    files: Vec<&'a DataFile>,
    organization_id: String,
    revision: u64,
}

impl<'a> LedgerFiles<'a> {
    /// Reads the ledger of an organization from all folders of a job; `None` if there is none yet. Where they differ, as after folders
    /// were synced apart, the latest counts, with the people and groups that only the others know.
    pub(crate) fn load(files: Vec<&'a DataFile>, organization_id: &str) -> Result<(Self, Option<Ledger>)> {
        let mut copies: Vec<KeptLedger> = Vec::new();
        for file in &files {
            copies.extend(file.ledger(organization_id)?);
        }
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.revision));
        let revision = copies.first().map_or(0, |copy| copy.revision);
        let ledger = copies.into_iter().map(|copy| copy.ledger).reduce(Ledger::joined);
        Ok((Self { files, organization_id: organization_id.to_owned(), revision }, ledger))
    }

    /// Stores the ledger in all folders. On the disk when it returns.
    pub(crate) fn store(&mut self, ledger: Ledger) -> Result<Ledger> {
        self.revision += 1;
        let kept = KeptLedger { revision: self.revision, ledger };
        self.files.iter().try_for_each(|file| file.keep_ledger(&self.organization_id, &kept))?;
        Ok(kept.ledger)
    }
}
