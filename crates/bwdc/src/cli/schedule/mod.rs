//! `bwdc schedule`

mod install;
mod installed;
pub(super) mod job_files;
pub(super) mod job_options;
pub(super) mod paths;
mod script;
mod times;

use bwdc_schedule::Homes;
use clap::{Args, Subcommand};
use jiff::ZonedDateTime;
use serde_json::Value;

use crate::ui::{self, Answer, Style};
use bwdc_config::env::{self, Environment};
use bwdc_config::setup;
use bwdc_config::zone;
use bwdc_core::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bwdc schedule explain \"0 12 * * 1\"\n  bwdc schedule install --every 15m --user bwdc --create-user\n  bwdc schedule install --weekly mon@20:00 --appdata ./one --appdata ./two --dry-run\n  bwdc schedule next -n 5\n  bwdc schedule remove"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain an expression in plain English, with its next runs and anything unusual about it.
    Explain(times::ExplainArguments),
    /// Install a schedule.
    Install(Box<install::InstallArguments>),
    /// List the installed schedules.
    List(installed::UserArgument),
    /// Show the files of a schedule.
    Show(installed::Selection),
    /// Remove schedules completely.
    Remove(installed::RemoveArguments),
    /// Show the next runs.
    Next(times::NextArguments),
    /// Run an installed sync now, as its scheduler would.
    RunNow(installed::Selection),
    /// Print a sync script to adapt.
    Script(script::ScriptArguments),
}

pub(super) fn run(
    environment: &Environment,
    arguments: Arguments,
    options: &setup::GlobalOptions,
    style: Style,
) -> Result<(Answer, Exit)> {
    if let Some(warning) = zone::warning(environment) {
        ui::warning(&warning, style);
    }
    let done = |answer: Answer| (answer, Exit::Success);
    match arguments.command {
        Command::Explain(arguments) => times::explain(&arguments).map(done),
        Command::Install(arguments) => install::install(environment, &arguments, options, style).map(done),
        Command::List(arguments) => installed::list(environment, arguments.user, style).map(done),
        Command::Show(selection) => installed::show(environment, selection, style).map(done),
        Command::Remove(arguments) => installed::remove(environment, arguments, style).map(done),
        Command::Next(arguments) => times::next(environment, arguments, style).map(done),
        Command::RunNow(selection) => installed::run_now(environment, selection, style).map(done),
        Command::Script(arguments) => script::script(environment, &arguments).map(done),
    }
}

/// The homes of whoever asks, and whose crontab to look at.
pub(super) fn homes(environment: &Environment, user: Option<String>) -> Homes {
    let home = environment.path(env::HOME).unwrap_or_default();
    let config_home = environment.path(env::XDG_CONFIG_HOME).unwrap_or_else(|| home.join(".config"));
    Homes { user, home, config_home }
}

/// Times for programs.
fn values(runs: &[ZonedDateTime]) -> Value {
    runs.iter().map(|run| run.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).collect()
}
