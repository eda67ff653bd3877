//! `bwdc log`: the log of an instance, wherever it is.

mod file;
mod journal;
mod lines;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use self::journal::UnitJournal;
use self::lines::{Choice, LineFilter};
use super::Invocation;
use super::scheduled::{self, Scheduled};
use super::which::Which;
use crate::ui::{self, Answer};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_schedule::USUAL_LOG;
use bwdc_sync::Context;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Number of lines to show.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    lines: usize,
    /// Keep printing new lines until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only warnings and errors.
    #[arg(long)]
    errors: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(arguments: Arguments, invocation: &Invocation) -> Result<(Answer, Exit)> {
    let Arguments { lines, follow, errors, which } = arguments;
    let severity = if errors { LineFilter::Trouble } else { LineFilter::Any };
    let logs = logs(&which, invocation, severity)?;
    let is_one = logs.len() == 1;
    let mut shown = Vec::new();
    for log in &logs {
        // One that is followed may come later.
        shown.push(if follow { log.last(lines).unwrap_or_default() } else { log.last(lines)? });
    }
    if follow {
        shown.iter().for_each(|lines| lines.iter().for_each(|line| ui::say(line)));
        follow_all(logs).await?;
        return Ok((Answer::Nothing, Exit::Success));
    }
    let pairs = || logs.iter().zip(&shown);
    let value: Vec<Value> =
        pairs().map(|(log, lines)| json!({ "place": log.name(), "lines": lines })).collect();
    let texts = pairs().map(|(log, lines)| match (is_one, lines.join("\n")) {
        (true, text) => text,
        (false, text) => format!("==> {} <==\n{text}", log.name()),
    });
    let text = texts.collect::<Vec<_>>().join("\n\n");
    Ok((Answer::Table { text, value: json!({ "object": "log", "logs": value }) }, Exit::Success))
}

async fn follow_all(logs: Vec<Log>) -> Result<()> {
    futures_util::future::try_join_all(logs.into_iter().map(Log::follow)).await.map(drop)
}

/// One log.
enum Log {
    File(PathBuf, Choice),
    Journal(UnitJournal),
}

impl Log {
    fn name(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Journal(journal) => journal.name(),
        }
    }

    fn last(&self, count: usize) -> Result<Vec<String>> {
        match self {
            Self::File(path, choice) => file::last(path, count, choice),
            Self::Journal(journal) => journal.last(count),
        }
    }

    async fn follow(self) -> Result<()> {
        match self {
            Self::File(path, choice) => file::follow(&path, &choice).await,
            Self::Journal(journal) => journal.follow().await,
        }
    }
}

/// The log that everything of this process is in, or each instance's.
fn logs(which: &Which, invocation: &Invocation, severity: LineFilter) -> Result<Vec<Log>> {
    if let Some(file) = &invocation.setup.log.file {
        let choice = Choice { severity, instances: which.names().to_vec() };
        return Ok(vec![Log::File(file.value.clone(), choice)]);
    }
    let contexts = which.or_everything(invocation).contexts(invocation)?.into_vec();
    let found: Vec<Log> =
        contexts.iter().map(|context| log_of(context, invocation, severity)).collect::<Result<_>>()?;
    Ok(found.into_iter().fold(Vec::new(), |mut all, log| {
        if all.iter().all(|known: &Log| known.name() != log.name()) {
            all.push(log);
        }
        all
    }))
}

/// Where its schedule has it, else where it would be.
fn log_of(context: &Context, invocation: &Invocation, severity: LineFilter) -> Result<Log> {
    let folder = context.file.folder();
    let choice = Choice { severity, instances: Vec::new() };
    let usual = folder.join(USUAL_LOG);
    let scheduled = scheduled::of_folder(folder, invocation).unwrap_or_default();
    match scheduled.first().and_then(|scheduled| place(scheduled, &usual, severity)) {
        Some(Log::File(path, _)) => Ok(Log::File(path, choice)),
        Some(journal) => Ok(journal),
        None if usual.exists() => Ok(Log::File(usual, choice)),
        None => Err(nowhere(folder)),
    }
}

fn place(scheduled: &Scheduled, usual: &Path, severity: LineFilter) -> Option<Log> {
    let choice = Choice { severity, instances: Vec::new() };
    if let Some(path) = &scheduled.log_file {
        return Some(Log::File(path.clone(), choice));
    }
    match &scheduled.journal {
        Some(unit) => Some(Log::Journal(UnitJournal { unit: unit.clone(), severity })),
        None if usual.exists() => Some(Log::File(usual.to_owned(), choice)),
        None => None,
    }
}

fn nowhere(folder: &Path) -> Error {
    Error::new(format!(
        "No log of {} was found: no log file is set, there is no {USUAL_LOG} in it, and no systemd unit runs it.",
        folder.display()
    ))
    .hint(
        "`bwdc status` shows how the last run went. To keep a log, set a file: --log-file, or log.file in bwdc.toml (docs/log.md).",
    )
}
