//! Root at the command line: in the folder of another user it goes on as that user.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Cli, Command, Invocation};
use crate::ui::{self, Style};
use bwdc_config::{Environment, env};
use bwdc_core::error::Result;
use bwdc_store::privileges::{self, Owner};
use bwdc_sync::Context;

/// Returns where there is nothing to give up. Otherwise the program has started again as the owner of the folder.
///
/// # Errors
/// Several owners, or the system does not let root become the owner.
pub(super) fn become_owner(cli: &Cli, environment: &Environment, style: Style) -> Result<()> {
    // What is wrong with the command line or the configuration is told by the command itself.
    let Ok(invocation) = Invocation::find(&cli.global, environment.clone(), style) else {
        return Ok(());
    };
    let folders = folders(&cli.command, &invocation);
    match privileges::owner_of_all(&folders)? {
        Owner::Ourselves => Ok(()),
        Owner::Another(user) => {
            if !style.response && !style.has_log() {
                let folder = folders.first().map(|folder| folder.display().to_string()).unwrap_or_default();
                ui::progress(&format!("Running as {user}, who owns {folder}."), style);
            }
            let mut variables = vec![(env::APPDATA_DIR, invocation.folder.as_path())];
            if let Some(installation) = &invocation.setup.installation {
                variables.push((env::CONFIG, &installation.path));
            }
            Err(user.run_this_program_again(&variables))
        }
    }
}

/// The same for a worker of a daemon that root runs, before it has read its order.
pub(super) fn worker_becomes_owner(folders: &[OsString]) -> Result<()> {
    let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    match privileges::owner_of_all(&folders)? {
        Owner::Ourselves => Ok(()),
        Owner::Another(user) => Err(user.run_this_program_again(&[])),
    }
}

/// The folders in which the command works as their owner; none for commands that are the machine's.
fn folders(command: &Command, invocation: &Invocation) -> Vec<PathBuf> {
    let contexts = match command {
        Command::Login(arguments) => one(arguments.which.new_context(invocation)),
        Command::Init(arguments) => one(arguments.which.new_context(invocation)),
        Command::Config(arguments) if !arguments.is_schema() => one(arguments.which.new_context(invocation)),
        Command::Test(arguments) => arguments.which.all_contexts(invocation),
        Command::Sync(arguments) => arguments.which.all_contexts(invocation),
        Command::Plan(arguments) => arguments.which.all_contexts(invocation),
        Command::Apply(arguments) => arguments.which.all_contexts(invocation),
        Command::Snapshot(arguments) => arguments.which.all_contexts(invocation),
        Command::Pending(arguments) => arguments.which.all_contexts(invocation),
        Command::Approve(arguments) => arguments.which.all_contexts(invocation),
        Command::History(arguments) => arguments.which.all_contexts(invocation),
        Command::Undo(arguments) => arguments.which.all_contexts(invocation),
        Command::Explain(arguments) => arguments.which.all_contexts(invocation),
        Command::People(arguments) => arguments.which.all_contexts(invocation),
        Command::LastSync(arguments) => arguments.which.all_contexts(invocation),
        Command::Doctor(arguments) => arguments.which.all_contexts(invocation),
        Command::Web(arguments) => arguments
            .which()
            .map(|which| which.or_everything(invocation).all_contexts(invocation))
            .unwrap_or_default(),
        Command::Logout(which) | Command::ClearCache(which) => which.all_contexts(invocation),
        Command::Alert(arguments) => arguments.contexts(invocation),
        Command::Config(_)
        | Command::DataFile(_)
        | Command::Daemon(_)
        | Command::Status(_)
        | Command::Health(_)
        | Command::Log(_)
        | Command::Schedule(_)
        | Command::Service(_)
        | Command::Update
        | Command::Replay(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Sandbox(_)
        | Command::Demo(_) => Vec::new(),
    };
    contexts.iter().map(|context| context.file.folder().to_owned()).collect()
}

fn one(context: Result<Context>) -> Vec<Context> {
    context.into_iter().collect()
}
