//! How the runs of an instance went, in a file beside `data.json`: what `bwdc status` tells, whoever started them.

pub mod health;

use std::borrow::Cow;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::DataFile;
use crate::files::{read_if_there, write_atomically};
use crate::history::History;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::metrics::{Figures, LastRun, Observed};

const FILE: &str = "last-run.json";

/// Runs of an instance, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Runs {
    /// One that has begun and not told its end. If nobody holds the lock, it was cut off.
    running: Option<Begun>,
    /// The last one that ended.
    last: Option<Run>,
    /// The last one that did its work.
    last_success: Option<Run>,
    /// When the first of those was started that found another one running, since one ended otherwise.
    locked_since: Option<Timestamp>,
}

/// A run under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// Beginning of the run.
    pub at: Timestamp,
    /// Who started it.
    pub by: RunStarter,
    process: u32,
    /// Name of the run in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Beginning of the run.
    pub at: Timestamp,
    /// Who started it.
    pub by: RunStarter,
    /// End of the run, in a word.
    pub result: Ending,
    /// Exit code; none for a run that could not tell its end.
    pub exit: Option<u8>,
    /// Duration, likewise.
    pub duration_seconds: Option<f64>,
    /// Entries of a run that succeeded.
    #[serde(flatten)]
    pub counts: Option<RunCounts>,
    /// Sentence that it ended with.
    pub message: String,
    /// Next step for an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Name of the run in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What it changed, in numbers, if it came so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// What it saw of the other sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// How many entries a run was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunCounts {
    /// People that were sent, or would be.
    pub users: usize,
    /// Groups, likewise.
    pub groups: usize,
    /// People that leave.
    pub removed: usize,
    /// Entries that are wrong.
    pub left_out: usize,
}

impl RunCounts {
    /// In the words of the existing connector.
    pub fn synced(&self) -> String {
        format!("Synced {} group(s) and {} user(s).", self.groups, self.users)
    }
}

/// End of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Done.
    Ok,
    /// Done, without entries that are wrong.
    LeftOut,
    /// Not done.
    Failed,
    /// Another one was running.
    Locked,
    /// Something was held back, or nothing was sent.
    Blocked,
    /// It ended without telling how: it was killed, or the machine stopped.
    CutOff,
    /// It has not ended yet.
    Running,
}

impl Ending {
    fn of(exit: Exit) -> Self {
        match exit {
            Exit::Success | Exit::SomethingToDo => Self::Ok,
            Exit::LeftOut => Self::LeftOut,
            Exit::Failure => Self::Failed,
            Exit::Locked => Self::Locked,
            Exit::Blocked => Self::Blocked,
        }
    }

    /// Words for the table of `bwdc status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::LeftOut => "ok, but entries were left out",
            Self::Failed => "failed",
            Self::Locked => "not done: another sync was running",
            Self::Blocked => "something was held back",
            Self::CutOff => "cut off",
            Self::Running => "running",
        }
    }

    /// Whether the run did its work.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::LeftOut)
    }
}

/// Who started a run, in a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunStarter(Cow<'static, str>);

impl RunStarter {
    /// A person at a terminal.
    pub const PERSON: Self = Self(Cow::Borrowed("person"));
    /// A unit of systemd.
    pub const SYSTEMD: Self = Self(Cow::Borrowed("systemd"));
    /// Nobody who can be told.
    pub const UNKNOWN: Self = Self(Cow::Borrowed("unknown"));

    /// A word such as `cron`: at most 40 letters, digits, hyphens, underscores and dots.
    pub fn named(word: &str) -> Option<Self> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (word.len() <= 40 && word.chars().all(is_good)).then(|| Self(word.to_owned().into()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The word, unless nobody can be told.
    pub fn known(&self) -> Option<&str> {
        Some(self.as_str()).filter(|_| *self != Self::UNKNOWN)
    }

    /// End of a sentence about a run: `, by cron`, or nothing where nobody can be told.
    pub fn told(&self) -> String {
        self.known().map(|by| format!(", by {by}")).unwrap_or_default()
    }
}

/// End of a run, in all of its folders alike.
pub struct End<'a> {
    /// Beginning of the run.
    pub at: Timestamp,
    /// Duration in seconds.
    pub duration: f64,
    /// Name of the run in the log.
    pub run: &'a str,
    /// Exit code and entries, or the error.
    pub result: std::result::Result<(Exit, RunCounts), &'a Error>,
}

impl Run {
    /// Run that is over.
    pub fn of(end: &End<'_>, by: RunStarter) -> Self {
        let (exit, counts, message, hint) = match end.result {
            Ok((exit, facts)) => (exit, Some(facts), facts.synced(), None),
            Err(error) => (error.exit, None, error.message.clone(), error.next_step.clone()),
        };
        Self {
            at: rounded(end.at),
            by,
            result: Ending::of(exit),
            exit: Some(exit as u8),
            duration_seconds: Some(end.duration),
            counts,
            message,
            hint,
            run: Some(end.run.to_owned()),
            figures: None,
            observed: None,
        }
    }

    /// What metrics tell of it, if it was the last.
    pub fn as_metrics(&self) -> LastRun {
        LastRun {
            at: Some(seconds(self.at)),
            seconds: self.duration_seconds,
            exit: self.exit,
            objects: self.counts.map(|counts| (counts.users, counts.groups)),
            figures: self.figures.clone(),
            observed: self.observed.clone().unwrap_or_default(),
            ..LastRun::default()
        }
    }

    /// Time when it was over.
    pub fn ended(&self) -> Timestamp {
        let duration = SignedDuration::try_from_secs_f64(self.duration_seconds.unwrap_or_default());
        duration.ok().and_then(|duration| self.at.checked_add(duration).ok()).unwrap_or(self.at)
    }
}

impl Begun {
    /// Run of this process. `run` is its name in the log.
    pub fn here(run: &str, at: Timestamp, by: RunStarter) -> Self {
        Self { at: rounded(at), by, process: std::process::id(), run: Some(run.to_owned()) }
    }

    /// The run as it ends if it never tells its end.
    pub fn cut_off(&self) -> Run {
        Run {
            at: self.at,
            by: self.by.clone(),
            result: Ending::CutOff,
            exit: None,
            duration_seconds: None,
            counts: None,
            message: "It was interrupted: it was killed, or the machine stopped.".to_owned(),
            hint: Some("The next run repeats it.".to_owned()),
            run: self.run.clone(),
            figures: None,
            observed: None,
        }
    }
}

impl Runs {
    /// Runs of the instance in a folder; none if nothing was kept.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let attempted = |error: &dyn std::fmt::Display| {
            Error::new(format!("Reading how the last run went, {}: {error}", path.display()))
        };
        match read_if_there(&path) {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes)
                .map(|runs: Self| runs.with_history(folder))
                .map_err(|error| attempted(&error).hint("The next run creates it again.")),
            Ok(None) => Ok(Self::default()),
            Err(error) => Err(attempted(&error)),
        }
    }

    /// With the end of the run under way, if the history has it already: it is written first.
    fn with_history(self, folder: &Path) -> Self {
        let id = self.running.as_ref().and_then(|begun| begun.run.as_deref());
        match id.and_then(|id| History::end_of(folder, id)) {
            Some(run) => Self { running: None, ..self.and(run) },
            None => self,
        }
    }

    /// Whether this run is under way; `lock` is who has the lock.
    pub(crate) fn is_running(&self, lock: Option<&str>, id: &str) -> bool {
        self.running(lock).is_some_and(|begun| begun.run.as_deref() == Some(id))
    }

    /// The end of this run, if it was the last.
    pub(crate) fn ended(&self, id: &str) -> Option<&Run> {
        self.last.as_ref().filter(|last| last.run.as_deref() == Some(id))
    }

    /// Whether one has begun and not told its end.
    pub fn has_begun(&self) -> bool {
        self.running.is_some()
    }

    /// The one under way; `lock` is who has the lock.
    pub fn running(&self, lock: Option<&str>) -> Option<&Begun> {
        self.running.as_ref().filter(|_| lock.is_some())
    }

    /// The last one that succeeded.
    pub fn last_success(&self) -> Option<&Run> {
        self.last_success.as_ref()
    }

    /// The last one that is over, also where it could not tell so.
    pub fn last(&self, lock: Option<&str>) -> Option<Run> {
        match &self.running {
            Some(begun) if lock.is_none() => Some(begun.cut_off()),
            _ => self.last.clone(),
        }
    }

    /// With the end of one.
    #[must_use]
    fn and(self, run: Run) -> Self {
        let is_locked = run.result == Ending::Locked;
        let is_own = |begun: &Begun| begun.process == std::process::id();
        Self {
            running: self.running.filter(|begun| is_locked || !is_own(begun)),
            locked_since: is_locked.then(|| self.locked_since.unwrap_or(run.at)),
            last_success: Some(run.clone()).filter(|run| run.result.is_success()).or(self.last_success),
            last: Some(run),
        }
    }
}

/// Notes that a run has begun, whose lock is held. A run is worth more than its note.
pub fn begin(file: &DataFile, begun: Begun) {
    change(file, |runs| Runs { running: Some(begun), ..runs });
}

/// Notes how a run ended.
pub fn end(file: &DataFile, run: Run) {
    change(file, |runs| runs.and(run));
}

/// A folder that is not there is not made for it.
fn change(file: &DataFile, change: impl FnOnce(Runs) -> Runs) {
    if !file.has_state() || !file.folder().is_dir() {
        return;
    }
    let changed = file.beside(|folder| {
        // One that cannot be understood is of no use to anybody.
        let runs = change(Runs::load(folder).unwrap_or_default());
        let text = serde_json::to_vec_pretty(&runs).map_err(Error::new)?;
        write_atomically(&folder.join(FILE), &text)
    });
    if let Err(error) = changed {
        tracing::warn!(
            "the result of this run cannot be stored, so `bwdc status` shows an earlier one: {error}"
        );
    }
}

/// A time as metrics have it.
pub fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// To milliseconds, as everywhere else.
fn rounded(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    /// What runs leave.
    const SAMPLES: [&str; 3] = [
        r#"{"running":{"at":"2026-01-01T00:00:00Z","by":"cron","process":7},"last":{"at":"2026-01-01T00:00:00Z","by":"systemd","result":"failed","exit":1,"durationSeconds":1.5,"message":"No.\nAt all.","hint":"Do it."},"lastSuccess":null,"lockedSince":"2026-01-01T00:00:00.001Z"}"#,
        r#"{"last":{"at":"9999-12-30T22:00:00Z","by":"person","result":"ok","exit":0,"durationSeconds":1e308,"users":5,"groups":2,"message":"Synced.","run":"5e0c"},"lastSuccess":{"at":"-009999-01-02T01:59:59Z","by":"x","result":"leftOut","exit":4,"durationSeconds":-1e300,"message":""}}"#,
        "{}",
    ];

    proptest! {
        #![proptest_config(few())]

        /// What is understood is understood again when it is stored, and can be judged.
        #[test]
        fn fuzz_last_run(bytes in damaged(SAMPLES), lock in prop::option::of(Just("process 7"))) {
            let runs: Runs = match serde_json::from_slice(&bytes) {
                Ok(runs) => runs,
                Err(_) => return Ok(()),
            };
            let again: Runs = serde_json::from_slice(&serde_json::to_vec_pretty(&runs).unwrap()).unwrap();
            prop_assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&runs).unwrap());
            let times = |time: Timestamp| time.checked_add(SignedDuration::from_mins(5)).ok();
            for now in [Timestamp::MIN, Timestamp::now(), Timestamp::MAX] {
                let evidence = health::Evidence { runs: &runs, lock, earlier_success: None, times: Some(&times), now };
                let _ = (evidence.last_success(), evidence.trouble());
            }
            let _ = (runs.last(lock).map(|run| run.ended()), runs.running(lock), runs.has_begun());
        }
    }
}
