//! The memory of an instance in its folder: keys of `data.json`, and files beside it.

use bwdc_core::error::Result;
use bwdc_core::known::KnownPeople;
use bwdc_core::snapshot::Cursor;
use jiff::Timestamp;
use serde_json::Value;

use crate::data::{Data, DataFile, key};
use crate::imported::{self, LastImport};
use crate::ledger::{self, KeptLedger, KeptProgress, KeptTimes, StagedLedger};
use crate::memory::{FullRead, Memory, Remembered, Success, SyncTime};
use crate::{iso, people};

impl Memory for DataFile {
    fn recall(&self) -> Result<Remembered> {
        if self.has_state() { self.load().map(|data| data.remembered()) } else { Ok(Remembered::default()) }
    }

    fn import_began(&self, at: Timestamp) -> Result<()> {
        self.change(|data| {
            data.set(key::IMPORT_BEGUN, iso(at));
            if data.text(key::LAST_SYNC_HASH).is_some() {
                data.set(key::LAST_SYNC_HASH, Value::Null);
            }
        })
    }

    fn import_ended(&self) -> Result<()> {
        self.change(|data| data.remove(key::IMPORT_BEGUN))
    }

    fn keep(&self, success: &Success<'_>) -> Result<()> {
        self.change(|data| data.keep(success))
    }

    fn forget(&self) -> Result<()> {
        if let Some(id) = self.load()?.organization_id()
            && let Some(KeptLedger { revision, ledger, .. }) = self.ledger(id)?
        {
            let ledger = ledger.cleared();
            let print = ledger.print();
            let kept = KeptLedger { revision: revision + 1, print, ledger, acknowledged: 0 };
            self.keep_ledger(id, &kept)?;
        }
        self.change(|data| {
            data.forget_cursors();
            data.set(key::LAST_SYNC_HASH, Value::Null);
            data.remove(key::IMPORT_BEGUN);
        })
    }

    fn ledger(&self, organization_id: &str) -> Result<Option<KeptLedger>> {
        if self.has_state() { ledger::load(self.folder(), organization_id) } else { Ok(None) }
    }

    fn has_ledger(&self, organization_id: &str) -> bool {
        self.has_state() && ledger::is_there(self.folder(), organization_id)
    }

    fn stage_ledger(&self, organization_id: &str, kept: &KeptLedger) -> Result<Option<StagedLedger>> {
        if !self.has_state() {
            return Ok(None);
        }
        ledger::stage(self.folder(), organization_id, kept).map(Some)
    }

    fn keep_progress(&self, organization_id: &str, kept: KeptProgress) -> Result<()> {
        if self.has_state() { ledger::store_progress(self.folder(), organization_id, kept) } else { Ok(()) }
    }

    fn keep_times(&self, organization_id: &str, kept: &KeptTimes) -> Result<()> {
        if self.has_state() { ledger::store_times(self.folder(), organization_id, kept) } else { Ok(()) }
    }

    fn times(&self, organization_id: &str) -> Result<Option<KeptTimes>> {
        if self.has_state() { ledger::load_times(self.folder(), organization_id) } else { Ok(None) }
    }

    fn known_people(&self) -> Result<KnownPeople> {
        if self.has_state() { people::load(self.folder()) } else { Ok(KnownPeople::default()) }
    }

    fn forget_known_people(&self) -> Result<()> {
        if self.has_state() { people::forget(self.folder()) } else { Ok(()) }
    }

    fn last_import(&self) -> Option<LastImport> {
        if self.has_state() { imported::load(self.folder()) } else { None }
    }

    fn keep_last_import(&self, import: &LastImport) -> Result<()> {
        if self.has_state() { imported::store(self.folder(), import) } else { Ok(()) }
    }
}

impl DataFile {
    fn change(&self, change: impl FnOnce(&mut Data)) -> Result<()> {
        self.update(|data| {
            change(data);
            Ok(())
        })
    }

    /// Id of this installation, made once; `data` is what the file holds.
    pub fn app_id(&self, data: &Data) -> Result<String> {
        if let Some(id) = data.text(key::APP_ID) {
            return Ok(id.to_owned());
        }
        self.update(|data| Ok(data.make_app_id()))
    }
}

impl Data {
    /// Part of the content that the runs left.
    pub fn remembered(&self) -> Remembered {
        let text = |key: &str| self.text(key).map(str::to_owned);
        Remembered {
            organization_id: text(key::ORGANIZATION_ID),
            digest: text(key::LAST_SYNC_HASH),
            cursor: Cursor { users: text(key::USER_DELTA), groups: text(key::GROUP_DELTA) },
            users_synced: text(key::LAST_USER_SYNC).map(SyncTime),
            groups_synced: text(key::LAST_GROUP_SYNC).map(SyncTime),
            full_read: self.full_read(),
            merged_by: text(key::MERGED_BY).map(Into::into),
            import_begun: self.text(key::IMPORT_BEGUN).and_then(|text| text.parse().ok()),
        }
    }

    fn full_read(&self) -> Option<FullRead> {
        let at = self.text(key::LAST_FULL_READ)?.parse().ok()?;
        Some(FullRead { at, of: self.text(key::LAST_FULL_READ_OF)?.to_owned() })
    }

    /// Organization that the folder belongs to.
    pub fn organization_id(&self) -> Option<&str> {
        self.text(key::ORGANIZATION_ID)
    }

    /// Gives the folder to an organization; another one than before makes a fresh start.
    pub fn belong_to(&mut self, organization_id: &str) {
        let is_other = self.organization_id() != Some(organization_id);
        self.set(key::ENTITY_ID, organization_id);
        if is_other {
            self.forget_cursors();
        }
        self.set(key::ORGANIZATION_ID, organization_id);
    }

    /// Forgets what makes the next read or import shorter. The digest is kept where the existing connector keeps it.
    pub fn forget_cursors(&mut self) {
        for key in [key::USER_DELTA, key::GROUP_DELTA, key::LAST_GROUP_SYNC, key::LAST_USER_SYNC] {
            self.set(key, Value::Null);
        }
        for key in [key::LAST_FULL_READ, key::LAST_FULL_READ_OF] {
            self.remove(key);
        }
    }

    /// Makes an id of this installation if there is none, and returns it.
    pub fn make_app_id(&mut self) -> String {
        if let Some(id) = self.text(key::APP_ID) {
            return id.to_owned();
        }
        let id = uuid::Uuid::new_v4().to_string();
        self.set_app_id(&id);
        id
    }

    /// Sets the id of this installation.
    pub fn set_app_id(&mut self, id: &str) {
        self.set(key::APP_ID, id);
    }

    fn keep(&mut self, success: &Success<'_>) {
        let Success { organization_id, digest, cursor, users_synced, groups_synced, full_read, merged_by } =
            success;
        if self.organization_id() != Some(*organization_id) {
            self.belong_to(organization_id);
        }
        self.remove(key::IMPORT_BEGUN);
        if let Some(digest) = digest {
            self.set(key::LAST_SYNC_HASH, *digest);
        }
        for (key, token) in [(key::USER_DELTA, &cursor.users), (key::GROUP_DELTA, &cursor.groups)] {
            if let Some(token) = token {
                self.set(key, token.as_str());
            }
        }
        if let Some(time) = groups_synced {
            self.set(key::LAST_GROUP_SYNC, iso(*time));
        }
        if let Some(time) = users_synced {
            self.set(key::LAST_USER_SYNC, iso(*time));
        }
        if let Some(FullRead { at, of }) = full_read {
            self.set(key::LAST_FULL_READ, iso(*at));
            self.set(key::LAST_FULL_READ_OF, of.as_str());
        }
        match merged_by {
            Some(path) => self.set(key::MERGED_BY, *path),
            None => self.remove(key::MERGED_BY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_run_leaves_is_recalled_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = DataFile::in_folder(folder.path().to_owned());
        assert_eq!(file.recall().unwrap(), Remembered::default());
        file.import_began(time("2026-01-01T12:00:00Z")).unwrap();
        assert_eq!(file.recall().unwrap().import_begun, Some(time("2026-01-01T12:00:00Z")));
        let cursor = Cursor { users: Some("next".to_owned()), groups: None };
        let success = Success {
            organization_id: "o",
            digest: Some("d"),
            cursor: &cursor,
            users_synced: Some(time("2026-01-01T12:00:01Z")),
            groups_synced: None,
            full_read: Some(FullRead { at: time("2026-01-01T12:00:01Z"), of: "x".to_owned() }),
            merged_by: Some("/etc/bwdc.toml"),
        };
        file.keep(&success).unwrap();
        let remembered = file.recall().unwrap();
        let expected = Remembered {
            organization_id: Some("o".to_owned()),
            digest: Some("d".to_owned()),
            cursor,
            users_synced: Some(SyncTime("2026-01-01T12:00:01.000Z".to_owned())),
            groups_synced: None,
            full_read: Some(FullRead { at: time("2026-01-01T12:00:01Z"), of: "x".to_owned() }),
            merged_by: Some("/etc/bwdc.toml".into()),
            import_begun: None,
        };
        assert_eq!(remembered, expected);
        assert_eq!(remembered.last_sync(), Some(time("2026-01-01T12:00:01Z")));
        file.import_began(time("2026-01-01T13:00:00Z")).unwrap();
        assert_eq!(file.recall().unwrap().digest, None);
        file.forget().unwrap();
        let left = Remembered {
            organization_id: expected.organization_id,
            merged_by: expected.merged_by,
            ..Remembered::default()
        };
        assert_eq!(file.recall().unwrap(), left);
    }

    #[test]
    fn without_a_state_nothing_is_recalled_and_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = DataFile::in_folder(folder.path().to_owned());
        let text = r#"{"revision":4,"print":7,"ledger":{"version":2,"people":{},"groups":{"a":{"name":"A","members":[]}}}}"#;
        let kept: KeptLedger = serde_json::from_str(text).unwrap();
        file.keep_ledger("o", &kept).unwrap();
        file.import_began(time("2026-01-01T12:00:00Z")).unwrap();
        let files = || {
            let mut all: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
            all.sort();
            all.into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        let before = files();
        let without = file.clone().keeping(crate::StateKeeping::Nowhere);
        assert_eq!(without.recall().unwrap(), Remembered::default());
        assert!(without.ledger("o").unwrap().is_none() && !without.has_ledger("o"));
        without.import_began(time("2026-01-01T13:00:00Z")).unwrap();
        without.keep_ledger("o", &kept).unwrap();
        without.keep_progress("o", KeptProgress { revision: 4, print: 7, acknowledged: 1 }).unwrap();
        without.import_ended().unwrap();
        without.forget_known_people().unwrap();
        let data = without.load().unwrap();
        assert_eq!(without.app_id(&data).unwrap().len(), 36);
        assert_eq!(files(), before);
        assert!(file.ledger("o").unwrap().is_some());
    }

    #[test]
    fn another_organization_makes_a_fresh_start() {
        let mut data = Data::default();
        data.belong_to("one");
        data.set(key::USER_DELTA, "next");
        data.belong_to("one");
        assert_eq!(data.remembered().cursor.users.as_deref(), Some("next"));
        data.belong_to("two");
        assert_eq!(data.remembered().cursor, Cursor::default());
        assert_eq!(data.organization_id(), Some("two"));
    }
}
