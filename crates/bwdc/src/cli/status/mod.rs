//! `bwdc status`: did the last sync work, and when is the next?

mod daemon;
mod instances;

pub(super) use self::daemon::{described, response};
pub(super) use self::instances::{line, look};

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::Invocation;
use super::daemon::homes;
use super::which::{Which, Wish};
use crate::overview::local as shown;
use crate::ui::{self, Answer};
use bwdc_config::zone;
use bwdc_core::error::{Exit, Result};
use bwdc_daemon::control;
use bwdc_daemon::status::DaemonStatus;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// To read, or with `--response` in an envelope.
    Usual,
    /// One JSON object, alike with and without a daemon.
    Json,
}

/// Ends with 1 while an instance is not in step.
pub(super) async fn run(arguments: Arguments, invocation: &Invocation) -> Result<(Answer, Exit)> {
    let Arguments { which, json } = arguments;
    if let Some(warning) = zone::warning(&invocation.environment) {
        ui::warning(&warning, invocation.style);
    }
    let form = if json { Form::Json } else { Form::Usual };
    match of_daemon(&which, invocation).await? {
        Some(status) => told(&status, form),
        None => instances::answer(&which.standing(invocation, Wish::Test)?, invocation, form).await,
    }
}

/// What the daemon of these instances says of itself, if one runs and answers this user.
pub(super) async fn of_daemon(which: &Which, invocation: &Invocation) -> Result<Option<DaemonStatus>> {
    of_daemon_in(&places(which, invocation)?).await
}

/// What the daemon that listens in one of these folders says of itself.
pub(super) async fn of_daemon_in(places: &[PathBuf]) -> Result<Option<DaemonStatus>> {
    control::ask(places).await
}

/// Where the daemon of everything that is configured may listen.
pub(super) fn places_of_service(invocation: &Invocation) -> Result<Vec<PathBuf>> {
    homes(&Which::default(), invocation)
}

/// The first folder that the daemon was given, where it was given some.
pub(super) fn places(which: &Which, invocation: &Invocation) -> Result<Vec<PathBuf>> {
    match which.first_folder() {
        Some(folder) => Ok(vec![folder.to_owned()]),
        None => homes(&Which::default(), invocation),
    }
}

fn told(status: &DaemonStatus, form: Form) -> Result<(Answer, Exit)> {
    let now = Timestamp::now();
    let exit = if status.in_trouble(now).is_empty() { Exit::Success } else { Exit::Failure };
    let answer = match form {
        Form::Json => Answer::Object(daemon::listing(status)?),
        Form::Usual => {
            Answer::Table { text: daemon::described(status, now), value: daemon::response(status)? }
        }
    };
    Ok((answer, exit))
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
