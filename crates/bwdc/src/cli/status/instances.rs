//! What is known of the runs of each instance, whoever started them.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Form, length, shown};
use crate::cli::Invocation;
use crate::cli::scheduled::{self, Scheduled};
use crate::cli::timetable::{Times, last_run};
use crate::ui::{self, Answer};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_daemon::Timetable as _;
use bwdc_store::RunLock;
use bwdc_store::runs::health::{Evidence, HealthProblem};
use bwdc_store::runs::{Begun, Run, Runs};
use bwdc_sync::Context;
use bwdc_sync::SyncJob;

pub(super) async fn answer(jobs: &[SyncJob], invocation: &Invocation, form: Form) -> Result<(Answer, Exit)> {
    let now = Timestamp::now();
    let mut all = Vec::new();
    for job in jobs {
        all.push(Instance::of(job, invocation, now).await);
    }
    let is_good = all.iter().all(Instance::is_good);
    let value = json!({
        "object": "status",
        "ok": is_good,
        "instances": all.iter().map(Instance::json).collect::<Vec<_>>(),
    });
    let exit = if is_good { Exit::Success } else { Exit::Failure };
    let texts: Vec<String> = all.iter().map(|instance| instance.text(now)).collect();
    Ok(match form {
        Form::Json => (Answer::Object(value), exit),
        Form::Usual => (Answer::Table { text: texts.join("\n\n"), value }, exit),
    })
}

/// One that is synced as one.
struct Instance {
    name: String,
    folder: String,
    state: Result<State>,
}

/// How it is.
struct State {
    runs: Runs,
    /// Who holds the lock of the folder.
    lock: Option<String>,
    last_success: Option<Timestamp>,
    due: Due,
    trouble: Option<HealthProblem>,
}

/// When it runs by itself.
struct Due {
    times: Option<Times>,
    next: Option<Timestamp>,
    by: Option<&'static str>,
}

impl Instance {
    async fn of(job: &SyncJob, invocation: &Invocation, now: Timestamp) -> Self {
        let contexts = job.contexts();
        let folder = contexts.first().map(|context| context.file.folder().display().to_string());
        let state = match contexts.first() {
            Some(context) => State::of(job, context, invocation, now).await,
            None => Err(Error::new("Its folder does not exist.")),
        };
        Self { name: job.name().to_owned(), folder: folder.unwrap_or_default(), state }
    }

    fn is_good(&self) -> bool {
        self.state.as_ref().is_ok_and(|state| state.trouble.is_none())
    }

    fn json(&self) -> Value {
        let mut value = json!({ "name": self.name, "folder": self.folder, "ok": self.is_good() });
        match &self.state {
            Ok(State { runs, lock, last_success, due, trouble }) => {
                value["lastRun"] = json!(runs.last(lock.as_deref()));
                value["lastSuccess"] = json!(last_success);
                value["nextRun"] = json!(due.next);
                value["scheduler"] = json!(due.by);
                value["runningSince"] = json!(runs.running(lock.as_deref()).map(|begun| begun.at));
                value["trouble"] = json!(trouble.as_ref().map(|trouble| &trouble.what));
                value["nextStep"] = json!(trouble.as_ref().map(|trouble| &trouble.next_step));
            }
            Err(error) => {
                value["trouble"] = json!(error.message);
                value["nextStep"] = json!(error.next_step);
            }
        }
        value
    }

    fn text(&self, now: Timestamp) -> String {
        let mut lines = vec![format!("{} ({})", self.name, self.folder)];
        match &self.state {
            Ok(state) => lines.extend(state.lines(now)),
            Err(error) => lines.push(line("trouble", &error.to_string())),
        }
        lines.join("\n")
    }
}

impl State {
    async fn of(job: &SyncJob, context: &Context, invocation: &Invocation, now: Timestamp) -> Result<Self> {
        job.check_folders()?;
        let folder = context.file.folder();
        let (runs, lock) = look(folder).await.map_err(|error| not_ours(folder, error))?;
        let data = context.file.load().map_err(|error| not_ours(folder, error))?;
        let due = due(job, context, invocation)?;
        let due = Due { next: next(&due, &runs, now), ..due };
        let next_after = |time| due.times.as_ref().and_then(|times| times.next_after(time));
        let evidence = Evidence {
            runs: &runs,
            lock: lock.as_deref(),
            earlier_success: last_run(&data),
            times: due.times.is_some().then_some(&next_after),
            now,
        };
        let (trouble, last_success) = (evidence.trouble(), evidence.last_success());
        Ok(Self { due, runs, lock, last_success, trouble })
    }

    fn lines(&self, now: Timestamp) -> Vec<String> {
        let Self { runs, lock, last_success, due, trouble } = self;
        let running = runs.running(lock.as_deref()).map(|begun| line("running", &of_begun(begun, now)));
        let last = runs.last(lock.as_deref());
        let told = match &last {
            Some(run) => of_run(run, now),
            None => "none is known".to_owned(),
        };
        let success = match (last_success, &last) {
            (Some(_), Some(run)) if run.result.is_success() => "the same".to_owned(),
            (Some(at), _) => when(*at, now),
            (None, _) => "never".to_owned(),
        };
        let next = match (due.next, due.by) {
            (Some(next), Some(by)) => {
                format!("{} (in {}), by {by}", shown(next), length(next.duration_since(now)))
            }
            (Some(next), None) => format!("{} (in {})", shown(next), length(next.duration_since(now))),
            (None, Some(by)) => format!("unknown, by {by}"),
            (None, None) => "unknown: no schedule was found for it (`bwdc schedule install`)".to_owned(),
        };
        let trouble = trouble.as_ref().map(|HealthProblem { what, next_step }| {
            let what = if last.is_some_and(|run| run.message == *what) { "" } else { what.as_str() };
            line("to do", format!("{what}\n{next_step}").trim_start())
        });
        let known = [line("last run", &told), line("last success", &success), line("next run", &next)];
        running.into_iter().chain(known).chain(trouble).collect()
    }
}

/// `  NAME          TEXT`, further lines of the text below.
pub(in crate::cli) fn line(name: &str, text: &str) -> String {
    format!("  {name:<14}{}", text.replace('\n', "\n                "))
}

fn when(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({} ago)", shown(time), length(now.duration_since(time)))
}

fn of_begun(begun: &Begun, now: Timestamp) -> String {
    format!("since {}{}", when(begun.at, now), begun.by.told())
}

fn of_run(run: &Run, now: Timestamp) -> String {
    let Run { at, by, result, exit, duration_seconds, message, .. } = run;
    let exit = exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
    let duration = duration_seconds.map(|seconds| format!(", {seconds:.1} s")).unwrap_or_default();
    let head = format!("{}{}: {}{exit}{duration}", when(*at, now), by.told(), result.word());
    let unchanged = run.counts.filter(|counts| counts.users == 0 && counts.groups == 0);
    let unchanged = unchanged.map_or("", |_| " There were no changes to send.");
    let removed = run.counts.filter(|counts| counts.removed > 0 || counts.left_out > 0);
    let more = removed.map(|counts| format!(" {} removed, {} left out.", counts.removed, counts.left_out));
    format!("{head}\n{message}{unchanged}{}", more.unwrap_or_default())
}

/// What the files say. One that seems to be cut off may just be about to tell its end.
pub(in crate::cli) async fn look(folder: &Path) -> Result<(Runs, Option<String>)> {
    const TIMES: usize = 5;
    const MEANWHILE: Duration = Duration::from_millis(100);
    for _ in 1..TIMES {
        let lock = RunLock::holder(folder);
        let runs = Runs::load(folder)?;
        if lock.is_some() || !runs.has_begun() {
            return Ok((runs, lock));
        }
        tokio::time::sleep(MEANWHILE).await;
    }
    Ok((Runs::load(folder)?, RunLock::holder(folder)))
}

fn not_ours(folder: &Path, error: Error) -> Error {
    if error.next_step.is_some() {
        return error;
    }
    error.hint(format!("Run this as the user who owns {}.", folder.display()))
}

/// When a run is due: by the schedules that are installed, else by `bwdc.toml`, which says nothing about who runs it.
fn due(job: &SyncJob, context: &Context, invocation: &Invocation) -> Result<Due> {
    let seen = scheduled::of_folder(context.file.folder(), invocation);
    let mut scheduled = seen.unwrap_or_else(|error| {
        let text = format!("The installed schedules cannot be listed: {error}");
        ui::warning(&context.labelled(&text), invocation.style);
        Vec::new()
    });
    if !scheduled.is_empty() {
        let Scheduled { by, times, next, .. } = scheduled.swap_remove(0);
        return Ok(Due { times: Some(times), next, by: Some(by) });
    }
    let schedule = invocation.setup.installation.as_ref().and_then(|found| found.schedule_of(job.name()));
    let times = schedule.map(|schedule| schedule.times().map(Times::By)).transpose()?;
    Ok(Due { times, next: None, by: None })
}

/// An interval counts from the last run, by whatever clock the scheduler has.
fn next(due: &Due, runs: &Runs, now: Timestamp) -> Option<Timestamp> {
    let by_interval = || due.times.as_ref()?.next_after(runs.last(None)?.at);
    due.next.or_else(|| due.by.and_then(|_| by_interval()).filter(|next| *next > now))
}
