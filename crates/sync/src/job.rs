//! What is synced as one: an instance, or several that are merged.

use std::sync::Arc;
use std::time::Duration;

use bwdc_config::{Environment, settings};
use bwdc_core::Prepared;
use bwdc_core::check::Removals;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::errand::Errand;
use bwdc_store::tokens::TokenMemory;
use bwdc_store::{Data, Memory as _};
use bwdc_store::{report, runs};
use jiff::Timestamp;

use crate::context::Context;
use crate::lines::logged;
use crate::merge::{Merge, MergeMember};
use crate::outcome::{Reportable as _, SyncOutcome};
use crate::read::ReadPurpose;
use crate::watch::Watch;
use crate::{apply, plan};

/// For how long a sync may run where nobody says otherwise; as the daemon's.
const LONGEST: Duration = Duration::from_secs(3600);

/// For how long a sync, and what tries whether one would work, may run.
pub fn longest(data: &Data) -> Duration {
    let text = settings::sync::TIMEOUT.stored_text(data);
    text.as_deref().and_then(settings::length).unwrap_or(LONGEST)
}

/// What is synced as one. Nothing is shared between two: a process may run as many side by side as it likes.
#[derive(Debug)]
pub enum SyncJob {
    /// The folder of the existing connector, which may not be there yet.
    Usual(Box<Context>),
    /// One that somebody named.
    One(Box<Context>),
    /// Several that are merged.
    Merged(Merge),
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

impl SyncJob {
    /// Its name in the log and in summaries.
    pub fn name(&self) -> &str {
        match self {
            Self::Usual(context) | Self::One(context) => &context.name,
            Self::Merged(merge) => &merge.name,
        }
    }

    /// Everybody's settings, first the one that speaks for all.
    pub fn contexts(&self) -> Vec<&Context> {
        match self {
            Self::Usual(context) | Self::One(context) => vec![context],
            Self::Merged(merge) => merge.members.iter().map(|member| &member.context).collect(),
        }
    }

    /// What another process has to know to do it.
    pub fn errand(&self) -> Errand {
        match self {
            Self::Usual(context) => Errand::Usual(context.place()),
            Self::One(context) => Errand::One(context.place()),
            Self::Merged(Merge { name, members, path, at_once }) => Errand::Merged {
                name: name.clone(),
                members: members
                    .iter()
                    .map(|member| (member.context.place(), member.prefix.clone()))
                    .collect(),
                path: path.clone().into(),
                at_once: *at_once,
            },
        }
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub fn with_tokens(self, tokens: &TokenMemory) -> Self {
        match self {
            Self::Usual(context) => Self::Usual(Box::new(context.with_tokens(tokens.clone()))),
            Self::One(context) => Self::One(Box::new(context.with_tokens(tokens.clone()))),
            Self::Merged(merge) => Self::Merged(merge.with_tokens(tokens)),
        }
    }

    /// A whole sync, if there is a permit for it. `run` names it in the log.
    ///
    /// `cut_off` comes when somebody wants the sync to end before its time; what it gives is how the sync failed then.
    pub async fn sync(
        &self,
        run: String,
        permit: Result<()>,
        removals: Removals,
        cut_off: impl Future<Output = Error>,
    ) -> Report<SyncOutcome> {
        let at = Timestamp::now();
        let whole = async {
            permit?;
            self.check_folders()?;
            apply::sync(self, removals).await
        };
        let work = async {
            tokio::select! {
                // Whoever asks it to end is heard from the first step on.
                biased;
                error = cut_off => Err(self.ended_early(error, at)),
                error = self.timeout() => Err(error),
                result = Box::pin(whole) => result,
            }
        };
        let report = logged(self.name(), run, "sync", Box::pin(work)).await;
        self.keep(&report, at);
        report
    }

    /// How a run ends that was cut off: an import may be under way only where one has begun.
    fn ended_early(&self, error: Error, at: Timestamp) -> Error {
        let begun = |context: &&Context| {
            let remembered = context.file.recall().ok();
            remembered.and_then(|remembered| remembered.import_begun).is_some_and(|begun| begun >= at)
        };
        if self.contexts().iter().any(begun) {
            return error.also("The import had begun, and the server may still be working on it.");
        }
        error.also("The import had not begun.")
    }

    /// Comes when it has taken as long as it may, by the settings of the one that speaks for all.
    async fn timeout(&self) -> Error {
        let longest = self.longest();
        tokio::time::sleep(longest).await;
        Error::new(format!("The sync took longer than {} s (sync.timeout) and was aborted.", longest.as_secs())).hint(
            "`bwdc log` shows how far it got: a server may hang. If the directory really is that large, raise sync.timeout.",
        )
    }

    fn longest(&self) -> Duration {
        let data = self.contexts().first().and_then(|context| context.file.load().ok()).unwrap_or_default();
        longest(&data)
    }

    /// Keeps how it went in each of its folders.
    fn keep(&self, report: &Report<SyncOutcome>, at: Timestamp) {
        let Report { run, duration, result, .. } = report;
        let result = result.as_ref().map(|outcome| (outcome.exit(), outcome.facts()));
        let end = runs::End { at, duration: *duration, run, result };
        for context in self.contexts() {
            runs::end(&context.file, context.environment.started_by(), &end);
        }
    }

    /// What a sync would do.
    pub async fn rehearse(&self, purpose: ReadPurpose, removals: Removals) -> Report<Prepared> {
        let work = async {
            self.check_folders()?;
            plan::rehearse(self, purpose, removals).await
        };
        let work = async {
            tokio::select! {
                result = Box::pin(work) => result,
                error = self.timeout() => Err(error),
            }
        };
        logged(self.name(), report::new_run(), "test", Box::pin(work)).await
    }

    /// The `bwdc.toml` of a merge.
    pub(crate) fn merged_by(&self) -> Option<String> {
        match self {
            Self::Usual(_) | Self::One(_) => None,
            Self::Merged(merge) => Some(merge.path.display().to_string()),
        }
    }

    /// Why a job without a directory cannot run.
    pub(crate) fn has_nothing(&self) -> Error {
        Error::new(format!("{} has no directories.", self.name()))
    }

    /// Folders that were named are there.
    pub fn check_folders(&self) -> Result<()> {
        match self {
            Self::Usual(_) => Ok(()),
            Self::One(_) | Self::Merged(_) => self.contexts().into_iter().try_for_each(Context::check_folder),
        }
    }
}

/// The job that an errand is, here.
pub fn of_errand(errand: Errand, environment: &Environment, watch: &Arc<dyn Watch>) -> SyncJob {
    let context = |place| Context::at(place, environment.clone(), Arc::clone(watch));
    match errand {
        Errand::Usual(place) => SyncJob::Usual(Box::new(context(place))),
        Errand::One(place) => SyncJob::One(Box::new(context(place))),
        Errand::Merged { name, members, path, at_once } => {
            let member = |(place, prefix)| MergeMember { context: context(place), prefix };
            let members = members.into_iter().map(member).collect();
            SyncJob::Merged(Merge { name, members, path: path.into(), at_once })
        }
    }
}

/// Of several exit codes the worst: a failure, then what waits for an administrator, then what settles by itself, then what was
/// left out.
pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const WORST_FIRST: [Exit; 4] = [Exit::Failure, Exit::Blocked, Exit::Locked, Exit::LeftOut];
    let exits: Vec<Exit> = exits.into_iter().collect();
    WORST_FIRST.into_iter().find(|worst| exits.contains(worst)).unwrap_or(Exit::Success)
}
