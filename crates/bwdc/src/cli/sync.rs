//! `bwdc sync`

use bwdc_core::note::{Note, Severity, by_cause};
use clap::{Args, ValueEnum};
use serde_json::{Map, json};

use super::which::{Jobs, Which, Wish};
use super::{news, several};
use crate::ui::{self, Answer, Style};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_daemon::signals::Stop;
use bwdc_store::StateKeeping;
use bwdc_store::report;
use bwdc_store::runs::RunCounts;
use bwdc_sync::SyncOutcome;
use bwdc_sync::rivals::{self, Judgement};
use bwdc_sync::{Report, Reportable as _, SyncJob};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    removals: RemovalArguments,
    /// `none`: keep nothing in the folder and go by nothing that earlier runs have kept, for a job without a volume. Then nobody leaves for
    /// being missing, and whatever a limit counts is held back unless that limit is off.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = State::Folder)]
    state: State,
}

/// Where a sync keeps what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    Folder,
    None,
}

impl Arguments {
    /// What becomes of state.
    pub(super) fn state(&self) -> StateKeeping {
        match self.state {
            State::Folder => StateKeeping::InFolder,
            State::None => StateKeeping::Nowhere,
        }
    }
}

/// What `sync` and `test` allow for this run.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RemovalArguments {
    /// Allow this run to remove up to this many people, even if that is more than sync.limitRemovals allows.
    #[arg(long = "allow-removals", value_name = "NUMBER")]
    pub(super) allowed: Option<usize>,
}

pub(super) async fn run(invocation: &super::Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let removals = arguments.removals.allowed;
    match arguments.which.jobs(invocation, Wish::Sync)? {
        Jobs::One(job) => {
            let judgement = judgement(std::slice::from_ref(&job), invocation).await;
            let report = job.sync(report::new_run(), judgement.permit(&job), removals, asked_to_end()).await;
            told("Syncing complete.", report, invocation.style)
        }
        Jobs::Several(jobs) => {
            let judgement = &judgement(&jobs, invocation).await;
            let sync = async |job: &SyncJob| {
                job.sync(report::new_run(), judgement.permit(job), removals, asked_to_end()).await
            };
            let lines = several::side_by_side(&jobs, invocation, sync, line_for).await;
            let (answer, exit) = several::answer(lines, "synced", RunCounts::synced);
            Ok((unless_in_log(answer, invocation.style), exit))
        }
    }
}

/// What one run has to say.
pub(super) fn told(title: &str, report: Report<SyncOutcome>, style: Style) -> Result<(Answer, Exit)> {
    let outcome = match report.result {
        Ok(outcome) => outcome,
        Err(error) => return several::alone(error, style),
    };
    ui::notes(&warnings(&outcome.notes), style);
    let mut lines = vec![outcome.facts().synced()];
    lines.extend(news::lines(&outcome, style));
    let answer = Answer::Message { title: title.to_owned(), message: Some(lines.join("\n")) };
    Ok((unless_in_log(answer, style), outcome.exit()))
}

/// Where stderr is the log, as under cron, its last line says it all.
fn unless_in_log(answer: Answer, style: Style) -> Answer {
    if style.is_in_log() { Answer::Nothing } else { answer }
}

/// Waits for SIGTERM or Ctrl-C, so that the run ends with a line in the log.
pub(super) async fn asked_to_end() -> Error {
    match Stop::listen() {
        Ok(mut stop) => stop.asked().await,
        Err(_) => std::future::pending().await,
    }
    Error::new("The sync was stopped before it was done.").hint("The next run repeats it.")
}

/// Who may run; what is only doubtful is told.
pub(super) async fn judgement(jobs: &[SyncJob], invocation: &super::Invocation) -> Judgement {
    let judgement = rivals::judgement(jobs, &invocation.others(jobs)).await;
    judgement.warnings.iter().for_each(|warning| ui::warning(warning, invocation.style));
    judgement
}

/// What is as configured is told by `test`; a sync that runs every few minutes keeps to what wants action.
fn warnings(notes: &[Note]) -> Vec<bwdc_core::note::NoteGroup<'_>> {
    by_cause(notes).into_iter().filter(|note| note.severity == Severity::Warning).collect()
}

/// One of several: warnings at once, the rest in the summary.
fn line_for(report: Report<SyncOutcome>, style: Style) -> several::Line {
    let Report { name, run, duration, result } = report;
    let mut value = Map::new();
    if let Ok(outcome) = &result {
        ui::notes_of(&name, &warnings(&outcome.notes), style);
        news::lines(outcome, style).iter().for_each(|line| ui::say(&format!("{name}: {line}")));
        let RunCounts { users, groups, removed, left_out } = outcome.facts();
        let facts = json!({
            "users": users,
            "groups": groups,
            "removed": removed,
            "leftOut": left_out,
            "notes": outcome.notes.iter().map(Note::to_string).collect::<Vec<_>>(),
        });
        value = facts.as_object().cloned().unwrap_or_default();
    }
    several::Line {
        exit: result.as_ref().map_or_else(|error| error.exit, SyncOutcome::exit),
        facts: result.as_ref().ok().map(SyncOutcome::facts),
        error: result.err(),
        name,
        run,
        duration,
        value,
    }
}
