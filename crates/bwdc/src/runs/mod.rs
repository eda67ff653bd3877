//! How the runs of an instance went, in a file beside `data.json`: what `bwdc status` tells, whoever started them.

pub(crate) mod health;

use std::io::{ErrorKind, IsTerminal as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Environment, env};
use crate::job::Facts;
use crate::state::{DataFile, replace_private};
use bwdc_core::error::{Error, Exit, Result};

const FILE: &str = "last-run.json";

/// What is known of an instance's runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Runs {
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
pub(crate) struct Begun {
    pub(crate) at: Timestamp,
    pub(crate) by: By,
    process: u32,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// When it began.
    pub(crate) at: Timestamp,
    pub(crate) by: By,
    pub(crate) result: Ending,
    /// None for one that could not tell its end.
    pub(crate) exit: Option<u8>,
    pub(crate) duration_seconds: Option<f64>,
    #[serde(flatten)]
    pub(crate) counts: Option<Facts>,
    /// The sentence that it ended with.
    pub(crate) message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// By which the log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ending {
    Ok,
    /// Done, without entries that are wrong.
    LeftOut,
    Failed,
    /// Another one was running.
    Locked,
    /// Held back by a safety check.
    Blocked,
    /// It ended without telling how: it was killed, or the machine stopped.
    CutOff,
}

impl Ending {
    fn of(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::Ok,
            Exit::LeftOut => Self::LeftOut,
            Exit::Failure => Self::Failed,
            Exit::Locked => Self::Locked,
            Exit::Blocked => Self::Blocked,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::LeftOut => "ok, but entries were left out",
            Self::Failed => "failed",
            Self::Locked => "not done: another sync was running",
            Self::Blocked => "held back by a safety check",
            Self::CutOff => "cut off",
        }
    }

    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::LeftOut)
    }
}

/// Who started a run, in a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct By(String);

impl By {
    /// The scheduler's own word, else what the environment shows.
    pub(crate) fn of(environment: &Environment) -> Self {
        let is_word = |text: &String| {
            text.len() <= 40
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if let Some(word) = environment.text(env::STARTED_BY).filter(is_word) {
            return Self(word);
        }
        let word = if environment.is_set(env::INVOCATION_ID) && !std::io::stderr().is_terminal() {
            "systemd"
        } else if std::io::stderr().is_terminal() || std::io::stdin().is_terminal() {
            "person"
        } else {
            "unknown"
        };
        Self(word.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a run ended, in all of its folders alike.
pub(crate) struct End<'a> {
    pub(crate) at: Timestamp,
    /// In seconds.
    pub(crate) duration: f64,
    /// In the log.
    pub(crate) run: &'a str,
    pub(crate) result: std::result::Result<(Exit, Facts), &'a Error>,
}

impl Run {
    pub(crate) fn of(end: &End<'_>, by: By) -> Self {
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
        }
    }

    pub(crate) fn ended(&self) -> Timestamp {
        let duration = SignedDuration::try_from_secs_f64(self.duration_seconds.unwrap_or_default());
        duration.ok().and_then(|duration| self.at.checked_add(duration).ok()).unwrap_or(self.at)
    }
}

impl Begun {
    fn cut_off(&self) -> Run {
        Run {
            at: self.at,
            by: self.by.clone(),
            result: Ending::CutOff,
            exit: None,
            duration_seconds: None,
            counts: None,
            message: "It was interrupted: it was killed, or the machine stopped.".to_owned(),
            hint: Some("The next run repeats it.".to_owned()),
            run: None,
        }
    }
}

impl Runs {
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let attempted = |error: &dyn std::fmt::Display| {
            Error::new(format!("Reading how the last run went, {}: {error}", path.display()))
        };
        match crate::state::read_regular(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| attempted(&error).hint("The next run creates it again.")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(attempted(&error)),
        }
    }

    /// Whether one has begun and not told its end.
    pub(crate) fn has_begun(&self) -> bool {
        self.running.is_some()
    }

    /// The one under way; `lock` is who has the lock.
    pub(crate) fn running(&self, lock: Option<&str>) -> Option<&Begun> {
        self.running.as_ref().filter(|_| lock.is_some())
    }

    /// The last one that is over, also where it could not tell so.
    pub(crate) fn last(&self, lock: Option<&str>) -> Option<Run> {
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
pub(crate) fn begin(file: &DataFile, environment: &Environment, at: Timestamp) {
    let begun = Begun { at: rounded(at), by: By::of(environment), process: std::process::id() };
    change(file, |runs| Runs { running: Some(begun), ..runs });
}

/// Notes how a run ended.
pub(crate) fn end(file: &DataFile, environment: &Environment, end: &End<'_>) {
    change(file, |runs| runs.and(Run::of(end, By::of(environment))));
}

/// A folder that is not there is not made for it.
fn change(file: &DataFile, change: impl FnOnce(Runs) -> Runs) {
    if !file.folder().is_dir() {
        return;
    }
    let changed = file.beside(|folder| {
        // One that cannot be understood is of no use to anybody.
        let runs = change(Runs::load(folder).unwrap_or_default());
        let text = serde_json::to_vec_pretty(&runs).map_err(Error::new)?;
        replace_private(&folder.join(FILE), &text)
    });
    if let Err(error) = changed {
        tracing::warn!(
            "the result of this run cannot be stored, so `bwdc status` shows an earlier one: {error}"
        );
    }
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
    pub(crate) const SAMPLES: [&str; 3] = [
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
            let times = crate::daemon::timetable::Times::usual();
            for now in [Timestamp::MIN, Timestamp::now(), Timestamp::MAX] {
                let evidence = health::Evidence { runs: &runs, lock, earlier_success: None, times: Some(&times), now };
                let _ = (evidence.last_success(), evidence.trouble());
            }
            let _ = (runs.last(lock).map(|run| run.ended()), runs.running(lock), runs.has_begun());
        }
    }
}
