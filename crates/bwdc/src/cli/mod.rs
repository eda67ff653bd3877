//! The command line: one file per command.

mod clear_cache;
mod completions;
mod config;
mod daemon;
mod data_file;
mod demo;
mod doctor;
mod init;
mod last_sync;
mod login;
mod logout;
mod man;
mod sandbox;
mod status;
mod sync;
mod test;
mod update;
mod usage;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Environment, env, place};
use crate::error::{Exit, Result};
use crate::run::Context;
use crate::state::DataFile;
use crate::ui::{self, Answer, Style};

/// Keeps a Bitwarden organization in step with a company's directory.
#[derive(Debug, Parser)]
#[command(name = "bwdc", version, disable_version_flag = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  bwdc login\n  bwdc config directory ldap\n  bwdc test\n  bwdc sync\n  bwdc demo\n\nExit codes: 0 done, 1 failed, 3 another sync is running, 4 done but entries were left out, 5 held back by a safety check."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, Args)]
struct Global {
    /// Indent JSON by two spaces.
    #[arg(long, global = true)]
    pretty: bool,
    /// Print the bare value, and nothing for a message.
    #[arg(long, global = true)]
    raw: bool,
    /// Print every answer as one JSON object, errors included.
    #[arg(long, global = true)]
    response: bool,
    /// Exit with 0 even after an error.
    #[arg(long, global = true)]
    cleanexit: bool,
    /// Print nothing.
    #[arg(long, global = true)]
    quiet: bool,
    /// Ask nothing.
    #[arg(long, global = true)]
    nointeraction: bool,
    /// Print the version.
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in with the organization's API key.
    Login(login::Arguments),
    /// Forget the API key and the tokens.
    Logout,
    /// Show what a sync would import, and change nothing.
    Test(test::Arguments),
    /// Import the directory into the organization.
    Sync(sync::Arguments),
    /// Show when users or groups were last synced.
    LastSync(last_sync::Arguments),
    /// Show and change settings.
    Config(config::Arguments),
    /// Show where data.json is.
    DataFile,
    /// Forget what was synced, so that the next sync reads and sends everything.
    ClearCache,
    /// Set up: asks what it needs or takes it by options, tries it, and saves it.
    Init(init::Arguments),
    /// Look at this installation from end to end, and say what is wrong with it.
    Doctor(doctor::Arguments),
    /// Run syncs by themselves, without a scheduler.
    Daemon(daemon::Arguments),
    /// Show what the daemon is doing.
    Status(status::Arguments),
    /// Look for a newer release.
    Update,
    /// Print a script that completes commands and options in a shell.
    Completions(completions::Arguments),
    /// Write the man pages.
    Man(man::Arguments),
    /// Run a Bitwarden-compatible organization on this machine to rehearse against.
    Sandbox(sandbox::Arguments),
    /// Show the main job on a sample company, from start to end.
    Demo(demo::Arguments),
}

/// Runs what was typed, and says how the program ends.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = usage::without_leading_escape(arguments.into_iter().collect());
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli, Environment::of_process()),
        Err(error) => not_run(&error, &arguments),
    }
}

/// Help, the version, or what is wrong with the command line.
fn not_run(error: &clap::Error, arguments: &[OsString]) -> Exit {
    match error.kind() {
        ErrorKind::DisplayVersion => {
            let text = error.to_string();
            ui::help(text.strip_prefix("bwdc ").unwrap_or(&text));
            Exit::Success
        }
        ErrorKind::DisplayHelp => {
            ui::help(&error.to_string());
            Exit::Success
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ui::usage(&Cli::command().render_help().to_string());
            Exit::Failure
        }
        _ => {
            ui::usage(&usage::text(error, &Cli::command(), arguments));
            Exit::Failure
        }
    }
}

fn run(cli: Cli, environment: Environment) -> Exit {
    let style = style(cli.global, &environment);
    log(&environment, style);
    match block_on(dispatch(cli, environment, style)).flatten() {
        Ok((answer, exit)) => {
            ui::answer(&answer, style);
            if style.clean_exit { Exit::Success } else { exit }
        }
        Err(error) => ui::error(&error, style),
    }
}

async fn dispatch(cli: Cli, environment: Environment, style: Style) -> Result<(Answer, Exit)> {
    let interaction = if cli.global.nointeraction || environment.is_true(env::NO_INTERACTION) {
        Interaction::None
    } else {
        Interaction::Terminal
    };
    let context = |environment: Environment| -> Result<Context> {
        let file = DataFile::in_folder(place::folder(&environment)?);
        Ok(Context::new(file, environment, style))
    };
    let done = |answer: Answer| (answer, Exit::Success);
    match cli.command {
        Command::Login(arguments) => {
            login::run(&context(environment)?, arguments, interaction).await.map(done)
        }
        Command::Logout => logout::run(&context(environment)?).await.map(done),
        Command::Test(arguments) => test::run(&context(environment)?, arguments).await.map(done),
        Command::Sync(arguments) => sync::run(&context(environment)?, arguments).await,
        Command::LastSync(arguments) => last_sync::run(&context(environment)?, &arguments).await.map(done),
        Command::Config(arguments) => config::run(&context(environment)?, &arguments).await.map(done),
        Command::DataFile => Ok(done(data_file::run(&context(environment)?))),
        Command::ClearCache => clear_cache::run(&context(environment)?).map(done),
        Command::Init(arguments) => init::run(&context(environment)?, arguments, interaction).await.map(done),
        Command::Doctor(arguments) => doctor::run(&context(environment)?, arguments).await,
        Command::Daemon(arguments) => daemon::run(arguments, environment, style).await.map(done),
        Command::Status(arguments) => status::run(arguments, environment).await,
        Command::Update => update::run(&context(environment)?).await.map(done),
        Command::Completions(arguments) => completions::run(&arguments).map(done),
        Command::Man(arguments) => man::run(&arguments).map(done),
        Command::Sandbox(arguments) => sandbox::run(arguments).await.map(done),
        Command::Demo(arguments) => demo::run(arguments, style).await.map(done),
    }
}

/// Whether anybody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interaction {
    Terminal,
    None,
}

fn style(global: Global, environment: &Environment) -> Style {
    Style {
        pretty: global.pretty || environment.is_true(env::PRETTY),
        raw: global.raw || environment.is_true(env::RAW),
        response: global.response || environment.is_true(env::RESPONSE),
        clean_exit: global.cleanexit || environment.is_set(env::CLEAN_EXIT),
        quiet: global.quiet || environment.is_true(env::QUIET),
        no_color: environment.is_set(env::NO_COLOR),
    }
}

/// The debug log of the existing connector: on the console, and on stderr where stdout is for JSON.
fn log(environment: &Environment, style: Style) {
    if !environment.is_true(env::DEBUG) {
        return;
    }
    let targets = tracing_subscriber::filter::Targets::new()
        .with_target("bwdc", tracing::Level::DEBUG)
        .with_target("bwdc_connect", tracing::Level::DEBUG)
        .with_target("bwdc_sandbox", tracing::Level::DEBUG);
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    let _ = if style.response {
        registry.with(lines.with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(lines).try_init()
    };
}

/// Runs asynchronous work to its end, on one thread: reading a directory is a stream of small entries, and handing each
/// from one thread to another costs more than it gains.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| crate::error::Error::new(format!("Starting the program's event loop: {error}")))?;
    Ok(runtime.block_on(work))
}
