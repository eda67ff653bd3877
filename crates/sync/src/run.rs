//! A run of a job: within its time, between its lines in the log, and kept in its folders.

use std::sync::Arc;
use std::time::Duration;

use bwdc_config::settings;
use bwdc_core::Prepared;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::metrics::Observed;
use bwdc_core::organization::document::Document;
use bwdc_core::organization::record::RunRecord;
use bwdc_store::history::RunCommand;
use bwdc_store::runs::Run;
use bwdc_store::{Data, report, runs};
use tracing::Instrument as _;

use crate::alerts::{Telling, credentials};
use crate::context::Context;
use crate::history::RunHistory;
use crate::job::SyncJob;
use crate::lines::{logged, span};
use crate::outcome::{Report, Reportable as _, SyncOutcome};
use crate::read::ReadPurpose;
use crate::undo::{PlannedUndo, UndoOrder};
use crate::{apply, plan, planned, undo};

/// For how long a sync may run where nobody says otherwise; as the daemon's.
const LONGEST: Duration = Duration::from_secs(3600);

/// For how long a sync, and what tries whether one would work, may run.
pub fn longest(data: &Data) -> Duration {
    let text = settings::sync::TIMEOUT.stored_text(data);
    text.as_deref().and_then(settings::length).unwrap_or(LONGEST)
}

impl SyncJob {
    /// A whole sync, if there is a permit for it. `run` names it in the log.
    ///
    /// `cut_off` comes when somebody wants the sync to end before its time; what it gives is how the sync failed then.
    pub async fn sync(
        &self,
        run: String,
        permit: Result<()>,
        allow_removals: Option<usize>,
        cut_off: impl Future<Output = Error>,
    ) -> Report<SyncOutcome> {
        let history = RunHistory::new(self, run, RunCommand::Sync);
        let report = self.run(&history, permit, apply::sync(self, &history, allow_removals), cut_off).await;
        history.forget();
        report
    }

    async fn run(
        &self,
        history: &RunHistory<'_>,
        permit: Result<()>,
        work: impl Future<Output = Result<SyncOutcome>>,
        cut_off: impl Future<Output = Error>,
    ) -> Report<SyncOutcome> {
        let work = Box::pin(work);
        let whole = async {
            permit?;
            self.check_folders()?;
            work.await
        };
        let work = Box::pin(async {
            tokio::select! {
                // Whoever asks it to end is heard from the first step on.
                biased;
                error = cut_off => Err(self.ended_early(error, history)),
                error = self.timeout(history.command) => Err(error),
                result = Box::pin(whole) => result,
            }
        });
        let telling = Box::pin(Telling::begin(self, history)).await;
        let report = logged(self.name(), history.run.clone(), history.command.word(), work).await;
        let record = history.record();
        self.keep(&report, history, record.as_ref());
        if let Some(telling) = telling {
            let span = span(self.name(), &report.run);
            Box::pin(telling.end(&report, history, record.as_deref())).instrument(span).await;
        }
        report
    }

    /// Carries out a plan, if there is a permit for it. The rest as for [`Self::sync`].
    pub async fn apply(
        &self,
        run: String,
        permit: Result<()>,
        plan: &Document,
        cut_off: impl Future<Output = Error>,
    ) -> Report<SyncOutcome> {
        let history = RunHistory::new(self, run, RunCommand::Apply);
        let report = self.run(&history, permit, planned::apply(self, &history, plan), cut_off).await;
        history.forget();
        report
    }

    /// Undoes a run as was shown, if there is a permit for it. The rest as for [`Self::sync`].
    pub async fn undo(
        &self,
        run: String,
        permit: Result<()>,
        order: &UndoOrder,
        shown: &PlannedUndo,
        cut_off: impl Future<Output = Error>,
    ) -> Report<SyncOutcome> {
        let history = RunHistory::undoing(self, run, shown.head.run.clone());
        let report = self.run(&history, permit, undo::undo(self, &history, order, shown), cut_off).await;
        history.forget();
        report
    }

    /// How a run ends that was cut off: an import may be under way only where one has begun.
    fn ended_early(&self, error: Error, history: &RunHistory<'_>) -> Error {
        let what = match history.command {
            RunCommand::Sync | RunCommand::Apply => "The import",
            RunCommand::Undo => "The undo",
        };
        error.also(&match history.has_sent() {
            true => format!("{what} had begun, and the server may still be working on it."),
            false => format!("{what} had not begun."),
        })
    }

    /// Comes when it has taken as long as it may, by the settings of the one that speaks for all.
    async fn timeout(&self, command: RunCommand) -> Error {
        let longest = self.longest();
        tokio::time::sleep(longest).await;
        let seconds = longest.as_secs();
        let (what, hint) = match command {
            RunCommand::Sync => ("sync", "If the directory really is that large, raise sync.timeout."),
            RunCommand::Apply => ("apply", "If the directory really is that large, raise sync.timeout."),
            RunCommand::Undo => (
                "undo",
                "Run it again: what is undone already is not done twice. If that is not enough, raise sync.timeout.",
            ),
        };
        Error::new(format!("The {what} took longer than {seconds} s (sync.timeout) and was aborted."))
            .hint(format!("`bwdc log` shows how far it got: a server may hang. {hint}"))
    }

    fn longest(&self) -> Duration {
        let data = self.contexts().first().and_then(|context| context.file.load().ok()).unwrap_or_default();
        longest(&data)
    }

    /// Keeps how it went in each of its folders: the same end in the history, and for `bwdc status`.
    fn keep(&self, report: &Report<SyncOutcome>, history: &RunHistory<'_>, record: Option<&Arc<RunRecord>>) {
        let Report { run, duration, result, .. } = report;
        let result = result.as_ref().map(|outcome| (outcome.exit(), outcome.facts()));
        let end = runs::End { at: history.at, duration: *duration, run, result };
        let figures = record.map(|record| history.figures(record));
        let ended = |context: &Context| Run {
            figures: figures.clone(),
            ..Run::of(&end, context.environment.started_by())
        };
        let observed = |context: &Context| Observed {
            requests: context.environment.requests(),
            credentials: credentials(context),
        };
        span(self.name(), run).in_scope(|| {
            self.contexts().into_iter().for_each(|context| {
                runs::end(&context.file, Run { observed: Some(observed(context)), ..ended(context) });
            });
            history.ends(record, ended);
        });
    }

    /// What a sync would do.
    pub async fn rehearse(&self, purpose: ReadPurpose, allow_removals: Option<usize>) -> Report<Prepared> {
        let work = async {
            self.check_folders()?;
            plan::rehearse(self, purpose, allow_removals).await
        };
        let work = async {
            tokio::select! {
                result = Box::pin(work) => result,
                error = self.timeout(RunCommand::Sync) => Err(error),
            }
        };
        logged(self.name(), report::new_run(), "test", Box::pin(work)).await
    }
}

/// Of several exit codes the worst: a failure, then what waits for an administrator, then what settles by itself, then what was
/// left out.
pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const WORST_FIRST: [Exit; 5] =
        [Exit::Failure, Exit::Blocked, Exit::Locked, Exit::LeftOut, Exit::SomethingToDo];
    let exits: Vec<Exit> = exits.into_iter().collect();
    WORST_FIRST.into_iter().find(|worst| exits.contains(worst)).unwrap_or(Exit::Success)
}
