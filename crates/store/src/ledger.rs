//! The ledger of an organization, beside `data.json`: one file for each organization that the folder was ever synced into. In a merge
//! each folder has it, so that it survives the merge's end.
//!
//! A run that finds nothing new only writes the times beside it, in a file of their own.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Result};
use bwdc_core::organization::Ledger;
use bwdc_core::organization::in_step::Evidence;
use bwdc_core::organization::ledger::{Times, VERSION};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::files::{Staged, cannot, read_if_there, remove_if_there, stage_json, write_json};

/// A ledger as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptLedger {
    /// Number of times that it was written: of several copies the highest is the latest.
    pub revision: u64,
    /// [`Ledger::print`] of it: another one with the same revision, as from a backup, is told apart.
    #[serde(default)]
    pub print: u64,
    /// The ledger.
    pub ledger: Ledger,
    /// Number of requests of its journal that were acknowledged since it was written: the ledger is that after them.
    #[serde(skip)]
    pub acknowledged: usize,
}

/// What is read first, since a later form may have other contents.
#[derive(Deserialize)]
struct Form {
    ledger: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Times of runs since the ledger was written, and what they show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptTimes {
    /// Revision of the ledger.
    pub revision: u64,
    /// Print of the ledger.
    #[serde(default)]
    pub print: u64,
    /// Times of the last run.
    pub times: Times,
    /// Evidence that there was nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// How far the run in the journal of a ledger came since the ledger was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptProgress {
    /// Revision of the ledger.
    pub revision: u64,
    /// Print of the ledger.
    pub print: u64,
    /// Number of requests of the journal that the server has acknowledged.
    pub acknowledged: usize,
}

/// Ledger of an organization. Ids are UUIDs; whatever else somebody wrote as one leads to no other folder.
fn path(folder: &Path, organization_id: &str) -> PathBuf {
    folder.join(format!("ledger-{}.json", plain(organization_id)))
}

/// Times beside it.
fn times_path(folder: &Path, organization_id: &str) -> PathBuf {
    folder.join(format!("seen-{}.json", plain(organization_id)))
}

/// Progress of the run in its journal.
fn progress_path(folder: &Path, organization_id: &str) -> PathBuf {
    folder.join(format!("sent-{}.json", plain(organization_id)))
}

fn plain(organization_id: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    organization_id.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect()
}

/// Whether there is a ledger of an organization in a folder.
pub(crate) fn is_there(folder: &Path, organization_id: &str) -> bool {
    path(folder, organization_id).exists()
}

/// Ledger of an organization in a folder; `None` if there is none yet.
pub(crate) fn load(folder: &Path, organization_id: &str) -> Result<Option<KeptLedger>> {
    let path = path(folder, organization_id);
    let Some(bytes) = read(&path)? else { return Ok(None) };
    let KeptLedger { revision, print, ledger, .. } = understood(&path, &bytes)?;
    drop(bytes);
    // Those of an earlier ledger have been outdone by the later one.
    let edition = (revision, print);
    let times = times(folder, organization_id)?.filter(|times| (times.revision, times.print) == edition);
    let sent = progress(folder, organization_id)?.filter(|sent| (sent.revision, sent.print) == edition);
    let ledger = match times {
        Some(times) => ledger.at(&times.times),
        None => ledger,
    };
    let acknowledged = sent.map_or(0, |sent| sent.acknowledged);
    let ledger = ledger.acknowledged(acknowledged);
    Ok(Some(KeptLedger { revision, print, ledger, acknowledged }))
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    read_if_there(path).map_err(|error| cannot("Reading", path, &error))
}

fn times(folder: &Path, organization_id: &str) -> Result<Option<KeptTimes>> {
    let path = times_path(folder, organization_id);
    read(&path)?.map(|bytes| times_understood(&path, &bytes)).transpose()
}

fn times_understood(path: &Path, bytes: &[u8]) -> Result<KeptTimes> {
    beside(path, bytes, "Remove it: the next sync reads more of the organization than it would have to.")
}

fn progress(folder: &Path, organization_id: &str) -> Result<Option<KeptProgress>> {
    let path = progress_path(folder, organization_id);
    read(&path)?.map(|bytes| progress_understood(&path, &bytes)).transpose()
}

fn progress_understood(path: &Path, bytes: &[u8]) -> Result<KeptProgress> {
    beside(
        path,
        bytes,
        "Remove it: the next sync finds out what the last one, which did not come to its end, has done.",
    )
}

/// Content of a file beside the ledger.
fn beside<T: DeserializeOwned>(path: &Path, bytes: &[u8], remedy: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::new(format!("The file {} is damaged: {error}. It was left as it is.", path.display()))
            .hint(remedy)
    })
}

fn understood(path: &Path, bytes: &[u8]) -> Result<KeptLedger> {
    let damaged = |error: serde_json::Error| {
        Error::new(format!("The file {} is damaged: {error}. It was left as it is.", path.display())).hint(
            "Restore it from a backup. Or move it away: the next sync makes it anew, but it does not know who left before, and \
             sends everything once. Look at `bwdc plan` first.",
        )
    };
    match serde_json::from_slice::<KeptLedger>(bytes) {
        Ok(kept) if kept.ledger.version <= VERSION => Ok(kept),
        Ok(kept) => Err(newer(path, kept.ledger.version)),
        Err(error) => match serde_json::from_slice::<Form>(bytes) {
            Ok(form) if form.ledger.version > VERSION => Err(newer(path, form.ledger.version)),
            _ => Err(damaged(error)),
        },
    }
}

fn newer(path: &Path, version: u32) -> Error {
    Error::new(format!(
        "The file {} was written by a later version of bwdc (form {version}, this one knows {VERSION}). It was left as it is.",
        path.display()
    ))
    .hint("Install that version again: bwdc update.")
}

/// A ledger on the disk beside the one before it, which counts until this one is published.
#[derive(Debug)]
pub struct StagedLedger {
    file: Staged,
    /// Times beside the one before.
    times: PathBuf,
    /// Progress beside the one before.
    progress: PathBuf,
}

impl StagedLedger {
    /// Replaces the ledger, and forgets what is beside the one before. On the disk when it returns.
    ///
    /// # Errors
    /// It cannot be given its name.
    pub fn publish(self) -> Result<()> {
        let Self { file, times, progress } = self;
        remove_if_there(&times)?;
        file.publish()?;
        // Not before: the one before is not known without it.
        remove_if_there(&progress)
    }
}

/// Writes a ledger beside the one of a folder. On the disk when it returns.
pub(crate) fn stage(folder: &Path, organization_id: &str, kept: &KeptLedger) -> Result<StagedLedger> {
    Ok(StagedLedger {
        file: stage_json(&path(folder, organization_id), kept)?,
        times: times_path(folder, organization_id),
        progress: progress_path(folder, organization_id),
    })
}

/// Keeps how far the run in the journal of a ledger came. On the disk when it returns.
pub(crate) fn store_progress(folder: &Path, organization_id: &str, kept: KeptProgress) -> Result<()> {
    write_json(&progress_path(folder, organization_id), &kept)
}

/// Keeps the times of a run beside their ledger. On the disk when it returns.
pub(crate) fn store_times(folder: &Path, organization_id: &str, kept: &KeptTimes) -> Result<()> {
    write_json(&times_path(folder, organization_id), kept)
}

/// Times beside the ledger, which is not read; `None` if there are none, or they belong to another one.
pub(crate) fn load_times(folder: &Path, organization_id: &str) -> Result<Option<KeptTimes>> {
    let kept = times(folder, organization_id)?;
    Ok(kept.filter(|kept| edition(folder, organization_id) == Some((kept.revision, kept.print))))
}

/// Revision and print of a ledger, with which the file begins.
fn edition(folder: &Path, organization_id: &str) -> Option<(u64, u64)> {
    let mut head = Vec::new();
    File::open(path(folder, organization_id)).ok()?.take(80).read_to_end(&mut head).ok()?;
    let (revision, rest) =
        std::str::from_utf8(&head).ok()?.strip_prefix("{\"revision\":")?.split_once(',')?;
    let (print, _) = rest.strip_prefix("\"print\":")?.split_once(',')?;
    Some((revision.parse().ok()?, print.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    fn store(folder: &Path, organization_id: &str, kept: &KeptLedger) -> Result<()> {
        stage(folder, organization_id, kept)?.publish()
    }

    #[test]
    fn a_ledger_comes_back_and_a_later_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), None);
        let kept = KeptLedger { revision: 3, print: 0, ledger: Ledger::default(), acknowledged: 0 };
        store(folder.path(), "o", &kept).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(kept));
        assert_eq!(load(folder.path(), "another").unwrap(), None);
        let later = br#"{"revision":1,"ledger":{"version":9,"people":[]}}"#;
        let error = understood(Path::new("/srv/ledger-o.json"), later).unwrap_err();
        assert!(error.message.contains("later version of bwdc (form 9"), "{error}");
        assert_eq!(path(Path::new("/srv"), "../x"), Path::new("/srv/ledger-___x.json"));
    }

    /// One person who was seen, and one group that was read.
    fn kept(ran: i64, verified: i64) -> KeptLedger {
        let text = format!(
            r#"{{"revision":4,"ledger":{{"version":1,"ran":{ran},"origins":[{{}}],"people":{{"u1":{{"email":"a@x.org","first":1}}}},"groups":{{"g":{{"name":"G","members":["u1"],"verified":{verified}}}}}}}}}"#
        );
        understood(Path::new("x"), text.as_bytes()).unwrap()
    }

    #[test]
    fn times_are_kept_beside_the_ledger_until_it_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (kept(5, 3), kept(9, 9));
        assert_eq!(before.ledger.print(), after.ledger.print());
        store(folder.path(), "o", &before).unwrap();
        let times = KeptTimes { revision: 4, print: 0, times: after.ledger.times(), evidence: None };
        store_times(folder.path(), "o", &times).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(after));
        assert_eq!(load_times(folder.path(), "o").unwrap(), Some(times.clone()));
        let later = KeptLedger { revision: 5, ..kept(7, 3) };
        store(folder.path(), "o", &later).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(later.clone()));
        assert_eq!(load_times(folder.path(), "o").unwrap(), None);
        // Those of another revision, as after a ledger came back from a backup.
        store_times(folder.path(), "o", &times).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(later));
        assert_eq!(load_times(folder.path(), "o").unwrap(), None);
        // Of another ledger with the same revision, as after two files came back from different backups.
        let other = KeptLedger { print: 1, ..before };
        store(folder.path(), "o", &other).unwrap();
        store_times(folder.path(), "o", &times).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(other));
        assert_eq!(load_times(folder.path(), "o").unwrap(), None);
        std::fs::write(times_path(folder.path(), "o"), "{").unwrap();
        let error = load(folder.path(), "o").unwrap_err();
        assert!(error.message.contains("seen-o.json is damaged"), "{error}");
    }

    #[test]
    fn requests_that_were_acknowledged_are_kept_beside_the_ledger_until_it_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"revision":4,"print":7,"ledger":{"version":1,"people":{},"groups":{},"journal":{"begun":5,"steps":[[{"noGroup":"a"}],[{"noGroup":"b"}]]}}}"#;
        let begun = understood(Path::new("x"), text.as_bytes()).unwrap();
        store(folder.path(), "o", &begun).unwrap();
        let kept = KeptProgress { revision: 4, print: 7, acknowledged: 1 };
        store_progress(folder.path(), "o", kept).unwrap();
        let ledger = begun.ledger.clone().acknowledged(1);
        let after = KeptLedger { ledger, acknowledged: 1, ..begun.clone() };
        assert_ne!(after, begun);
        assert_eq!(load(folder.path(), "o").unwrap(), Some(after));
        // Of another ledger with the same revision.
        store_progress(folder.path(), "o", KeptProgress { print: 8, ..kept }).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(begun.clone()));
        store_progress(folder.path(), "o", kept).unwrap();
        store(folder.path(), "o", &begun).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(begun));
        assert!(!progress_path(folder.path(), "o").exists());
        std::fs::write(progress_path(folder.path(), "o"), "{").unwrap();
        let error = load(folder.path(), "o").unwrap_err();
        assert!(error.message.contains("sent-o.json is damaged"), "{error}");
    }

    #[test]
    fn a_staged_ledger_counts_once_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (kept(5, 3), KeptLedger { revision: 5, ..kept(9, 9) });
        store(folder.path(), "o", &before).unwrap();
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let number = files();
        drop(stage(folder.path(), "o", &after).unwrap());
        assert_eq!(files(), number);
        let staged = stage(folder.path(), "o", &after).unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(before));
        staged.publish().unwrap();
        assert_eq!(load(folder.path(), "o").unwrap(), Some(after));
        assert_eq!(files(), number);
    }

    #[test]
    fn members_of_groups_are_numbers_of_people_or_ids() {
        let text = |members: &str| {
            format!(
                r#"{{"revision":1,"print":2,"ledger":{{"version":3,"due":"changes","ran":2,"places":{{}},"origins":[{{"places":[]}}],"people":{{"u1":{{"email":"a@x.org","first":1}},"u2":{{"email":"b@x.org","first":1}}}},"groups":{{"g":{{"name":"G","members":{members}}}}}}}}}"#
            )
        };
        let read = |members: &str| understood(Path::new("ledger-o.json"), text(members).as_bytes());
        let kept = read(r#"[1,"u9"]"#).unwrap();
        let (_, group) = kept.ledger.groups().next().unwrap();
        assert_eq!(group.members.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["u2", "u9"]);
        assert_eq!(serde_json::to_string(&kept).unwrap(), text(r#"[1,"u9"]"#));
        assert_eq!(kept, read(r#"["u2","u9"]"#).unwrap());
        let error = read("[2]").unwrap_err();
        assert!(error.message.contains("a member of a group is not in the list of people"), "{error}");
    }

    /// A ledger of one person whose run brings in another.
    fn begun(version: u32, effects: &str) -> String {
        format!(
            r#"{{"revision":1,"print":2,"ledger":{{"version":{version},"due":"changes","ran":2,"places":{{}},"origins":[{{"places":[]}}],"people":{{"u1":{{"email":"a@x.org","first":1}}}},"groups":{{}},"journal":{{"begun":5,"steps":[[{{"noGroup":"x"}}],{effects}]}}}}}}"#
        )
    }

    #[test]
    fn people_whom_a_journal_brings_in_have_numbers_after_the_others() {
        let now = begun(
            3,
            r#"[{"in":{"action":"invite","id":"u2","email":"b@x.org"}},{"in":{"action":"adopt","id":"u3","email":"c@x.org","directory_id":"u4"}},{"group":{"id":"g","name":"G","members":[0,1,2,"u9"]}}]"#,
        );
        let of_form_2 = begun(
            2,
            r#"[{"in":{"action":"invite","id":"u2","email":"b@x.org","directory_id":"u2"}},{"in":{"action":"adopt","id":"u3","email":"c@x.org","directory_id":"u4"}},{"group":{"id":"g","name":"G","members":["u1","u2","u3","u9"]}}]"#,
        );
        let read = |text: &str| understood(Path::new("ledger-o.json"), text.as_bytes());
        let kept = read(&now).unwrap();
        assert_eq!(kept, read(&of_form_2).unwrap());
        assert_eq!(kept.ledger.print(), read(&of_form_2).unwrap().ledger.print());
        assert_eq!(serde_json::to_string(&kept).unwrap(), now);
        let after = kept.ledger.acknowledged(2);
        let (_, group) = after.groups().next().unwrap();
        assert_eq!(group.members.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["u1", "u2", "u3", "u9"]);
        let damaged = |effects: &str| read(&begun(3, effects)).unwrap_err().message;
        let nobody = damaged(r#"[{"group":{"id":"g","name":"G","members":[1]}}]"#);
        assert!(nobody.contains("a member of a group is not in the list of people"), "{nobody}");
        let none = damaged(r#"[{"in":{"action":"invite","id":"u2"}}]"#);
        assert!(none.contains("the journal has an effect that is none"), "{none}");
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_times_of_a_ledger(bytes in damaged([
            r#"{"revision":4,"times":{"ran":9,"verified":{"g":9}},"evidence":{"of":"x","at":9,"until":99,"groups":{"g":{"id":"1","members":"y"}},"warnings":[{"code":"groupTwin","subject":"s","text":"t"}]}}"#,
        ])) {
            match times_understood(Path::new("/srv/seen-o.json"), &bytes) {
                Ok(kept) => {
                    let again = times_understood(Path::new("x"), &serde_json::to_vec(&kept).unwrap()).unwrap();
                    prop_assert_eq!(again, kept);
                }
                Err(error) => bwdc_testkit::harmless(&error, bytes.len())?,
            }
        }

        /// A damaged ledger is never taken for an empty one.
        #[test]
        fn fuzz_ledger(bytes in damaged([
            r#"{"revision":1,"ledger":{"version":1,"due":"changes","ran":2,"origins":[{"places":["p"],"matched":"f"}],"people":{"u1":{"email":"a@x.org","first":1,"last":1},"u2":{"email":"b@x.org","standing":{"left":{"at":1,"cause":"missing","member":"removed"}},"ids":{"u1":{"first":1},"u3":{"first":1,"last":2,"created":1}}}},"groups":{"g":{"name":"G","members":["u1"]}}}}"#,
            r#"{"revision":1,"print":2,"ledger":{"version":2,"ran":2,"origins":[{}],"people":{"u1":{"email":"a@x.org","first":1},"u2":{"email":"b@x.org"}},"groups":{"g":{"name":"G","members":[0,1,"u9"],"verified":1}}}}"#,
            begun(3, r#"[{"in":{"action":"invite","id":"u2","email":"b@x.org"}},{"group":{"id":"g","name":"G","members":[0,1,"u9"]}},{"released":"u1"}]"#).as_str(),
        ])) {
            match understood(Path::new("/srv/ledger-o.json"), &bytes) {
                Ok(kept) => {
                    let again = understood(Path::new("x"), &serde_json::to_vec(&kept).unwrap()).unwrap();
                    prop_assert_eq!(again, kept);
                }
                Err(error) => bwdc_testkit::harmless(&error, bytes.len())?,
            }
        }
    }
}
