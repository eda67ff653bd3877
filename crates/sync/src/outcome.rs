//! What became of a run.

use bwdc_core::Prepared;
use bwdc_core::changes::{ComparisonBasis, ImportChanges};
use bwdc_core::check::{BlockCause, Finding};
use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_core::note::{Note, Step};
use bwdc_core::plan::{ImportSummary, Plan};
use bwdc_core::prepare::{BadRecord, Fate, Missing};
use bwdc_core::snapshot::Cursor;
use bwdc_store::runs::RunCounts;

/// What a sync did.
#[derive(Clone, Debug)]
pub struct SyncOutcome {
    /// What was sent; nothing if the server has it already.
    pub sent: ImportSummary,
    /// Why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that had to be left out.
    pub left_out: usize,
    /// Who came and who left, as far as this run did it.
    pub changes: ImportChanges,
}

/// How a run of a job went.
#[derive(Debug)]
pub struct Report<T> {
    /// The instance, or the organization of a merge.
    pub name: String,
    /// Names this run in the log.
    pub run: String,
    /// In seconds.
    pub duration: f64,
    /// The outcome.
    pub result: Result<T>,
}

impl SyncOutcome {
    /// How a command ends that did this.
    pub fn exit(&self) -> Exit {
        if self.left_out > 0 { Exit::LeftOut } else { Exit::Success }
    }
}

/// What can be told of a run that succeeded.
pub trait Reportable {
    /// The counts.
    fn facts(&self) -> RunCounts;
    /// Why entries were dropped or changed.
    fn notes(&self) -> &[Note];
}

impl Reportable for SyncOutcome {
    fn facts(&self) -> RunCounts {
        let Self { sent, left_out, changes, .. } = self;
        RunCounts { users: sent.users, groups: sent.groups, removed: changes.leavers(), left_out: *left_out }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

impl Reportable for Prepared {
    fn facts(&self) -> RunCounts {
        let removed = self.people.iter().filter(|person| person.fate == Fate::Leaves).count();
        let Self { people, groups, bad_records, .. } = self;
        RunCounts { users: people.len(), groups: groups.len(), removed, left_out: bad_records.len() }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Notes, with a warning for each entry that was left out for being wrong.
pub(crate) fn notes(plan: Plan) -> Vec<Note> {
    let left_out = left_out(&plan.bad_records).collect::<Vec<_>>();
    plan.notes.into_iter().chain(left_out).collect()
}

/// A warning for each entry that is left out for being wrong.
pub(crate) fn left_out(records: &[BadRecord]) -> impl Iterator<Item = Note> {
    records.iter().map(|record| Note::warning(Step::Validate, &record.problem, "left out"))
}

impl SyncOutcome {
    pub(crate) fn nothing() -> Self {
        let note =
            Note::warning(Step::Read, "", "neither sync.users nor sync.groups is on, so nothing was read");
        let changes = ImportChanges { basis: ComparisonBasis::Unknown, list: Vec::new() };
        Self { sent: ImportSummary::default(), notes: vec![note], left_out: 0, changes }
    }
}

/// What is to be imported where nothing was read.
pub(crate) fn nothing_read() -> Prepared {
    Prepared {
        people: Vec::new(),
        groups: Vec::new(),
        notes: SyncOutcome::nothing().notes,
        bad_records: Vec::new(),
        missing: Missing::default(),
        cursor: Cursor::default(),
    }
}

/// Why an import is held back.
pub(crate) fn blocked(findings: &[Finding]) -> Error {
    let is_dangerous = findings.iter().any(|finding| finding.cause == BlockCause::Dangerous);
    let problems: Vec<String> = findings.iter().map(|finding| shown(&finding.problem)).collect();
    let mut next_steps: Vec<&str> = findings.iter().map(|finding| finding.next_step.as_str()).collect();
    next_steps.dedup();
    Error::new(problems.join("\n"))
        .hint(format!("{} Nothing was imported.", next_steps.join(" ")))
        .exit(if is_dangerous { Exit::Blocked } else { Exit::Failure })
}
