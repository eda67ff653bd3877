//! What a run leaves in the history of each of its folders. A run is worth more than its record: one that cannot be written is a
//! warning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bwdc_core::error::Result;
use bwdc_core::metrics::Figures;
use bwdc_core::organization::limits::LimitState;
use bwdc_core::organization::pending::{invitations, number_in_grace};
use bwdc_core::organization::record::{Made, Progress, RunRecord};
use bwdc_core::organization::server::Call;
use bwdc_core::organization::{Moment, Step};
use bwdc_store::history::{Found, Head, History, KeptRun, RunCommand, RunTarget};
use bwdc_store::runs::{Begun, Run};
use jiff::Timestamp;

use crate::beside::free_beside;
use crate::context::Context;
use crate::job::SyncJob;
use crate::organization::OpenOrganization;
use crate::plan::Decided;
use crate::under_way::ImportEnd;

/// Record of a run under way.
pub(crate) struct RunHistory<'a> {
    job: &'a SyncJob,
    /// Names the run in the log.
    pub(crate) run: String,
    /// Beginning of the run.
    pub(crate) at: Timestamp,
    pub(crate) command: RunCommand,
    /// Run that this one undoes.
    undoes: Option<String>,
    state: Mutex<State>,
}

/// What is known by now.
#[derive(Default)]
struct State {
    /// What the run is about, once that is decided.
    matter: Option<Matter>,
    /// Requests that are sent one after the other.
    steps: Arc<[Step]>,
    /// Number of those that were acknowledged.
    acknowledged: usize,
    /// How the one after them ended.
    current: Current,
    /// Limits, once they are known.
    limits: Vec<LimitState>,
    /// Number of people whose grace runs, once that is known.
    in_grace: Option<usize>,
    /// Invitations without an answer, each with its end, once they are known.
    invitations: Vec<(String, Moment)>,
    /// Whether somebody was told that the history cannot be written.
    told: Told,
}

struct Matter {
    target: RunTarget,
    /// What was made, as far as that was known when it was asked for last.
    record: Arc<RunRecord>,
    /// Number of changes that were not to be made, if the record was kept in every folder before the first request.
    begun: Option<usize>,
}

/// The request after those that were acknowledged.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Current {
    /// It was not sent, or the server did not carry it out.
    #[default]
    NotDone,
    /// It is being sent, or nobody knows what became of it.
    Doubtful,
}

/// Whether something was written in every folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Everywhere,
    NotEverywhere,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

impl SyncJob {
    /// What earlier runs did. In a merge each folder has the same, and a damaged record is read in another one.
    pub fn history(&self) -> History {
        History::of_merged(self.contexts().into_iter().map(|context| &context.file))
    }
}

/// Runs that were found; files that were skipped are told.
pub(crate) fn warned<T>(job: &SyncJob, Found { runs, skipped }: Found<T>) -> Vec<T> {
    if let Some(context) = job.contexts().first() {
        skipped.iter().for_each(|file| context.warn(&file.to_string()));
    }
    runs
}

impl<'a> RunHistory<'a> {
    /// Nothing is known yet but that it begins now.
    pub(crate) fn new(job: &'a SyncJob, run: String, command: RunCommand) -> Self {
        Self { job, run, at: Timestamp::now(), command, undoes: None, state: Mutex::default() }
    }

    /// An undo of a run.
    pub(crate) fn undoing(job: &'a SyncJob, run: String, undone: String) -> Self {
        Self { undoes: Some(undone), ..Self::new(job, run, RunCommand::Undo) }
    }

    /// Beginning of the run in a folder.
    pub(crate) fn begun(&self, context: &Context) -> Begun {
        Begun::here(&self.run, self.at, context.environment.started_by())
    }

    /// Notes what the run is about to change, of which this is the record.
    pub(crate) fn decided(&self, decided: &Decided<'_>, record: RunRecord) {
        let Decided { decision, organization, .. } = decided;
        self.state().limits = decision.changes.limits.clone();
        let question = decision.known.question();
        self.state().in_grace = Some(number_in_grace(&question, &decision.changes));
        self.state().invitations = invitations(&question);
        self.is_about(organization, record);
    }

    /// Invitations without an answer, each with its end, if the run came so far.
    pub(crate) fn invitations(&self) -> Vec<(String, Moment)> {
        self.state().invitations.clone()
    }

    /// What was made and held back, in numbers.
    pub(crate) fn figures(&self, record: &RunRecord) -> Figures {
        Figures::of(&record.counts().made, &self.state().limits)
    }

    /// Number of people whose grace runs, if the run came so far.
    pub(crate) fn in_grace(&self) -> Option<usize> {
        self.state().in_grace
    }

    /// Notes to which organization the run goes, and what it is about to change there.
    pub(crate) fn is_about(&self, organization: &OpenOrganization<'_>, record: RunRecord) {
        let target = RunTarget {
            organization: organization.account.organization_id.clone(),
            server: organization.api_url.clone(),
            kind: record.kind,
            basis: record.basis,
        };
        self.state().matter = Some(Matter { target, record: Arc::new(record), begun: None });
    }

    /// Notes that these requests are about to be sent.
    pub(crate) fn will_send(&self, steps: &Arc<[Step]>) {
        self.state().steps = Arc::clone(steps);
    }

    /// Keeps what the run is about to do. On the disk when it returns.
    pub(crate) fn begins(&self) {
        let record = self.state().matter.as_ref().map(|matter| Arc::clone(&matter.record));
        let Some(record) = record.filter(|record| !record.is_empty()) else { return };
        let kept =
            self.in_each_folder(Some(&record), |context| self.begun(context).cut_off(), History::begin);
        if let Some(matter) = &mut self.state().matter {
            matter.begun = (kept == Kept::Everywhere).then(|| record.number(Made::No));
        }
    }

    /// Does something that the next run depends on: once more without the record of this run, which is worth less, should the disk have
    /// no room for both.
    pub(crate) fn with_room<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        work().or_else(|_| {
            self.in_each_folder(None, |context| self.begun(context).cut_off(), History::forget_begun);
            work()
        })
    }

    /// Notes that so many requests were acknowledged.
    pub(crate) fn acknowledged(&self, number: usize) {
        let mut state = self.state();
        state.acknowledged = number;
        state.current = Current::NotDone;
    }

    /// Notes that the next request is about to be sent.
    pub(crate) fn sends(&self) {
        self.state().current = Current::Doubtful;
    }

    /// Whether any request was sent.
    pub(crate) fn has_sent(&self) -> bool {
        let state = self.state();
        state.acknowledged > 0 || state.current == Current::Doubtful
    }

    /// Notes that the next request failed. An import that the server gave up may have done a part; one that it refused did nothing.
    pub(crate) fn failed(&self, call: &Call, ended: ImportEnd) {
        self.state().current = match (call, ended) {
            (_, ImportEnd::Nothing) => Current::NotDone,
            (Call::Import(_), _) | (_, ImportEnd::Unclear) => Current::Doubtful,
            (_, ImportEnd::Surely) => Current::NotDone,
        };
    }

    /// Keeps the end of the run, where it is worth that: what it made, and its end as each folder has it.
    pub(crate) fn ends(&self, record: Option<&Arc<RunRecord>>, run: impl Fn(&Context) -> Run) {
        let begun = self.state().matter.as_ref().and_then(|matter| matter.begun);
        let is_as_begun =
            record.is_some_and(|record| begun == Some(record.number(Made::No)) && !record.has(Made::Unclear));
        self.in_each_folder(record, run, |history, run| match (run.is_worth_keeping(), is_as_begun) {
            (false, _) => Ok(()),
            (true, true) => history.end_as_begun(run),
            (true, false) => history.end(run),
        });
    }

    /// What was made by now.
    pub(crate) fn record(&self) -> Option<Arc<RunRecord>> {
        let mut state = self.state();
        let State { matter, steps, acknowledged, current, .. } = &mut *state;
        let (acknowledged, rest) = steps.split_at((*acknowledged).min(steps.len()));
        let doubtful = match current {
            Current::Doubtful => rest.len().min(1),
            Current::NotDone => 0,
        };
        let (doubtful, unsent) = rest.split_at(doubtful);
        let record = &mut matter.as_mut()?.record;
        // Nobody else has it by now: nothing is copied.
        Arc::make_mut(record).come_to(&Progress { acknowledged, doubtful, unsent });
        Some(Arc::clone(record))
    }

    /// Writes the record in each folder that is there.
    fn in_each_folder(
        &self,
        record: Option<&Arc<RunRecord>>,
        run: impl Fn(&Context) -> Run,
        write: impl Fn(&History, &KeptRun) -> Result<()>,
    ) -> Kept {
        let mut everywhere = Kept::Everywhere;
        let target = self.state().matter.as_ref().map(|matter| matter.target.clone());
        for context in self.job.contexts() {
            if !context.file.has_state() || !context.file.folder().is_dir() {
                everywhere = Kept::NotEverywhere;
                continue;
            }
            let (target, undoes) = (target.clone(), self.undoes.clone());
            let head = Head { target, undoes, ..Head::of(&run(context), &self.run, self.command) };
            let kept = KeptRun::new(head, record.cloned());
            if let Err(error) = write(&History::of(&context.file), &kept) {
                self.cannot(context, &error.to_string());
                everywhere = Kept::NotEverywhere;
            }
        }
        everywhere
    }

    /// Warns once.
    fn cannot(&self, context: &Context, why: &str) {
        if std::mem::replace(&mut self.state().told, Told::Yes) == Told::No {
            context.warn(&format!("The history of runs cannot be kept (`bwdc history`): {why}"));
        }
    }

    /// Frees what is known: nobody waits for it.
    pub(crate) fn forget(self) {
        free_beside(self.state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
