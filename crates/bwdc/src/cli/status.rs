//! `bwdc status`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Given;
use super::daemon::home;
use super::which::Which;
use crate::daemon::control;
use crate::daemon::status::{InstanceStatus, Status};
use crate::error::{Error, Exit, Result};
use crate::ui::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The first folder that the daemon was given, where it was given some.
    #[arg(long, value_name = "DIR")]
    appdata: Option<PathBuf>,
}

/// Ends with 1 while an instance fails.
pub(super) async fn run(arguments: Arguments, given: &Given) -> Result<(Answer, Exit)> {
    let folder = match arguments.appdata {
        Some(folder) => folder,
        None => home(&Which::default(), given)?,
    };
    let status = control::ask(&folder).await?;
    let now = Timestamp::now();
    let is_failing = !status.in_trouble(now).is_empty();
    let value = serde_json::to_value(&status)
        .map_err(|error| Error::new(format!("Writing the status as JSON: {error}")))?;
    let answer = Answer::Table { text: told(&status, now), value };
    Ok((answer, if is_failing { Exit::Failure } else { Exit::Success }))
}

fn told(status: &Status, now: Timestamp) -> String {
    let mut text = format!(
        "bwdc {} (process {}), running for {}\n",
        status.version,
        status.pid,
        length(now.duration_since(status.started))
    );
    for (name, instance) in &status.instances {
        let _ = write!(text, "\n{name}\n  {}\n  {}\n", doing(instance, now), last(instance, now));
        if let Some(trouble) = instance.trouble(now) {
            let _ = writeln!(text, "  {trouble}");
        }
    }
    text.trim_end().to_owned()
}

fn doing(instance: &InstanceStatus, now: Timestamp) -> String {
    match (instance.running_since, instance.next_run) {
        (Some(since), _) => format!("running for {}", length(now.duration_since(since))),
        (None, Some(next)) => {
            format!("next run in {}, at {}", length(next.duration_since(now)), shown(next))
        }
        (None, None) => "not to run again".to_owned(),
    }
}

fn last(instance: &InstanceStatus, now: Timestamp) -> String {
    match (&instance.last, instance.last_success) {
        (Some(last), _) => format!(
            "last run {} ago, {:.1} s, exit {}: {}",
            length(now.duration_since(last.at)),
            last.seconds,
            last.exit,
            last.message.replace('\n', "\n    ")
        ),
        (None, Some(success)) => format!("last good run at {}, before this daemon", shown(success)),
        (None, None) => "never ran".to_owned(),
    }
}

/// In local time.
fn shown(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Days and hours, hours and minutes, minutes and seconds.
fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
