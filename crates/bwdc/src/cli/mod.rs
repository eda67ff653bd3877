//! The command line: one file per command.

mod alert;
mod apply;
mod approve;
mod clear_cache;
mod completions;
mod config;
mod consent;
mod daemon;
mod data_file;
mod demo;
mod doctor;
mod explain;
mod given;
mod health;
mod history;
mod init;
mod last_sync;
mod log;
mod login;
mod logout;
mod man;
mod news;
mod pending;
mod people;
mod plan;
mod planning;
#[cfg(test)]
mod reference;
mod replay;
mod root;
mod sandbox;
mod schedule;
mod scheduled;
mod selection;
mod service;
mod several;
mod snapshot;
mod status;
mod sync;
mod test;
mod timetable;
mod undo;
mod update;
mod usage;
mod web;
mod which;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use self::which::Which;
use crate::ui::{self, Answer, Style};
use bwdc_config::installation::{AlertSetup, Installation};
use bwdc_config::{Environment, Setup, env, place, secrets, setup};
use bwdc_core::error::{Exit, Result};
use bwdc_store::{DataFile, StateKeeping};
use bwdc_sync::Context;

/// Keeps a Bitwarden organization in step with a company's directory.
#[derive(Debug, Parser)]
#[command(name = "bwdc", version, disable_version_flag = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  bwdc login\n  bwdc config directory ldap\n  bwdc test\n  bwdc sync\n  bwdc demo\n\nExit codes: 0 done, 1 failed, 2 something to do (plan --exit-code), 3 another sync is running, 4 done but entries were left out, 5 held back by a safety check."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Where the help of a command has the options that all commands have: behind its own.
const GLOBAL: &str = "Options of all commands";

#[derive(Clone, Debug, Args)]
struct Global {
    /// Indent JSON by two spaces.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pretty: bool,
    /// Print the bare value, and nothing for a message.
    #[arg(long, global = true, help_heading = GLOBAL)]
    raw: bool,
    /// Print every answer as one JSON object, errors included.
    #[arg(long, global = true, help_heading = GLOBAL)]
    response: bool,
    /// Exit with 0 even after an error.
    #[arg(long, global = true, help_heading = GLOBAL)]
    cleanexit: bool,
    /// Print nothing.
    #[arg(long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Ask nothing.
    #[arg(long, global = true, help_heading = GLOBAL)]
    nointeraction: bool,
    /// Configuration file of this machine: instances, log, limits. Default: bwdc.toml next to data.json, if it exists.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Append a line for each event to this file.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// `text` or `json`.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Print the version.
    #[arg(short = 'v', long, help_heading = GLOBAL, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

impl Global {
    fn setup(&self) -> setup::GlobalOptions {
        let Self { config, log_file, log_format, .. } = self.clone();
        setup::GlobalOptions { config, log_file, log_format }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in with the organization's API key.
    Login(login::Arguments),
    /// Forget the API key and the tokens.
    Logout(Which),
    /// Show what a sync would import, and change nothing.
    Test(test::Arguments),
    /// Import the directory into the organization.
    Sync(sync::Arguments),
    /// Show what a sync would change in the organization, and change nothing.
    Plan(plan::Arguments),
    /// Carry out a saved plan: exactly that, or nothing.
    Apply(apply::Arguments),
    /// Show what waits for approval, for time to pass or for a repair.
    Pending(pending::Arguments),
    /// Let the next sync carry out what a limit holds back, once and within 24 hours.
    Approve(approve::Arguments),
    /// Save what decides a plan, with addresses, names and ids replaced, to report a fault.
    Snapshot(snapshot::Arguments),
    /// Show the plan that follows from a saved snapshot, without a login or a directory.
    Replay(replay::Arguments),
    /// Explain why a person or group is, or is not, in the organization, and what the next sync does.
    Explain(explain::Arguments),
    /// List the people and groups that imports have brought, from what earlier runs have kept.
    People(people::Arguments),
    /// Show when users or groups were last synced.
    LastSync(last_sync::Arguments),
    /// Show and change settings.
    Config(config::Arguments),
    /// Show where data.json is.
    DataFile(Which),
    /// Try the channels by which alerts are told, or check that no success is missed.
    Alert(alert::Arguments),
    /// Forget what was synced, so that the next sync reads and sends everything.
    ClearCache(Which),
    /// Set up an instance: ask for what is needed, test it, and save it.
    Init(init::Arguments),
    /// Check the whole installation and report what is wrong.
    Doctor(doctor::Arguments),
    /// Run syncs continuously, without a scheduler.
    Daemon(daemon::Arguments),
    /// Serve a page for the browser: state, plan, history, settings, schedule, log.
    Web(web::Arguments),
    /// Show how the last sync of each instance went, and when the next is due.
    Status(status::Arguments),
    /// Check that the daemon is running and its instances are in step, for container health checks and probes.
    Health(health::Arguments),
    /// Show what earlier runs changed: all, one, or those about somebody or a group.
    History(history::Arguments),
    /// Undo a run: bring back the members, groups and memberships that it changed.
    Undo(undo::Arguments),
    /// Show an instance's log, wherever it is kept.
    Log(log::Arguments),
    /// Schedule syncs with cron, systemd, launchd, the Task Scheduler or Kubernetes.
    Schedule(schedule::Arguments),
    /// Run the daemon as a service of this machine, by systemd, launchd or Windows.
    Service(service::Arguments),
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
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|first| first == bwdc_daemon::worker::COMMAND) {
        return work(&Environment::of_process(secrets::variables()), &arguments[2..]);
    }
    let arguments = usage::without_leading_escape(arguments);
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let selection = selection::typed(&arguments);
            run(cli, Environment::of_process(secrets::variables()), selection.as_deref())
        }
        Err(error) => not_run(&error, &arguments),
    }
}

/// Help, the version, or what is wrong with the command line.
fn not_run(error: &clap::Error, arguments: &[OsString]) -> Exit {
    match error.kind() {
        ErrorKind::DisplayVersion => {
            let text = error.to_string();
            helped(text.strip_prefix("bwdc ").unwrap_or(&text))
        }
        ErrorKind::DisplayHelp => helped(&error.to_string()),
        ErrorKind::MissingSubcommand => {
            ui::usage(&Cli::command().render_help().to_string());
            Exit::Failure
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ui::usage(&error.to_string());
            Exit::Failure
        }
        _ => {
            ui::usage(&usage::text(error, &Cli::command(), arguments));
            Exit::Failure
        }
    }
}

fn helped(text: &str) -> Exit {
    match ui::help(text) {
        Ok(()) => Exit::Success,
        Err(error) => ui::error(&error, Style::default()),
    }
}

/// Runs a command. `selection` is what selects its instance on the command line.
fn run(cli: Cli, environment: Environment, selection: Option<&str>) -> Exit {
    let style = style(&cli.global, &environment);
    let result = match root::become_owner(&cli, &environment, style) {
        Ok(()) => block_on(dispatch(cli, environment, style)).flatten(),
        Err(error) => Err(error),
    };
    finish(result.map_err(|error| selection::completed(error, selection)), style)
}

/// What a daemon starts for each sync. It is no command of people's, so that no help and no completion has it.
fn work(environment: &Environment, folders: &[OsString]) -> Exit {
    let style = Style {
        response: true,
        stderr: crate::log::stderr(environment, &setup::GlobalOptions::default()),
        ..Style::default()
    };
    if let Err(error) = root::worker_becomes_owner(folders) {
        return finish(Err(error), style);
    }
    let work = async { worker::work(environment, style).await.map(|answer| (answer, Exit::Success)) };
    finish(block_on(work).flatten(), style)
}

fn finish(result: Result<(Answer, Exit)>, style: Style) -> Exit {
    match result {
        Ok((answer, exit)) => match ui::answer(&answer, style) {
            Ok(()) if style.clean_exit => Exit::Success,
            Ok(()) => exit,
            Err(error) => ui::unwritten(&error, style),
        },
        Err(error) => ui::error(&error, style),
    }
}

/// What every command of an installation is given.
struct Invocation {
    environment: Environment,
    style: Style,
    options: setup::GlobalOptions,
    setup: Setup,
    /// Where data.json is, unless a command names others.
    folder: PathBuf,
    /// Who is told when something is wrong.
    alerts: Arc<AlertSetup>,
    /// What becomes of the state of runs.
    state: StateKeeping,
}

/// Who is told when something is wrong, by `bwdc.toml`.
fn alerts(setup: &Setup, environment: &Environment) -> Arc<AlertSetup> {
    let installation = setup.installation.as_ref();
    let installed = scheduled::installed(environment, installation);
    let alerts = installation.map(Installation::alert_setup).unwrap_or_default();
    Arc::new(AlertSetup { installed, ..alerts })
}

impl Invocation {
    /// What is configured, before anything is done: no log is opened.
    fn find(global: &Global, environment: Environment, style: Style) -> Result<Self> {
        Self::found(global.setup(), environment, style)
    }

    fn found(options: setup::GlobalOptions, environment: Environment, style: Style) -> Result<Self> {
        let folder = place::folder(&environment)?;
        let setup = Setup::of(&options, &environment, &folder)?;
        let alerts = alerts(&setup, &environment);
        Ok(Self { environment, style, options, setup, folder, alerts, state: StateKeeping::InFolder })
    }

    fn of(global: Global, environment: Environment, style: Style) -> Result<Self> {
        let invocation = Self::find(&global, environment, style)?;
        invocation.setup.check_log()?;
        crate::log::start(&invocation.environment, style, Some(&invocation.setup.log));
        if let Some(warning) = invocation.setup.installation.as_ref().and_then(|found| found.warning()) {
            invocation.context().warn(&warning);
        }
        Ok(invocation)
    }

    /// The same, as it is configured now.
    fn again(&self) -> Result<Self> {
        let Self { environment, style, options, folder, state, .. } = self;
        let setup = Setup::of(options, environment, folder)?;
        let (environment, options, folder) = (environment.clone(), options.clone(), folder.clone());
        let alerts = alerts(&setup, &environment);
        Ok(Self { environment, style: *style, options, setup, folder, alerts, state: *state })
    }

    /// The same, with state kept in this way.
    fn keeping(self, state: StateKeeping) -> Self {
        Self { state, ..self }
    }

    /// The same, with nothing on stdout and stderr.
    fn quietly(self) -> Self {
        Self { style: Style { quiet: true, ..self.style }, ..self }
    }

    fn context(&self) -> Context {
        self.context_in(self.folder.clone())
    }

    fn context_in(&self, folder: PathBuf) -> Context {
        let installation = self.setup.installation.as_ref().map(|found| found.path.clone());
        let watch = Arc::new(ui::Watcher(self.style));
        let file = DataFile::in_folder(folder).keeping(self.state);
        Context::new(file, self.environment.clone(), watch).found_by(installation).alerting(&self.alerts)
    }
}

async fn dispatch(cli: Cli, environment: Environment, style: Style) -> Result<(Answer, Exit)> {
    let interaction = if cli.global.nointeraction || environment.is_true(env::NO_INTERACTION) {
        Interaction::None
    } else {
        Interaction::Terminal
    };
    let done = |answer: Answer| (answer, Exit::Success);
    let invocation = || Invocation::of(cli.global.clone(), environment.clone(), style);
    // Somebody waits for these.
    let given_soon = || Invocation::of(cli.global.clone(), environment.clone().with_short_patience(), style);
    match cli.command {
        Command::Login(arguments) => login::run(&given_soon()?, arguments, interaction).await.map(done),
        Command::Logout(which) => several::each(which.contexts(&invocation()?)?, style, logout::run).await,
        Command::Test(arguments) => test::run(&invocation()?, arguments).await,
        Command::Sync(arguments) => {
            let invocation = invocation()?.keeping(arguments.state());
            sync::run(&invocation, arguments).await
        }
        Command::Plan(arguments) => plan::run(&invocation()?, arguments).await,
        Command::Apply(arguments) => apply::run(&invocation()?, arguments).await,
        Command::Snapshot(arguments) => snapshot::run(&invocation()?, arguments).await.map(done),
        Command::Replay(arguments) => {
            crate::log::start(&environment, style, None);
            replay::run(&arguments, style).map(done)
        }
        Command::Pending(arguments) => pending::run(&invocation()?, arguments).await,
        Command::Approve(arguments) => approve::run(&invocation()?, arguments, interaction).await,
        Command::Undo(arguments) => undo::run(&invocation()?, arguments, interaction).await,
        Command::Explain(arguments) => explain::run(&invocation()?, arguments).await,
        Command::People(arguments) => people::run(&invocation()?, arguments).await,
        Command::LastSync(arguments) => last_sync::run(&invocation()?, arguments).await,
        Command::Config(arguments) if arguments.is_schema() => Ok(done(config::schema())),
        Command::Config(arguments) => config::run(&invocation()?, &arguments, interaction).await.map(done),
        Command::DataFile(which) => {
            several::each(which.contexts(&invocation()?)?, style, async |context| Ok(data_file::run(context)))
                .await
        }
        Command::ClearCache(which) => {
            several::each(which.contexts(&invocation()?)?, style, async |context| clear_cache::run(context))
                .await
        }
        Command::Alert(arguments) => alert::run(&invocation()?, arguments).await,
        Command::Init(arguments) => init::run(&given_soon()?, arguments, interaction).await.map(done),
        Command::Daemon(arguments) => daemon::run(arguments, invocation()?).await.map(done),
        Command::Web(arguments) => web::run(arguments, invocation()?, interaction).await.map(done),
        Command::Status(arguments) => status::run(arguments, &invocation()?).await,
        Command::Health(arguments) => health::run(&arguments, &invocation()?).await.map(done),
        Command::History(arguments) => history::run(&invocation()?, arguments).await,
        Command::Log(arguments) => log::run(arguments, &invocation()?).await,
        Command::Doctor(arguments) => doctor::run(&given_soon()?, arguments).await,
        Command::Schedule(arguments) => schedule::run(&environment, arguments, &cli.global.setup(), style),
        Command::Service(arguments) => {
            service::run(&environment, arguments, &cli.global.setup(), style).await
        }
        Command::Update => update::run(&environment).await.map(done),
        Command::Completions(arguments) => completions::run(&arguments).map(done),
        Command::Man(arguments) => man::run(&arguments).map(done),
        Command::Sandbox(arguments) => {
            crate::log::start(&environment, style, None);
            sandbox::run(arguments).await.map(done)
        }
        Command::Demo(arguments) => {
            crate::log::start(&environment, style, None);
            demo::run(arguments, style).await.map(done)
        }
    }
}

/// Whether anybody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interaction {
    Terminal,
    None,
}

fn style(global: &Global, environment: &Environment) -> Style {
    Style {
        pretty: global.pretty || environment.is_true(env::PRETTY),
        raw: global.raw || environment.is_true(env::RAW),
        response: global.response || environment.is_true(env::RESPONSE),
        clean_exit: global.cleanexit || environment.is_set(env::CLEAN_EXIT),
        quiet: global.quiet || environment.is_true(env::QUIET),
        no_color: environment.is_set(env::NO_COLOR),
        reader: if environment.is_true(env::FOR_PROGRAM) { ui::Reader::Program } else { ui::Reader::Person },
        stderr: crate::log::stderr(environment, &global.setup()),
    }
}

/// Runs asynchronous work to its end, on one thread: reading a directory is a stream of small entries, and handing each
/// from one thread to another costs more than it gains.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        bwdc_core::error::Error::new(format!("Starting the program's event loop: {error}"))
    })?;
    // The event loop has several places that run it, each with a copy of all commands otherwise.
    let work: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(work);
    let done = runtime.block_on(work);
    // A read that was given up may have a thread that waits for the other side for long.
    runtime.shutdown_background();
    Ok(done)
}
