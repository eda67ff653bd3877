//! `bwdc service status` and `remove`: the service that is installed.

use std::path::PathBuf;

use bwdc_schedule::services::{Served, ServiceState};
use bwdc_schedule::{InstalledService, Syncs};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::the_service;
use crate::cli::Invocation;
use crate::cli::schedule::job_files::value_of;
use crate::cli::status::{self, line};
use crate::log::escaped;
use crate::ui::{Answer, Style};
use bwdc_config::setup;
use bwdc_config::{Environment, env};
use bwdc_core::error::{Exit, Result};
use bwdc_daemon::status::DaemonStatus;

#[derive(Debug, Args)]
pub(super) struct RemoveArguments {
    /// Print the files and commands without changing anything.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn remove(environment: &Environment, arguments: &RemoveArguments) -> Result<Answer> {
    let service = the_service(environment)?;
    let steps = service.removal()?;
    if arguments.dry_run {
        return Ok(Answer::Table { text: steps.text()?, value: steps.value() });
    }
    steps.apply()?;
    Ok(Answer::Message {
        title: "The service has been removed.".to_owned(),
        message: Some(format!(
            "{} is no longer synced automatically. The folder and its user remain.",
            escaped(&service.served.folder)
        )),
    })
}

/// Ends with 1 unless it runs and no instance is in trouble.
pub(super) async fn status(environment: &Environment, style: Style) -> Result<(Answer, Exit)> {
    let service = the_service(environment)?;
    let state = service.state()?;
    let daemon = status::of_daemon_in(&places(&service.served, style)?).await?;
    let now = Timestamp::now();
    let is_good = state.is_running && daemon.as_ref().is_some_and(|daemon| daemon.in_trouble(now).is_empty());
    let exit = if is_good { Exit::Success } else { Exit::Failure };
    let answer = Answer::Table {
        text: text(&service, &state, daemon.as_ref(), now),
        value: value(&service, &state, daemon.as_ref())?,
    };
    Ok((answer, exit))
}

/// Where a daemon with these variables listens.
fn places(served: &Served, style: Style) -> Result<Vec<PathBuf>> {
    let folder = (env::APPDATA_DIR, served.folder.as_str());
    let config = value_of(&served.variables, env::CONFIG).map(|path| (env::CONFIG, path));
    let environment = Environment::of_job([folder].into_iter().chain(config));
    status::places_of_service(&Invocation::found(setup::GlobalOptions::default(), environment, style)?)
}

fn text(
    service: &InstalledService,
    state: &ServiceState,
    daemon: Option<&DaemonStatus>,
    now: Timestamp,
) -> String {
    let InstalledService { keeper, place, served, .. } = service;
    let Served { folder, syncs, user, program, options, .. } = served;
    let what = match syncs {
        Syncs::Instance => "",
        Syncs::Everything => ", all instances in bwdc.toml",
    };
    let command: Vec<&str> =
        [program.as_str(), "daemon"].into_iter().chain(options.iter().map(String::as_str)).collect();
    let at_boot = if state.starts_at_boot { "it starts" } else { "it does not start" };
    let told = daemon.map_or_else(
        || "no daemon answers this user; root and the service's user get an answer".to_owned(),
        |daemon| status::described(daemon, now),
    );
    [
        line("installed", &format!("{}, by {}", place.display(), keeper.name())),
        line("serves", &escaped(&format!("{folder}{what}, as {user}"))),
        line("runs", &escaped(&command.join(" "))),
        line("state", &escaped(&state.state)),
        line("at boot", at_boot),
        line("daemon", &told),
    ]
    .join("\n")
}

fn value(service: &InstalledService, state: &ServiceState, daemon: Option<&DaemonStatus>) -> Result<Value> {
    let InstalledService { keeper, place, served, .. } = service;
    Ok(json!({
        "object": "service",
        "using": keeper.name(),
        "place": place,
        "serves": served,
        "state": state,
        "daemon": daemon.map(status::response).transpose()?,
    }))
}
