//! History of an instance: a file for each run that changed something, was held back or failed, in a folder beside `data.json`.
//!
//! A run writes its file before its first request, with everything unclear, and again at its end, unless all of it was made: then it adds
//! that, and the file gets another name. Each file is replaced in one step, and a line that was cut off does not count, so that whoever
//! reads sees one or the other, and needs no lock.

mod bounds;
mod check;
mod file;
mod name;
mod who;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bwdc_core::error::{Error, Result};
use bwdc_core::organization::record::{Counts, GroupEntry, Made, MemberEntry, RunRecord};
use bwdc_core::organization::roster::{Basis, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::file::Unreadable;
use self::name::{RunFile, Worth};
pub use self::who::Sought;
use crate::DataFile;
use crate::files::{
    append, buffered, cannot, make_folder, remove_if_there, remove_left_behind, write_atomically_by,
};
use crate::lock::RunLock;
use crate::runs::{Ending, Run, RunCounts, RunStarter, Runs};

const FOLDER: &str = "history";

/// History of an instance, or of several that are merged.
#[derive(Clone, Debug)]
pub struct History {
    /// Folders that have the same.
    copies: Vec<Folder>,
}

/// Folder of the records.
#[derive(Clone, Debug)]
struct Folder {
    /// Folder of the instance.
    instance: PathBuf,
    path: PathBuf,
}

/// Command that a run carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunCommand {
    /// `bwdc sync`, or a sync of the daemon.
    Sync,
    /// `bwdc apply`
    Apply,
    /// `bwdc undo`
    Undo,
}

impl RunCommand {
    /// Name of the command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }
}

/// Organization that a run was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunTarget {
    /// Id of the organization.
    pub organization: String,
    /// Address of the server's API.
    pub server: String,
    /// Server that answered.
    pub kind: Kind,
    /// Source of what was known of the organization.
    pub basis: Basis,
}

/// Head of a record: everything but the single changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Id of the run, as in the log.
    pub run: String,
    /// Beginning of the run.
    pub at: Timestamp,
    /// Who started it.
    pub by: RunStarter,
    /// Command.
    pub command: RunCommand,
    /// End of the run, in a word.
    pub result: Ending,
    /// Exit code; none for a run that could not tell its end.
    pub exit: Option<u8>,
    /// Duration, likewise.
    pub duration_seconds: Option<f64>,
    /// Organization, where the run came far enough to know it.
    #[serde(flatten)]
    pub target: Option<RunTarget>,
    /// What the run sent, if it succeeded.
    #[serde(flatten)]
    pub sent: Option<RunCounts>,
    /// Changes in numbers.
    pub counts: Counts,
    /// Sentence that it ended with.
    pub message: String,
    /// Next step for an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Run that it undid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
}

/// Whole record of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRun {
    /// Head.
    pub head: Head,
    /// Changes. `None` if the run ended before it knew any, as where the directory could not be read.
    pub record: Option<Arc<RunRecord>>,
}

/// Change in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// To a membership.
    Member(MemberEntry),
    /// To a group.
    Group(GroupEntry),
}

/// Runs that were found, and files that could not be understood.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Runs, the latest first.
    pub runs: Vec<T>,
    /// Files that were skipped.
    pub skipped: Vec<Skipped>,
}

/// File of the folder that is not the record of a run, or a damaged one; or a folder that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// File.
    pub path: PathBuf,
    /// Reason.
    pub why: String,
    /// Folder whose copy was read.
    instead: Option<PathBuf>,
}

impl Skipped {
    fn folder(path: &Path, error: &Error) -> Self {
        Self { path: path.to_owned(), why: error.message.clone(), instead: None }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The file {} is left out of the history: {}", self.path.display(), self.why)?;
        match &self.instead {
            Some(folder) => write!(f, " Its copy in {} is used.", folder.display()),
            None => Ok(()),
        }
    }
}

/// Selection of runs.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Earliest beginning.
    pub since: Option<Timestamp>,
    /// Results; all if there are none.
    pub results: Vec<Ending>,
    /// Number of the latest ones.
    pub most: Option<usize>,
}

impl Filter {
    fn has(&self, head: &Head) -> bool {
        self.results.is_empty() || self.results.contains(&head.result)
    }
}

impl Head {
    /// Head of a run that ended so. `id` is its id in the log.
    pub fn of(run: &Run, id: &str, command: RunCommand) -> Self {
        let begun = Self {
            run: id.to_owned(),
            at: run.at,
            by: run.by.clone(),
            command,
            result: run.result,
            exit: None,
            duration_seconds: None,
            target: None,
            sent: None,
            counts: Counts::default(),
            message: String::new(),
            hint: None,
            undoes: None,
        };
        begun.ended(run)
    }

    /// The same head with another end.
    fn ended(self, run: &Run) -> Self {
        let Run { result, exit, duration_seconds, counts, message, hint, .. } = run.clone();
        Self { result, exit, duration_seconds, sent: counts, message, hint, ..self }
    }

    /// The run as `bwdc status` tells it.
    fn as_run(&self) -> Run {
        let Self { run, at, by, result, exit, duration_seconds, sent, message, hint, .. } = self.clone();
        Run {
            at,
            by,
            result,
            exit,
            duration_seconds,
            counts: sent,
            message,
            hint,
            run: Some(run),
            figures: None,
            observed: None,
        }
    }
}

impl KeptRun {
    /// Record of a run; its head has the changes in numbers.
    pub fn new(head: Head, record: Option<Arc<RunRecord>>) -> Self {
        let counts = record.as_deref().map(RunRecord::counts).unwrap_or_default();
        Self { head: Head { counts, ..head }, record }
    }

    /// Whether the run is worth keeping: it changed something, or an administrator has to look at it.
    pub fn is_worth_keeping(&self) -> bool {
        let is_about_something = self.record.as_ref().is_some_and(|record| !record.is_empty());
        match self.head.result {
            // It did nothing, and the one that it found is kept.
            Ending::Locked => false,
            Ending::Ok | Ending::LeftOut => is_about_something,
            Ending::Failed | Ending::Blocked | Ending::CutOff | Ending::Running => true,
        }
    }

    fn worth(&self) -> Worth {
        match &self.record {
            Some(record) if record.has(Made::Yes) => Worth::Changed,
            Some(record) if record.has(Made::Unclear) => Worth::Unclear,
            _ => Worth::Nothing,
        }
    }
}

impl History {
    /// History of an instance. There need not be any yet.
    pub fn of(file: &DataFile) -> Self {
        Self::in_folder(file.folder())
    }

    /// History of instances that are merged: each has the same, and where one is damaged, another one's is read.
    pub fn of_merged<'a>(files: impl IntoIterator<Item = &'a DataFile>) -> Self {
        Self { copies: files.into_iter().map(|file| Folder::of(file.folder())).collect() }
    }

    fn in_folder(instance: &Path) -> Self {
        Self { copies: vec![Folder::of(instance)] }
    }

    /// Keeps a run that is about to send its first request. On the disk when it returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(&self, run: &KeptRun) -> Result<()> {
        self.copies.iter().try_for_each(|folder| folder.begin(run))
    }

    /// Keeps a run that is over, and forgets those that are too old or too many.
    ///
    /// # Errors
    /// The file cannot be written, or an old one not be removed.
    pub fn end(&self, run: &KeptRun) -> Result<()> {
        self.copies.iter().try_for_each(|folder| folder.end(run))
    }

    /// Keeps a run that made every change which it was about to make when it began: only its end is written.
    ///
    /// # Errors
    /// As for [`Self::end`].
    pub fn end_as_begun(&self, run: &KeptRun) -> Result<()> {
        self.copies.iter().try_for_each(|folder| folder.end_as_begun(run))
    }

    /// Forgets that a run has begun, so that there is more room on the disk.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget_begun(&self, run: &KeptRun) -> Result<()> {
        self.copies.iter().try_for_each(|folder| remove_if_there(&folder.file(&run.head, Worth::Unclear)))
    }

    /// Heads of runs.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn heads(&self, filter: &Filter) -> Result<Found<Head>> {
        self.each(filter, file::head, |settled, _| Some(settled))
    }

    /// Runs that were about somebody or a group: an address, an id or a name, before or after. With the entries that say so.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn about(&self, sought: &Sought, filter: &Filter) -> Result<Found<(Head, Vec<Entry>)>> {
        self.each(
            filter,
            |path| file::entries(path, |line| sought.may_be_in(line)),
            |head, (_, entries)| {
                let entries: Vec<Entry> = entries.into_iter().filter(|entry| sought.is_in(entry)).collect();
                (!entries.is_empty()).then_some((head, entries))
            },
        )
    }

    /// The same person or group with every address, id and name that the runs have for it.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn follow(&self, mut sought: Sought) -> Result<Sought> {
        loop {
            let found = self.about(&sought, &Filter::default())?;
            let more = sought.following(found.runs.iter().flat_map(|(_, entries)| entries));
            if more.len() == sought.len() {
                return Ok(sought);
            }
            sought = more;
        }
    }

    /// Whole records of the runs that began after this one.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn later(&self, than: &Head) -> Result<Found<KeptRun>> {
        let filter = Filter { since: Some(than.at), ..Filter::default() };
        self.each(&filter, file::whole, |head, run: KeptRun| {
            (head.at > than.at).then_some(KeptRun { head, ..run })
        })
    }

    /// The run with this id, or with the only one that begins so; at most one.
    ///
    /// # Errors
    /// Several ids begin so, or the record is damaged.
    pub fn run(&self, id: &str) -> Result<Found<KeptRun>> {
        let Lists { read, skipped } = self.lists()?;
        let all = read.iter().flat_map(|(folder, found)| found.runs.iter().map(move |file| (*folder, file)));
        let mut found: Vec<(&Folder, &RunFile)> = all.filter(|(_, file)| file.has_id(id)).collect();
        if found.iter().any(|(_, file)| file.id.eq_ignore_ascii_case(id)) {
            found.retain(|(_, file)| file.id.eq_ignore_ascii_case(id));
        }
        let ids: BTreeSet<&str> = found.iter().map(|(_, file)| file.id.as_str()).collect();
        if ids.len() > 1 {
            return Err(ambiguous(id, &ids));
        }
        let mut bad = Vec::new();
        for (folder, file) in found {
            match folder.read(file, file::whole) {
                Ok(KeptRun { head, record }) => {
                    let run = KeptRun { head: folder.now()?.settled(head), record };
                    bad.extend(skipped);
                    return Ok(Found { runs: vec![run], skipped: instead(bad, folder) });
                }
                Err(file) => bad.push(file),
            }
        }
        match bad.first() {
            Some(file) => Err(damaged(file)),
            None => Ok(Found { runs: Vec::new(), skipped }),
        }
    }

    /// The end of a run, if it was kept.
    pub(crate) fn end_of(instance: &Path, id: &str) -> Option<Run> {
        let folder = Folder::of(instance);
        let file = folder.files().ok()?.runs.into_iter().find(|file| file.id == id)?;
        let head = folder.read(&file, file::head).ok()?;
        (head.result != Ending::CutOff).then(|| head.as_run())
    }

    /// The folders that can be read with their files, and those that cannot.
    ///
    /// # Errors
    /// None can be read.
    fn lists(&self) -> Result<Lists<'_>> {
        let (mut read, mut skipped, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for folder in &self.copies {
            match folder.files() {
                Ok(found) => read.push((folder, found)),
                Err(error) => {
                    skipped.push(Skipped::folder(&folder.path, &error));
                    errors.push(error);
                }
            }
        }
        match errors.into_iter().next() {
            Some(error) if read.is_empty() => Err(error),
            _ => Ok(Lists { read, skipped }),
        }
    }

    /// Reads files, the latest first, until there are enough: of the first folder, and where one of them is damaged, its copy.
    fn each<R: AsHead, T>(
        &self,
        filter: &Filter,
        read: impl Fn(&Path) -> file::Reading<R>,
        chosen: impl Fn(Head, R) -> Option<T>,
    ) -> Result<Found<T>> {
        let Lists { read: lists, skipped: mut told } = self.lists()?;
        let Some(((first, Found { runs: files, skipped }), others)) = lists.split_first() else {
            return Ok(Found { runs: Vec::new(), skipped: told });
        };
        told = instead(told, first);
        told.extend(skipped.iter().cloned());
        let now = first.now()?;
        let mut runs = Vec::new();
        for file in files.iter().filter(|file| filter.since.is_none_or(|since| file.is_since(since))) {
            if filter.most.is_some_and(|most| runs.len() >= most) {
                break;
            }
            let read = first.read(file, &read).or_else(|skipped| {
                let mut copies = others.iter().filter_map(|(folder, found)| {
                    let copy = found.runs.iter().find(|other| other.is_same(file))?;
                    Some((*folder, folder.read(copy, &read).ok()?))
                });
                match copies.next() {
                    Some((folder, read)) => {
                        told.extend(instead(vec![skipped], folder));
                        Ok(read)
                    }
                    None => Err(skipped),
                }
            });
            match read {
                Ok(read) => {
                    let head = now.settled(read.head().clone());
                    if filter.has(&head) {
                        runs.extend(chosen(head, read));
                    }
                }
                Err(file) => told.push(file),
            }
        }
        Ok(Found { runs, skipped: told })
    }
}

/// Folders that can be read with their files, and those that cannot.
struct Lists<'a> {
    read: Vec<(&'a Folder, Found<RunFile>)>,
    skipped: Vec<Skipped>,
}

/// What was skipped, for which this folder has a copy.
fn instead(mut skipped: Vec<Skipped>, folder: &Folder) -> Vec<Skipped> {
    skipped.iter_mut().for_each(|file| file.instead = Some(folder.path.clone()));
    skipped
}

impl Folder {
    fn of(instance: &Path) -> Self {
        Self { instance: instance.to_owned(), path: instance.join(FOLDER) }
    }

    fn begin(&self, run: &KeptRun) -> Result<()> {
        make_folder(&self.path)?;
        self.check()?;
        remove_left_behind(&self.path);
        write_atomically_by(&self.file(&run.head, Worth::Unclear), &mut |out| {
            buffered(out, |out| file::write(out, run))
        })
    }

    fn end(&self, run: &KeptRun) -> Result<()> {
        self.begin(run)?;
        self.has_ended(run)
    }

    fn end_as_begun(&self, run: &KeptRun) -> Result<()> {
        self.check()?;
        let begun = self.file(&run.head, Worth::Unclear);
        let added = file::ending(&run.head).and_then(|ending| append(&begun, &ending));
        match added {
            // It was forgotten for want of room.
            Err(error) if error.kind() == ErrorKind::NotFound => self.end(run),
            Err(error) => Err(cannot("Writing", &begun, &error)),
            Ok(()) => self.has_ended(run),
        }
    }

    /// Gives the file its last name.
    fn has_ended(&self, run: &KeptRun) -> Result<()> {
        let (begun, ended) = (self.file(&run.head, Worth::Unclear), self.file(&run.head, run.worth()));
        if begun != ended {
            std::fs::rename(&begun, &ended).map_err(|error| cannot("Renaming", &begun, &error))?;
        }
        self.keep_within_bounds(&run.head)
    }

    fn file(&self, head: &Head, worth: Worth) -> PathBuf {
        self.path.join(RunFile::of(head, worth).name())
    }

    /// Reads a file, also if the run has just ended and given it another name.
    fn read<T>(
        &self,
        file: &RunFile,
        read: impl Fn(&Path) -> file::Reading<T>,
    ) -> std::result::Result<T, Skipped> {
        let path = self.path.join(file.name());
        let first = match read(&path) {
            Err(Unreadable::Gone) => Unreadable::Gone,
            other => return other.map_err(|error| error.of(&path)),
        };
        let renamed =
            self.files().ok().and_then(|found| found.runs.into_iter().find(|other| other.is_same(file)));
        let Some(renamed) = renamed else { return Err(first.of(&path)) };
        let path = self.path.join(renamed.name());
        read(&path).map_err(|error| error.of(&path))
    }

    /// Names of the files, the latest first.
    fn files(&self) -> Result<Found<RunFile>> {
        self.check()?;
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Found { runs: Vec::new(), skipped: Vec::new() });
            }
            Err(error) => return Err(cannot("Reading", &self.path, &error)),
        };
        let (mut runs, mut skipped) = (Vec::new(), Vec::new());
        for entry in entries {
            let name = entry.map_err(|error| cannot("Reading", &self.path, &error))?.file_name();
            match name.to_str().and_then(RunFile::parse) {
                Some(file) => runs.push(file),
                // A new file on its way to its name.
                None if name.to_string_lossy().starts_with('.') => {}
                None => skipped.push(Skipped {
                    path: self.path.join(&name),
                    why: "its name is not that of a run.".to_owned(),
                    instead: None,
                }),
            }
        }
        runs.sort_unstable_by(|a, b| b.cmp(a));
        skipped.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Found { runs, skipped })
    }

    fn now(&self) -> Result<Now> {
        let lock = RunLock::holder(&self.instance);
        Ok(Now { runs: Runs::load(&self.instance)?, lock })
    }
}

/// What is known at the moment of runs that have not told their end in the history.
struct Now {
    runs: Runs,
    lock: Option<String>,
}

impl Now {
    /// A run that seems to be cut off may be running, or may have told its end elsewhere.
    fn settled(&self, head: Head) -> Head {
        if head.result != Ending::CutOff {
            return head;
        }
        if self.runs.is_running(self.lock.as_deref(), &head.run) {
            let message = "It is running.".to_owned();
            return Head { result: Ending::Running, message, hint: None, ..head };
        }
        match self.runs.ended(&head.run) {
            Some(run) => head.ended(run),
            None => head,
        }
    }
}

/// What has a head.
trait AsHead {
    fn head(&self) -> &Head;
}

impl AsHead for Head {
    fn head(&self) -> &Head {
        self
    }
}

impl AsHead for KeptRun {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl AsHead for (Head, Vec<Entry>) {
    fn head(&self) -> &Head {
        &self.0
    }
}

fn damaged(Skipped { path, why, .. }: &Skipped) -> Error {
    Error::new(format!("Reading the record of the run, {}: {why}", path.display()))
        .hint("It was left as it is. The log has the run, too: bwdc log.")
}

fn ambiguous(id: &str, ids: &BTreeSet<&str>) -> Error {
    let ids: Vec<&str> = ids.iter().copied().collect();
    Error::new(format!("Several runs begin with {id}: {}.", ids.join(", "))).hint("Give more of its id.")
}

#[cfg(test)]
mod tests;
