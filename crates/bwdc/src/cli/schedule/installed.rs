//! `bwdc schedule list`, `show`, `remove` and `run-now`: the schedules that are installed.

use std::path::PathBuf;

use bwdc_schedule::schedulers::{self, shown};
use bwdc_schedule::{Installed, Marker, Steps, Syncs};
use clap::Args;
use serde_json::json;

use super::homes;
use super::paths::folders;
use super::values;
use crate::log::{self, escaped};
use crate::ui::{self, Answer, Style};
use bwdc_config::env::Environment;
use bwdc_config::zone;
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct UserArgument {
    /// User whose crontab to read.
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Folder of the instance, if several have a schedule.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    #[command(flatten)]
    user: UserArgument,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArguments {
    #[command(flatten)]
    selection: Selection,
    /// Remove all schedules.
    #[arg(long, conflicts_with = "appdata")]
    all: bool,
    /// Print the files and commands without changing anything.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn described(installed: &Installed) -> String {
    let Marker { schedule, syncs, .. } = &installed.marker;
    let all = match syncs {
        Syncs::Instance => "",
        Syncs::Everything => "all instances in bwdc.toml, ",
    };
    format!("{all}{}, by {}", escaped(schedule), installed.scheduler.name())
}

/// The schedules that can be seen, with a warning for what could not be read.
pub(super) fn found(environment: &Environment, user: Option<String>, style: Style) -> Result<Vec<Installed>> {
    let found = schedulers::list(&homes(environment, user))?;
    for skipped in &found.unreadable {
        ui::warning(&escaped_lines(&format!("Left out: {skipped}")), style);
    }
    Ok(found.installed)
}

/// Lines stay, for what is said in several.
fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

pub(super) fn nothing_installed() -> Error {
    Error::new("No schedule is installed.").hint(
        "Create one with `bwdc schedule install`. Root or an administrator also sees the schedules of others.",
    )
}

pub(super) fn list(environment: &Environment, user: Option<String>, style: Style) -> Result<Answer> {
    let all = found(environment, user, style)?;
    let now = zone::now();
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let next = installed.next(&now).map(|next| next.to_zoned_datetime(now.time_zone().clone()));
        let when = next.as_ref().map(|run| format!(", next {}", shown(run))).unwrap_or_default();
        let marker = &installed.marker;
        lines.push(format!(
            "{}: {} as {}{when}\n  in {}",
            escaped(&marker.folder),
            described(installed),
            escaped(&marker.user),
            installed.place()
        ));
        list.push(json!({
            "folder": marker.folder,
            "syncs": marker.syncs,
            "schedule": marker.schedule,
            "using": installed.scheduler.name(),
            "user": marker.user,
            "program": marker.program,
            "place": installed.place(),
            "next": next.map(|next| values(&[next])[0].take()),
        }));
    }
    let text = if lines.is_empty() { "No schedule is installed.".to_owned() } else { lines.join("\n") };
    Ok(Answer::Table { text, value: list.into() })
}

/// What is meant: all of the folders that are named, or the only one.
fn selected(environment: &Environment, selection: Selection, style: Style) -> Result<Vec<Installed>> {
    let all = found(environment, selection.user.user, style)?;
    if selection.appdata.is_empty() {
        return match all.len() {
            0 => Err(nothing_installed()),
            1 => Ok(all),
            _ => {
                let folders: Vec<_> =
                    all.iter().map(|one| format!("--appdata {}", escaped(&one.marker.folder))).collect();
                Err(Error::new("Several schedules are installed.")
                    .hint(format!("Choose one: {}.", folders.join(", "))))
            }
        };
    }
    let folders = folders(environment, &selection.appdata, None)?;
    let chosen: Vec<_> = all.into_iter().filter(|one| folders.contains(&one.marker.folder)).collect();
    match folders.iter().find(|folder| !chosen.iter().any(|one| one.marker.folder == **folder)) {
        Some(folder) => Err(Error::new(format!("There is no schedule for {folder}."))
            .hint("`bwdc schedule list` shows all schedules.")),
        None => Ok(chosen),
    }
}

pub(super) fn show(environment: &Environment, selection: Selection, style: Style) -> Result<Answer> {
    let texts: Vec<_> =
        selected(environment, selection, style)?.iter().map(Installed::text).collect::<Result<Vec<_>>>()?;
    let text = texts.join("\n");
    Ok(Answer::Table {
        text: escaped_lines(text.trim_end()),
        value: json!({ "object": "string", "data": text }),
    })
}

pub(super) fn remove(environment: &Environment, arguments: RemoveArguments, style: Style) -> Result<Answer> {
    let chosen = if arguments.all {
        found(environment, arguments.selection.user.user, style)?
    } else {
        selected(environment, arguments.selection, style)?
    };
    if chosen.is_empty() {
        return Ok(Answer::message("There is no schedule to remove."));
    }
    let mut all = Steps::default();
    for installed in &chosen {
        // One after the other: two can be in one crontab.
        let steps = installed.removal()?;
        if !arguments.dry_run {
            steps.apply()?;
        }
        all.extend(steps);
    }
    if arguments.dry_run {
        return Ok(Answer::Table { text: all.text()?, value: all.value() });
    }
    let folders: Vec<_> = chosen.iter().map(|one| escaped(&one.marker.folder)).collect();
    Ok(Answer::Message {
        title: "The schedule has been removed.".to_owned(),
        message: Some(format!(
            "{} is no longer synced automatically. The folder and its user remain.",
            folders.join(", ")
        )),
    })
}

/// Runs all schedules, or those that were named.
pub(super) fn run_now(environment: &Environment, selection: Selection, style: Style) -> Result<Answer> {
    let chosen = if selection.appdata.is_empty() {
        found(environment, selection.user.user, style)?
    } else {
        selected(environment, selection, style)?
    };
    if chosen.is_empty() {
        return Err(nothing_installed());
    }
    let runs: Vec<(&Installed, Result<String>)> = chosen
        .iter()
        .map(|one| (one, one.run_now().and_then(|command| bwdc_schedule::run(&command, None))))
        .collect();
    let text: Vec<String> = runs.iter().map(|(one, ran)| run_described(one, ran)).collect();
    let failed = runs.iter().filter(|(_, ran)| ran.is_err()).count();
    let is_awaited = chosen.iter().all(Installed::is_awaited);
    match failed {
        0 => Ok(Answer::Message {
            title: if is_awaited {
                "The sync ran as the scheduler will run it.".to_owned()
            } else {
                "The sync was started as the scheduler will start it.".to_owned()
            },
            message: Some(text.join("\n")),
        }),
        _ => Err(Error::new(format!("{failed} of {} failed.\n{}", runs.len(), text.join("\n")))
            .hint("The output above says why; `bwdc doctor` checks everything.")),
    }
}

/// What became of one, what it printed, and the end of its log.
fn run_described(installed: &Installed, ran: &Result<String>) -> String {
    let mut lines = vec![format!("{}:", escaped(&installed.marker.folder))];
    let printed = match ran {
        Ok(printed) => printed.clone(),
        Err(error) => error.to_string(),
    };
    let quoted = |text: &str| text.lines().map(|line| format!("  {}", escaped(line))).collect::<Vec<_>>();
    lines.extend(quoted(&printed));
    if let Some((place, end)) = end_of_log(installed) {
        lines.push(format!("  {place}"));
        lines.extend(end.lines().map(|line| format!("    {}", escaped(line))));
    }
    lines.join("\n")
}

/// Where it logs, if there is a log yet, and the last lines there.
fn end_of_log(installed: &Installed) -> Option<(String, String)> {
    let (place, end) = match installed.journal() {
        Some(unit) => {
            let command = unit.last_lines();
            let read = [&command[..], &["--no-pager", "-o", "cat"].map(str::to_owned)].concat();
            (format!("Its output: `{}`.", command.join(" ")), bwdc_schedule::run(&read, None).ok()?)
        }
        None => {
            let path = installed.marker.log_file();
            let end = log::end(&path, 5).ok()?;
            (format!("Its output is in {}, which ends with", escaped(&path.display().to_string())), end)
        }
    };
    (!end.trim().is_empty()).then_some((place, end))
}
