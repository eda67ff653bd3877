//! What is synced as one: an instance, or several that are merged; with its lines in the log.

use std::time::{Duration, Instant};

use bwdc_core::Prepared;
use bwdc_core::check::Removals;
use bwdc_core::note::{Note, Severity, by_cause};
use bwdc_core::prepare::Fate;
use jiff::Timestamp;
use tracing::Instrument as _;

use crate::log::ENTRIES;
use crate::run::merged::{self, Member, Merge};
use crate::run::{self, Context, Outcome, Rehearsal};
use crate::ui::{self, Style};
use bwdc_config::{Environment, settings};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::Data;
use bwdc_store::errand::Errand;
use bwdc_store::report;
use bwdc_store::runs::{self, Facts};
use bwdc_store::tokens::TokenMemory;

/// For how long a sync may run where nobody says otherwise; as the daemon's.
const LONGEST: Duration = Duration::from_secs(3600);

/// For how long a sync, and what tries whether one would work, may run.
pub(crate) fn longest(data: &Data) -> Duration {
    let text = settings::sync::TIMEOUT.stored_text(data);
    text.as_deref().and_then(settings::length).unwrap_or(LONGEST)
}

/// What is synced as one. Nothing is shared between two: a process may run as many side by side as it likes.
#[derive(Debug)]
pub(crate) enum Job {
    /// The folder of the existing connector, which may not be there yet.
    Usual(Box<Context>),
    /// One that somebody named.
    One(Box<Context>),
    Merged(Merge),
}

/// How a run of a job went.
#[derive(Debug)]
pub(crate) struct Report<T> {
    /// The instance, or the organization of a merge.
    pub(crate) name: String,
    /// Names this run in the log.
    pub(crate) run: String,
    /// In seconds.
    pub(crate) duration: f64,
    pub(crate) result: Result<T>,
}

impl Job {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Usual(context) | Self::One(context) => &context.name,
            Self::Merged(merge) => &merge.name,
        }
    }

    /// Everybody's settings, first the one that speaks for all.
    pub(crate) fn contexts(&self) -> Vec<&Context> {
        match self {
            Self::Usual(context) | Self::One(context) => vec![context],
            Self::Merged(merge) => merge.members.iter().map(|member| &member.context).collect(),
        }
    }

    /// What another process has to know to do it.
    pub(crate) fn errand(&self) -> Errand {
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
    pub(crate) fn with_tokens(self, tokens: &TokenMemory) -> Self {
        match self {
            Self::Usual(context) => Self::Usual(Box::new(context.with_tokens(tokens.clone()))),
            Self::One(context) => Self::One(Box::new(context.with_tokens(tokens.clone()))),
            Self::Merged(merge) => Self::Merged(merge.with_tokens(tokens)),
        }
    }

    /// A whole sync, if there is a permit for it. `run` names it in the log.
    ///
    /// `cut_off` comes when somebody wants the sync to end before its time; what it gives is how the sync failed then.
    pub(crate) async fn sync(
        &self,
        run: String,
        permit: Result<()>,
        removals: Removals,
        cut_off: impl Future<Output = Error>,
    ) -> Report<Outcome> {
        let at = Timestamp::now();
        let whole = async {
            permit?;
            self.check_folders()?;
            match self {
                Self::Usual(context) | Self::One(context) => run::sync(context, removals).await,
                Self::Merged(merge) => merged::sync(merge, removals).await,
            }
        };
        let work = async {
            tokio::select! {
                result = Box::pin(whole) => result,
                error = cut_off => Err(error),
                error = self.timeout() => Err(error),
            }
        };
        let report = logged(self.name(), run, "sync", Box::pin(work)).await;
        self.keep(&report, at);
        report
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
    fn keep(&self, report: &Report<Outcome>, at: Timestamp) {
        let Report { run, duration, result, .. } = report;
        let result = result.as_ref().map(|outcome| (outcome.exit(), outcome.facts()));
        let end = runs::End { at, duration: *duration, run, result };
        for context in self.contexts() {
            runs::end(&context.file, context.environment.started_by(), &end);
        }
    }

    /// What a sync would do.
    pub(crate) async fn rehearse(&self, what: Rehearsal, removals: Removals) -> Report<Prepared> {
        let work = async {
            self.check_folders()?;
            match self {
                Self::Usual(context) | Self::One(context) => run::rehearse(context, what, removals).await,
                Self::Merged(merge) => merged::rehearse(merge, removals).await,
            }
        };
        let work = async {
            tokio::select! {
                result = Box::pin(work) => result,
                error = self.timeout() => Err(error),
            }
        };
        logged(self.name(), report::new_run(), "test", Box::pin(work)).await
    }

    /// Folders that were named are there.
    pub(crate) fn check_folders(&self) -> Result<()> {
        match self {
            Self::Usual(_) => Ok(()),
            Self::One(_) | Self::Merged(_) => self.contexts().into_iter().try_for_each(Context::check_folder),
        }
    }
}

/// The job that an errand is, here.
pub(crate) fn of_errand(errand: Errand, environment: &Environment, style: Style) -> Job {
    let context = |place| Context::at(place, environment.clone(), style);
    match errand {
        Errand::Usual(place) => Job::Usual(Box::new(context(place))),
        Errand::One(place) => Job::One(Box::new(context(place))),
        Errand::Merged { name, members, path, at_once } => {
            let member = |(place, prefix)| Member { context: context(place), prefix };
            let members = members.into_iter().map(member).collect();
            Job::Merged(Merge { name, members, path: path.into(), at_once })
        }
    }
}

async fn logged<T: Told>(
    name: &str,
    run: String,
    verb: &str,
    work: impl Future<Output = Result<T>>,
) -> Report<T> {
    let started = Instant::now();
    // At the highest level, so that what is logged at any has the instance.
    let span = tracing::error_span!("run", instance = name, run);
    let work = async {
        tracing::info!("{verb} started");
        let result = work.await;
        let duration = report::rounded(started.elapsed().as_secs_f64());
        match &result {
            Ok(done) => log_success(verb, duration, done),
            Err(error) => report::log_failure(verb, duration, error),
        }
        (result, duration)
    };
    let (result, duration) = work.instrument(span).await;
    Report { name: name.to_owned(), run, duration, result }
}

/// What can be told of a run that succeeded.
pub(crate) trait Told {
    fn facts(&self) -> Facts;
    fn notes(&self) -> &[Note];
}

impl Told for Outcome {
    fn facts(&self) -> Facts {
        let Self { sent, left_out, changes, .. } = self;
        Facts { users: sent.users, groups: sent.groups, removed: changes.leavers(), left_out: *left_out }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

impl Told for Prepared {
    fn facts(&self) -> Facts {
        let removed = self.people.iter().filter(|person| person.fate == Fate::Leaves).count();
        let Self { people, groups, bad_records, .. } = self;
        Facts { users: people.len(), groups: groups.len(), removed, left_out: bad_records.len() }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// The form of this line and the next is documented in docs/log.md; alerts are made of them.
fn log_success(verb: &str, duration: f64, done: &impl Told) {
    let notes = done.notes();
    log_notes(notes);
    let Facts { users, groups, removed, left_out } = done.facts();
    let notes = notes.len();
    if left_out == 0 {
        tracing::info!(duration, users, groups, removed, notes, "{verb} ok");
    } else {
        tracing::warn!(
            duration,
            users,
            groups,
            removed,
            notes,
            left_out,
            exit = Exit::LeftOut as u8,
            "{verb} ok"
        );
    }
}

/// A line for each cause, and for those who look for somebody one for each entry.
fn log_notes(notes: &[Note]) {
    for group in by_cause(notes) {
        match group.severity {
            Severity::Warning => tracing::warn!("{}", ui::sentence(&group)),
            Severity::Info => tracing::info!(count = group.entries.len(), "{}", group.reason),
        }
    }
    for Note { entry, reason, .. } in notes {
        tracing::debug!(target: ENTRIES, entry, "{reason}");
    }
}

/// Of several exit codes the worst: a failure, then what waits for an administrator, then what settles by itself, then what was
/// left out.
pub(crate) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const WORST_FIRST: [Exit; 4] = [Exit::Failure, Exit::Blocked, Exit::Locked, Exit::LeftOut];
    let exits: Vec<Exit> = exits.into_iter().collect();
    WORST_FIRST.into_iter().find(|worst| exits.contains(worst)).unwrap_or(Exit::Success)
}

impl Outcome {
    pub(crate) fn exit(&self) -> Exit {
        if self.left_out > 0 { Exit::LeftOut } else { Exit::Success }
    }
}
