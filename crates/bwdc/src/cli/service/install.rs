//! `bwdc service install`: what was asked for on the command line becomes a [`ServiceRequest`].

use std::path::{Path, PathBuf};

use bwdc_schedule::{InstallOutcome, Machine, ServiceKeeper, ServiceRequest, Syncs};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};

use crate::cli::daemon;
use crate::cli::schedule::homes;
use crate::cli::schedule::job_files::{self, JobTarget};
use crate::cli::schedule::job_options::{self, JobOptions};
use crate::cli::schedule::paths::{folders, program};
use crate::ui::{Answer, Style};
use bwdc_config::env::{self, Environment};
use bwdc_config::{place, setup};
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct InstallArguments {
    /// What is to keep the service. Default: what this system has.
    #[arg(long, value_parser = keepers())]
    using: Option<ServiceKeeper>,
    /// Folder of bwdc.toml, or of data.json. All instances that bwdc.toml names are served. Default on Windows: bwdc in %ProgramData%.
    #[arg(long, value_name = "DIR")]
    appdata: Option<PathBuf>,
    #[command(flatten)]
    job: JobOptions,
    /// Options of `bwdc daemon`, such as -- --web 127.0.0.1:8444.
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// What the daemon is told besides its instances, looked at before a service is told it at every start.
#[derive(Debug, Parser)]
#[command(name = "bwdc daemon", disable_help_flag = true, disable_version_flag = true)]
struct DaemonOptions {
    #[command(flatten)]
    _options: daemon::Options,
}

/// Keepers by their names.
fn keepers() -> impl TypedValueParser<Value = ServiceKeeper> {
    PossibleValuesParser::new(ServiceKeeper::ALL.map(ServiceKeeper::name)).try_map(|name| {
        let named = ServiceKeeper::ALL.into_iter().find(|keeper| keeper.name() == name);
        named.ok_or("there is no such keeper of services")
    })
}

pub(super) fn install(
    environment: &Environment,
    arguments: &InstallArguments,
    options: &setup::GlobalOptions,
    style: Style,
) -> Result<Answer> {
    let request = request(environment, arguments, options, style)?;
    if arguments.job.dry_run {
        return job_options::shown_only(&request.preview()?, NOTHING_TO_CHANGE);
    }
    match request.carry_out()? {
        InstallOutcome::Nothing => Ok(Answer::message(NOTHING_TO_CHANGE)),
        InstallOutcome::Installed(mended) => installed(&request, mended),
    }
}

const NOTHING_TO_CHANGE: &str = "Nothing to change: this service is already installed and running.";

fn request(
    environment: &Environment,
    arguments: &InstallArguments,
    options: &setup::GlobalOptions,
    style: Style,
) -> Result<ServiceRequest> {
    check(&arguments.options)?;
    let keeper = arguments.using.map_or_else(ServiceKeeper::of_this_machine, Ok)?;
    let JobOptions { program: given, .. } = &arguments.job;
    let (user, other_home) = arguments.job.account(keeper.accounts(), keeper.usual_user())?;
    let of_machine = place::of_machine(environment).filter(|_| !environment.is_set(env::APPDATA_DIR));
    let appdata = arguments.appdata.clone().or(of_machine);
    let mut folders = folders(environment, appdata.as_slice(), other_home)?;
    let folder = folders.pop().unwrap_or_default();
    let variables = arguments.job.variables(environment, options, Machine::This, style)?;
    let config = job_files::value_of(&variables, env::CONFIG).map(Path::new);
    let installation = job_files::installation_of(Path::new(&folder), config, Syncs::Instance)?;
    let syncs = match &installation {
        Some(found) if !found.instances.is_empty() => Syncs::Everything,
        _ => Syncs::Instance,
    };
    let credentials = arguments.job.credentials()?;
    if let Some(found) = &installation {
        job_files::check_credentials(&credentials, found)?;
    }
    let default_log = keeper.default_log(&folder);
    let program = program(given.as_ref())?;
    let target = JobTarget {
        program: &program,
        folder: &folder,
        user: &user.name,
        machine: Machine::This,
        default_log: default_log.as_deref(),
    };
    let job = job_files::job(&target, syncs, installation.as_ref(), &variables)?;
    Ok(ServiceRequest {
        keeper,
        manager: arguments.job.manager(keeper.accounts(), &user)?,
        user,
        secret_files: job_files::secret_files(&job),
        job,
        options: arguments.options.clone(),
        homes: homes(environment, None),
        owners: arguments.job.owners(),
        trial: arguments.job.trial(),
        credentials,
    })
}

fn check(options: &[String]) -> Result<()> {
    let words = ["bwdc daemon"].into_iter().chain(options.iter().map(String::as_str));
    match DaemonOptions::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let said = first.strip_prefix("error: ").unwrap_or(first);
            Err(Error::new(format!("The daemon does not take these options: {said}."))
                .hint("`bwdc daemon --help` lists them; the instances are those of the folder, or of its bwdc.toml."))
        }
    }
}

/// What was mended, what is served, and how to see how it goes.
fn installed(request: &ServiceRequest, mended: Vec<String>) -> Result<Answer> {
    let ServiceRequest { job, keeper, .. } = request;
    let mut lines = mended;
    let what = match job.syncs {
        Syncs::Instance => "the instance",
        Syncs::Everything => "all instances in bwdc.toml",
    };
    lines.push(format!("{}: {what}, as {}, by {}.", job.folder, job.user, keeper.name()));
    lines.push("See how it is with `bwdc service status`.".to_owned());
    Ok(Answer::Message {
        title: "The service is installed and running.".to_owned(),
        message: Some(lines.join("\n")),
    })
}
