//! `bwdc service`: the daemon as a service of this machine.

mod install;
mod installed;

use clap::{Args, Subcommand};

use crate::ui::{Answer, Style};
use bwdc_config::Environment;
use bwdc_config::setup;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_schedule::InstalledService;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bwdc service install --user bwdc --create-user --appdata /var/lib/bwdc --dry-run\n  bwdc service install --user bwdc --appdata /var/lib/bwdc -- --web 127.0.0.1:8444\n  bwdc service install                              # Windows\n  bwdc service status\n  bwdc service remove"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the daemon as a service, start it, now and with the machine.
    Install(Box<install::InstallArguments>),
    /// Stop the service and remove it completely.
    Remove(installed::RemoveArguments),
    /// Show where the service is installed, whether it runs, what it serves, and how its instances are.
    Status,
}

pub(super) async fn run(
    environment: &Environment,
    arguments: Arguments,
    options: &setup::GlobalOptions,
    style: Style,
) -> Result<(Answer, Exit)> {
    let done = |answer: Answer| (answer, Exit::Success);
    match arguments.command {
        Command::Install(arguments) => install::install(environment, &arguments, options, style).map(done),
        Command::Remove(arguments) => installed::remove(environment, &arguments).map(done),
        Command::Status => installed::status(environment, style).await,
    }
}

/// The service of this machine.
fn the_service(environment: &Environment) -> Result<InstalledService> {
    let mut all = bwdc_schedule::services::installed(&super::schedule::homes(environment, None));
    let own = bwdc_schedule::is_root().then_some(0);
    match (all.len(), own) {
        (0, _) => Err(nothing_installed()),
        // A user sees the machine's and their own: their own is meant.
        (_, None) => all.pop().ok_or_else(nothing_installed),
        (_, Some(first)) => Ok(all.swap_remove(first)),
    }
}

fn nothing_installed() -> Error {
    Error::new("No service is installed.")
        .hint("Install one with `bwdc service install`; `bwdc schedule list` shows syncs without a daemon.")
}
